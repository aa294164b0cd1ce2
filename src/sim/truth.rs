//! What really happened, a line a visit, in the order of leaving.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::world::World;
use crate::units::{TimeDelta, Timestamp};

/// `truth.jsonl`. Staff have no visit there.
pub(super) fn lines(world: &World, epoch: Timestamp) -> String {
    let time = |s: f64| (epoch + TimeDelta::from_secs(s)).to_string();
    let gtin = |good: usize| world.shop.goods[good].gtin.to_string();
    let mut visits: Vec<_> = world
        .visits
        .iter()
        .filter(|v| !v.staff)
        .filter_map(|v| Some((v.left_at?, v)))
        .collect();
    visits.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out = String::new();
    for (left_at, v) in visits {
        let mut items: BTreeMap<String, u32> = BTreeMap::new();
        for unit in &v.bought {
            *items
                .entry(gtin(world.stock.units[*unit].good))
                .or_insert(0) += 1;
        }
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
