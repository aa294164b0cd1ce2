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
pub struct FusionTunables {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasketTunables {
    /// What a wrong receipt costs, in the unit of `review_cost`.
    pub wrong_receipt_cost: f64,
    /// What a person's review of a receipt costs.
    pub review_cost: f64,
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

#[expect(
    clippy::derivable_impls,
    reason = "fields with defaults of their own follow"
)]
impl Default for FusionTunables {
    fn default() -> Self {
        Self {}
    }
}

impl Default for BasketTunables {
    fn default() -> Self {
        Self {
            wrong_receipt_cost: 10.0,
            review_cost: 1.0,
        }
    }
}
