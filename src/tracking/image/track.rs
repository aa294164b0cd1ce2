//! One person in the image: the boxes taken so far, and where the next is expected.

use super::axis::Axis;
use super::{Seen, Settings, Tracked};
use crate::units::{BBox, Point};

#[derive(Debug, Clone)]
pub(super) struct Track {
    pub id: u32,
    pub state: [Axis; 4],
    /// The state when it was last seen, for going on from there when it is found again.
    kept: [Axis; 4],
    /// What the camera moved since.
    carried: Point,
    pub seen: Vec<(u32, Seen)>,
}

impl Track {
    pub(super) fn new(id: u32, frame: u32, b: Seen) -> Self {
        let z = measured(b.bbox);
        let state = [0, 1, 2, 3].map(|i| Axis::new(z[i], size_of(&z, i)));
        Self {
            id,
            state,
            kept: state,
            carried: Point::default(),
            seen: vec![(frame, b)],
        }
    }

    pub(super) fn bbox(&self) -> BBox {
        boxed(&self.state.map(|a| a.at))
    }

    pub(super) fn predict(&mut self, ticks: f64) {
        let sizes = self.state.map(|a| a.at);
        for (i, axis) in self.state.iter_mut().enumerate() {
            axis.predict(ticks, size_of(&sizes, i));
        }
    }

    pub(super) fn shift(&mut self, by: Point) {
        self.carried = self.carried + by;
        self.state[0].at += by.x;
        self.state[1].at += by.y;
    }

    /// Takes a box; after a gap the way from where it was last seen is taken as a straight line.
    pub(super) fn take(&mut self, frame: u32, b: Seen, ticks_per_frame: f64) {
        let z = measured(b.bbox);
        let gap = self
            .seen
            .last()
            .map_or(1, |(f, _)| frame.saturating_sub(*f));
        if gap > 1
            && let Some((_, old)) = self.seen.last()
        {
            self.state = self.kept;
            let mut from = measured(old.bbox);
            from[0] += self.carried.x;
            from[1] += self.carried.y;
            self.state[0].at += self.carried.x;
            self.state[1].at += self.carried.y;
            // A long way needs no more steps to give its speed.
            let steps = gap.min(8);
            for step in 1..=steps {
                self.predict(ticks_per_frame * f64::from(gap) / f64::from(steps));
                let share = f64::from(step) / f64::from(steps);
                self.update(&[0, 1, 2, 3].map(|i| from[i] + (z[i] - from[i]) * share));
            }
        } else {
            self.update(&z);
        }
        self.kept = self.state;
        self.carried = Point::default();
        self.seen.push((frame, b));
    }

    fn update(&mut self, z: &[f64; 4]) {
        for (i, axis) in self.state.iter_mut().enumerate() {
            axis.update(z[i], size_of(z, i));
        }
    }

    /// The whole track smoothed both ways (Rauch, Tung and Striebel), gaps up to `fill_s` filled.
    pub(super) fn smoothed(&self, settings: &Settings, out: &mut Vec<Tracked>) {
        let Some((first, b)) = self.seen.first() else {
            return;
        };
        let z = measured(b.bbox);
        let mut state = [0, 1, 2, 3].map(|i| Axis::new(z[i], size_of(&z, i)));
        let mut steps = vec![(*first, b.score, state, state, 0.0)];
        let mut last = *first;
        for (frame, b) in self.seen.iter().skip(1) {
            let ticks = f64::from(frame - last) * 30.0 / settings.fps;
            let sizes = state.map(|a| a.at);
            for (i, axis) in state.iter_mut().enumerate() {
                axis.predict(ticks, size_of(&sizes, i));
            }
            let predicted = state;
            let z = measured(b.bbox);
            for (i, axis) in state.iter_mut().enumerate() {
                axis.update(z[i], size_of(&z, i));
            }
            steps.push((*frame, b.score, state, predicted, ticks));
            last = *frame;
        }
        let mut later: Option<([Axis; 4], [Axis; 4], f64, u32, f64)> = None;
        for (frame, score, filtered, predicted, ticks) in steps.into_iter().rev() {
            let mut smooth = filtered;
            if let Some((next, expected, gap, next_frame, next_score)) = later {
                for (i, axis) in smooth.iter_mut().enumerate() {
                    axis.smooth(&next[i], &expected[i], gap);
                }
                if gap <= settings.fill_s * 30.0 {
                    let (from, to) = (smooth.map(|a| a.at), next.map(|a| a.at));
                    let score = f64::min(score, next_score);
                    for between in frame + 1..next_frame {
                        let share = f64::from(between - frame) / f64::from(next_frame - frame);
                        let z = [0, 1, 2, 3].map(|i| from[i] + (to[i] - from[i]) * share);
                        out.push(self.tracked(between, &z, score));
                    }
                }
            }
            out.push(self.tracked(frame, &smooth.map(|a| a.at), score));
            later = Some((smooth, predicted, ticks, frame, score));
        }
    }

    fn tracked(&self, frame: u32, z: &[f64; 4], score: f64) -> Tracked {
        Tracked {
            frame,
            track: self.id,
            bbox: boxed(z),
            score,
        }
    }
}

/// Centre x, centre y, width, height.
pub(super) fn measured(b: BBox) -> [f64; 4] {
    let c = b.center();
    [c.x, c.y, b.width(), b.height()]
}

fn boxed(z: &[f64; 4]) -> BBox {
    let (w, h) = (z[2].max(1.0) / 2.0, z[3].max(1.0) / 2.0);
    BBox::new(z[0] - w, z[1] - h, z[0] + w, z[1] + h)
}

/// What the noise of a coordinate is a share of: x and width of the width, y and height of the
/// height.
pub(super) fn size_of(z: &[f64; 4], i: usize) -> f64 {
    let size = if i.is_multiple_of(2) { z[2] } else { z[3] };
    size.max(1.0)
}
