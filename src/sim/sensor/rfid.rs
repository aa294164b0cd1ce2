//! RFID: readers that give each of their antennas a quarter of a second in turn, and tags that
//! share that time.
//!
//! Link (Friis, 868 MHz): a tag hears `P + G - L(d) - losses` and answers from -18 dBm on; the
//! reader hears `P + 2 (G - L(d) - losses) - 9 dB` down to -78 dBm. `L(d) = 31.2 + 20 log d`.
//! Losses one way: what the pack holds (can 4, bottle 3, foil bag 2 dB), shelf boards between
//! (9.5 dB a board), a side panel (2 dB), the fixture's back (3.5 dB; 14 dB from afar), bodies (up
//! to 9 dB behind one), bag 2, foil-lined bag 25, pocket 6, a bag full of cans and bottles 20 dB,
//! a thin wall before a stack of cartons 5 dB, shadowing by pose and fading by read ([`super::super::effects`]). A shelf antenna is a leaky
//! strip with -14 dBi; a gate antenna a patch of 6 dBi.
//!
//! Air: 1.6 ms a tag read (600/s, Gen2 fast modes with collisions and empty slots), 12 ms lost at
//! each change of antenna; session S0, so that a tag answers once a round, and the reader reports
//! a tag once a turn with the `count` of its answers and the loudest of them.

use crate::sim::effects::Effects;
use crate::sim::random::Random;
use crate::sim::shop::goods::Kind;
use crate::sim::shop::{Aerial, ReadPoint};
use crate::sim::space::Vec3;
use crate::sim::stock::{Carry, Place, Spot, tag_place};
use crate::sim::tape::Tape;
use crate::sim::world::World;

const TURN_S: f64 = 0.25;
const SWITCH_S: f64 = 0.012;
const READ_S: f64 = 0.0016;
const TAG_DBM: f64 = -18.0;
/// What a tag's answer loses against what it hears: modulation and mismatch.
const ANSWER_LOSS_DB: f64 = 9.0;
/// How sharp a tag's threshold is.
const ANSWER_DB: f64 = 0.6;
const READER_DBM: f64 = -78.0;
/// Strips couple badly by design.
const STRIP_DB: f64 = -16.0;
/// Between an antenna and what stands in a stack: a thin wall, or the carton's neighbours.
const WALL_DB: f64 = 5.0;
const SCHEMA: &str = "basketd.TagRead";

#[derive(Debug)]
pub(in crate::sim) struct Readers {
    readers: Vec<ReaderState>,
    seed: u64,
    fading_db: f64,
    pose_db: f64,
    delay_s: (f64, f64),
    random: Random,
}

#[derive(Debug)]
struct ReaderState {
    topic: String,
    port: usize,
    next: f64,
    /// Reports gather for so long; zero is not at all.
    burst_s: f64,
    /// By port and tag: its unit's pose then, and the loss one way.
    known: Vec<Vec<(u64, f64)>>,
}

impl Readers {
    pub(in crate::sim) fn new(seed: u64, world: &World, effects: &Effects) -> Self {
        let mut random = Random::stream(seed, "readers");
        let readers = world
            .shop
            .readers
            .iter()
            .map(|r| ReaderState {
                topic: format!("/rfid/{}", r.id),
                port: 0,
                next: random.range(0.0, TURN_S),
                burst_s: if random.chance(0.4) {
                    effects.reader_burst_s
                } else {
                    0.0
                },
                known: vec![Vec::new(); r.ports.len()],
            })
            .collect();
        Self {
            readers,
            seed,
            fading_db: effects.fading_db,
            pose_db: effects.pose_db,
            delay_s: effects.reader_delay_s,
            random,
        }
    }

    pub(in crate::sim) fn step(&mut self, world: &World, tape: &mut Tape) {
        for n in 0..self.readers.len() {
            if self.readers[n].next > world.now || world.shop.readers[n].ports.is_empty() {
                continue;
            }
            self.turn(world, n, tape);
            let ports = world.shop.readers[n].ports.len();
            let jitter = self.random.range(0.0, 0.004);
            let state = &mut self.readers[n];
            state.port = (state.port + 1) % ports;
            state.next += TURN_S + jitter;
        }
    }

    /// One antenna's turn, which begins now.
    fn turn(&mut self, world: &World, n: usize, tape: &mut Tape) {
        let port = self.readers[n].port;
        let aerial = &world.shop.readers[n].ports[port];
        let mut heard = self.energised(world, n, port, aerial);
        self.random.shuffle(&mut heard);
        let air = TURN_S - SWITCH_S;
        heard.truncate((air / READ_S) as usize);
        let rounds = (air / (heard.len() as f64 * READ_S + 0.004)).min(6.0);
        for (tag, margin, rssi) in heard {
            let p = 1.0 / (1.0 + libm::exp(-margin / ANSWER_DB));
            let whole = rounds as u64 + u64::from(self.random.chance(rounds.fract()));
            let count = (0..whole.max(1)).filter(|_| self.random.chance(p)).count();
            if count == 0 {
                continue;
            }
            let loudest = (0..count)
                .map(|_| self.fading_db * self.random.normal())
                .fold(f64::NEG_INFINITY, f64::max);
            let dbm = ((rssi + loudest) * 2.0).round() / 2.0;
            if dbm < READER_DBM {
                continue;
            }
            let sensed = world.now + SWITCH_S + self.random.range(0.0, air);
            self.report(world, n, port, tag, (sensed, dbm, count), tape);
        }
    }

