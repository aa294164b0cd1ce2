//! Every scene yields what its name says, in the world itself: no sensor is asked.

use super::super::people::scenes::all;
use super::super::stock::{Place, What};
use super::super::world::Visit;
use super::*;

/// The world of a scene when all have left.
fn world(name: &str, sensors: Sensors, seed: u64) -> World {
    world_in(ShopKind::Kiosk, name, sensors, seed)
}

fn world_in(shop: ShopKind, name: &str, sensors: Sensors, seed: u64) -> World {
    let day = Day::new(Options {
        seed,
        story: Story::Scene(name.into()),
        sensors,
        noise: Noise::Clean,
        shop,
        given: None,
    });
    let mut world = day.expect("a scene").world;
    while world.now < 900.0 && !world.is_over() {
        world.step();
    }
    assert!(world.is_over(), "{name} {seed}: somebody never left");
    world
}

fn shoppers(world: &World) -> Vec<&Visit> {
    world.visits.iter().filter(|v| !v.staff).collect()
}

fn count(world: &World) -> Vec<usize> {
    shoppers(world).iter().map(|v| v.bought.len()).collect()
}

/// How many items each shopper's visit pays, in the order of coming.
fn expected(name: &str) -> &'static [usize] {
    match name {
        "take-two-at-once" => &[2],
        "put-back" | "wrong-shelf" | "neighbours-cell" | "left-by-the-door" | "turn-back"
        | "abandoned-basket" => &[0],
        "restroom" | "foil-bag" | "repeated" | "party-leaves-apart" => &[2],
        "re-entry" | "two-at-one-shelf" | "tail-gater" | "two-lanes" => &[1, 1],
        "reach-across" | "hand-over" | "helped" => &[0, 1],
        "shared-basket" => &[0, 2],
        "party" => &[3],
        "returned-by-another" => &[0, 0],
        "crowd" => &[1; 30],
        _ => &[1],
    }
}

