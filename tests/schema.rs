//! The schemas that programs of others are written by: the copies in `config/schema` are those
//! that the program makes, all that it writes fits them, and no reference leads nowhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use basketd::gs1::Gtin;
use basketd::ids::{ShelfIx, VisitId};
use basketd::observation as asked;
use basketd::store::Store;
use basketd::wire::command;
use basketd::wire::delivery::{Reply, SourceReport, SourceStatus, State, Status, StatusReport};
use basketd::wire::schema::{asyncapi, schemas};
use serde_json::{Value, json};

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

/// All files below a folder, by their path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|e| panic!("{next:?}: {e}")) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// `UPDATE=1 cargo test --test schema` writes the copies.
#[test]
fn the_copies_are_what_the_program_makes() {
    let made = tempfile::tempdir().unwrap();
    let done = basketd(&["schema", "--out", made.path().to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
    let made = files(made.path());
    let copies = root().join("config/schema");
    if std::env::var_os("UPDATE").is_some() {
        fs::remove_dir_all(&copies).ok();
        fs::create_dir_all(copies.join("schemas")).unwrap();
        for (name, text) in &made {
            fs::write(copies.join(name), text).unwrap();
        }
    }
    let copied = files(&copies);
    let names = |all: &BTreeMap<PathBuf, String>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&copied), names(&made));
    for (name, text) in &made {
        assert!(
            copied[name] == *text,
            "{name:?} has changed; UPDATE=1 writes it"
        );
    }
    assert_eq!(made.len(), schemas().len() + 1);
}

#[test]
fn a_schema_is_printed_by_its_name() {
    let done = basketd(&["schema"]);
    let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(printed, asyncapi());
    for (name, schema) in schemas() {
        let done = basketd(&["schema", name]);
        let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(printed, *schema, "{name}");
    }
    let done = basketd(&["schema", "basketd.item.eaten"]);
    let told = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1));
    for name in [
        "basketd.item.eaten",
        "basketd.item.taken",
        "basketd.TagRead",
    ] {
        assert!(told.contains(name), "{told}");
    }
}

/// What of a value does not fit a schema; of JSON Schema no more than ours use, without patterns.
fn misfits(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let mut wrong = |what: &str| found.push(format!("{at}: {value} {what}"));
    let is = |kind: &Value| match kind.as_str().unwrap_or("") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: type {other}"),
    };
    let right = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    if !right {
        wrong("is of another type");
    }
    if schema.get("const").is_some_and(|only| only != value) {
        wrong("is not what stands there always");
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|all| !all.contains(value))
    {
        wrong("is none of those allowed");
    }
    let number = value.as_f64();
    let beyond = |end: &str, than: fn(&f64, &f64) -> bool| {
        let end = schema[end].as_f64();
        number
            .zip(end)
            .is_some_and(|(number, end)| than(&number, &end))
    };
    if beyond("minimum", f64::lt) || beyond("maximum", f64::gt) {
        wrong("is out of range");
    }
    if let Some(fields) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap()) {
                wrong(&format!("lacks {name}"));
            }
        }
        for (name, field) in fields {
            if let Some(schema) = schema["properties"].get(name) {
                misfits(schema, field, &format!("{at}.{name}"), found);
            }
        }
    }
    for item in value.as_array().into_iter().flatten() {
        if let Some(schema) = schema.get("items") {
            misfits(schema, item, &format!("{at}[]"), found);
        }
    }
    for (one, only) in [("oneOf", true), ("anyOf", false)] {
        let Some(each) = schema[one].as_array() else {
            continue;
        };
        let fits = |schema: &&Value| {
            let mut inside = Vec::new();
            misfits(schema, value, at, &mut inside);
            inside.is_empty()
        };
        let fitting = each.iter().filter(fits).count();
        if fitting == 0 || (only && fitting > 1) {
            found.push(format!("{at}: {value} fits {fitting} of {one}"));
        }
    }
}

