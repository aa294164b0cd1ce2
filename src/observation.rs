//! What sensors say, resolved against the store: every index is valid, every number finite.
//! Parsing and refusing happen before this floor; nothing above checks again.

use serde::{Deserialize, Serialize};

use crate::gs1::{Epc, Gtin};
use crate::ids::{AntennaIx, CameraIx, GateIx, GondolaIx, ScaleIx, ShelfIx, VisitId};
use crate::units::{BBox, Timestamp};

/// One thing that a sensor said, with the time at which it was so by the sensor's own account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The sensor's capture time; may lag, lead or arrive out of order.
    pub captured_at: Timestamp,
    pub sensed: Sensed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Sensed {
    TagRead(TagRead),
    Detections(Detections),
    Weight { scale: ScaleIx, grams: f64 },
    Gate { gate: GateIx, event: GateEvent },
    Door { gondola: GondolaIx, open: bool },
}

/// One report of a tag by an antenna.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TagRead {
    pub epc: Epc,
    pub antenna: AntennaIx,
    pub rssi_dbm: f32,
    /// Reads merged in this report, at least 1.
    pub count: u32,
    /// Degrees, where the reader gives it.
    pub phase_deg: Option<f32>,
}

/// What a model saw in one frame of one camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detections {
    pub camera: CameraIx,
    pub detections: Vec<Detection>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    pub class: Class,
    /// 0 to 1.
    pub score: f64,
    /// In the pixels of the store file's camera, clipped to its image, never empty.
    pub bbox: BBox,
    /// A product's identity: probabilities that sum to 1 at most, most probable first.
    pub gtins: Vec<(Gtin, f64)>,
    /// Appearance, of unit length, where the model gives one.
    pub embedding: Vec<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    Person,
    Hand,
    Product,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateEvent {
    Admitted(Admission),
    Door {
        open: bool,
    },
    /// The token was shown again on the way out.
    Presented {
        token: String,
    },
}

/// Somebody was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    pub token: String,
    pub member: Option<String>,
    /// Persons let in with this token, at least 1.
    pub party: u32,
    pub staff: bool,
}

/// What an operator or the backend asked for, and who.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    RestockBegin {
        shelf: ShelfIx,
        by: String,
    },
    RestockEnd {
        shelf: ShelfIx,
        by: String,
    },
    /// The price in the currency's smallest unit.
    PriceSet {
        gtin: Gtin,
        price: u64,
        by: String,
    },
    VisitClose {
        visit: VisitId,
        by: String,
    },
    /// Somebody counted the product's units on the shelf.
    StockSet {
        shelf: ShelfIx,
        gtin: Gtin,
        on_hand: u32,
        by: String,
    },
    /// Somebody looked at a closed basket.
    BasketReview {
        visit: VisitId,
        decision: Review,
        by: String,
    },
    /// Events from this number on are wanted once more; nothing for the engine.
    Resend {
        from: u64,
        journal: Option<String>,
    },
    /// How the box is; nothing for the engine.
    Status,
}

/// What somebody who looked at a basket says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Review {
    /// Its lines are right.
    Confirm,
    /// These are its lines: products with their quantities.
    Correct(Vec<(Gtin, u32)>),
}

/// A sensor's state or loss, by the name that recordings use: `rfid/r1`, `camera/cam1`, ….
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceReport {
    State {
        source: String,
        state: SourceState,
        reason: String,
    },
    Gap {
        source: String,
        lost: u64,
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceState {
    Online,
    Degraded,
    Offline,
}
