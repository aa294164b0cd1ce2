//! Which receipt is of which visit of the truth.

use std::collections::{BTreeMap, VecDeque};

use super::{Receipt, Truth};
use crate::units::TimeDelta;

/// How far apart the times of leaving of an anonymous visit and its truth may lie.
const ANONYMOUS_WINDOW: TimeDelta = TimeDelta::from_millis(45_000);

/// For each truth the place of its receipt.
pub fn pair(truth: &[Truth], receipts: &[Receipt]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..truth.len()).collect();
    order.sort_by_key(|i| truth[*i].left_at);
    let mut waiting: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for (r, receipt) in receipts.iter().enumerate() {
        if let Some(token) = &receipt.token {
            waiting.entry(token).or_default().push_back(r);
        }
    }
    let mut paired = vec![None; truth.len()];
    for t in order {
        let token = truth[t].token.as_deref();
        let same = token.and_then(|token| waiting.get_mut(token));
        paired[t] = same.and_then(VecDeque::pop_front);
    }
    let mut used = vec![false; receipts.len()];
    for (_, t, r) in near(truth, receipts) {
        if !used[r] && paired[t].is_none() {
            paired[t] = Some(r);
            used[r] = true;
        }
    }
    paired
}

/// Anonymous truths and receipts that can be of one visit, the nearest first: how far apart their
/// times of leaving lie, and both places.
fn near(truth: &[Truth], receipts: &[Receipt]) -> Vec<(TimeDelta, usize, usize)> {
    let anonymous = |r: &usize| receipts[*r].token.is_none();
    let mut by_leaving: Vec<usize> = (0..receipts.len()).filter(anonymous).collect();
    by_leaving.sort_by_key(|r| receipts[*r].left_at);
    let mut near = Vec::new();
    for (t, truth) in truth.iter().enumerate() {
        if truth.token.is_some() {
            continue;
        }
        let after = |r: &usize| receipts[*r].left_at - truth.left_at;
        let first = by_leaving.partition_point(|r| after(r) < -ANONYMOUS_WINDOW);
        let within = by_leaving[first..].iter();
        let within = within.take_while(|r| after(r) <= ANONYMOUS_WINDOW);
        near.extend(within.map(|r| (after(r).max(-after(r)), t, *r)));
    }
    near.sort_unstable();
    near
}
