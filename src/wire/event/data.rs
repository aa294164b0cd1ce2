//! The `data` of each type of event, with its fields in the order in which they are written. What
//! is said of a field here is its description in the JSON Schema.

use schemars::JsonSchema;
use serde::Serialize;

use crate::basket::event as basket;
use crate::gs1::{Epc, Gtin};
use crate::units::Timestamp;
use crate::wire::shape;

/// The `data` of any event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Data<'a> {
    VisitOpened(VisitOpened<'a>),
    ItemTaken(ItemTaken<'a>),
    ItemReturned(ItemReturned<'a>),
    BasketClosed(BasketClosed<'a>),
    BasketAdjusted(BasketAdjusted<'a>),
    StockChanged(StockChanged<'a>),
    StockLow(StockLow<'a>),
    StockMisplaced(StockMisplaced<'a>),
    Alert(Alert<'a>),
}

/// Somebody came in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VisitOpened<'a> {
    /// The visit that begins.
    #[schemars(with = "shape::Visit")]
    pub visit: String,
    /// The gate by which it began; null where nobody was let in by one.
    pub gate: Option<&'a str>,
    /// What was shown at the gate; null for an anonymous visit.
    pub token: Option<&'a str>,
    /// The member, if the gate said so.
    pub member: Option<&'a str>,
    /// Persons let in with the token.
    #[schemars(with = "shape::Ordinal")]
    pub party: u32,
    /// Whether no gate admitted the visit.
    pub anonymous: bool,
}

/// An item left a shelf.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ItemTaken<'a> {
    /// Who has it, the likeliest where that is in doubt; null where it is nobody.
    #[schemars(with = "Option<shape::Visit>")]
    pub visit: Option<String>,
    /// The product, the likeliest where that is in doubt.
    #[schemars(with = "shape::Gtin")]
    pub gtin: Gtin,
    /// Units.
    #[schemars(with = "shape::Ordinal")]
    pub quantity: u32,
    /// The shelf that it left.
    pub shelf: &'a str,
    /// The units' tags, where they have any and were heard.
    #[schemars(with = "Vec<shape::Epc>")]
    pub epcs: &'a [Epc],
    /// When it left the shelf.
    #[schemars(with = "shape::Time")]
    pub taken_at: Timestamp,
    /// How likely all of this is.
    #[schemars(with = "shape::Probability")]
    pub confidence: f64,
    /// The kinds of sensors that spoke for it.
    pub evidence: Vec<Evidence>,
    /// The price of one unit at that time.
    #[schemars(with = "shape::Money")]
    pub unit_price: String,
    /// Who or which product it can be, where the shopper or the product is in doubt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// Where it belongs, where it stood elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub home_shelf: Option<&'a str>,
    /// True where it takes back what was told before all sensors had spoken; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub correction: bool,
}

/// An item was put on a shelf.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ItemReturned<'a> {
    /// Who had it, the likeliest where that is in doubt; null where it is nobody.
    #[schemars(with = "Option<shape::Visit>")]
    pub visit: Option<String>,
    /// The product, the likeliest where that is in doubt.
    #[schemars(with = "shape::Gtin")]
    pub gtin: Gtin,
    /// Units.
    #[schemars(with = "shape::Ordinal")]
    pub quantity: u32,
    /// The shelf on which it stands now.
    pub shelf: &'a str,
    /// The units' tags, where they have any and were heard.
    #[schemars(with = "Vec<shape::Epc>")]
    pub epcs: &'a [Epc],
    /// When it stood on the shelf again.
    #[schemars(with = "shape::Time")]
    pub returned_at: Timestamp,
    /// How likely all of this is.
    #[schemars(with = "shape::Probability")]
    pub confidence: f64,
    /// The kinds of sensors that spoke for it.
    pub evidence: Vec<Evidence>,
    /// The price of one unit at that time.
    #[schemars(with = "shape::Money")]
    pub unit_price: String,
    /// Who or which product it can be, where the shopper or the product is in doubt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// Where it belongs, where it was put elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub home_shelf: Option<&'a str>,
    /// True where it takes back what was told before all sensors had spoken; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub correction: bool,
}

/// A kind of sensor that spoke for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    Rfid,
    Scale,
    Vision,
    Gate,
}

impl From<basket::Evidence> for Evidence {
    fn from(evidence: basket::Evidence) -> Self {
        match evidence {
            basket::Evidence::Rfid => Self::Rfid,
            basket::Evidence::Scale => Self::Scale,
            basket::Evidence::Vision => Self::Vision,
            basket::Evidence::Gate => Self::Gate,
        }
    }
}

/// Who or what it can be.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Candidate {
    /// A visit that can have acted.
    Visit {
        /// The visit.
        #[schemars(with = "shape::Visit")]
        visit: String,
        /// How likely it is.
        #[schemars(with = "shape::Probability")]
        probability: f64,
    },
    /// A product that it can be.
    Product {
        /// The product.
        #[schemars(with = "shape::Gtin")]
        gtin: Gtin,
        /// How likely it is.
        #[schemars(with = "shape::Probability")]
        probability: f64,
    },
}

/// A visit is over, and what it owes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BasketClosed<'a> {
    /// The visit that is over.
    #[schemars(with = "shape::Visit")]
    pub visit: String,
    /// What was shown at the gate; null for an anonymous visit.
    pub token: Option<&'a str>,
    /// The member, if the gate said so.
    pub member: Option<&'a str>,
    /// When the visit began.
    #[schemars(with = "shape::Time")]
    pub entered_at: Timestamp,
    /// When the shopper passed out of the exit zone.
    #[schemars(with = "shape::Time")]
    pub left_at: Timestamp,
    /// The gate by which the shopper left; null where it is not known.
    pub exit_gate: Option<&'a str>,
    /// What the visit took with it by the best hypothesis, also under `review`.
    pub lines: Vec<Line<'a>>,
    /// The sum of the lines.
    #[schemars(with = "shape::Money")]
    pub total: String,
    /// Of all amounts.
    #[schemars(with = "shape::Currency")]
    pub currency: &'a str,
    /// Probability that every line is right and none is missing.
    #[schemars(with = "shape::Probability")]
    pub confidence: f64,
    /// What is to be done with the basket.
    pub decision: Decision,
    /// Why somebody must look at it.
    pub reasons: &'a [String],
}

/// A closed basket changed: late evidence, or an operator's review.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BasketAdjusted<'a> {
    /// The visit whose basket it is.
    #[schemars(with = "shape::Visit")]
    pub visit: String,
    /// All lines, as they are now.
    pub lines: Vec<Line<'a>>,
    /// The sum of the lines.
    #[schemars(with = "shape::Money")]
    pub total: String,
    /// Of all amounts.
    #[schemars(with = "shape::Currency")]
    pub currency: &'a str,
    /// Probability that every line is right and none is missing.
    #[schemars(with = "shape::Probability")]
    pub confidence: f64,
    /// What is to be done with the basket.
    pub decision: Decision,
    /// Why it changed.
    pub reason: &'a str,
}

/// What is to be done with a basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It can be charged.
    Settle,
    /// Somebody must look at it before it is charged.
    Review,
}

