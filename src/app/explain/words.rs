//! Numbers and names as people read them.

use crate::fusion::Direction;
use crate::gs1::{Epc, Gtin};
use crate::store::{ReadPoint, Store};

/// The end of a tag's EPC, which tells tags of one product apart.
pub(super) fn tag(epc: &Epc) -> String {
    let text = epc.to_string();
    let end: Vec<char> = text.chars().rev().take(4).collect();
    let end: String = end.into_iter().rev().collect();
    format!("…{end}")
}

pub(super) fn product(store: &Store, gtin: Gtin) -> String {
    let name = store.catalog.get(&gtin).map_or("", |p| p.name.as_str());
    if name.is_empty() {
        gtin.to_string()
    } else {
        format!("{name} ({gtin})")
    }
}

pub(super) fn name(store: &Store, gtin: Gtin) -> String {
    let known = store.catalog.get(&gtin).map(|p| p.name.clone());
    known
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| gtin.to_string())
}

pub(super) fn place(store: &Store, place: ReadPoint) -> String {
    match place {
        ReadPoint::Shelf(shelf) => format!("shelf {}", store.shelf(shelf).id),
        ReadPoint::Gondola(gondola) => format!("gondola {}", store.gondola(gondola).id),
        ReadPoint::Gate(gate) => format!("gate {}", store.gates[gate.index()].id),
        ReadPoint::Zone(zone) => format!("zone {}", store.zones[zone.index()].id),
    }
}

pub(super) fn done(direction: Direction) -> &'static str {
    match direction {
        Direction::Take => "taken",
        Direction::Putback => "put back",
    }
}

/// A probability; the very sure is not told as certain.
pub(super) fn percent(p: f64) -> String {
    match 100.0 * p {
        p if p > 99.95 => "> 99.9 %".to_owned(),
        p if p < 0.05 => "< 0.1 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

/// A log of odds as how many to one.
pub(super) fn odds(nats: f64) -> String {
    let times = libm::exp(nats.abs().min(30.0));
    let times = match times {
        t if t < 9.95 => format!("{t:.1}"),
        t if t < 1e6 => format!("{t:.0}"),
        _ => "over a million".to_owned(),
    };
    if nats < 0.0 {
        format!("1 to {times}")
    } else {
        format!("{times} to 1")
    }
}

/// With its sign.
pub(super) fn nats(nats: f64) -> String {
    format!("{nats:+.1} nats")
}

/// With its sign; a true minus, so that it does not break lines.
pub(super) fn grams(grams: f64) -> String {
    format!("{grams:+.0} g")
}
