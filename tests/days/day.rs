//! One simulated day: made, played, and measured against its truth.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use basketd::app::score::{self, ActionKind, Receipt, Score, Truth};
use basketd::app::trial::Tape;
use basketd::clock::Stopwatch;
use basketd::sim;
use basketd::store::{Store, file};
use basketd::units::Timestamp;
use serde::Deserialize;

use crate::naive;

/// Which sensors a shop has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    All,
    RfidFloor,
    ScaleFloor,
    Vision,
    Rfid,
}

impl Column {
    pub(crate) const EACH: [Self; 5] = [
        Self::All,
        Self::RfidFloor,
        Self::ScaleFloor,
        Self::Vision,
        Self::Rfid,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::RfidFloor => "rfid-floor",
            Self::ScaleFloor => "scale-floor",
            Self::Vision => "vision",
            Self::Rfid => "rfid",
        }
    }

    fn sensors(self) -> sim::Sensors {
        match self {
            Self::All => sim::Sensors::All,
            Self::RfidFloor => sim::Sensors::RfidFloor,
            Self::ScaleFloor => sim::Sensors::ScaleFloor,
            Self::Vision => sim::Sensors::Vision,
            Self::Rfid => sim::Sensors::Rfid,
        }
    }
}

/// What is to be simulated.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) column: Column,
    pub(crate) harsh: bool,
    pub(crate) kiosk: bool,
    pub(crate) seed: u64,
    pub(crate) visits: usize,
    /// People inside, on average.
    pub(crate) crowd: f64,
}

impl Plan {
    /// The column and its noise.
    pub(crate) fn name(&self) -> String {
        name(self.column, self.harsh)
    }
}

pub(crate) fn name(column: Column, harsh: bool) -> String {
    let noise = if harsh { "harsh" } else { "nominal" };
    format!("{}-{noise}", column.name())
}

/// What is done with each day besides playing it once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Also {
    pub(crate) naive: bool,
    /// Plays it with all waiting times of fusion so many times as long, too.
    pub(crate) waits: Vec<f64>,
    /// Lines put to the end of every store file.
    pub(crate) store: String,
}

/// What came of one day.
#[derive(Debug, Clone, Default)]
pub(crate) struct Played {
    pub(crate) score: Score,
    /// Each line of a receipt: how likely it was said to be, and whether it is right.
    pub(crate) lines: Vec<(f64, bool)>,
    /// The same of whole receipts, where they say it.
    pub(crate) baskets: Vec<(f64, bool)>,
    /// From a take to its event, seconds.
    pub(crate) taken_s: Vec<f64>,
    pub(crate) naive: Option<Score>,
    /// With other waiting times: how many times as long, and the score.
    pub(crate) waits: Vec<(f64, Score)>,
    /// What the engine took for it, and how long the recording is, seconds.
    pub(crate) engine_s: f64,
    pub(crate) length_s: f64,
}

/// A store with its recording and truth.
pub(crate) struct Shop {
    pub(crate) store: Arc<Store>,
    pub(crate) recording: PathBuf,
    pub(crate) truths: Vec<Truth>,
}

/// People inside, on average: a kiosk of 4 m by 1.4 m holds few.
pub(crate) const KIOSK_CROWD: f64 = 1.0;
pub(crate) const HALL_CROWD: f64 = 2.0;

pub(crate) fn play(plan: &Plan, also: &Also) -> Played {
    let folder = tempfile::tempdir().unwrap();
    measure(&simulate(plan, also, folder.path()), also)
}

fn simulate(plan: &Plan, also: &Also, folder: &Path) -> Shop {
    let day = sim::Day::new(sim::Options {
        seed: plan.seed,
        story: sim::Story::Day {
            visits: plan.visits,
            crowd: plan.crowd,
        },
        sensors: plan.column.sensors(),
        noise: if plan.harsh {
            sim::Noise::Harsh
        } else {
            sim::Noise::Nominal
        },
        shop: if plan.kiosk {
            sim::ShopKind::Kiosk
        } else {
            sim::ShopKind::Hall
        },
        given: None,
    })
    .unwrap();
    let text = format!("{}\n{}", day.store, also.store);
    let store = read_store(&text, |_| Ok(day.catalog.clone()));
    let recording = folder.join("recording.mcap");
    let out = BufWriter::new(File::create(&recording).unwrap());
    let truth = day.run(out).unwrap().truth;
    Shop {
        store,
        recording,
        truths: score::truths("truth.jsonl", &truth).unwrap(),
    }
}

/// A folder that holds a recording with its store and truth.
pub(crate) fn open(folder: &Path, also: &Also) -> Shop {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|e| e.to_string());
    let text = format!("{}\n{}", read("store.toml").unwrap(), also.store);
    Shop {
        store: read_store(&text, read),
        recording: folder.join("recording.mcap"),
        truths: score::truths("truth.jsonl", &read("truth.jsonl").unwrap()).unwrap(),
    }
}

