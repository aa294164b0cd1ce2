//! Tracking in the image plane: boxes of one camera, without a floor plan, into tracks. For
//! detections in a file, and for measuring against other trackers.
//!
//! Each edge pair of a box (centre and size, in x and in y) has a filter of its own. Sure boxes
//! are matched first, doubtful ones may only continue what is there (BYTE, Zhang et al. 2022).
//! Matching looks at heights twice over, since a body's height changes least as it walks (after
//! Hybrid-SORT, Yang et al. 2024). What all matched boxes have in common beyond their own motion
//! is the camera's, and moves everybody. Somebody found again is taken along the straight line
//! from where he was lost (after OC-SORT, Cao et al. 2023). A file that is known to its end is
//! gone over once more: tracks that are one person are linked, smoothed and filled in. Time is
//! counted in thirtieths of a second whatever the frame rate, so that one set of constants serves
//! all.

mod assign;
mod axis;
mod link;
mod track;

use self::assign::{Edge, assign};
use self::track::Track;
use crate::units::signal::median;
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
    /// The longest gap over which tracks are linked afterwards, seconds.
    pub link_s: f64,
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
            link_s: 3.0,
            fill_s: 3.0,
        }
    }
}

/// Likeness times score at least, for a sure box.
const LEAST_SURE: f64 = 0.2;
/// Likeness at least, for a doubtful box.
const LEAST_DOUBTFUL: f64 = 0.5;
/// Likeness times score at least of a box and a track that has been seen once.
const LEAST_NEW: f64 = 0.3;
/// Frames in which a track must have been seen to be believed.
const LEAST_SEEN: usize = 3;
/// Boxes that must agree on a motion of the camera.
const LEAST_COMMON: usize = 4;
/// How many times its own standard error a common motion must have to be the camera's.
const LEAST_ERRORS: f64 = 2.0;

/// Tracks of one camera.
#[derive(Debug, Clone)]
pub struct ImageTracking {
    settings: Settings,
    frame: Option<u32>,
    alive: Vec<Track>,
    done: Vec<Track>,
    last_id: u32,
}

