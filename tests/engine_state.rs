//! Stories about the engine's state: commands, stock, reviews, alerts that stand, and one engine
//! after another. Each is played whole and with freezes between, which must give equal events.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and tells where"
)]

use std::path::Path;
use std::sync::Arc;

use basketd::basket::event::{Body, Event};
use basketd::basket::review::KEPT_MAX;
use basketd::basket::succession::PastVisit;
use basketd::engine::snapshot::ThawError;
use basketd::engine::{Engine, Input, Output, Past};
use basketd::gs1::Gtin;
use basketd::ids::{TrackId, VisitId};
use basketd::recording::{facts, read};
use basketd::store::{Store, View};
use basketd::units::{Point, TimeDelta, Timestamp};
use basketd::wire::event::{Origin, encode};
use basketd::wire::message::{Decoded, Route, decode, route};

const JUICE: &str = "02000000010038";
const CRISPS: &str = "02000000010052";
const OAT_BAR: &str = "02000000010083";
const CRISPS_TAG: &str = "30347A120000FB4000000001";

/// Seconds of the kiosk's recording: 2026-03-02T09:00:00Z and on.
fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(1_772_442_000_000_000) + TimeDelta::from_secs(seconds)
}

/// The kiosk, with one piece of its files' text replaced.
fn kiosk(from: &str, to: &str) -> Arc<Store> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kiosk");
    let mut found = false;
    let mut open = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).map_err(|e| e.to_string())?;
        found |= text.contains(from);
        Ok(text.replace(from, to))
    };
    let text = open("store.toml").unwrap();
    let store = basketd::store::file::read("store.toml", &text, &mut open).unwrap();
    assert!(found, "`{from}` is nowhere");
    Arc::new(store.store)
}

fn plain() -> Arc<Store> {
    kiosk("kiosk-1", "kiosk-1")
}

type Step = (Timestamp, Input);

/// What a message of a topic is to the engine.
fn message(store: &Store, seconds: f64, topic: &str, text: &str) -> Step {
    let route = match topic {
        "/command" => Route::Command,
        "/source" => Route::Source,
        "/gap" => Route::Gap,
        "/gate/door" => route(store, topic, "basketd.GateEvent", "json"),
        "/camera/cam1/detections" => route(store, topic, "basketd.Detections", "json"),
        _ => route(store, topic, "basketd.TagRead", "json"),
    };
    match decode(store, &route, at(seconds), text.as_bytes()).unwrap() {
        Decoded::Input(input) => (at(seconds), input),
        other => panic!("{other:?}"),
    }
}

/// The recorded shopper and what is told besides. He comes at 6 s, takes crisps at 12 s and an oat
/// bar at 16 s, which he puts back at 20 s, takes juice at 24 s and leaves at 30.5 s.
fn shopper(store: &Store, more: &[(f64, &str, &str)]) -> Vec<Step> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = [root.join("tests/recordings/kiosk-one-shopper/recording.mcap")];
    let mut steps = Vec::new();
    read(&paths, &facts(&paths).unwrap(), |m| {
        let channel = m.channel;
        let route = route(store, &channel.topic, &channel.schema, &channel.encoding);
        let captured_at = Timestamp::from_nanos(m.publish_time);
        if let Ok(Decoded::Input(input)) = decode(store, &route, captured_at, m.payload) {
            steps.push((Timestamp::from_nanos(m.log_time), input));
        }
    })
    .unwrap();
    steps.extend(told(store, more));
    steps.sort_by_key(|(at, _)| *at);
    steps
}

fn told(store: &Store, more: &[(f64, &str, &str)]) -> Vec<Step> {
    let step = |(s, topic, text): &(f64, &str, &str)| message(store, *s, topic, text);
    more.iter().map(step).collect()
}

fn drain(engine: &mut Engine, events: &mut Vec<Event>) {
    while let Some(output) = engine.poll_output() {
        if let Output::Event(event) = output {
            events.push(event);
        }
    }
}

/// Fires what the engine asks for up to an instant.
fn wake(engine: &mut Engine, until: Timestamp, events: &mut Vec<Event>) {
    while let Some((due, why)) = engine.poll_timeout().filter(|(due, _)| *due <= until) {
        engine.handle(due, Input::Timeout(why));
        drain(engine, events);
    }
}

fn frozen_and_thawed(engine: Engine) -> Engine {
    let store = Arc::new(engine.store().clone());
    Engine::thaw(store, &engine.freeze()).unwrap()
}

/// Plays steps and waits for three minutes; frozen and thawed before every `freezes`th step.
fn play(engine: Engine, steps: &[Step], freezes: Option<usize>) -> (Engine, Vec<Event>) {
    let (mut engine, mut events) = (engine, Vec::new());
    for (i, (at, input)) in steps.iter().enumerate() {
        wake(&mut engine, *at, &mut events);
        if freezes.is_some_and(|n| i % n == 0) {
            engine = frozen_and_thawed(engine);
        }
        engine.handle(*at, input.clone());
        drain(&mut engine, &mut events);
    }
    let end = engine.now().unwrap() + TimeDelta::from_secs(180.0);
    wake(&mut engine, end, &mut events);
    (engine, events)
}

