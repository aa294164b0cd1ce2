//! How tall somebody is: the commonest of the heights seen. Hidden feet and merged boxes give
//! heights of all kinds, whole bodies the same one again and again.

use serde::{Deserialize, Serialize};

/// Heights seen, in bins of 5 cm from 0.8 m.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Stature {
    bins: Vec<f32>,
}

const LEAST_M: f64 = 0.8;
const BIN_M: f64 = 0.05;
const BINS: usize = 28;
/// Heights remembered.
const MEMORY: f32 = 600.0;
/// Standard deviation of a stature measured often: cameras disagree by so much, metres.
pub(super) const SIGMA_M: f64 = 0.06;
/// What is known of somebody never measured, metres.
const UNKNOWN: (f64, f64) = (1.70, 0.11);

impl Stature {
    pub(super) fn add(&mut self, tall: f64) {
        let place = (tall - LEAST_M) / BIN_M;
        if place < 0.0 || place >= BINS as f64 {
            return;
        }
        self.bins.resize(BINS, 0.0);
        self.bins[place as usize] += 1.0;
        let all: f32 = self.bins.iter().sum();
        if all > MEMORY {
            for bin in &mut self.bins {
                *bin *= MEMORY / 2.0 / all;
            }
        }
    }

    /// The commonest height and its standard deviation, metres.
    pub(super) fn estimate(&self) -> (f64, f64) {
        let around = |i: usize| -> f32 {
            self.bins[i.saturating_sub(1)..(i + 2).min(BINS)]
                .iter()
                .sum()
        };
        let best = (0..self.bins.len()).max_by(|a, b| around(*a).total_cmp(&around(*b)));
        let Some(best) = best else { return UNKNOWN };
        let (mut n, mut sum) = (0.0, 0.0);
        for i in best.saturating_sub(1)..(best + 2).min(BINS) {
            let weight = f64::from(self.bins[i]);
            n += weight;
            sum += weight * (LEAST_M + BIN_M * (i as f64 + 0.5));
        }
        // A few heights in one place are weighed against what is known of people.
        let prior = (SIGMA_M / UNKNOWN.1) * (SIGMA_M / UNKNOWN.1) * 6.0;
        let mean = (sum + prior * UNKNOWN.0) / (n + prior);
        let unsure = UNKNOWN.1 * UNKNOWN.1 * prior / (n + prior);
        (mean, (SIGMA_M * SIGMA_M + unsure).sqrt())
    }

    /// Whether enough has been seen to tell somebody by it.
    pub(super) fn is_known(&self) -> bool {
        self.bins.iter().sum::<f32>() >= 8.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_feet_make_nobody_shorter() {
        let mut stature = Stature::default();
        assert_eq!(stature.estimate(), UNKNOWN);
        for i in 0..60 {
            stature.add(1.83 + 0.02 * f64::from(i % 3 - 1));
            stature.add(0.9 + 0.012 * f64::from(i));
        }
        let (tall, sigma) = stature.estimate();
        assert!((tall - 1.83).abs() < 0.03 && sigma < 0.07, "{tall} {sigma}");
    }
}