    fn report(
        &mut self,
        world: &World,
        n: usize,
        port: usize,
        (unit, tag): (usize, usize),
        (sensed, dbm, count): (f64, f64, usize),
        tape: &mut Tape,
    ) {
        let tag = &world.stock.units[unit].tags[tag];
        let delay = self.random.range(self.delay_s.0, self.delay_s.1);
        let state = &self.readers[n];
        let arrives = if state.burst_s > 0.0 {
            (sensed / state.burst_s).ceil() * state.burst_s + delay
        } else {
            sensed + delay
        };
        let json = format!(
            "{{\"epc\": \"{}\", \"antenna\": {}, \"rssi_dbm\": {dbm:.1}, \"count\": {count}}}",
            tag.epc,
            port + 1
        );
        tape.send(&state.topic, SCHEMA, sensed, arrives, json);
    }

    /// Tags (their unit, and which of its tags) with power enough to answer, with their margin and
    /// what the reader hears, dBm.
    fn energised(
        &mut self,
        world: &World,
        n: usize,
        port: usize,
        aerial: &Aerial,
    ) -> Vec<((usize, usize), f64, f64)> {
        let mut out = Vec::new();
        for (u, unit) in world.stock.units.iter().enumerate() {
            for (t, tag) in unit.tags.iter().enumerate() {
                let loss = match unit.place {
                    Place::Gone => continue,
                    Place::Shelf(_) | Place::Floor(_) => self.resting(world, n, port, u, tag.slot),
                    Place::Held(p, carry) => {
                        self.carried(world, aerial, [n, port, tag.slot], u, (p, carry))
                    }
                };
                let at_tag = aerial.power_dbm - loss + tag.quality_db;
                let margin = at_tag - TAG_DBM + 0.5 * self.fading_db * self.random.normal();
                if margin > -2.0 {
                    let rssi = at_tag - loss + tag.quality_db - ANSWER_LOSS_DB;
                    out.push(((u, t), margin, rssi));
                }
            }
        }
        out
    }

    /// Loss one way of a unit at rest; the same until somebody moves it, but for bodies.
    fn resting(&mut self, world: &World, n: usize, port: usize, u: usize, slot: usize) -> f64 {
        let unit = &world.stock.units[u];
        let aerial = &world.shop.readers[n].ports[port];
        let known = &mut self.readers[n].known[port];
        if known.len() <= slot {
            known.resize(slot + 64, (u64::MAX, 0.0));
        }
        if known[slot].0 != unit.pose {
            let good = &world.shop.goods[unit.good];
            let (tag, built) = match unit.place {
                Place::Shelf(spot) => {
                    let tag = tag_place(&world.shop, &spot, good.size.2);
                    (tag, built_loss(world, aerial, tag, &spot))
                }
                Place::Floor(place) => {
                    let from = nearest(aerial, place);
                    (place, WALL_DB + fixtures_between(world, from, place))
                }
                Place::Held(..) | Place::Gone => return 200.0,
            };
            let still = free_loss(aerial, tag) + built + pack_loss(good.kind);
            let key = [self.seed, n as u64, port as u64, slot as u64, unit.pose];
            known[slot] = (unit.pose, still + pose_loss(&key, self.pose_db));
        }
        let loss = known[slot].1;
        if loss > aerial.power_dbm - TAG_DBM + 6.0 || matches!(aerial.at, ReadPoint::Shelf(..)) {
            return loss;
        }
        let tag = match unit.place {
            Place::Shelf(spot) => tag_place(&world.shop, &spot, 0.2),
            Place::Floor(place) => place,
            Place::Held(..) | Place::Gone => return loss,
        };
        loss + 5.0 * bodies_between(world, aerial.a, tag, usize::MAX) as f64
    }

