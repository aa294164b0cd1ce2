//! A shop of six to ten gondolas: along the walls and back to back as islands. The doors lie in
//! the wall `y = 0`, one for both ways in three shops of ten; a back room in a corner.

use super::kiosk::zone;
use super::{Door, Fixture, Shop, fill_levels};
use crate::sim::random::Random;
use crate::sim::shop::goods::assortment;
use crate::sim::space::at;

pub(super) fn build(random: &mut Random) -> Shop {
    let goods = assortment(random, 150);
    let (wide, deep) = (random.range(10.2, 12.0), random.range(7.6, 8.8));
    let fixtures = fixtures(random, wide, deep);
    let mut shop = Shop {
        id: format!("hall-{}", random.int(10, 99)),
        name: "Simulated shop".into(),
        low: at(0.0, -0.9),
        high: at(wide, deep),
        zones: vec![
            zone("way-in", &["entry"], (1.0, 0.0), (2.3, 1.1)),
            zone("way-out", &["exit"], (5.2, 0.0), (6.5, 1.1)),
            zone("back", &["staff"], (wide - 1.8, 0.0), (wide, 1.3)),
            zone("shop", &["aisle"], (0.0, 1.1), (wide, deep)),
        ],
        doors: vec![
            Door {
                gate: "in".into(),
                zone: 0,
                outside: at(1.65, -0.8),
                inside: at(1.65, 1.5),
            },
            Door {
                gate: "out".into(),
                zone: 1,
                outside: at(5.85, -0.8),
                inside: at(5.85, 1.5),
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
    };
    if random.chance(0.3) {
        one_door(&mut shop);
    }
    stock(&mut shop, random);
    shop
}

fn one_door(shop: &mut Shop) {
    shop.zones.remove(1);
    shop.doors.remove(1);
    shop.exit = 0;
    shop.doors[0].gate = "door".into();
    shop.zones[0].id = "door".into();
    shop.zones[0].kinds = vec!["entry", "exit"];
}

fn stock(shop: &mut Shop, random: &mut Random) {
    let mut next = 0;
    for (n, fixture) in shop.fixtures.iter_mut().enumerate() {
        let count = random.int(3, if fixture.height > 1.6 { 6 } else { 5 }) as usize;
        let name = format!("g{}", n + 1);
        fill_levels(fixture, &name, count, &shop.goods, &mut next, random);
    }
}

fn fixtures(random: &mut Random, wide: f64, deep: f64) -> Vec<Fixture> {
    let mut fronts = Vec::new();
    let long = random.range(1.9, 2.4);
    // The far wall, two or three; the side walls, one each; one or two islands of two, with ends.
    let walls = random.int(2, 3);
    for n in 0..walls {
        let x = 1.2 + n as f64 * (long + random.range(0.2, 0.6));
        if x + long < wide - 0.9 {
            fronts.push((at(x, deep - 0.45), at(x + long, deep - 0.45), 1.9));
        }
    }
    let right = wide - 0.45;
    fronts.push((at(right, deep - 1.4), at(right, deep - 1.4 - long), 1.9));
    if random.chance(0.7) {
        fronts.push((at(0.45, 3.0), at(0.45, 3.0 + long), 1.9));
    }
    let islands = random.int(1, 2);
    for n in 0..islands {
        let x = 2.4 + n as f64 * (long + random.range(1.4, 1.6));
        let y = 3.3 + random.range(0.0, 0.5);
        if x + long < wide - 1.4 {
            fronts.push((at(x, y), at(x + long, y), 1.45));
            fronts.push((at(x + long, y + 0.82), at(x, y + 0.82), 1.45));
        }
    }
    let fixture = |(n, (left, right, height)): (usize, _)| Fixture {
        id: format!("g{}", n + 1),
        left,
        right,
        depth: 0.40,
        height,
        levels: Vec::new(),
    };
    fronts.into_iter().enumerate().map(fixture).collect()
}
