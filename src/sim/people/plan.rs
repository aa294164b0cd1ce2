//! Who comes when, and what they mean to do. Intentions, not results: what a facing no longer
//! holds cannot be taken.
//!
//! | habit | chance or span | source |
//! | --- | --- | --- |
//! | arrivals | Poisson; mean gap = 42 s / people inside | entry as a Poisson stream |
//! | party of two or three | 10 % | groups of 1–4 |
//! | without a token | 10 %, half of them close behind somebody | tail-gaters |
//! | errands a shopper | 1–4: 30, 32, 23, 15 % | baskets of a convenience shop |
//! | looks at some other place first | 30 % of errands | assumed |
//! | several at once; one after the other | 9 %; 14 % | assumed |
//! | touches first and takes nothing | 18 % of errands | touch-to-take (RetailAction's "touch") |
//! | puts back: at once; later; wrong place | 20 %; 9 %; 7 % of takes | put-back ratio about a quarter |
//! | hands an item to another visit | 4 % of takes, somebody being near | assumed |
//! | hesitates before reaching | log-normal, median 1.8 s | dwell and decision times |
//! | shows the token again at the way out | 30 % | assumed |
//! | the same where no camera sees the floor | all in half of the shops | a code reader at the exit |
//!
//! Where no camera sees the floor, nobody can be told from anybody: everyone, helpers too, has a
//! token, or comes from the back.

use std::collections::VecDeque;

use super::{Act, Back, Step};
use crate::sim::random::Random;
use crate::sim::shop::Shop;
use crate::sim::space::at;
use crate::sim::stock::{Brought, Carry};
use crate::units::Point;

/// A visit to come.
#[derive(Debug, Default)]
pub(in crate::sim) struct Arrival {
    pub at: f64,
    pub token: Option<String>,
    pub member: Option<String>,
    /// Shown again on the way out.
    pub presented: bool,
    pub staff: bool,
    /// Comes out of the back room rather than through the door.
    pub from_back: bool,
    /// Leaves by the second lane.
    pub by_lane: bool,
    /// Its bag is lined with foil.
    pub foil: bool,
    /// What the first of them comes in with.
    pub brings: Vec<Brought>,
    /// However right its receipt is, a person must look at it.
    pub review: bool,
    /// One list of steps a person.
    pub people: Vec<VecDeque<Step>>,
}

/// Mean time inside, from which the rate of arrivals follows.
const MEAN_STAY_S: f64 = 42.0;
/// The shop is empty before.
const FIRST_S: (f64, f64) = (8.6, 10.0);

pub(in crate::sim) fn day(seed: u64, shop: &Shop, visits: usize, crowd: f64) -> Vec<Arrival> {
    let mut random = Random::stream(seed, "plan");
    let r = &mut random;
    let mut out: Vec<Arrival> = Vec::new();
    let mut now = r.range(FIRST_S.0, FIRST_S.1);
    let mut restock = now + r.range(6.0, 40.0);
    let mut tokens: Vec<u64> = Vec::new();
    let mut shoppers = 0;
    let followed = shop.is_followed();
    let asked = !followed && Random::stream(seed, "exits").chance(0.5);
    while shoppers < visits {
        if restock < now {
            out.push(staff(r, shop, restock));
            restock += 20.0 + r.exponential(70.0);
        }
        let anonymous = followed && shoppers > 0 && r.chance(0.10);
        let close = anonymous && r.chance(0.5);
        if close {
            // On the heels of whoever came last.
            let last = out.iter().rfind(|a| !a.staff).map_or(now, |a| a.at);
            let then = last + r.range(0.9, 1.8);
            out.push(shopper(r, shop, then, None));
        } else {
            let token = (!anonymous).then(|| {
                loop {
                    let number = r.int(1000, 99_999);
                    if !tokens.contains(&number) {
                        tokens.push(number);
                        break format!("q-{number}");
                    }
                }
            });
            out.push(shopper(r, shop, now, token));
            now += 1.2 + r.exponential((MEAN_STAY_S / crowd - 1.2).max(0.5));
        }
        shoppers += 1;
    }
    out.sort_by(|a, b| a.at.total_cmp(&b.at));
    if asked {
        for arrival in out.iter_mut().filter(|a| a.token.is_some()) {
            arrival.presented = true;
        }
    }
    out
}

fn shopper(r: &mut Random, shop: &Shop, at: f64, token: Option<String>) -> Arrival {
    let size = match &token {
        Some(_) => 1 + r.weighted(&[0.90, 0.08, 0.02]),
        None => 1,
    };
    Arrival {
        at,
        member: token
            .is_some()
            .then(|| r.chance(0.3).then(|| format!("m-{}", r.int(100, 999))))
            .flatten(),
        presented: token.is_some() && r.chance(0.3),
        token,
        people: (0..size).map(|n| errands(r, shop, n > 0)).collect(),
        ..Arrival::default()
    }
}

fn errands(r: &mut Random, shop: &Shop, companion: bool) -> VecDeque<Step> {
    let weights = if companion {
        [0.35, 0.4, 0.2, 0.05, 0.0]
    } else {
        [0.0, 0.30, 0.32, 0.23, 0.15]
    };
    let carry = [Carry::Hand, Carry::Basket, Carry::Bag][r.weighted(&[0.35, 0.35, 0.3])];
    let mut steps = VecDeque::new();
    for _ in 0..r.weighted(&weights) {
        if r.chance(0.3) {
            steps.push_back(Step::Wander);
        }
        errand(r, shop, carry, &mut steps);
    }
    if steps.is_empty() {
        let (f, along) = (r.index(shop.fixtures.len()), 0.5);
        steps.push_back(Step::Go(before(r, shop, f, along), 0.3));
        steps.push_back(Step::Stand(r.range(4.0, 10.0)));
    }
    steps.push_back(Step::Leave);
    steps
}

