//! How a receipt came about, as `basketd explain` tells it: a story that a person can read, the
//! same as JSON lines, and no event changed by anybody's asking.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const KIOSK: &str = "tests/recordings/kiosk-one-shopper/recording.mcap";
const KIOSK_STORE: &str = "config/kiosk/store.toml";

fn basketd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_basketd"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(args)
        .output()
        .expect("the program starts")
}

fn said(args: &[&str]) -> String {
    let done = basketd(args);
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {why}");
    String::from_utf8(done.stdout).unwrap()
}

fn refused(args: &[&str]) -> String {
    let done = basketd(args);
    assert_eq!(done.status.code(), Some(1), "{args:?}");
    assert!(done.stdout.is_empty());
    String::from_utf8(done.stderr).unwrap()
}

fn kiosk<'a>(visit: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["explain", KIOSK, "--store", KIOSK_STORE, "--visit", visit];
    args.extend(more);
    args
}

/// A scene's folder, with all sensors.
fn scene(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    said(&[
        "simulate",
        "scene",
        name,
        "--seed",
        "3",
        "--sensors",
        "all",
        "--out",
        out,
    ]);
    folder
}

fn paths(folder: &Path) -> (String, String) {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    (path("recording.mcap"), path("store.toml"))
}

fn lines(text: &str) -> Vec<Value> {
    let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|l| l["kind"] == kind).collect()
}

#[test]
fn the_kiosk_shopper_s_story_reads_like_one() {
    insta::assert_snapshot!(said(&kiosk("v-000001", &[])));
}

#[test]
fn a_token_names_a_visit() {
    assert_eq!(said(&kiosk("q-7", &[])), said(&kiosk("v-000001", &[])));
}

#[test]
fn an_unknown_visit_is_told_which_there_are() {
    let why = refused(&kiosk("v-000002", &[]));
    let zone = "no visit `v-000002`; there are, times in Europe/Berlin\n";
    assert!(why.starts_with(zone), "{why}");
    let visit = "v-000001  2026-03-02 10:00:06.4 to 10:00:30.5 q-7";
    assert!(why.contains(visit), "{why}");
}

/// The same shopper comes again: the recording is played twice, one after the other.
#[test]
fn a_token_of_several_visits_is_not_guessed_at() {
    let twice = |visit| {
        [
            "explain",
            KIOSK,
            KIOSK,
            "--store",
            KIOSK_STORE,
            "--visit",
            visit,
        ]
    };
    let why = refused(&twice("q-7"));
    // The second file begins before the first ends, which is told, too.
    assert!(why.contains("2 visits of the token `q-7`"), "{why}");
    assert!(
        why.contains("v-000001") && why.contains("v-000002"),
        "{why}"
    );
    said(&twice("v-000002"));
}

#[test]
fn json_lines_hold_the_interactions_of_the_text() {
    let folder = scene("two-at-one-shelf");
    let (recording, store) = paths(folder.path());
    for visit in ["v-000001", "v-000002"] {
        for more in [&[][..], &["--all"]] {
            let mut args = vec!["explain", &recording, "--store", &store, "--visit", visit];
            args.extend(more);
            let text = said(&args);
            args.push("--json");
            let lines = lines(&said(&args));
            let interactions = of_kind(&lines, "interaction");
            let heads = text.lines().filter(|l| l.contains("  shelf ")).count();
            assert_eq!(interactions.len(), heads, "{text}");
            assert!(heads > 0, "{text}");
            assert!(lines.iter().all(|l| l["visit"] == visit));
            let times: Vec<&str> = lines.iter().map(|l| l["at"].as_str().unwrap()).collect();
            assert!(times.is_sorted(), "{times:?}");
        }
    }
}

/// One took the one, the other the other: each story tells of both, and how sure who was.
#[test]
fn an_item_that_went_to_another_is_told_of_too() {
    let folder = scene("two-at-one-shelf");
    let (recording, store) = paths(folder.path());
    let args = [
        "explain", &recording, "--store", &store, "--visit", "v-000001", "--json",
    ];
    let lines = lines(&said(&args));
    let acts: Vec<&Value> = of_kind(&lines, "interaction")
        .iter()
        .flat_map(|i| i["acts"].as_array().unwrap())
        .collect();
    let other = acts.iter().find(|a| a["who"][0]["visit"] == "v-000002");
    let other = other.expect("the other's act is told");
    let sum: f64 = other["who"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 0.01, "{other}");
    assert_eq!(of_kind(&lines, "opened").len(), 1);
    assert_eq!(of_kind(&lines, "receipt").len(), 1);
}