/// One product of a basket.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Line<'a> {
    /// The product.
    #[schemars(with = "shape::Gtin")]
    pub gtin: Gtin,
    /// Its name in the catalogue.
    pub name: &'a str,
    /// Units.
    #[schemars(with = "shape::Ordinal")]
    pub quantity: u32,
    /// The price of one unit.
    #[schemars(with = "shape::Money")]
    pub unit_price: String,
    /// The units' tags, where they have any and were heard.
    #[schemars(with = "Vec<shape::Epc>")]
    pub epcs: &'a [Epc],
    /// How likely the line is right.
    #[schemars(with = "shape::Probability")]
    pub confidence: f64,
}

/// A shelf's stock of a product is another.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StockChanged<'a> {
    /// The shelf.
    pub shelf: &'a str,
    /// The product.
    #[schemars(with = "shape::Gtin")]
    pub gtin: Gtin,
    /// Units on the shelf now.
    #[schemars(with = "shape::Count")]
    pub on_hand: u32,
    /// Units that the shelf has room for; null where the store file does not say.
    #[schemars(with = "Option<shape::Count>")]
    pub capacity: Option<u32>,
    /// What changed it.
    pub reason: StockReason,
}

/// What changed a stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StockReason {
    Taken,
    Returned,
    Restocked,
    Counted,
}

