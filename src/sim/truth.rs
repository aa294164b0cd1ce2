//! What really happened, and what a receipt ought to say of it: a line a visit each, in the order
//! of leaving.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::world::{Visit, World};
use crate::units::{TimeDelta, Timestamp};

/// `truth.jsonl`. Staff have no visit there.
pub(super) fn lines(world: &World, epoch: Timestamp) -> String {
    let time = |s: f64| (epoch + TimeDelta::from_secs(s)).to_string();
    let gtin = |good: usize| world.shop.goods[good].gtin.to_string();
    let mut out = String::new();
    for (left_at, v) in visits(world) {
        let items = items(world, v);
        let mut line = Map::new();
        line.insert("token".into(), json!(v.token));
        line.insert("items".into(), json!(items));
        line.insert("left_at".into(), json!(time(left_at)));
        if v.people.len() > 1 {
            line.insert("party".into(), json!(v.people.len()));
        }
        if v.token.is_none() {
            line.insert("anonymous".into(), json!(true));
        }
        let mut events: Vec<_> = v.events.iter().collect();
        events.sort_by(|a, b| a.at.total_cmp(&b.at));
        let events: Vec<Value> = events
            .iter()
            .map(|e| {
                json!({
                    "at": time(e.at),
                    "gtin": gtin(e.good),
                    "shelf": world.shop.level(e.shelf.0, e.shelf.1).id,
                    "kind": if e.taken { "taken" } else { "returned" },
                })
            })
            .collect();
        line.insert("events".into(), json!(events));
        if !v.handovers.is_empty() {
            let given: Vec<Value> = v
                .handovers
                .iter()
                .map(|h| {
                    json!({
                        "at": time(h.at),
                        "gtin": gtin(h.good),
                        "from": v.token,
                        "to": world.visits[h.to].token,
                    })
                })
                .collect();
            line.insert("handovers".into(), json!(given));
        }
        out.push_str(&Value::Object(line).to_string());
        out.push('\n');
    }
    out
}

/// `expected.jsonl`: what a receipt must charge, and whether it may be settled. A receipt that an
/// anonymous visit gets is never settled, nor that of a visit whose scene says so.
pub(super) fn expected(world: &World, epoch: Timestamp) -> String {
    let mut out = String::new();
    for (left_at, v) in visits(world) {
        let review = v.review || v.token.is_none();
        let line = json!({
            "token": v.token,
            "left_at": (epoch + TimeDelta::from_secs(left_at)).to_string(),
            "items": items(world, v),
            "decision": if review { "review" } else { "settle" },
        });
        out.push_str(&line.to_string());
        out.push('\n');
    }
    out
}

/// Shoppers' visits in the order of leaving, with its time.
fn visits(world: &World) -> Vec<(f64, &Visit)> {
    let shoppers = world.visits.iter().filter(|v| !v.staff);
    let mut visits: Vec<_> = shoppers.filter_map(|v| Some((v.left_at?, v))).collect();
    visits.sort_by(|a, b| a.0.total_cmp(&b.0));
    visits
}

/// What a visit carried out or consumed, by GTIN.
fn items(world: &World, visit: &Visit) -> BTreeMap<String, u32> {
    let mut items = BTreeMap::new();
    for unit in &visit.bought {
        let good = world.stock.units[*unit].good;
        *items
            .entry(world.shop.goods[good].gtin.to_string())
            .or_insert(0) += 1;
    }
    items
}
