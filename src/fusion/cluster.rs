//! A cluster of worlds: stories about some items that hang together, each with its weight.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Direction;
use super::basket::Basket;
use super::held::{Hand, Held};
use super::hypothesis::Act;
use super::world::{Unit, UnitId};
use crate::gs1::Epc;
use crate::ids::VisitId;
use crate::units::signal::log_sum_exp;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct World {
    pub(super) log_weight: f64,
    pub(super) held: Held,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Cluster {
    /// Those who hold something in one of its worlds.
    pub(super) visits: BTreeSet<VisitId>,
    /// Never empty; weights sum to 1; heaviest first.
    pub(super) worlds: Vec<World>,
}

/// Worlds kept in a cluster.
const WORLDS: usize = 160;

/// Worlds this much lighter than the heaviest, in nats, are forgotten.
pub(super) const FAINT: f64 = 11.0;

/// Log probability that somebody puts back what this world does not give him.
const NOT_HELD_LOG: f64 = -5.5;

/// The same product, but another unit of it by its tag.
const OTHER_UNIT_LOG: f64 = -3.0;

/// Who holds more than this is ever less likely to take another, by so much a unit: nobody carries
/// a shelf away, and a visit whose end was missed must not take all that others take.
const FULL_HANDS: usize = 20;
const MORE_LOG: f64 = -0.1;

/// Tags in hands: of those whose worlds go on, and of others.
pub(super) struct Taken {
    pub(super) here: BTreeSet<Epc>,
    pub(super) elsewhere: BTreeSet<Epc>,
}

impl Cluster {
    /// All pairs of worlds that weigh enough to be kept.
    pub(super) fn times(self, other: &Self) -> Self {
        let faint = |c: &Self| c.worlds.first().map_or(0.0, |w| w.log_weight);
        let faint = faint(&self) + faint(other) - FAINT;
        let mut pairs = Vec::new();
        for (i, a) in self.worlds.iter().enumerate() {
            let both = |b: &World| a.log_weight + b.log_weight;
            let heavy = other.worlds.iter().map(both).enumerate();
            let heavy = heavy.take_while(|(_, weight)| *weight > faint);
            pairs.extend(heavy.map(|(j, weight)| (weight, i, j)));
        }
        pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        pairs.truncate(WORLDS);
        let world = |(log_weight, i, j): (f64, usize, usize)| {
            let mut held = self.worlds[i].held.clone();
            held.join(&other.worlds[j].held);
            World { log_weight, held }
        };
        let mut both = Self {
            visits: BTreeSet::new(),
            worlds: pairs.into_iter().map(world).collect(),
        };
        both.settle();
        both
    }

    pub(super) fn holders(&self) -> BTreeSet<VisitId> {
        self.hands().map(|(visit, _)| visit).collect()
    }

    /// Takes out the units that somebody holds in every world.
    pub(super) fn take_agreed(&mut self) -> Vec<(VisitId, Hand)> {
        let Some(first) = self.worlds.first() else {
            return Vec::new();
        };
        let mut agreed = Vec::new();
        for (visit, hand) in first.held.hands() {
            let mut others: Vec<Option<&Hand>> = Vec::new();
            for world in &self.worlds[1..] {
                let other = world.held.hand(visit);
                let known = |o: &Option<&Hand>| match (o, other) {
                    (Some(a), Some(b)) => a.is(b),
                    (a, b) => a.is_none() && b.is_none(),
                };
                if !others.iter().any(known) {
                    others.push(other);
                }
            }
            let has = |u: &Unit| {
                others
                    .iter()
                    .all(|o| o.is_some_and(|o| o.units().contains(u)))
            };
            let units: Vec<Unit> = hand.units().iter().copied().filter(has).collect();
            if !units.is_empty() {
                agreed.push((visit, units));
            }
        }
        for (visit, units) in &agreed {
            let mut done: Vec<(Hand, Hand)> = Vec::new();
            for world in &mut self.worlds {
                world.held.take_units(*visit, units, &mut done);
            }
        }
        let hand = |(visit, units): (VisitId, Vec<Unit>)| (visit, Hand::from(units));
        agreed.into_iter().map(hand).collect()
    }

    /// The baskets that a visit can have of it, each with its probability and its units in the
    /// heaviest of its worlds.
    pub(super) fn baskets(&self, visit: VisitId) -> Vec<Basket> {
        let mut hands: Vec<(Option<&Hand>, f64)> = Vec::new();
        for world in &self.worlds {
            let (hand, p) = (world.held.hand(visit), libm::exp(world.log_weight));
            let same = |(known, _): &&mut (Option<&Hand>, f64)| match (known, hand) {
                (Some(a), Some(b)) => a.is(b),
                (a, b) => a.is_none() && b.is_none(),
            };
            match hands.iter_mut().find(same) {
                Some((_, sum)) => *sum += p,
                None => hands.push((hand, p)),
            }
        }
        let basket =
            |(hand, p): (Option<&Hand>, f64)| Basket::of(hand.map_or(&[][..], Hand::units), p);
        hands.into_iter().map(basket).collect()
    }

    /// What somebody holds in all worlds, each hand that worlds share with the heaviest once.
    pub(super) fn hands(&self) -> impl Iterator<Item = (VisitId, &Hand)> {
        let first = self.worlds.first();
        self.worlds.iter().enumerate().flat_map(move |(n, world)| {
            let numbered = world.held.hands().enumerate();
            let shared = move |place: usize, hand: &Hand| {
                let same = first.and_then(|w| w.held.nth(place));
                n > 0 && same.is_some_and(|same| same.is(hand))
            };
            let own = numbered.filter(move |(place, (_, hand))| !shared(*place, hand));
            own.map(|(_, held)| held)
        })
    }

    /// Lets all worlds have what is held for certain.
    pub(super) fn join(&mut self, certain: &Held) {
        if certain.is_empty() {
            return;
        }
        for world in &mut self.worlds {
            world.held.join(certain);
        }
        self.settle();
    }

    /// Joins equal worlds, forgets faint ones, and lets the weights sum to 1.
    pub(super) fn settle(&mut self) {
        let mut joined: Vec<World> = Vec::with_capacity(self.worlds.len());
        // Places of worlds by their print, and the number among those of one print.
        let mut places: BTreeMap<(u64, usize), usize> = BTreeMap::new();
        let mut known = BTreeMap::new();
        for mut world in std::mem::take(&mut self.worlds) {
            world.held.settle(&mut known);
            let mut key = (world.held.print(), 0);
            loop {
                let Some(place) = places.get(&key) else {
                    places.insert(key, joined.len());
                    joined.push(world);
                    break;
                };
                let same = &mut joined[*place];
                if same.held.agrees(&world.held) {
                    let sum = log_sum_exp([same.log_weight, world.log_weight]);
                    if world.log_weight > same.log_weight {
                        *same = world;
                    }
                    same.log_weight = sum;
                    break;
                }
                key.1 += 1;
            }
        }
        self.worlds = joined;
        self.sort();
        self.weigh(0.0);
    }

    /// The heaviest first; those of one weight keep their order.
    fn sort(&mut self) {
        let heavier = |a: &World, b: &World| b.log_weight.total_cmp(&a.log_weight);
        self.worlds.sort_by(heavier);
    }

    /// Adds to all weights, forgets faint worlds, and lets the weights sum to 1.
    fn weigh(&mut self, log: f64) {
        for world in &mut self.worlds {
            world.log_weight += log;
        }
        let heaviest = self.worlds.first().map_or(0.0, |w| w.log_weight);
        self.worlds.truncate(WORLDS);
        self.worlds.retain(|w| w.log_weight > heaviest - FAINT);
        let all = log_sum_exp(self.worlds.iter().map(|w| w.log_weight));
        for world in &mut self.worlds {
            world.log_weight -= all;
        }
    }
}

impl World {
    /// Lets an act happen; its weight falls where this world makes it unlikely. Nobody held a tag that
    /// is not `taken`, unless an act before this one `picked` it.
    pub(super) fn play(
        &mut self,
        act: &Act,
        (visit, full): (Option<VisitId>, &BTreeMap<VisitId, usize>),
        id: UnitId,
        taken: &Taken,
        picked: &mut Vec<Epc>,
    ) {
        match (act.direction, visit) {
            (Direction::Take, visit) => {
                let epc = self.tag_taken(act, taken, picked);
                if let Some(visit) = visit {
                    picked.extend(epc);
                    let mut sources = act.sources;
                    sources.rfid |= epc.is_some();
                    let unit = Unit {
                        id,
                        gtin: act.gtin,
                        epc,
                        sources,
                    };
                    let units = self.held.edit(visit);
                    let all = units.len() + full.get(&visit).copied().unwrap_or(0);
                    let beyond = all.saturating_sub(FULL_HANDS);
                    self.log_weight += MORE_LOG * beyond as f64;
                    units.push(unit);
                }
            }
            (Direction::Putback, Some(visit)) => {
                self.log_weight += self.put_back(visit, act);
            }
            (Direction::Putback, None) => {
                self.log_weight += NOT_HELD_LOG;
            }
        }
    }

    /// The tag of what an act takes: one in somebody's hands is there no longer, or it is another.
    fn tag_taken(&mut self, act: &Act, taken: &Taken, picked: &[Epc]) -> Option<Epc> {
        let in_hand = |epc: &Epc| {
            let may = taken.here.contains(epc) || picked.contains(epc);
            taken.elsewhere.contains(epc) || (may && self.held.holder(*epc).is_some())
        };
        let asked = act.tags.iter().flat_map(|tags| tags.epcs()).chain(act.epc);
        let held: Vec<Epc> = asked.filter(in_hand).collect();
        if held.is_empty() {
            return act.epc;
        }
        let less = |epc: Epc| {
            if held.contains(&epc) {
                OTHER_UNIT_LOG
            } else {
                0.0
            }
        };
        let epc = match &act.tags {
            Some(tags) => {
                self.log_weight += tags.log(less) - tags.log(|_| 0.0);
                tags.likeliest(less)
            }
            None => {
                self.log_weight += OTHER_UNIT_LOG;
                act.epc
            }
        };
        if let Some(epc) = epc.filter(|epc| held.contains(epc)) {
            // A put-back was missed, or it never left.
            self.held.remove_tag(epc);
        }
        epc
    }

    fn put_back(&mut self, visit: VisitId, act: &Act) -> f64 {
        let units = self.held.get(visit);
        let says = |epc: Epc| {
            act.tags
                .as_ref()
                .and_then(|tags| tags.say(epc))
                .unwrap_or(0.0)
        };
        let rank = |u: &Unit| match (act.epc, u.epc) {
            _ if u.gtin != act.gtin => None,
            (Some(a), Some(b)) if a == b => Some((0, 0.0)),
            (None, None) => Some((0, 0.0)),
            (_, None) => Some((1, 0.0)),
            (None, Some(epc)) => Some((1, -says(epc))),
            (_, Some(epc)) => Some((2, -says(epc))),
        };
        let ranked = units
            .iter()
            .enumerate()
            .filter_map(|(i, u)| rank(u).map(|(r, less)| (r, less, i)));
        let best = ranked.min_by(|a, b| {
            (a.0.cmp(&b.0))
                .then(a.1.total_cmp(&b.1))
                .then(a.2.cmp(&b.2))
        });
        match best {
            None => NOT_HELD_LOG,
            Some((r, _, i)) => {
                self.held.edit(visit).remove(i);
                match r {
                    0 => 0.0,
                    1 => -0.5,
                    _ => OTHER_UNIT_LOG,
                }
            }
        }
    }
}
