//! JSON Schemas (2020-12) of all that basketd says and hears, made from the types that write and
//! read it. Each stands by itself: no schema refers to another.

mod asyncapi;
pub mod commands;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::delivery::{Ack, Reply, SourceStatus, Status};
use super::event::CloudEvent;
use super::event::data;
use super::record;

pub use self::asyncapi::asyncapi;

/// All schemas by name: of events (`basketd.item.taken`), of a recording's messages
/// (`basketd.TagRead`), of commands (`basketd.cmd.price.set`) and of what else goes over the
/// broker (`basketd.Ack`).
pub fn schemas() -> &'static BTreeMap<&'static str, Value> {
    static SCHEMAS: OnceLock<BTreeMap<&'static str, Value>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let mut all = BTreeMap::new();
        all.extend(events());
        all.extend(messages());
        all.extend(requests());
        all.extend(deliveries());
        all
    })
}

/// A schema's text as a journal's file holds it; `None` for what is not ours to describe.
pub fn schema_text(name: &str) -> Option<&'static str> {
    static TEXTS: OnceLock<BTreeMap<&'static str, String>> = OnceLock::new();
    let text = |(name, schema): (&&'static str, &Value)| (*name, schema.to_string());
    let texts = TEXTS.get_or_init(|| schemas().iter().map(text).collect());
    texts.get(name).map(String::as_str)
}

/// Types of events, with their data.
fn events() -> [(&'static str, Value); 12] {
    [
        event::<data::VisitOpened<'_>>("basketd.visit.opened"),
        event::<data::ItemTaken<'_>>("basketd.item.taken"),
        event::<data::ItemReturned<'_>>("basketd.item.returned"),
        event::<data::BasketClosed<'_>>("basketd.basket.closed"),
        event::<data::BasketAdjusted<'_>>("basketd.basket.adjusted"),
        event::<data::StockChanged<'_>>("basketd.stock.changed"),
        event::<data::StockLow<'_>>("basketd.stock.low"),
        event::<data::StockMisplaced<'_>>("basketd.stock.misplaced"),
        event::<data::TrafficCounted<'_>>("basketd.traffic.counted"),
        event::<data::InterestCounted>("basketd.interest.counted"),
        event::<data::Alert<'_>>("basketd.alert.raised"),
        event::<data::Alert<'_>>("basketd.alert.cleared"),
    ]
}

/// Messages of a recording.
fn messages() -> [(&'static str, Value); 9] {
    [
        read::<record::TagRead<'_>>("basketd.TagRead"),
        read::<record::Detections<'_>>("basketd.Detections"),
        read::<record::Weight>("basketd.Weight"),
        read::<record::GateEvent>("basketd.GateEvent"),
        read::<record::Door>("basketd.Door"),
        read::<commands::Command>("basketd.Command"),
        read::<record::SourceState<'_>>("basketd.SourceState"),
        read::<record::SourceGap<'_>>("basketd.SourceGap"),
        read::<record::Timer>("basketd.Timer"),
    ]
}

/// Commands at the broker, whose topic names them.
fn requests() -> [(&'static str, Value); 8] {
    [
        read::<commands::RestockBegin>("basketd.cmd.restock.begin"),
        read::<commands::RestockEnd>("basketd.cmd.restock.end"),
        read::<commands::PriceSet>("basketd.cmd.price.set"),
        read::<commands::StockSet>("basketd.cmd.stock.set"),
        read::<commands::VisitClose>("basketd.cmd.visit.close"),
        read::<commands::BasketReview>("basketd.cmd.basket.review"),
        read::<commands::Resend>("basketd.cmd.resend"),
        read::<commands::Status>("basketd.cmd.status"),
    ]
}

fn deliveries() -> [(&'static str, Value); 4] {
    [
        read::<Ack>("basketd.Ack"),
        written::<Status>("basketd.Status"),
        written::<SourceStatus>("basketd.SourceStatus"),
        written::<Reply>("basketd.Reply"),
    ]
}

fn event<D: JsonSchema>(name: &'static str) -> (&'static str, Value) {
    let (_, mut schema) = written::<CloudEvent<'_, D>>(name);
    // The data's own words say what happened; those of the envelope are the same for all.
    let data = schema_of::<D>(SchemaSettings::draft2020_12().for_serialize());
    if let Some(about) = data.get("description") {
        schema["description"] = about.clone();
    }
    if let Some(kind) = schema.pointer_mut("/properties/type") {
        kind["const"] = json!(name);
    }
    (name, schema)
}

fn written<T: JsonSchema>(name: &'static str) -> (&'static str, Value) {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    (name, titled::<T>(name, settings))
}

fn read<T: JsonSchema>(name: &'static str) -> (&'static str, Value) {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    (name, titled::<T>(name, settings))
}

fn titled<T: JsonSchema>(name: &str, settings: SchemaSettings) -> Value {
    let schema = schema_of::<T>(settings);
    // What names it stands first, for people who read it.
    let head = json!({
        "$schema": schema["$schema"],
        "title": name,
        "description": schema["description"],
    });
    let both = [head, schema].into_iter().filter_map(|part| match part {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    let mut named = Map::new();
    for (key, value) in both.flatten() {
        named.entry(key).or_insert(value);
    }
    Value::Object(named)
}

fn schema_of<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_stands_by_itself() {
        assert_eq!(schemas().len(), 33);
        for (name, schema) in schemas() {
            let text = schema_text(name).unwrap();
            assert!(!text.contains("$ref"), "{name}: {text}");
            assert_eq!(schema["title"], *name);
            assert!(schema["description"].is_string(), "{name} says nothing");
        }
        assert_eq!(schema_text("foxglove.CompressedImage"), None);
    }
}
