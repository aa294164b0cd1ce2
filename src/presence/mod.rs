//! Tags: where each one is, when it left, when it came back, and where it was heard on its way.
//! A detector for each tag learns the tag's own report cadence at its home read point. Pure.

use serde::{Deserialize, Serialize};

use crate::gs1::Epc;
use crate::ids::AntennaIx;
use crate::observation::TagRead;
use crate::store::{ReadPoint, Store};
use crate::units::Timestamp;

/// What became known about a tag.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum TagEvent {
    /// A tag settled at a read point: for the first time, again, or at another than before.
    Arrived {
        epc: Epc,
        home: ReadPoint,
        /// It arrived after this and no later than `before`.
        after: Timestamp,
        before: Timestamp,
        /// Nobody had seen it before: stock found at start, or goods that came in.
        first: bool,
    },
    /// A tag that was at home answers there no longer.
    Departed {
        epc: Epc,
        home: ReadPoint,
        /// Its last read at home.
        after: Timestamp,
        /// When a read at home was due and did not come.
        before: Timestamp,
        /// Natural log of the odds that it left rather than fell silent by chance.
        log_odds: f64,
    },
    /// A tag that is away from home was heard: on a gate's antenna, or by a shelf in passing.
    Sighted {
        epc: Epc,
        antenna: AntennaIx,
        at: Timestamp,
        rssi_dbm: f32,
    },
}

/// The state of all tags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presence {}

impl Presence {
    pub fn new(_store: &Store) -> Self {
        Self {}
    }

    /// `captured_at` is when the reader says that it heard the tag, `at` the engine's time.
    pub fn on_read(
        &mut self,
        _store: &Store,
        _at: Timestamp,
        _captured_at: Timestamp,
        _read: &TagRead,
        _out: &mut Vec<TagEvent>,
    ) {
    }

    /// Whether a tag of this product has ever been heard at home.
    pub fn knows(&self, _store: &Store, _gtin: crate::gs1::Gtin) -> bool {
        true
    }

    /// When to call [`Presence::on_timeout`] next.
    pub fn deadline(&self) -> Option<Timestamp> {
        None
    }

    pub fn on_timeout(&mut self, _store: &Store, _at: Timestamp, _out: &mut Vec<TagEvent>) {}
}
