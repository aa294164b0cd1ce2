//! The store: layout, planogram, sensors and catalogue, as the store file gives them. A [`Store`]
//! cannot be wrong: every reference resolves, every polygon is simple, every number is finite.
//! Indices ([`ShelfIx`] and the like) are places in these vectors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gs1::{Epc, Gtin};
use crate::ids::{AntennaIx, CameraIx, GateIx, GondolaIx, ReaderIx, ScaleIx, ShelfIx, ZoneIx};
use crate::units::{Homography, Polygon, Segment};

mod calibration;
mod catalog;
pub mod file;
pub mod live;
pub mod problem;
pub mod settings;
pub mod source;
pub mod tunables;

pub use file::StoreFile;
pub use live::{CameraLive, GateLive, JsonPath, Live, MassUnit, ReaderLive, ScaleLive, Transport};
pub use problem::{Place, Problem, nearest};
pub use settings::{Confirm, Console, Link, Mqtt, Settings, State, Target};
pub use source::{
    CameraSource, DoorSource, GateSource, ReaderProtocol, ReaderSource, ScaleSource, UsbId,
};
pub use tunables::Tunables;

/// A validated store file with its catalogue and tag list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Store {
    pub id: String,
    pub name: String,
    /// IANA time zone name.
    pub timezone: String,
    pub currency: Currency,
    pub zones: Vec<Zone>,
    pub gates: Vec<Gate>,
    pub gondolas: Vec<Gondola>,
    /// All shelves, gondola by gondola, bottom to top.
    pub shelves: Vec<Shelf>,
    pub scales: Vec<Scale>,
    pub readers: Vec<Reader>,
    /// All antennas, reader by reader.
    pub antennas: Vec<Antenna>,
    pub cameras: Vec<Camera>,
    pub catalog: BTreeMap<Gtin, Product>,
    /// GTINs of tags whose EPC does not name one.
    pub tags: BTreeMap<Epc, Gtin>,
    pub tunables: Tunables,
}

/// An ISO 4217 currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Currency {
    pub code: String,
    /// Decimals that a price is written with.
    pub digits: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    pub id: String,
    pub entry: bool,
    pub exit: bool,
    pub aisle: bool,
    pub staff: bool,
    /// On the floor plan, metres.
    pub polygon: Polygon,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    pub id: String,
    pub zone: ZoneIx,
    pub source: GateSource,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gondola {
    pub id: String,
    /// Its face on the floor plan, left to right as a shopper sees it, metres.
    pub front: Segment,
    /// How far from the front a shopper can stand and still take, metres.
    pub reach: f64,
    /// A cooler's door.
    pub door: DoorSource,
    /// Bottom to top.
    pub shelves: Vec<ShelfIx>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shelf {
    pub id: String,
    pub gondola: GondolaIx,
    /// Metres above the floor, where known.
    pub height: Option<f64>,
    /// Left to right, not overlapping.
    pub facings: Vec<Facing>,
    /// The scales that carry it, left to right.
    pub scales: Vec<ScaleIx>,
    pub antennas: Vec<AntennaIx>,
}

/// One product's front: the stretch `from..to` in metres along the gondola's front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facing {
    pub gtin: Gtin,
    pub from: f64,
    pub to: f64,
    pub capacity: Option<u32>,
}

/// A load cell or plate under the stretch `from..to` of a shelf, metres along the front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    pub id: String,
    pub shelf: ShelfIx,
    pub from: f64,
    pub to: f64,
    pub source: ScaleSource,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    pub id: String,
    pub source: ReaderSource,
    /// Antenna by port.
    pub antennas: BTreeMap<u16, AntennaIx>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Antenna {
    pub reader: ReaderIx,
    /// Counted from 1.
    pub port: u16,
    pub read_point: ReadPoint,
}

/// Where an antenna looks (EPCIS read point).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReadPoint {
    Shelf(ShelfIx),
    Gondola(GondolaIx),
    Gate(GateIx),
    Zone(ZoneIx),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    pub id: String,
    pub source: CameraSource,
    pub credentials: Option<Credentials>,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub view: View,
    /// A model, by name.
    pub model: Option<String>,
}

/// Who a camera is told that we are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub username: String,
    /// Relative to the store file, or a systemd credential of that name.
    pub password_file: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum View {
    /// Sees shoppers.
    Floor { floor_from_image: Homography },
    /// Sees products and hands. Each region is a shelf's outline in the image, pixels.
    Shelf { regions: Vec<(ShelfIx, Polygon)> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    pub gtin: Gtin,
    pub name: String,
    /// In the currency's smallest unit.
    pub price: u64,
    pub weight_g: Option<f64>,
    pub brand: Option<String>,
    pub category: Option<String>,
    /// A picture for the console: an address, or a path relative to the catalogue.
    pub image: Option<String>,
    /// The safety stock: with this many units or fewer on hand the product is low.
    pub reserve: Option<u32>,
    /// Whether it carries a tag, where known.
    pub tagged: Option<bool>,
}

macro_rules! lookup {
    ($($name:ident: $index:ident in $field:ident),* $(,)?) => {$(
        /// The one of this id.
        pub fn $name(&self, id: &str) -> Option<$index> {
            let place = self.$field.iter().position(|one| one.id == id)?;
            Some($index(place as u16))
        }
    )*};
}

impl Store {
    lookup! {
        zone_by_id: ZoneIx in zones,
        gate_by_id: GateIx in gates,
        gondola_by_id: GondolaIx in gondolas,
        shelf_by_id: ShelfIx in shelves,
        scale_by_id: ScaleIx in scales,
        reader_by_id: ReaderIx in readers,
        camera_by_id: CameraIx in cameras,
    }

    pub fn shelf(&self, shelf: ShelfIx) -> &Shelf {
        &self.shelves[shelf.index()]
    }

    pub fn gondola(&self, gondola: GondolaIx) -> &Gondola {
        &self.gondolas[gondola.index()]
    }

    pub fn gondola_of(&self, shelf: ShelfIx) -> &Gondola {
        self.gondola(self.shelf(shelf).gondola)
    }

    /// The product that a tag is on: by the tag list, else by its own EPC; `None` for tags of
    /// other schemes and for products that the catalogue does not know.
    pub fn gtin_of(&self, epc: &Epc) -> Option<Gtin> {
        let listed = self.tags.get(epc).copied();
        listed
            .or_else(|| epc.gtin())
            .filter(|gtin| self.catalog.contains_key(gtin))
    }

    /// The unit weight of a product in grams, where the catalogue gives it.
    pub fn weight_of(&self, gtin: Gtin) -> Option<f64> {
        self.catalog.get(&gtin)?.weight_g
    }

    pub fn has_floor_cameras(&self) -> bool {
        self.cameras
            .iter()
            .any(|c| matches!(c.view, View::Floor { .. }))
    }
}