fn fits(name: &str, value: &Value) {
    let schema = schemas()
        .get(name)
        .unwrap_or_else(|| panic!("no schema {name}"));
    let mut found = Vec::new();
    misfits(schema, value, name, &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

fn fit_not(name: &str, value: &Value) {
    let mut found = Vec::new();
    misfits(&schemas()[name], value, name, &mut found);
    assert!(!found.is_empty(), "{name}: {value} fits");
}

/// Every field of an object stands in the schema, in the same order.
fn told(schema: &Value, value: &Value, at: &str) {
    let names = |value: &Value| -> Vec<String> {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, _)| name.clone()).collect()
    };
    let mut known = names(&schema["properties"]);
    known.retain(|name| value.get(name).is_some());
    assert_eq!(known, names(value), "{at}");
}

#[test]
fn every_event_of_a_replay_fits_its_schema() {
    let mut recordings = vec![(root().join(KIOSK), root().join(KIOSK_STORE))];
    for name in ["cps-test-9_rfid_nominal", "team-8-1_all_clean"] {
        let folder = root().join("../shared/recordings").join(name);
        if folder.is_dir() {
            recordings.push((folder.join("recording.mcap"), folder.join("store.toml")));
        }
    }
    for (recording, store) in recordings {
        let out = tempfile::NamedTempFile::new().unwrap();
        let done = basketd(&[
            "replay",
            recording.to_str().unwrap(),
            "--store",
            store.to_str().unwrap(),
            "--events",
            out.path().to_str().unwrap(),
        ]);
        assert!(done.status.success(), "{done:?}");
        let text = fs::read_to_string(out.path()).unwrap();
        assert!(text.lines().count() >= 3, "{text}");
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let name = event["type"].as_str().unwrap();
            fits(name, &event);
            let schema = &schemas()[name];
            told(schema, &event, name);
            told(&schema["properties"]["data"], &event["data"], name);
        }
    }
}

#[test]
fn what_the_program_writes_besides_events_fits_its_schema() {
    let status = Status {
        state: State::Offline,
        reasons: vec!["disk".to_owned()],
    };
    fits("basketd.Status", &json!(status));
    let source = SourceStatus {
        state: State::Degraded,
        reason: String::new(),
        since: "2026-03-02T09:00:00.000000Z".to_owned(),
    };
    fits("basketd.SourceStatus", &json!(source));
    let report = StatusReport {
        store: "s".to_owned(),
        journal: "j".to_owned(),
        version: "1".to_owned(),
        state: State::Online,
        reasons: Vec::new(),
        last_n: 3,
        confirmed_n: 2,
        open_visits: 1,
        sources: vec![SourceReport {
            source: "rfid/r1".to_owned(),
            state: State::Online,
            reason: String::new(),
        }],
    };
    for reply in [
        Reply::ok(),
        Reply::refused("no".to_owned()),
        Reply::status(report),
    ] {
        fits("basketd.Reply", &json!(reply));
    }
}

fn kiosk() -> Store {
    let folder = root().join("config/kiosk");
    let text = fs::read_to_string(folder.join("store.toml")).unwrap();
    let mut open = |name: &str| fs::read_to_string(folder.join(name)).map_err(|e| e.to_string());
    let read = basketd::store::file::read("store.toml", &text, &mut open);
    read.expect("the kiosk is right").store
}

