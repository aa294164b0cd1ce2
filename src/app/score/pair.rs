//! Which receipt is of which visit of the truth.

use super::{Receipt, Truth};
use crate::units::TimeDelta;

/// How far apart the times of leaving of an anonymous visit and its truth may lie.
const ANONYMOUS_WINDOW: TimeDelta = TimeDelta::from_millis(45_000);

/// For each truth the place of its receipt.
pub fn pair(truth: &[Truth], receipts: &[Receipt]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..truth.len()).collect();
    order.sort_by_key(|i| truth[*i].left_at);
    let mut used = vec![false; receipts.len()];
    let mut paired = vec![None; truth.len()];
    for t in &order {
        let same = |r: &usize| !used[*r] && receipts[*r].token == truth[*t].token;
        if truth[*t].token.is_some() {
            paired[*t] = (0..receipts.len()).find(same);
        }
        if let Some(r) = paired[*t] {
            used[r] = true;
        }
    }
    let mut near: Vec<(TimeDelta, usize, usize)> = Vec::new();
    for t in order.into_iter().filter(|t| truth[*t].token.is_none()) {
        for r in (0..receipts.len()).filter(|r| receipts[*r].token.is_none()) {
            let apart = truth[t].left_at - receipts[r].left_at;
            near.push((apart.max(-apart), t, r));
        }
    }
    near.sort();
    for (apart, t, r) in near {
        if apart <= ANONYMOUS_WINDOW && !used[r] && paired[t].is_none() {
            paired[t] = Some(r);
            used[r] = true;
        }
    }
    paired
}
