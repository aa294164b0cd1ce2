//! Helpers: they change the stock, never a receipt.
//!
//! | number | scene | expected |
//! | --- | --- | --- |
//! | 15 | `restock` | 24 units more or the shelf full; the shopper elsewhere pays the own item |
//! | 15 | `restock-beside` | whoever takes beside the helper pays one |
//! | 16 | `staff-removes` | units go, nobody pays them |

use super::*;
use crate::sim::people::plan::{errand_of_staff, helper};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "restock",
        shows: "a helper fills a shelf up, a shopper takes elsewhere",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let (f, l, _) = longest(s);
            let count = s.shop.level(f, l).facings.len();
            let places: Vec<Where> = (0..count.min(4)).map(|n| (f, l, n)).collect();
            works(s, &places, UNITS / places.len() as u64, Act::Fill);
            shops_elsewhere(s, f);
        },
    },
    Scene {
        name: "restock-beside",
        shows: "a helper fills up beside a shopper who takes",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let steps = s.buys(a);
            s.comes(0.0, steps);
            // Not full, or nothing can be filled up.
            let (f, l, n) = a;
            let last = s.shop.level(f, l).facings.len() - 1;
            let beside = (f, l, if n < last { n + 1 } else { n.saturating_sub(1) });
            let helper = helper(&mut s.random, s.shop, beside, 8.0);
            s.play.arrivals.push(helper);
        },
    },
    Scene {
        name: "staff-removes",
        shows: "a helper takes expired goods away, a shopper takes elsewhere",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let place = s.facing();
            works(s, &[place], 3, |n| Act::Take(n, 1));
            shops_elsewhere(s, place.0);
        },
    },
];

const UNITS: u64 = 24;

/// The shelf with the most facings.
fn longest(s: &mut Stage<'_>) -> Where {
    let (mut best, mut most) = ((0, 0, 0), 0);
    for (f, fixture) in s.shop.fixtures.iter().enumerate() {
        for (l, level) in fixture.levels.iter().enumerate() {
            if level.facings.len() > most {
                (best, most) = ((f, l, 0), level.facings.len());
            }
        }
    }
    best
}

fn works(s: &mut Stage<'_>, places: &[Where], times: u64, act: fn(usize) -> Act) {
    let arrival = errand_of_staff(&mut s.random, s.shop, (places, times, act), FIRST_S);
    s.play.arrivals.push(arrival);
}

fn shops_elsewhere(s: &mut Stage<'_>, f: usize) {
    let others: Vec<usize> = (0..s.shop.fixtures.len()).filter(|o| *o != f).collect();
    let other = match others.len() {
        0 => f,
        n => others[s.random.index(n)],
    };
    let place = s.facing_of(other);
    let steps = s.buys(place);
    s.comes(6.0, steps);
}