/// Where one stands to reach for a place of a front.
pub(in crate::sim) fn before(r: &mut Random, shop: &Shop, fixture: usize, along: f64) -> Point {
    let f = &shop.fixtures[fixture];
    f.spot(along + 0.12 * r.normal(), r.range(0.38, 0.6))
}

fn errand(r: &mut Random, shop: &Shop, carry: Carry, steps: &mut VecDeque<Step>) {
    let f = r.index(shop.fixtures.len());
    // Eye and hip height sell best.
    let levels = &shop.fixtures[f].levels;
    let weights: Vec<f64> = levels
        .iter()
        .map(|l| libm::exp(-((l.z - 1.1) / 0.7) * ((l.z - 1.1) / 0.7)) * l.facings.len() as f64)
        .collect();
    let l = r.weighted(&weights);
    let n = r.index(levels[l].facings.len());
    let facing = &levels[l].facings[n];
    let along = (facing.from + facing.to) / 2.0;
    steps.push_back(Step::Go(before(r, shop, f, along), 0.12));
    steps.push_back(Step::Face(shop.fixtures[f].spot(along, 0.0)));
    steps.push_back(Step::Stand(r.log_normal(1.8, 0.6).clamp(0.3, 8.0)));
    let reach = |act| Step::Reach(f, l, along, act);
    if r.chance(0.18) {
        steps.push_back(reach(Act::Touch));
        steps.push_back(Step::Stand(r.range(0.3, 2.0)));
        if r.chance(0.6) {
            return;
        }
    }
    let at_once = if r.chance(0.09) { 2 } else { 1 };
    let times = if at_once == 1 && r.chance(0.14) {
        r.int(2, 3)
    } else {
        1
    };
    for _ in 0..times {
        steps.push_back(reach(Act::Take(n, at_once)));
        steps.push_back(Step::Stand(r.range(0.0, 0.4)));
    }
    afterwards(r, carry, steps);
}

fn afterwards(r: &mut Random, carry: Carry, steps: &mut VecDeque<Step>) {
    match r.weighted(&[0.60, 0.20, 0.09, 0.07, 0.04]) {
        1 => {
            steps.push_back(Step::Stand(r.log_normal(2.0, 0.6)));
            steps.push_back(Step::Return(Back::Home));
        }
        2 => {
            // Later: after another errand somewhere has begun.
            steps.push_back(Step::Stow(carry));
            steps.push_back(Step::Wander);
            steps.push_back(Step::Return(Back::Home));
        }
        3 => {
            steps.push_back(Step::Stow(carry));
            steps.push_back(Step::Wander);
            steps.push_back(Step::Return(Back::Elsewhere));
        }
        4 => {
            steps.push_back(Step::Stand(r.range(0.3, 1.0)));
            steps.push_back(Step::HandOver);
        }
        _ => {
            steps.push_back(Step::Stand(r.log_normal(1.3, 0.5)));
            let hidden = r.chance(0.04);
            steps.push_back(Step::Stow(if hidden { Carry::Pocket } else { carry }));
        }
    }
}

/// A helper who fills up some facing.
fn staff(r: &mut Random, shop: &Shop, now: f64) -> Arrival {
    let f = r.index(shop.fixtures.len());
    let l = r.index(shop.fixtures[f].levels.len());
    let n = r.index(shop.level(f, l).facings.len());
    helper(r, shop, (f, l, n), now)
}

/// A helper who fills up the facing of this fixture, level and number.
pub(super) fn helper(
    r: &mut Random,
    shop: &Shop,
    place: (usize, usize, usize),
    now: f64,
) -> Arrival {
    let count = r.int(3, 7);
    errand_of_staff(r, shop, (&[place], count, Act::Fill), now)
}

/// A helper who does something so many times at each of some facings of one shelf.
pub(super) fn errand_of_staff(
    r: &mut Random,
    shop: &Shop,
    (places, times, act): (&[(usize, usize, usize)], u64, fn(usize) -> Act),
    now: f64,
) -> Arrival {
    let by = format!("s-{}", r.int(1, 9));
    let mut steps = VecDeque::new();
    for (k, (f, l, n)) in places.iter().copied().enumerate() {
        let facing = &shop.level(f, l).facings[n];
        let along = (facing.from + facing.to) / 2.0;
        steps.push_back(Step::Go(shop.fixtures[f].spot(along, 0.5), 0.15));
        steps.push_back(Step::Face(shop.fixtures[f].spot(along, 0.0)));
        if k == 0 {
            steps.push_back(Step::Command("restock.begin", f, l, by.clone()));
        }
        for _ in 0..times {
            steps.push_back(Step::Reach(f, l, along, act(n)));
            steps.push_back(Step::Stand(r.range(0.2, 0.6)));
        }
        if k + 1 == places.len() {
            steps.push_back(Step::Command("restock.end", f, l, by.clone()));
        }
    }
    steps.push_back(Step::Leave);
    let from_back = shop.staff_zone().is_some();
    Arrival {
        at: now,
        token: (!from_back).then(|| format!("s-{}", r.int(10, 99))),
        staff: true,
        from_back,
        people: vec![steps],
        ..Arrival::default()
    }
}

/// A place somewhere in the shop to walk by.
pub(in crate::sim) fn somewhere(r: &mut Random, shop: &Shop) -> Point {
    let f = r.index(shop.fixtures.len());
    let along = r.range(0.2, shop.fixtures[f].length() - 0.2);
    let p = before(r, shop, f, along);
    at(p.x, p.y)
}
