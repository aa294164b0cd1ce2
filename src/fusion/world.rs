//! Worlds: joint accounts of who holds what. Each world is one consistent story in which items are
//! conserved; its weight is what all evidence so far gives it. Visits whose stories hang together
//! share a *cluster* of worlds; independent ones have clusters of their own, so that doubts do not
//! multiply.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::comove::Walks;
use super::held::{Hand, Held};
use super::hypothesis::{Account, Act};
use super::relook::Choice;
use super::who::Who;
use super::{Action, Direction, Holding, Holdings, Sources};
use crate::gs1::{Epc, Gtin};
use crate::ids::{ShelfIx, VisitId};
use crate::store::Store;
use crate::units::signal::log_sum_exp;

/// One item in somebody's hands. Units of one act carry one number in all worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    pub id: UnitId,
    pub gtin: Gtin,
    pub epc: Option<Epc>,
    pub sources: Sources,
}

impl Unit {
    pub(super) fn is_untagged(&self, gtin: Gtin) -> bool {
        self.gtin == gtin && self.epc.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct World {
    log_weight: f64,
    held: Held,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Cluster {
    visits: BTreeSet<VisitId>,
    /// Never empty; weights sum to 1; heaviest first.
    worlds: Vec<World>,
}

/// A product that stands on a shelf where it does not belong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Misplaced {
    shelf: ShelfIx,
    gtin: Gtin,
    along: f64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Clusters {
    clusters: Vec<Cluster>,
    misplaced: Vec<Misplaced>,
}

/// Worlds kept in a cluster.
const WORLDS: usize = 160;
/// Worlds this much lighter than the heaviest, in nats, are forgotten.
const FAINT: f64 = 11.0;
/// Visits this much less likely than the likeliest, in nats, are not drawn in.
const UNLIKELY: f64 = 6.0;
/// Misplaced items remembered.
const MISPLACED_MAX: usize = 500;

/// Log probability that somebody puts back what this world does not give him.
const NOT_HELD_LOG: f64 = -5.5;
/// The same product, but another unit of it by its tag.
const OTHER_UNIT_LOG: f64 = -3.0;

/// Log probability that a tag which follows somebody's walk is that of his unit without one.
const KNOWN_LATE_LOG: f64 = -0.5;

/// By so much, nats, another tag must say more to be taken for a unit's own instead.
const ANOTHER_TAG_LOG: f64 = 3.0;

/// Who holds more than this is ever less likely to take another, by so much a unit: nobody carries
/// a shelf away, and a visit whose end was missed must not take all that others take.
const FULL_HANDS: usize = 20;
const MORE_LOG: f64 = -0.1;

/// Tags in hands: of those whose worlds go on, and of others.
struct Taken {
    here: BTreeSet<Epc>,
    elsewhere: BTreeSet<Epc>,
}

/// What a branching did.
pub(super) struct Branched {
    shelf: ShelfIx,
    /// Posterior of each account with its assignment, heaviest first.
    told: Vec<(f64, Vec<Option<VisitId>>, usize)>,
    accounts: Vec<Account>,
    pub(super) reweighed: Vec<VisitId>,
}

impl Clusters {
    /// Products and tags that any of these visits may hold.
    pub(super) fn held_by(&self, visits: &[VisitId]) -> (BTreeSet<Gtin>, Vec<Epc>) {
        let hands = self.clusters.iter().flat_map(Cluster::hands);
        let held = hands.filter(|(visit, _)| visits.contains(visit));
        let (mut gtins, mut tags) = (BTreeSet::new(), BTreeSet::new());
        for unit in held.flat_map(|(_, hand)| hand.units()) {
            gtins.insert(unit.gtin);
            tags.extend(unit.epc);
        }
        (gtins, tags.into_iter().collect())
    }

    pub(super) fn misplaced_on(&self, shelf: ShelfIx) -> Vec<(Gtin, f64)> {
        let here = self.misplaced.iter().filter(|m| m.shelf == shelf);
        here.map(|m| (m.gtin, m.along)).collect()
    }

    /// Splits every world by what the accounts of an interaction say and by who did it.
    pub(super) fn branch(
        &mut self,
        shelf: ShelfIx,
        accounts: &[Account],
        whos: &[Vec<Rc<Options>>],
        first: UnitId,
    ) -> Branched {
        let involved = involved(whos);
        let mut cluster = self.merged(&involved);
        let taken = self.taken(&cluster, accounts);
        let mut next = Vec::new();
        let divided: Vec<_> = whos.iter().map(|who| assignments(who)).collect();
        let mut weights: Vec<Vec<Option<f64>>> =
            divided.iter().map(|ways| vec![None; ways.len()]).collect();
        let mut heaviest = f64::NEG_INFINITY;
        for Way {
            bound,
            world,
            account: n,
            assignment,
        } in ways(&cluster.worlds, accounts, &divided)
        {
            if bound < heaviest - FAINT {
                break;
            }
            let account = &accounts[n];
            let (_, assigned) = &divided[n][assignment];
            let mut branch = cluster.worlds[world].clone();
            branch.log_weight = bound;
            let mut picked = Vec::new();
            for (i, (act, visit)) in account.acts.iter().zip(assigned).enumerate() {
                branch.play(act, *visit, UnitId(first.0 + i as u64), &taken, &mut picked);
            }
            heaviest = heaviest.max(branch.log_weight);
            let weight = weights[n][assignment].get_or_insert(f64::NEG_INFINITY);
            *weight = log_sum_exp([*weight, branch.log_weight]);
            next.push(branch);
        }
        let mut told: BTreeMap<(usize, Vec<Option<VisitId>>), f64> = BTreeMap::new();
        for (n, (ways, weights)) in divided.into_iter().zip(weights).enumerate() {
            for ((_, assigned), weight) in ways.into_iter().zip(weights) {
                told.extend(weight.map(|weight| ((n, assigned), weight)));
            }
        }
        cluster.worlds = next;
        cluster.settle();
        let all = log_sum_exp(told.values().copied());
        let share = |((n, assigned), log): ((usize, Vec<Option<VisitId>>), f64)| {
            (libm::exp(log - all), assigned, n)
        };
        let mut told: Vec<_> = told.into_iter().map(share).collect();
        told.sort_by(|a, b| {
            b.0.total_cmp(&a.0)
                .then_with(|| (a.2, &a.1).cmp(&(b.2, &b.1)))
        });
        let reweighed = cluster.visits.iter().copied().collect();
        self.put_back(cluster);
        self.note_misplaced(shelf, accounts, &told);
        Branched {
            shelf,
            told,
            accounts: accounts.to_vec(),
            reweighed,
        }
    }

    /// Which tags that the acts can be about are in hands already.
    fn taken(&self, cluster: &Cluster, accounts: &[Account]) -> Taken {
        let mut asked = BTreeSet::new();
        for act in accounts.iter().flat_map(|a| &a.acts) {
            asked.extend(act.epc);
            asked.extend(act.tags.iter().flat_map(|tags| tags.epcs()));
        }
        let held = |(_, hand): (VisitId, &Hand)| -> Vec<Epc> {
            let epcs = hand.units().iter().filter_map(|u| u.epc);
            epcs.filter(|epc| asked.contains(epc)).collect()
        };
        let others = self.clusters.iter().filter_map(|c| c.worlds.first());
        Taken {
            here: cluster.hands().flat_map(held).collect(),
            elsewhere: others.flat_map(|w| w.held.hands()).flat_map(held).collect(),
        }
    }

    /// The tag of a unit, by the likeliest account.
    pub(super) fn tag_of(&self, unit: UnitId) -> Option<Epc> {
        let best = self.clusters.iter().filter_map(|c| c.worlds.first());
        let mut units = best
            .flat_map(|w| w.held.hands())
            .flat_map(|(_, hand)| hand.units());
        units.find(|u| u.id == unit)?.epc
    }

    /// Weighs the worlds by what is known of the units that a visit holds: `weigh` gives the log
    /// of how much likelier the evidence is if `visit` holds the unit than if it does not.
    pub(super) fn reweigh(&mut self, visit: VisitId, weigh: impl Fn(&Unit) -> f64) -> Vec<VisitId> {
        let Some(mut cluster) = self.taken_out(visit) else {
            return Vec::new();
        };
        for world in &mut cluster.worlds {
            let held = world.held.get(visit).iter();
            world.log_weight += held.map(&weigh).sum::<f64>();
        }
        cluster.settle();
        let changed = cluster.visits.iter().copied().collect();
        self.put_back(cluster);
        changed
    }

    /// Weighs down the worlds in which `visit` holds the tag `epc`.
    pub(super) fn reweigh_one(&mut self, visit: VisitId, epc: Epc, log: f64) -> Vec<VisitId> {
        let holds = |w: &World| w.held.get(visit).iter().any(|u| u.epc == Some(epc));
        let concerned = self
            .clusters
            .iter()
            .any(|c| c.worlds.len() > 1 && c.visits.contains(&visit) && c.worlds.iter().any(holds));
        if !concerned {
            return Vec::new();
        }
        let Some(mut cluster) = self.taken_out(visit) else {
            return Vec::new();
        };
        for world in &mut cluster.worlds {
            if holds(world) {
                world.log_weight += log;
            }
        }
        cluster.settle();
        let changed = cluster.visits.iter().copied().collect();
        self.put_back(cluster);
        changed
    }

    /// All units that somebody may hold.
    pub(super) fn held_units(&self) -> BTreeSet<UnitId> {
        let hands = self.clusters.iter().flat_map(Cluster::hands);
        hands
            .flat_map(|(_, hand)| hand.units())
            .map(|u| u.id)
            .collect()
    }

    /// The visits that may hold a tag.
    pub(super) fn holders(&self, epc: Epc) -> BTreeSet<VisitId> {
        let hands = self.clusters.iter().flat_map(Cluster::hands);
        let holds = |hand: &Hand| hand.units().iter().any(|u| u.epc == Some(epc));
        hands
            .filter(|(_, hand)| holds(hand))
            .map(|(v, _)| v)
            .collect()
    }

    /// The same with the probability of each.
    pub(super) fn chances(&self, epc: Epc) -> BTreeMap<VisitId, f64> {
        let mut chances = BTreeMap::new();
        for world in self.clusters.iter().flat_map(|c| &c.worlds) {
            if let Some(holder) = world.held.holder(epc) {
                *chances.entry(holder).or_default() += libm::exp(world.log_weight);
            }
        }
        chances
    }

    /// The visits that may hold a unit of a product whose tag nobody knows.
    pub(super) fn untagged(&self, gtin: Gtin) -> BTreeSet<VisitId> {
        let hands = self.clusters.iter().flat_map(Cluster::hands);
        let holds = |hand: &Hand| hand.units().iter().any(|u| u.is_untagged(gtin));
        hands
            .filter(|(_, hand)| holds(hand))
            .map(|(v, _)| v)
            .collect()
    }

    /// Weighs the worlds by whose walk a tag's reads follow. It may have changed hands, and where
    /// nobody holds it, it may be that of a unit whose tag nobody knew.
    pub(super) fn follow(
        &mut self,
        epc: Epc,
        gtin: Gtin,
        known: bool,
        walks: &Walks<'_>,
    ) -> Vec<VisitId> {
        let holders = self.holders(epc);
        let mut handed: BTreeMap<VisitId, Vec<(VisitId, f64)>> = BTreeMap::new();
        let mut involved = holders.clone();
        let untagged = self.untagged(gtin).into_iter().filter(|_| known);
        let untagged = untagged.map(|visit| (visit, walks.kept(visit) + KNOWN_LATE_LOG));
        let untagged: Vec<(VisitId, f64)> = untagged
            .filter(|(_, log)| *log > walks.nobody() - UNLIKELY)
            .collect();
        involved.extend(untagged.iter().map(|(visit, _)| *visit));
        for holder in &holders {
            let kept = walks.kept(*holder);
            let mut to = walks.handed(*holder);
            to.retain(|(_, log)| *log > kept - UNLIKELY);
            involved.extend(to.iter().map(|(visit, _)| *visit));
            handed.insert(*holder, to);
        }
        let certain = |c: &Cluster| c.worlds.len() == 1 && !c.visits.is_disjoint(&involved);
        if involved.is_empty() || (involved.len() == 1 && self.clusters.iter().any(certain)) {
            return Vec::new();
        }
        let mut cluster = self.merged(&involved);
        let mut next = Vec::with_capacity(cluster.worlds.len());
        for mut world in std::mem::take(&mut cluster.worlds) {
            let Some(holder) = world.held.holder(epc) else {
                for (visit, log) in &untagged {
                    let mut other = world.clone();
                    if other.held.tag_one(*visit, gtin, epc) {
                        other.log_weight += log;
                        next.push(other);
                    }
                }
                world.log_weight += walks.nobody();
                next.push(world);
                continue;
            };
            for (to, log) in handed.get(&holder).into_iter().flatten() {
                let mut other = world.clone();
                other.held.hand_on(epc, holder, *to);
                other.log_weight += log;
                next.push(other);
            }
            if let Some(log) = walks.put_down(holder) {
                let mut other = world.clone();
                other.held.remove_tag(epc);
                other.log_weight += log;
                next.push(other);
            }
            world.log_weight += walks.kept(holder);
            next.push(world);
        }
        cluster.worlds = next;
        cluster.settle();
        let changed = cluster.visits.iter().copied().collect();
        self.put_back(cluster);
        changed
    }

    /// Lets two visits exchange those of their units that `since` tells.
    pub(super) fn exchange(
        &mut self,
        a: VisitId,
        b: VisitId,
        since: impl Fn(UnitId) -> bool,
    ) -> Vec<VisitId> {
        let mut cluster = self.merged(&BTreeSet::from([a, b]));
        for world in &mut cluster.worlds {
            let mut taken = |visit| {
                let units = world.held.edit(visit);
                let (out, kept) = std::mem::take(units).into_iter().partition(|u| since(u.id));
                *units = kept;
                let out: Vec<Unit> = out;
                out
            };
            let (of_a, of_b) = (taken(a), taken(b));
            world.held.edit(a).extend(of_b);
            world.held.edit(b).extend(of_a);
        }
        cluster.settle();
        let changed = cluster.visits.iter().copied().collect();
        self.put_back(cluster);
        changed
    }

    /// What a unit is, as worlds have it in which somebody holds it, with their probabilities.
    pub(super) fn choices(&self, unit: UnitId) -> Vec<(Gtin, f64)> {
        let mut choices: BTreeMap<Gtin, f64> = BTreeMap::new();
        for world in self.clusters.iter().flat_map(|c| &c.worlds) {
            if let Some((_, held)) = world.held.unit(unit) {
                *choices.entry(held.gtin).or_default() += libm::exp(world.log_weight);
            }
        }
        choices.into_iter().collect()
    }

    /// Weighs the worlds anew by what tags say now of what a unit is, against what they said;
    /// `absent` is the log of the same for worlds in which nobody holds it.
    pub(super) fn look_again(
        &mut self,
        unit: UnitId,
        choices: &[Choice],
        absent: f64,
    ) -> Vec<VisitId> {
        let has = |c: &Cluster| c.worlds.iter().any(|w| w.held.unit(unit).is_some());
        let Some(place) = self.clusters.iter().position(has) else {
            return Vec::new();
        };
        if self.clusters[place].worlds.len() < 2 {
            return Vec::new();
        }
        let mut cluster = self.clusters.remove(place);
        let best = self.clusters.iter().filter_map(|c| c.worlds.first());
        let elsewhere: BTreeSet<Epc> = best.flat_map(|w| w.held.other_tags(unit)).collect();
        for world in &mut cluster.worlds {
            let Some((visit, held)) = world.held.unit(unit) else {
                world.log_weight += absent;
                continue;
            };
            let of_product = || choices.iter().filter(|c| c.gtin == held.gtin);
            let own = of_product().find(|c| c.own.is_some() && c.own == held.epc);
            let Some(choice) = own.or_else(|| of_product().next()) else {
                continue;
            };
            let mut others: Vec<Epc> = world.held.other_tags(unit).collect();
            others.extend(&elsewhere);
            // Units before it that have no tag yet have the first say.
            for _ in 0..world.held.untagged_before(unit, held.gtin) {
                let best = choice.now.best(not_in(&others));
                others.extend(best);
            }
            let less = not_in(&others);
            world.log_weight += choice.now.log(&less) - choice.before.log(&less);
            let says = |epc: Epc| choice.now.say(epc).unwrap_or(0.0);
            let best = choice.now.likeliest(&less).filter(|best| {
                held.epc
                    .is_none_or(|epc| says(*best) > says(epc) + ANOTHER_TAG_LOG)
            });
            if let Some(best) = best.filter(|_| choice.own.is_none()) {
                world.held.tag_as(visit, unit, best);
            }
        }
        cluster.settle();
        let changed = cluster.visits.iter().copied().collect();
        self.put_back(cluster);
        changed
    }

    /// Gives a unit the tag that turned out to be its own, where it is of the tag's product.
    pub(super) fn tag_unit(&mut self, unit: UnitId, gtin: Gtin, before: Option<Epc>, epc: Epc) {
        let mut done = Vec::new();
        for world in self.clusters.iter_mut().flat_map(|c| &mut c.worlds) {
            let is = |u: &Unit| u.id == unit && u.gtin == gtin && u.epc == before;
            let tag = |u: &mut Unit| {
                u.epc = Some(epc);
                u.sources.rfid = true;
            };
            // No two units have one tag: where another has it, this one's is not known.
            if world.held.holder(epc).is_some() {
                continue;
            }
            world.held.change(is, tag, &mut done);
        }
    }

    pub(super) fn holdings(&self, visit: VisitId) -> Holdings {
        let Some(cluster) = self.clusters.iter().find(|c| c.visits.contains(&visit)) else {
            return Holdings {
                confidence: 1.0,
                ..Holdings::default()
            };
        };
        cluster.holdings(visit)
    }

    /// The units that a visit may hold, each with its probability.
    pub(super) fn units_of(&self, visit: VisitId) -> Vec<(Unit, f64)> {
        let cluster = self.clusters.iter().find(|c| c.visits.contains(&visit));
        let mut units: BTreeMap<UnitId, (Unit, f64)> = BTreeMap::new();
        for world in cluster.into_iter().flat_map(|c| &c.worlds) {
            for unit in world.held.get(visit) {
                units.entry(unit.id).or_insert((*unit, 0.0)).1 += libm::exp(world.log_weight);
            }
        }
        units.into_values().collect()
    }

    pub(super) fn forget(&mut self, visit: VisitId) {
        if let Some(mut cluster) = self.taken_out(visit) {
            cluster.visits.remove(&visit);
            for world in &mut cluster.worlds {
                world.held.remove(visit);
            }
            cluster.settle();
            self.put_back(cluster);
        }
    }

    /// The cluster of all worlds in which these visits take part, taken out.
    fn merged(&mut self, visits: &BTreeSet<VisitId>) -> Cluster {
        let (ours, others) = std::mem::take(&mut self.clusters)
            .into_iter()
            .partition(|c: &Cluster| !c.visits.is_disjoint(visits));
        self.clusters = others;
        let mut merged = Cluster {
            visits: BTreeSet::new(),
            worlds: vec![World::default()],
        };
        // What is certain multiplies no worlds: it joins them at last.
        let mut certain = Vec::new();
        for mut cluster in ours {
            if let [world] = &mut cluster.worlds[..] {
                merged.visits.append(&mut cluster.visits);
                world.held.settle(&mut BTreeMap::new());
                certain.extend(
                    world
                        .held
                        .hands()
                        .map(|(visit, hand)| (visit, hand.clone())),
                );
                merged.weigh(world.log_weight);
            } else {
                merged.join(std::mem::take(&mut certain));
                merged = merged.times(cluster);
            }
        }
        merged.join(certain);
        merged.visits.extend(visits);
        merged
    }

    fn taken_out(&mut self, visit: VisitId) -> Option<Cluster> {
        let place = self
            .clusters
            .iter()
            .position(|c| c.visits.contains(&visit))?;
        Some(self.clusters.remove(place))
    }

    /// Keeps a cluster, each visit about which all its worlds agree as one of its own.
    fn put_back(&mut self, mut cluster: Cluster) {
        if cluster.visits.len() > 1 {
            let agreed: Vec<VisitId> = cluster
                .visits
                .iter()
                .copied()
                .filter(|v| cluster.agrees_on(*v))
                .collect();
            for world in cluster.worlds.iter_mut().rev().skip(1) {
                world.held.leave_out(&agreed);
            }
            for visit in agreed {
                cluster.visits.remove(&visit);
                let last = cluster.worlds.last_mut();
                let hand = last.and_then(|w| w.held.remove(visit));
                let world = World {
                    log_weight: 0.0,
                    held: Held::of(hand.map(|hand| (visit, hand))),
                };
                let visits = BTreeSet::from([visit]);
                self.clusters.push(Cluster {
                    visits,
                    worlds: vec![world],
                });
            }
            cluster.settle();
        }
        if !cluster.visits.is_empty() {
            self.clusters.push(cluster);
        }
        self.clusters.sort_by(|a, b| a.visits.cmp(&b.visits));
    }

    fn note_misplaced(
        &mut self,
        shelf: ShelfIx,
        accounts: &[Account],
        told: &[(f64, Vec<Option<VisitId>>, usize)],
    ) {
        let Some(best) = told.first().and_then(|(_, _, n)| accounts.get(*n)) else {
            return;
        };
        for act in &best.acts {
            let here = |m: &Misplaced| m.shelf == shelf && m.gtin == act.gtin;
            match act.direction {
                Direction::Take => {
                    if let Some(place) = self.misplaced.iter().position(here) {
                        self.misplaced.remove(place);
                    }
                }
                Direction::Putback => {
                    let along = act.along;
                    self.misplaced.push(Misplaced {
                        shelf,
                        gtin: act.gtin,
                        along,
                    });
                    if self.misplaced.len() > MISPLACED_MAX {
                        self.misplaced.remove(0);
                    }
                }
            }
        }
    }
}

impl Cluster {
    fn times(self, other: Self) -> Self {
        let mut worlds = Vec::with_capacity(self.worlds.len() * other.worlds.len());
        for a in &self.worlds {
            for b in &other.worlds {
                let mut both = a.clone();
                both.log_weight += b.log_weight;
                both.held.join(&b.held);
                worlds.push(both);
            }
        }
        let visits = self.visits.union(&other.visits).copied().collect();
        let mut both = Self { visits, worlds };
        both.settle();
        both
    }

    /// What somebody holds in all worlds, each hand that worlds share with the heaviest once.
    fn hands(&self) -> impl Iterator<Item = (VisitId, &Hand)> {
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

    /// Lets all worlds have what certain visits of other clusters hold.
    fn join(&mut self, certain: Vec<(VisitId, Hand)>) {
        if certain.is_empty() {
            return;
        }
        let certain = Held::of(certain);
        for world in &mut self.worlds {
            world.held.join(&certain);
        }
        self.sort();
    }

    /// Joins equal worlds, forgets faint ones, and lets the weights sum to 1.
    fn settle(&mut self) {
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

    /// The heaviest first.
    fn sort(&mut self) {
        self.worlds.sort_by(|a, b| {
            let heavier = b.log_weight.total_cmp(&a.log_weight);
            heavier.then_with(|| a.held.order(&b.held))
        });
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

    fn agrees_on(&self, visit: VisitId) -> bool {
        let mut held = self.worlds.iter().map(|w| w.held.hand(visit));
        let first = held.next().flatten();
        held.all(|other| match (first, other) {
            (Some(a), Some(b)) => a.agrees(b),
            (a, b) => a.is_none() && b.is_none(),
        })
    }

    fn holdings(&self, visit: VisitId) -> Holdings {
        let Some(best) = self.worlds.first() else {
            return Holdings::default();
        };
        let best = best.held.get(visit);
        let hands: Vec<&[Unit]> = self.worlds.iter().map(|w| w.held.get(visit)).collect();
        let shared = |hand: &[Unit]| std::ptr::eq(hand, best);
        let own = || hands.iter().skip(1).filter(|hand| !shared(hand));
        let gtins: BTreeSet<Gtin> = best
            .iter()
            .chain(own().copied().flatten())
            .map(|u| u.gtin)
            .collect();
        let count = |hand: &[Unit], gtin: Gtin| hand.iter().filter(|u| u.gtin == gtin).count();
        let weights: Vec<f64> = self
            .worlds
            .iter()
            .map(|w| libm::exp(w.log_weight))
            .collect();
        let chance = |test: &dyn Fn(&[Unit]) -> bool| -> f64 {
            let of_best = test(best);
            let fits = |hand: &[Unit]| if shared(hand) { of_best } else { test(hand) };
            let worlds = hands.iter().zip(&weights);
            worlds.filter(|(hand, _)| fits(hand)).map(|(_, p)| p).sum()
        };
        let mut out = Holdings::default();
        for gtin in &gtins {
            let quantity = count(best, *gtin);
            let units = best.iter().filter(|u| u.gtin == *gtin);
            if quantity == 0 {
                let missing = chance(&|hand| count(hand, *gtin) > 0);
                out.missing.push((*gtin, missing));
                continue;
            }
            let mut sources = Sources::default();
            let mut epcs = Vec::new();
            for unit in units {
                sources.join(unit.sources);
                epcs.extend(unit.epc);
            }
            out.lines.push(Holding {
                gtin: *gtin,
                quantity: quantity as u32,
                epcs,
                confidence: chance(&|hand| count(hand, *gtin) == quantity),
                sources,
            });
        }
        out.confidence =
            chance(&|hand| gtins.iter().all(|g| count(hand, *g) == count(best, *g))).min(1.0);
        out
    }
}

impl World {
    /// Lets an act happen; its weight falls where this world makes it unlikely. Nobody held a tag that
    /// is not `taken`, unless an act before this one `picked` it.
    fn play(
        &mut self,
        act: &Act,
        visit: Option<VisitId>,
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
                    let beyond = units.len().saturating_sub(FULL_HANDS);
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

impl Sources {
    pub fn join(&mut self, other: Self) {
        self.rfid |= other.rfid;
        self.scale |= other.scale;
        self.vision |= other.vision;
        self.gate |= other.gate;
    }
}

/// What is added to the say of tags: those of other hands are out of the question.
fn not_in(others: &[Epc]) -> impl Fn(Epc) -> f64 + '_ {
    |epc| {
        if others.contains(&epc) {
            f64::NEG_INFINITY
        } else {
            0.0
        }
    }
}

/// One way on from a world: an account, and who did what of it.
struct Way {
    /// The most that the branch can weigh: what it makes unlikely only takes away.
    bound: f64,
    world: usize,
    account: usize,
    assignment: usize,
}

/// Ways tried at most: with more, many people are equally likely, and what is told is doubt.
const WAYS: usize = 1024;

/// All ways on, the heaviest first.
fn ways(
    worlds: &[World],
    accounts: &[Account],
    divided: &[Vec<(f64, Vec<Option<VisitId>>)>],
) -> Vec<Way> {
    let mut out = Vec::new();
    for (world, w) in worlds.iter().enumerate() {
        for (account, (a, ways)) in accounts.iter().zip(divided).enumerate() {
            for (assignment, (log, _)) in ways.iter().enumerate() {
                out.push(Way {
                    bound: w.log_weight + a.log_likelihood + log,
                    world,
                    account,
                    assignment,
                });
            }
        }
    }
    // Ways of one weight keep their order.
    let place = |w: &Way| (w.world, w.account, w.assignment);
    let order = |a: &Way, b: &Way| {
        let heavier = b.bound.total_cmp(&a.bound);
        heavier.then_with(|| place(a).cmp(&place(b)))
    };
    if out.len() > WAYS {
        out.select_nth_unstable_by(WAYS, order);
        out.truncate(WAYS);
    }
    out.sort_unstable_by(order);
    out
}

/// Who can have done one act, with log weights.
pub(super) type Options = Vec<(Option<VisitId>, f64)>;

/// The visits that can have had a hand in any of it.
pub(super) fn involved(whos: &[Vec<Rc<Options>>]) -> BTreeSet<VisitId> {
    let mut seen: Vec<&Rc<Options>> = Vec::new();
    for options in whos.iter().flatten() {
        if !seen.iter().any(|known| Rc::ptr_eq(known, options)) {
            seen.push(options);
        }
    }
    let visits = seen.into_iter().flat_map(|options| options.iter());
    visits.filter_map(|(visit, _)| *visit).collect()
}

/// The options of who did one act, the unlikely left out. Their weights are not normalised: where
/// people stood says as much about the place of an act as the place about who it was.
pub(super) fn likely(who: &Who) -> Options {
    let mut options: Vec<(Option<VisitId>, f64)> =
        who.visits.iter().map(|(v, log)| (Some(*v), *log)).collect();
    options.push((None, who.nobody));
    let all = log_sum_exp(options.iter().map(|(_, log)| *log));
    options.retain(|(_, log)| *log > all - UNLIKELY);
    options
}

/// Ways in which an account's acts can be divided among people, each with its log probability.
fn assignments(whos: &[Rc<Options>]) -> Vec<(f64, Vec<Option<VisitId>>)> {
    const KEEP: usize = 24;
    /// Acts of one interaction are more often one person's than two people's.
    const OTHER_HAND_LOG: f64 = -0.7;
    let mut out: Vec<(f64, Vec<Option<VisitId>>)> = vec![(0.0, Vec::new())];
    for options in whos {
        let mut next: Vec<(f64, &[Option<VisitId>], Option<VisitId>)> = Vec::new();
        for (log, assigned) in &out {
            for (visit, who_log) in options.iter() {
                let other = assigned.last().is_some_and(|last| last != visit);
                let change = if other { OTHER_HAND_LOG } else { 0.0 };
                next.push((log + who_log + change, assigned, *visit));
            }
        }
        let order = |a: &(f64, &[_], _), b: &(f64, &[_], _)| {
            let likelier = b.0.total_cmp(&a.0);
            likelier.then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
        };
        if next.len() > KEEP {
            next.select_nth_unstable_by(KEEP, order);
            next.truncate(KEEP);
        }
        next.sort_unstable_by(order);
        let longer = |(log, assigned, visit): (f64, &[Option<VisitId>], Option<VisitId>)| {
            (log, assigned.iter().copied().chain([visit]).collect())
        };
        out = next.into_iter().map(longer).collect();
    }
    out
}

impl Branched {
    /// Ways in which it came about, the likeliest first: the probability, who did each act, and
    /// the account's place.
    pub(super) fn told(&self) -> &[(f64, Vec<Option<VisitId>>, usize)] {
        &self.told
    }

    /// The ways with the act at one place of their account, where they have one, and who did it.
    pub(super) fn ways_of(
        &self,
        place: usize,
    ) -> impl Iterator<Item = (f64, Option<&Act>, Option<VisitId>)> {
        self.told.iter().map(move |(p, who, n)| {
            let act = self.accounts.get(*n).and_then(|a| a.acts.get(place));
            (*p, act, who.get(place).copied().flatten())
        })
    }

    /// The likeliest account.
    pub(super) fn account(&self) -> Option<&Account> {
        self.told
            .first()
            .and_then(|(_, _, n)| self.accounts.get(*n))
    }

    /// The likeliest account as actions, each with its doubt.
    pub(super) fn actions(&self, store: &Store) -> Vec<Action> {
        let Some((_, assigned, n)) = self.told.first() else {
            return Vec::new();
        };
        let acts = &self.accounts[*n].acts;
        let action = |(act, visit): (&Act, &Option<VisitId>)| self.action(store, act, *visit);
        acts.iter().zip(assigned).map(action).collect()
    }

    fn action(&self, store: &Store, act: &Act, visit: Option<VisitId>) -> Action {
        let mut confidence = 0.0;
        let mut visits: BTreeMap<VisitId, f64> = BTreeMap::new();
        let mut gtins: BTreeMap<Gtin, f64> = BTreeMap::new();
        for (share, assigned, n) in &self.told {
            let told = self.accounts[*n].acts.iter().zip(assigned);
            let told: Vec<_> = told.filter(|(a, _)| a.direction == act.direction).collect();
            let same = told
                .iter()
                .find(|(a, v)| a.gtin == act.gtin && **v == visit);
            confidence += same.map_or(0.0, |_| *share);
            let (a, v) = match same.or(told.iter().find(|(a, _)| a.gtin == act.gtin)) {
                Some((a, v)) => (*a, **v),
                None => match told.first() {
                    Some((a, v)) => (*a, **v),
                    None => continue,
                },
            };
            *gtins.entry(a.gtin).or_default() += share;
            if let Some(v) = v.filter(|_| a.gtin == act.gtin) {
                *visits.entry(v).or_default() += share;
            }
        }
        let home = |s: &crate::store::Shelf| s.facings.iter().any(|f| f.gtin == act.gtin);
        let strange = act.direction == Direction::Putback && !home(store.shelf(self.shelf));
        let elsewhere = store.shelves.iter().position(home).filter(|_| strange);
        Action {
            direction: act.direction,
            visit,
            gtin: act.gtin,
            epc: act.epc,
            shelf: self.shelf,
            at: act.at(),
            confidence: confidence.min(1.0),
            sources: act.sources,
            visits: by_chance(visits),
            gtins: by_chance(gtins),
            home_shelf: elsewhere.map(|place| ShelfIx(place as u16)),
            restock: false,
        }
    }
}

fn by_chance<T: Ord + Copy>(chances: BTreeMap<T, f64>) -> Vec<(T, f64)> {
    let mut out: Vec<(T, f64)> = chances.into_iter().filter(|(_, p)| *p >= 0.005).collect();
    out.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    out
}

#[cfg(test)]
mod tests {
    use super::super::tags::Tags;
    use super::*;

    fn unit(id: u64) -> Unit {
        Unit {
            id: UnitId(id),
            gtin: Gtin::from_payload(4_006_381_333_931).unwrap(),
            epc: None,
            sources: Sources::default(),
        }
    }

    fn held(clusters: &Clusters, visit: u64) -> Vec<u64> {
        let units = clusters.units_of(VisitId(visit)).into_iter();
        units.map(|(unit, _)| unit.id.0).collect()
    }

    #[test]
    fn who_was_taken_for_another_keeps_what_he_took_before() {
        let hand = |ids: &[u64]| Hand::from(ids.iter().map(|id| unit(*id)).collect::<Vec<_>>());
        let hands = [(VisitId(1), hand(&[1, 2, 5])), (VisitId(2), hand(&[3, 4]))];
        let world = World {
            log_weight: 0.0,
            held: Held::of(hands),
        };
        let mut clusters = Clusters {
            clusters: vec![Cluster {
                visits: BTreeSet::from([VisitId(1), VisitId(2)]),
                worlds: vec![world],
            }],
            misplaced: Vec::new(),
        };
        // They met before the units 4 and 5 were taken.
        clusters.exchange(VisitId(1), VisitId(2), |unit| unit.0 >= 4);
        assert_eq!(held(&clusters, 1), [1, 2, 4]);
        assert_eq!(held(&clusters, 2), [3, 5]);
    }

    /// One visit's cluster of worlds, each with a weight and units as (number, digit, tag).
    fn worlds(told: &[(f64, &[(u64, u64, Option<u8>)])]) -> Clusters {
        let world = |(p, units): &(f64, &[(u64, u64, Option<u8>)])| {
            let units = units.iter().map(|(id, digit, tag)| Unit {
                gtin: product(*digit),
                epc: tag.map(epc),
                ..unit(*id)
            });
            World {
                log_weight: libm::log(*p),
                held: Held::of([(VisitId(1), Hand::from(units.collect::<Vec<_>>()))]),
            }
        };
        let cluster = Cluster {
            visits: BTreeSet::from([VisitId(1)]),
            worlds: told.iter().map(world).collect(),
        };
        let mut clusters = Clusters::default();
        clusters.put_back(cluster);
        clusters
    }

    fn product(digit: u64) -> Gtin {
        Gtin::from_payload(400_638_133_390 + digit).unwrap()
    }

    fn epc(tag: u8) -> Epc {
        format!("3034257BF7194E40000000{tag:02X}").parse().unwrap()
    }

    #[test]
    fn a_late_tag_is_given_to_its_own_product_and_to_one_unit_of_a_world() {
        let told: [(f64, &[_]); 3] = [
            (0.5, &[(1, 1, None)]),
            (0.3, &[(1, 2, None)]),
            (0.2, &[(1, 1, None), (2, 1, Some(7))]),
        ];
        let mut clusters = worlds(&told);
        clusters.tag_unit(UnitId(1), product(1), None, epc(7));
        let of: Vec<Vec<Option<Epc>>> = clusters.clusters[0]
            .worlds
            .iter()
            .map(|w| w.held.get(VisitId(1)).iter().map(|u| u.epc).collect())
            .collect();
        assert_eq!(of[0], [Some(epc(7))]);
        assert_eq!(of[1], [None]);
        assert_eq!(of[2].iter().flatten().count(), 1);
    }

    #[test]
    fn tags_that_are_silent_for_longer_tell_what_was_taken() {
        let told: [(f64, &[_]); 2] = [(0.5, &[(1, 1, None)]), (0.5, &[(1, 2, None)])];
        let mut clusters = worlds(&told);
        let tags = |tag: u8, say: f64| Tags {
            says: vec![(epc(tag), say)],
            of: 1.0,
            untagged: 0.04,
            unseen: 0.04,
        };
        let choices = [
            Choice::new(product(1), tags(7, 0.5), tags(7, 6.0)),
            Choice::new(product(2), tags(8, 0.5), tags(8, -5.0)),
        ];
        clusters.look_again(UnitId(1), &choices, 0.0);
        let (gtin, p) = clusters.choices(UnitId(1))[0];
        assert_eq!(gtin, product(1));
        assert!(p > 0.99, "{p}");
        assert_eq!(clusters.tag_of(UnitId(1)), Some(epc(7)));
    }
}
