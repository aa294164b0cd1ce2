//! A shop that does not exist: people, goods and sensors by models of their own, written as a
//! recording with its truth. It knows nothing of the engine, nor the engine of it; what passes
//! between them is the contract's files.
//!
//! ```text
//!   shop (fixtures, plates, antennas, cameras) ─► store.toml, catalog.csv
//!   people (plans, scenes, bodies) ─► world (10 ms steps; stock, weights) ─► truth.jsonl,
//!                                │ looked at by            expected.jsonl, people.jsonl
//!                                ▼
//!   sensor: scales, readers, floor and shelf cameras, gates ─► tape ─► recording.mcap
//! ```
//!
//! Numbers with their sources stand in `effects` (sensors by noise level), `people::plan`
//! (habits), and at the head of each sensor's file. One seed gives the same bytes on every
//! machine: chance comes from `random`, elementary functions from `libm`, time from a counter.

pub mod device;
mod effects;
mod incident;
mod people;
mod random;
mod sensor;
mod shop;
mod space;
mod stock;
mod tape;
mod truth;
mod whereabouts;
mod world;

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use mcap::McapResult;
use sha2::{Digest as _, Sha256};

use self::effects::Effects;
pub use self::effects::Noise;
use self::incident::Incident;
use self::people::scenes::Play;
use self::random::Random;
use self::sensor::{floor_eye, gate, outage, rfid, scale, shelf_eye};
pub use self::shop::ShopKind;
use self::shop::{Premises, Shop};
pub use self::tape::Sent;
use self::tape::Tape;
use self::whereabouts::Whereabouts;
use self::world::World;
use crate::recording::writer::RecordingWriter;
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};

/// Which sensors the shop has; all have doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensors {
    All,
    Rfid,
    RfidFloor,
    ScaleFloor,
    Vision,
}

impl Sensors {
    fn scales(self) -> bool {
        matches!(self, Self::All | Self::ScaleFloor)
    }

    fn rfid(self) -> bool {
        matches!(self, Self::All | Self::Rfid | Self::RfidFloor)
    }

    fn floor(self) -> bool {
        self != Self::Rfid
    }

    fn shelves(self) -> bool {
        matches!(self, Self::All | Self::Vision)
    }
}

/// What is to be simulated.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    pub story: Story,
    pub sensors: Sensors,
    pub noise: Noise,
    pub shop: ShopKind,
    /// A shop after this store file instead.
    pub given: Option<Store>,
}

/// Who comes, and what for.
#[derive(Debug, Clone, PartialEq)]
pub enum Story {
    /// So many shoppers' visits, helpers besides; `crowd` people inside, on average.
    Day { visits: usize, crowd: f64 },
    /// A scene by its name.
    Scene(String),
}

/// Why nothing can be simulated.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the store has no gate of an entry zone, or none of an exit zone")]
    NoDoor,
    #[error("no scene `{0}`; there are\n{known}", known = scene_list())]
    Scene(String),
    #[error(
        "scene `{0}` wants a second way out, a restroom or a stack by the gate, which the store \
         file does not have; leave the store file away"
    )]
    Premises(String),
}

/// A scene as others may know it.
#[derive(Debug, Clone, Copy)]
pub struct SceneInfo {
    pub name: &'static str,
    pub shows: &'static str,
    /// The sensors with which it can be judged at all.
    pub sensors: &'static [Sensors],
}

/// All scenes.
pub fn scenes() -> impl Iterator<Item = SceneInfo> {
    people::scenes::all().map(|scene| SceneInfo {
        name: scene.name,
        shows: scene.shows,
        sensors: scene.sensors,
    })
}

/// All scenes with what they show, a line each.
pub fn scene_list() -> String {
    let lines: Vec<String> = scenes()
        .map(|s| format!("  {:<22} {}", s.name, s.shows))
        .collect();
    lines.join("\n")
}

/// What a simulated day leaves besides its recording: the texts of the files that judge it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What really was carried out or consumed, a line a visit.
    pub truth: String,
    /// What a receipt ought to say, a line a visit.
    pub expected: String,
    /// Where people were, a line a person and half second.
    pub people: String,
}

/// A shop ready to open.
pub struct Day {
    world: World,
    incidents: Vec<Incident>,
    options: Options,
    effects: Effects,
    epoch: Timestamp,
    pub store: String,
    pub catalog: String,
}

/// Nobody is there any more, and the sensors go on for so long.
const AFTER_S: f64 = 11.0;
/// Share of invented shops where cartons stand behind the wall beside the way out.
const STACKED: f64 = 0.25;
/// Nobody stays longer.
const LONGEST_S: f64 = 36.0 * 3600.0;