/// Plays a story whole and in parts; its events.
fn story(engine: &Engine, steps: &[Step]) -> (Engine, Vec<Event>) {
    let (whole, events) = play(engine.clone(), steps, None);
    let often = if steps.len() > 100 { 29 } else { 1 };
    let (parts, again) = play(engine.clone(), steps, Some(often));
    assert_eq!(events, again, "with freezes between");
    assert_eq!(whole.freeze(), parts.freeze());
    let holes = events.windows(2).filter(|w| w[1].n != w[0].n + 1);
    assert_eq!(holes.count(), 0);
    (whole, events)
}

/// An event in a few words.
fn words(store: &Store, event: &Event) -> String {
    let origin = Origin {
        store: "s".to_owned(),
        journal: "j".to_owned(),
    };
    let json: serde_json::Value = serde_json::from_str(&encode(store, &origin, event)).unwrap();
    let (kind, data) = (json["type"].as_str().unwrap(), &json["data"]);
    let kind = kind.strip_prefix("basketd.").unwrap();
    let text = |key: &str| data[key].as_str().unwrap_or("null").to_owned();
    let product = || match text("gtin").as_str() {
        JUICE => "juice".to_owned(),
        CRISPS => "crisps".to_owned(),
        OAT_BAR => "oat bar".to_owned(),
        other => other.to_owned(),
    };
    let receipt = || {
        let lines = data["lines"].as_array().unwrap().iter();
        let line =
            |l: &serde_json::Value| format!("{} x {}", l["quantity"], l["name"].as_str().unwrap());
        let lines: Vec<String> = lines.map(line).collect();
        let (total, decision) = (text("total"), text("decision"));
        format!("[{}] {total} {decision}", lines.join(", "))
    };
    match kind {
        "stock.changed" => format!(
            "{kind} {} {} {}",
            product(),
            data["on_hand"],
            text("reason")
        ),
        "stock.low" => format!("{kind} {} {}", product(), data["on_hand"]),
        "visit.opened" => format!("{kind} {}", text("visit")),
        "item.taken" | "item.returned" => format!("{kind} {}", product()),
        "basket.closed" => {
            let sequence = &json["sequence"];
            format!(
                "{kind} {} #{sequence} {} {}",
                text("visit"),
                receipt(),
                data["reasons"]
            )
        }
        "basket.adjusted" => {
            let sequence = &json["sequence"];
            format!(
                "{kind} {} #{sequence} {} {}",
                text("visit"),
                receipt(),
                text("reason")
            )
        }
        "alert.raised" | "alert.cleared" => {
            format!(
                "{kind} {} {} {}",
                text("kind"),
                text("severity"),
                text("about")
            )
        }
        other => other.to_owned(),
    }
}

fn all_words(store: &Store, events: &[Event]) -> Vec<String> {
    events.iter().map(|e| words(store, e)).collect()
}

/// The events of some kinds, in words.
fn only(store: &Store, events: &[Event], kinds: &[&str]) -> Vec<String> {
    let all = all_words(store, events).into_iter();
    let of_kind = |w: &String| kinds.iter().any(|kind| w.starts_with(kind));
    all.filter(of_kind).collect()
}

fn counted(shelf: &str, gtin: &str, on_hand: u32) -> String {
    format!(
        r#"{{"command": "stock.set", "shelf": "{shelf}", "gtin": "{gtin}", "on_hand": {on_hand}, "by": "s-3"}}"#
    )
}

const ADMITTED: &str = r#"{"kind": "admitted", "token": "q-9"}"#;

#[test]
fn stock_is_known_once_it_is_counted_and_follows_the_shopper() {
    let store = plain();
    let (bars, crisps) = (counted("g1-s3", OAT_BAR, 5), counted("g1-s2", CRISPS, 3));
    let (many, few) = (counted("g1-s2", CRISPS, 9), counted("g1-s2", CRISPS, 1));
    let steps = shopper(
        &store,
        &[
            (1.0, "/command", &bars),
            (1.0, "/command", &crisps),
            (40.0, "/command", &many),
            (41.0, "/command", &few),
            (42.0, "/command", &few),
        ],
    );
    let (_, events) = story(&Engine::new(Arc::clone(&store)), &steps);
    assert_eq!(
        only(&store, &events, &["stock"]),
        [
            "stock.changed oat bar 5 counted",
            "stock.changed crisps 3 counted",
            "stock.changed crisps 2 taken",
            "stock.low crisps 2",
            "stock.changed oat bar 4 taken",
            "stock.changed oat bar 5 returned",
            "stock.changed crisps 9 counted",
            "stock.changed crisps 1 counted",
            "stock.low crisps 1",
            "stock.changed crisps 1 counted",
        ]
    );
    let Body::StockChanged(first) = &events[0].body else {
        panic!("{events:?}")
    };
    assert_eq!(first.capacity, Some(20));
}

