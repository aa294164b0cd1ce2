//! A kiosk of five gondolas: four side by side along one wall, the fifth across the aisle's end,
//! after the shape of small unattended shops. The doors lie opposite the wall.

use super::{Door, Fixture, Shop, Zone, fill_levels};
use crate::sim::random::Random;
use crate::sim::shop::goods::assortment;
use crate::sim::space::at;

pub(super) fn build(random: &mut Random) -> Shop {
    let goods = assortment(random, 110);
    let lengths = [
        random.range(1.1, 1.3),
        random.range(0.85, 1.0),
        random.range(1.1, 1.3),
        random.range(0.85, 1.0),
    ];
    let mut fixtures = Vec::new();
    let (mut x, mut next) = (0.05, 0);
    for length in lengths {
        fixtures.push(Fixture {
            id: format!("g{}", fixtures.len() + 1),
            left: at(x, 1.7),
            right: at(x + length, 1.7),
            depth: 0.42,
            height: 1.95,
            levels: Vec::new(),
        });
        x += length;
    }
    let wide = x + 0.25;
    fixtures.push(Fixture {
        id: "g5".into(),
        left: at(wide, 1.55),
        right: at(wide, 0.63),
        depth: 0.42,
        height: 1.95,
        levels: Vec::new(),
    });
    for (n, fixture) in fixtures.iter_mut().enumerate() {
        let count = random.int(5, 6) as usize;
        fill_levels(
            fixture,
            &format!("g{}", n + 1),
            count,
            &goods,
            &mut next,
            random,
        );
    }
    Shop {
        id: "kiosk-1".into(),
        name: "Simulated kiosk".into(),
        low: at(-0.05, -1.2),
        high: at(wide, 1.7),
        zones: vec![
            zone(
                "way-in",
                &["entry"],
                (wide - 1.25, -0.35),
                (wide - 0.25, 0.35),
            ),
            zone("way-out", &["exit"], (0.2, -0.35), (1.2, 0.35)),
            zone("aisle", &["aisle"], (0.0, 0.35), (wide, 1.7)),
        ],
        doors: vec![
            Door {
                gate: "door-in".into(),
                zone: 0,
                outside: at(wide - 0.75, -1.0),
                inside: at(wide - 0.75, 0.65),
            },
            Door {
                gate: "door-out".into(),
                zone: 1,
                outside: at(0.7, -1.0),
                inside: at(0.7, 0.65),
            },
        ],
        entry: 0,
        exit: 1,
        lane: None,
        room: None,
        stack: Vec::new(),
        fixtures,
        plates: Vec::new(),
        readers: Vec::new(),
        eyes: Vec::new(),
        goods,
    }
}

pub(super) fn zone(id: &str, kinds: &[&'static str], low: (f64, f64), high: (f64, f64)) -> Zone {
    Zone {
        id: id.to_owned(),
        kinds: kinds.to_vec(),
        low: at(low.0, low.1),
        high: at(high.0, high.1),
    }
}
