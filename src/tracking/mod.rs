//! People on the floor plan: detections of all floor cameras through their homographies into one
//! set of tracks with continuous identity, through occlusion and across cameras. Pure.

use serde::{Deserialize, Serialize};

use crate::ids::{TrackId, ZoneIx};
use crate::observation::Detections;
use crate::store::Store;
use crate::units::{Point, Timestamp};

/// What became known about a person on the floor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum TrackEvent {
    /// A new person is certain enough to be counted; first seen at `at`, at `position`.
    Began {
        track: TrackId,
        at: Timestamp,
        position: Point,
    },
    /// The person passed out of the store through an exit (or entry) zone at `at`.
    Left {
        track: TrackId,
        at: Timestamp,
        zone: ZoneIx,
    },
    /// The track was lost inside the store and given up; last seen at `at`.
    Lost {
        track: TrackId,
        at: Timestamp,
        position: Point,
    },
    /// `track` turned out to be the same person as the older `into`, which goes on.
    Merged {
        track: TrackId,
        into: TrackId,
        at: Timestamp,
    },
}

/// Where a person was at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    pub at: Timestamp,
    pub position: Point,
    /// Standard deviation of each coordinate, metres.
    pub sigma: f64,
}

/// All tracks: those alive, and the recent past of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracking {}

impl Tracking {
    pub fn new(_store: &Store) -> Self {
        Self {}
    }

    /// Takes the person detections of a floor camera; others are ignored.
    pub fn on_detections(
        &mut self,
        _store: &Store,
        _at: Timestamp,
        _captured_at: Timestamp,
        _seen: &Detections,
        _out: &mut Vec<TrackEvent>,
    ) {
    }

    /// When to call [`Tracking::on_timeout`] next.
    pub fn deadline(&self) -> Option<Timestamp> {
        None
    }

    pub fn on_timeout(&mut self, _store: &Store, _at: Timestamp, _out: &mut Vec<TrackEvent>) {}

    /// Where a track was at an instant of the last two minutes, interpolated between its fixes;
    /// `None` before its first fix or when it is unknown. Merged tracks answer as one.
    pub fn fix_at(&self, _track: TrackId, _at: Timestamp) -> Option<Fix> {
        None
    }

    /// All tracks with a fix within the last two minutes and not merged away, in order of id.
    pub fn tracks(&self) -> Vec<TrackId> {
        Vec::new()
    }
}
