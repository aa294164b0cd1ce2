//! Floor cameras with a person detector behind them, ten frames a second.
//!
//! A person is found with a chance that rises with what is to be seen of them (half at 28 %);
//! boxes jitter in proportion to their size, end where legs are hidden or the image ends; of two
//! that overlap one may be swallowed or both become one, for half a second at a time; some cameras
//! see somebody in a poster. Frames travel for a while and may overtake each other.

use super::body::{self, Seen, clip, overlap};
use crate::sim::effects::Effects;
use crate::sim::incident::Incident;
use crate::sim::random::Random;
use crate::sim::shop::{Eye, Task};
use crate::sim::space::Pinhole;
use crate::sim::tape::Tape;
use crate::sim::world::World;
use std::fmt::Write as _;

const PERIOD_S: f64 = 0.1;
pub(super) const SCHEMA: &str = "basketd.Detections";

#[derive(Debug)]
pub(in crate::sim) struct FloorEyes {
    eyes: Vec<State>,
    effects: Effects,
    seed: u64,
    random: Random,
}

#[derive(Debug)]
struct State {
    /// Place in the shop's `eyes`.
    eye: usize,
    next: f64,
    frame: u64,
    /// Something stands before it.
    blocked: bool,
    /// Something that looks like a person now and then, with its chance.
    poster: Option<([f64; 4], f64)>,
}

/// A detection being written.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub class: &'static str,
    pub score: f64,
    pub bbox: [f64; 4],
    pub gtins: String,
}

impl FloorEyes {
    pub(in crate::sim) fn new(
        seed: u64,
        world: &World,
        effects: &Effects,
        incidents: &[Incident],
    ) -> Self {
        let mut random = Random::stream(seed, "floor eyes");
        let blocked = |id: &str| {
            let this = |i: &Incident| matches!(i, Incident::Blocked { camera } if camera == id);
            incidents.iter().any(this)
        };
        let floor = |e: &&(usize, &Eye)| matches!(e.1.task, Task::Floor(_));
        let all: Vec<(usize, &Eye)> = world.shop.eyes.iter().enumerate().collect();
        let eyes = all
            .iter()
            .filter(floor)
            .map(|(n, eye)| State {
                eye: *n,
                next: random.range(0.0, PERIOD_S),
                frame: 0,
                blocked: blocked(&eye.id),
                poster: random
                    .chance(0.06)
                    .then(|| poster(&mut random, &eye.camera)),
            })
            .collect();
        Self {
            eyes,
            effects: effects.clone(),
            seed,
            random,
        }
    }

    pub(in crate::sim) fn step(&mut self, world: &World, tape: &mut Tape) {
        for n in 0..self.eyes.len() {
            if self.eyes[n].next > world.now {
                continue;
            }
            let sensed = self.eyes[n].next;
            self.eyes[n].next += PERIOD_S;
            self.eyes[n].frame += 1;
            if self.random.chance(self.effects.frames_lost) {
                continue;
            }
            let found = self.look(world, n);
            let eye = &world.shop.eyes[self.eyes[n].eye];
            let json = frame(&eye.camera, &found, self.eyes[n].frame);
            let stall = if self.random.chance(0.01) {
                self.random.range(0.0, 0.25)
            } else {
                0.0
            };
            let (least, more) = self.effects.frame_delay_s;
            let arrives = world.now + least + stall + self.random.exponential(more);
            let topic = format!("/camera/{}/detections", eye.id);
            tape.send(&topic, SCHEMA, sensed, arrives, json);
        }
    }

    fn look(&mut self, world: &World, n: usize) -> Vec<Found> {
        let eye = self.eyes[n].eye;
        let camera = &world.shop.eyes[eye].camera;
        if self.eyes[n].blocked {
            return Vec::new();
        }
        let people = people(world, camera);
        let kept = self.merged(world, eye, people);
        let mut out = Vec::new();
        for (p, seen) in kept {
            if let Some(found) = self.detect(world, eye, p, &seen, camera) {
                out.push(found);
            }
        }
        if let Some((bbox, chance)) = self.eyes[n].poster
            && self.random.chance(chance)
        {
            out.push(self.false_person(bbox, camera));
        }
        if self.random.chance(self.effects.false_persons) {
            let bbox = poster(&mut self.random, camera).0;
            out.push(self.false_person(bbox, camera));
        }
        out
    }

    fn false_person(&mut self, bbox: [f64; 4], camera: &Pinhole) -> Found {
        let r = &mut self.random;
        Found {
            class: "person",
            score: r.range(0.26, 0.55),
            bbox: jittered(r, bbox, 0.02, camera).unwrap_or(bbox),
            gtins: String::new(),
        }
    }

    fn detect(
        &mut self,
        world: &World,
        eye: usize,
        p: usize,
        seen: &Seen,
        camera: &Pinhole,
    ) -> Option<Found> {
        let r = &mut self.random;
        // Half of all misses last for 0.3 s: a pose or a background that the detector dislikes.
        let spell = (world.now / 0.3) as u64;
        let miss = self.effects.person_missed / 2.0;
        if Random::keyed(&[self.seed, 11, eye as u64, p as u64, spell]).chance(miss)
            || r.chance(miss)
        {
            return None;
        }
        let found = 1.0 / (1.0 + libm::exp(-(seen.visible - 0.28) / 0.06));
        if !r.chance(found) || seen.bbox[3] - seen.bbox[1] < 18.0 {
            return None;
        }
        let bbox = jittered(r, seen.bbox, self.effects.box_jitter, camera)?;
        let score = 0.58 + 0.34 * seen.visible + 0.06 * r.normal();
        Some(Found {
            class: "person",
            score: score.clamp(0.26, 0.99),
            bbox,
            gtins: String::new(),
        })
    }