/// What an account's parts say for it against the next adds up to what it is told to be worth,
/// also where several people can have done it.
#[test]
fn reasons_add_up() {
    let folder = scene("two-at-one-shelf");
    let (recording, store) = paths(folder.path());
    let two = [
        "explain", &recording, "--store", &store, "--visit", "v-000001", "--json", "--all",
    ];
    let mut told = lines(&said(&kiosk("q-7", &["--json"])));
    told.extend(lines(&said(&two)));
    let mut looked_at = 0;
    for interaction in of_kind(&told, "interaction") {
        let accounts = interaction["accounts"].as_array().unwrap();
        let p = |n: usize| accounts[n]["probability"].as_f64().unwrap();
        if accounts.len() < 2 || p(1) < 0.01 {
            continue;
        }
        let reasons = interaction["reasons"].as_array().unwrap();
        let sum: f64 = reasons.iter().map(|r| r["nats"].as_f64().unwrap()).sum();
        // Terms are rounded to 0.01, probabilities to 0.0001.
        assert!((sum - libm::log(p(0) / p(1))).abs() < 0.08, "{interaction}");
        looked_at += 1;
    }
    assert!(looked_at > 0);
}

/// The causes of a receipt's doubt, taken together, leave what it is sure of.
#[test]
fn doubt_adds_up() {
    let folder = scene("hand-over");
    let (recording, store) = paths(folder.path());
    for visit in ["v-000001", "v-000002"] {
        let args = [
            "explain", &recording, "--store", &store, "--visit", visit, "--json",
        ];
        let lines = lines(&said(&args));
        let receipt = of_kind(&lines, "receipt")[0];
        let doubt = &receipt["doubt"];
        let p = |of: &Value| 1.0 - of.as_f64().unwrap();
        let met = doubt["meetings"].as_array().unwrap().iter();
        let met: f64 = met.map(|m| p(&m["probability"])).product();
        let sure = p(&doubt["items"]) * met * p(&doubt["rest"]);
        let told = receipt["confidence"].as_f64().unwrap();
        assert!((sure - told).abs() < 0.002, "{receipt}");
        let cost = (1.0 - told) * 10.0;
        assert!((cost - receipt["expected_cost"].as_f64().unwrap()).abs() < 0.002);
    }
}

/// A foreign item of equal weight is put where one was taken, which looks like its coming back: the
/// receipt says what it rests on.
#[test]
fn a_receipt_says_where_its_lines_came_from() {
    let folder = scene("swap");
    let (recording, store) = paths(folder.path());
    let args = [
        "explain", &recording, "--store", &store, "--visit", "v-000001", "--json",
    ];
    let lines = lines(&said(&args));
    let receipt = of_kind(&lines, "receipt")[0];
    let charged = receipt["lines"].as_array().unwrap();
    let from = receipt["from"].as_array().unwrap();
    assert!(!charged.is_empty(), "{receipt}");
    assert_eq!(charged.len(), from.len(), "{receipt}");
    for (line, from) in charged.iter().zip(from) {
        let quantity = line["quantity"].as_u64().unwrap();
        assert_eq!(from.as_array().unwrap().len() as u64, quantity, "{receipt}");
    }
    // What is not believed any more is marked where it is told.
    let told = of_kind(&lines, "interaction");
    for overruled in receipt["overruled"].as_array().unwrap() {
        let of = told.iter().find(|i| i["from"] == overruled["at"]).unwrap();
        assert_eq!(of["later"], "overruled", "{of}");
    }
}

#[test]
fn asking_changes_no_event() {
    let folder = scene("hand-over");
    let (recording, store) = paths(folder.path());
    for (recording, store) in [(KIOSK, KIOSK_STORE), (&recording, &store)] {
        let plain = tempfile::NamedTempFile::new().unwrap();
        let asked = tempfile::NamedTempFile::new().unwrap();
        let replay = |events: &Path, more: &[&str]| {
            let events = events.to_str().unwrap();
            let mut args = vec!["replay", recording, "--store", store, "--events", events];
            args.extend(more);
            said(&args);
        };
        replay(plain.path(), &[]);
        let findings = folder.path().join("findings.txt");
        replay(asked.path(), &["--findings", findings.to_str().unwrap()]);
        let found = std::fs::read_to_string(&findings).unwrap();
        assert!(found.contains("Fusion(Decided("), "findings hold reasons");
        let (plain, asked) = (std::fs::read(plain).unwrap(), std::fs::read(asked).unwrap());
        assert!(!plain.is_empty());
        assert!(plain == asked, "{recording}: the events differ");
    }
}
