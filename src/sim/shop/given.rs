//! A shop after a store file: its floor, gondolas, facings, plates, antennas and floor cameras as
//! they stand there; what a store file does not say (depths, boards' heights, packs) is assumed.
//! Sensors that the file lacks, and shelf cameras, are hung as in an invented shop.
//!
//! Doors must lie on the side of low `y`, as in the example stores.

use std::collections::BTreeMap;

use super::goods::{Good, Kind};
use super::{
    Aerial, Door, Eye, Facing, Fixture, Level, Plate, ReadPoint, Reader, Shop, Task, Zone,
};
use crate::gs1::Gtin;
use crate::sim::effects::Effects;
use crate::sim::random::Random;
use crate::sim::shop::sensors::{misjudged, patch, strip};
use crate::sim::space::{Pinhole, at};
use crate::store::{ReadPoint as Point, Store, View};

const DEPTH_M: f64 = 0.40;
const HEIGHT_M: f64 = 1.9;

/// `None` where the store has no way in or out.
pub(super) fn build(store: &Store, effects: &Effects, random: &mut Random) -> Option<Shop> {
    let goods = goods(store, random);
    let places: BTreeMap<Gtin, usize> =
        goods.iter().enumerate().map(|(n, g)| (g.gtin, n)).collect();
    let zones = zones(store)?;
    let doors: Vec<Door> = store
        .gates
        .iter()
        .map(|gate| {
            let zone = &zones[gate.zone.index()];
            let x = zone.middle().x;
            Door {
                gate: gate.id.clone(),
                zone: gate.zone.index(),
                outside: at(x, zone.low.y - 0.8),
                inside: at(x, zone.high.y + 0.35),
            }
        })
        .collect();
    let entry = doors
        .iter()
        .position(|d| zones[d.zone].kinds.contains(&"entry"))?;
    let exit = doors
        .iter()
        .position(|d| zones[d.zone].kinds.contains(&"exit"))?;
    let edge = |f: fn(f64, f64) -> f64, of: fn(&Zone) -> f64, start: f64| {
        zones.iter().map(of).fold(start, f)
    };
    let mut shop = Shop {
        id: store.id.clone(),
        name: store.name.clone(),
        low: at(
            edge(f64::min, |z| z.low.x, f64::INFINITY),
            edge(f64::min, |z| z.low.y, f64::INFINITY) - 0.9,
        ),
        high: at(
            edge(f64::max, |z| z.high.x, f64::NEG_INFINITY),
            edge(f64::max, |z| z.high.y, f64::NEG_INFINITY),
        ),
        zones,
        doors,
        entry,
        exit,
        lane: None,
        room: None,
        stack: Vec::new(),
        fixtures: fixtures(store, &places),
        plates: Vec::new(),
        readers: Vec::new(),
        eyes: Vec::new(),
        goods,
    };
    sensors(&mut shop, store, effects, random);
    Some(shop)
}

fn zones(store: &Store) -> Option<Vec<Zone>> {
    let kinds = |z: &crate::store::Zone| {
        [
            (z.entry, "entry"),
            (z.exit, "exit"),
            (z.aisle, "aisle"),
            (z.staff, "staff"),
        ]
        .into_iter()
        .filter_map(|(is, kind)| is.then_some(kind))
        .collect()
    };
    let zone = |z: &crate::store::Zone| {
        let b = z.polygon.bounds()?;
        Some(Zone {
            id: z.id.clone(),
            kinds: kinds(z),
            low: at(b.x0, b.y0),
            high: at(b.x1, b.y1),
        })
    };
    store.zones.iter().map(zone).collect()
}

fn goods(store: &Store, random: &mut Random) -> Vec<Good> {
    let mut families: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for p in store.catalog.values() {
        let category = p.category.clone().unwrap_or_default();
        let (kind, size) = match category.as_str() {
            "can" => (Kind::Can, (0.066, 0.066, 0.12)),
            "bottle" => (Kind::Bottle, (0.07, 0.07, 0.21)),
            "bag" => (Kind::Bag, (0.15, 0.07, 0.21)),
            "candy" => (Kind::Sweets, (0.10, 0.05, 0.17)),
            _ => (Kind::Carton, (0.11, 0.06, 0.18)),
        };
        let brand = p.brand.clone().unwrap_or_default();
        let count = families.len();
        let family = *families
            .entry(format!("{brand} {category}"))
            .or_insert(count);
        out.push(Good {
            gtin: p.gtin,
            name: p.name.clone(),
            brand,
            kind,
            price_cents: p.price,
            weight_g: p.weight_g.unwrap_or_else(|| random.range(60.0, 500.0)),
            listed_g: p.weight_g,
            size,
            family,
        });
    }
    out
}

