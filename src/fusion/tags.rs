//! Which of a product's tags is an item's own: what each says for having been moved, and how likely
//! an item without one is.

use serde::{Deserialize, Serialize};

use crate::gs1::{Epc, Gtin};
use crate::presence::TagSay;

/// From so much on, nats, a tag counts as a witness of an act.
const TELLS_LOG: f64 = 1.5;

/// The tags that can be an item's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tags {
    /// What each says for having been moved, nats.
    pub(super) says: Vec<(Epc, f64)>,
    /// How many of the product there are.
    pub(super) of: f64,
    /// Share of items without one.
    pub(super) untagged: f64,
    pub(super) unseen: f64,
}

/// Units without a working tag (Auburn's audit: 3.5 % on average), of products that have tags and
/// of products of which no tag was ever heard.
pub(super) const UNTAGGED: f64 = 0.04;
const UNTAGGED_UNKNOWN: f64 = 0.7;
/// That an item which is known by its own tag alone had another.
const ANOTHER: f64 = 1e-4;

impl Tags {
    /// Of a product that has no tags: they say nothing.
    pub(super) fn none() -> Self {
        Self {
            says: Vec::new(),
            of: 0.0,
            untagged: 1.0,
            unseen: 1.0,
        }
    }

    /// What a shelf's tags say of an item's having left: one of the product's that are `free`, or
    /// its `own`; whether tags of the product are `known` at all.
    pub(super) fn left(
        says: &[TagSay],
        gtin: Gtin,
        own: Option<Epc>,
        known: bool,
        free: impl Fn(Epc) -> bool,
    ) -> Self {
        let of_product = || says.iter().filter(|s| s.gtin == gtin);
        let may = |s: &&TagSay| own.map_or_else(|| free(s.epc), |own| own == s.epc);
        let untagged = if known { UNTAGGED } else { UNTAGGED_UNKNOWN };
        Self {
            says: of_product().filter(may).map(|s| (s.epc, s.log)).collect(),
            of: of_product().count() as f64,
            untagged,
            unseen: if own.is_some() { ANOTHER } else { untagged },
        }
    }

    /// Log of how much likelier what they say is if one of them was moved, or an item without one.
    /// `less` is added to what each says.
    pub(super) fn log(&self, less: impl Fn(Epc) -> f64) -> f64 {
        let each = self
            .says
            .iter()
            .map(|(epc, say)| libm::exp(say + less(*epc)));
        let mean = each.sum::<f64>() / self.of.max(1.0);
        libm::log((1.0 - self.untagged) * mean + self.unseen)
    }

    /// The one that says most, where it says enough to be taken for the item's own.
    pub(super) fn likeliest(&self, less: impl Fn(Epc) -> f64) -> Option<Epc> {
        let says = |epc: &Epc| self.say(*epc).unwrap_or(0.0) + less(*epc);
        self.best(&less).filter(|epc| says(epc) > TELLS_LOG)
    }

    /// The one that says most.
    pub(super) fn best(&self, less: impl Fn(Epc) -> f64) -> Option<Epc> {
        let each = self.says.iter().map(|(epc, say)| (*epc, say + less(*epc)));
        let best = each.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        best.filter(|(_, say)| say.is_finite()).map(|(epc, _)| epc)
    }

    pub(super) fn epcs(&self) -> impl Iterator<Item = Epc> {
        self.says.iter().map(|(epc, _)| *epc)
    }

    pub(super) fn say(&self, epc: Epc) -> Option<f64> {
        let own = self.says.iter().find(|(known, _)| *known == epc);
        own.map(|(_, say)| *say)
    }
}
