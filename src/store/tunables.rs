//! Tunables of presence, tracking, fusion and baskets, each with its default. Constants from
//! literature are priors: what a detector can learn from its own sensor it learns.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tunables {
    pub presence: PresenceTunables,
    pub tracking: TrackingTunables,
    pub shelf: ShelfTunables,
    pub fusion: FusionTunables,
    pub basket: BasketTunables,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresenceTunables {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackingTunables {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShelfTunables {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FusionTunables {
    /// How long after an action the scales of its shelf have told of it, seconds.
    pub wait_scale_s: f64,
    /// How long after an action a shelf camera has told of it, seconds.
    pub wait_camera_s: f64,
    /// How long after an action its tag has been missed, seconds: two rounds of the reader.
    pub wait_rfid_s: f64,
    /// Weight of nobody's having done something, against somebody's right in front of it.
    pub nobody: f64,
    /// Weight of a visit of whom no camera knows where he is, against somebody right in front.
    pub unseen_carrier: f64,
    /// Standard deviation of how far sideways people reach, metres.
    pub reach_sideways_m: f64,
    /// Standard deviation of how far beyond a gondola's reach people still take, metres.
    pub reach_beyond_m: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasketTunables {
    /// What a wrong receipt costs, in the unit of `review_cost`.
    pub wrong_receipt_cost: f64,
    /// What a person's review of a receipt costs.
    pub review_cost: f64,
    /// A visit whose exit nobody saw ends after so long, under review, seconds.
    pub longest_visit_s: f64,
}

#[expect(
    clippy::derivable_impls,
    reason = "fields with defaults of their own follow"
)]
impl Default for PresenceTunables {
    fn default() -> Self {
        Self {}
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "fields with defaults of their own follow"
)]
impl Default for TrackingTunables {
    fn default() -> Self {
        Self {}
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "fields with defaults of their own follow"
)]
impl Default for ShelfTunables {
    fn default() -> Self {
        Self {}
    }
}

/// What a number may be so that it makes sense in any shop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// Above 0 and below 1: a weight or a probability. 0 would make impossible what happens, and
    /// what weighs as much as somebody right in front is charged to nobody.
    Share,
    /// Both ends are taken.
    FromTo(f64, f64),
    FromZero,
    Any,
}

impl Range {
    /// Of the number `name` in `[table]`, whose default this is.
    pub fn of(table: &str, name: &str, default: f64) -> Self {
        match (table, name) {
            ("fusion", "nobody" | "unseen_carrier") => Self::Share,
            // A shopper leaves, and pays, before evidence that is a minute late.
            ("fusion", "wait_scale_s" | "wait_camera_s" | "wait_rfid_s") => Self::FromTo(0.0, 60.0),
            // From a hand's width in a vending machine to the widest hall.
            ("fusion", "reach_sideways_m" | "reach_beyond_m") => Self::FromTo(0.01, 10.0),
            // A minute to a week: shorter closes visits before anybody chose, longer never does.
            ("basket", "longest_visit_s") => Self::FromTo(60.0, 604_800.0),
            _ if default >= 0.0 => Self::FromZero,
            _ => Self::Any,
        }
    }

    pub fn takes(self, number: f64) -> bool {
        let within = match self {
            Self::Share => number > 0.0 && number < 1.0,
            Self::FromTo(least, most) => (least..=most).contains(&number),
            Self::FromZero => number >= 0.0,
            Self::Any => true,
        };
        within && number.is_finite()
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Share => f.write_str("a number above 0 and below 1"),
            Self::FromTo(least, most) => write!(f, "a number from {least} to {most}"),
            Self::FromZero => f.write_str("a number of 0 or more"),
            Self::Any => f.write_str("a number"),
        }
    }
}

impl Default for FusionTunables {
    fn default() -> Self {
        Self {
            wait_scale_s: 1.8,
            wait_camera_s: 3.2,
            wait_rfid_s: 4.0,
            nobody: 0.002,
            unseen_carrier: 0.01,
            reach_sideways_m: 0.25,
            reach_beyond_m: 0.25,
        }
    }
}

impl Default for BasketTunables {
    fn default() -> Self {
        Self {
            wrong_receipt_cost: 10.0,
            review_cost: 1.0,
            // Nobody shops for so long; whom the gate or the cameras missed must not be a
            // candidate for what others take the next day.
            longest_visit_s: 14_400.0,
        }
    }
}
