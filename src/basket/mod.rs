//! Baskets: visits with their lines and receipts. Takes fusion's decisions and the visits' coming
//! and going, keeps each visit's events in sequence, closes a basket when its visit has left and
//! all evidence of that time is in, and adjusts it when later evidence says otherwise. Pure.

mod entry;
pub mod event;
pub mod passing;
pub mod receipt;
pub mod review;
pub mod succession;
pub mod visits;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::fusion::Action;
use crate::fusion::Direction;
use crate::fusion::Fusion;
use crate::fusion::met::Meeting;
use crate::gs1::Gtin;
use crate::ids::VisitId;
use crate::store::Store;
use crate::tracking::Tracking;
use crate::units::{TimeDelta, Timestamp};

use self::event::{
    Alert, BasketAdjusted, BasketClosed, Body, Event, Evidence, Item, Receipt, VisitOpened,
};
use self::receipt::Company;
use self::review::{Forced, KeptBaskets};
use self::visits::{Visit, VisitChange, Visits};

/// All baskets that can still change, and the two orders of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baskets {
    pub visits: Visits,
    open: BTreeMap<VisitId, Basket>,
    prices: BTreeMap<Gtin, u64>,
    /// The number of the last event.
    last_n: u64,
    /// Closed baskets that only a person can still change.
    kept: KeptBaskets,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Basket {
    sequence: u64,
    /// When the visit has left: when to close, and after closing, when to forget.
    due: Option<Timestamp>,
    closed: Option<Closed>,
    /// Why a person must look at it, whatever the sensors say.
    forced: BTreeSet<Forced>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Closed {
    at: Timestamp,
    /// As it was published last.
    receipt: Receipt,
    /// A person has looked at it: sensors change it no longer.
    reviewed: bool,
}

/// How long after closing a basket late evidence still adjusts it.
const ADJUSTABLE: TimeDelta = TimeDelta::from_millis(60_000);

impl Baskets {
    pub fn new(store: &Store) -> Self {
        Self {
            visits: Visits::new(store),
            open: BTreeMap::new(),
            prices: BTreeMap::new(),
            last_n: 0,
            kept: KeptBaskets::default(),
        }
    }

    pub fn set_price(&mut self, gtin: Gtin, price: u64) {
        self.prices.insert(gtin, price);
    }

    fn price(&self, store: &Store, gtin: Gtin) -> u64 {
        let listed = store.catalog.get(&gtin).map_or(0, |p| p.price);
        self.prices.get(&gtin).copied().unwrap_or(listed)
    }

    /// Gives an event its places in the orders.
    pub fn number(&mut self, at: Timestamp, visit: Option<VisitId>, body: Body) -> Event {
        self.last_n += 1;
        let sequence = visit.and_then(|v| match self.open.get_mut(&v) {
            Some(basket) => Some(&mut basket.sequence),
            None => self.kept.sequence_mut(v),
        });
        let sequence = sequence.map(|sequence| {
            *sequence += 1;
            *sequence
        });
        Event {
            n: self.last_n,
            sequence,
            at,
            body,
        }
    }

    pub fn on_opened(&mut self, at: Timestamp, id: VisitId, out: &mut Vec<Event>) {
        self.open.insert(id, Basket::default());
        let Some(visit) = self.visits.visit(id) else {
            return;
        };
        let body = Body::VisitOpened(VisitOpened {
            visit: id,
            gate: visit.gate,
            token: visit.token.clone(),
            member: visit.member.clone(),
            party: visit.party,
        });
        out.push(self.number(at, Some(id), body));
    }

    pub fn on_left(&mut self, store: &Store, id: VisitId) {
        let visit = self.visits.visit(id);
        let left_at = visit.and_then(|v| v.left_at);
        let shown = visit.is_some_and(Visit::has_shown_token);
        let basket = self.open.get_mut(&id).filter(|b| b.closed.is_none());
        if let (Some(basket), Some(left_at)) = (basket, left_at) {
            // Whoever shows a token has walked to the exit from the shelves: only tags are still to
            // be waited for.
            let walked = if shown {
                receipt::shown_delay(store)
            } else {
                receipt::settle_delay(store)
            };
            basket.due = Some(left_at + walked);
        }
    }

    /// Two people were taken for each other and their tracks have been put right: when either visit
    /// is closed follows who of them has left.
    pub fn exchange(
        &mut self,
        store: &Store,
        meeting: &Meeting,
        tracking: &Tracking,
        fusion: &mut Fusion,
    ) {
        self.visits.exchange(meeting, tracking);
        for id in meeting.visits {
            let left_at = self.visits.visit(id).and_then(|v| v.left_at);
            fusion.carriers_mut().leave(id, left_at);
            match self.open.get_mut(&id) {
                Some(basket) if basket.closed.is_none() && left_at.is_none() => basket.due = None,
                Some(basket) if basket.closed.is_none() => self.on_left(store, id),
                _ => {}
            }
        }
    }

    /// Whether a visit's basket can still be closed.
    pub fn is_open(&self, id: VisitId) -> bool {
        self.open.get(&id).is_some_and(|b| b.closed.is_none())
    }

    pub fn on_action(
        &mut self,
        store: &Store,
        at: Timestamp,
        action: &Action,
        correction: bool,
        out: &mut Vec<Event>,
    ) {
        let several = |n: usize| n > 1;
        let body = Body::Item(Item {
            taken: action.direction == Direction::Take,
            visit: action.visit,
            gtin: action.gtin,
            quantity: 1,
            shelf: action.shelf,
            acted_at: action.at,
            confidence: action.confidence,
            evidence: evidence(action),
            epcs: action.epc.into_iter().collect(),
            unit_price: self.price(store, action.gtin),
            candidate_visits: if several(action.visits.len()) {
                action.visits.clone()
            } else {
                Vec::new()
            },
            candidate_gtins: if several(action.gtins.len()) {
                action.gtins.clone()
            } else {
                Vec::new()
            },
            home_shelf: action.home_shelf,
            correction,
        });
        // A closed basket's events are over; what comes later adjusts it.
        let visit = action
            .visit
            .filter(|v| self.open.get(v).is_some_and(|b| b.closed.is_none()));
        if action.visit.is_none() || visit.is_some() {
            out.push(self.number(at, visit, body));
        }
        if let (Some(home_shelf), Direction::Putback, false) =
            (action.home_shelf, action.direction, correction)
        {
            let epcs = action.epc.into_iter().collect();
            let body = Body::StockMisplaced {
                shelf: action.shelf,
                gtin: action.gtin,
                home_shelf,
                epcs,
            };
            out.push(self.number(at, None, body));
        }
    }

    /// When to call [`Baskets::due`] next.
    pub fn deadline(&self, store: &Store) -> Option<Timestamp> {
        let due = self.open.values().filter_map(|b| b.due).min();
        let entered = self.visits.inside().map(|(_, entered_at)| entered_at).min();
        let overlong = entered.map(|entered_at| entered_at + review::longest(store));
        let deadlines = [due, self.visits.deadline(), overlong];
        deadlines.into_iter().flatten().min()
    }

    /// The visits whose baskets are to be closed by now, with when they left.
    pub fn due(&self, at: Timestamp) -> Vec<(VisitId, Timestamp)> {
        let due = self
            .open
            .iter()
            .filter(|(_, b)| b.closed.is_none() && b.due.is_some_and(|d| d <= at));
        due.filter_map(|(id, _)| Some((*id, self.visits.visit(*id)?.left_at?)))
            .collect()
    }

    pub fn close(
        &mut self,
        store: &Store,
        at: Timestamp,
        id: VisitId,
        fusion: &Fusion,
        out: &mut Vec<Event>,
    ) {
        let Some(visit) = self.visits.visit(id).cloned() else {
            return;
        };
        let Some(left_at) = visit.left_at else { return };
        let receipt = self.receipt(store, &visit, fusion);
        if !visit.staff {
            let body = Body::BasketClosed(BasketClosed {
                visit: id,
                token: visit.token.clone(),
                member: visit.member.clone(),
                entered_at: visit.entered_at,
                left_at,
                exit_gate: visit.exit_gate,
                receipt: receipt.clone(),
            });
            out.push(self.number(at, Some(id), body));
            if receipt.reasons.iter().any(|r| r == receipt::NO_TOKEN) {
                let alert = Alert::new("unpaid-exit", "error", &id.to_string());
                out.push(self.number(at, None, Body::AlertRaised(alert)));
            }
        }
        if let Some(basket) = self.open.get_mut(&id) {
            basket.closed = Some(Closed {
                at,
                receipt,
                reviewed: false,
            });
            basket.due = Some(at + ADJUSTABLE);
        }
    }

    /// Late evidence: closed baskets whose lines are no longer what was published.
    pub fn adjust(
        &mut self,
        store: &Store,
        at: Timestamp,
        visits: &[VisitId],
        fusion: &Fusion,
        out: &mut Vec<Event>,
    ) {
        for id in visits {
            let closed = self.open.get(id).and_then(|b| b.closed.as_ref());
            let Some(closed) = closed.filter(|closed| !closed.reviewed) else {
                continue;
            };
            let Some(visit) = self.visits.visit(*id).cloned() else {
                continue;
            };
            let receipt = self.receipt(store, &visit, fusion);
            // Nobody is asked for a review of what is settled, and as a rule paid, over a little
            // more doubt about the same lines.
            let stands = receipt.review == closed.receipt.review
                || (receipt.review && !receipt::is_withdrawn(store, receipt.confidence));
            let same = same_lines(&receipt, &closed.receipt) && stands;
            if visit.staff || same {
                continue;
            }
            let reason = "late-evidence".to_owned();
            let body = Body::BasketAdjusted(BasketAdjusted {
                visit: *id,
                receipt: receipt.clone(),
                reason,
            });
            out.push(self.number(at, Some(*id), body));
            let closed = self.open.get_mut(id).and_then(|b| b.closed.as_mut());
            if let Some(closed) = closed {
                closed.receipt = receipt;
            }
        }
    }

    /// The visits that can no longer change.
    pub fn expired(&self, at: Timestamp) -> Vec<VisitId> {
        let over = self
            .open
            .iter()
            .filter(|(_, b)| b.closed.is_some() && b.due.is_some_and(|d| d <= at));
        over.map(|(id, _)| *id).collect()
    }

    /// Forgets a visit that sensors can no longer change; its basket is kept for a person's look.
    pub fn forget(&mut self, at: Timestamp, id: VisitId) {
        let staff = self.visits.visit(id).is_none_or(|v| v.staff);
        let basket = self.open.remove(&id).filter(|_| !staff);
        if let Some((sequence, closed)) = basket.and_then(|b| Some((b.sequence, b.closed?))) {
            self.kept.keep(at, id, sequence, closed);
        }
        self.visits.forget(id);
    }

    fn company(&self, visit: &Visit) -> Company {
        if self.visits.was_alone(visit) {
            Company::Alone
        } else if self.visits.was_among_unseen(visit) {
            Company::Unseen
        } else {
            Company::Known
        }
    }

    fn receipt(&self, store: &Store, visit: &Visit, fusion: &Fusion) -> Receipt {
        let price = |gtin| self.price(store, gtin);
        let held = fusion.holdings(visit.id);
        let mut receipt = receipt::compose(store, visit, &held, self.company(visit), &price);
        let forced = self.open.get(&visit.id).map(|b| &b.forced);
        for why in forced.into_iter().flatten() {
            receipt.review = true;
            receipt.reasons.push(why.reason().to_owned());
        }
        receipt
    }
}

/// Applies a change of who is in the store to baskets and fusion.
pub fn apply(
    store: &Store,
    at: Timestamp,
    change: &VisitChange,
    baskets: &mut Baskets,
    fusion: &mut Fusion,
    out: &mut Vec<Event>,
) {
    match change {
        VisitChange::Opened(id) => {
            if let Some(visit) = baskets.visits.visit(*id) {
                fusion.carriers_mut().enter(*id, visit.entered_at);
            }
            baskets.on_opened(at, *id, out);
        }
        VisitChange::Bound(id, track) => fusion.carriers_mut().bind(*id, *track),
        VisitChange::Met(meeting) => fusion.on_met(*meeting),
        VisitChange::Left(id) => {
            let left_at = baskets.visits.visit(*id).and_then(|v| v.left_at);
            fusion.carriers_mut().leave(*id, left_at);
            baskets.on_left(store, *id);
        }
        VisitChange::NotAdmitted(gate) => {
            let gate = store.gates[gate.index()].id.as_str();
            let alert = Alert::new("not-admitted", "error", gate);
            out.push(baskets.number(at, None, Body::AlertRaised(alert)));
        }
        VisitChange::Unadmitted(gate) => {
            let gate = gate.map_or("no gate", |g| store.gates[g.index()].id.as_str());
            let alert = Alert::new("unadmitted-entry", "error", gate);
            out.push(baskets.number(at, None, Body::AlertRaised(alert)));
        }
    }
}

fn same_lines(a: &Receipt, b: &Receipt) -> bool {
    a.lines.len() == b.lines.len()
        && a.lines
            .iter()
            .zip(&b.lines)
            .all(|(a, b)| a.gtin == b.gtin && a.quantity == b.quantity)
}

fn evidence(action: &Action) -> Vec<Evidence> {
    let s = action.sources;
    let all = [
        (s.rfid, Evidence::Rfid),
        (s.scale, Evidence::Scale),
        (s.vision, Evidence::Vision),
        (s.gate, Evidence::Gate),
    ];
    all.into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, e)| e)
        .collect()
}
