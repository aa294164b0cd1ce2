//! Commands as they are asked for, for their JSON Schemas: what [`parse`](crate::wire::command::parse)
//! takes. What is said of a field here is its description there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::command::{LINES_MAX, NAME_MAX, ON_HAND, QUANTITIES};
use crate::wire::shape;

/// Somebody of the staff begins to fill a shelf: what happens at it is nobody's purchase.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RestockBegin {
    /// The shelf.
    pub shelf: String,
    /// Who asks.
    #[schemars(length(max = NAME_MAX))]
    pub by: Option<String>,
}

/// The shelf is filled.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RestockEnd {
    /// The shelf.
    pub shelf: String,
    /// Who asks.
    #[schemars(length(max = NAME_MAX))]
    pub by: Option<String>,
}

/// A product has another price from now on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriceSet {
    /// The product, one of the catalogue.
    #[schemars(with = "shape::AnyGtin")]
    pub gtin: String,
    /// The price of one unit, with no more digits than the currency has.
    #[schemars(with = "shape::AnyMoney")]
    pub price: String,
    /// Who asks.
    #[schemars(length(max = NAME_MAX))]
    pub by: Option<String>,
}

/// Somebody counted a product's units on a shelf.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StockSet {
    /// The shelf.
    pub shelf: String,
    /// The product, one of the catalogue.
    #[schemars(with = "shape::AnyGtin")]
    pub gtin: String,
    /// Units on the shelf.
    #[schemars(range(min = *ON_HAND.start(), max = *ON_HAND.end()))]
    pub on_hand: u32,
    /// Who asks.
    #[schemars(length(max = NAME_MAX))]
    pub by: Option<String>,
}

/// A visit is over, whatever the sensors say.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct VisitClose {
    /// The visit.
    #[schemars(with = "shape::AnyVisit")]
    pub visit: String,
    /// Who asks.
    #[schemars(length(max = NAME_MAX))]
    pub by: Option<String>,
}

/// Somebody looked at a closed basket.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BasketReview {
    /// The visit whose basket it is.
    #[schemars(with = "shape::AnyVisit")]
    pub visit: String,
    /// Who asks.
    #[schemars(length(max = NAME_MAX))]
    pub by: Option<String>,
    /// What was found.
    #[serde(flatten)]
    pub decision: Decision,
}

/// What somebody who looked at a basket says of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "lowercase")]
pub enum Decision {
    /// Its lines are right.
    Confirm,
    /// It has other lines.
    Correct {
        /// All lines, one a product; an empty list is an empty basket.
        #[schemars(length(max = LINES_MAX))]
        lines: Vec<Line>,
    },
}

/// One product of a corrected basket.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The product, one of the catalogue.
    #[schemars(with = "shape::AnyGtin")]
    pub gtin: String,
    /// Units.
    #[schemars(range(min = *QUANTITIES.start(), max = *QUANTITIES.end()))]
    pub quantity: u32,
}

/// Events are wanted once more.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Resend {
    /// The number of the first of them.
    #[schemars(with = "shape::Ordinal")]
    pub from: u64,
    /// The journal that is meant: refused where the box writes another.
    #[schemars(length(max = NAME_MAX))]
    pub journal: Option<String>,
}

/// How the box is: the answer says it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Status {}

/// What an operator or backend asked for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "command")]
pub enum Command {
    #[serde(rename = "restock.begin")]
    RestockBegin(RestockBegin),
    #[serde(rename = "restock.end")]
    RestockEnd(RestockEnd),
    #[serde(rename = "price.set")]
    PriceSet(PriceSet),
    #[serde(rename = "stock.set")]
    StockSet(StockSet),
    #[serde(rename = "visit.close")]
    VisitClose(VisitClose),
    #[serde(rename = "basket.review")]
    BasketReview(BasketReview),
    #[serde(rename = "resend")]
    Resend(Resend),
    #[serde(rename = "status")]
    Status(Status),
}
