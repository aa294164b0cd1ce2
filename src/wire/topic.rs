//! Where messages go at the broker.
//!
//! | topic | holds | retained |
//! | --- | --- | --- |
//! | `basketd/v1/<store>/visit/<visit>` | that visit's events | no |
//! | `basketd/v1/<store>/stock/<shelf>/<gtin>` | `stock.changed` | yes |
//! | `basketd/v1/<store>/stock-alert`, `…/traffic/<zone>`, `…/interest/<gtin>`, `…/alert` | the others | no |
//! | `basketd/v1/<store>/status` | the box's state; `offline` is the last will | yes |
//! | `basketd/v1/<store>/source/<kind>/<id>` | that sensor's state | yes |
//! | `basketd/v1/<store>/ack` | from the backend: what it has safely stored | yes |
//! | `basketd/v1/<store>/cmd/<command>` | towards the daemon; the answer goes to the MQTT 5 response topic | no |

use super::event::Origin;
use crate::basket::event::{Body, Event};
use crate::store::Store;

/// What a confirming backend subscribes to, below a store's [`prefix`].
pub const BACKEND_FILTERS: [&str; 4] = ["visit/+", "stock/#", "stock-alert", "alert"];

/// Where an event goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub topic: String,
    /// Whether the broker keeps it for those who come later.
    pub retained: bool,
}

/// Where an event goes: to its visit's topic, or to that of its kind where it is nobody's.
pub fn address(store: &Store, origin: &Origin, event: &Event) -> Address {
    let visit = |visit| (format!("visit/{visit}"), false);
    let (tail, retained) = match &event.body {
        Body::VisitOpened(v) => visit(v.visit),
        Body::Item(i) => i.visit.map_or_else(|| ("alert".to_owned(), false), visit),
        Body::BasketClosed(b) => visit(b.visit),
        Body::BasketAdjusted(b) => visit(b.visit),
        Body::StockChanged(s) => {
            let shelf = &store.shelf(s.shelf).id;
            (format!("stock/{shelf}/{}", s.gtin), true)
        }
        Body::StockLow { .. } | Body::StockMisplaced { .. } => ("stock-alert".to_owned(), false),
        Body::AlertRaised(_) | Body::AlertCleared(_) => ("alert".to_owned(), false),
    };
    Address {
        topic: format!("{}/{tail}", prefix(&origin.store)),
        retained,
    }
}

/// What all topics of a store begin with.
pub fn prefix(store: &str) -> String {
    format!("basketd/v1/{store}")
}

/// The box's state.
pub fn status(store: &str) -> String {
    format!("{}/status", prefix(store))
}

/// What the backend has safely stored.
pub fn ack(store: &str) -> String {
    format!("{}/ack", prefix(store))
}

/// A sensor's state, by the name that recordings use: `rfid/r1`.
pub fn source(store: &str, source: &str) -> String {
    format!("{}/source/{source}", prefix(store))
}

/// A filter for all commands.
pub fn commands(store: &str) -> String {
    format!("{}/cmd/+", prefix(store))
}

/// The command that a topic is of; `None` for other topics.
pub fn command_name<'a>(store: &str, topic: &'a str) -> Option<&'a str> {
    topic.strip_prefix(&format!("{}/cmd/", prefix(store)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basket::event::{Alert, BasketAdjusted, Item, Receipt, StockChanged, StockReason};
    use crate::gs1::Gtin;
    use crate::ids::{ShelfIx, VisitId};
    use crate::units::Timestamp;

    fn kiosk() -> Store {
        let text = include_str!("../../config/kiosk/store.toml");
        let mut open = |name: &str| match name {
            "catalog.csv" => Ok(include_str!("../../config/kiosk/catalog.csv").to_owned()),
            "tags.csv" => Ok(include_str!("../../config/kiosk/tags.csv").to_owned()),
            _ => Err("no such file".to_owned()),
        };
        let read = crate::store::file::read("store.toml", text, &mut open);
        read.expect("the kiosk is right").store
    }

    fn item(gtin: Gtin, visit: Option<VisitId>) -> Body {
        Body::Item(Item {
            taken: true,
            visit,
            gtin,
            quantity: 1,
            shelf: ShelfIx(0),
            acted_at: Timestamp::MIN,
            confidence: 1.0,
            evidence: Vec::new(),
            epcs: Vec::new(),
            unit_price: 1,
            candidate_visits: Vec::new(),
            candidate_gtins: Vec::new(),
            home_shelf: None,
            correction: false,
        })
    }

    #[test]
    fn each_event_has_its_topic() {
        let store = kiosk();
        let gtin: Gtin = "02000000010014".parse().unwrap();
        let shelf = store.shelf_by_id("g1-s2").unwrap();
        let alert = Alert::new("unknown-tag", "info", "30AA");
        let adjusted = BasketAdjusted {
            visit: VisitId(17),
            receipt: Receipt::default(),
            reason: String::new(),
        };
        let stock = StockChanged {
            shelf,
            gtin,
            on_hand: 1,
            capacity: None,
            reason: StockReason::Taken,
        };
        let low = Body::StockLow {
            shelf,
            gtin,
            on_hand: 0,
        };
        let misplaced = Body::StockMisplaced {
            shelf,
            gtin,
            home_shelf: shelf,
            epcs: Vec::new(),
        };
        for (body, tail, retained) in [
            (item(gtin, Some(VisitId(17))), "visit/v-000017", false),
            (item(gtin, None), "alert", false),
            (Body::BasketAdjusted(adjusted), "visit/v-000017", false),
            (
                Body::StockChanged(stock),
                "stock/g1-s2/02000000010014",
                true,
            ),
            (low, "stock-alert", false),
            (misplaced, "stock-alert", false),
            (Body::AlertRaised(alert.clone()), "alert", false),
            (Body::AlertCleared(alert), "alert", false),
        ] {
            let origin = Origin {
                store: "nano-1".to_owned(),
                journal: "j4k2".to_owned(),
            };
            let event = Event {
                n: 1,
                sequence: None,
                at: Timestamp::MIN,
                body,
            };
            let topic = format!("basketd/v1/nano-1/{tail}");
            assert_eq!(
                address(&store, &origin, &event),
                Address { topic, retained }
            );
        }
    }

    #[test]
    fn topics_are_those_of_the_contract() {
        assert_eq!(status("s"), "basketd/v1/s/status");
        assert_eq!(ack("s"), "basketd/v1/s/ack");
        assert_eq!(source("s", "rfid/r1"), "basketd/v1/s/source/rfid/r1");
        assert_eq!(commands("s"), "basketd/v1/s/cmd/+");
        let topic = "basketd/v1/s/cmd/price.set";
        assert_eq!(command_name("s", topic), Some("price.set"));
        assert_eq!(command_name("t", topic), None);
        assert_eq!(command_name("s", "basketd/v1/s/ack"), None);
    }
}
