//! One scene, simulated and replayed in this process and in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::process::Command;
use std::sync::Arc;

use basketd::app::replay::InMemory;
use basketd::recording::{Channel, Message};
use basketd::sim::{Day, Noise, Options, Outcome, Sensors, ShopKind, Story};
use basketd::store::{Store, file};
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
    #[expect(
        dead_code,
        reason = "printed with the receipt where one scene is looked at"
    )]
    pub(super) reasons: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Played {
    pub(super) expected: Vec<Expected>,
    pub(super) receipts: Vec<Receipt>,
}

/// A message that a box was given.
struct Given {
    channel: usize,
    log_time: u64,
    publish_time: u64,
    payload: Vec<u8>,
}

/// One scene with all sensors that its jobs want between them, and its messages.
pub(super) struct Shown {
    channels: Vec<Channel>,
    messages: Vec<Given>,
    journal: String,
    outcome: Outcome,
}

fn day(job: &Job) -> Day {
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
    day.unwrap()
}

pub(super) fn show(job: &Job) -> Shown {
    let day = day(job);
    let journal = day.metadata()["journal"].clone();
    let (mut channels, mut messages) = (Vec::<Channel>::new(), Vec::new());
    let mut numbers = BTreeMap::new();
    let played = day.play(|m| {
        let number = *numbers.entry(m.topic.to_owned()).or_insert(channels.len());
        if number == channels.len() {
            channels.push(Channel {
                number,
                topic: m.topic.to_owned(),
                schema: m.schema.to_owned(),
                encoding: "json".to_owned(),
            });
        }
        messages.push(Given {
            channel: number,
            log_time: m.log_time,
            publish_time: m.publish_time,
            payload: m.payload.to_vec(),
        });
        Ok::<(), Infallible>(())
    });
    let Ok(outcome) = played;
    Shown {
        channels,
        messages,
        journal,
        outcome,
    }
}

/// What a shop with the job's sensors makes of what was shown. Sensors that it lacks are not in its
/// store file, and what they said is left out.
pub(super) fn events(job: &Job, shown: &Shown) -> Vec<String> {
    let store = store(&day(job));
    let has = |topic: &str| {
        let mut parts = topic.split('/').skip(1);
        match (parts.next(), parts.next()) {
            (Some("rfid"), Some(id)) => store.reader_by_id(id).is_some(),
            (Some("scale"), Some(id)) => store.scale_by_id(id).is_some(),
            (Some("camera"), Some(id)) => store.camera_by_id(id).is_some(),
            _ => true,
        }
    };
    let heard: Vec<bool> = shown.channels.iter().map(|c| has(&c.topic)).collect();
    let mut engine = InMemory::new(&store, &shown.journal);
    for message in shown.messages.iter().filter(|m| heard[m.channel]) {
        engine.take(&Message {
            log_time: message.log_time,
            publish_time: message.publish_time,
            channel: &shown.channels[message.channel],
            payload: &message.payload,
        });
    }
    engine.finish().unwrap()
}

pub(super) fn play(job: &Job, shown: &Shown) -> Played {
    let events = events(job, shown);
    Played {
        expected: shown.outcome.expected.lines().map(parsed).collect(),
        receipts: receipts(events.iter().map(|line| parsed(line))),
    }
}

fn store(day: &Day) -> Arc<Store> {
    let mut catalog = |_: &str| Ok(day.catalog.clone());
    let read = file::read("store.toml", &day.store, &mut catalog);
    Arc::new(read.expect("the simulator's own store file").store)
}

/// The events of a job by files and the program, as a user does it.
pub(super) fn by_files(job: &Job) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let day = day(job);
    std::fs::write(at("store.toml"), &day.store).unwrap();
    std::fs::write(at("catalog.csv"), &day.catalog).unwrap();
    day.run(File::create(at("recording.mcap")).unwrap())
        .unwrap();
    let mut replay = Command::new(env!("CARGO_BIN_EXE_basketd"));
    replay.arg("replay").arg(at("recording.mcap"));
    replay.arg("--store").arg(at("store.toml"));
    replay.arg("--events").arg(at("events.jsonl"));
    assert!(replay.output().unwrap().status.success());
    let events = std::fs::read_to_string(at("events.jsonl")).unwrap();
    events.lines().map(str::to_owned).collect()
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
