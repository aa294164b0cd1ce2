//! What outlives an engine: the orders of numbers, prices by command and the baskets that a person
//! can review. Another store file's engine goes on with them; where no state could be read, the
//! visits that were open are closed by what was published of them.

use serde::{Deserialize, Serialize};

use super::event::{BasketClosed, Body, Event, Line, Receipt};
use super::review::Forced;
use super::{Baskets, Closed};
use crate::gs1::Gtin;
use crate::ids::VisitId;
use crate::store::Store;
use crate::units::Timestamp;

/// A visit that was open when the state was lost, by the events that were published of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastVisit {
    pub visit: VisitId,
    pub token: Option<String>,
    pub member: Option<String>,
    pub entered_at: Timestamp,
    /// Of the last of its events.
    pub sequence: u64,
    /// Products with takes less returns, and the price of one in the currency's smallest unit.
    pub lines: Vec<(Gtin, i64, u64)>,
}

impl Baskets {
    /// The numbers that the next event and the next visit get.
    pub fn numbers(&self) -> (u64, u64) {
        let next = |last: u64| last.saturating_add(1);
        (next(self.last_n), next(self.visits.last()))
    }

    /// Goes on with numbers from which others were given out.
    pub fn number_from(&mut self, next_n: u64, next_visit: u64) {
        self.last_n = self.last_n.max(next_n.saturating_sub(1));
        self.visits.number_after(next_visit.saturating_sub(1));
    }

    /// The baskets of another store file that takes over. All of this one's are closed. Amounts
    /// mean nothing in another currency: then prices by command and baskets are forgotten.
    pub fn successor(mut self, at: Timestamp, old: &Store, new: &Store) -> Self {
        let closed: Vec<VisitId> = self.open.keys().copied().collect();
        for id in closed {
            self.forget(at, id);
        }
        let mut next = Self::new(new);
        let (next_n, next_visit) = self.numbers();
        next.number_from(next_n, next_visit);
        next.visits.set_shut(self.visits.is_shut());
        if old.currency == new.currency {
            next.kept = self.kept;
            next.prices = self.prices;
            next.prices.retain(|gtin, _| new.catalog.contains_key(gtin));
        }
        next
    }

    /// Closes a visit whose state was lost, by what was published of it.
    pub fn close_past(
        &mut self,
        store: &Store,
        at: Timestamp,
        past: PastVisit,
        out: &mut Vec<Event>,
    ) {
        let line = |(gtin, quantity, unit_price): &(Gtin, i64, u64)| {
            let quantity = u32::try_from(*quantity).unwrap_or(u32::MAX);
            Line {
                gtin: *gtin,
                name: super::receipt::name(store, *gtin),
                quantity,
                unit_price: *unit_price,
                epcs: Vec::new(),
                // What was not published is not known.
                confidence: 0.0,
            }
        };
        let held = past.lines.iter().filter(|(_, quantity, _)| *quantity > 0);
        let lines: Vec<Line> = held.map(line).collect();
        let receipt = Receipt {
            total: super::receipt::total(&lines),
            lines,
            confidence: 0.0,
            review: true,
            reasons: vec![Forced::StateLost.reason().to_owned()],
        };
        let closed = Closed {
            at,
            receipt: receipt.clone(),
            reviewed: false,
        };
        self.kept.keep(at, past.visit, past.sequence, closed);
        let body = Body::BasketClosed(BasketClosed {
            visit: past.visit,
            token: past.token,
            member: past.member,
            entered_at: past.entered_at,
            left_at: at,
            exit_gate: None,
            receipt,
        });
        out.push(self.number(at, Some(past.visit), body));
    }
}