    /// Of two boxes that overlap much, the farther is swallowed or both become one.
    fn merged(&self, world: &World, eye: usize, people: Vec<(usize, Seen)>) -> Vec<(usize, Seen)> {
        let spell = (world.now / 0.5) as u64;
        let mut kept: Vec<(usize, Seen)> = Vec::new();
        for (p, seen) in people {
            let near = kept
                .iter_mut()
                .find(|(_, k)| overlap(&k.bbox, &seen.bbox) > 0.45);
            let Some((q, near)) = near else {
                kept.push((p, seen));
                continue;
            };
            let key = [self.seed, 12, eye as u64, p as u64, *q as u64, spell];
            let mut r = Random::keyed(&key);
            if !r.chance(self.effects.merge) {
                kept.push((p, seen));
            } else if r.chance(0.4) {
                let (a, b) = (&mut near.bbox, &seen.bbox);
                *a = [
                    a[0].min(b[0]),
                    a[1].min(b[1]),
                    a[2].max(b[2]),
                    a[3].max(b[3]),
                ];
            }
        }
        kept
    }
}

/// All that are to be seen, nearest first.
pub(super) fn people(world: &World, camera: &Pinhole) -> Vec<(usize, Seen)> {
    let mut out: Vec<(usize, Seen)> = (0..world.people.len())
        .filter(|p| world.people[*p].visible())
        .filter_map(|p| Some((p, body::seen(world, camera, p)?)))
        .collect();
    out.sort_by(|a, b| a.1.depth.total_cmp(&b.1.depth));
    out
}

fn poster(r: &mut Random, camera: &Pinhole) -> ([f64; 4], f64) {
    let tall = r.range(0.15, 0.45) * camera.height;
    let (u, v) = (
        r.range(0.05, 0.85) * camera.width,
        r.range(0.0, 0.55) * camera.height,
    );
    (
        [u, v, u + tall * r.range(0.35, 0.5), v + tall],
        r.range(0.05, 0.35),
    )
}

/// Each edge moves on its own, in proportion to the box.
pub(super) fn jittered(
    r: &mut Random,
    b: [f64; 4],
    share: f64,
    camera: &Pinhole,
) -> Option<[f64; 4]> {
    let (w, h) = ((b[2] - b[0]) * share, (b[3] - b[1]) * share);
    let moved = [
        b[0] + w * r.normal(),
        b[1] + h * r.normal(),
        b[2] + w * r.normal(),
        b[3] + h * r.normal(),
    ];
    clip(moved, camera)
}

/// A frame's message.
pub(super) fn frame(camera: &Pinhole, found: &[Found], number: u64) -> String {
    let mut json = format!(
        "{{\"width\": {}, \"height\": {}, \"detections\": [",
        camera.width, camera.height
    );
    for (n, f) in found.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        let b = f.bbox;
        write!(
            json,
            "{comma}{{\"class\": \"{}\", \"score\": {:.2}, \"box\": [{:.1}, {:.1}, {:.1}, {:.1}]{}}}",
            f.class, f.score, b[0], b[1], b[2], b[3], f.gtins
        )
        .expect("a string takes all text");
    }
    write!(json, "], \"frame\": {number}}}").expect("a string takes all text");
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::people::Person;
    use crate::sim::shop::{Premises, Shop, ShopKind};
    use crate::sim::space::at;
    use crate::sim::{Noise, Sensors};

    /// Shares of the floor that no camera sees, and one.
    fn coverage(kind: ShopKind, seed: u64) -> (f64, f64) {
        let effects = Effects::of(Noise::Clean);
        let shop = Shop::build(
            seed,
            kind,
            Sensors::ScaleFloor,
            Premises::default(),
            &effects,
        );
        let (low, high) = (shop.low, shop.high);
        let mut world = World::new(seed, shop, Vec::new(), &[], &effects);
        let mut r = Random::new(1);
        let mut person = Person::new(0, at(0.0, 0.0), [].into(), 0.0, &mut r);
        person.passed_in = true;
        world.people.push(person);
        let mut counts = [0.0; 3];
        let (mut x, mut y) = (low.x, low.y);
        while y < high.y {
            let here = at(x, y);
            let door = &world.shop.zones[world.shop.doors[world.shop.exit].zone];
            if world.floor.is_free(here) && y > door.low.y {
                world.people[0].position = here;
                let seeing = world.shop.eyes.iter().filter(|e| {
                    let seen = body::seen(&world, &e.camera, 0);
                    seen.is_some_and(|s| s.visible > 0.45)
                });
                counts[seeing.count().min(2)] += 1.0;
            }
            x += 0.2;
            if x > high.x {
                (x, y) = (low.x, y + 0.2);
            }
        }
        let all: f64 = counts.iter().sum();
        (counts[0] / all, counts[1] / all)
    }

    #[test]
    fn cameras_cover_the_floor() {
        for kind in [ShopKind::Kiosk, ShopKind::Hall] {
            for seed in 1..5 {
                let (none, one) = coverage(kind, seed);
                assert!(
                    none < 0.03,
                    "{kind:?} {seed}: {none:.3} unseen, {one:.3} by one"
                );
            }
        }
    }
}
