//! Steps on scales. Each plate learns its own noise and tracks its own level at rest; a change
//! from one rest to another is a step, and the steps of one shelf's plates at one time are one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{PlateStep, ShelfEvent, WeightStep};
use crate::ids::{ScaleIx, ShelfIx};
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};

/// One plate's recent samples and its level at rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Plate {
    /// By capture time.
    samples: VecDeque<(Timestamp, f64)>,
    level: Option<Level>,
    /// Standard deviation of a sample at rest, grams.
    noise: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Level {
    grams: f64,
    /// Samples that it is worth.
    n: f64,
}

/// Steps of one shelf's plates that wait for those of their neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    plates: Vec<PlateStep>,
    after: Timestamp,
    before: Timestamp,
    due: Timestamp,
}

const WINDOW: TimeDelta = TimeDelta::from_millis(500);
const KEPT: TimeDelta = TimeDelta::from_millis(4_000);
const NEIGHBOURS: TimeDelta = TimeDelta::from_millis(700);
const SAMPLES_MAX: usize = 400;

impl Default for Plate {
    fn default() -> Self {
        Self {
            samples: VecDeque::new(),
            level: None,
            noise: 3.0,
        }
    }
}

impl Plate {
    /// Takes a sample; tells the step that it completes: grams, sigma, after, before.
    pub(super) fn on_sample(
        &mut self,
        captured_at: Timestamp,
        grams: f64,
    ) -> Option<(f64, f64, Timestamp, Timestamp)> {
        self.insert(captured_at, grams);
        let newest = self.samples.back()?.0;
        let window: Vec<(Timestamp, f64)> = self
            .samples
            .iter()
            .rev()
            .take_while(|(at, _)| newest - *at <= WINDOW)
            .copied()
            .collect();
        let (oldest, n) = (window.last()?.0, window.len() as f64);
        if n < 4.0 || newest - oldest < TimeDelta::from_millis(300) {
            return None;
        }
        let mean = window.iter().map(|(_, g)| g).sum::<f64>() / n;
        let var = window
            .iter()
            .map(|(_, g)| (g - mean) * (g - mean))
            .sum::<f64>()
            / (n - 1.0);
        let half = window.len() / 2;
        let part = |s: &[(Timestamp, f64)]| s.iter().map(|(_, g)| g).sum::<f64>() / s.len() as f64;
        let slope = part(&window[..half]) - part(&window[half..]);
        let still = var.sqrt() < 1.9 * self.noise + 0.5
            && slope.abs() < 2.4 * self.noise / (n / 4.0).sqrt();
        let Some(level) = self.level else {
            if still || self.samples.len() > 20 {
                self.level = Some(Level { grams: mean, n });
            }
            return None;
        };
        if !still {
            return None;
        }
        let diff = mean - level.grams;
        let sigma = self.noise * (1.0 / n + 1.0 / level.n).sqrt();
        if diff.abs() < 3.2 * sigma.max(0.3) {
            // At rest: the level follows drift over about two seconds, the noise over many.
            let n = (level.n + 1.0).min(20.0);
            self.level = Some(Level {
                grams: level.grams + (grams - level.grams) / n,
                n,
            });
            self.noise += 0.01 * (var.sqrt().max(0.3) - self.noise);
            return None;
        }
        let near = |g: f64| (g - level.grams).abs() < 3.0 * self.noise;
        let after = self
            .samples
            .iter()
            .rev()
            .find(|(at, g)| *at < oldest && near(*g))
            .map_or(self.samples.front()?.0, |(at, _)| *at);
        self.level = Some(Level { grams: mean, n });
        Some((diff, sigma, after, oldest))
    }

    fn insert(&mut self, at: Timestamp, grams: f64) {
        let place = self.samples.partition_point(|(t, _)| *t <= at);
        self.samples.insert(place, (at, grams));
        while self.samples.len() > SAMPLES_MAX
            || self
                .samples
                .back()
                .zip(self.samples.front())
                .is_some_and(|(b, f)| b.0 - f.0 > KEPT)
        {
            self.samples.pop_front();
        }
    }
}

impl Pending {
    pub(super) fn new(at: Timestamp, step: PlateStep, after: Timestamp, before: Timestamp) -> Self {
        Self {
            plates: vec![step],
            after,
            before,
            due: at + NEIGHBOURS,
        }
    }

    pub(super) fn due(&self) -> Timestamp {
        self.due
    }

    pub(super) fn overlaps(&self, after: Timestamp, before: Timestamp) -> bool {
        let slack = TimeDelta::from_millis(150);
        after <= self.before + slack && self.after <= before + slack
    }

    pub(super) fn join(
        &mut self,
        at: Timestamp,
        step: PlateStep,
        after: Timestamp,
        before: Timestamp,
    ) {
        if let Some(same) = self.plates.iter_mut().find(|p| p.scale == step.scale) {
            same.grams += step.grams;
            same.sigma = (same.sigma * same.sigma + step.sigma * step.sigma).sqrt();
        } else {
            self.plates.push(step);
        }
        self.after = self.after.min(after);
        self.before = self.before.max(before);
        self.due = at + NEIGHBOURS;
    }

    /// The step, if all of it together is beyond noise.
    pub(super) fn finish(mut self, shelf: ShelfIx, store: &Store) -> Option<ShelfEvent> {
        self.plates.sort_by(|a, b| {
            let from = |s: ScaleIx| store.scales[s.index()].from;
            from(a.scale)
                .total_cmp(&from(b.scale))
                .then(a.scale.cmp(&b.scale))
        });
        let total: f64 = self.plates.iter().map(|p| p.grams).sum();
        let var: f64 = self.plates.iter().map(|p| p.sigma * p.sigma).sum();
        let real = total.abs() > 4.5 * var.sqrt() && total.abs() > 6.0;
        let Self {
            plates,
            after,
            before,
            ..
        } = self;
        real.then_some(ShelfEvent::WeightStep(WeightStep {
            shelf,
            after,
            before,
            plates,
        }))
    }
}
