//! What some shops have besides: a second way out, a room without cameras, cartons by the gate.

use super::{Door, Shop, Zone};
use crate::sim::random::Random;
use crate::sim::space::{at, vec3};

/// What is added to a shop before its sensors are hung.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::sim) struct Premises {
    /// A second way out beside the first, with antennas of its own.
    pub lane: bool,
    /// A room at the left wall where no sensor is.
    pub room: bool,
    /// A stack of tagged goods behind the thin wall beside the way out.
    pub stack: bool,
}

/// Between the lanes, metres: their antennas hear each other's shoppers.
const APART_M: f64 = 0.35;
const ROOM_M: f64 = 1.4;
const CARTONS: u64 = 18;

pub(super) fn add_lane(shop: &mut Shop) {
    let first = shop.zone_of(shop.exit).clone();
    let shift = first.high.x - first.low.x + APART_M;
    let zone = Zone {
        id: "way-out-2".into(),
        kinds: vec!["exit"],
        low: at(first.low.x + shift, first.low.y),
        high: at(first.high.x + shift, first.high.y),
    };
    let door = &shop.doors[shop.exit];
    let lane = Door {
        gate: "out-2".into(),
        zone: shop.zones.len(),
        outside: at(door.outside.x + shift, door.outside.y),
        inside: at(door.inside.x + shift, door.inside.y),
    };
    shop.lane = Some(shop.doors.len());
    shop.zones.push(zone);
    shop.doors.push(lane);
}

pub(super) fn add_room(shop: &mut Shop) {
    let Some(floor) = shop.zones.iter().find(|z| z.kinds.contains(&"aisle")) else {
        return;
    };
    let (x, y) = (floor.low.x, floor.low.y + 0.1);
    shop.low.x = shop.low.x.min(x - ROOM_M - 0.1);
    shop.room = Some(shop.zones.len());
    shop.zones.push(Zone {
        id: "restroom".into(),
        kinds: vec!["aisle"],
        low: at(x - ROOM_M, y),
        high: at(x - 0.01, y + 1.0),
    });
}

/// In the beam of the antenna on the far side, as near as shoppers pass: strays as loud as sales.
pub(super) fn add_stack(shop: &mut Shop, r: &mut Random) {
    let zone = shop.zone_of(shop.exit);
    let (x, y) = (zone.high.x + 0.3, zone.middle().y);
    let cartons = r.int(CARTONS / 2, CARTONS);
    let mut stack = Vec::new();
    for _ in 0..cartons {
        let (dx, dy) = (r.range(0.0, 0.35), r.range(-0.3, 0.3));
        stack.push(vec3(x + dx, y + dy, r.range(0.5, 1.5)));
    }
    shop.stack = stack;
}
