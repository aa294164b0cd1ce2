//! Tags whose antenna falls silent: nothing can be said of them, and nothing is asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use basketd::basket::event::Body;
use basketd::engine::{Engine, Finding, Input, Output};
use basketd::gs1::Epc;
use basketd::observation::{Observation, Sensed, SourceReport, SourceState, TagRead};
use basketd::presence::TagEvent;
use basketd::units::{TimeDelta, Timestamp};

const STORE: &str = r#"
[store]
id = "nine-tags"
catalog = "catalog.csv"
[[zone]]
id = "door"
kinds = ["entry", "exit"]
polygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[gondola]]
id = "g1"
front = [[0.0, 3.0], [2.0, 3.0]]
[[gondola.shelf]]
id = "s1"
facings = []
[[reader]]
id = "r1"
antennas = [{ port = 1, shelf = "s1" }]
"#;

/// Nine tags, each read so many times, a tenth of a second apart.
fn read(engine: &mut Engine, times: u32) -> Timestamp {
    read_from(
        engine,
        Timestamp::from_micros(1_700_000_000_000_000),
        times,
        9,
    )
}

/// The same from an instant on, and without one of them.
fn read_from(engine: &mut Engine, begin: Timestamp, times: u32, gone: u32) -> Timestamp {
    let antenna = *engine.store().readers[0].antennas.values().next().unwrap();
    let mut at = begin;
    for turn in 0..times * 9 {
        at += TimeDelta::from_millis(100);
        if turn % 9 == gone {
            continue;
        }
        let read = TagRead {
            epc: Epc::new(&[0x30, (turn % 9) as u8, 7, 7]).unwrap(),
            antenna,
            rssi_dbm: -50.0,
            count: 1,
            phase_deg: None,
        };
        let sensed = Sensed::TagRead(read);
        let captured_at = at;
        let input = Input::Observation(Observation {
            captured_at,
            sensed,
        });
        wake(engine, at);
        engine.handle(at, input);
    }
    at
}

/// Fires what the engine asks for up to an instant; how often it asked.
fn wake(engine: &mut Engine, until: Timestamp) -> usize {
    let mut asked = 0;
    while let Some((due, why)) = engine.poll_timeout().filter(|(due, _)| *due <= until) {
        engine.handle(due, Input::Timeout(why));
        asked += 1;
        assert!(asked < 20_000, "the engine asks without end");
    }
    asked
}

#[test]
fn a_reader_that_is_off_for_a_year_costs_nothing_and_sells_nothing() {
    let mut open = |_: &str| Ok("gtin,name,price,weight_g\n".to_owned());
    let store = basketd::store::file::read("store.toml", STORE, &mut open);
    let store = Arc::new(store.expect("the store is right").store);
    for times in [1, 2, 3, 40] {
        let mut engine = Engine::new(Arc::clone(&store));
        let last = read(&mut engine, times);
        let asked = wake(&mut engine, last + TimeDelta::from_secs(365.0 * 86_400.0));
        assert!(asked < 500, "{times} reads: asked {asked} times");
        while let Some(output) = engine.poll_output() {
            let Output::Event(event) = output else {
                continue;
            };
            assert!(!matches!(event.body, Body::Item(_)), "{event:?}");
        }
    }
}

/// The tags that left, by their number, until an instant.
fn departed(engine: &mut Engine, until: Timestamp) -> Vec<u8> {
    wake(engine, until);
    let mut gone = Vec::new();
    while let Some(output) = engine.poll_output() {
        if let Output::Finding(Finding::Tag(TagEvent::Departed { epc, .. })) = output {
            gone.push(epc.as_bytes()[1]);
        }
    }
    gone
}

#[test]
fn the_tags_of_a_reader_that_comes_back_have_not_left_but_for_the_one_that_is_missing() {
    let mut open = |_: &str| Ok("gtin,name,price,weight_g\n".to_owned());
    let store = basketd::store::file::read("store.toml", STORE, &mut open);
    let store = Arc::new(store.expect("the store is right").store);
    for told in [false, true] {
        for (away_s, gone) in [
            (1.0, 9),
            (2.0, 9),
            (2.0, 3),
            (4.0, 9),
            (4.0, 3),
            (7.0, 9),
            (7.0, 3),
            (60.0, 9),
            (60.0, 3),
        ] {
            let mut engine = Engine::new(Arc::clone(&store));
            engine.show_findings();
            // How long the antenna pauses by itself is known after a minute or so.
            let last = read(&mut engine, if away_s < 3.0 { 100 } else { 40 });
            let state = |engine: &mut Engine, at: Timestamp, state: SourceState| {
                let (source, reason) = ("rfid/r1".to_owned(), String::new());
                wake(engine, at);
                if told {
                    let report = SourceReport::State {
                        source,
                        state,
                        reason,
                    };
                    engine.handle(at, Input::Source(report));
                }
            };
            state(&mut engine, last, SourceState::Offline);
            let back = last + TimeDelta::from_secs(away_s);
            state(&mut engine, back, SourceState::Online);
            let early = departed(&mut engine, back);
            assert!(early.is_empty(), "{away_s} s away: {early:?}");
            let end = read_from(&mut engine, back, 20, gone);
            let expected: &[u8] = if gone == 3 { &[3] } else { &[] };
            let found = departed(&mut engine, end);
            assert_eq!(found, expected, "{away_s} s away, told: {told}");
        }
    }
}

#[test]
fn passers_by_without_end_make_room_for_the_shop_s_own_tags() {
    let mut open = |_: &str| Ok("gtin,name,price,weight_g\n".to_owned());
    let store = STORE.replace(
        "antennas = [{ port = 1, shelf = \"s1\" }]",
        "antennas = [{ port = 1, shelf = \"s1\" }, { port = 2, gate = \"out\" }]\n\
         [[gate]]\nid = \"out\"\nzone = \"door\"",
    );
    let store = basketd::store::file::read("store.toml", &store, &mut open);
    let store = Arc::new(store.expect("the store is right").store);
    let gate = *store.readers[0].antennas.values().nth(1).unwrap();
    let mut engine = Engine::new(store);
    engine.show_findings();
    let mut at = Timestamp::from_micros(1_700_000_000_000_000);
    for n in 0..400_000_u32 {
        at += TimeDelta::from_millis(1);
        let mut epc = [0x35, 0, 0, 0, 0, 1];
        epc[1..5].copy_from_slice(&n.to_be_bytes());
        let sensed = Sensed::TagRead(TagRead {
            epc: Epc::new(&epc).unwrap(),
            antenna: gate,
            rssi_dbm: -50.0,
            count: 1,
            phase_deg: None,
        });
        let captured_at = at;
        let seen = Observation {
            captured_at,
            sensed,
        };
        engine.handle(at, Input::Observation(seen));
    }
    wake_all(&mut engine, at);
    let alerts = std::iter::from_fn(|| engine.poll_output())
        .filter(|o| matches!(o, Output::Event(e) if matches!(e.body, Body::AlertRaised(_))));
    assert_eq!(alerts.count(), 0);
    read_from(&mut engine, at, 40, 9);
    let arrived = std::iter::from_fn(|| engine.poll_output())
        .filter(|o| matches!(o, Output::Finding(Finding::Tag(TagEvent::Arrived { .. }))));
    assert_eq!(arrived.count(), 9);
}

/// Fires whatever the engine asks for up to an instant.
fn wake_all(engine: &mut Engine, until: Timestamp) {
    while let Some((due, why)) = engine.poll_timeout().filter(|(due, _)| *due <= until) {
        engine.handle(due, Input::Timeout(why));
    }
}
