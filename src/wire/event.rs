//! Events as CloudEvents 1.0 in JSON: one object, keys in the contract's order. The same event is
//! the same bytes.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::basket::event::{Alert, Body, Event, Item, Receipt, StockReason};
use crate::ids::{GateIx, ShelfIx, VisitId};
use crate::store::Store;
use crate::units::signal::round_to;

/// Names the store and the journal that events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub store: String,
    pub journal: String,
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    data: &'a Value,
}

/// An event as one line of JSON, without a line's end.
pub fn encode(store: &Store, origin: &Origin, event: &Event) -> String {
    let (kind, subject, data) = body(store, event);
    let cloud = CloudEvent {
        specversion: "1.0",
        id: format!("{}/{}", origin.journal, event.n),
        source: format!("/stores/{}", origin.store),
        kind,
        subject,
        time: event.at.to_string(),
        datacontenttype: "application/json",
        sequence: event.sequence,
        data: &data,
    };
    serde_json::to_string(&cloud).expect("strings, numbers and maps of strings are JSON")
}

fn body(store: &Store, event: &Event) -> (&'static str, String, Value) {
    match &event.body {
        Body::VisitOpened(v) => {
            let data = json!({
                "visit": v.visit.to_string(),
                "gate": gate(store, v.gate),
                "token": v.token,
                "member": v.member,
                "party": v.party,
                "anonymous": v.token.is_none(),
            });
            ("basketd.visit.opened", subject(v.visit), data)
        }
        Body::Item(i) => {
            let kind = if i.taken {
                "basketd.item.taken"
            } else {
                "basketd.item.returned"
            };
            let about = i
                .visit
                .map_or_else(|| shelf_subject(store, i.shelf), subject);
            (kind, about, item(store, i))
        }
        Body::BasketClosed(b) => {
            let mut data = Map::new();
            data.insert("visit".into(), json!(b.visit.to_string()));
            data.insert("token".into(), json!(b.token));
            data.insert("member".into(), json!(b.member));
            data.insert("entered_at".into(), json!(b.entered_at.to_string()));
            data.insert("left_at".into(), json!(b.left_at.to_string()));
            data.insert("exit_gate".into(), json!(gate(store, b.exit_gate)));
            receipt(store, &b.receipt, &mut data);
            data.insert("reasons".into(), json!(b.receipt.reasons));
            (
                "basketd.basket.closed",
                subject(b.visit),
                Value::Object(data),
            )
        }
        Body::BasketAdjusted(b) => {
            let mut data = Map::new();
            data.insert("visit".into(), json!(b.visit.to_string()));
            receipt(store, &b.receipt, &mut data);
            data.insert("reason".into(), json!(b.reason));
            (
                "basketd.basket.adjusted",
                subject(b.visit),
                Value::Object(data),
            )
        }
        Body::StockChanged(s) => {
            let reason = match s.reason {
                StockReason::Taken => "taken",
                StockReason::Returned => "returned",
                StockReason::Restocked => "restocked",
                StockReason::Counted => "counted",
            };
            let data = json!({
                "shelf": store.shelf(s.shelf).id,
                "gtin": s.gtin.to_string(),
                "on_hand": s.on_hand,
                "capacity": s.capacity,
                "reason": reason,
            });
            ("basketd.stock.changed", shelf_subject(store, s.shelf), data)
        }
        Body::StockMisplaced {
            shelf,
            gtin,
            home_shelf,
            epcs,
        } => {
            let data = json!({
                "shelf": store.shelf(*shelf).id,
                "gtin": gtin.to_string(),
                "home_shelf": store.shelf(*home_shelf).id,
                "epcs": epcs,
            });
            (
                "basketd.stock.misplaced",
                shelf_subject(store, *shelf),
                data,
            )
        }
        Body::StockLow {
            shelf,
            gtin,
            on_hand,
        } => {
            let data = json!({
                "shelf": store.shelf(*shelf).id,
                "gtin": gtin.to_string(),
                "on_hand": on_hand,
            });
            ("basketd.stock.low", shelf_subject(store, *shelf), data)
        }
        Body::AlertRaised(a) => ("basketd.alert.raised", alert_subject(a), alert(a)),
        Body::AlertCleared(a) => ("basketd.alert.cleared", alert_subject(a), alert(a)),
    }
}

fn item(store: &Store, i: &Item) -> Value {
    let mut data = Map::new();
    data.insert("visit".into(), json!(i.visit.map(|v| v.to_string())));
    data.insert("gtin".into(), json!(i.gtin.to_string()));
    data.insert("quantity".into(), json!(i.quantity));
    data.insert("shelf".into(), json!(store.shelf(i.shelf).id));
    data.insert("epcs".into(), json!(i.epcs));
    let when = if i.taken { "taken_at" } else { "returned_at" };
    data.insert(when.into(), json!(i.acted_at.to_string()));
    data.insert("confidence".into(), probability(i.confidence));
    data.insert("evidence".into(), json!(i.evidence));
    data.insert("unit_price".into(), json!(money(store, i.unit_price)));
    let mut candidates: Vec<Value> = Vec::new();
    let visits = i.candidate_visits.iter();
    candidates.extend(
        visits.map(|(v, p)| json!({"visit": v.to_string(), "probability": probability(*p)})),
    );
    let gtins = i.candidate_gtins.iter();
    candidates
        .extend(gtins.map(|(g, p)| json!({"gtin": g.to_string(), "probability": probability(*p)})));
    if !candidates.is_empty() {
        data.insert("candidates".into(), Value::Array(candidates));
    }
    if let Some(home) = i.home_shelf {
        data.insert("home_shelf".into(), json!(store.shelf(home).id));
    }
    Value::Object(data)
}

fn receipt(store: &Store, receipt: &Receipt, data: &mut Map<String, Value>) {
    let line = |l: &crate::basket::event::Line| {
        json!({
            "gtin": l.gtin.to_string(),
            "name": l.name,
            "quantity": l.quantity,
            "unit_price": money(store, l.unit_price),
            "epcs": l.epcs,
            "confidence": probability(l.confidence),
        })
    };
    let lines: Vec<Value> = receipt.lines.iter().map(line).collect();
    data.insert("lines".into(), Value::Array(lines));
    data.insert("total".into(), json!(money(store, receipt.total)));
    data.insert("currency".into(), json!(store.currency.code));
    let decision = if receipt.review { "review" } else { "settle" };
    data.insert("decision".into(), json!(decision));
}

fn subject(visit: VisitId) -> String {
    format!("visit/{visit}")
}

fn shelf_subject(store: &Store, shelf: ShelfIx) -> String {
    format!("shelf/{}", store.shelf(shelf).id)
}

fn alert_subject(alert: &Alert) -> String {
    format!("alert/{}", alert.kind)
}

fn alert(a: &Alert) -> Value {
    json!({"kind": a.kind, "severity": a.severity, "about": a.about})
}

fn gate(store: &Store, gate: Option<GateIx>) -> Option<&str> {
    gate.map(|g| store.gates[g.index()].id.as_str())
}

fn probability(p: f64) -> Value {
    json!(round_to(p.clamp(0.0, 1.0), 3))
}

/// An amount in the store's currency.
pub fn money(store: &Store, amount: u64) -> String {
    super::money::format(amount, store.currency.digits)
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
