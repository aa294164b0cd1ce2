//! Events as CloudEvents 1.0 in JSON: one object, keys in the contract's order. The same event is
//! the same bytes.

pub mod data;

use schemars::JsonSchema;
use serde::Serialize;

use self::data::{Candidate, Data, Decision, Line};
use super::shape;
use crate::basket::event::{Alert, Body, Event, Item, Receipt};
use crate::ids::{GateIx, ShelfIx, VisitId};
use crate::store::Store;
use crate::units::Timestamp;
use crate::units::signal::round_to;

/// Names the store and the journal that events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub store: String,
    pub journal: String,
}

/// A CloudEvent; `D` is its `data`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CloudEvent<'a, D> {
    /// The version of CloudEvents.
    #[schemars(extend("const" = "1.0"))]
    pub specversion: &'static str,
    /// `<journal>/<n>`: unique for ever, the key by which a backend knows what it has.
    #[schemars(regex(pattern = "^[^/]+/t?[1-9][0-9]*$"))]
    pub id: String,
    /// The store.
    #[schemars(regex(pattern = "^/stores/[^/]+$"))]
    pub source: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The visit, shelf or alert that it is about.
    pub subject: String,
    /// When the box found it out.
    #[schemars(with = "shape::Time")]
    pub time: Timestamp,
    /// Of `data`.
    #[schemars(extend("const" = "application/json"))]
    pub datacontenttype: &'static str,
    /// Counts a visit's events from 1 without a hole; only events of a visit have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shape::Ordinal")]
    pub sequence: Option<u64>,
    /// What is to be told.
    pub data: &'a D,
}

/// An event as one line of JSON, without a line's end.
pub fn encode(store: &Store, origin: &Origin, event: &Event) -> String {
    let cloud = CloudEvent {
        specversion: "1.0",
        id: format!("{}/{}", origin.journal, event.n),
        source: format!("/stores/{}", origin.store),
        kind: kind(event),
        subject: subject(store, &event.body),
        time: event.at,
        datacontenttype: "application/json",
        sequence: event.sequence,
        data: &data(store, &event.body),
    };
    serde_json::to_string(&cloud).expect("strings, numbers and lists of them are JSON")
}

/// The type of an event, as it is published.
pub fn kind(event: &Event) -> &'static str {
    match &event.body {
        Body::VisitOpened(_) => "basketd.visit.opened",
        Body::Item(i) if i.taken => "basketd.item.taken",
        Body::Item(_) => "basketd.item.returned",
        Body::BasketClosed(_) => "basketd.basket.closed",
        Body::BasketAdjusted(_) => "basketd.basket.adjusted",
        Body::StockChanged(_) => "basketd.stock.changed",
        Body::StockLow { .. } => "basketd.stock.low",
        Body::StockMisplaced { .. } => "basketd.stock.misplaced",
        Body::AlertRaised(_) => "basketd.alert.raised",
        Body::AlertCleared(_) => "basketd.alert.cleared",
    }
}

/// An amount in the store's currency.
pub fn money(store: &Store, amount: u64) -> String {
    super::money::format(amount, store.currency.digits)
}

fn subject(store: &Store, body: &Body) -> String {
    let visit = |visit: VisitId| format!("visit/{visit}");
    let at = |shelf: ShelfIx| format!("shelf/{}", store.shelf(shelf).id);
    match body {
        Body::VisitOpened(v) => visit(v.visit),
        Body::Item(i) => i.visit.map_or_else(|| at(i.shelf), visit),
        Body::BasketClosed(b) => visit(b.visit),
        Body::BasketAdjusted(b) => visit(b.visit),
        Body::StockChanged(s) => at(s.shelf),
        Body::StockLow { shelf, .. } | Body::StockMisplaced { shelf, .. } => at(*shelf),
        Body::AlertRaised(a) | Body::AlertCleared(a) => format!("alert/{}", a.kind),
    }
}