#[test]
fn scenes_play_as_they_are_named() {
    let mut wrong = Vec::new();
    for scene in all() {
        let seeds = if scene.name == "crowd" { 1..2 } else { 1..6 };
        for (seed, shop) in seeds.flat_map(|s| [(s, ShopKind::Kiosk), (s, ShopKind::Hall)]) {
            if scene.name == "crowd" && shop == ShopKind::Kiosk {
                continue;
            }
            let counted = count(&world_in(shop, scene.name, scene.sensors[0], seed));
            if counted != expected(scene.name) {
                wrong.push(format!("{} {shop:?} {seed}: {counted:?}", scene.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn scenes_have_names_of_their_own_and_sensors() {
    let mut names: Vec<&str> = all().map(|s| s.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().count());
    for scene in all() {
        assert!(!scene.sensors.is_empty() && !scene.shows.is_empty());
        let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(scene.name.chars().all(kebab), "{}", scene.name);
    }
}

/// Every unit is in one place, and what nobody pays is still in the shop.
#[test]
fn scenes_conserve_units() {
    for scene in all().filter(|s| s.name != "crowd") {
        let w = world(scene.name, scene.sensors[0], 3);
        let staff = w.visits.iter().filter(|v| v.staff);
        let removed: usize = staff.map(|v| v.bought.len()).sum();
        let paid: usize = count(&w).iter().sum();
        let own = |u: &&stock::Unit| !u.brought && u.what == What::Whole;
        let gone = w.stock.units.iter().filter(own);
        let gone = gone.filter(|u| u.place == Place::Gone).count();
        let consumed = w.stock.units.iter().filter(|u| u.what == What::Wrapper);
        let again = usize::from(scene.name == "re-entry");
        assert_eq!(
            gone + consumed.count() + again,
            paid + removed,
            "{}",
            scene.name
        );
    }
}

/// Whatever is torn, eaten or swapped, plates bear what stands on them.
#[test]
fn scenes_conserve_weight() {
    for scene in all().filter(|s| s.sensors.contains(&Sensors::ScaleFloor)) {
        let (name, seed) = (scene.name, 2);
        if name == "crowd" {
            continue;
        }
        let w = world(name, Sensors::ScaleFloor, seed);
        let shelved = |u: &&stock::Unit| matches!(u.place, Place::Shelf(_));
        let units = w.stock.units.iter().filter(shelved);
        let resting: f64 = units.map(|u| u.load * u.weight_g).sum();
        let borne: f64 = w.loads.iter().sum();
        assert!((borne - resting).abs() < 0.1, "{name}: {borne} {resting}");
    }
}

fn bought(world: &World) -> Vec<&stock::Unit> {
    let visits = shoppers(world).into_iter();
    let units = visits.flat_map(|v| v.bought.clone());
    units.map(|u| &world.stock.units[u]).collect()
}

#[test]
fn tags_are_as_the_scene_says() {
    assert!(
        bought(&world("untagged", Sensors::All, 1))[0]
            .tags
            .is_empty()
    );
    let w = world("double-tagged", Sensors::All, 1);
    let tags = &bought(&w)[0].tags;
    assert!(tags.len() == 2 && tags[0].epc != tags[1].epc);
    let w = world("tag-torn-off", Sensors::All, 1);
    assert!(bought(&w)[0].tags.is_empty());
    let mut labels = w.stock.units.iter().filter(|u| u.what == What::Label);
    let label = labels.next().expect("a tag");
    assert!(label.tags.len() == 1 && matches!(label.place, Place::Shelf(_)));
    let w = world("foreign-tag", Sensors::All, 1);
    let brought = w.stock.units.iter().find(|u| u.brought).expect("brought");
    assert!(brought.tags[0].epc != bought(&w)[0].tags[0].epc && brought.place == Place::Gone);
    let w = world("stock-by-the-gate", Sensors::All, 1);
    let cartons = w.stock.units.iter();
    let cartons = cartons.filter(|u| matches!(u.place, Place::Floor(_)));
    assert!(cartons.count() >= 9);
}

#[test]
fn goods_end_where_the_scene_says() {
    let at = |w: &World, what: What| {
        let here = |u: &&stock::Unit| u.what == what && u.pose > 1 && !u.brought;
        let unit = w.stock.units.iter().find(here).expect("somebody moved it");
        (unit.place, unit.home.expect("one of the shop's"))
    };
    let (Place::Shelf(spot), home) = at(&world("neighbours-cell", Sensors::All, 2), What::Whole)
    else {
        panic!("on no shelf");
    };
    assert_eq!((spot.fixture, spot.level), (home.0, home.1));
    let (Place::Shelf(spot), home) = at(&world("wrong-shelf", Sensors::All, 2), What::Whole) else {
        panic!("on no shelf");
    };
    assert_ne!((spot.fixture, spot.level), (home.0, home.1));
    let w = world("returned-by-another", Sensors::All, 2);
    let (Place::Shelf(spot), home) = at(&w, What::Whole) else {
        panic!("on no shelf");
    };
    assert_eq!((spot.fixture, spot.level), (home.0, home.1));
    assert_eq!(shoppers(&w)[1].events.len(), 2);
    let w = world("consumed", Sensors::All, 2);
    let (place, _) = at(&w, What::Wrapper);
    assert!(matches!(place, Place::Shelf(_)) && shoppers(&w)[0].events.len() == 1);
    let w = world("abandoned-basket", Sensors::All, 2);
    assert!(matches!(at(&w, What::Whole).0, Place::Floor(_)));
    // Something foreign stands on the shelf.
    let w = world("swap", Sensors::All, 2);
    let foreign = w.stock.units.iter().find(|u| u.brought).expect("brought");
    assert!(matches!(foreign.place, Place::Shelf(_)));
    let same = (foreign.weight_g - w.shop.goods[bought(&w)[0].good].weight_g).abs();
    assert!(same < 1.0);
}

#[test]
fn staff_change_the_stock_and_pay_nothing() {
    let before = |name: &str| {
        let w = world(name, Sensors::All, 4);
        let staff = w.visits.iter().find(|v| v.staff).expect("a helper");
        let taken = staff.events.iter().filter(|e| e.taken).count();
        (taken, staff.events.len() - taken)
    };
    let (taken, filled) = before("restock");
    assert!(taken == 0 && filled > 0);
    assert_eq!(before("staff-removes"), (3, 0));
}

#[test]
fn parties_leave_as_the_scene_says() {
    let w = world("party-leaves-apart", Sensors::All, 1);
    assert_eq!(shoppers(&w)[0].people.len(), 2);
    let w = world("one-leaves-early", Sensors::All, 1);
    assert_eq!((shoppers(&w)[0].people.len(), count(&w)), (2, vec![1]));
    let w = world("two-lanes", Sensors::All, 1);
    let exits: Vec<usize> = w.people.iter().map(|p| p.exit).collect();
    assert_ne!(exits[0], exits[1]);
    let left: Vec<f64> = w.visits.iter().filter_map(|v| v.left_at).collect();
    assert!((left[0] - left[1]).abs() < 2.0, "{left:?}");
}

#[test]
fn two_reach_within_a_second() {
    for seed in 1..6 {
        let w = world("two-at-one-shelf", Sensors::All, seed);
        let at: Vec<f64> = shoppers(&w).iter().map(|v| v.events[0].at).collect();
        assert!((at[0] - at[1]).abs() < 1.2, "{seed}: {at:?}");
        let shelves: Vec<_> = shoppers(&w).iter().map(|v| v.events[0].shelf).collect();
        assert_eq!(shelves[0], shelves[1]);
    }
}

/// How long a source says nothing at the longest, and what `/source` says.
fn silence(name: &str, source: &str) -> (f64, usize) {
    let mut o = options(ShopKind::Kiosk, Sensors::All);
    (o.story, o.noise) = (Story::Scene(name.into()), Noise::Clean);
    let (bytes, ..) = run(o);
    let (mut last, mut longest, mut told): (BTreeMap<String, u64>, u64, usize) = Default::default();
    for message in mcap::MessageStream::new(&bytes).expect("an MCAP file") {
        let message = message.expect("whole");
        let topic = message.channel.topic.clone();
        told += usize::from(topic == "/source");
        if topic.starts_with(source) {
            let before = last.insert(topic, message.publish_time);
            longest = longest.max(
                message
                    .publish_time
                    .saturating_sub(before.unwrap_or(u64::MAX)),
            );
        }
    }
    (longest as f64 / 1e9, told)
}

#[test]
fn sensors_fail_as_the_scene_says() {
    let (long, told) = silence("reader-offline", "/rfid/");
    assert!((29.0..33.0).contains(&long) && told == 2, "{long} {told}");
    let (long, told) = silence("power-cut", "/rfid/");
    assert!((19.0..23.0).contains(&long) && told == 2, "{long} {told}");
    let (long, told) = silence("power-cut-untold", "/rfid/");
    assert!((19.0..23.0).contains(&long) && told == 0, "{long} {told}");
    let (long, told) = silence("cameras-offline", "/camera/cam1");
    assert!((29.0..31.0).contains(&long) && told == 8, "{long} {told}");
}

#[test]
fn without_floor_cameras_all_show_the_token_on_the_way_out_in_half_of_the_shops() {
    let mut asking = 0;
    for seed in 0..10 {
        let mut o = options(ShopKind::Kiosk, Sensors::Rfid);
        o.seed = seed;
        o.story = Story::Day {
            visits: 20,
            crowd: 3.0,
        };
        let mut world = Day::new(o).expect("a way in").world;
        let mut shown = 0;
        while !world.is_over() {
            world.step();
            let all = world.occurrences.iter();
            let all = all.filter(|o| matches!(o, world::Occurrence::Presented(..)));
            shown += all.count();
        }
        assert!(world.visits.iter().all(|v| v.token.is_some()));
        assert!(shown > 0, "some do everywhere");
        asking += u32::from(shown == world.visits.len());
    }
    assert!((2..=8).contains(&asking), "{asking}");
}

#[test]
fn people_are_where_the_world_has_them() {
    let mut o = options(ShopKind::Kiosk, Sensors::ScaleFloor);
    o.story = Story::Scene("tail-gater".into());
    let day = Day::new(o).expect("a scene");
    let outcome = day.run(Cursor::new(Vec::new())).expect("memory");
    let lines: Vec<serde_json::Value> = outcome
        .people
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    let of = |name: &str| lines.iter().filter(|l| l["visit"] == name).count();
    assert!(of("anonymous-1") > 10, "{}", outcome.people);
    assert_eq!(lines[0]["person"], 1);
    assert!(outcome.expected.contains("\"decision\":\"review\""));
}

/// What the gate's reader hears of the way out, dBm, while the first shopper leaves: of what was
/// bought, and of what stands on the floor.
fn at_the_gate(name: &str, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let w = world(name, Sensors::Rfid, seed);
    let tags = |units: Vec<&stock::Unit>| -> Vec<String> {
        let tags = units.into_iter().flat_map(|u| u.tags.clone());
        tags.map(|t| t.epc).collect()
    };
    let floor = |u: &&stock::Unit| matches!(u.place, Place::Floor(_));
    let wanted = [
        tags(bought(&w)),
        tags(w.stock.units.iter().filter(floor).collect()),
    ];
    let mut o = options(ShopKind::Kiosk, Sensors::Rfid);
    (o.story, o.noise, o.seed) = (Story::Scene(name.into()), Noise::Clean, seed);
    let (bytes, truth, _) = run(o);
    let line = truth.lines().next().expect("a visit");
    let first: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let left_at: Timestamp = serde_json::from_value(first["left_at"].clone()).expect("a time");
    let leaves = (left_at + TimeDelta::from_secs(-4.0)).as_nanos();
    let mut heard = [Vec::new(), Vec::new()];
    for message in mcap::MessageStream::new(&bytes).expect("an MCAP file") {
        let message = message.expect("whole");
        if message.channel.topic != "/rfid/r-gate" || message.publish_time < leaves {
            continue;
        }
        let read: serde_json::Value = serde_json::from_slice(&message.data).expect("JSON");
        // The first two ports are the way out's.
        if read["antenna"].as_u64() > Some(2) {
            continue;
        }
        for (wanted, heard) in wanted.iter().zip(&mut heard) {
            if wanted.iter().any(|epc| read["epc"] == **epc) {
                heard.push(read["rssi_dbm"].as_f64().expect("a number"));
            }
        }
    }
    let [sold, standing] = heard;
    (sold, standing)
}

#[test]
fn the_gate_hears_as_the_scene_says() {
    let reads = |name| (1..6).map(move |seed| at_the_gate(name, seed).0.len());
    let plain: usize = reads("take-one").sum();
    assert!(reads("take-one").all(|n| n > 0), "{plain}");
    for name in ["unheard-at-the-gate", "foil-bag"] {
        let few: usize = reads(name).sum();
        assert!(10 * few < plain, "{name}: {few} of {plain}");
    }
    assert!(reads("pocket").sum::<usize>() < plain);
}

#[test]
fn cartons_by_the_gate_are_as_loud_as_sales() {
    let (mut sold, mut standing) = (Vec::new(), Vec::new());
    for seed in 1..6 {
        let (a, b) = at_the_gate("stock-by-the-gate", seed);
        sold.extend(a);
        standing.extend(b);
    }
    let of = |mut v: Vec<f64>| crate::units::signal::median(&mut v).expect("reads");
    let (sold, standing) = (of(sold), of(standing));
    assert!((sold - standing).abs() < 6.0, "{sold} {standing}");
}
