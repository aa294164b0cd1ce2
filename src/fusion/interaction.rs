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
