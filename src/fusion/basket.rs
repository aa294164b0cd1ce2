//! A visit's basket: what it holds in all clusters of worlds, which are independent of each other.

use std::collections::{BTreeMap, BTreeSet};

use super::world::Unit;
use super::{Holding, Holdings, Sources};
use crate::gs1::Gtin;

/// What somebody may hold, with its probability.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Basket {
    probability: f64,
    counts: BTreeMap<Gtin, u32>,
    units: Vec<Unit>,
}

/// Baskets kept while clusters are put together.
const BASKETS: usize = 256;

impl Basket {
    pub(super) fn of(units: &[Unit], probability: f64) -> Self {
        let mut counts = BTreeMap::new();
        for unit in units {
            *counts.entry(unit.gtin).or_default() += 1;
        }
        Self {
            probability,
            counts,
            units: units.to_vec(),
        }
    }

    fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.probability *= other.probability;
        for (gtin, n) in &other.counts {
            *both.counts.entry(*gtin).or_default() += n;
        }
        both.units.extend(&other.units);
        both
    }

    fn count(&self, gtin: Gtin) -> u32 {
        self.counts.get(&gtin).copied().unwrap_or(0)
    }
}

/// The basket of somebody, each line with its own probability, from the baskets of each cluster,
/// first that of its likeliest world: what is in doubt between two is on the bill of one.
pub(super) fn holdings(clusters: impl Iterator<Item = Vec<Basket>>) -> Holdings {
    let clusters: Vec<Vec<Basket>> = clusters.map(joined).collect();
    let mut best = Basket::of(&[], 1.0);
    for group in groups(&clusters) {
        let mut all = vec![Basket::of(&[], 1.0)];
        let mut told = Basket::of(&[], 1.0);
        for baskets in group {
            let both = |a: &Basket| baskets.iter().map(|b| a.with(b)).collect::<Vec<_>>();
            all = joined(all.iter().flat_map(both).collect());
            all.truncate(BASKETS);
            told = baskets
                .first()
                .map_or(told.clone(), |first| told.with(first));
        }
        // Other ways to the same products count, too.
        let same = all.iter().find(|b| b.counts == told.counts);
        told.probability = same.map_or(told.probability, |b| b.probability);
        best = best.with(&told);
    }
    let mut out = Holdings {
        confidence: best.probability.min(1.0),
        ..Holdings::default()
    };
    let every = clusters.iter().flatten();
    let gtins: BTreeSet<Gtin> = every.flat_map(|b| b.counts.keys().copied()).collect();
    for gtin in gtins {
        let quantity = best.count(gtin);
        let chances = chances(&clusters, gtin);
        let of = |n: u32| chances.get(&n).copied().unwrap_or(0.0).min(1.0);
        if quantity == 0 {
            out.missing.push((gtin, 1.0 - of(0)));
            continue;
        }
        let mut sources = Sources::default();
        let mut epcs = Vec::new();
        for unit in best.units.iter().filter(|u| u.gtin == gtin) {
            sources.join(unit.sources);
            epcs.extend(unit.epc);
        }
        epcs.sort_unstable();
        out.lines.push(Holding {
            gtin,
            quantity,
            epcs,
            confidence: of(quantity),
            sources,
        });
    }
    out
}

