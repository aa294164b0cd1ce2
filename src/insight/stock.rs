//! Stock: how many units of a product stand on a shelf. It is known only after somebody has
//! counted; from then on each decided take and return changes it. Never below zero: what is taken
//! beyond the count shows that the count was wrong, not that a shelf owes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::fusion::{Action, Direction};
use crate::gs1::Gtin;
use crate::ids::ShelfIx;
use crate::store::Store;

/// Why stock changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Taken,
    Returned,
    /// Taken or put there by staff who fill the shelf.
    Restocked,
    /// Somebody counted.
    Counted,
}

/// What became known of stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockEvent {
    Changed {
        shelf: ShelfIx,
        gtin: Gtin,
        on_hand: u32,
        cause: Cause,
    },
    /// The product has fallen to its reserve; `on_hand` is that of all shelves together.
    Low {
        shelf: ShelfIx,
        gtin: Gtin,
        on_hand: u32,
    },
}

/// All counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stock {
    /// By product and shelf.
    counts: BTreeMap<(Gtin, ShelfIx), u32>,
    /// Products that have fallen to their reserve and not risen above it since.
    low: BTreeSet<Gtin>,
}

/// Counts kept: every facing of a large shop three times over, so that slips of the pen cannot
/// fill the memory.
const COUNTS_MAX: usize = 100_000;

impl Stock {
    /// Whether one more count would be too many.
    pub fn is_full(&self, shelf: ShelfIx, gtin: Gtin) -> bool {
        self.counts.len() >= COUNTS_MAX && !self.counts.contains_key(&(gtin, shelf))
    }

    /// Somebody counted.
    pub fn on_counted(
        &mut self,
        store: &Store,
        shelf: ShelfIx,
        gtin: Gtin,
        on_hand: u32,
    ) -> Vec<StockEvent> {
        if self.is_full(shelf, gtin) {
            return Vec::new();
        }
        self.set(store, shelf, gtin, on_hand, Cause::Counted)
    }

    /// A unit left or came.
    pub fn on_action(&mut self, store: &Store, action: &Action) -> Vec<StockEvent> {
        let (shelf, gtin) = (action.shelf, action.gtin);
        let Some(before) = self.counts.get(&(gtin, shelf)).copied() else {
            return Vec::new();
        };
        let (on_hand, cause) = match action.direction {
            Direction::Take => (before.saturating_sub(1), Cause::Taken),
            Direction::Putback => (before.saturating_add(1), Cause::Returned),
        };
        if on_hand == before {
            return Vec::new();
        }
        let cause = if action.restock {
            Cause::Restocked
        } else {
            cause
        };
        self.set(store, shelf, gtin, on_hand, cause)
    }

    fn set(
        &mut self,
        store: &Store,
        shelf: ShelfIx,
        gtin: Gtin,
        on_hand: u32,
        cause: Cause,
    ) -> Vec<StockEvent> {
        self.counts.insert((gtin, shelf), on_hand);
        let mut events = vec![StockEvent::Changed {
            shelf,
            gtin,
            on_hand,
            cause,
        }];
        let all = self.on_hand(gtin);
        let reserve = store.catalog.get(&gtin).and_then(|p| p.reserve);
        if reserve.is_none_or(|reserve| all > reserve) {
            self.low.remove(&gtin);
        } else if self.low.insert(gtin) {
            events.push(StockEvent::Low {
                shelf,
                gtin,
                on_hand: all,
            });
        }
        events
    }

    /// A product's units on all shelves whose stock of it is known.
    fn on_hand(&self, gtin: Gtin) -> u32 {
        let shelves = (gtin, ShelfIx(0))..=(gtin, ShelfIx(u16::MAX));
        let counts = self.counts.range(shelves).map(|(_, n)| *n);
        counts.fold(0, u32::saturating_add)
    }

    /// The same stock by the shelves of another store file; what it does not have is forgotten.
    pub fn successor(&self, old: &Store, new: &Store) -> Self {
        let mut next = Self::default();
        for ((gtin, shelf), on_hand) in &self.counts {
            let shelf = new.shelf_by_id(&old.shelf(*shelf).id);
            if let Some(shelf) = shelf.filter(|_| new.catalog.contains_key(gtin)) {
                next.counts.insert((*gtin, shelf), *on_hand);
                next.low.extend(self.low.get(gtin));
            }
        }
        next
    }
}

/// How many units a shelf's facings of a product hold, where the planogram tells.
pub fn capacity(store: &Store, shelf: ShelfIx, gtin: Gtin) -> Option<u32> {
    let facings = &store.shelf(shelf).facings;
    let capacities = facings
        .iter()
        .filter(|f| f.gtin == gtin)
        .filter_map(|f| f.capacity);
    capacities.reduce(u32::saturating_add)
}
