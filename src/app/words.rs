//! Numbers and names as people read them. A number and its unit are parted by [`NBSP`], so that no
//! line breaks between them; what is printed has plain spaces.

use crate::fusion::Direction;
use crate::gs1::{Epc, Gtin};
use crate::store::{ReadPoint, Store};

/// What stands between a number and its unit until lines are broken.
pub(super) const NBSP: char = '\u{a0}';

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
    let text = match 100.0 * p {
        p if p > 99.95 => format!(">{NBSP}99.9"),
        p if p < 0.05 => format!("<{NBSP}0.1"),
        p => format!("{p:.1}"),
    };
    format!("{text}{NBSP}%")
}

/// A log of odds, whatever its sign, as how many to one.
pub(super) fn odds(nats: f64) -> String {
    let times = libm::exp(nats.abs().min(30.0));
    let times = match times {
        t if t < 9.95 => format!("{t:.1}"),
        t if t < 1e6 => format!("{t:.0}"),
        _ => format!("over a{NBSP}million"),
    };
    format!("{times}{NBSP}to{NBSP}1")
}

/// A log of odds as those that it is, or that it is not, whichever is likelier.
pub(super) fn likelier(nats: f64, is: &str, is_not: &str) -> String {
    format!("{} {}", odds(nats), if nats < 0.0 { is_not } else { is })
}

/// How much is said for something, or against it.
pub(super) fn speaks(nats: f64, what: &str) -> String {
    let side = if nats < 0.0 { "against" } else { "for" };
    format!("{:.1}{NBSP}nats {side} {what}", nats.abs())
}

/// With its sign; a true minus, so that it does not break lines.
pub(super) fn grams(grams: f64) -> String {
    format!("{grams:+.0}{NBSP}g")
}

/// Names joined as in a sentence.
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [many @ .., last] => format!("{} and {last}", many.join(", ")),
    }
}

/// A receipt's reason as events have it, with the product's name beside its number.
pub(super) fn reason(store: &Store, reason: &str) -> String {
    let Some((what, gtin)) = reason.split_once(' ') else {
        return reason.to_owned();
    };
    let known = gtin.parse::<Gtin>().ok();
    known.map_or_else(
        || reason.to_owned(),
        |gtin| format!("{what} {}", product(store, gtin)),
    )
}

/// What is printed: no number parted from its unit any more by anything but a space.
pub(super) fn plain(text: &str) -> String {
    text.replace(NBSP, " ")
}