impl From<basket::StockReason> for StockReason {
    fn from(reason: basket::StockReason) -> Self {
        match reason {
            basket::StockReason::Taken => Self::Taken,
            basket::StockReason::Returned => Self::Returned,
            basket::StockReason::Restocked => Self::Restocked,
            basket::StockReason::Counted => Self::Counted,
        }
    }
}

/// A product has fallen to its safety stock.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StockLow<'a> {
    /// Where it was taken from last.
    pub shelf: &'a str,
    /// The product.
    #[schemars(with = "shape::Gtin")]
    pub gtin: Gtin,
    /// Units on all shelves whose stock of it is known.
    #[schemars(with = "shape::Count")]
    pub on_hand: u32,
}

/// An item stands where it does not belong.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StockMisplaced<'a> {
    /// Where it stands.
    pub shelf: &'a str,
    /// The product.
    #[schemars(with = "shape::Gtin")]
    pub gtin: Gtin,
    /// Where it belongs.
    pub home_shelf: &'a str,
    /// The units' tags, where they have any and were heard.
    #[schemars(with = "Vec<shape::Epc>")]
    pub epcs: &'a [Epc],
}

/// People in a zone over a stretch of time. No box counts yet.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrafficCounted<'a> {
    /// The zone of the floor plan.
    pub zone: &'a str,
    /// The stretch's begin.
    #[schemars(with = "shape::Time")]
    pub from: Timestamp,
    /// The stretch's end.
    #[schemars(with = "shape::Time")]
    pub to: Timestamp,
    /// Persons who came into the zone.
    #[schemars(with = "shape::Count")]
    pub entered: u32,
    /// Persons who went out of it.
    #[schemars(with = "shape::Count")]
    pub left: u32,
    /// Persons in it at the end.
    #[schemars(with = "shape::Count")]
    pub occupancy: u32,
    /// How long a person stayed, the mean, seconds.
    #[schemars(range(min = 0))]
    pub dwell_s: f64,
}

/// What a product met with over a stretch of time. No box counts yet.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InterestCounted {
    /// The product.
    #[schemars(with = "shape::Gtin")]
    pub gtin: Gtin,
    /// The stretch's begin.
    #[schemars(with = "shape::Time")]
    pub from: Timestamp,
    /// The stretch's end.
    #[schemars(with = "shape::Time")]
    pub to: Timestamp,
    /// Units taken.
    #[schemars(with = "shape::Count")]
    pub taken: u32,
    /// Units put back.
    #[schemars(with = "shape::Count")]
    pub returned: u32,
    /// Units carried out.
    #[schemars(with = "shape::Count")]
    pub bought: u32,
    /// How long people stood in front of its facing, seconds.
    #[schemars(range(min = 0))]
    pub dwell_s: f64,
}

/// Something that people should know of, or that is over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Alert<'a> {
    /// What it is: `unpaid-exit`, `unadmitted-entry`, `unknown-tag`, `source-offline`,
    /// `clock-jumped`, `disk-low`, ….
    pub kind: &'a str,
    /// How bad it is.
    pub severity: &'a str,
    /// The visit, tag, sensor, … that it is about.
    pub about: &'a str,
}
