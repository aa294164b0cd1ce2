//! Steps on scales. Each plate learns its own noise and follows its own level at rest. When any
//! plate of a shelf moves, the levels of all are frozen; when all are still again, what has
//! changed between is one step. Hands that press and let go leave nothing; ringing is waited out.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Part, PlateStep, WeightStep};
use crate::ids::{ScaleIx, ShelfIx};
use crate::units::{TimeDelta, Timestamp};

/// The plates of one shelf.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct ShelfScale {
    plates: Vec<(ScaleIx, Plate)>,
    moving: Option<Moving>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Moving {
    since: Timestamp,
    unstill_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plate {
    /// By capture time.
    samples: VecDeque<(Timestamp, f64)>,
    level: Option<f64>,
    /// Samples at rest so far, at most a few hundred.
    rested: f64,
    /// Standard deviation of a sample at rest, grams.
    noise: f64,
}

/// Mean and spread of the newest samples.
struct Window {
    n: f64,
    mean: f64,
    sd: f64,
    slope: f64,
    newest: f64,
    span: TimeDelta,
}

/// Samples within this are looked at together.
const WINDOW: TimeDelta = TimeDelta::from_millis(550);
/// Samples kept; a shelf that moves for longer has lost its beginning.
const KEPT: TimeDelta = TimeDelta::from_millis(6_000);
const SAMPLES_MAX: usize = 600;
/// All plates must be still for so long.
const STILL: TimeDelta = TimeDelta::from_millis(350);
/// A shelf that does not come to rest for so long is taken as it is: something leans on it.
const LONGEST: TimeDelta = TimeDelta::from_millis(8_000);
/// A shelf that moved for less than this came to no rest between.
const SHORTEST: TimeDelta = TimeDelta::from_millis(1_300);
/// A shelf that is still for so long has come to a rest, if only for a moment.
const MOMENT: TimeDelta = TimeDelta::from_millis(450);
/// How far off a plate may be that was still for a moment only, grams.
const HASTY_G: f64 = 5.0;
/// The same, less a sample of a plate that tells ten times a second.
const NEARLY: TimeDelta = TimeDelta::from_millis(340);
/// A plate may not be better known than this, grams: quantisation, catalogues, temperature.
const SIGMA_FLOOR: f64 = 0.6;

impl ShelfScale {
    pub(super) fn add(&mut self, scale: ScaleIx) {
        let plate = Plate {
            samples: VecDeque::new(),
            level: None,
            rested: 0.0,
            noise: 3.0,
        };
        self.plates.push((scale, plate));
    }

    /// Forgets what a plate bears; its noise stays known.
    pub(super) fn begin_anew(&mut self, scale: ScaleIx) {
        let plate = self.plates.iter_mut().find(|(s, _)| *s == scale);
        if let Some((_, plate)) = plate {
            plate.samples.clear();
            plate.level = None;
            plate.rested = 0.0;
        }
    }

    /// Takes a sample; tells the steps that have come to their end with it.
    pub(super) fn on_sample(
        &mut self,
        shelf: ShelfIx,
        scale: ScaleIx,
        at: Timestamp,
        grams: f64,
    ) -> Vec<WeightStep> {
        self.sample(shelf, scale, at, grams).unwrap_or_default()
    }

    fn sample(
        &mut self,
        shelf: ShelfIx,
        scale: ScaleIx,
        at: Timestamp,
        grams: f64,
    ) -> Option<Vec<WeightStep>> {
        let (_, plate) = self.plates.iter_mut().find(|(s, _)| *s == scale)?;
        plate.insert(at, grams);
        let window = plate.window()?;
        let Some(level) = plate.level else {
            if plate.is_still(&window) || plate.samples.len() > 15 {
                plate.level = Some(window.mean);
            }
            return None;
        };
        let Some(moving) = &mut self.moving else {
            if plate.deviates(&window, level) {
                self.moving = Some(Moving {
                    since: at,
                    unstill_at: at,
                });
            } else {
                plate.rest(&window, grams);
            }
            return None;
        };
        if !plate.is_still(&window) {
            moving.unstill_at = moving.unstill_at.max(at);
        }
        let over = at - moving.unstill_at >= STILL && at - moving.since >= WINDOW;
        if over || at - moving.since > LONGEST {
            let since = moving.since;
            self.moving = None;
            return Some(self.finish(shelf, since, at));
        }
        None
    }

    /// The changes between the frozen levels and now, one step for each group of plates that lie
    /// side by side, and for each rest that the shelf came to on the way: who takes three items one
    /// after the other hardly lets it settle.
    fn finish(&mut self, shelf: ShelfIx, since: Timestamp, at: Timestamp) -> Vec<WeightStep> {
        let levels: Vec<Option<Mean>> = self.plates.iter().map(|(_, p)| p.at_rest()).collect();
        let now: Vec<Option<Mean>> = self.plates.iter().map(|(_, p)| p.newest(at)).collect();
        let parts = self.parts(shelf, since, at, &levels, &now);
        let direction = |s: &WeightStep| s.plates.iter().map(|p| p.grams).sum::<f64>() < 0.0;
        let one_way = parts
            .iter()
            .all(|p| direction(p) == parts.first().is_some_and(direction));
        let steps = if parts.len() < 2 || one_way {
            // A rest of a moment is not quite one: the whole is weighed, the parts tell when.
            let times = |plate: &Plate, old: f64, new: f64| plate.change(since, old, new);
            let mut steps = self.changes(shelf, &levels, &now, times);
            for part in parts {
                let grams = part.plates.iter().map(|p| p.grams).sum();
                let most = part
                    .plates
                    .iter()
                    .max_by(|a, b| a.grams.abs().total_cmp(&b.grams.abs()));
                let of = |s: &&mut WeightStep| {
                    s.plates
                        .iter()
                        .any(|p| most.is_some_and(|m| m.scale == p.scale))
                };
                if let Some(step) = steps.iter_mut().find(of) {
                    step.parts.push(Part {
                        after: part.after,
                        before: part.before,
                        grams,
                    });
                }
            }
            steps
        } else {
            parts
        };
        for ((_, plate), now) in self.plates.iter_mut().zip(now) {
            let Some(now) = now else { continue };
            if plate
                .level
                .is_some_and(|level| plate.moved_from(level, now))
            {
                plate.level = Some(now.grams);
                plate.rested = plate.rested.min(20.0);
            }
        }
        steps
    }

    /// The changes from rest to rest, however short these were.
    fn parts(
        &self,
        shelf: ShelfIx,
        since: Timestamp,
        at: Timestamp,
        levels: &[Option<Mean>],
        now: &[Option<Mean>],
    ) -> Vec<WeightStep> {
        let mut parts = Vec::new();
        let mut before: Vec<Option<Mean>> = levels.to_vec();
        let mut left = since;
        for rest in self.rests(since, at) {
            let then = self.plates.iter().map(|(_, p)| p.between(rest.0, rest.1));
            let then: Vec<Option<Mean>> = then.collect();
            let found = self.changes(shelf, &before, &then, |_, _, _| (left, rest.0));
            let felt = |s: &WeightStep| s.plates.iter().map(|p| p.grams).sum::<f64>().abs();
            if found.iter().any(|s| felt(s) > 3.0 * HASTY_G) {
                for (old, new) in before.iter_mut().zip(then) {
                    *old = new.or(*old);
                }
                left = rest.1;
                parts.extend(found);
            }
        }
        if !parts.is_empty() {
            let times = |plate: &Plate, old: f64, new: f64| {
                let (from, to) = plate.change(since, old, new);
                (from.max(left), to.max(left))
            };
            parts.extend(self.changes(shelf, &before, now, times));
            for plate in parts.iter_mut().flat_map(|p| &mut p.plates) {
                plate.sigma = (plate.sigma * plate.sigma + HASTY_G * HASTY_G).sqrt();
            }
        }
        parts
    }

    /// What changed between two rests, in groups of plates side by side.
    fn changes(
        &self,
        shelf: ShelfIx,
        before: &[Option<Mean>],
        now: &[Option<Mean>],
        times: impl Fn(&Plate, f64, f64) -> (Timestamp, Timestamp),
    ) -> Vec<WeightStep> {
        let mut groups: Vec<WeightStep> = Vec::new();
        let mut beside = false;
        for ((scale, plate), (old, new)) in self.plates.iter().zip(before.iter().zip(now)) {
            let (Some(old), Some(new)) = (old, new) else {
                beside = false;
                continue;
            };
            let grams = new.grams - old.grams;
            let sigma = plate.sigma_between(old.n, new.n);
            if grams.abs() <= 2.0 * sigma {
                beside = false;
                continue;
            }
            let (left, came) = times(plate, old.grams, new.grams);
            let step = PlateStep {
                scale: *scale,
                grams,
                sigma,
            };
            match groups.last_mut().filter(|_| beside) {
                Some(group) => {
                    // The largest change knows best when.
                    let larger = group.plates.iter().all(|p| p.grams.abs() < grams.abs());
                    if larger {
                        (group.after, group.before) = (left, came);
                    }
                    group.plates.push(step);
                }
                None => groups.push(WeightStep {
                    shelf,
                    after: left,
                    before: came,
                    plates: vec![step],
                    parts: Vec::new(),
                }),
            }
            beside = true;
        }
        groups.retain(is_real);
        groups
    }

    /// The times at which the whole shelf was still for a moment, between its beginning to move and
    /// its coming to rest.
    fn rests(&self, since: Timestamp, at: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        if at - since < SHORTEST {
            return Vec::new();
        }
        let mut series: Vec<(Timestamp, usize, f64)> = Vec::new();
        for (n, (_, plate)) in self.plates.iter().enumerate() {
            let fresh = plate.samples.iter().filter(|(t, _)| *t > since);
            series.extend(fresh.map(|(t, g)| (*t, n, *g)));
        }
        series.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut last: Vec<Option<f64>> = self.plates.iter().map(|(_, p)| p.level).collect();
        let mut noise = 0.0;
        for (_, plate) in &self.plates {
            noise += plate.noise * plate.noise;
        }
        let noise = noise.sqrt();
        let mut total: VecDeque<(Timestamp, f64)> = VecDeque::new();
        let mut rests: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (t, n, grams) in series {
            last[n] = last[n].map(|_| grams);
            total.push_back((t, last.iter().flatten().sum()));
            while total.front().is_some_and(|(old, _)| t - *old > MOMENT) {
                total.pop_front();
            }
            let (first, _) = total[0];
            if total.len() < 4 || t - first < NEARLY {
                continue;
            }
            let count = total.len() as f64;
            let mean = total.iter().map(|(_, g)| g).sum::<f64>() / count;
            let var = total
                .iter()
                .map(|(_, g)| (g - mean) * (g - mean))
                .sum::<f64>()
                / (count - 1.0);
            if var.sqrt() > 1.6 * noise + 0.4 {
                continue;
            }
            match rests.last_mut() {
                Some(rest) if first <= rest.1 => rest.1 = t,
                _ => rests.push((first, t)),
            }
        }
        // The last is what it came to in the end.
        rests.retain(|(_, to)| at - *to > MOMENT);
        rests
    }
}

/// A plate's mean over some time, and how many samples speak for it.
#[derive(Debug, Clone, Copy)]
struct Mean {
    grams: f64,
    n: f64,
}

/// Whether a group of plates has changed beyond its noise.
fn is_real(step: &WeightStep) -> bool {
    let total: f64 = step.plates.iter().map(|p| p.grams).sum();
    let variance: f64 = step.plates.iter().map(|p| p.sigma * p.sigma).sum();
    let moved = step.plates.iter().any(|p| p.grams.abs() > 8.0 * p.sigma);
    total.abs() > 4.5 * variance.sqrt() || moved
}

impl Plate {
    fn at_rest(&self) -> Option<Mean> {
        let n = self.rested.clamp(3.0, 25.0);
        self.level.map(|grams| Mean { grams, n })
    }

    fn newest(&self, at: Timestamp) -> Option<Mean> {
        let window = self.window()?;
        let (last, _) = self.samples.back()?;
        let mean = Mean {
            grams: window.mean,
            n: window.n,
        };
        (at - *last < WINDOW).then_some(mean)
    }

    fn between(&self, from: Timestamp, to: Timestamp) -> Option<Mean> {
        let within = self.samples.iter().filter(|(t, _)| *t >= from && *t <= to);
        let (mut n, mut sum) = (0.0, 0.0);
        for (_, grams) in within {
            n += 1.0;
            sum += grams;
        }
        (n > 0.0 && self.level.is_some()).then(|| Mean { grams: sum / n, n })
    }

    fn moved_from(&self, level: f64, now: Mean) -> bool {
        let n = self.rested.clamp(3.0, 25.0);
        (now.grams - level).abs() > 2.0 * self.sigma_between(n, now.n)
    }

    /// Standard deviation of the difference of two means.
    fn sigma_between(&self, n: f64, m: f64) -> f64 {
        let noise = self.noise * (1.0 / n + 1.0 / m).sqrt();
        (noise * noise + SIGMA_FLOOR * SIGMA_FLOOR).sqrt()
    }

    fn insert(&mut self, at: Timestamp, grams: f64) {
        if self.samples.back().is_none_or(|(t, _)| *t <= at) {
            self.samples.push_back((at, grams));
        } else {
            let place = self.samples.partition_point(|(t, _)| *t <= at);
            self.samples.insert(place, (at, grams));
        }
        let newest = self.samples.back().map_or(at, |(t, _)| *t);
        while self.samples.len() > SAMPLES_MAX
            || self
                .samples
                .front()
                .is_some_and(|(t, _)| newest - *t > KEPT)
        {
            self.samples.pop_front();
        }
    }

    fn window(&self) -> Option<Window> {
        let (newest_at, newest) = *self.samples.back()?;
        let recent = || {
            self.samples
                .iter()
                .rev()
                .take_while(|(t, _)| newest_at - *t <= WINDOW)
        };
        let (mut n, mut sum, mut squares) = (0.0_f64, 0.0, 0.0);
        let mut oldest = newest_at;
        for (t, g) in recent() {
            let g = g - newest;
            (n, sum, squares) = (n + 1.0, sum + g, squares + g * g);
            oldest = *t;
        }
        if n < 2.0 {
            // A slow scale: its last two samples must do.
            let before = self.samples.iter().rev().nth(1)?;
            let (g, span) = (before.1 - newest, newest_at - before.0);
            let (mean, sd) = (newest + g / 2.0, g.abs() / 2.0_f64.sqrt());
            return Some(Window {
                n: 2.0,
                mean,
                sd,
                slope: g.abs(),
                newest,
                span,
            });
        }
        let half = (n / 2.0).floor().max(1.0);
        let late: f64 = recent().take(half as usize).map(|(_, g)| g - newest).sum();
        let slope = late / half - (sum - late) / (n - half).max(1.0);
        let sd = ((squares - sum * sum / n).max(0.0) / (n - 1.0)).sqrt();
        let span = newest_at - oldest;
        Some(Window {
            n,
            mean: newest + sum / n,
            sd,
            slope: slope.abs(),
            newest,
            span,
        })
    }

    fn is_still(&self, w: &Window) -> bool {
        let known = w.n >= 4.0 || w.span >= WINDOW;
        let slope_sigma = self.noise * (4.0 / w.n).sqrt();
        known && w.sd < 2.0 * self.noise + 0.5 && w.slope < 2.6 * slope_sigma + 0.3
    }

    fn deviates(&self, w: &Window, level: f64) -> bool {
        let sigma = self.sigma(w);
        (w.newest - level).abs() > 4.5 * self.noise + 1.0
            || (w.n >= 3.0 && (w.mean - level).abs() > 3.6 * sigma + 0.5)
    }

    /// Standard deviation of the difference between a window's mean and the level.
    fn sigma(&self, w: &Window) -> f64 {
        let noise = self.noise * (1.0 / w.n + 1.0 / self.rested.clamp(3.0, 25.0)).sqrt();
        (noise * noise + SIGMA_FLOOR * SIGMA_FLOOR).sqrt()
    }

    /// At rest the level follows drift over some two seconds, the noise over many.
    fn rest(&mut self, w: &Window, grams: f64) {
        self.rested = (self.rested + 1.0).min(300.0);
        if let Some(level) = &mut self.level {
            *level += (grams - *level) / self.rested.clamp(3.0, 25.0);
        }
        if w.n >= 4.0 {
            self.noise += (w.sd.max(0.3) - self.noise) / (self.rested + 10.0).min(150.0);
        }
    }

    /// When the plate left its old level for good and when it had come to its new one.
    fn change(&self, since: Timestamp, old: f64, new: f64) -> (Timestamp, Timestamp) {
        let band = (3.0 * self.noise).min(0.35 * (new - old).abs()).max(1.0);
        let at_old = |g: f64| (g - old).abs() <= band;
        let at_new = |g: f64| (g - new).abs() <= band;
        let left = self
            .samples
            .iter()
            .rev()
            .find(|(_, g)| at_old(*g))
            .map(|(t, _)| *t);
        let came = self
            .samples
            .iter()
            .rev()
            .take_while(|(_, g)| at_new(*g))
            .last()
            .map(|(t, _)| *t);
        let left = left.unwrap_or(since);
        (left, came.unwrap_or(left).max(left))
    }
}
