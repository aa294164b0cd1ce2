//! Replay as a user runs it: the receipts of recordings, equal bytes on every run, whole or in
//! parts with a freeze between, and what bad input does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use basketd::recording::writer::RecordingWriter;
use basketd::recording::{facts, read};

const KIOSK: &str = "tests/recordings/kiosk-one-shopper/recording.mcap";
const KIOSK_STORE: &str = "config/kiosk/store.toml";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn basketd(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
    command
        .current_dir(root())
        .args(args)
        .output()
        .expect("the program starts")
}

/// Replays and gives the events' text.
fn events(recording: &Path, store: &Path, more: &[&str]) -> String {
    let out = tempfile::NamedTempFile::new().unwrap();
    let (r, s, e) = (
        recording.to_str().unwrap(),
        store.to_str().unwrap(),
        out.path().to_str().unwrap(),
    );
    let mut args = vec!["replay", r, "--store", s, "--events", e];
    args.extend(more);
    let done = basketd(&args);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    std::fs::read_to_string(out.path()).unwrap()
}

/// The shared recordings that hold detections or no camera at all, where they are.
fn shared() -> Vec<PathBuf> {
    let folder = root().join("../shared/recordings");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no ../shared");
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    folders.sort();
    let needs_models = |p: &Path| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("bottles") || name == "nanostore-real"
    };
    folders.retain(|p| !needs_models(p));
    folders
}

/// The story file is what its generator makes.
#[test]
fn the_kiosk_recording_is_made_by_its_generator() {
    let path = root().join(KIOSK);
    let made = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(made.path(), support::kiosk::recording()).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::copy(made.path(), &path).unwrap();
    }
    assert_eq!(messages(&path), messages(made.path()));
}

type Flat = (u64, u64, String, Vec<u8>);

fn messages(path: &Path) -> Vec<Flat> {
    let paths = [path.to_owned()];
    let facts = facts(&paths).unwrap();
    let mut all = Vec::new();
    read(&paths, &facts, |m| {
        all.push((
            m.log_time,
            m.publish_time,
            m.channel.topic.clone(),
            m.payload.to_vec(),
        ));
    })
    .unwrap();
    all
}

#[test]
fn the_kiosk_shopper_gets_the_right_receipt() {
    let done = basketd(&["replay", KIOSK, "--store", KIOSK_STORE]);
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success());
    for line in [
        "1 x 02000000010052",
        "1 x 02000000010038",
        "q-7",
        "3.90 EUR",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(
        !text.contains("02000000010083"),
        "the oat bar was put back:\n{text}"
    );
}

#[test]
fn two_runs_give_equal_bytes_and_so_do_two_halves_with_a_freeze_between() {
    let mut cases = vec![(root().join(KIOSK), root().join(KIOSK_STORE))];
    cases.extend(
        shared()
            .iter()
            .map(|f| (f.join("recording.mcap"), f.join("store.toml"))),
    );
    for (recording, store) in cases {
        let once = events(&recording, &store, &[]);
        assert!(once.lines().count() >= 2, "{recording:?} has no events");
        assert_eq!(once, events(&recording, &store, &[]), "{recording:?}");
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = halves(&recording, folder.path());
        let frozen = folder.path().join("frozen");
        let frozen = frozen.to_str().unwrap();
        let before = events(&first, &store, &["--freeze", frozen]);
        let after = events(&second, &store, &["--thaw", frozen]);
        assert_eq!(once, before + &after, "{recording:?} in two halves");
    }
}

/// Writes the first and the second half of a recording's messages.
fn halves(path: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    let paths = [path.to_owned()];
    let facts = facts(&paths).unwrap();
    let names = [folder.join("first.mcap"), folder.join("second.mcap")];
    let mut writers = names
        .clone()
        .map(|n| RecordingWriter::new(File::create(n).unwrap(), &facts.metadata).unwrap());
    let mut n = 0;
    read(&paths, &facts, |m| {
        let writer = &mut writers[usize::from(2 * n >= facts.messages)];
        n += 1;
        let (schema, encoding) = (m.channel.schema.as_str(), m.channel.encoding.as_str());
        let times = (m.log_time, m.publish_time);
        writer
            .raw(
                &m.channel.topic,
                (schema, "jsonschema"),
                encoding,
                times,
                m.payload,
            )
            .unwrap();
    })
    .unwrap();
    for writer in writers {
        writer.finish().unwrap();
    }
    let [first, second] = names;
    (first, second)
}