#[test]
fn staff_who_fill_a_shelf_change_stock_and_no_receipt() {
    let store = plain();
    let crisps = counted("g1-s2", CRISPS, 3);
    let none = counted("g1-s1", JUICE, 0);
    let steps = shopper(
        &store,
        &[
            (1.0, "/command", &crisps),
            (1.0, "/command", &none),
            (
                2.0,
                "/command",
                r#"{"command": "restock.begin", "shelf": "g1-s2", "by": "s-3"}"#,
            ),
            (
                15.0,
                "/command",
                r#"{"command": "restock.end", "shelf": "g1-s2", "by": "s-3"}"#,
            ),
        ],
    );
    let (engine, events) = story(&Engine::new(Arc::clone(&store)), &steps);
    // Nothing falls below zero: the juice was taken from a shelf that should have been empty.
    assert_eq!(
        only(&store, &events, &["stock", "basket"]),
        [
            "stock.changed crisps 3 counted",
            "stock.changed juice 0 counted",
            "stock.low juice 0",
            "stock.changed crisps 2 restocked",
            "stock.low crisps 2",
            "basket.closed v-000001 #5 [1 x Orange Juice 0.25 l] 2.10 settle []",
        ]
    );
    let (_, end) = message(
        &store,
        50.0,
        "/command",
        r#"{"command": "restock.end", "shelf": "g1-s2"}"#,
    );
    assert_eq!(
        refusal(&engine, &end).as_deref(),
        Some("nobody is restocking shelf g1-s2")
    );
}

fn refusal(engine: &Engine, input: &Input) -> Option<String> {
    match input {
        Input::Command(command) => engine.refuses(command),
        other => panic!("{other:?} is no command"),
    }
}

fn review(visit: &str, decision: &str) -> String {
    format!(
        r#"{{"command": "basket.review", "visit": "{visit}", "decision": {decision}, "by": "s-3"}}"#
    )
}