/// Boxes of a frame from left to right, so that far ones need no look.
struct Boxes {
    seen: Vec<Seen>,
    widest: f64,
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
        let sure = Boxes::new(boxes, |b| b.score >= high);
        let doubtful = Boxes::new(boxes, |b| b.score >= low && b.score < high);
        // The second time from nearer by, with more boxes that match.
        if self.follow_camera(&sure) {
            self.follow_camera(&sure);
        }
        let mut taken = vec![false; sure.seen.len()];
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
            |like, score| like * score - LEAST_SURE,
        );
        let mut none = vec![false; doubtful.seen.len()];
        self.round(
            frame,
            &doubtful,
            &mut none,
            &mut matched,
            &followed,
            |like, _| like - LEAST_DOUBTFUL,
        );
        self.round(
            frame,
            &sure,
            &mut taken,
            &mut matched,
            &newborn,
            |like, score| like * score - LEAST_NEW,
        );
        for (b, taken) in sure.seen.iter().zip(taken) {
            if !taken && b.score >= self.settings.begin {
                self.last_id += 1;
                self.alive.push(Track::new(self.last_id, frame, *b));
            }
        }
        self.retire(frame);
        self.shown(frame)
    }

    /// All tracks of the past, linked and smoothed, with gaps filled in: the best account of a file
    /// that is known to its end. In order of frame and track.
    pub fn finish(mut self) -> Vec<Tracked> {
        self.done.append(&mut self.alive);
        self.done.sort_by_key(|t| t.id);
        let mut all: Vec<Tracked> = Vec::new();
        let linked = link::link(self.done, &self.settings);
        for track in linked.iter().filter(|t| t.seen.len() >= LEAST_SEEN) {
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
        boxes: &Boxes,
        taken: &mut [bool],
        matched: &mut [bool],
        which: &dyn Fn(&Track) -> bool,
        gain: impl Fn(f64, f64) -> f64,
    ) {
        let mut edges = Vec::with_capacity(boxes.seen.len() * 2);
        let rows = self.alive.iter().zip(matched.iter()).enumerate();
        for (row, (track, _)) in rows.filter(|(_, (t, m))| !**m && which(t)) {
            let predicted = track.bbox();
            for (col, b) in boxes.near(predicted) {
                if taken.get(col) == Some(&true) {
                    continue;
                }
                let gain = gain(likeness(predicted, b.bbox), b.score);
                if gain > 0.0 {
                    edges.push(Edge { row, col, gain });
                }
            }
        }
        let pairs = assign(self.alive.len(), boxes.seen.len(), &edges);
        let per_frame = 30.0 / self.settings.fps;
        let rows = self.alive.iter_mut().zip(matched.iter_mut()).zip(pairs);
        for ((track, matched), pair) in rows {
            if let Some((b, taken)) =
                pair.and_then(|j| Some((boxes.seen.get(j)?, taken.get_mut(j)?)))
            {
                track.take(frame, *b, per_frame);
                *matched = true;
                *taken = true;
            }
        }
    }

    /// Moves everybody by what the surest matches have in common beyond their own motion, if it
    /// is more than chance.
    fn follow_camera(&mut self, boxes: &Boxes) -> bool {
        let known = self.alive.iter().filter(|t| t.seen.len() > 2);
        let moves: Vec<Point> = known.filter_map(|t| boxes.way_from(t.bbox())).collect();
        if moves.len() < LEAST_COMMON {
            return false;
        }
        let middle = |part: fn(&Point) -> f64| {
            let mut values: Vec<f64> = moves.iter().map(part).collect();
            median(&mut values).unwrap_or(0.0)
        };
        let common = Point::new(middle(|p| p.x), middle(|p| p.y));
        let mut off: Vec<f64> = moves.iter().map(|m| m.distance(common)).collect();
        let spread = median(&mut off).unwrap_or(f64::INFINITY);
        let error = spread / (moves.len() as f64).sqrt();
        let moved = common.norm() > LEAST_ERRORS * error;
        if moved {
            for track in &mut self.alive {
                track.shift(common);
            }
        }
        moved
    }

    fn retire(&mut self, frame: u32) {
        let longest = self.settings.lost_s * 30.0;
        let settings = self.settings;
        let ticks = |from: u32| f64::from(frame.saturating_sub(from)) * 30.0 / settings.fps;
        let mut stay = Vec::with_capacity(self.alive.len());
        for track in self.alive.drain(..) {
            let unseen = track.seen.last().map_or(f64::INFINITY, |(f, _)| ticks(*f));
            // Seen once and not again: an invention.
            let once = track.seen.len() == 1 && unseen > 0.0;
            if !once && unseen <= longest {
                stay.push(track);
            } else if !once {
                self.done.push(track);
            }
        }
        self.alive = stay;
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

impl Boxes {
    /// In an order that does not depend on the order they came in.
    fn new(boxes: &[Seen], which: impl Fn(&Seen) -> bool) -> Self {
        let mut seen: Vec<Seen> = boxes.iter().copied().filter(which).collect();
        let key = |s: &Seen| [s.bbox.x0, s.bbox.y0, s.bbox.x1, s.bbox.y1, s.score];
        seen.sort_by(|a, b| {
            let pairs = key(a).into_iter().zip(key(b));
            pairs.fold(std::cmp::Ordering::Equal, |o, (a, b)| {
                o.then_with(|| a.total_cmp(&b))
            })
        });
        let widths = seen.iter().map(|s| s.bbox.width());
        let widest = widths.fold(0.0, f64::max);
        Self { seen, widest }
    }

    /// The boxes that a box may overlap, with their places.
    fn near(&self, bbox: BBox) -> impl Iterator<Item = (usize, &Seen)> {
        let least = bbox.x0 - self.widest;
        let from = self.seen.partition_point(|s| s.bbox.x0 < least);
        let right = self.seen.iter().enumerate().skip(from);
        right
            .take_while(move |(_, s)| s.bbox.x0 <= bbox.x1)
            .filter(move |(_, s)| s.bbox.x1 >= bbox.x0)
    }

    /// The way from a box to the one that overlaps it most, if by 0.3 or more.
    fn way_from(&self, bbox: BBox) -> Option<Point> {
        let overlaps = self.near(bbox).map(|(_, s)| (bbox.iou(s.bbox), s));
        let best = overlaps.max_by(|a, b| a.0.total_cmp(&b.0));
        let (_, best) = best.filter(|(iou, _)| *iou > 0.3)?;
        Some(best.bbox.center() - bbox.center())
    }
}

/// Overlap, overlap of the heights and ratio of the heights, multiplied: 0 to 1.
fn likeness(a: BBox, b: BBox) -> f64 {
    let both = a.y1.min(b.y1) - a.y0.max(b.y0);
    let (low, high) = (a.height().min(b.height()), a.height().max(b.height()));
    if both <= 0.0 {
        return 0.0;
    }
    a.iou(b) * (both / (low + high - both)) * (low / high)
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
            let expected = if t.track == 1 { along } else { 480.0 - along };
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
    fn somebody_hidden_for_two_seconds_is_linked_and_filled_in() {
        let frame = |t: i32| match t {
            40..100 => vec![],
            _ => vec![walker(f64::from(t) * 2.0)],
        };
        let frames: Vec<_> = (0..140).map(frame).collect();
        let tracks = finish(&frames);
        assert_eq!(tracks.len(), 140);
        for t in &tracks {
            assert_eq!(t.track, 1);
            assert!(
                (t.bbox.x0 - f64::from(t.frame - 1) * 2.0).abs() < 5.0,
                "{t:?}"
            );
        }
    }

    #[test]
    fn a_child_is_not_the_grown_up_who_was_there_before() {
        let child = Seen {
            bbox: BBox::new(80.0, 180.0, 110.0, 260.0),
            score: 0.9,
        };
        let frame = |t: i32| match t {
            0..40 => vec![walker(70.0)],
            40..100 => vec![],
            _ => vec![child],
        };
        let frames: Vec<_> = (0..140).map(frame).collect();
        let ids: Vec<u32> = finish(&frames).iter().map(|t| t.track).collect();
        assert_eq!(ids.first(), Some(&1));
        assert_eq!(ids.last(), Some(&2));
        assert_eq!(ids.len(), 80);
    }

    #[test]
    fn inventions_are_not_shown() {
        let mut frames = vec![vec![]; 10];
        frames[4] = vec![walker(50.0)];
        assert_eq!(finish(&frames), []);
    }
}
