//! Shelf cameras with a product detector behind them, three frames a second.
//!
//! The front unit of each column is to be seen, as far as the board above, people and hands leave
//! it. The classifier gives the right product first with a chance of [`Effects::product_right`];
//! four in ten of its errors stay with a unit, the others come and go; the rest of its belief goes
//! to the flavours of the same family.

use super::body::{clear_of_fixtures, clear_of_people, clip};
use super::floor_eye::{Found, SCHEMA, frame, jittered, people};
use crate::sim::effects::Effects;
use crate::sim::random::Random;
use crate::sim::shop::{Shop, Task};
use crate::sim::space::{Pinhole, Vec3, vec3};
use crate::sim::stock::{Place, What};
use crate::sim::tape::Tape;
use crate::sim::world::World;
use std::fmt::Write as _;

const PERIOD_S: f64 = 1.0 / 3.0;

#[derive(Debug)]
pub(in crate::sim) struct ShelfEyes {
    eyes: Vec<State>,
    /// Places in `goods`, by family.
    families: Vec<Vec<usize>>,
    effects: Effects,
    seed: u64,
    random: Random,
}

#[derive(Debug)]
struct State {
    eye: usize,
    next: f64,
    frame: u64,
}

impl ShelfEyes {
    pub(in crate::sim) fn new(seed: u64, world: &World, effects: &Effects) -> Self {
        let mut random = Random::stream(seed, "shelf eyes");
        let mut eyes = Vec::new();
        for (eye, e) in world.shop.eyes.iter().enumerate() {
            if matches!(e.task, Task::Shelves(_)) {
                eyes.push(State {
                    eye,
                    next: random.range(0.0, PERIOD_S),
                    frame: 0,
                });
            }
        }
        Self {
            eyes,
            families: families(&world.shop),
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
            let eye = self.eyes[n].eye;
            let found = self.look(world, eye);
            let json = frame(&world.shop.eyes[eye].camera, &found, self.eyes[n].frame);
            let (least, more) = self.effects.frame_delay_s;
            let arrives = world.now + 1.8 * least + self.random.exponential(1.2 * more);
            let topic = format!("/camera/{}/detections", world.shop.eyes[eye].id);
            tape.send(&topic, SCHEMA, sensed, arrives, json);
        }
    }

    fn look(&mut self, world: &World, eye: usize) -> Vec<Found> {
        let camera = &world.shop.eyes[eye].camera;
        let mut out = Vec::new();
        if let Task::Shelves(regions) = &world.shop.eyes[eye].task {
            for (f, l, _) in regions {
                for unit in world.stock.fronts(*f, *l) {
                    if let Some(found) = self.product(world, camera, eye, unit) {
                        out.push(found);
                    }
                }
            }
        }
        self.hands(world, camera, &mut out);
        for (_, seen) in people(world, camera) {
            if seen.visible > 0.25 && self.random.chance(1.0 - self.effects.person_missed) {
                let r = &mut self.random;
                if let Some(bbox) = jittered(r, seen.bbox, self.effects.box_jitter, camera) {
                    let score = (0.7 + 0.2 * seen.visible + 0.05 * r.normal()).clamp(0.3, 0.99);
                    out.push(plain("person", score, bbox));
                }
            }
        }
        out
    }

    /// One unit on a shelf.
    fn product(
        &mut self,
        world: &World,
        camera: &Pinhole,
        eye: usize,
        unit: usize,
    ) -> Option<Found> {
        let u = &world.stock.units[unit];
        let Place::Shelf(spot) = u.place else {
            return None;
        };
        if u.what == What::Label {
            return None;
        }
        let fixture = &world.shop.fixtures[spot.fixture];
        let level = &fixture.levels[spot.level];
        let size = world.shop.goods[u.good].size;
        let front = spot.behind - size.1 / 2.0;
        let at = |along: f64, z: f64| {
            let p = fixture.spot(spot.along + along * size.0, -front);
            vec3(p.x, p.y, level.z + z * size.2)
        };
        let ceiling = level.z + level.clear - 0.02;
        let open: Vec<Vec3> = [at(0.0, 0.2), at(0.0, 0.55), at(0.0, 0.9)]
            .into_iter()
            .filter(|p| below_board(camera, *p, front, ceiling, fixture.outward()))
            .filter(|p| clear_of_people(world, camera.eye, *p, usize::MAX))
            .collect();
        let r = &mut self.random;
        let share = open.len() as f64 / 3.0;
        if open.is_empty() || !r.chance((1.0 - self.effects.product_missed) * (0.4 + 0.6 * share)) {
            return None;
        }
        if !clear_of_fixtures(
            world,
            camera.eye,
            fixture.spot3(spot.along, 0.05, level.z + 0.1),
        ) {
            return None;
        }
        let top = if share < 1.0 { 0.35 + 0.6 * share } else { 1.0 };
        let bbox = boxed(
            camera,
            [at(-0.5, 0.0), at(0.5, 0.0), at(-0.5, top), at(0.5, top)],
        )?;
        let bbox = jittered(r, bbox, self.effects.box_jitter, camera)?;
        if bbox[2] - bbox[0] < 7.0 || bbox[3] - bbox[1] < 7.0 {
            return None;
        }
        let score = (0.82 + 0.085 * r.normal()).clamp(0.3, 0.99);
        let key = [self.seed, 21, eye as u64, unit as u64, u.pose];
        let alike = alike(&self.families, &world.shop, u.good);
        let gtins = classify(
            &world.shop,
            u.good,
            alike,
            self.effects.product_right,
            &key,
            r,
        );
        Some(Found {
            class: "product",
            score,
            bbox,
            gtins,
        })
    }

