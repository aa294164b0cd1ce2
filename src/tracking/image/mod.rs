//! Tracking in the image plane: boxes of one camera, without a floor plan, into tracks. For
//! detections in a file, and for measuring against other trackers.
//!
//! Each edge pair of a box (centre and size, in x and in y) has a filter of its own. Sure boxes
//! are matched first, doubtful ones may only continue what is there (BYTE, Zhang et al. 2022).
//! What all matched boxes have in common beyond their own motion is the camera's, and moves
//! everybody. Somebody found again is taken along the straight line from where he was lost
//! (after OC-SORT, Cao et al. 2023). Time is counted in thirtieths of a second whatever the frame
//! rate, so that one set of constants serves all.

mod assign;

use self::assign::{Edge, assign};
use crate::units::{BBox, Point};

/// A box of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    pub bbox: BBox,
    pub score: f64,
}

/// A track's box in a frame; interpolated ones have the score of their neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tracked {
    pub frame: u32,
    pub track: u32,
    pub bbox: BBox,
    pub score: f64,
}

/// What a user may set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub fps: f64,
    /// Boxes above are sure, those between `low` and it only continue tracks.
    pub high: f64,
    pub low: f64,
    /// Boxes above begin tracks.
    pub begin: f64,
    /// How long a lost track is looked for, seconds.
    pub lost_s: f64,
    /// The longest gap that is filled in afterwards, seconds.
    pub fill_s: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fps: 30.0,
            high: 0.6,
            low: 0.1,
            begin: 0.7,
            lost_s: 1.5,
            fill_s: 1.5,
        }
    }
}

/// Overlap times score at least, for a sure box.
const LEAST_SURE: f64 = 0.2;
/// Overlap at least, for a doubtful box.
const LEAST_DOUBTFUL: f64 = 0.5;
/// Overlap at least of a box and a track that has been seen once.
const LEAST_NEW: f64 = 0.3;
/// Frames in which a track must have been seen to be believed.
const LEAST_SEEN: usize = 3;
/// Boxes that must agree on a motion of the camera.
const LEAST_COMMON: usize = 4;
/// Noise of a box's edges, and of its own motion a tick, as shares of its size.
const MEASURE_SHARE: f64 = 0.06;
const DRIFT_SHARE: f64 = 0.03;
const SPEED_SHARE: f64 = 0.006_25;

/// Tracks of one camera.
#[derive(Debug, Clone)]
pub struct ImageTracking {
    settings: Settings,
    frame: Option<u32>,
    alive: Vec<Track>,
    done: Vec<Track>,
    last_id: u32,
}

#[derive(Debug, Clone)]
struct Track {
    id: u32,
    state: [Axis; 4],
    /// The state when it was last seen, for going on from there when it is found again.
    kept: [Axis; 4],
    /// What the camera moved since.
    carried: Point,
    seen: Vec<(u32, Seen)>,
}

