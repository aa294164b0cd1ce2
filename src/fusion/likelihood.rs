//! How well a set of items explains a step of a shelf's scales: the total load tightly, its
//! spread over the plates loosely, since footprints and cross-talk are not known.

use std::sync::Arc;

use crate::shelf::{PlateStep, WeightStep};
use crate::store::{Scale, Store};
use crate::units::signal::{log_normal, log_sum_exp};

/// One item that came to (positive grams) or left (negative) some place along the shelf; where it
/// stood is one of `places`, metres along the front.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Load {
    pub(super) grams: f64,
    pub(super) places: Vec<f64>,
}

/// Where along a shelf something may have been moved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Places {
    /// Each place, metres along the front, and the log of its probability.
    each: Arc<Vec<(f64, f64)>>,
}

/// Places less likely than this, against the likeliest, are left out, nats.
const FAR_FROM_IT: f64 = 7.0;
/// How far off a camera places what it sees on a shelf, metres (1 sigma).
const CAMERA_M: f64 = 0.12;

impl Places {
    /// Places with weights that need not sum to 1.
    fn new(places: &[f64], weights: &[f64]) -> Self {
        let all: f64 = weights.iter().sum();
        if all <= 0.0 {
            // So far off everywhere that nothing tells them apart.
            return Self {
                each: Arc::new(
                    places
                        .iter()
                        .map(|place| (*place, -libm::log(places.len() as f64)))
                        .collect(),
                ),
            };
        }
        let most = weights.iter().copied().fold(0.0, f64::max);
        let each = places.iter().zip(weights);
        let likely = each.filter(|(_, w)| **w > most * libm::exp(-FAR_FROM_IT));
        let each = likely
            .map(|(place, w)| (*place, libm::log(w / all)))
            .collect();
        Self {
            each: Arc::new(each),
        }
    }

    /// All as likely.
    pub(super) fn any_of(places: &[f64]) -> Self {
        Self::new(places, &vec![1.0; places.len()])
    }

    pub(super) fn at(place: f64) -> Self {
        Self::any_of(&[place])
    }

    pub(super) fn each(&self) -> &[(f64, f64)] {
        &self.each
    }

    /// The place nearest to their mean.
    pub(super) fn middle(&self) -> f64 {
        let mean: f64 = self.each.iter().map(|(x, log)| x * libm::exp(*log)).sum();
        let off = |x: &f64| (x - mean).abs();
        let nearest = self.each.iter().map(|(x, _)| *x);
        nearest
            .min_by(|a, b| off(a).total_cmp(&off(b)))
            .unwrap_or(mean)
    }

    /// The same once a camera has seen it at a place.
    pub(super) fn seen_at(&self, along: f64) -> Self {
        let (places, weights): (Vec<f64>, Vec<f64>) = self
            .each
            .iter()
            .map(|(x, log)| {
                let z = (x - along) / CAMERA_M;
                (*x, libm::exp(log - 0.5 * z * z))
            })
            .unzip();
        let known = weights.iter().any(|w| *w > 1e-12);
        if known {
            Self::new(&places, &weights)
        } else {
            self.clone()
        }
    }

    /// One key for all that share these.
    pub(super) fn key(&self) -> usize {
        Arc::as_ptr(&self.each).addr()
    }
}

/// Half of the width over which an item's load spreads, metres: bottles and bags are 6 to 15 cm
/// wide.
const HALF_FOOTPRINT_M: f64 = 0.045;

/// Plates that touch feel at most so much of what their neighbours bear.
const MOST_LEAK: f64 = 0.08;
/// What they feel of it where a step does not tell, and how sure that is.
const USUAL_LEAK: (f64, f64) = (0.015, 0.012);

/// What a step says, plate by plate over the whole shelf.
pub(super) struct Measured<'a> {
    plates: Vec<(&'a Scale, f64, f64)>,
    total: f64,
    total_sigma: f64,
}

impl<'a> Measured<'a> {
    pub(super) fn new(store: &'a Store, step: &WeightStep) -> Self {
        let quiet = step.plates.iter().map(|p| p.sigma).fold(2.0, f64::max);
        let plate = |ix: &crate::ids::ScaleIx| {
            let changed = step.plates.iter().find(|p| p.scale == *ix);
            let (grams, sigma) = changed.map_or((0.0, quiet), |p| (p.grams, p.sigma));
            (&store.scales[ix.index()], grams, sigma)
        };
        let felt: f64 = step.plates.iter().map(|p| p.grams).sum();
        let variance: f64 = step.plates.iter().map(|p| p.sigma * p.sigma).sum();
        let several = store.shelf(step.shelf).scales.len() > 1;
        let (leak, unsure) = if several { leak(step) } else { (0.0, 0.0) };
        // What a plate bears it leaks to the neighbours on both sides.
        let total = felt / (1.0 + 2.0 * leak);
        let variance = variance + (2.0 * unsure * felt) * (2.0 * unsure * felt);
        Self {
            plates: store.shelf(step.shelf).scales.iter().map(plate).collect(),
            total,
            total_sigma: variance.sqrt(),
        }
    }

    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// Standard deviation of the total under an item of `grams`: the scale's own and the
    /// product's (catalogue weights are nominal; units differ by a percent or two).
    pub(super) fn total_sigma(&self, items: &[f64]) -> f64 {
        let units: f64 = items.iter().map(|g| (0.02 * g) * (0.02 * g) + 1.0).sum();
        (self.total_sigma * self.total_sigma + units).sqrt()
    }

