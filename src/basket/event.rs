//! What is published: typed, before any text.

use serde::{Deserialize, Serialize};

use crate::gs1::{Epc, Gtin};
use crate::ids::{GateIx, ShelfIx, VisitId};
use crate::units::Timestamp;

/// An event with its places in the two orders that it keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// In the series of events that must never be lost, from 1 without a hole.
    pub n: u64,
    /// Among its visit's events, from 1 without a hole.
    pub sequence: Option<u64>,
    /// The engine's time.
    pub at: Timestamp,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Body {
    VisitOpened(VisitOpened),
    Item(Item),
    BasketClosed(BasketClosed),
    BasketAdjusted(BasketAdjusted),
    StockChanged(StockChanged),
    /// The product has fallen to its safety stock.
    StockLow {
        /// Where it was taken from last.
        shelf: ShelfIx,
        gtin: Gtin,
        /// Units on all shelves whose stock of it is known.
        on_hand: u32,
    },
    StockMisplaced {
        shelf: ShelfIx,
        gtin: Gtin,
        home_shelf: ShelfIx,
        epcs: Vec<Epc>,
    },
    AlertRaised(Alert),
    AlertCleared(Alert),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisitOpened {
    pub visit: VisitId,
    pub gate: Option<GateIx>,
    pub token: Option<String>,
    pub member: Option<String>,
    pub party: u32,
}

/// An item taken or returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub taken: bool,
    pub visit: Option<VisitId>,
    pub gtin: Gtin,
    pub quantity: u32,
    pub shelf: ShelfIx,
    /// When it left the shelf or stood on it again.
    pub acted_at: Timestamp,
    pub confidence: f64,
    pub evidence: Vec<Evidence>,
    pub epcs: Vec<Epc>,
    /// In the currency's smallest unit.
    pub unit_price: u64,
    pub candidate_visits: Vec<(VisitId, f64)>,
    pub candidate_gtins: Vec<(Gtin, f64)>,
    pub home_shelf: Option<ShelfIx>,
    /// It takes back what was told before all sensors had spoken.
    pub correction: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BasketClosed {
    pub visit: VisitId,
    pub token: Option<String>,
    pub member: Option<String>,
    pub entered_at: Timestamp,
    pub left_at: Timestamp,
    pub exit_gate: Option<GateIx>,
    pub receipt: Receipt,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BasketAdjusted {
    pub visit: VisitId,
    pub receipt: Receipt,
    pub reason: String,
}

/// What a visit owes, by the likeliest account.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Receipt {
    pub lines: Vec<Line>,
    /// In the currency's smallest unit.
    pub total: u64,
    /// Probability that every line of it is right and none is missing.
    pub confidence: f64,
    /// Whether a person must look at it before it is charged.
    pub review: bool,
    pub reasons: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub gtin: Gtin,
    pub name: String,
    pub quantity: u32,
    pub unit_price: u64,
    pub epcs: Vec<Epc>,
    pub confidence: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockChanged {
    pub shelf: ShelfIx,
    pub gtin: Gtin,
    pub on_hand: u32,
    pub capacity: Option<u32>,
    pub reason: StockReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StockReason {
    Taken,
    Returned,
    Restocked,
    Counted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub kind: String,
    pub severity: String,
    pub about: String,
}

impl Alert {
    pub fn new(kind: &str, severity: &str, about: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            severity: severity.to_owned(),
            about: about.to_owned(),
        }
    }
}

/// A kind of sensor that spoke for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    Rfid,
    Scale,
    Vision,
    Gate,
}
