//! Receipts: what is held as lines with prices, and whether a person must look.

use super::event::{Line, Receipt};
use super::visits::Visit;
use crate::fusion::Holdings;
use crate::gs1::Gtin;
use crate::store::{ReadPoint, Store, View};
use crate::units::TimeDelta;

/// The reason of a receipt of somebody whom no gate admitted.
pub(super) const NO_TOKEN: &str = "no-token";

/// A settled receipt is withdrawn where the expected cost of its being wrong is this many reviews.
const WITHDRAWN_REVIEWS: f64 = 2.0;

/// Whether a receipt that was settled is in so much doubt now that a person must look at it.
pub(super) fn is_withdrawn(store: &Store, confidence: f64) -> bool {
    let t = &store.tunables.basket;
    (1.0 - confidence) * t.wrong_receipt_cost > WITHDRAWN_REVIEWS * t.review_cost
}

/// Who else was inside during a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    Alone,
    Known,
    /// Among them somebody of whom a door alone told that he left.
    Unseen,
}

/// The receipt of what a visit holds. It is settled only where the expected cost of its being
/// wrong is below that of a person's look.
pub(super) fn compose(
    store: &Store,
    visit: &Visit,
    holdings: &Holdings,
    company: Company,
    price: &dyn Fn(Gtin) -> u64,
) -> Receipt {
    let t = &store.tunables.basket;
    let line = |h: &crate::fusion::Holding| Line {
        gtin: h.gtin,
        name: name(store, h.gtin),
        quantity: h.quantity,
        unit_price: price(h.gtin),
        epcs: h.epcs.clone(),
        // Of somebody else it would be another's.
        confidence: h.confidence * (1.0 - visit.doubt),
    };
    let lines: Vec<Line> = holdings.lines.iter().map(line).collect();
    let total = total(&lines);
    let confidence = holdings.confidence * (1.0 - visit.doubt) * unseen(store, company);
    let review = (1.0 - confidence) * t.wrong_receipt_cost > t.review_cost;
    let mut reasons = Vec::new();
    if review {
        let doubtful = holdings.lines.iter().filter(|l| l.confidence < 0.95);
        reasons.extend(doubtful.map(|l| format!("quantity-in-doubt {}", l.gtin)));
        let missing = holdings.missing.iter().filter(|(_, p)| *p > 0.05);
        reasons.extend(missing.map(|(gtin, _)| format!("possibly-missing {gtin}")));
        if visit.doubt > 0.05 {
            reasons.push("shopper-in-doubt".to_owned());
        }
        if reasons.is_empty() {
            reasons.push("basket-in-doubt".to_owned());
        }
    }
    // Nobody can be charged for it.
    let unpaid = visit.anonymous() && !lines.is_empty();
    if unpaid {
        reasons.push(NO_TOKEN.to_owned());
    }
    let review = review || unpaid;
    Receipt {
        lines,
        total,
        confidence,
        review,
        reasons,
    }
}

/// Probability that nothing went unseen, and nobody was taken for another where nobody is followed:
/// what the sensors that a store has cannot know of themselves. Shares right on simulated days, of
/// receipts that all evidence at hand called certain.
fn unseen(store: &Store, company: Company) -> f64 {
    let shelf = |p: &ReadPoint| matches!(p, ReadPoint::Shelf(_) | ReadPoint::Gondola(_));
    let tags = store.antennas.iter().any(|a| shelf(&a.read_point));
    match (!store.scales.is_empty(), tags) {
        (true, _) => 1.0,
        (false, true) if store.has_floor_cameras() || company == Company::Alone => 0.98,
        (false, true) if company == Company::Known => 0.95,
        (false, true) => 0.85,
        (false, false) => 0.60,
    }
}

pub(super) fn name(store: &Store, gtin: Gtin) -> String {
    let product = store.catalog.get(&gtin);
    product.map_or_else(String::new, |p| p.name.clone())
}

pub(super) fn total(lines: &[Line]) -> u64 {
    let worth = |l: &Line| l.unit_price.saturating_mul(u64::from(l.quantity));
    lines.iter().map(worth).fold(0, u64::saturating_add)
}

/// How long after a visit's leaving the slowest of the store's sensors has told what it knows:
/// the gate's antennas hear a passing tag for seconds, a shelf's tag is missed after two rounds.
pub(super) fn settle_delay(store: &Store) -> TimeDelta {
    let t = &store.tunables.fusion;
    let cameras = store
        .cameras
        .iter()
        .any(|c| matches!(c.view, View::Shelf { .. }));
    let waits = [(!store.scales.is_empty(), t.wait_scale_s), (cameras, 1.8)];
    let slowest = waits
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, s)| *s)
        .fold(0.5, f64::max);
    TimeDelta::from_secs(slowest).max(shown_delay(store))
}

/// How long tags are waited for after an exit.
pub(super) fn shown_delay(store: &Store) -> TimeDelta {
    let at = |is: fn(&ReadPoint) -> bool| store.antennas.iter().any(|a| is(&a.read_point));
    let shelf = at(|p| matches!(p, ReadPoint::Shelf(_) | ReadPoint::Gondola(_)));
    let gate = at(|p| matches!(p, ReadPoint::Gate(_)));
    let wait_shelf = if shelf {
        store.tunables.fusion.wait_rfid_s
    } else {
        0.0
    };
    TimeDelta::from_secs(if gate {
        wait_shelf.max(3.5)
    } else {
        wait_shelf
    })
}