    /// Hands that reach, and what they bring back.
    fn hands(&mut self, world: &World, camera: &Pinhole, out: &mut Vec<Found>) {
        for person in world.people.iter().filter(|p| p.visible()) {
            let Some(reach) = person.reach.as_ref().filter(|r| r.extent() > 0.35) else {
                continue;
            };
            let hand = person.hand();
            // Where the arm comes out of the shelf.
            let before = world.shop.fixtures[reach.fixture].spot3(reach.along, 0.04, hand.z);
            let r = &mut self.random;
            if !r.chance(self.effects.hand_seen)
                || !clear_of_fixtures(world, camera.eye, before)
                || (camera.eye - hand).length() > 3.2
            {
                continue;
            }
            let half = vec3(0.06, 0.06, 0.07);
            if let Some(bbox) = boxed(camera, [hand - half, hand + half, hand - half, hand + half])
            {
                let score = (0.7 + 0.13 * r.normal()).clamp(0.28, 0.99);
                if let Some(bbox) = jittered(r, bbox, 0.05, camera) {
                    out.push(plain("hand", score, bbox));
                }
            }
            let held_seen = self.effects.held_seen;
            let brings = reach
                .moving
                .first()
                .or_else(|| person.origins.last().map(|o| &o.0));
            if let Some(unit) = brings.filter(|_| reach.gripped && r.chance(held_seen)) {
                let good = world.stock.units[*unit].good;
                let size = world.shop.goods[good].size;
                let half = vec3(size.0 / 2.0, size.0 / 2.0, size.2 / 2.0);
                if let Some(bbox) =
                    boxed(camera, [hand - half, hand + half, hand - half, hand + half])
                {
                    let key = [self.seed, 22, *unit as u64];
                    let alike = alike(&self.families, &world.shop, good);
                    let gtins = classify(&world.shop, good, alike, 0.8, &key, r);
                    out.push(Found {
                        class: "product",
                        score: r.range(0.4, 0.85),
                        bbox,
                        gtins,
                    });
                }
            }
        }
    }
}

fn plain(class: &'static str, score: f64, bbox: [f64; 4]) -> Found {
    Found {
        class,
        score,
        bbox,
        gtins: String::new(),
    }
}

/// Whether the line to a point behind the front passes under the board above it.
fn below_board(
    camera: &Pinhole,
    p: Vec3,
    behind: f64,
    ceiling: f64,
    outward: crate::units::Point,
) -> bool {
    let d = camera.eye - p;
    let off = d.x * outward.x + d.y * outward.y;
    if off <= 0.0 {
        return false;
    }
    p.z + d.z * (behind.max(0.0) / off) < ceiling
}

fn boxed(camera: &Pinhole, points: [Vec3; 4]) -> Option<[f64; 4]> {
    let mut b = [
        f64::INFINITY,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
    ];
    for p in points {
        let (u, v, _) = camera.project(p)?;
        b = [b[0].min(u), b[1].min(v), b[2].max(u), b[3].max(v)];
    }
    clip(b, camera)
}

/// The goods of each family, in the order of the assortment.
fn families(shop: &Shop) -> Vec<Vec<usize>> {
    let last = shop.goods.iter().map(|good| good.family).max();
    let mut families = vec![Vec::new(); last.map_or(0, |last| last + 1)];
    for (g, good) in shop.goods.iter().enumerate() {
        families[good.family].push(g);
    }
    families
}

/// The family that a good is of, itself among it.
fn alike<'a>(families: &'a [Vec<usize>], shop: &Shop, good: usize) -> &'a [usize] {
    &families[shop.goods[good].family]
}

/// `, "gtins": {…}`: the classifier's belief; `alike` is the good's family.
fn classify(
    shop: &Shop,
    good: usize,
    alike: &[usize],
    right: f64,
    key: &[u64],
    r: &mut Random,
) -> String {
    let mut others: Vec<usize> = alike.iter().copied().filter(|g| *g != good).collect();
    while others.len() < 3 {
        others.push(r.index(shop.goods.len()));
    }
    others.retain(|g| *g != good);
    let mut steady = Random::keyed(key);
    let wrong = steady.chance((1.0 - right) * 0.4) || r.chance((1.0 - right) * 0.6);
    // In a small assortment there may be nothing to take it for.
    let wrong = wrong && !others.is_empty();
    let top = (0.8 + 0.13 * r.normal()).clamp(0.3, 0.985);
    let mut belief: Vec<(usize, f64)> = Vec::new();
    let mut left = (1.0 - top) * r.range(0.85, 1.0);
    let first = if wrong {
        others[steady.index(others.len())]
    } else {
        good
    };
    belief.push((first, top));
    if wrong {
        others.push(good);
    }
    for other in others.into_iter().take(4) {
        if belief.iter().any(|b| b.0 == other) {
            continue;
        }
        let share = left * r.range(0.2, 0.7);
        left -= share;
        if share >= 0.015 {
            belief.push((other, share));
        }
    }
    let mut text = String::from(", \"gtins\": {");
    for (n, (g, p)) in belief.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        // Rounded down, so that the sum stays at 1 or below.
        let p = (p * 1000.0).floor() / 1000.0;
        write!(text, "{comma}\"{}\": {p:.3}", shop.goods[*g].gtin)
            .expect("a string takes all text");
    }
    text.push('}');
    text
}
