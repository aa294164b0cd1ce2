//! One engine after another: the same sensors under a changed store file, other sensors, or a past
//! of which only the published events are left.

use std::sync::Arc;

use super::snapshot::{self, ThawError};
use super::{Engine, Output};
use crate::basket::event::{Body, Event};
use crate::basket::review::Forced;
use crate::basket::succession::PastVisit;
use crate::store::Store;
use crate::units::Timestamp;

/// What is known of an engine whose state cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// The number that the next event gets: the highest that was given out, and one.
    pub next_n: u64,
    /// The number that the next visit gets.
    pub next_visit: u64,
    /// The visits that were open, by their events.
    pub open: Vec<PastVisit>,
}

impl Engine {
    /// The numbers that the next event and the next visit get, counted from 1.
    pub fn numbers(&self) -> (u64, u64) {
        self.state.baskets.numbers()
    }

    /// The time of the last input.
    pub fn now(&self) -> Option<Timestamp> {
        self.state.now
    }

    /// How many visits have no closed basket yet, staff's among them.
    pub fn open_visits(&self) -> usize {
        self.state.baskets.not_closed().count()
    }

    /// Takes a changed store file with the same layout: prices, products, facings, tags, names and
    /// tunables may differ, and count from now on. Prices set by command stay. With another layout
    /// nothing changes; [`Engine::hand_over`] is for that.
    pub fn reload(&mut self, store: Arc<Store>) -> Result<(), ThawError> {
        if snapshot::layout(&store) != snapshot::layout(&self.store) {
            let store = store.id.clone();
            return Err(ThawError::Layout { store });
        }
        self.adopt(store);
        Ok(())
    }

    /// The state has this store's layout; what else it has drawn from its store is drawn anew.
    pub(super) fn adopt(&mut self, store: Arc<Store>) {
        self.state.presence.on_store(&store);
        self.state.outages.keep_known(&store);
        self.store = store;
        self.note_deadline();
    }

    /// Closes all visits and gives an engine for a store file with another layout, with the events
    /// that this takes. Numbers go on, as do time, standing alerts, prices by command, and, by
    /// their ids, restocking and stock; closed baskets can still be reviewed. What sensors had
    /// said is forgotten. Outputs must have been drained; findings are not given.
    pub fn hand_over(mut self, at: Timestamp, store: Arc<Store>) -> (Self, Vec<Event>) {
        debug_assert!(self.outputs.is_empty(), "outputs are drained before");
        self.close_past(at);
        let at = self.state.now.map_or(at, |now| at.max(now));
        self.state.now = Some(at);
        self.close_all(at);
        for alert in self.state.alerts.gone(&store) {
            self.tell(at, Body::AlertCleared(alert));
        }
        let event = |output| match output {
            Output::Event(event) => Some(event),
            Output::Finding(_) => None,
        };
        let events = self.outputs.drain(..).filter_map(event).collect();
        (self.successor(at, store), events)
    }

    fn close_all(&mut self, at: Timestamp) {
        self.state.baskets.force(Forced::StoreChanged);
        let open: Vec<_> = self.state.baskets.not_closed().collect();
        let mut changes = Vec::new();
        for visit in &open {
            let visits = &mut self.state.baskets.visits;
            visits.close_by_command(at, *visit, &mut changes);
        }
        self.on_visits(at, &changes);
        for visit in open {
            let left_at = self.state.baskets.visits.visit(visit);
            let left_at = left_at.and_then(|v| v.left_at).unwrap_or(at);
            self.close(at, visit, left_at);
        }
    }

    fn successor(self, at: Timestamp, store: Arc<Store>) -> Self {
        let old = &self.store;
        let mut next = Self::new(Arc::clone(&store));
        if self.findings {
            next.show_findings();
        }
        for shelf in self.state.fusion.restocked() {
            if let Some(shelf) = store.shelf_by_id(&old.shelf(shelf).id) {
                next.state.fusion.on_restock(shelf, at, true);
            }
        }
        let tracks = self.state.tracking.last();
        next.state.tracking.number_after(tracks);
        next.state.stock = self.state.stock.successor(old, &store);
        next.state.baskets = self.state.baskets.successor(at, old, &store);
        next.state.alerts = self.state.alerts;
        next.state.now = self.state.now;
        next.note_deadline();
        next
    }

    /// An engine that goes on where the state of another was lost. [`Engine::close_past`] says
    /// what became of the visits that were open.
    pub fn resume(store: Arc<Store>, past: Past) -> Self {
        let mut engine = Self::new(store);
        let of_visits = past.open.iter().map(|v| v.visit.0.saturating_add(1)).max();
        let next_visit = past.next_visit.max(of_visits.unwrap_or_default());
        engine.state.baskets.number_from(past.next_n, next_visit);
        engine.state.past = past.open;
        engine.state.past.sort_by_key(|visit| visit.visit);
        engine.state.past.dedup_by_key(|visit| visit.visit);
        engine
    }

    /// Closes the visits of a lost past: their baskets go to review, by what was published of
    /// them.
    pub fn close_past(&mut self, at: Timestamp) {
        let past = std::mem::take(&mut self.state.past);
        if past.is_empty() {
            return;
        }
        let at = self.state.now.map_or(at, |now| at.max(now));
        self.state.now = Some(at);
        let mut events = Vec::new();
        for visit in past {
            let baskets = &mut self.state.baskets;
            baskets.close_past(&self.store, at, visit, &mut events);
        }
        self.say(events);
        self.note_deadline();
    }
}