impl Day {
    pub fn new(options: Options) -> Result<Self, Refused> {
        let effects = Effects::of(options.noise);
        let scene = match &options.story {
            Story::Day { .. } => None,
            Story::Scene(name) => {
                let scene = people::scenes::all().find(|s| s.name == name);
                Some(scene.ok_or_else(|| Refused::Scene(name.clone()))?)
            }
        };
        let mut premises = scene.map(|s| s.premises).unwrap_or_default();
        let shop = match &options.given {
            Some(_) if premises != Premises::default() => {
                let name = scene.map_or("", |s| s.name);
                return Err(Refused::Premises(name.to_owned()));
            }
            Some(store) => Shop::after(options.seed, store, options.sensors, &effects)
                .ok_or(Refused::NoDoor)?,
            None => {
                if scene.is_none() {
                    premises.stack = Random::stream(options.seed, "premises").chance(STACKED);
                }
                let (kind, sensors) = (options.shop, options.sensors);
                Shop::build(options.seed, kind, sensors, premises, &effects)
            }
        };
        let (store, catalog) = (shop::text::store(&shop), shop::text::catalog(&shop));
        let play = match (scene, &options.story) {
            (Some(scene), _) => scene.play(options.seed, &shop),
            (None, Story::Day { visits, crowd }) => {
                Play::of(people::plan::day(options.seed, &shop, *visits, *crowd))
            }
            (None, Story::Scene(_)) => Play::default(),
        };
        // A morning within the year, so that recordings differ.
        let morning = Random::stream(options.seed, "date").int(0, 300) as i64;
        let epoch = Timestamp::from_micros(1_767_254_400_000_000)
            + TimeDelta::from_micros(morning * 86_400_000_000);
        Ok(Self {
            world: World::new(options.seed, shop, play.arrivals, &play.tagged, &effects),
            incidents: play.incidents,
            options,
            effects,
            epoch,
            store,
            catalog,
        })
    }

    /// What the recording says of itself.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        metadata(self.options.seed, &self.world.shop.id, &self.store)
    }

    /// Runs to the end; writes the recording to `out`, and gives the texts that judge it.
    pub fn run<W: Write + Seek>(self, out: W) -> McapResult<Outcome> {
        let mut writer = RecordingWriter::new(out, &self.metadata())?;
        let outcome = self.play(|m| {
            let (topic, schema) = (m.topic, m.schema);
            writer.json(topic, schema, m.log_time, m.publish_time, m.payload)
        })?;
        writer.finish()?;
        Ok(outcome)
    }

    /// The same, message by message as they reach the box.
    pub fn play<E>(
        mut self,
        mut each: impl FnMut(&Sent<'_>) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        let (seed, world, effects) = (self.options.seed, &mut self.world, &self.effects);
        let incidents = &self.incidents;
        let mut tape = Tape::new(self.epoch.as_nanos(), (seed, effects.clock_s), incidents);
        let mut scales = scale::Scales::new(seed, world, effects);
        let mut readers = rfid::Readers::new(seed, world, effects);
        let mut floor = floor_eye::FloorEyes::new(seed, world, effects, incidents);
        let mut shelves = shelf_eye::ShelfEyes::new(seed, world, effects);
        let mut gates = gate::Gates::new(seed, world);
        let mut outages = outage::Outages::new(seed, world, effects, incidents);
        let mut people = Whereabouts::new(self.epoch);
        let mut end = f64::INFINITY;
        while world.now < end.min(LONGEST_S) {
            world.step();
            outages.step(world, &mut tape);
            gates.step(world, &mut tape);
            scales.step(world, &mut tape);
            readers.step(world, &mut tape);
            floor.step(world, &mut tape);
            shelves.step(world, &mut tape);
            tape.advance(world.now, &mut each)?;
            people.step(world);
            if end.is_infinite() && world.is_over() {
                end = world.now + AFTER_S;
            }
        }
        tape.advance(1e9, &mut each)?;
        Ok(Outcome {
            truth: truth::lines(world, self.epoch),
            expected: truth::expected(world, self.epoch),
            people: people.finish(),
        })
    }
}

fn metadata(seed: u64, store: &str, text: &str) -> BTreeMap<String, String> {
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    let journal = format!("{:08x}", Random::stream(seed, "journal").next() as u32);
    BTreeMap::from([
        ("version".into(), "1".into()),
        ("store".into(), store.into()),
        ("journal".into(), journal),
        ("store_sha256".into(), hex),
    ])
}

#[cfg(test)]
mod tests;
