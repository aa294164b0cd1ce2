//! One scene: simulated to a file, replayed in this process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use basketd::app::replay;
use basketd::sim::{Day, Noise, Options, Sensors, ShopKind, Story};
use basketd::store::file;
use basketd::units::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) scene: &'static str,
    pub(super) sensors: Sensors,
    pub(super) seed: u64,
}

type Items = BTreeMap<String, u32>;

/// What a visit's receipt ought to be: a line of `expected.jsonl`.
#[derive(Debug, Deserialize)]
pub(super) struct Expected {
    pub(super) token: Option<String>,
    pub(super) left_at: Timestamp,
    pub(super) items: Items,
    pub(super) decision: String,
}

/// A receipt as it stood at the end.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) visit: String,
    pub(super) token: Option<String>,
    pub(super) left_at: Timestamp,
    pub(super) items: Items,
    pub(super) epcs: Vec<String>,
    pub(super) settled: bool,
    pub(super) reasons: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Played {
    pub(super) expected: Vec<Expected>,
    pub(super) receipts: Vec<Receipt>,
}

pub(super) fn play(job: &Job) -> Played {
    let crowded = job.scene == "crowd";
    let day = Day::new(Options {
        seed: job.seed,
        story: Story::Scene(job.scene.to_owned()),
        sensors: job.sensors,
        noise: Noise::Nominal,
        shop: if crowded {
            ShopKind::Hall
        } else {
            ShopKind::Kiosk
        },
        given: None,
    });
    let day = day.unwrap();
    let mut catalog = |_: &str| Ok(day.catalog.clone());
    let read = file::read("store.toml", &day.store, &mut catalog);
    let store = Arc::new(read.expect("the simulator's own store file").store);
    let file = tempfile::NamedTempFile::new().unwrap();
    let out = BufWriter::new(File::create(file.path()).unwrap());
    let outcome = day.run(out).unwrap();
    let events = replay::events(&store, file.path()).unwrap();
    Played {
        expected: outcome.expected.lines().map(parsed).collect(),
        receipts: receipts(events.iter().map(|line| parsed(line))),
    }
}

fn parsed<T: DeserializeOwned>(line: &str) -> T {
    serde_json::from_str(line).unwrap()
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Deserialize)]
struct Basket {
    visit: String,
    token: Option<String>,
    left_at: Option<Timestamp>,
    lines: Vec<Line>,
    decision: String,
    #[serde(default)]
    reasons: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    gtin: String,
    quantity: u32,
    #[serde(default)]
    epcs: Vec<String>,
}

/// The last word on each visit, in the order of leaving.
fn receipts(events: impl Iterator<Item = Event>) -> Vec<Receipt> {
    let mut by_visit: BTreeMap<String, Receipt> = BTreeMap::new();
    for event in events {
        if !event.kind.starts_with("basketd.basket.") {
            continue;
        }
        let basket: Basket = serde_json::from_value(event.data).unwrap();
        let before = by_visit.remove(&basket.visit);
        let left_at = basket.left_at.or(before.as_ref().map(|b| b.left_at));
        let mut items = Items::new();
        for line in &basket.lines {
            *items.entry(line.gtin.clone()).or_insert(0) += line.quantity;
        }
        let receipt = Receipt {
            visit: basket.visit.clone(),
            token: basket.token.or(before.and_then(|b| b.token)),
            left_at: left_at.expect("a basket is closed before it is adjusted"),
            items,
            epcs: basket.lines.into_iter().flat_map(|l| l.epcs).collect(),
            settled: basket.decision == "settle",
            reasons: basket.reasons,
        };
        by_visit.insert(basket.visit, receipt);
    }
    let mut receipts: Vec<Receipt> = by_visit.into_values().collect();
    receipts.sort_by_key(|r| r.left_at);
    receipts
}
