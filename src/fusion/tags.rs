//! Which of a product's tags is an item's own: what each says for having been moved, and how likely
//! an item without one is.

use crate::gs1::Epc;

/// From so much on, nats, a tag counts as a witness of an act.
const TELLS_LOG: f64 = 1.5;

/// The tags that can be an item's own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tags {
    /// What each says for having been moved, nats.
    pub(super) says: Vec<(Epc, f64)>,
    /// How many of the product there are.
    pub(super) of: f64,
    /// Share of items without one.
    pub(super) untagged: f64,
    pub(super) unseen: f64,
}

impl Tags {
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
        let each = self.says.iter().map(|(epc, say)| (*epc, say + less(*epc)));
        let best = each.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        best.filter(|(_, say)| *say > TELLS_LOG).map(|(epc, _)| epc)
    }

    pub(super) fn epcs(&self) -> impl Iterator<Item = Epc> {
        self.says.iter().map(|(epc, _)| *epc)
    }

    pub(super) fn say(&self, epc: Epc) -> Option<f64> {
        let own = self.says.iter().find(|(known, _)| *known == epc);
        own.map(|(_, say)| *say)
    }
}
