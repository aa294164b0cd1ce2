//! The whole simulator: same seed, same bytes; nothing made or lost; files that the contract's
//! readers take.

use std::collections::BTreeMap;
use std::io::Cursor;

use super::*;

fn options(shop: ShopKind, sensors: Sensors) -> Options {
    Options {
        seed: 11,
        story: Story::Day {
            visits: 4,
            crowd: 3.0,
        },
        sensors,
        noise: Noise::Nominal,
        shop,
        given: None,
    }
}

fn run(options: Options) -> (Vec<u8>, String, String) {
    let day = Day::new(options).expect("a way in");
    let store = day.store.clone();
    let mut out = Cursor::new(Vec::new());
    let outcome = day.run(&mut out).expect("memory takes all");
    (out.into_inner(), outcome.truth, store)
}

#[test]
fn one_seed_gives_the_same_bytes() {
    let kiosk = || run(options(ShopKind::Kiosk, Sensors::All));
    let (first, second) = (kiosk(), kiosk());
    assert!(first == second);
    let scene = || {
        let mut o = options(ShopKind::Kiosk, Sensors::All);
        o.story = Story::Scene("repeated".into());
        run(o)
    };
    assert!(scene() == scene());
    let mut other = options(ShopKind::Kiosk, Sensors::All);
    other.seed = 12;
    assert!(run(other).0 != first.0);
}

#[test]
fn what_was_taken_and_not_returned_leaves() {
    for shop in [ShopKind::Kiosk, ShopKind::Hall] {
        let (_, truth, _) = run(options(shop, Sensors::ScaleFloor));
        let mut taken: BTreeMap<String, i64> = BTreeMap::new();
        let mut left: BTreeMap<String, i64> = BTreeMap::new();
        let mut visits = 0;
        for line in truth.lines() {
            let visit: serde_json::Value = serde_json::from_str(line).expect("JSON");
            for event in visit["events"].as_array().expect("events") {
                let gtin = event["gtin"].as_str().expect("a GTIN").to_owned();
                let sign = if event["kind"] == "taken" { 1 } else { -1 };
                *taken.entry(gtin).or_insert(0) += sign;
            }
            for (gtin, n) in visit["items"].as_object().expect("items") {
                *left.entry(gtin.clone()).or_insert(0) += n.as_i64().expect("a number");
            }
            visits += 1;
        }
        taken.retain(|_, n| *n != 0);
        assert_eq!(taken, left);
        assert_eq!(visits, 4);
    }
}

#[test]
fn plates_bear_what_stands_on_them() {
    let effects = Effects::of(Noise::Clean);
    let shop = Shop::build(
        3,
        ShopKind::Kiosk,
        Sensors::ScaleFloor,
        Premises::default(),
        &effects,
    );
    let arrivals = people::plan::day(3, &shop, 3, 2.0);
    let mut world = World::new(3, shop, arrivals, &[], &effects);
    let total = |w: &World| w.loads.iter().sum::<f64>();
    let resting = |w: &World| -> f64 {
        let shelved = |u: &&stock::Unit| matches!(u.place, stock::Place::Shelf(_));
        w.stock
            .units
            .iter()
            .filter(shelved)
            .map(|u| u.load * u.weight_g)
            .sum()
    };
    assert!((total(&world) - resting(&world)).abs() < 0.1);
    while !world.is_over() {
        world.step();
    }
    assert!((total(&world) - resting(&world)).abs() < 0.1);
    assert!(world.loads.iter().all(|l| *l > -0.01));
}

/// An example store with few products.
#[test]
fn a_shop_after_a_store_file_plays_scenes() {
    let text = include_str!("../../config/kiosk/store.toml");
    let mut open = |name: &str| {
        Ok(match name {
            "tags.csv" => include_str!("../../config/kiosk/tags.csv").to_owned(),
            _ => include_str!("../../config/kiosk/catalog.csv").to_owned(),
        })
    };
    let store = crate::store::file::read("store.toml", text, &mut open);
    let store = store.expect("the example is right").store;
    for scene in scenes().filter(|s| s.name != "crowd") {
        let mut o = options(ShopKind::Kiosk, Sensors::All);
        o.story = Story::Scene(scene.name.into());
        o.given = Some(store.clone());
        match Day::new(o) {
            Ok(day) => {
                let outcome = day.run(Cursor::new(Vec::new())).expect("memory takes all");
                let visits = outcome.expected.lines().count();
                assert_eq!(visits, outcome.truth.lines().count(), "{}", scene.name);
                assert!(visits > 0, "{}", scene.name);
            }
            Err(Refused::Premises(name)) => {
                let wants = ["restroom", "two-lanes", "stock-by-the-gate"];
                assert!(wants.contains(&name.as_str()), "{name}");
            }
            Err(other) => panic!("{}: {other}", scene.name),
        }
    }
}

#[test]
fn messages_never_go_back_in_time() {
    let (bytes, ..) = run(options(ShopKind::Kiosk, Sensors::All));
    let mut last = 0;
    let mut topics: BTreeMap<String, u32> = BTreeMap::new();
    for message in mcap::MessageStream::new(&bytes).expect("an MCAP file") {
        let message = message.expect("whole");
        assert!(message.log_time >= last);
        last = message.log_time;
        let kind = message
            .channel
            .topic
            .split('/')
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        *topics.entry(kind).or_insert(0) += 1;
        serde_json::from_slice::<serde_json::Value>(&message.data).expect("JSON");
    }
    for kind in ["camera", "gate", "rfid", "scale"] {
        assert!(topics.contains_key(kind), "{topics:?}");
    }
}

mod scenes;