fn fixtures(store: &Store, places: &BTreeMap<Gtin, usize>) -> Vec<Fixture> {
    store
        .gondolas
        .iter()
        .map(|g| {
            let count = g.shelves.len();
            let even = (HEIGHT_M - 0.2) / count.max(1) as f64;
            let z = |n: usize| {
                let given = g.shelves.get(n).and_then(|s| store.shelf(*s).height);
                given.unwrap_or(0.2 + even * n as f64)
            };
            let level = |n: usize| {
                let shelf = store.shelf(g.shelves[n]);
                let clear = if n + 1 < count { z(n + 1) - z(n) } else { even };
                Level {
                    id: shelf.id.clone(),
                    z: z(n),
                    clear: clear.max(0.12),
                    facings: shelf
                        .facings
                        .iter()
                        .filter_map(|f| facing(f, places))
                        .collect(),
                }
            };
            Fixture {
                id: g.id.clone(),
                left: g.front.from,
                right: g.front.to,
                depth: DEPTH_M,
                height: HEIGHT_M,
                levels: (0..count).map(level).collect(),
            }
        })
        .collect()
}

fn facing(f: &crate::store::Facing, places: &BTreeMap<Gtin, usize>) -> Option<Facing> {
    let columns = ((f.to - f.from) / 0.10).round().clamp(1.0, 3.0) as u32;
    let capacity = f.capacity.unwrap_or(6).max(1);
    Some(Facing {
        good: *places.get(&f.gtin)?,
        from: f.from,
        to: f.to,
        columns,
        deep: (capacity / columns).clamp(1, 6),
    })
}

fn sensors(shop: &mut Shop, store: &Store, effects: &Effects, random: &mut Random) {
    let level_of = |shelf: crate::ids::ShelfIx| {
        let fixture = store.shelf(shelf).gondola;
        let level = store
            .gondola(fixture)
            .shelves
            .iter()
            .position(|s| *s == shelf);
        (fixture.index(), level.unwrap_or(0))
    };
    for scale in &store.scales {
        let (fixture, level) = level_of(scale.shelf);
        shop.plates.push(Plate {
            id: scale.id.clone(),
            fixture,
            level,
            from: scale.from,
            to: scale.to,
        });
    }
    for reader in &store.readers {
        let ports = reader.antennas.values().enumerate();
        let ports = ports.map(|(n, a)| match store.antennas[a.index()].read_point {
            Point::Shelf(shelf) => {
                let (f, l) = level_of(shelf);
                strip(shop, f, l)
            }
            Point::Gondola(g) => strip(shop, g.index(), shop.fixtures[g.index()].levels.len() / 2),
            Point::Gate(g) => patch(shop, g.index(), n),
            Point::Zone(_) => patch(shop, shop.exit, n),
        });
        let ports: Vec<Aerial> = ports.collect();
        shop.readers.push(Reader {
            id: reader.id.clone(),
            ports,
        });
    }
    for camera in &store.cameras {
        let View::Floor { floor_from_image } = &camera.view else {
            continue;
        };
        let size = (f64::from(camera.width), f64::from(camera.height));
        if let Some(believed) = Pinhole::from_homography(&floor_from_image.0, size) {
            let ahead = believed.eye + believed.forward * 3.0;
            shop.eyes.push(Eye {
                id: camera.id.clone(),
                camera: misjudged(&believed, ahead, effects, random),
                task: Task::Floor(floor_from_image.0),
            });
        }
    }
    // Where an antenna covers a whole gondola, the store file must still say so.
    debug_assert!(
        shop.readers
            .iter()
            .flat_map(|r| &r.ports)
            .all(|p| match p.at {
                ReadPoint::Shelf(f, l) => l < shop.fixtures[f].levels.len(),
                ReadPoint::Door(d) => d < shop.doors.len(),
            })
    );
}
