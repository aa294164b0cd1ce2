//! stub
use super::event::Origin;
use crate::basket::event::{Body, Event};
use crate::store::Store;
pub struct Address {
    pub topic: String,
    pub retained: bool,
}
pub fn prefix(store: &str) -> String {
    format!("basketd/v1/{store}")
}
pub fn status(store: &str) -> String {
    format!("{}/status", prefix(store))
}
pub fn ack(store: &str) -> String {
    format!("{}/ack", prefix(store))
}
pub fn source(store: &str, source: &str) -> String {
    format!("{}/source/{source}", prefix(store))
}
pub fn commands(store: &str) -> String {
    format!("{}/cmd/+", prefix(store))
}
pub fn command_name<'a>(store: &str, topic: &'a str) -> Option<&'a str> {
    topic.strip_prefix(&format!("{}/cmd/", prefix(store)))
}
pub const BACKEND_FILTERS: [&str; 4] = ["visit/+", "stock/#", "stock-alert", "alert"];
pub fn address(store: &Store, origin: &Origin, event: &Event) -> Address {
    let p = prefix(&origin.store);
    let (tail, retained) = match &event.body {
        Body::VisitOpened(v) => (format!("visit/{}", v.visit), false),
        Body::Item(i) => (
            i.visit.map_or("alert".into(), |v| format!("visit/{v}")),
            false,
        ),
        Body::BasketClosed(b) => (format!("visit/{}", b.visit), false),
        Body::BasketAdjusted(b) => (format!("visit/{}", b.visit), false),
        Body::StockChanged(s) => (
            format!("stock/{}/{}", store.shelf(s.shelf).id, s.gtin),
            true,
        ),
        Body::AlertRaised(_) | Body::AlertCleared(_) => ("alert".into(), false),
        _ => ("stock-alert".into(), false),
    };
    Address {
        topic: format!("{p}/{tail}"),
        retained,
    }
}