/// Receipts of the shared recordings: what the naive solver (0.7 on their like) is measured by.
#[test]
fn receipts_of_the_shared_recordings() {
    let folders = shared();
    let (mut items, mut charged, mut right) = (0, 0, 0);
    for folder in &folders {
        let out = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            out.path(),
            events(
                &folder.join("recording.mcap"),
                &folder.join("store.toml"),
                &[],
            ),
        )
        .unwrap();
        let truth = folder.join("truth.jsonl");
        let done = basketd(&[
            "score",
            "--truth",
            truth.to_str().unwrap(),
            "--events",
            out.path().to_str().unwrap(),
            "--json",
        ]);
        let score: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let of = |key: &str| score[key].as_u64().unwrap();
        println!(
            "{:<40} F1 {}",
            folder.file_name().unwrap().to_string_lossy(),
            score["f1"]
        );
        items += of("items");
        charged += of("charged");
        right += of("right");
    }
    if !folders.is_empty() {
        let f1 = 2.0 * right as f64 / (items + charged) as f64;
        println!("micro F1 {f1:.3}");
        assert!(f1 >= MICRO_F1, "micro F1 {f1:.3}");
    }
}

const MICRO_F1: f64 = 0.85;

/// A recording of the kiosk with these messages: seconds, topic, schema, payload.
fn made(messages: &[(f64, &str, &str, &[u8])]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let out = File::create(file.path()).unwrap();
    let mut writer = RecordingWriter::new(out, &BTreeMap::new()).unwrap();
    for (t, topic, schema, payload) in messages {
        let at = 1_772_442_000_000_000_000 + (t * 1e9) as u64;
        writer
            .raw(topic, (schema, "jsonschema"), "json", (at, at), payload)
            .unwrap();
    }
    writer.finish().unwrap();
    file
}

fn replayed(path: &Path) -> (i32, String) {
    let done = basketd(&["replay", path.to_str().unwrap(), "--store", KIOSK_STORE]);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(!text.contains("panicked"), "{text}");
    (done.status.code().unwrap_or(-1), text)
}

