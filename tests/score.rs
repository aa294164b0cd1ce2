//! `basketd score` as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use basketd::clock::Stopwatch;
use serde_json::{Value, json};

const MILK: &str = "02000000010052";
const BREAD: &str = "02000000010038";

fn score(folder: &Path, truth: &[Value], events: &[Value], more: &[&str]) -> Output {
    let write = |name: &str, lines: &[Value]| -> PathBuf {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        std::fs::write(folder.join(name), lines.join("\n")).unwrap();
        folder.join(name)
    };
    let (truth, events) = (write("truth.jsonl", truth), write("events.jsonl", events));
    let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
    command.arg("score").arg("--truth").arg(truth);
    command.arg("--events").arg(events).args(more);
    command.output().unwrap()
}

fn at(s: u32) -> String {
    let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
    format!("2026-03-02T{h:02}:{m:02}:{s:02}.000000Z")
}

fn left(token: Option<&str>, s: u32, items: Value) -> Value {
    json!({"token": token, "left_at": at(s), "items": items})
}

/// The event of a receipt; lines are GTIN and quantity.
fn closed(visit: u32, token: Option<&str>, s: u32, lines: &[(&str, u32)], decision: &str) -> Value {
    let line = |(gtin, quantity): &(&str, u32)| json!({"gtin": gtin, "quantity": quantity});
    let lines: Vec<Value> = lines.iter().map(line).collect();
    let visit = format!("v-{visit:06}");
    json!({
        "type": "basketd.basket.closed",
        "time": at(s + 2),
        "data": {"visit": visit, "token": token, "left_at": at(s), "lines": lines, "decision": decision},
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn wrong_receipts_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let truth = [
        left(Some("q-1"), 10, json!({MILK: 2})),
        left(Some("q-2"), 20, json!({BREAD: 1})),
        left(None, 300, json!({MILK: 1})),
        left(None, 600, json!({BREAD: 1})),
    ];
    let events = [
        closed(1, Some("q-1"), 10, &[(MILK, 1), (BREAD, 1)], "settle"),
        closed(2, Some("q-2"), 20, &[(BREAD, 1)], "settle"),
        closed(3, None, 310, &[], "review"),
        closed(4, Some("q-9"), 900, &[(MILK, 1)], "settle"),
        // Nobody whom the truth knows, and nothing charged: no mistake.
        closed(5, None, 1500, &[], "settle"),
    ];
    let done = score(folder.path(), &truth, &events, &[]);
    assert!(done.status.success(), "{done:?}");
    let said = text(&done.stdout);
    let (_, list) = said.split_once("wrong receipts, 4 in all").unwrap();
    let list: Vec<&str> = list.trim_end().lines().skip(1).collect();
    assert_eq!(
        list,
        [
            "v-000001   q-1  left 2026-03-02T00:00:10.000000Z  settle  wanted 2 x 02000000010052; \
             charged 1 x 02000000010038, 1 x 02000000010052",
            "v-000003   anonymous  left 2026-03-02T00:05:00.000000Z  review  wanted 1 x \
             02000000010052; charged nothing",
            "no receipt anonymous  left 2026-03-02T00:10:00.000000Z  -  wanted 1 x \
             02000000010038; charged nothing",
            "v-000004   q-9  left 2026-03-02T00:15:00.000000Z  settle  wanted nothing; charged 1 x \
             02000000010052",
        ]
    );

    let done = score(folder.path(), &truth, &events, &["--json"]);
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&said["visits"], &said["exact"]), (&json!(4), &json!(1)));
    let wrong = said["wrong"].as_array().unwrap();
    let first = json!({
        "visit": "v-000001", "token": "q-1", "left_at": at(10), "decision": "settle",
        "wanted": {MILK: 2}, "charged": {MILK: 1, BREAD: 1},
    });
    assert_eq!((wrong.len(), &wrong[0]), (4, &first));
    assert_eq!(wrong[2]["visit"], Value::Null);
}

#[test]
fn units_are_summed_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let truth = [left(Some("q-1"), 10, json!({MILK: 1}))];
    let lines = [(MILK, u32::MAX), (MILK, 2)];
    let events = [closed(1, Some("q-1"), 10, &lines, "settle")];
    let done = score(folder.path(), &truth, &events, &["--json"]);
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["charged"], json!(4_294_967_297_u64));
    assert_eq!((&said["exact"], &said["right"]), (&json!(0), &json!(1)));
}

#[test]
fn a_truth_that_measures_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let events = [closed(1, Some("q-1"), 10, &[(MILK, 1)], "settle")];
    let done = score(folder.path(), &[], &events, &[]);
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("truth.jsonl: holds no visit"), "{said}");

    let elsewhere = "probably the truth of another recording";
    let others = [
        left(Some("a-1"), 10, json!({MILK: 1})),
        left(None, 5000, json!({MILK: 1})),
    ];
    for truth in [&others[..], &others[1..]] {
        let done = score(folder.path(), truth, &events, &[]);
        let said = text(&done.stderr);
        assert!(done.status.success() && said.contains(elsewhere), "{said}");
    }
    let own = [left(Some("q-1"), 10, json!({MILK: 2}))];
    let done = score(folder.path(), &own, &events, &[]);
    assert_eq!(text(&done.stderr), "");
}

/// Every pair of these would be 400 million.
#[test]
fn a_great_many_anonymous_visits_are_scored_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let visits = 0..20_000_u32;
    let truth: Vec<Value> = visits
        .clone()
        .map(|i| left(None, 4 * i, json!({MILK: 1})))
        .collect();
    let receipt = |i: u32| closed(i, None, 4 * i + 1, &[(MILK, 1)], "settle");
    let events: Vec<Value> = visits.map(receipt).collect();
    let watch = Stopwatch::start();
    let done = score(folder.path(), &truth, &events, &["--json"]);
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["exact"], json!(20_000));
    let wall_s = watch.nanos() / 1_000_000_000;
    assert!(wall_s < 10, "{wall_s} s");
}