impl ImageTracking {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            frame: None,
            alive: Vec::new(),
            done: Vec::new(),
            last_id: 0,
        }
    }

    /// Takes the boxes of a frame, later than all before, and gives the tracks seen in it.
    pub fn step(&mut self, frame: u32, boxes: &[Seen]) -> Vec<Tracked> {
        let ticks = self.frame.map_or(0.0, |last| self.ticks(last, frame));
        self.frame = Some(frame);
        for track in &mut self.alive {
            track.predict(ticks);
        }
        let (high, low) = (self.settings.high, self.settings.low);
        let sure: Vec<Seen> = boxes.iter().copied().filter(|b| b.score >= high).collect();
        let between = |b: &Seen| b.score >= low && b.score < high;
        let doubtful: Vec<Seen> = boxes.iter().copied().filter(between).collect();
        self.follow_camera(&sure);
        let mut taken = vec![false; sure.len()];
        let mut matched = vec![false; self.alive.len()];
        let known = |t: &Track| t.seen.len() > 1;
        let newborn = |t: &Track| t.seen.len() == 1;
        let last = self.last_frame_of(frame);
        let followed = |t: &Track| known(t) && t.seen.last().is_some_and(|(f, _)| Some(*f) == last);
        self.round(
            frame,
            &sure,
            &mut taken,
            &mut matched,
            &known,
            |iou, score| iou * score - LEAST_SURE,
        );
        let mut none = vec![false; doubtful.len()];
        self.round(
            frame,
            &doubtful,
            &mut none,
            &mut matched,
            &followed,
            |iou, _| iou - LEAST_DOUBTFUL,
        );
        self.round(
            frame,
            &sure,
            &mut taken,
            &mut matched,
            &newborn,
            |iou, score| iou * score - LEAST_NEW,
        );
        for (b, taken) in sure.iter().zip(taken) {
            if !taken && b.score >= self.settings.begin {
                self.last_id += 1;
                self.alive.push(Track::new(self.last_id, frame, *b));
            }
        }
        self.retire(frame);
        self.shown(frame)
    }

    /// All tracks of the past, smoothed, with short gaps filled in: the best account of a file
    /// that is known to its end. In order of frame and track.
    pub fn finish(mut self) -> Vec<Tracked> {
        self.done.append(&mut self.alive);
        self.done.sort_by_key(|t| t.id);
        let mut all: Vec<Tracked> = Vec::new();
        for track in self.done.iter().filter(|t| t.seen.len() >= LEAST_SEEN) {
            track.smoothed(&self.settings, &mut all);
        }
        all.sort_by_key(|t| (t.frame, t.track));
        all
    }

    fn ticks(&self, from: u32, to: u32) -> f64 {
        f64::from(to.saturating_sub(from)) * 30.0 / self.settings.fps
    }

    /// The frame before this one in which anything was seen.
    fn last_frame_of(&self, frame: u32) -> Option<u32> {
        let last = self.alive.iter().filter_map(|t| t.seen.last());
        last.map(|(f, _)| *f).filter(|f| *f < frame).max()
    }

    /// Matches the boxes not yet taken with some of the tracks not yet matched.
    fn round(
        &mut self,
        frame: u32,
        boxes: &[Seen],
        taken: &mut [bool],
        matched: &mut [bool],
        which: &dyn Fn(&Track) -> bool,
        gain: impl Fn(f64, f64) -> f64,
    ) {
        let mut edges = Vec::with_capacity(boxes.len() * 2);
        let rows = self.alive.iter().zip(matched.iter()).enumerate();
        for (row, (track, _)) in rows.filter(|(_, (t, m))| !**m && which(t)) {
            let predicted = track.bbox();
            let cols = boxes.iter().zip(taken.iter()).enumerate();
            for (col, (b, _)) in cols.filter(|(_, (_, taken))| !**taken) {
                // Most pairs are far apart.
                if b.bbox.x0 > predicted.x1 || b.bbox.x1 < predicted.x0 {
                    continue;
                }
                let gain = gain(predicted.iou(b.bbox), b.score);
                if gain > 0.0 {
                    edges.push(Edge { row, col, gain });
                }
            }
        }
        let pairs = assign(self.alive.len(), boxes.len(), &edges);
        let per_frame = 30.0 / self.settings.fps;
        let rows = self.alive.iter_mut().zip(matched.iter_mut()).zip(pairs);
        for ((track, matched), pair) in rows {
            if let Some((b, taken)) = pair.and_then(|j| Some((boxes.get(j)?, taken.get_mut(j)?))) {
                track.take(frame, *b, per_frame);
                *matched = true;
                *taken = true;
            }
        }
    }

    /// Moves everybody by what the surest matches have in common beyond their own motion.
    fn follow_camera(&mut self, boxes: &[Seen]) {
        let mut moves: Vec<Point> = Vec::new();
        for track in self.alive.iter().filter(|t| t.seen.len() > 2) {
            let predicted = track.bbox();
            let overlap = |b: &Seen| predicted.iou(b.bbox);
            let best = boxes
                .iter()
                .map(|b| (overlap(b), b))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((iou, b)) = best
                && iou > 0.3
            {
                moves.push(b.bbox.center() - predicted.center());
            }
        }
        if moves.len() < LEAST_COMMON {
            return;
        }
        let middle = |part: fn(&Point) -> f64| {
            let mut values: Vec<f64> = moves.iter().map(part).collect();
            crate::units::signal::median(&mut values).unwrap_or(0.0)
        };
        let common = Point::new(middle(|p| p.x), middle(|p| p.y));
        let mut off: Vec<f64> = moves.iter().map(|m| m.distance(common)).collect();
        let spread = crate::units::signal::median(&mut off).unwrap_or(f64::INFINITY);
        // Where the boxes do not agree, it was not the camera.
        if common.norm() > spread {
            for track in &mut self.alive {
                track.shift(common);
            }
        }
    }

    fn retire(&mut self, frame: u32) {
        let longest = self.settings.lost_s * 30.0;
        let settings = self.settings;
        let ticks = |from: u32| f64::from(frame.saturating_sub(from)) * 30.0 / settings.fps;
        let mut i = 0;
        while let Some(track) = self.alive.get(i) {
            let unseen = track.seen.last().map_or(f64::INFINITY, |(f, _)| ticks(*f));
            // Seen once and not again: an invention.
            let once = track.seen.len() == 1 && unseen > 0.0;
            if once || unseen > longest {
                let track = self.alive.remove(i);
                if !once {
                    self.done.push(track);
                }
            } else {
                i += 1;
            }
        }
    }

    fn shown(&self, frame: u32) -> Vec<Tracked> {
        let mut out = Vec::with_capacity(self.alive.len());
        for track in &self.alive {
            if let Some((f, b)) = track.seen.last()
                && *f == frame
                && track.seen.len() > 1
            {
                out.push(Tracked {
                    frame,
                    track: track.id,
                    bbox: track.bbox(),
                    score: b.score,
                });
            }
        }
        out
    }
}