#[test]
fn bad_messages_are_counted_and_named() {
    let long = format!("{{\"grams\": 1.0, \"pad\": \"{}\"}}", "x".repeat(10 << 20));
    let year = 365.0 * 86_400.0;
    let frame = |boxes: &str| {
        format!("{{\"width\": 640, \"height\": 360, \"detections\": [{boxes}]}}").into_bytes()
    };
    let nan = frame(r#"{"class": "person", "score": 1e999, "box": [0, 0, 9, 9]}"#);
    let outside = frame(r#"{"class": "person", "score": 0.9, "box": [-90, -90, -9, -9]}"#);
    let cam = "/camera/cam1/detections";
    let (w, d) = ("basketd.Weight", "basketd.Detections");
    let cases: Vec<(&str, Vec<(f64, &str, &str, &[u8])>, &str)> = vec![
        (
            "wrong schema",
            vec![(0.0, "/scale/g1-s1-p1", "other", b"{}")],
            "expected `basketd.Weight`",
        ),
        (
            "unknown camera",
            vec![(0.0, "/camera/cam9/detections", d, b"{}")],
            "no such camera",
        ),
        (
            "10 MB",
            vec![(0.0, "/scale/g1-s1-p1", w, long.as_bytes())],
            "beyond the limit of 4 MiB",
        ),
        (
            "not JSON",
            vec![(0.0, "/scale/g1-s1-p1", w, b"\xff\x00{")],
            "lost       1",
        ),
        (
            "infinite",
            vec![(0.0, "/scale/g1-s1-p1", w, b"{\"grams\": 1e999}")],
            "number out of range",
        ),
        (
            "NaN",
            vec![(0.0, "/scale/g1-s1-p1", w, b"{\"grams\": NaN}")],
            "lost       1",
        ),
        (
            "infinite score",
            vec![(0.0, cam, d, &nan)],
            "number out of range",
        ),
        (
            "box outside",
            vec![(0.0, cam, d, &outside)],
            "outside the image",
        ),
        (
            "unknown antenna",
            vec![(
                0.0,
                "/rfid/r1",
                "basketd.TagRead",
                br#"{"epc": "30AA", "antenna": 9, "rssi_dbm": -50}"#,
            )],
            "antenna 9",
        ),
        (
            "unknown topic",
            vec![(0.0, "/weather", "x", b"{}")],
            "an unknown topic",
        ),
        (
            "a year ahead and back",
            vec![
                (0.0, "/scale/g1-s1-p1", w, b"{\"grams\": 1.0}"),
                (year, "/scale/g1-s1-p1", w, b"{\"grams\": 1.0}"),
                (1.0, "/scale/g1-s1-p1", w, b"{\"grams\": 1.0}"),
            ],
            "log times run back",
        ),
    ];
    for (name, messages, told) in cases {
        let file = made(&messages);
        let (code, text) = replayed(file.path());
        assert_eq!(code, 0, "{name}: {text}");
        assert!(text.contains(told), "{name}: `{told}` is not in\n{text}");
    }
}

#[test]
fn files_that_are_no_recordings_are_refused_by_name() {
    for (content, told) in [
        (&b""[..], "the file is empty"),
        (b"PK\x03\x04 no recording", "not an MCAP file"),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let (code, text) = replayed(file.path());
        assert_eq!(code, 1, "{text}");
        assert!(
            text.contains(told) && text.contains(file.path().to_str().unwrap()),
            "{text}"
        );
    }
    let (code, text) = replayed(Path::new("/nonexistent/recording.mcap"));
    assert!(
        code == 1 && text.contains("/nonexistent/recording.mcap"),
        "{text}"
    );
}

#[test]
fn a_torn_recording_is_read_up_to_the_tear() {
    let bytes = std::fs::read(root().join(KIOSK)).unwrap();
    let whole = messages(&root().join(KIOSK));
    let mut counts = Vec::new();
    for cut in (8..bytes.len()).step_by(bytes.len() / 60) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes[..cut]).unwrap();
        let read = messages(file.path());
        assert_eq!(read[..], whole[..read.len()], "cut at byte {cut}");
        counts.push(read.len());
    }
    assert!(
        counts.windows(2).all(|w| w[0] <= w[1]) && counts.last() > Some(&0),
        "{counts:?}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes[..bytes.len() / 2]).unwrap();
    let (code, text) = replayed(file.path());
    assert!(
        code == 0 && text.contains("cut off or damaged at byte"),
        "{text}"
    );
}

#[test]
fn large_recordings_are_torn_at_every_megabyte() {
    let Some(folder) = shared()
        .into_iter()
        .find(|f| f.ends_with("cps-test-8_scale-floor_nominal"))
    else {
        return;
    };
    let bytes = std::fs::read(folder.join("recording.mcap")).unwrap();
    for cut in (0..bytes.len()).step_by(1 << 20) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes[..cut]).unwrap();
        let store = folder.join("store.toml");
        let done = basketd(&[
            "replay",
            file.path().to_str().unwrap(),
            "--store",
            store.to_str().unwrap(),
        ]);
        let text = String::from_utf8_lossy(&done.stderr);
        assert!(
            !text.contains("panicked") && done.status.code().is_some_and(|c| c <= 1),
            "{text}"
        );
    }
}

#[test]
fn a_frozen_engine_of_another_store_or_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let frozen = folder.path().join("frozen");
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    events(
        &root().join(KIOSK),
        &root().join(KIOSK_STORE),
        &["--freeze", &at(&frozen)],
    );
    let thaw = |store: &str, file: &Path| {
        let done = basketd(&["replay", KIOSK, "--store", store, "--thaw", &at(file)]);
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{text}");
        text
    };
    let other = thaw("config/shop/store.toml", &frozen);
    assert!(
        other.contains("frozen in a store of other sensors"),
        "{other}"
    );
    let bytes = std::fs::read(&frozen).unwrap();
    for place in [30, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 4;
        let file = folder.path().join("damaged");
        std::fs::write(&file, damaged).unwrap();
        let text = thaw(KIOSK_STORE, &file);
        assert!(text.contains("the snapshot is damaged"), "{text}");
    }
}

#[test]
fn outputs_never_overwrite_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("day.mcap");
    std::fs::copy(root().join(KIOSK), &copy).unwrap();
    let copy = copy.to_str().unwrap();
    let done = basketd(&["replay", copy, "--store", KIOSK_STORE, "--events", copy]);
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(
        std::fs::read(copy).unwrap(),
        std::fs::read(root().join(KIOSK)).unwrap()
    );
}
