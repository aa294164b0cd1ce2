//! Two people who come close may be taken for each other. Two stories of them are kept side by
//! side, that each went on as told and that they were exchanged at some instant, each with how
//! both would have walked: people go round each other, they seldom turn back both at once. The
//! stories fork and join at every frame, as in multiple-hypothesis tracking (Reid, *IEEE TAC*
//! 24(6), 1979) over two targets.

use serde::{Deserialize, Serialize};

use super::person::{Person, Placed};
use super::stature::Stature;
use super::walk::Walk;
use crate::ids::CameraIx;
use crate::units::{TimeDelta, Timestamp};

/// Nearer than this two people may be taken for each other, metres.
pub(super) const CLOSE_M: f64 = 0.9;
/// Further apart than this they can be told apart again, metres.
pub(super) const PARTED_M: f64 = 1.4;
/// How long they are seen apart before it is decided who is who.
const SPAN: TimeDelta = TimeDelta::from_millis(600);
/// Who is placed worse than this is hardly seen, metres.
const SHARP_M: f64 = 0.4;
/// A story less likely than this, as a log, is as good as none.
const LEAST_LOG: f64 = -40.0;

/// How two people walked if something is so.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Story {
    log: f64,
    walks: [Walk; 2],
    /// Since when the two are each other.
    exchanged: Timestamp,
}

impl Story {
    /// The story goes on: each of the two is seen where it says.
    fn then(mut self, at: Timestamp, seen: [Option<Placed>; 2]) -> Self {
        for (walk, placed) in self.walks.iter_mut().zip(seen) {
            if let Some(placed) = placed {
                self.log += walk.see(at, placed);
            }
        }
        self
    }

    /// Either story; the likelier one's walks.
    fn or(self, other: Self) -> Self {
        let (likelier, less) = if other.log > self.log {
            (other, self)
        } else {
            (self, other)
        };
        let log = likelier.log + libm::log1p(libm::exp(less.log - likelier.log));
        Self { log, ..likelier }
    }
}

/// Two people near each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Encounter {
    last_close: Timestamp,
    /// Others were as near: the two may have been exchanged by way of a third.
    crowded: bool,
    told: Story,
    crossed: Option<Story>,
    /// How tall each was before, and has looked since they may have been exchanged.
    tall_before: [Stature; 2],
    tall_after: [Stature; 2],
}

impl Encounter {
    pub(super) fn new(at: Timestamp, a: &Person, b: &Person) -> Self {
        let told = Story {
            log: 0.0,
            walks: [a.walk, b.walk],
            exchanged: at,
        };
        Self {
            last_close: at,
            crowded: false,
            told,
            crossed: None,
            tall_before: [a.stature.clone(), b.stature.clone()],
            tall_after: [Stature::default(), Stature::default()],
        }
    }

    /// Since when the two are each other, if they are.
    pub(super) fn since(&self) -> Timestamp {
        self.crossed.unwrap_or(self.told).exchanged
    }

    /// They are near each other, and to others or not.
    pub(super) fn stay(&mut self, at: Timestamp, crowded: bool) {
        self.last_close = at;
        self.crowded |= crowded;
    }

    pub(super) fn was_crowded(&self) -> bool {
        self.crowded
    }

    /// Whether they have been apart for long enough to see how each walks now.
    pub(super) fn is_over(&self, at: Timestamp) -> bool {
        at - self.last_close >= SPAN
    }

    /// A frame of one or both.
    pub(super) fn see(&mut self, camera: CameraIx, at: Timestamp, a: &Person, b: &Person) {
        let seen = [a, b].map(|p| p.placed_at(camera, at));
        if seen.iter().all(Option::is_none) {
            return;
        }
        let turned = [seen[1], seen[0]];
        let (mut told, mut crossed) = (
            self.told.then(at, seen),
            self.crossed.map(|c| c.then(at, turned)),
        );
        // One who is seen alone, or of whom little is seen, may be a slip of one frame; who is who
        // changes where both are seen.
        if seen
            .iter()
            .all(|p| p.is_some_and(|p| p.sigma.norm() < SHARP_M))
        {
            let now = Story {
                exchanged: at,
                ..self.told.then(at, turned)
            };
            if let Some(was) = self.crossed {
                told = told.or(was.then(at, seen));
            }
            crossed = Some(crossed.map_or(now, |c| c.or(now)));
        }
        let Some(crossed) = crossed else {
            self.told = Story { log: 0.0, ..told };
            return;
        };
        if self
            .crossed
            .is_none_or(|c| c.exchanged != crossed.exchanged)
        {
            self.tall_after = [Stature::default(), Stature::default()];
        }
        for (after, person) in self.tall_after.iter_mut().zip([a, b]) {
            if person.seen_by_at(camera, at)
                && let Some(tall) = person.last_tall
            {
                after.add(tall);
            }
        }
        let log = crossed.log - told.log;
        self.told = Story { log: 0.0, ..told };
        self.crossed = (log > LEAST_LOG).then_some(Story { log, ..crossed });
    }

    /// By how much, as a log, it is likelier that the two are now each other: by how they walked,
    /// and by how tall they look.
    pub(super) fn exchanged_logs(&self) -> (f64, f64) {
        let walked = self.crossed.map_or(LEAST_LOG, |c| c.log);
        (walked, self.by_height())
    }

    fn by_height(&self) -> f64 {
        let known = self.tall_before.iter().chain(&self.tall_after);
        if !known.clone().all(Stature::is_known) {
            return 0.0;
        }
        let [a0, b0] = self.tall_before.each_ref().map(Stature::estimate);
        let [a1, b1] = self.tall_after.each_ref().map(Stature::estimate);
        let off =
            |(m, s): (f64, f64), (n, t): (f64, f64)| (m - n) * (m - n) / (2.0 * (s * s + t * t));
        (off(a0, a1) + off(b0, b1)) - (off(a0, b1) + off(b0, a1))
    }
}