    /// Log density of the step under these loads, and where each may have stood.
    pub(super) fn weigh(&self, loads: &[Load]) -> (f64, Vec<Places>) {
        let grams: Vec<f64> = loads.iter().map(|l| l.grams).collect();
        let sum: f64 = grams.iter().sum();
        let total = log_normal(self.total, sum, self.total_sigma(&grams));
        let (shape, places) = self.shape(loads);
        (total + shape, places)
    }

    /// Log density of the step under one item of a weight that nobody knows, 15 g to 2.5 kg, each
    /// order of magnitude as likely; and where it may have stood.
    pub(super) fn weigh_unknown(&self, places: &[f64]) -> (f64, Vec<Places>) {
        const LN_RANGE: f64 = 5.1;
        let load = Load {
            grams: self.total,
            places: places.to_vec(),
        };
        let (shape, places) = self.shape(&[load]);
        let grams = self.total.abs().max(15.0);
        (shape - libm::log(grams * LN_RANGE), places)
    }

    /// Mean over all combinations of places of the plates' densities, relative to a perfect match,
    /// and what they say of each load's place.
    fn shape(&self, loads: &[Load]) -> (f64, Vec<Places>) {
        let mut chosen = vec![0; loads.len()];
        let mut values = Vec::new();
        let mut shares: Vec<Vec<f64>> = loads.iter().map(|l| vec![0.0; l.places.len()]).collect();
        loop {
            let places: Vec<f64> = loads
                .iter()
                .zip(&chosen)
                .map(|(l, c)| l.places[*c])
                .collect();
            let value = self.shape_at(loads, &places);
            values.push(value);
            for (share, c) in shares.iter_mut().zip(&chosen) {
                share[*c] += libm::exp(value);
            }
            if !advance(&mut chosen, loads) {
                break;
            }
        }
        let mean = log_sum_exp(values.iter().copied()) - libm::log(values.len() as f64);
        let places = loads.iter().zip(&shares);
        let places = places.map(|(l, shares)| Places::new(&l.places, shares));
        (mean.max(-30.0), places.collect())
    }

    fn shape_at(&self, loads: &[Load], places: &[f64]) -> f64 {
        if self.plates.len() < 2 {
            return 0.0;
        }
        let moved: f64 = loads.iter().map(|l| l.grams.abs()).sum();
        let density = |(scale, grams, sigma): &(&Scale, f64, f64)| {
            let expected: f64 = loads
                .iter()
                .zip(places)
                .map(|(l, x)| l.grams * share(scale, *x))
                .sum();
            let slack = 2.0 + 0.05 * moved + 0.10 * expected.abs();
            let z = (grams - expected) / (sigma * sigma + slack * slack).sqrt();
            // Heavy tails: one plate that is off says no more than so much.
            (-0.5 * z * z).max(-6.0)
        };
        self.plates.iter().map(density).sum()
    }
}

/// The share of an item's load that a plate carries when the item stands at `x`.
fn share(scale: &Scale, x: f64) -> f64 {
    let from = scale.from.max(x - HALF_FOOTPRINT_M);
    let to = scale.to.min(x + HALF_FOOTPRINT_M);
    ((to - from) / (2.0 * HALF_FOOTPRINT_M)).clamp(0.0, 1.0)
}

/// The share of its load that a plate leaks to a neighbour, and how sure that is: the outermost
/// plates of a step that changed by a few hundredths of what the next ones did bear nothing.
fn leak(step: &WeightStep) -> (f64, f64) {
    let ratio = |outer: Option<&PlateStep>, inner: Option<&PlateStep>| {
        let ratio = outer?.grams / inner?.grams;
        (0.0..MOST_LEAK).contains(&ratio).then_some(ratio)
    };
    let plates = &step.plates;
    let n = plates.len();
    if n == 1 {
        return (0.0, 0.003);
    }
    let left = ratio(plates.first(), plates.get(1));
    let right = ratio(plates.last(), plates.get(n - 2));
    match (left, right) {
        (Some(a), Some(b)) => ((a + b) / 2.0, 0.004),
        (Some(a), None) | (None, Some(a)) => (a, 0.006),
        (None, None) => USUAL_LEAK,
    }
}

/// Counts through all combinations of places.
fn advance(chosen: &mut [usize], loads: &[Load]) -> bool {
    for (c, load) in chosen.iter_mut().zip(loads) {
        *c += 1;
        if *c < load.places.len() {
            return true;
        }
        *c = 0;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_tells_the_place_it_is_in_the_middle() {
        let anywhere = Places::any_of(&[0.0, 0.5, 1.0, 1.5, 2.0]);
        assert!((anywhere.middle() - 1.0).abs() < 1e-9);
        assert_eq!(anywhere.each().len(), 5);
        let seen = anywhere.seen_at(1.52);
        assert!((seen.middle() - 1.5).abs() < 1e-9);
        assert_eq!(seen.each().len(), 1);
        // What a camera sees elsewhere altogether says nothing of these places.
        assert_eq!(anywhere.seen_at(40.0), anywhere);
    }

    #[test]
    fn probabilities_of_places_sum_to_one() {
        let places = Places::new(&[0.1, 0.2, 0.9], &[0.2, 0.2, 1e-9]);
        let each = places.each();
        assert_eq!(each.len(), 2, "the last is out of the question");
        let sum: f64 = each.iter().map(|(_, log)| libm::exp(*log)).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        let nowhere = Places::new(&[0.1, 0.9], &[0.0, 0.0]);
        assert_eq!(nowhere, Places::any_of(&[0.1, 0.9]));
    }
}