impl Track {
    fn new(id: u32, frame: u32, b: Seen) -> Self {
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

    fn bbox(&self) -> BBox {
        boxed(&self.state.map(|a| a.at))
    }

    fn predict(&mut self, ticks: f64) {
        let sizes = self.state.map(|a| a.at);
        for (i, axis) in self.state.iter_mut().enumerate() {
            axis.predict(ticks, size_of(&sizes, i));
        }
    }

    fn shift(&mut self, by: Point) {
        self.carried = self.carried + by;
        self.state[0].at += by.x;
        self.state[1].at += by.y;
    }

    /// Takes a box; after a gap the way from where it was last seen is taken as a straight line.
    fn take(&mut self, frame: u32, b: Seen, ticks_per_frame: f64) {
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
    fn smoothed(&self, settings: &Settings, out: &mut Vec<Tracked>) {
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
fn measured(b: BBox) -> [f64; 4] {
    let c = b.center();
    [c.x, c.y, b.width(), b.height()]
}

fn boxed(z: &[f64; 4]) -> BBox {
    let (w, h) = (z[2].max(1.0) / 2.0, z[3].max(1.0) / 2.0);
    BBox::new(z[0] - w, z[1] - h, z[0] + w, z[1] + h)
}

/// What the noise of a coordinate is a share of: x and width of the width, y and height of the
/// height.
fn size_of(z: &[f64; 4], i: usize) -> f64 {
    let size = if i.is_multiple_of(2) { z[2] } else { z[3] };
    size.max(1.0)
}

/// One coordinate and its speed a tick, with their covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    at: f64,
    speed: f64,
    var: f64,
    cross: f64,
    speed_var: f64,
}

impl Axis {
    fn new(at: f64, size: f64) -> Self {
        let (a, s) = (2.0 * MEASURE_SHARE * size, 10.0 * SPEED_SHARE * size);
        Self {
            at,
            speed: 0.0,
            var: a * a,
            cross: 0.0,
            speed_var: s * s,
        }
    }

    fn predict(&mut self, ticks: f64, size: f64) {
        let (a, s) = (DRIFT_SHARE * size, SPEED_SHARE * size);
        self.at += self.speed * ticks;
        self.var += ticks * (2.0 * self.cross + ticks * self.speed_var) + a * a * ticks;
        self.cross += ticks * self.speed_var;
        self.speed_var += s * s * ticks;
    }

    fn update(&mut self, seen: f64, size: f64) {
        let m = MEASURE_SHARE * size;
        let s = self.var + m * m;
        let (ka, ks) = (self.var / s, self.cross / s);
        let residual = seen - self.at;
        self.at += ka * residual;
        self.speed += ks * residual;
        self.speed_var -= ks * self.cross;
        self.cross -= ka * self.cross;
        self.var -= ka * self.var;
    }

    /// Takes into a filtered state what was learned later: `next` is smoothed, `expected` what
    /// this state predicted `ticks` ahead.
    fn smooth(&mut self, next: &Self, expected: &Self, ticks: f64) {
        // C = P F' / P(expected), row by row.
        let det = expected.var * expected.speed_var - expected.cross * expected.cross;
        if det <= 0.0 {
            return;
        }
        let (p00, p01) = (self.var + ticks * self.cross, self.cross);
        let (p10, p11) = (self.cross + ticks * self.speed_var, self.speed_var);
        let solve = |a: f64, b: f64| {
            (
                (a * expected.speed_var - b * expected.cross) / det,
                (b * expected.var - a * expected.cross) / det,
            )
        };
        let (c00, c01) = solve(p00, p01);
        let (c10, c11) = solve(p10, p11);
        let (da, ds) = (next.at - expected.at, next.speed - expected.speed);
        self.at += c00 * da + c01 * ds;
        self.speed += c10 * da + c11 * ds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walker(x: f64) -> Seen {
        Seen {
            bbox: BBox::new(x, 100.0, x + 60.0, 260.0),
            score: 0.9,
        }
    }

    /// Two walk past each other; the one behind is hidden for half a second.
    fn crossing() -> Vec<Vec<Seen>> {
        let frame = |t: i32| {
            let (right, left) = (f64::from(t) * 4.0, 480.0 - f64::from(t) * 4.0);
            if (right - left).abs() < 32.0 {
                vec![walker(right)]
            } else {
                vec![walker(left), walker(right)]
            }
        };
        (0..120).map(frame).collect()
    }

    fn finish(frames: &[Vec<Seen>]) -> Vec<Tracked> {
        let mut tracking = ImageTracking::new(Settings::default());
        for (frame, boxes) in (1..).zip(frames) {
            tracking.step(frame, boxes);
        }
        tracking.finish()
    }

    #[test]
    fn crossing_people_keep_their_tracks_and_the_gap_is_filled() {
        let tracks = finish(&crossing());
        assert_eq!(tracks.len(), 240);
        for t in &tracks {
            let along = f64::from(t.frame - 1) * 4.0;
            let expected = if t.track == 1 { 480.0 - along } else { along };
            assert!((t.bbox.x0 - expected).abs() < 12.0, "{t:?}");
        }
    }

    #[test]
    fn a_jump_of_the_camera_moves_nobody() {
        let still =
            |by: f64| -> Vec<Seen> { (0..6).map(|i| walker(f64::from(i) * 70.0 + by)).collect() };
        // Half a body to the side: each box lies nearer to the neighbour's than to its own.
        let frames: Vec<_> = (0..40)
            .map(|t| still(if t < 20 { 0.0 } else { 34.0 }))
            .collect();
        let tracks = finish(&frames);
        assert_eq!(tracks.iter().map(|t| t.track).max(), Some(6));
        assert_eq!(tracks.len(), 240);
    }

    #[test]
    fn inventions_are_not_shown() {
        let mut frames = vec![vec![]; 10];
        frames[4] = vec![walker(50.0)];
        assert_eq!(finish(&frames), []);
    }
}
