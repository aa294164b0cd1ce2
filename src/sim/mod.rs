//! A shop that does not exist: people, goods and sensors by models of their own, written as a
//! recording with its truth. It knows nothing of the engine, nor the engine of it; what passes
//! between them is the contract's files.
//!
//! ```text
//!   shop (fixtures, plates, antennas, cameras) ─► store.toml, catalog.csv
//!   people (plans, bodies) ─► world (10 ms steps; stock, weights) ─► truth.jsonl
//!                                │ looked at by
//!                                ▼
//!   sensor: scales, readers, floor and shelf cameras, gates ─► tape ─► recording.mcap
//! ```
//!
//! Numbers with their sources stand in `effects` (sensors by noise level), `people::plan`
//! (habits), and at the head of each sensor's file. One seed gives the same bytes on every
//! machine: chance comes from `random`, elementary functions from `libm`, time from a counter.

pub mod device;
mod effects;
mod people;
mod random;
mod sensor;
mod shop;
mod space;
mod stock;
mod tape;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use mcap::McapResult;
use sha2::{Digest as _, Sha256};

use self::effects::Effects;
pub use self::effects::Noise;
use self::random::Random;
use self::sensor::{floor_eye, gate, outage, rfid, scale, shelf_eye};
use self::shop::Shop;
pub use self::shop::ShopKind;
use self::tape::Tape;
use self::world::World;
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
    /// Shoppers' visits; helpers come besides.
    pub visits: usize,
    pub sensors: Sensors,
    pub noise: Noise,
    pub shop: ShopKind,
    /// One of the named scenes instead of a day's visits.
    pub scene: Option<String>,
    /// A shop after this store file instead.
    pub given: Option<Store>,
    /// People inside, on average.
    pub crowd: f64,
}

/// Why nothing can be simulated.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the store has no gate of an entry zone, or none of an exit zone")]
    NoDoor,
    #[error("no scene `{0}`; there are {known}", known = scene_names())]
    Scene(String),
}

fn scene_names() -> String {
    people::scenes::SCENES.map(|s| s.0).join(", ")
}

/// A shop ready to open.
pub struct Day {
    world: World,
    options: Options,
    effects: Effects,
    epoch: Timestamp,
    pub store: String,
    pub catalog: String,
}

/// Nobody is there any more, and the sensors go on for so long.
const AFTER_S: f64 = 11.0;
/// Nobody stays longer.
const LONGEST_S: f64 = 36.0 * 3600.0;

impl Day {
    pub fn new(options: Options) -> Result<Self, Refused> {
        let effects = Effects::of(options.noise);
        let shop = match &options.given {
            Some(store) => Shop::after(options.seed, store, options.sensors, &effects)
                .ok_or(Refused::NoDoor)?,
            None => Shop::build(options.seed, options.shop, options.sensors, &effects),
        };
        let (store, catalog) = (shop::text::store(&shop), shop::text::catalog(&shop));
        let arrivals = match &options.scene {
            Some(name) => people::scenes::scene(options.seed, &shop, name)
                .ok_or_else(|| Refused::Scene(name.clone()))?,
            None => people::plan::day(options.seed, &shop, options.visits, options.crowd),
        };
        // A morning within the year, so that recordings differ.
        let morning = Random::stream(options.seed, "date").int(0, 300) as i64;
        let epoch = Timestamp::from_micros(1_767_254_400_000_000)
            + TimeDelta::from_micros(morning * 86_400_000_000);
        Ok(Self {
            world: World::new(options.seed, shop, arrivals, &effects),
            options,
            effects,
            epoch,
            store,
            catalog,
        })
    }

    /// Runs to the end; writes the recording to `out` and gives the truth.
    pub fn run<W: Write + Seek>(mut self, out: W) -> McapResult<String> {
        let (seed, world, effects) = (self.options.seed, &mut self.world, &self.effects);
        let metadata = metadata(seed, &world.shop.id, &self.store);
        let mut tape = Tape::new(
            out,
            self.epoch.as_nanos(),
            &metadata,
            (seed, effects.clock_s),
        )?;
        let mut scales = scale::Scales::new(seed, world, effects);
        let mut readers = rfid::Readers::new(seed, world, effects);
        let mut floor = floor_eye::FloorEyes::new(seed, world, effects);
        let mut shelves = shelf_eye::ShelfEyes::new(seed, world, effects);
        let mut gates = gate::Gates::new(seed, world);
        let mut outages = outage::Outages::new(seed, world, effects);
        let mut end = f64::INFINITY;
        while world.now < end.min(LONGEST_S) {
            world.step();
            outages.step(world, &mut tape);
            gates.step(world, &mut tape);
            scales.step(world, &mut tape);
            readers.step(world, &mut tape);
            floor.step(world, &mut tape);
            shelves.step(world, &mut tape);
            tape.advance(world.now)?;
            if end.is_infinite() && world.is_over() {
                end = world.now + AFTER_S;
            }
        }
        tape.finish()?;
        Ok(truth::lines(world, self.epoch))
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