#[test]
fn a_basket_is_reviewed_hours_later() {
    let store = plain();
    let confirm = review("v-000001", r#""confirm""#);
    let correct = review(
        "v-000001",
        &format!(
            r#""correct", "lines": [{{"gtin": "{OAT_BAR}", "quantity": 2}}, {{"gtin": "{CRISPS}", "quantity": 1}}]"#
        ),
    );
    let dearer =
        format!(r#"{{"command": "price.set", "gtin": "{CRISPS}", "price": "9.00", "by": "s-1"}}"#);
    let hour = 3600.0;
    let steps = shopper(
        &store,
        &[
            (31.0, "/command", &confirm),
            (2.0 * hour, "/command", &confirm),
            (3.0 * hour, "/command", &dearer),
            (4.0 * hour, "/command", &correct),
            (4.1 * hour, "/command", &review("v-000007", r#""confirm""#)),
            // Somebody else closes a basket days later: the first is forgotten.
            (80.0 * hour, "/gate/door", ADMITTED),
            (
                80.1 * hour,
                "/command",
                r#"{"command": "visit.close", "visit": "v-000002", "by": "s-3"}"#,
            ),
            (81.0 * hour, "/command", &confirm),
        ],
    );
    let (_, events) = story(&Engine::new(Arc::clone(&store)), &steps);
    let both = "[1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g] 3.90 settle";
    // What was charged keeps its price.
    assert_eq!(
        only(&store, &events, &["basket"]),
        [
            format!("basket.closed v-000001 #6 {both} []"),
            format!("basket.adjusted v-000001 #7 {both} review"),
            "basket.adjusted v-000001 #8 [1 x Salted Crisps 90 g, 2 x Oat Bar] 4.00 settle review"
                .to_owned(),
            "basket.closed v-000002 #2 [] 0.00 settle []".to_owned(),
        ]
    );
}

#[test]
fn what_a_person_says_is_not_changed_by_a_late_tag() {
    let store = plain();
    // The crisps' tag is heard by the shelf above, again and again, after the shopper has left.
    let read = format!(r#"{{"epc": "{CRISPS_TAG}", "antenna": 2, "rssi_dbm": -70}}"#);
    let heard = (0..8).map(|i| (36.0 + 0.2 * f64::from(i), "/rfid/r1", read.as_str()));
    let mut more: Vec<_> = heard.collect();
    let late = |more: &[(f64, &str, &str)]| {
        let (_, events) = story(&Engine::new(Arc::clone(&store)), &shopper(&store, more));
        only(&store, &events, &["basket.adjusted"])
    };
    let told = late(&more);
    assert!(
        told.iter().any(|w| w.ends_with("late-evidence")),
        "{told:?}"
    );
    let confirm = review("v-000001", r#""confirm""#);
    more.push((35.0, "/command", &confirm));
    assert_eq!(
        late(&more),
        [
            "basket.adjusted v-000001 #7 [1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g] 3.90 \
             settle review"
        ]
    );
}

#[test]
fn commands_that_cannot_be_done_are_refused() {
    let store = plain();
    let mut engine = Engine::new(Arc::clone(&store));
    let refused = |engine: &Engine, text: &str| {
        let (_, input) = message(&store, 50.0, "/command", text);
        refusal(engine, &input).unwrap_or_default()
    };
    let close = r#"{"command": "visit.close", "visit": "v-000001"}"#;
    let confirm = review("v-000001", r#""confirm""#);
    assert_eq!(refused(&engine, close), "no visit v-000001 is open");
    assert!(refused(&engine, &confirm).starts_with("no basket of visit v-000001"));
    for text in [
        r#"{"command": "status"}"#,
        r#"{"command": "resend", "from": 7}"#,
        r#"{"command": "restock.begin", "shelf": "g1-s1"}"#,
    ] {
        assert_eq!(refused(&engine, text), "");
        let (at, input) = message(&store, 1.0, "/command", text);
        engine.handle(at, input);
        assert_eq!(engine.poll_output(), None);
    }
    let end = r#"{"command": "restock.end", "shelf": "g1-s1"}"#;
    assert_eq!(refused(&engine, end), "");
    let mut events = Vec::new();
    let (at_gate, input) = message(&store, 2.0, "/gate/door", ADMITTED);
    engine.handle(at_gate, input);
    assert_eq!(
        (engine.open_visits(), refused(&engine, close)),
        (1, String::new())
    );
    assert!(refused(&engine, &confirm).contains("is not closed yet"));
    let (at_close, input) = message(&store, 3.0, "/command", close);
    engine.handle(at_close, input);
    assert!(refused(&engine, close).starts_with("visit v-000001 has left already"));
    wake(&mut engine, at(20.0), &mut events);
    assert_eq!(
        (engine.open_visits(), refused(&engine, &confirm)),
        (0, String::new())
    );
    assert_eq!((engine.numbers(), engine.now()), ((3, 2), Some(at(7.0))));
    let staff = r#"{"kind": "admitted", "token": "s-1", "role": "staff"}"#;
    let (at_gate, input) = message(&store, 21.0, "/gate/door", staff);
    engine.handle(at_gate, input);
    let of_staff = review("v-000002", r#""confirm""#);
    assert!(refused(&engine, &of_staff).contains("is staff's"));
}

#[test]
fn a_visit_that_was_open_while_the_box_was_away_is_reviewed() {
    let store = plain();
    let away = |lost: u32| format!(r#"{{"source": "box", "lost": {lost}, "reason": "restart"}}"#);
    let camera = r#"{"source": "camera/cam1", "lost": 3, "reason": "slow"}"#;
    for (lost, decision) in [(5000, r#"review ["sensors-away"]"#), (1500, "settle []")] {
        let steps = shopper(
            &store,
            &[(14.0, "/gap", camera), (14.5, "/gap", &away(lost))],
        );
        let (_, events) = story(&Engine::new(Arc::clone(&store)), &steps);
        let closed = "basket.closed v-000001 #6 [1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g]";
        assert_eq!(
            only(&store, &events, &["alert", "basket"]),
            [
                "alert.raised box-away warning restart".to_owned(),
                format!("{closed} 3.90 {decision}"),
            ]
        );
    }
}

#[test]
fn a_visit_of_which_a_sensor_lost_much_is_reviewed_and_a_few_lost_messages_are_nothing() {
    let store = plain();
    let (much, few) = (
        r#"{"source": "scale/g1-s1-p1", "lost": 40, "reason": "slow"}"#,
        r#"{"source": "rfid/r1", "lost": 4, "reason": "slow"}"#,
    );
    for (seconds, text, decision) in [
        (7.0, much, r#"review ["sensors-away"]"#),
        (7.0, few, "settle []"),
        // Before he came.
        (1.0, much, "settle []"),
    ] {
        let steps = shopper(&store, &[(seconds, "/gap", text)]);
        let (_, events) = story(&Engine::new(Arc::clone(&store)), &steps);
        let closed = only(&store, &events, &["basket"]);
        assert!(closed[0].ends_with(decision), "{text}: {closed:?}");
    }
}

fn state(source: &str, state: &str) -> String {
    format!(r#"{{"source": "{source}", "state": "{state}", "reason": "r"}}"#)
}

#[test]
fn a_visit_that_a_missing_sensor_could_have_had_a_say_in_is_reviewed() {
    let store = plain();
    let on_scale = "scale/g1-s1-p1";
    let (off, on) = (state(on_scale, "offline"), state(on_scale, "online"));
    let (dark, gate_off) = (state("rfid/r1", "offline"), state("gate/door", "offline"));
    for (more, decision) in [
        // Away and back within the visit; for too short a time; away for good; a gate.
        (vec![(7.0, &off), (10.0, &on)], r#"review ["sensors-away"]"#),
        (vec![(7.0, &off), (8.5, &on)], "settle []"),
        (vec![(26.0, &dark)], r#"review ["sensors-away"]"#),
        (vec![(26.0, &gate_off)], "settle []"),
        // Away before he came.
        (vec![(1.0, &off), (4.0, &on)], "settle []"),
    ] {
        let more: Vec<(f64, &str, &str)> = more
            .iter()
            .map(|(s, text)| (*s, "/source", text.as_str()))
            .collect();
        let steps = shopper(&store, &more);
        let (_, events) = story(&Engine::new(Arc::clone(&store)), &steps);
        let closed = only(&store, &events, &["basket"]);
        assert!(closed[0].ends_with(decision), "{more:?}: {closed:?}");
    }
}

#[test]
fn an_alert_stands_until_its_cause_is_gone() {
    let store = plain();
    let steps: Vec<String> = [
        "online", "offline", "offline", "degraded", "degraded", "online", "online",
    ]
    .map(|s| state("rfid/r1", s))
    .to_vec();
    let other = state("camera/cam1", "offline");
    let mut more: Vec<(f64, &str, &str)> = Vec::new();
    for (i, text) in steps.iter().enumerate() {
        more.push((i as f64, "/source", text));
    }
    more.push((4.5, "/source", &other));
    more.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (_, events) = story(&Engine::new(Arc::clone(&store)), &told(&store, &more));
    assert_eq!(
        all_words(&store, &events),
        [
            "alert.raised source-offline error rfid/r1",
            "alert.cleared source-offline error rfid/r1",
            "alert.raised source-degraded warning rfid/r1",
            "alert.raised source-offline error camera/cam1",
            "alert.cleared source-degraded warning rfid/r1",
        ]
    );
}

#[test]
fn a_full_disk_admits_nobody_and_serves_who_is_inside() {
    let store = plain();
    let [low, full, well] = ["degraded", "offline", "online"].map(|s| state("box/disk", s));
    let more = [
        (8.0, "/source", low.as_str()),
        (10.0, "/source", &full),
        (20.0, "/gate/door", ADMITTED),
        (40.0, "/source", &well),
        (41.0, "/gate/door", ADMITTED),
    ];
    let (_, events) = story(&Engine::new(Arc::clone(&store)), &shopper(&store, &more));
    assert_eq!(
        only(
            &store,
            &events,
            &["alert", "basket.closed v-000001", "visit"]
        ),
        [
            "visit.opened v-000001",
            "alert.raised disk-low error box/disk",
            "alert.raised not-admitted error door",
            "basket.closed v-000001 #6 [1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g] 3.90 \
             settle []",
            "alert.cleared disk-low error box/disk",
            "visit.opened v-000002",
        ]
    );
}

#[test]
fn who_walks_in_while_the_disk_is_full_is_told_of() {
    let store = plain();
    let full = state("box/disk", "offline");
    let steps = shopper(&store, &[(1.0, "/source", &full)]);
    let (engine, events) = story(&Engine::new(Arc::clone(&store)), &steps);
    assert_eq!(
        only(&store, &events, &["alert", "basket", "visit"]),
        [
            "alert.raised disk-low error box/disk",
            "alert.raised not-admitted error door",
            "alert.raised unadmitted-entry error door",
        ]
    );
    assert_eq!(engine.open_visits(), 0);
}

#[test]
fn a_changed_store_file_counts_from_now_on() {
    let store = plain();
    let dearer = kiosk("Oat Bar,1.10,43", "Oat Slice,1.30,43");
    let steps = shopper(&store, &[]);
    let (before, after): (Vec<_>, Vec<_>) = steps.into_iter().partition(|(t, _)| *t < at(15.0));
    let mut engine = Engine::new(Arc::clone(&store));
    let mut events = Vec::new();
    for (t, input) in before {
        wake(&mut engine, t, &mut events);
        engine.handle(t, input);
        drain(&mut engine, &mut events);
    }
    let frozen = engine.freeze();
    engine.reload(Arc::clone(&dearer)).unwrap();
    let thawed = Engine::thaw(Arc::clone(&dearer), &frozen).unwrap();
    let (_, events) = story(&engine, &after);
    assert_eq!(events, play(thawed, &after, None).1);
    let prices = events.iter().filter_map(|e| match &e.body {
        Body::Item(item) if item.gtin.to_string() == OAT_BAR => Some(item.unit_price),
        _ => None,
    });
    assert_eq!(prices.collect::<Vec<_>>(), [130, 130]);
    // Other sensors, doors, places or money are another layout.
    for (from, to) in [
        ("id = \"cam1\"", "id = \"cam9\""),
        ("[[0.0, 0.0], [1.4, 0.0]", "[[0.0, 0.0], [1.5, 0.0]"),
        ("port = 2, shelf = \"g1-s3\"", "port = 2, shelf = \"g1-s1\""),
        ("image = [82, 341]", "image = [81, 341]"),
        ("reach = 0.9", "reach = 0.8"),
        ("currency = \"EUR\"", "currency = \"USD\""),
    ] {
        let other = kiosk(from, to);
        let frozen = engine.freeze();
        let refused = engine.reload(Arc::clone(&other));
        assert!(matches!(refused, Err(ThawError::Layout { .. })), "{from}");
        assert_eq!(engine.freeze(), frozen);
        assert!(Engine::thaw(other, &frozen).is_err(), "{from}");
    }
}

#[test]
fn a_store_file_with_other_sensors_takes_over() {
    let store = plain();
    // A camera of another name, and another shelf below all others: every index is another.
    let lower =
        "[[gondola.shelf]]\nid = \"g1-s0\"\nfacings = []\n[[gondola.shelf]]\nid = \"g1-s1\"";
    let text = "[[gondola.shelf]]\nid = \"g1-s1\"";
    let other = kiosk(text, lower);
    let renamed = kiosk("id = \"cam1\"", "id = \"cam9\"");
    let dearer =
        format!(r#"{{"command": "price.set", "gtin": "{JUICE}", "price": "2.50", "by": "s-1"}}"#);
    let crisps = counted("g1-s2", CRISPS, 3);
    let offline = state("camera/cam1", "offline");
    let steps = shopper(
        &store,
        &[
            (1.0, "/command", &crisps),
            (1.0, "/command", &dearer),
            (1.0, "/source", &offline),
            (
                2.0,
                "/command",
                r#"{"command": "restock.begin", "shelf": "g1-s3"}"#,
            ),
        ],
    );
    let mut engine = Engine::new(Arc::clone(&store));
    let mut events = Vec::new();
    for (t, input) in steps.into_iter().filter(|(t, _)| *t < at(27.0)) {
        wake(&mut engine, t, &mut events);
        engine.handle(t, input);
        drain(&mut engine, &mut events);
    }
    let (next_n, _) = engine.numbers();
    let (_, events) = engine.clone().hand_over(at(27.0), renamed);
    assert_eq!(
        all_words(&store, &events).last().map(String::as_str),
        Some("alert.cleared source-offline error camera/cam1")
    );
    let again = frozen_and_thawed(engine.clone()).hand_over(at(27.0), Arc::clone(&other));
    let (next, events) = engine.hand_over(at(27.0), Arc::clone(&other));
    assert_eq!((next.freeze(), &events), (again.0.freeze(), &again.1));
    assert_eq!(
        all_words(&store, &events),
        [
            "basket.closed v-000001 #4 [1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g] 4.30 \
             review [\"sensors-away\",\"store-changed\"]"
        ]
    );
    assert_eq!(events[0].n, next_n);
    assert_eq!(next.numbers(), (next_n + 1, 2));
    assert_eq!((next.now(), next.open_visits()), (Some(at(27.0)), 0));
    // The new engine knows the old visit's basket, the stock, the price and who restocks.
    let more = [
        (100.0, "/gate/door", ADMITTED),
        (101.0, "/command", &review("v-000001", r#""confirm""#)),
        (
            102.0,
            "/command",
            &review(
                "v-000001",
                &format!(r#""correct", "lines": [{{"gtin": "{JUICE}", "quantity": 3}}]"#),
            ),
        ),
        (103.0, "/command", &counted("g1-s1", JUICE, 3)),
        (
            104.0,
            "/command",
            r#"{"command": "restock.end", "shelf": "g1-s3"}"#,
        ),
        (105.0, "/source", &state("camera/cam1", "online")),
    ];
    let steps = told(&other, &more);
    assert_eq!(refusal(&next, &steps[4].1), None);
    let (_, events) = story(&next, &steps);
    assert_eq!(events[0].n, next_n + 1);
    assert_eq!(
        all_words(&other, &events)[..5],
        [
            "visit.opened v-000002",
            "basket.adjusted v-000001 #5 [1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g] 4.30 \
             settle review",
            "basket.adjusted v-000001 #6 [3 x Orange Juice 0.25 l] 7.50 settle review",
            "stock.changed juice 3 counted",
            "alert.cleared source-offline error camera/cam1",
        ]
    );
    // The crisps' stock went on: the next shopper takes the last but one.
    let mut later = shopper(&other, &[]);
    let hence = TimeDelta::from_secs(600.0);
    for (t, input) in &mut later {
        *t += hence;
        if let Input::Observation(observation) = input {
            observation.captured_at += hence;
        }
    }
    let (_, events) = story(&next, &later);
    assert_eq!(
        only(&other, &events, &["stock"]),
        ["stock.changed crisps 1 taken"]
    );
}

#[test]
fn in_another_currency_no_amount_of_before_means_anything() {
    let store = plain();
    let (engine, _) = play(Engine::new(Arc::clone(&store)), &shopper(&store, &[]), None);
    let dollars = kiosk("currency = \"EUR\"", "currency = \"USD\"");
    let (next, events) = engine.hand_over(at(300.0), Arc::clone(&dollars));
    assert_eq!(events, []);
    let confirm = message(
        &store,
        301.0,
        "/command",
        &review("v-000001", r#""confirm""#),
    );
    assert!(refusal(&next, &confirm.1).is_some());
}

fn past(visit: u64, sequence: u64, lines: &[(&str, i64, u64)]) -> PastVisit {
    let line = |(gtin, quantity, price): &(&str, i64, u64)| {
        let gtin: Gtin = gtin.parse().unwrap();
        (gtin, *quantity, *price)
    };
    PastVisit {
        visit: VisitId(visit),
        token: Some(format!("q-{visit}")),
        member: None,
        entered_at: at(0.0),
        sequence,
        lines: lines.iter().map(line).collect(),
    }
}

#[test]
fn visits_of_a_lost_state_are_closed_by_what_was_published() {
    let store = plain();
    let lines = [(CRISPS, 2, 180), (OAT_BAR, 0, 110), (JUICE, -1, 210)];
    let open = vec![past(19, 1, &[]), past(17, 4, &lines)];
    let before = Past {
        next_n: 1043,
        next_visit: 18,
        open,
    };
    let mut engine = Engine::resume(Arc::clone(&store), before);
    assert_eq!(engine.numbers(), (1043, 20));
    engine = frozen_and_thawed(engine);
    let mut events = Vec::new();
    engine.close_past(at(5.0));
    drain(&mut engine, &mut events);
    engine.close_past(at(6.0));
    drain(&mut engine, &mut events);
    assert_eq!(
        all_words(&store, &events),
        [
            "basket.closed v-000017 #5 [2 x Salted Crisps 90 g] 3.60 review [\"state-lost\"]",
            "basket.closed v-000019 #2 [] 0.00 review [\"state-lost\"]",
        ]
    );
    let Body::BasketClosed(closed) = &events[0].body else {
        panic!("{events:?}")
    };
    assert_eq!(
        (closed.left_at, closed.token.as_deref()),
        (at(5.0), Some("q-17"))
    );
    assert_eq!(events[0].n, 1043);
    let more = [
        (7.0, "/command", review("v-000017", r#""confirm""#)),
        (8.0, "/gate/door", ADMITTED.to_owned()),
    ];
    let more: Vec<_> = more.iter().map(|(s, t, x)| (*s, *t, x.as_str())).collect();
    let (_, events) = story(&engine, &told(&store, &more));
    assert_eq!(
        only(&store, &events, &["basket.adjusted", "visit"]),
        [
            "basket.adjusted v-000017 #6 [2 x Salted Crisps 90 g] 3.60 settle review",
            "visit.opened v-000020",
        ]
    );
}

#[test]
fn only_so_many_baskets_are_kept() {
    let store = plain();
    let lines: Vec<(&str, i64, u64)> = vec![(CRISPS, 2, 180); 6];
    let open = (1..=KEPT_MAX as u64 + 3)
        .map(|v| past(v, 1, &lines))
        .collect();
    let before = Past {
        open,
        ..Past::default()
    };
    let mut engine = Engine::resume(Arc::clone(&store), before);
    engine.close_past(at(5.0));
    while engine.poll_output().is_some() {}
    let kept = |visit: u64| {
        let text = review(&VisitId(visit).to_string(), r#""confirm""#);
        refusal(&engine, &message(&store, 6.0, "/command", &text).1).is_none()
    };
    assert_eq!(
        [1, 3, 4, KEPT_MAX as u64 + 3].map(kept),
        [false, false, true, true]
    );
    let size = engine.freeze().len();
    assert!(size < 4_000_000, "{size} bytes");
}

#[test]
fn who_has_left_stands_nowhere() {
    let store = plain();
    let steps = shopper(&store, &[]);
    let inside: Vec<Step> = steps
        .iter()
        .filter(|(t, _)| *t < at(25.0))
        .cloned()
        .collect();
    let mut engine = Engine::new(Arc::clone(&store));
    let mut events = Vec::new();
    for (t, input) in inside {
        wake(&mut engine, t, &mut events);
        engine.handle(t, input);
        drain(&mut engine, &mut events);
    }
    let track = engine.tracking().tracks()[0];
    assert!(engine.tracking().ended(track).is_none());
    let mut engine = Engine::new(Arc::clone(&store));
    for (t, input) in steps {
        wake(&mut engine, t, &mut events);
        engine.handle(t, input);
        drain(&mut engine, &mut events);
    }
    let tracking = engine.tracking();
    let last = tracking.ended(track).unwrap();
    assert!(last.at > at(29.0) && last.at < at(32.0), "{last:?}");
    assert!(tracking.fix_at(track, last.at).is_some());
    // Reads at the gate ten seconds later are no longer his.
    let later = last.at + TimeDelta::from_secs(10.0);
    assert_eq!(tracking.fix_at(track, later), None);
}

/// Somebody's way through the kiosk: seconds and metres.
type Way = [(f64, f64, f64)];

/// What the kiosk's camera sees of people, ten frames a second until 20 s.
fn walks(store: &Store, ways: &[&Way]) -> Vec<Step> {
    let View::Floor { floor_from_image } = &store.cameras[0].view else {
        panic!("a floor camera")
    };
    let image_from_floor = floor_from_image.inverse().unwrap();
    let place = |way: &Way, t: f64| {
        let next = way.iter().position(|(until, _, _)| *until > t)?;
        let (a, b) = (way[next.checked_sub(1)?], way[next]);
        let part = (t - a.0) / (b.0 - a.0);
        let foot = Point::new(a.1 + (b.1 - a.1) * part, a.2 + (b.2 - a.2) * part);
        let foot = image_from_floor.map(foot)?;
        let (tall, half) = (60.0 + 0.35 * foot.y, 10.0 + 0.06 * foot.y);
        let edges = [foot.x - half, foot.y - tall, foot.x + half, foot.y];
        Some(format!(
            r#"{{"class": "person", "score": 0.9, "box": {edges:?}}}"#
        ))
    };
    let frame = |tick: u32| {
        let t = f64::from(tick) / 10.0;
        let seen: Vec<String> = ways.iter().filter_map(|way| place(way, t)).collect();
        let seen = seen.join(", ");
        let text = format!(r#"{{"width": 640, "height": 360, "detections": [{seen}]}}"#);
        message(store, t, "/camera/cam1/detections", &text)
    };
    (0..200).map(frame).collect()
}

#[test]
fn who_stands_at_a_shelf_while_staff_fill_it_is_staff() {
    let store = plain();
    // Both tokens are shown at once, the helper's first; the shopper is the first through the door.
    let told = [
        (6.0, "/gate/door", r#"{"kind": "door", "open": true}"#),
        (
            6.3,
            "/gate/door",
            r#"{"kind": "admitted", "token": "s-1", "role": "staff"}"#,
        ),
        (6.4, "/gate/door", r#"{"kind": "admitted", "token": "q-9"}"#),
    ];
    let shopper = [
        (6.4, 0.7, -0.1),
        (7.6, 0.7, 0.8),
        (9.5, 2.9, 1.0),
        (20.0, 2.9, 1.0),
    ];
    let helper = [
        (7.8, 0.7, -0.1),
        (9.0, 0.7, 0.8),
        (11.0, 1.3, 2.0),
        (20.0, 1.3, 2.0),
    ];
    let at_the_shelf = |words: &[(f64, &str)]| {
        let mut steps = walks(&store, &[&shopper, &helper]);
        let words = words.iter().map(|(t, text)| (*t, "/command", *text));
        let all: Vec<_> = told.iter().copied().chain(words).collect();
        steps.extend(self::told(&store, &all));
        steps.sort_by_key(|(at, _)| *at);
        let (mut engine, mut events) = (Engine::new(Arc::clone(&store)), Vec::new());
        for (t, input) in steps {
            wake(&mut engine, t, &mut events);
            engine.handle(t, input);
        }
        let near = |track: &TrackId| {
            let fix = engine.tracking().fix_at(*track, at(19.5)).unwrap();
            fix.position.distance(Point::new(1.3, 2.0)) < 0.5
        };
        let tracks = engine.tracking().tracks();
        let there: Vec<TrackId> = tracks.into_iter().filter(near).collect();
        assert_eq!(there.len(), 1);
        engine.visit_of(there[0]).unwrap()
    };
    let begin = r#"{"command": "restock.begin", "shelf": "g1-s1"}"#;
    let end = r#"{"command": "restock.end", "shelf": "g1-s1"}"#;
    let (helpers, shoppers) = (VisitId(1), VisitId(2));
    assert_eq!(at_the_shelf(&[]), shoppers);
    assert_eq!(at_the_shelf(&[(12.0, begin), (18.0, end)]), helpers);
    // A word so short says nothing of who stands there.
    assert_eq!(at_the_shelf(&[(16.0, begin), (18.0, end)]), shoppers);
}

/// The kiosk without its camera: nobody is followed, and the door alone tells who comes and goes.
fn unfollowed() -> Arc<Store> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kiosk");
    let text = std::fs::read_to_string(folder.join("store.toml")).unwrap();
    let (before, rest) = text.split_once("[[camera]]").unwrap();
    let after = rest.split_once("\n[").map_or("", |(_, after)| after);
    let text = format!("{before}[{after}");
    let mut open =
        |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|e| e.to_string());
    let store = basketd::store::file::read("store.toml", &text, &mut open).unwrap();
    assert!(!store.store.has_floor_cameras());
    Arc::new(store.store)
}

const OPEN: &str = r#"{"kind": "door", "open": true}"#;
const SHUT: &str = r#"{"kind": "door", "open": false}"#;

#[test]
fn where_nobody_is_followed_the_door_tells_that_the_only_shopper_went() {
    let store = unfollowed();
    let steps = shopper(&store, &[]);
    let (_, events) = story(&Engine::new(Arc::clone(&store)), &steps);
    let closed = only(&store, &events, &["basket."]);
    assert_eq!(
        closed,
        [
            "basket.closed v-000001 #6 [1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g] 3.90 settle []",
        ]
    );
}

#[test]
fn of_two_the_one_went_whose_tags_the_gate_heard() {
    let store = unfollowed();
    // The second comes when the crisps are taken; the first goes at 30 s.
    let steps = shopper(
        &store,
        &[
            (17.0, "/gate/door", OPEN),
            (17.3, "/gate/door", ADMITTED),
            (19.2, "/gate/door", SHUT),
            (60.0, "/gate/door", OPEN),
            (62.2, "/gate/door", SHUT),
        ],
    );
    let (_, events) = story(&Engine::new(Arc::clone(&store)), &steps);
    let closed = only(&store, &events, &["basket."]);
    assert_eq!(
        closed,
        [
            r#"basket.closed v-000001 #6 [1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g] 3.90 review ["quantity-in-doubt 02000000010038"]"#,
            r#"basket.closed v-000002 #2 [] 0.00 review ["possibly-missing 02000000010038","shopper-in-doubt"]"#,
        ]
    );
}

#[test]
fn a_token_shown_late_tells_that_it_was_the_other_who_went() {
    let store = unfollowed();
    let shown = r#"{"kind": "presented", "token": "q-7"}"#;
    let steps = shopper(
        &store,
        &[
            (9.0, "/gate/door", OPEN),
            (9.3, "/gate/door", ADMITTED),
            (11.2, "/gate/door", SHUT),
            (40.0, "/gate/door", OPEN),
            (40.1, "/gate/door", shown),
            (42.2, "/gate/door", SHUT),
        ],
    );
    let (_, events) = story(&Engine::new(Arc::clone(&store)), &steps);
    let closed = only(&store, &events, &["basket."]);
    assert_eq!(
        closed,
        [
            r#"basket.closed v-000001 #6 [1 x Orange Juice 0.25 l, 1 x Salted Crisps 90 g] 3.90 review ["quantity-in-doubt 02000000010038","quantity-in-doubt 02000000010052","shopper-in-doubt"]"#,
            "basket.adjusted v-000001 #7 [1 x Orange Juice 0.25 l] 2.10 review late-evidence",
            r#"basket.closed v-000002 #2 [1 x Salted Crisps 90 g] 1.80 review ["quantity-in-doubt 02000000010052","possibly-missing 02000000010038","shopper-in-doubt"]"#,
        ]
    );
}
