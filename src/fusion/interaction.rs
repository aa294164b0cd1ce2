//! An interaction: evidence of one shelf that lies close together in time.

use serde::{Deserialize, Serialize};

use super::{Action, Direction};
use crate::gs1::{Epc, Gtin};
use crate::ids::ShelfIx;
use crate::shelf::{CountStep, WeightStep};
use crate::units::{TimeDelta, Timestamp};

/// One piece of evidence that something was taken or put back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Piece {
    Weight(WeightStep),
    Count(CountStep),
    Tag {
        epc: Epc,
        gtin: Gtin,
        direction: Direction,
        window: (Timestamp, Timestamp),
        log_odds: f64,
    },
}

impl Piece {
    /// When what it tells of happened.
    pub fn window(&self) -> (Timestamp, Timestamp) {
        match self {
            Self::Weight(step) => (step.after, step.before),
            Self::Count(step) => (step.after, step.before),
            Self::Tag { window, .. } => *window,
        }
    }
}

/// Evidence of one shelf that waits for more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Interaction {
    pub(super) shelf: ShelfIx,
    pub(super) pieces: Vec<Piece>,
    /// When it is decided.
    pub(super) ready_at: Timestamp,
    opened_at: Option<Timestamp>,
    /// When to tell what is likeliest so far.
    pub(super) tell_at: Option<Timestamp>,
    /// What has been told.
    pub(super) told: Vec<Action>,
}

/// No interaction waits longer than this, however much keeps coming.
const LONGEST: TimeDelta = TimeDelta::from_millis(12_000);

impl Interaction {
    pub(super) fn new(shelf: ShelfIx) -> Self {
        Self {
            shelf,
            pieces: Vec::new(),
            ready_at: Timestamp::MAX,
            opened_at: None,
            tell_at: None,
            told: Vec::new(),
        }
    }

    /// Takes a piece at the engine's time `at`; sensors that look at this shelf have told their
    /// side `wait` after the thing itself.
    pub(super) fn add(&mut self, at: Timestamp, piece: Piece, wait: TimeDelta) {
        let opened_at = *self.opened_at.get_or_insert(at);
        if matches!(piece, Piece::Weight(_)) {
            self.tell_at = Some(at);
        }
        self.pieces.push(piece);
        let last = self.ended().min(at);
        self.ready_at = (last + wait).max(at).min(opened_at + LONGEST);
    }

    /// What happened before an instant at the latest, and what at the earliest after it; `None`
    /// where it is all on one side.
    pub(super) fn split(&self, at: Timestamp) -> Option<[Self; 2]> {
        let side = |later: bool| {
            let pieces = self.pieces.iter().filter(|p| (p.window().0 > at) == later);
            let told = self.told.iter().filter(|a| (a.at > at) == later);
            Self {
                pieces: pieces.cloned().collect(),
                told: told.cloned().collect(),
                ..Self::new(self.shelf)
            }
        };
        let sides = [side(false), side(true)];
        let both = sides.iter().all(|side| !side.pieces.is_empty());
        both.then_some(sides)
    }

    /// The same for somebody who left then: what is told of later goes on waiting, and takes along
    /// what a scale felt later.
    pub(super) fn split_at_leaving(&self, at: Timestamp) -> Option<[Self; 2]> {
        let felt = |window: (Timestamp, Timestamp)| {
            let mut steps = self.pieces.iter().filter_map(|p| match p {
                Piece::Weight(step) => Some((step.after, step.before)),
                _ => None,
            });
            steps.any(|(after, before)| after > at && after <= window.1 && window.0 <= before)
        };
        let is_later = |p: &Piece| {
            let window = p.window();
            window.0 > at || (matches!(p, Piece::Tag { .. }) && felt(window))
        };
        let [mut before, mut after] = [
            Self::new(self.shelf),
            Self {
                ready_at: self.ready_at,
                opened_at: self.opened_at,
                tell_at: self.tell_at,
                ..Self::new(self.shelf)
            },
        ];
        for piece in &self.pieces {
            let side = if is_later(piece) {
                &mut after
            } else {
                &mut before
            };
            side.pieces.push(piece.clone());
        }
        for told in &self.told {
            let side = if told.at > at {
                &mut after
            } else {
                &mut before
            };
            side.told.push(told.clone());
        }
        let both = !before.pieces.is_empty() && !after.pieces.is_empty();
        both.then_some([before, after])
    }

    /// The earliest that any of it can have happened.
    pub(super) fn began(&self) -> Timestamp {
        self.pieces
            .iter()
            .map(|p| p.window().0)
            .min()
            .unwrap_or(Timestamp::MAX)
    }

    /// The latest that any of it can have happened.
    pub(super) fn ended(&self) -> Timestamp {
        self.pieces
            .iter()
            .map(|p| p.window().1)
            .max()
            .unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_staff_did_and_what_came_after_are_two() {
        let at = |s: f64| Timestamp::from_nanos(0) + TimeDelta::from_secs(s);
        let mut both = Interaction::new(ShelfIx(0));
        for (from, to) in [(1.0, 2.0), (1.5, 6.0), (7.0, 8.0)] {
            let piece = Piece::Tag {
                epc: "3034257BF7194E4000000001".parse().unwrap(),
                gtin: Gtin::from_payload(400_638_133_393).unwrap(),
                direction: Direction::Take,
                window: (at(from), at(to)),
                log_odds: 1.0,
            };
            both.add(at(to), piece, TimeDelta::ZERO);
        }
        let [staff, after] = both.split(at(5.0)).unwrap();
        assert_eq!((staff.pieces.len(), after.pieces.len()), (2, 1));
        assert_eq!(after.began(), at(7.0));
        assert!(staff.split(at(5.0)).is_none());
    }

    #[test]
    fn what_a_scale_feels_after_somebody_left_waits_for_its_tag() {
        let at = |s: f64| Timestamp::from_nanos(0) + TimeDelta::from_secs(s);
        let tag = |from: f64, to: f64| Piece::Tag {
            epc: "3034257BF7194E4000000001".parse().unwrap(),
            gtin: Gtin::from_payload(400_638_133_393).unwrap(),
            direction: Direction::Take,
            window: (at(from), at(to)),
            log_odds: 1.0,
        };
        let step = |from: f64, to: f64| {
            Piece::Weight(WeightStep {
                shelf: ShelfIx(0),
                after: at(from),
                before: at(to),
                plates: Vec::new(),
                parts: Vec::new(),
            })
        };
        let mut all = Interaction::new(ShelfIx(0));
        // A take, the leaving at 10 s, another's take whose tag was heard last before.
        for piece in [
            step(5.0, 6.0),
            tag(4.8, 7.0),
            step(10.5, 11.0),
            tag(9.8, 12.0),
        ] {
            all.add(piece.window().1, piece, TimeDelta::from_millis(4_000));
        }
        let [before, after] = all.split_at_leaving(at(10.0)).unwrap();
        assert_eq!((before.pieces.len(), after.pieces.len()), (2, 2));
        assert_eq!((after.began(), after.ready_at), (at(9.8), all.ready_at));
        // Without a scale's word the tag may be that of who left.
        let mut tags = Interaction::new(ShelfIx(0));
        for piece in [step(5.0, 6.0), tag(9.8, 12.0)] {
            tags.add(piece.window().1, piece, TimeDelta::ZERO);
        }
        assert!(tags.split_at_leaving(at(10.0)).is_none());
    }
}
