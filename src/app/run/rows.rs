//! An event as the outbox keeps it.

use crate::basket::event::{Body, Event};
use crate::outbox::{Change, Row};
use crate::store::Store;
use crate::wire::event::{Origin, encode, kind, money};
use crate::wire::topic::{Address, address};

pub(super) fn row(store: &Store, origin: &Origin, event: &Event) -> Row {
    let Address { topic, retained } = address(store, origin, event);
    let (visit, change) = match &event.body {
        Body::VisitOpened(v) => {
            let token = v.token.clone();
            (Some(v.visit), Some(Change::Opened { token }))
        }
        Body::Item(i) => (i.visit, None),
        Body::BasketClosed(b) => (Some(b.visit), Some(closed(store, &b.receipt))),
        Body::BasketAdjusted(b) => (Some(b.visit), Some(closed(store, &b.receipt))),
        _ => (None, None),
    };
    Row {
        n: event.n,
        at_us: event.at.as_micros(),
        kind: kind(event).to_owned(),
        visit: visit.map(|v| v.to_string()),
        topic,
        retained,
        body: encode(store, origin, event),
        change,
    }
}

fn closed(store: &Store, receipt: &crate::basket::event::Receipt) -> Change {
    Change::Closed {
        review: receipt.review,
        total: money(store, receipt.total),
    }
}
