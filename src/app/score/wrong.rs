//! Which receipts are wrong, so that one can ask how each came about.

use serde::Serialize;

use super::{Items, Receipt, Truth, unpaired};
use crate::units::Timestamp;

/// A visit whose receipt is not what it carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Wrong<'a> {
    /// `None` where a visit of the truth has no receipt; so is `decision`.
    pub(super) visit: Option<&'a str>,
    /// `None` where it is anonymous.
    pub(super) token: Option<&'a str>,
    /// As the truth has it; as the receipt has it where no truth is of it.
    pub(super) left_at: Timestamp,
    /// `settle` or `review`.
    pub(super) decision: Option<&'static str>,
    /// What was carried out; nothing where the truth knows of no such visit.
    pub(super) wanted: Items,
    pub(super) charged: Items,
}

/// In the order of leaving. A receipt of nothing for whom the truth does not know is no mistake.
pub(super) fn wrong<'a>(
    truth: &'a [Truth],
    receipts: &'a [Receipt],
    paired: &[Option<usize>],
) -> Vec<Wrong<'a>> {
    let mut all = Vec::new();
    for (truth, r) in truth.iter().zip(paired) {
        let receipt = r.and_then(|r| receipts.get(r));
        if receipt.is_none_or(|receipt| receipt.items != truth.items) {
            all.push(of(Some(truth), receipt));
        }
    }
    let nobodys = unpaired(receipts, paired).filter(|receipt| !receipt.items.is_empty());
    all.extend(nobodys.map(|receipt| of(None, Some(receipt))));
    all.sort_by_key(|wrong| (wrong.left_at, wrong.visit));
    all
}

fn of<'a>(truth: Option<&'a Truth>, receipt: Option<&'a Receipt>) -> Wrong<'a> {
    let tokens = (truth.map(|t| &t.token), receipt.map(|r| &r.token));
    let token = tokens.0.or(tokens.1).and_then(Option::as_deref);
    let left_at = truth.map(|t| t.left_at).or(receipt.map(|r| r.left_at));
    let decision = |r: &Receipt| if r.settled { "settle" } else { "review" };
    Wrong {
        visit: receipt.map(|r| r.visit.as_str()),
        token,
        left_at: left_at.unwrap_or_default(),
        decision: receipt.map(decision),
        wanted: truth.map(|t| t.items.clone()).unwrap_or_default(),
        charged: receipt.map(|r| r.items.clone()).unwrap_or_default(),
    }
}
