//! Real frames through real models, whole: from a camera's pictures to receipts, with each runtime
//! that this box has.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use basketd::units::Timestamp;
use basketd::vision::{Backend, Choice};
use serde_json::Value;

/// What a replay wrote.
struct Replay {
    events: Vec<Value>,
    tracks: Vec<Value>,
    summary: String,
}

/// A recording beside the project; `None`, with a printed line, where there is none.
fn shared(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../shared/recordings").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no ../shared");
    None
}

/// The runtimes of this box, the fastest first; says which are left out.
fn runtimes() -> Vec<&'static str> {
    let mut all = Vec::new();
    for (name, choice) in [
        ("onnxruntime", Choice::OnnxRuntime),
        ("tract", Choice::Tract),
    ] {
        match Backend::choose(choice) {
            Ok(_) => all.push(name),
            Err(why) => println!("skipped: {why}"),
        }
    }
    all
}

/// The recording replayed with so many of the runtimes of this box.
fn replays(name: &str, most: usize) -> Vec<(&'static str, PathBuf, Replay)> {
    let Some(folder) = shared(name) else {
        return Vec::new();
    };
    let runtimes = runtimes().into_iter().take(most);
    let each = runtimes.map(|backend| (backend, folder.clone(), replay(&folder, backend)));
    each.collect()
}

/// Two tests look at it.
static BOTTLES_ALL: LazyLock<Vec<(&str, PathBuf, Replay)>> =
    LazyLock::new(|| replays("bottles-all", 2));

fn replay(folder: &Path, backend: &str) -> Replay {
    let out = tempfile::tempdir().unwrap();
    let (events, tracks) = (out.path().join("events"), out.path().join("tracks"));
    let done = Command::new(env!("CARGO_BIN_EXE_basketd"))
        .arg("replay")
        .arg(folder.join("recording.mcap"))
        .arg("--store")
        .arg(folder.join("store.toml"))
        .arg("--events")
        .arg(&events)
        .arg("--tracks")
        .arg(&tracks)
        .env("BASKETD_BACKEND", backend)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let summary = String::from_utf8(done.stdout).unwrap();
    println!("{backend}, {}:\n{summary}", folder.display());
    Replay {
        events: lines(&events),
        tracks: lines(&tracks),
        summary,
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn truth(folder: &Path) -> Value {
    lines(&folder.join("truth.jsonl")).remove(0)
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Products and quantities of the only basket.
fn receipt(events: &[Value]) -> BTreeMap<String, u64> {
    let of_type = |e: &&Value, kind: &str| e["type"] == format!("basketd.basket.{kind}");
    let closed: Vec<&Value> = events.iter().filter(|e| of_type(e, "closed")).collect();
    assert_eq!(closed.len(), 1, "{closed:#?}");
    let last = events
        .iter()
        .rfind(|e| of_type(e, "closed") || of_type(e, "adjusted"));
    let lines = last.unwrap()["data"]["lines"].as_array().unwrap();
    let line = |line: &Value| {
        let gtin = line["gtin"].as_str().unwrap().to_owned();
        (gtin, line["quantity"].as_u64().unwrap())
    };
    lines.iter().map(line).collect()
}

fn bought(truth: &Value) -> BTreeMap<String, u64> {
    let items = truth["items"].as_object().unwrap().iter();
    items
        .map(|(gtin, n)| (gtin.clone(), n.as_u64().unwrap()))
        .collect()
}

/// Takes and put-backs: what, which product, when; a line each, in the order of time.
fn acts(events: &[Value]) -> Vec<(String, String, Timestamp)> {
    let mut acts = Vec::new();
    for event in events {
        let data = &event["data"];
        for kind in ["taken", "returned"] {
            if event["type"] == format!("basketd.item.{kind}") {
                let gtin = data["gtin"].as_str().unwrap().to_owned();
                for _ in 0..data["quantity"].as_u64().unwrap() {
                    acts.push((
                        kind.to_owned(),
                        gtin.clone(),
                        time(&data[format!("{kind}_at")]),
                    ));
                }
            }
        }
    }
    acts.sort();
    acts
}

fn true_acts(truth: &Value) -> Vec<(String, String, Timestamp)> {
    let act = |e: &Value| {
        let text = |key: &str| e[key].as_str().unwrap().to_owned();
        (text("kind"), text("gtin"), time(&e["at"]))
    };
    let mut acts: Vec<_> = truth["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(act)
        .collect();
    acts.sort();
    acts
}

/// The share of a frame's time that the model itself took, as the summary prints it.
fn model_share(summary: &str) -> f64 {
    let line = summary
        .lines()
        .find(|l| l.starts_with("inference"))
        .unwrap();
    let share = line.rsplit_once('(').unwrap().1;
    share.trim_end_matches(" %)").parse().unwrap()
}

#[test]
fn bottles_that_were_all_put_back_are_not_charged() {
    for (backend, folder, replay) in &*BOTTLES_ALL {
        assert_eq!(receipt(&replay.events), bought(&truth(folder)), "{backend}");
        let share = model_share(&replay.summary);
        assert!(
            share >= 80.0,
            "{backend}: {share} % of a frame's time in the model"
        );
    }
}

#[test]
fn every_bottle_taken_and_put_back_is_seen() {
    for (backend, folder, replay) in &*BOTTLES_ALL {
        let (found, real) = (acts(&replay.events), true_acts(&truth(folder)));
        let what = |acts: &[(String, String, Timestamp)]| -> Vec<(String, String)> {
            acts.iter()
                .map(|(kind, gtin, _)| (kind.clone(), gtin.clone()))
                .collect()
        };
        assert_eq!(what(&found), what(&real), "{backend}: {found:#?}");
        for (found, real) in found.iter().zip(&real) {
            let off = found.2.secs_since(real.2);
            assert!(
                off.abs() <= 1.0,
                "{backend}: {found:?} is off by {off:.2} s"
            );
        }
    }
}

#[test]
fn the_bottle_that_was_kept_is_charged() {
    for (backend, folder, replay) in replays("bottles-one", 2) {
        assert_eq!(
            receipt(&replay.events),
            bought(&truth(&folder)),
            "{backend}"
        );
    }
}

#[test]
fn the_shopper_of_the_real_store_is_one_track_and_gets_his_receipt() {
    // A thousand frames: one runtime is enough, as the others show that both see the same.
    for (backend, folder, replay) in replays("nanostore-real", 1) {
        let truth = truth(&folder);
        assert_eq!(receipt(&replay.events), bought(&truth), "{backend}");
        let ids: BTreeSet<&str> = replay
            .tracks
            .iter()
            .map(|t| t["track"].as_str().unwrap())
            .collect();
        let visits: BTreeSet<&str> = replay
            .tracks
            .iter()
            .filter_map(|t| t["visit"].as_str())
            .collect();
        assert!(
            ids.len() == 1 && visits.len() == 1,
            "{backend}: {ids:?} {visits:?}"
        );
        // A line a second without a hole, from the first frames to the door.
        let times: Vec<Timestamp> = replay.tracks.iter().map(|t| time(&t["at"])).collect();
        assert!(
            times.windows(2).all(|w| w[1].secs_since(w[0]) < 1.5),
            "{times:?}"
        );
        let first_frame: Timestamp = "2020-01-28T22:24:04.25Z".parse().unwrap();
        assert!(times[0].secs_since(first_frame) < 2.0, "{times:?}");
        let last = *times.last().unwrap();
        assert!(last.secs_since(time(&truth["left_at"])) > -1.0, "{times:?}");
    }
}
