//! The engine: every input in one total order goes in, events come out. It owns all state above
//! the sensors and reads no clock; what it wants to be woken for it says. Frozen and thawed, it
//! goes on as if nothing had happened.

use serde::{Deserialize, Serialize};

use crate::observation::{Command, Observation, Sensed, SourceReport};
use crate::presence::{Presence, TagEvent};
use crate::shelf::{ShelfEvent, Shelves};
use crate::store::{Store, View};
use crate::tracking::{TrackEvent, Tracking};
use crate::units::Timestamp;

/// What the engine is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Observation(Observation),
    Command(Command),
    Source(SourceReport),
    /// A deadline that the engine had asked for has come.
    Timeout(Wakeup),
}

/// Why the engine wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wakeup {
    /// When a tag's read is overdue.
    Presence,
    /// When a person has not been seen for long.
    Tracking,
    /// When a scale has come to rest.
    Shelf,
    /// When an interaction has all its evidence.
    Fusion,
    /// When a visit can be closed.
    Basket,
}

/// What floor 3 found out in one step, in the order in which it was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    Tag(TagEvent),
    Track(TrackEvent),
    Shelf(ShelfEvent),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Engine {
    pub presence: Presence,
    pub tracking: Tracking,
    pub shelves: Shelves,
}

impl Engine {
    pub fn new(store: &Store) -> Self {
        Self {
            presence: Presence::new(store),
            tracking: Tracking::new(store),
            shelves: Shelves::new(store),
        }
    }

    /// Takes one input at the engine's time `at`, which never decreases.
    pub fn handle(&mut self, store: &Store, at: Timestamp, input: Input) -> Vec<Finding> {
        let (mut tags, mut tracks, mut shelves) = (Vec::new(), Vec::new(), Vec::new());
        match input {
            Input::Observation(Observation {
                captured_at,
                sensed,
            }) => match sensed {
                Sensed::TagRead(read) => {
                    self.presence
                        .on_read(store, at, captured_at, &read, &mut tags);
                }
                Sensed::Detections(seen) => match store.cameras[seen.camera.index()].view {
                    View::Floor { .. } => {
                        self.tracking
                            .on_detections(store, at, captured_at, &seen, &mut tracks);
                    }
                    View::Shelf { .. } => {
                        self.shelves
                            .on_detections(store, at, captured_at, &seen, &mut shelves);
                    }
                },
                Sensed::Weight { scale, grams } => {
                    self.shelves
                        .on_weight(store, at, captured_at, scale, grams, &mut shelves);
                }
                Sensed::Gate { .. } | Sensed::Door { .. } => {}
            },
            Input::Timeout(Wakeup::Presence) => self.presence.on_timeout(store, at, &mut tags),
            Input::Timeout(Wakeup::Tracking) => self.tracking.on_timeout(store, at, &mut tracks),
            Input::Timeout(Wakeup::Shelf) => self.shelves.on_timeout(store, at, &mut shelves),
            Input::Timeout(_) | Input::Command(_) | Input::Source(_) => {}
        }
        let tags = tags.into_iter().map(Finding::Tag);
        let tracks = tracks.into_iter().map(Finding::Track);
        let shelves = shelves.into_iter().map(Finding::Shelf);
        tags.chain(tracks).chain(shelves).collect()
    }

    /// When the engine wants to be woken next, and for what.
    pub fn poll_timeout(&self) -> Option<(Timestamp, Wakeup)> {
        [
            self.presence.deadline().map(|at| (at, Wakeup::Presence)),
            self.tracking.deadline().map(|at| (at, Wakeup::Tracking)),
            self.shelves.deadline().map(|at| (at, Wakeup::Shelf)),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