    fn carried(
        &self,
        world: &World,
        aerial: &Aerial,
        [n, port, slot]: [usize; 3],
        u: usize,
        (p, carry): (usize, Carry),
    ) -> f64 {
        let person = &world.people[p];
        let unit = &world.stock.units[u];
        if !person.present {
            return 200.0;
        }
        let item = person.carried(carry);
        let free = free_loss(aerial, item);
        if free > 55.0 {
            return 200.0;
        }
        let from = nearest(aerial, item);
        // The holder's own body: between item and antenna, or not.
        let (dx, dy) = (item.x - person.position.x, item.y - person.position.y);
        let (ax, ay) = (from.x - person.position.x, from.y - person.position.y);
        let len = (dx * dx + dy * dy).sqrt() * (ax * ax + ay * ay).sqrt();
        let cos = if len > 1e-6 {
            (dx * ax + dy * ay) / len
        } else {
            0.0
        };
        let own = 4.5 * (1.0 - cos);
        let hidden = match carry {
            Carry::Hand | Carry::Basket => 0.0,
            Carry::Bag if person.foil => 25.0,
            Carry::Bag => 2.0,
            Carry::Pocket => 6.0,
            Carry::Crammed => 20.0,
        };
        // Swings while carried: another pose every 0.7 s.
        let swing = (world.now / 0.7) as u64;
        let key = [
            self.seed,
            n as u64,
            port as u64,
            slot as u64,
            unit.pose,
            swing,
        ];
        free + own
            + hidden
            + pack_loss(world.shop.goods[unit.good].kind)
            + pose_loss(&key, self.pose_db)
            + 5.0 * bodies_between(world, from, item, p) as f64
            + fixtures_between(world, from, item)
    }
}

/// The antenna's nearest point.
fn nearest(aerial: &Aerial, p: Vec3) -> Vec3 {
    let d = aerial.b - aerial.a;
    let len = d.dot(d);
    if len < 1e-9 {
        return aerial.a;
    }
    let t = ((p - aerial.a).dot(d) / len).clamp(0.0, 1.0);
    aerial.a + d * t
}

/// Path loss less the antenna's gain towards the tag.
fn free_loss(aerial: &Aerial, tag: Vec3) -> f64 {
    let from = nearest(aerial, tag);
    let d = tag - from;
    let distance = d.length().max(0.16);
    let path = 31.2 + 20.0 * libm::log10(distance);
    let gain = match aerial.at {
        ReadPoint::Shelf(..) => aerial.gain_dbi + STRIP_DB,
        ReadPoint::Door(_) => {
            let degrees = libm::acos(d.unit().dot(aerial.boresight).clamp(-1.0, 1.0)).to_degrees();
            aerial.gain_dbi - (12.0 * (degrees / 75.0) * (degrees / 75.0)).min(20.0)
        }
    };
    path - gain
}

/// Boards and backs between an antenna and a place on a shelf.
fn built_loss(world: &World, aerial: &Aerial, tag: Vec3, spot: &Spot) -> f64 {
    let fixture = &world.shop.fixtures[spot.fixture];
    match aerial.at {
        ReadPoint::Shelf(f, l) if f == spot.fixture => 9.5 * l.abs_diff(spot.level) as f64,
        _ => {
            let from = nearest(aerial, tag);
            let n = fixture.outward();
            let before = (from.x - fixture.left.x) * n.x + (from.y - fixture.left.y) * n.y;
            match aerial.at {
                // A neighbour in the row, or one back to back.
                ReadPoint::Shelf(..) if before > -0.45 => 2.0,
                ReadPoint::Shelf(..) => 3.5,
                ReadPoint::Door(_) if before > 0.0 => 4.0,
                ReadPoint::Door(_) => 14.0,
            }
        }
    }
}

fn pack_loss(kind: Kind) -> f64 {
    match kind {
        Kind::Can => 4.0,
        Kind::Bottle => 3.0,
        Kind::Bag => 2.0,
        Kind::Carton | Kind::Sweets => 0.5,
    }
}

/// Half the spread of what a reader hears, and in a tag of thirty a null of its dipole.
fn pose_loss(key: &[u64], pose_db: f64) -> f64 {
    let mut r = Random::keyed(key);
    let null = if r.chance(0.03) { 7.0 } else { 0.0 };
    0.5 * pose_db * r.normal() + null
}

/// Bodies other than `holder` on the straight line.
fn bodies_between(world: &World, a: Vec3, b: Vec3, holder: usize) -> usize {
    let near = |(n, p): (usize, &crate::sim::people::Person)| {
        if !p.present || n == holder {
            return false;
        }
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let len = (dx * dx + dy * dy).max(1e-9);
        let t = ((p.position.x - a.x) * dx + (p.position.y - a.y) * dy) / len;
        if !(0.05..0.95).contains(&t) {
            return false;
        }
        let (x, y) = (a.x + t * dx - p.position.x, a.y + t * dy - p.position.y);
        x * x + y * y < p.radius * p.radius && a.z + t * (b.z - a.z) < p.tall
    };
    world
        .people
        .iter()
        .enumerate()
        .filter(|(n, p)| near((*n, *p)))
        .count()
}

/// A fixture's body between: as its back.
fn fixtures_between(world: &World, a: Vec3, b: Vec3) -> f64 {
    let middle = [0.3, 0.5, 0.7].map(|t| a.lerp(b, t));
    let blocked = world.shop.fixtures.iter().any(|f| {
        middle
            .iter()
            .filter(|m| m.z < f.height && f.covers(m.floor(), -0.12))
            .count()
            > 1
    });
    if blocked { 14.0 } else { 0.0 }
}
