//! Sensors that are away: what they do not say is no evidence, what they say when they are back
//! does not tell when it came about, and a receipt that a missing sensor would have had a say in
//! goes to a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::source::UNSEEN_MS;
use crate::basket::review::Forced;
use crate::ids::VisitId;
use crate::observation::SourceState;
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};

/// Since when sensors of the store are offline, by name: at most one entry a sensor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Outages(BTreeMap<String, Timestamp>);

/// So many lost messages of one sensor are passed over: under a second of a camera or a scale.
const LOST_MAX: u64 = 5;
const UNSEEN: TimeDelta = TimeDelta::from_millis(UNSEEN_MS as i64);

impl Outages {
    /// Notes a sensor's state; gives since when it was away where it is back.
    fn on_state(&mut self, at: Timestamp, source: &str, away: bool) -> Option<Timestamp> {
        if away {
            self.0.entry(source.to_owned()).or_insert(at);
            return None;
        }
        self.0.remove(source)
    }

    /// Whether something may have gone unseen before `at`.
    fn is_blind(&self, at: Timestamp) -> bool {
        self.0.values().any(|since| at - *since > UNSEEN)
    }

    /// Forgets sensors that a store does not have.
    pub(super) fn keep_known(&mut self, store: &Store) {
        self.0.retain(|source, _| sees(store, source));
    }
}

/// Whether a source is a sensor of the store by which takes are seen. Gates and doors are not: what
/// they miss shows in the visits themselves.
fn sees(store: &Store, source: &str) -> bool {
    match source.split_once('/') {
        Some(("rfid", id)) => store.reader_by_id(id).is_some(),
        Some(("camera", id)) => store.camera_by_id(id).is_some(),
        Some(("scale", id)) => store.scale_by_id(id).is_some(),
        _ => false,
    }
}

impl Engine {
    /// A sensor has come or gone.
    pub(super) fn on_outage(&mut self, at: Timestamp, source: &str, state: SourceState) {
        let store = self.share_store();
        if !sees(&store, source) {
            return;
        }
        let away = state == SourceState::Offline;
        let was_away = self.state.outages.on_state(at, source, away);
        match source.split_once('/') {
            Some(("rfid", id)) => {
                if let Some(reader) = store.reader_by_id(id) {
                    self.state.presence.on_reader(&store, reader, at, away);
                }
            }
            Some(("scale", id)) if away => {
                if let Some(scale) = store.scale_by_id(id) {
                    self.state.shelves.on_scale_away(&store, scale);
                }
            }
            _ => {}
        }
        if was_away.is_some_and(|since| at - since > UNSEEN) {
            self.state.baskets.force(Forced::SensorsAway);
        }
    }

    /// Messages of a sensor were lost. A few are as good as none: what they would have told, the
    /// next ones tell. More may have hidden a take, and a reader's tags were not silent by
    /// themselves.
    pub(super) fn on_gap(&mut self, at: Timestamp, source: &str, lost: u64) {
        let store = self.share_store();
        if !sees(&store, source) {
            return;
        }
        if let Some(("rfid", id)) = source.split_once('/')
            && let Some(reader) = store.reader_by_id(id)
        {
            for away in [true, false] {
                self.state.presence.on_reader(&store, reader, at, away);
            }
        }
        if lost > LOST_MAX {
            self.state.baskets.force(Forced::SensorsAway);
        }
    }

    /// A visit is about to be closed: a person must look where a sensor is away.
    pub(super) fn on_closing(&mut self, visit: VisitId, left_at: Timestamp) {
        if self.state.outages.is_blind(left_at) {
            self.state.baskets.force_one(visit, Forced::SensorsAway);
        }
    }
}
