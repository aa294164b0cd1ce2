//! The journal is what the engine was given: replayed it gives what was published, byte for byte,
//! all files together, each by itself, and after kills.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use basketd::recording::journal;
use support::shop::{Shop, number, shim, wait_for};

fn basketd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_basketd"))
        .args(args)
        .output()
        .unwrap()
}

/// The events that a replay of these files gives, a line each.
fn replayed(shop: &Shop, files: &[PathBuf]) -> Vec<String> {
    let out = shop.path("replayed.jsonl");
    let store = shop.path("store.toml");
    let mut args = vec!["replay"];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    args.extend([
        "--store",
        store.to_str().unwrap(),
        "--events",
        out.to_str().unwrap(),
    ]);
    let done = basketd(&args);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let text = std::fs::read_to_string(out).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn published(shop: &Shop) -> Vec<String> {
    let db = shop.outbox();
    let mut statement = db.prepare("select body from event order by n").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn files(shop: &Shop) -> Vec<PathBuf> {
    let files = journal::files(&shop.path("state/journal")).unwrap();
    files.into_iter().map(|file| file.path).collect()
}

/// Recordings that hold detections or no cameras, and the busy shop: what is live is what is
/// replayed.
#[test]
fn what_was_live_is_what_is_replayed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cases = vec![(
        root.join("tests/recordings/kiosk-one-shopper"),
        root.join("config/kiosk"),
    )];
    let shared = root.join("../shared/recordings");
    for name in [
        "proc-b_scale-floor_nominal",
        "cps-test-10_rfid-floor_nominal",
        "cps-test-2_all_nominal",
    ] {
        let folder = shared.join(name);
        if folder.is_dir() {
            cases.push((folder.clone(), folder));
        } else {
            println!("skipped: no ../shared/recordings/{name}");
        }
    }
    for (recording, store) in cases {
        let shop = Shop::new();
        for entry in std::fs::read_dir(&store).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "toml" || e == "csv") {
                std::fs::copy(
                    &path,
                    shop.path(path.file_name().unwrap().to_str().unwrap()),
                )
                .unwrap();
            }
        }
        let text = std::fs::read_to_string(shop.path("store.toml")).unwrap();
        let text = text
            .replace("[console]\nlisten = \"127.0.0.1:8090\"", "")
            .replace("dir = \"state\"", "");
        let console = format!(
            "\n[console]\nlisten = \"127.0.0.1:{}\"\n",
            shop.console_port
        );
        std::fs::write(shop.path("store.toml"), format!("{text}{console}")).unwrap();
        let state = shop.path("state");
        let store = shop.path("store.toml");
        for repeat in ["2", "1"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
            let recording = recording.join("recording.mcap");
            let done = command
                .args([
                    "run", "--once", "--speed", "max", "--repeat", repeat, "--store",
                ])
                .arg(&store)
                .arg("--play")
                .arg(recording)
                .env("STATE_DIRECTORY", &state)
                .output()
                .unwrap();
            assert!(
                done.status.success(),
                "{}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        let published = published(&shop);
        assert!(published.len() > 5, "{recording:?}");
        let files = files(&shop);
        assert!(files.len() >= 2);
        assert_eq!(replayed(&shop, &files), published, "{recording:?}");
        // The last file by itself gives the end.
        let tail = replayed(&shop, &files[files.len() - 1..]);
        assert!(!tail.is_empty());
        assert_eq!(
            tail[..],
            published[published.len() - tail.len()..],
            "{recording:?}"
        );
        println!(
            "{}: {} events in {} files",
            recording.display(),
            published.len(),
            files.len()
        );
    }
}

#[test]
fn kills_and_tears_change_nothing_of_it() {
    let shop = Shop::new();
    let tape = support::busy::shop(&shop.folder, &shop.settings("", "backend"), 300);
    let tape = tape.to_str().unwrap();
    for round in 1..=3 {
        let mut daemon = shop.daemon(&["--play", tape, "--speed", "max", "--repeat", "1000"]);
        wait_for("events are made", Duration::from_secs(20), || {
            shop.path("state/outbox.db").exists()
                && number(&shop.outbox(), "select max(n) from event") >= Some(400 * round)
        });
        daemon.kill();
    }
    // Recovery appends what the journal has and the outbox had not.
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    assert_eq!(daemon.terminate().0, Some(0), "{}", daemon.told());
    assert_eq!(replayed(&shop, &files(&shop)), published(&shop));
}

#[test]
fn a_recording_of_a_tape_gives_the_tapes_events() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tape = root.join("tests/recordings/kiosk-one-shopper/recording.mcap");
    let tape = tape.to_str().unwrap();
    let store = root.join("config/kiosk/store.toml");
    let store = store.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("recorded.mcap");
    let out = out.to_str().unwrap();
    let record = [
        "record", "--store", store, "--out", out, "--play", tape, "--speed", "max",
    ];
    let done = basketd(&record);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let again = basketd(&record);
    assert_eq!(
        again.status.code(),
        Some(1),
        "an existing file was written over"
    );
    let events = |recording: &str| {
        let events = folder.path().join("events.jsonl");
        let done = basketd(&[
            "replay",
            recording,
            "--store",
            store,
            "--events",
            events.to_str().unwrap(),
        ]);
        assert!(done.status.success());
        // Times and the journal's id differ; what happened does not.
        let mut all = Vec::new();
        for line in std::fs::read_to_string(&events).unwrap().lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let data = &event["data"];
            let of = |key: &str| data[key].to_string();
            all.push([
                event["type"].to_string(),
                of("visit"),
                of("gtin"),
                of("total"),
                of("confidence"),
            ]);
        }
        all
    };
    assert_eq!(events(out), events(tape));
    // A disk that is full is an error that names the file.
    let Some(library) = shim(folder.path()) else {
        return;
    };
    let sick = folder.path().join("sick");
    std::fs::write(&sick, "").unwrap();
    let full = folder.path().join("full.mcap");
    let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
    command
        .args(["record", "--store", store, "--play", tape, "--speed", "max"])
        .arg("--out")
        .arg(&full)
        .env("LD_PRELOAD", library)
        .env("BASKETD_SHIM_FULL", sick);
    let done = command.output().unwrap();
    let text = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(
        text.contains("full.mcap") && text.contains("No space left on device"),
        "{text}"
    );
}