/// Clusters that have a product in common, by way of others or not, together.
fn groups(clusters: &[Vec<Basket>]) -> Vec<Vec<&Vec<Basket>>> {
    let mut groups: Vec<(BTreeSet<Gtin>, Vec<&Vec<Basket>>)> = Vec::new();
    for baskets in clusters {
        let gtins = baskets.iter().flat_map(|b| b.counts.keys().copied());
        let mut group = (gtins.collect::<BTreeSet<Gtin>>(), vec![baskets]);
        let (same, others) = groups
            .into_iter()
            .partition(|(known, _)| !known.is_disjoint(&group.0));
        groups = others;
        for (mut known, mut of) in same {
            group.0.append(&mut known);
            group.1.append(&mut of);
        }
        groups.push(group);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Baskets of the same products counted once: first the first, then the likeliest.
fn joined(baskets: Vec<Basket>) -> Vec<Basket> {
    let first = baskets.first().map(|b| b.counts.clone());
    let mut by_counts: BTreeMap<BTreeMap<Gtin, u32>, (Basket, f64)> = BTreeMap::new();
    for basket in baskets {
        let p = basket.probability;
        match by_counts.get_mut(&basket.counts) {
            None => {
                by_counts.insert(basket.counts.clone(), (basket, p));
            }
            Some((heaviest, sum)) => {
                *sum += p;
                if p > heaviest.probability {
                    *heaviest = basket;
                }
            }
        }
    }
    let whole = |(mut basket, sum): (Basket, f64)| {
        basket.probability = sum;
        basket
    };
    let mut out: Vec<Basket> = by_counts.into_values().map(whole).collect();
    // Of equally likely ones the first in order of products.
    let later = |b: &Basket| Some(&b.counts) != first.as_ref();
    out.sort_by(|a, b| {
        let likelier = b.probability.total_cmp(&a.probability);
        later(a).cmp(&later(b)).then(likelier)
    });
    out
}

/// Probabilities of how many units of a product somebody holds.
fn chances(clusters: &[Vec<Basket>], gtin: Gtin) -> BTreeMap<u32, f64> {
    let mut all = BTreeMap::from([(0, 1.0)]);
    for baskets in clusters {
        if baskets.iter().all(|b| b.count(gtin) == 0) {
            continue;
        }
        let mut next: BTreeMap<u32, f64> = BTreeMap::new();
        for (n, p) in &all {
            for basket in baskets {
                *next.entry(n + basket.count(gtin)).or_default() += p * basket.probability;
            }
        }
        all = next;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::world::UnitId;
    use super::*;

    fn product(digit: u64) -> Gtin {
        Gtin::from_payload(400_638_133_390 + digit).unwrap()
    }

    fn basket(p: f64, digits: &[u64]) -> Basket {
        let unit = |digit: &u64| Unit {
            id: UnitId(*digit),
            gtin: product(*digit),
            epc: None,
            sources: Sources::default(),
        };
        let units: Vec<Unit> = digits.iter().map(unit).collect();
        Basket::of(&units, p)
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} instead of {b}");
    }

    #[test]
    fn doubts_that_have_nothing_to_do_with_each_other_multiply() {
        let one = vec![basket(0.9, &[1]), basket(0.1, &[])];
        let other = vec![basket(0.7, &[]), basket(0.3, &[2])];
        let held = holdings([one, other].into_iter());
        close(held.confidence, 0.63);
        assert_eq!(held.lines.len(), 1);
        close(held.lines[0].confidence, 0.9);
        assert_eq!(held.missing[0].0, product(2));
        close(held.missing[0].1, 0.3);
    }

    #[test]
    fn other_ways_to_the_same_products_count() {
        let one = vec![basket(0.6, &[1]), basket(0.4, &[])];
        let other = vec![basket(0.7, &[]), basket(0.3, &[1])];
        let held = holdings([one, other].into_iter());
        // By the first alone with 0.42, by the other alone with 0.12.
        assert_eq!(held.lines[0].quantity, 1);
        close(held.lines[0].confidence, 0.54);
        close(held.confidence, 0.54);
    }

    #[test]
    fn what_two_may_have_is_on_the_bill_of_the_likelier() {
        // In the likeliest story he has it; in others somebody else or nobody does.
        let held = holdings([vec![basket(0.45, &[1]), basket(0.55, &[])]].into_iter());
        assert_eq!(held.lines[0].quantity, 1);
        close(held.confidence, 0.45);
    }

    #[test]
    fn nothing_known_is_an_empty_basket_for_certain() {
        let held = holdings(std::iter::empty());
        close(held.confidence, 1.0);
        assert!(held.lines.is_empty() && held.missing.is_empty());
    }
}
