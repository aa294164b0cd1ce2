//! What a camera takes for somebody and is nobody: a poster, a rack of coats, a mirror. A box that
//! comes back at its place for long, while nobody who has walked there is seen in it, is learned
//! and no longer believed.

use serde::{Deserialize, Serialize};

use crate::units::{BBox, TimeDelta, Timestamp};

/// What one camera takes for people.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Stills {
    boxes: Vec<Still>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Still {
    bbox: BBox,
    since: Timestamp,
    last: Timestamp,
    /// Frames in which it was seen.
    hits: u32,
}

/// Boxes that overlap by so much are one thing's: a detector's edges move by a few pixels.
const SAME_IOU: f64 = 0.7;
/// Seen so often over so long, it is nobody: who stands at a shelf has walked there.
const LEARNED_HITS: u32 = 8;
const LEARNED_AFTER: TimeDelta = TimeDelta::from_millis(15_000);
/// What has not been seen for so long is forgotten.
const KEPT: TimeDelta = TimeDelta::from_millis(1_800_000);
const BOXES_MAX: usize = 24;
/// Frames after which a box's mean forgets its oldest.
const MEMORY: f64 = 20.0;

impl Still {
    fn is_learned(&self) -> bool {
        self.hits >= LEARNED_HITS && self.last - self.since >= LEARNED_AFTER
    }

    fn see(&mut self, at: Timestamp, bbox: BBox) {
        self.hits = self.hits.saturating_add(1);
        self.last = self.last.max(at);
        let part = 1.0 / f64::from(self.hits).min(MEMORY);
        let toward = |mine: f64, seen: f64| mine + part * (seen - mine);
        self.bbox = BBox::new(
            toward(self.bbox.x0, bbox.x0),
            toward(self.bbox.y0, bbox.y0),
            toward(self.bbox.x1, bbox.x1),
            toward(self.bbox.y1, bbox.y1),
        );
    }
}

impl Stills {
    /// Whether a box is a thing that is known by now; it is known for longer then.
    pub(super) fn knows(&mut self, at: Timestamp, bbox: BBox) -> bool {
        let known = self.likeliest(bbox).filter(|s| s.is_learned());
        known.is_some_and(|still| {
            still.see(at, bbox);
            true
        })
    }

    /// A box of nobody who is known to have walked.
    pub(super) fn learn(&mut self, at: Timestamp, bbox: BBox) {
        self.boxes.retain(|s| at - s.last < KEPT);
        if let Some(still) = self.likeliest(bbox) {
            still.see(at, bbox);
            return;
        }
        if self.boxes.len() >= BOXES_MAX {
            let order = |s: &Still| (s.is_learned(), s.last);
            let oldest = self.boxes.iter().enumerate();
            if let Some((place, _)) = oldest.min_by_key(|(_, s)| order(s)) {
                self.boxes.remove(place);
            }
        }
        self.boxes.push(Still {
            bbox,
            since: at,
            last: at,
            hits: 1,
        });
    }

    fn likeliest(&mut self, bbox: BBox) -> Option<&mut Still> {
        let near = self.boxes.iter_mut().map(|s| (s.bbox.iou(bbox), s));
        let same = near.filter(|(iou, _)| *iou >= SAME_IOU);
        same.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, s)| s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> Timestamp {
        Timestamp::from_nanos(0) + TimeDelta::from_secs(s)
    }

    #[test]
    fn what_comes_back_at_its_place_is_nobody() {
        let mut stills = Stills::default();
        let poster = |n: i32| {
            let off = f64::from(n % 3) - 1.0;
            BBox::new(130.0 + off, 190.0 - off, 180.0 + off, 298.0 + off)
        };
        for n in 0..20 {
            assert!(!stills.knows(at(f64::from(n)), poster(n)) || n >= 15);
            stills.learn(at(f64::from(n)), poster(n));
        }
        assert!(stills.knows(at(300.0), poster(1)));
        // Somebody before it, nearer to the camera.
        assert!(!stills.knows(at(300.0), BBox::new(120.0, 120.0, 200.0, 320.0)));
    }

    #[test]
    fn who_walks_by_is_no_thing_and_what_was_learned_is_kept() {
        let mut stills = Stills::default();
        let poster = BBox::new(500.0, 20.0, 540.0, 110.0);
        for n in 0..20 {
            stills.learn(at(f64::from(n)), poster);
        }
        // People of all sizes, nowhere twice within seconds.
        for n in 0..400 {
            let x = f64::from(n % 37) * 12.0;
            let tall = 80.0 + f64::from(n % 11) * 15.0;
            let bbox = BBox::new(x, 200.0 - tall / 2.0, x + tall / 3.0, 200.0 + tall / 2.0);
            let now = at(20.0 + f64::from(n) * 0.1);
            assert!(!stills.knows(now, bbox), "{n}");
            stills.learn(now, bbox);
        }
        assert!(stills.boxes.len() <= BOXES_MAX);
        assert!(stills.knows(at(61.0), poster));
        // The wall is bare for an hour: it is forgotten.
        stills.learn(at(4_000.0), BBox::new(0.0, 0.0, 50.0, 100.0));
        assert!(!stills.knows(at(4_000.0), poster));
    }
}
