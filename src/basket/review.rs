//! Baskets at which a person must look, and what he says. A closed basket leaves the visits after
//! a minute; what a review needs of it is kept for days, since shops look at receipts in the
//! evening or after the weekend. What a person says is not changed by sensors any more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{BasketAdjusted, Body, Event, Line, Receipt};
use super::{Baskets, Closed};
use crate::gs1::Gtin;
use crate::ids::VisitId;
use crate::observation::Review;
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};

/// Why a person must look at a basket, whatever the sensors say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Forced {
    /// The box was away while the visit was open: a take may have gone unseen.
    SensorsAway,
    /// Another store file with other sensors took over while the visit was open.
    StoreChanged,
    /// What the sensors had said was lost while the visit was open.
    StateLost,
    /// Nobody saw the visit end.
    NoExitSeen,
}

impl Forced {
    /// As receipts name it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::SensorsAway => "sensors-away",
            Self::StoreChanged => "store-changed",
            Self::StateLost => "state-lost",
            Self::NoExitSeen => "no-exit-seen",
        }
    }
}

/// Baskets are kept for so long after closing: over a weekend.
const KEPT: TimeDelta = TimeDelta::from_millis(72 * 3_600_000);
/// Baskets kept at most; the oldest make room. A few megabytes, and more visits than a shop
/// of this kind has in three days.
pub const KEPT_MAX: usize = 5_000;

/// Closed baskets that only a person can still change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct KeptBaskets(BTreeMap<VisitId, Kept>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    closed_at: Timestamp,
    sequence: u64,
    receipt: Receipt,
}

/// How long a visit lasts at most.
pub(super) fn longest(store: &Store) -> TimeDelta {
    TimeDelta::from_secs(store.tunables.basket.longest_visit_s)
}

impl KeptBaskets {
    /// Keeps a basket; those that are over, and any beyond the bound, go. None goes at another
    /// time: what could be reviewed when somebody asked still can when he is told.
    pub(super) fn keep(&mut self, at: Timestamp, id: VisitId, sequence: u64, closed: Closed) {
        self.0.retain(|_, kept| at - kept.closed_at < KEPT);
        let kept = Kept {
            closed_at: closed.at,
            sequence,
            receipt: closed.receipt,
        };
        self.0.insert(id, kept);
        while self.0.len() > KEPT_MAX {
            let oldest = self.0.iter().map(|(id, kept)| (kept.closed_at, *id)).min();
            oldest.and_then(|(_, id)| self.0.remove(&id));
        }
    }

    pub(super) fn sequence_mut(&mut self, id: VisitId) -> Option<&mut u64> {
        self.0.get_mut(&id).map(|kept| &mut kept.sequence)
    }
}

impl Baskets {
    /// The visits that have lasted for too long to be true; a person must look at their baskets.
    pub fn overlong(&mut self, store: &Store, at: Timestamp) -> Vec<VisitId> {
        let longest = longest(store);
        let over = |entered_at: Timestamp| entered_at + longest <= at;
        let inside = self.visits.inside();
        let overlong: Vec<VisitId> = inside
            .filter(|(_, entered_at)| over(*entered_at))
            .map(|(id, _)| id)
            .collect();
        for id in &overlong {
            if let Some(basket) = self.open.get_mut(id) {
                basket.forced.insert(Forced::NoExitSeen);
            }
        }
        overlong
    }

    /// A person must look at the baskets that are not closed.
    pub fn force(&mut self, why: Forced) {
        let open = self.open.values_mut().filter(|b| b.closed.is_none());
        open.for_each(|basket| {
            basket.forced.insert(why);
        });
    }

    /// A person must look at this visit's basket where it is not closed.
    pub fn force_one(&mut self, visit: VisitId, why: Forced) {
        if let Some(basket) = self.open.get_mut(&visit).filter(|b| b.closed.is_none()) {
            basket.forced.insert(why);
        }
    }

    /// The visits whose baskets are not closed.
    pub fn not_closed(&self) -> impl Iterator<Item = VisitId> {
        let open = self.open.iter().filter(|(_, b)| b.closed.is_none());
        open.map(|(id, _)| *id)
    }

    /// Why nobody can review a visit's basket.
    pub fn refuses_review(&self, id: VisitId) -> Option<String> {
        if self.visits.visit(id).is_some_and(|v| v.staff) {
            return Some(format!("visit {id} is staff's: it has no receipt"));
        }
        let basket = self.open.get(&id);
        if basket.is_some_and(|b| b.closed.is_none()) {
            return Some(format!(
                "the basket of visit {id} is not closed yet; close the visit first"
            ));
        }
        (basket.is_none() && !self.kept.0.contains_key(&id)).then(|| {
            format!(
                "no basket of visit {id}; kept are those closed within the last 72 h, at most \
                 {KEPT_MAX}"
            )
        })
    }

    /// A person has looked at a closed basket.
    pub fn on_review(
        &mut self,
        store: &Store,
        at: Timestamp,
        id: VisitId,
        review: &Review,
        out: &mut Vec<Event>,
    ) {
        if self.refuses_review(id).is_some() {
            return;
        }
        let Some(published) = self.published_mut(id).map(|receipt| receipt.clone()) else {
            return;
        };
        let receipt = self.reviewed(store, published, review);
        if let Some(published) = self.published_mut(id) {
            *published = receipt.clone();
        }
        if let Some(closed) = self.open.get_mut(&id).and_then(|b| b.closed.as_mut()) {
            closed.reviewed = true;
        }
        let body = Body::BasketAdjusted(BasketAdjusted {
            visit: id,
            receipt,
            reason: "review".to_owned(),
        });
        out.push(self.number(at, Some(id), body));
    }

    fn published_mut(&mut self, id: VisitId) -> Option<&mut Receipt> {
        match self.open.get_mut(&id) {
            Some(basket) => basket.closed.as_mut().map(|closed| &mut closed.receipt),
            None => self.kept.0.get_mut(&id).map(|kept| &mut kept.receipt),
        }
    }

    fn reviewed(&self, store: &Store, published: Receipt, review: &Review) -> Receipt {
        let mut lines = match review {
            Review::Confirm => published.lines,
            Review::Correct(lines) => {
                let mut quantities: BTreeMap<Gtin, u32> = BTreeMap::new();
                for (gtin, quantity) in lines {
                    let all = quantities.entry(*gtin).or_default();
                    *all = all.saturating_add(*quantity);
                }
                quantities.retain(|_, quantity| *quantity > 0);
                let line = |(gtin, quantity)| self.corrected(store, &published, gtin, quantity);
                quantities.into_iter().map(line).collect()
            }
        };
        // Who looks is certain.
        lines.iter_mut().for_each(|line| line.confidence = 1.0);
        Receipt {
            total: super::receipt::total(&lines),
            lines,
            confidence: 1.0,
            review: false,
            reasons: Vec::new(),
        }
    }

    /// A line by a person's word. A product that was charged keeps its price of then.
    fn corrected(&self, store: &Store, published: &Receipt, gtin: Gtin, quantity: u32) -> Line {
        let before = published.lines.iter().find(|line| line.gtin == gtin);
        match before {
            Some(line) => Line {
                quantity,
                // Which of the tags it was not, nobody said.
                epcs: if line.epcs.len() <= quantity as usize {
                    line.epcs.clone()
                } else {
                    Vec::new()
                },
                ..line.clone()
            },
            None => Line {
                gtin,
                name: super::receipt::name(store, gtin),
                quantity,
                unit_price: self.price(store, gtin),
                epcs: Vec::new(),
                confidence: 1.0,
            },
        }
    }
}