fn read_store(text: &str, mut open: impl FnMut(&str) -> Result<String, String>) -> Arc<Store> {
    match file::read("store.toml", text, &mut open) {
        Ok(file) => Arc::new(file.store),
        Err(problems) => panic!("{}", problems[0]),
    }
}

pub(crate) fn measure(shop: &Shop, also: &Also) -> Played {
    let Shop {
        store,
        recording,
        truths,
    } = shop;
    let naive = also
        .naive
        .then(|| score::score(truths, &naive::receipts(store, recording)));
    let tape = Tape::read(store, recording).unwrap();
    let watch = Stopwatch::start();
    let events = tape.play(store);
    let engine_s = watch.nanos() as f64 / 1e9;
    let receipts = score::receipts("events", &events).unwrap();
    let mut played = Played {
        score: score::score(truths, &receipts),
        taken_s: take_latencies(truths, &receipts, &events),
        naive,
        engine_s,
        length_s: tape.length_s(),
        ..Played::default()
    };
    for (truth, receipt) in score::pair(truths, &receipts).iter().enumerate() {
        if let Some(receipt) = receipt {
            played.weigh(&receipts[*receipt], Some(&truths[truth]));
        }
    }
    let paired = score::pair(truths, &receipts);
    for (i, receipt) in receipts.iter().enumerate() {
        if !paired.contains(&Some(i)) {
            played.weigh(receipt, None);
        }
    }
    for times in &also.waits {
        let events = tape.play(&waiting(store, *times));
        let receipts = score::receipts("events", &events).unwrap();
        played.waits.push((*times, score::score(truths, &receipts)));
    }
    played
}

impl Played {
    /// Compares what a receipt says of its own certainty with what is right.
    fn weigh(&mut self, receipt: &Receipt, truth: Option<&Truth>) {
        let carried = |gtin| truth.and_then(|t| t.items.get(gtin)).copied();
        for (gtin, confidence) in &receipt.lines {
            let right = carried(gtin) == receipt.items.get(gtin).copied();
            self.lines.push((*confidence, right));
        }
        if let Some(confidence) = receipt.confidence {
            let right = truth.is_some_and(|t| t.items == receipt.items);
            self.baskets.push((confidence, right));
        }
    }
}

/// The same store, which waits so many times as long for late evidence.
fn waiting(store: &Arc<Store>, times: f64) -> Arc<Store> {
    let mut store = Store::clone(store);
    let mut tunables = serde_json::to_value(&store.tunables).unwrap();
    for (name, value) in tunables["fusion"].as_object_mut().unwrap() {
        if let Some(wait) = value.as_f64().filter(|_| name.starts_with("wait_")) {
            *value = (wait * times).into();
        }
    }
    store.tunables = serde_json::from_value(tunables).unwrap();
    Arc::new(store)
}

#[derive(Deserialize)]
struct Published {
    #[serde(rename = "type")]
    kind: String,
    time: Timestamp,
    data: Taken,
}

#[derive(Deserialize)]
struct Taken {
    visit: Option<String>,
    gtin: Option<basketd::gs1::Gtin>,
    taken_at: Option<Timestamp>,
}

/// An event is of a take that lies no further from what it says itself, seconds.
const SAME_TAKE_S: f64 = 10.0;

/// How long after each take that was told rightly its event came.
fn take_latencies(truths: &[Truth], receipts: &[Receipt], events: &str) -> Vec<f64> {
    let paired = score::pair(truths, receipts);
    let mut left: Vec<Vec<_>> = truths
        .iter()
        .map(|t| {
            let taken = t.events.iter().filter(|e| e.kind == ActionKind::Taken);
            taken.map(|e| (e.gtin, e.at)).collect()
        })
        .collect();
    let mut latencies = Vec::new();
    let told = events.lines().filter(|l| l.contains("basketd.item.taken"));
    for line in told {
        let event: Published = serde_json::from_str(line).unwrap();
        let Taken {
            visit: Some(visit),
            gtin: Some(gtin),
            taken_at: Some(taken_at),
        } = event.data
        else {
            continue;
        };
        assert_eq!(event.kind, "basketd.item.taken");
        let receipt = receipts.iter().position(|r| r.visit == visit);
        let truth = paired
            .iter()
            .position(|r| receipt.is_some() && *r == receipt);
        let Some(truth) = truth else { continue };
        let apart = |at: Timestamp| taken_at.secs_since(at).abs();
        let takes = left[truth].iter().enumerate();
        let near = takes
            .filter(|(_, (g, at))| *g == gtin && apart(*at) <= SAME_TAKE_S)
            .min_by(|a, b| apart(a.1.1).total_cmp(&apart(b.1.1)))
            .map(|(i, _)| i);
        if let Some(i) = near {
            let (_, at) = left[truth].remove(i);
            latencies.push(event.time.secs_since(at));
        }
    }
    latencies
}