#[test]
fn every_command_fits_its_schema_and_what_is_refused_does_not() {
    let store = kiosk();
    let gtin: Gtin = "02000000010014".parse().unwrap();
    let (shelf, visit, by) = (ShelfIx(0), VisitId(17), "s-3".to_owned());
    let review = |decision| asked::Command::BasketReview {
        visit,
        decision,
        by: "s-3".to_owned(),
    };
    let commands = [
        asked::Command::RestockBegin {
            shelf,
            by: by.clone(),
        },
        asked::Command::RestockEnd {
            shelf,
            by: by.clone(),
        },
        asked::Command::PriceSet {
            gtin,
            price: 650,
            by: by.clone(),
        },
        asked::Command::StockSet {
            shelf,
            gtin,
            on_hand: 0,
            by: by.clone(),
        },
        asked::Command::VisitClose { visit, by },
        review(asked::Review::Confirm),
        review(asked::Review::Correct(vec![(gtin, 2)])),
        review(asked::Review::Correct(Vec::new())),
        asked::Command::Resend {
            from: 1,
            journal: None,
        },
        asked::Command::Resend {
            from: 9,
            journal: Some("j".to_owned()),
        },
        asked::Command::Status,
    ];
    let mut names = Vec::new();
    for command in &commands {
        let value: Value = serde_json::from_slice(&command::encode(&store, command)).unwrap();
        fits("basketd.Command", &value);
        let name = format!("basketd.cmd.{}", value["command"].as_str().unwrap());
        fits(&name, &value);
        names.push(name);
    }
    let all = schemas()
        .keys()
        .filter(|name| name.starts_with("basketd.cmd."));
    for name in all {
        assert!(
            names.iter().any(|tried| tried == name),
            "{name} is not tried"
        );
    }
    for (name, value) in [
        ("basketd.Command", json!({"command": "visit.open"})),
        ("basketd.Command", json!({"visit": "v-000001"})),
        ("basketd.cmd.restock.begin", json!({"by": "s-3"})),
        (
            "basketd.cmd.price.set",
            json!({"gtin": "02000000010014", "price": null}),
        ),
        (
            "basketd.cmd.stock.set",
            json!({"shelf": "s", "gtin": "02000000010014", "on_hand": -1}),
        ),
        (
            "basketd.cmd.basket.review",
            json!({"visit": "v-1", "decision": "correct"}),
        ),
        (
            "basketd.cmd.basket.review",
            json!({"visit": "v-1", "decision": "settle"}),
        ),
        ("basketd.cmd.resend", json!({"from": 0})),
        ("basketd.Ack", json!({"journal": "j"})),
        (
            "basketd.TagRead",
            json!({"epc": "30AA", "antenna": "1", "rssi_dbm": -50}),
        ),
        (
            "basketd.GateEvent",
            json!({"kind": "admitted", "token": "q", "role": "owner"}),
        ),
        ("basketd.Timer", json!({"wakeup": "Lunch"})),
    ] {
        fit_not(name, &value);
    }
    fits(
        "basketd.GateEvent",
        &json!({"kind": "admitted", "token": "q", "member": null}),
    );
    fits("basketd.Timer", &json!({"wakeup": "Shelf"}));
}

#[test]
fn every_reference_leads_somewhere() {
    let document = asyncapi();
    let mut references = 0;
    follow(&document, &document, &mut references);
    assert!(references > 100, "{references} references");
    for schema in schemas().values() {
        follow(schema, schema, &mut references);
    }
}

fn follow(document: &Value, value: &Value, references: &mut usize) {
    if let Some(target) = value.get("$ref").and_then(Value::as_str) {
        *references += 1;
        let found = target
            .strip_prefix('#')
            .and_then(|path| document.pointer(path));
        assert!(found.is_some(), "{target} leads nowhere");
    }
    for inner in value.as_array().into_iter().flatten() {
        follow(document, inner, references);
    }
    for (_, inner) in value.as_object().into_iter().flatten() {
        follow(document, inner, references);
    }
}

/// Every parameter of an address is described, and every message of an operation is one of its
/// channel's.
#[test]
fn the_document_is_consistent() {
    let document = asyncapi();
    for (name, channel) in document["channels"].as_object().unwrap() {
        let address = channel["address"].as_str().unwrap_or("");
        let levels = address.split('/').filter(|level| level.starts_with('{'));
        let mut asked: Vec<&str> = levels.map(|level| level.trim_matches(['{', '}'])).collect();
        let described = channel["parameters"].as_object().into_iter().flatten();
        let mut described: Vec<&str> = described.map(|(name, _)| name.as_str()).collect();
        asked.sort_unstable();
        described.sort_unstable();
        assert_eq!(asked, described, "{name}");
    }
    for (name, operation) in document["operations"].as_object().unwrap() {
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        for message in operation["messages"].as_array().unwrap() {
            let message = message["$ref"].as_str().unwrap();
            assert!(
                message.starts_with(&format!("{channel}/")),
                "{name}: {message}"
            );
        }
        assert_eq!(operation["bindings"]["mqtt"]["qos"], 1, "{name}");
        let commands = name.starts_with("receiveCommand");
        assert_eq!(operation.get("reply").is_some(), commands, "{name}");
    }
}