fn data<'a>(store: &'a Store, body: &'a Body) -> Data<'a> {
    let shelf = |shelf: ShelfIx| store.shelf(shelf).id.as_str();
    match body {
        Body::VisitOpened(v) => Data::VisitOpened(data::VisitOpened {
            visit: v.visit.to_string(),
            gate: gate(store, v.gate),
            token: v.token.as_deref(),
            member: v.member.as_deref(),
            party: v.party,
            anonymous: v.token.is_none(),
        }),
        Body::Item(i) => item(store, i),
        Body::BasketClosed(b) => Data::BasketClosed(data::BasketClosed {
            visit: b.visit.to_string(),
            token: b.token.as_deref(),
            member: b.member.as_deref(),
            entered_at: b.entered_at,
            left_at: b.left_at,
            exit_gate: gate(store, b.exit_gate),
            lines: lines(store, &b.receipt),
            total: money(store, b.receipt.total),
            currency: &store.currency.code,
            confidence: probability(b.receipt.confidence),
            decision: decision(&b.receipt),
            reasons: &b.receipt.reasons,
        }),
        Body::BasketAdjusted(b) => Data::BasketAdjusted(data::BasketAdjusted {
            visit: b.visit.to_string(),
            lines: lines(store, &b.receipt),
            total: money(store, b.receipt.total),
            currency: &store.currency.code,
            confidence: probability(b.receipt.confidence),
            decision: decision(&b.receipt),
            reason: &b.reason,
        }),
        Body::StockChanged(s) => Data::StockChanged(data::StockChanged {
            shelf: shelf(s.shelf),
            gtin: s.gtin,
            on_hand: s.on_hand,
            capacity: s.capacity,
            reason: s.reason.into(),
        }),
        Body::StockLow {
            shelf: at,
            gtin,
            on_hand,
        } => Data::StockLow(data::StockLow {
            shelf: shelf(*at),
            gtin: *gtin,
            on_hand: *on_hand,
        }),
        Body::StockMisplaced {
            shelf: at,
            gtin,
            home_shelf,
            epcs,
        } => Data::StockMisplaced(data::StockMisplaced {
            shelf: shelf(*at),
            gtin: *gtin,
            home_shelf: shelf(*home_shelf),
            epcs,
        }),
        Body::AlertRaised(a) | Body::AlertCleared(a) => Data::Alert(alert(a)),
    }
}

fn item<'a>(store: &'a Store, i: &'a Item) -> Data<'a> {
    let visit = i.visit.map(|visit| visit.to_string());
    let shelf = store.shelf(i.shelf).id.as_str();
    let confidence = probability(i.confidence);
    let evidence = i.evidence.iter().copied().map(Into::into).collect();
    let unit_price = money(store, i.unit_price);
    let visits = i.candidate_visits.iter().map(|(v, p)| Candidate::Visit {
        visit: v.to_string(),
        probability: probability(*p),
    });
    let products = i.candidate_gtins.iter().map(|(g, p)| Candidate::Product {
        gtin: *g,
        probability: probability(*p),
    });
    let candidates = visits.chain(products).collect();
    let home_shelf = i.home_shelf.map(|home| store.shelf(home).id.as_str());
    if i.taken {
        Data::ItemTaken(data::ItemTaken {
            visit,
            gtin: i.gtin,
            quantity: i.quantity,
            shelf,
            epcs: &i.epcs,
            taken_at: i.acted_at,
            confidence,
            evidence,
            unit_price,
            candidates,
            home_shelf,
            correction: i.correction,
        })
    } else {
        Data::ItemReturned(data::ItemReturned {
            visit,
            gtin: i.gtin,
            quantity: i.quantity,
            shelf,
            epcs: &i.epcs,
            returned_at: i.acted_at,
            confidence,
            evidence,
            unit_price,
            candidates,
            home_shelf,
            correction: i.correction,
        })
    }
}

fn lines<'a>(store: &Store, receipt: &'a Receipt) -> Vec<Line<'a>> {
    let lines = receipt.lines.iter().map(|line| Line {
        gtin: line.gtin,
        name: &line.name,
        quantity: line.quantity,
        unit_price: money(store, line.unit_price),
        epcs: &line.epcs,
        confidence: probability(line.confidence),
    });
    lines.collect()
}

fn decision(receipt: &Receipt) -> Decision {
    if receipt.review {
        Decision::Review
    } else {
        Decision::Settle
    }
}

fn alert(alert: &Alert) -> data::Alert<'_> {
    data::Alert {
        kind: &alert.kind,
        severity: &alert.severity,
        about: &alert.about,
    }
}

fn gate(store: &Store, gate: Option<GateIx>) -> Option<&str> {
    gate.map(|gate| store.gates[gate.index()].id.as_str())
}

fn probability(p: f64) -> f64 {
    round_to(p.clamp(0.0, 1.0), 3)
}
