//! Worlds: joint accounts of who holds what. Each world is one consistent story in which items are
//! conserved; its weight is what all evidence so far gives it. Items whose stories hang together,
//! since they were moved at one time or one may be the other, share a *cluster* of worlds;
//! independent ones have clusters of their own, so that doubts do not multiply, and a visit's basket
//! is what it holds in all clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::basket;
use super::cluster::{Cluster, FAINT, Taken, World};
use super::comove::Walks;
use super::held::{Hand, Held};
use super::hypothesis::Account;
use super::relook::Choice;
use super::ways::{Branched, Options, UNLIKELY, Way, assignments, involved, ways};
use super::{Direction, Holdings, Sources};
use crate::gs1::{Epc, Gtin};
use crate::ids::{ShelfIx, VisitId};
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

/// Misplaced items remembered.
const MISPLACED_MAX: usize = 500;

/// Log probability that a tag which follows somebody's walk is that of his unit without one.
const KNOWN_LATE_LOG: f64 = -0.5;

/// By so much, nats, another tag must say more to be taken for a unit's own instead.
const ANOTHER_TAG_LOG: f64 = 3.0;

/// A tag that says less for having been moved, nats, is no matter of an act.
const ASKED_LOG: f64 = 0.5;

/// What the acts of an interaction ask of what is held: what bears on it hangs together with them.
struct Asked {
    /// Tags that an act may be about.
    tags: BTreeSet<Epc>,
    /// Products that may be put back.
    back: BTreeSet<Gtin>,
}

impl Asked {
    fn of(accounts: &[Account]) -> Self {
        let mut asked = Self {
            tags: BTreeSet::new(),
            back: BTreeSet::new(),
        };
        let best = accounts.first().map_or(0.0, |a| a.log_likelihood);
        let likely = accounts.iter().filter(|a| a.log_likelihood > best - FAINT);
        for act in likely.flat_map(|a| &a.acts) {
            asked.tags.extend(act.epc);
            let tags = act.tags.iter().flat_map(|tags| &tags.says);
            let telling = tags.filter(|(_, say)| *say > ASKED_LOG);
            asked.tags.extend(telling.map(|(epc, _)| *epc));
            if act.direction == Direction::Putback {
                asked.back.insert(act.gtin);
            }
        }
        asked
    }

    /// Whether what `visits` hold of a cluster, or a tag that anybody holds, bears on the acts.
    fn concerns(&self, cluster: &Cluster, visits: &BTreeSet<VisitId>) -> bool {
        cluster.hands().any(|(visit, hand)| {
            let near = visits.contains(&visit);
            let tag = |u: &Unit| u.epc.is_some_and(|epc| self.tags.contains(&epc));
            let bears = |u: &Unit| tag(u) || (near && self.back.contains(&u.gtin));
            hand.units().iter().any(bears)
        })
    }
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
        let asked = Asked::of(accounts);
        let mut cluster = self.merged(|c| asked.concerns(c, &involved));
        let full = self.hands_full(&involved);
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
                let id = UnitId(first.0 + i as u64);
                branch.play(act, (*visit, &full), id, &taken, &mut picked);
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
        let reweighed = cluster.holders().union(&involved).copied().collect();
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

    /// How many units visits hold elsewhere than in a cluster that was taken out.
    fn hands_full(&self, visits: &BTreeSet<VisitId>) -> BTreeMap<VisitId, usize> {
        let mut full = BTreeMap::new();
        let best = self.clusters.iter().filter_map(|c| c.worlds.first());
        for (visit, hand) in best.flat_map(|w| w.held.hands()) {
            if visits.contains(&visit) {
                *full.entry(visit).or_default() += hand.units().len();
            }
        }
        full
    }

    /// Weighs the worlds by what is known of the units that a visit holds: `weigh` gives the log
    /// of how much likelier the evidence is if `visit` holds the unit than if it does not.
    pub(super) fn reweigh(&mut self, visit: VisitId, weigh: impl Fn(&Unit) -> f64) -> Vec<VisitId> {
        let doubtful = |c: &Cluster| c.worlds.len() > 1 && c.visits.contains(&visit);
        self.change(doubtful, |world| {
            let held = world.held.get(visit).iter();
            world.log_weight += held.map(&weigh).sum::<f64>();
        })
    }

    /// Weighs down the worlds in which `visit` holds the tag `epc`.
    pub(super) fn reweigh_one(&mut self, visit: VisitId, epc: Epc, log: f64) -> Vec<VisitId> {
        let holds = |w: &World| w.held.get(visit).iter().any(|u| u.epc == Some(epc));
        let concerned = |c: &Cluster| {
            c.worlds.len() > 1 && c.visits.contains(&visit) && c.worlds.iter().any(holds)
        };
        self.change(concerned, |world| {
            if holds(world) {
                world.log_weight += log;
            }
        })
    }

    /// Changes all worlds of some clusters; tells the visits that are concerned.
    fn change(
        &mut self,
        which: impl Fn(&Cluster) -> bool,
        change: impl Fn(&mut World),
    ) -> Vec<VisitId> {
        let (ours, others) = std::mem::take(&mut self.clusters)
            .into_iter()
            .partition(which);
        self.clusters = others;
        let ours: Vec<Cluster> = ours;
        let mut changed = BTreeSet::new();
        for mut cluster in ours {
            changed.extend(&cluster.visits);
            cluster.worlds.iter_mut().for_each(&change);
            cluster.settle();
            changed.extend(cluster.holders());
            self.put_back(cluster);
        }
        changed.into_iter().collect()
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
        let concerned = |c: &Cluster| {
            c.hands().any(|(visit, hand)| {
                let late = untagged.iter().any(|(v, _)| *v == visit);
                let may = |u: &Unit| u.epc == Some(epc) || (late && u.is_untagged(gtin));
                hand.units().iter().any(may)
            })
        };
        let doubtful = |c: &Cluster| c.worlds.len() > 1 && concerned(c);
        if involved.is_empty() || (involved.len() == 1 && !self.clusters.iter().any(doubtful)) {
            return Vec::new();
        }
        let mut cluster = self.merged(concerned);
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
        involved.extend(cluster.holders());
        self.put_back(cluster);
        involved.into_iter().collect()
    }

    /// Lets two visits exchange those of their units that `since` tells.
    pub(super) fn exchange(
        &mut self,
        a: VisitId,
        b: VisitId,
        since: impl Fn(UnitId) -> bool,
    ) -> Vec<VisitId> {
        let theirs = |c: &Cluster| c.visits.contains(&a) || c.visits.contains(&b);
        let mut changed = self.change(theirs, |world| {
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
        });
        changed.extend([a, b]);
        changed.sort_unstable();
        changed.dedup();
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
        let best = || self.clusters.iter().filter_map(|c| c.worlds.first());
        let elsewhere: BTreeSet<Epc> = best().flat_map(|w| w.held.other_tags(unit)).collect();
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
            let before = |w: &World| w.held.untagged_before(unit, held.gtin);
            for _ in 0..before(world) + best().map(before).sum::<usize>() {
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
        let changed = cluster.holders().into_iter().collect();
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

    /// What a visit holds, by the likeliest of its baskets.
    pub(super) fn holdings(&self, visit: VisitId) -> Holdings {
        let clusters: Vec<&Cluster> = self.of(visit).collect();
        basket::holdings(clusters.iter().map(|c| c.baskets(visit)))
    }

    fn of(&self, visit: VisitId) -> impl Iterator<Item = &Cluster> {
        let clusters = self.clusters.iter();
        clusters.filter(move |c| c.visits.contains(&visit))
    }

    /// The units that a visit may hold, each with its probability.
    pub(super) fn units_of(&self, visit: VisitId) -> Vec<(Unit, f64)> {
        let mut units: BTreeMap<UnitId, (Unit, f64)> = BTreeMap::new();
        for world in self.of(visit).flat_map(|c| &c.worlds) {
            for unit in world.held.get(visit) {
                units.entry(unit.id).or_insert((*unit, 0.0)).1 += libm::exp(world.log_weight);
            }
        }
        units.into_values().collect()
    }

    pub(super) fn forget(&mut self, visit: VisitId) {
        self.change(
            |c| c.visits.contains(&visit),
            |world| {
                world.held.remove(visit);
            },
        );
    }

    /// The cluster of all worlds of those that are `concerned`, taken out.
    fn merged(&mut self, concerned: impl Fn(&Cluster) -> bool) -> Cluster {
        let (ours, others) = std::mem::take(&mut self.clusters)
            .into_iter()
            .partition(concerned);
        self.clusters = others;
        let ours: Vec<Cluster> = ours;
        let mut merged = Cluster {
            visits: BTreeSet::new(),
            worlds: vec![World::default()],
        };
        // What is certain multiplies no worlds: it joins them at last.
        let mut certain = Held::default();
        for cluster in ours {
            if let [world] = &cluster.worlds[..] {
                certain.join(&world.held);
            } else {
                merged = merged.times(&cluster);
            }
        }
        merged.join(&certain);
        merged
    }

    /// Keeps a cluster; what all its worlds agree on goes to the certain one of whoever holds it.
    fn put_back(&mut self, mut cluster: Cluster) {
        for (visit, hand) in cluster.take_agreed() {
            let own = |c: &&mut Cluster| c.worlds.len() == 1 && c.visits.len() == 1;
            let mut certain = self.clusters.iter_mut().filter(own);
            if let Some(known) = certain.find(|c| c.visits.contains(&visit)) {
                known.join(&Held::of([(visit, hand)]));
            } else {
                let mut held = Held::of([(visit, hand)]);
                held.settle(&mut BTreeMap::new());
                self.clusters.push(Cluster {
                    visits: BTreeSet::from([visit]),
                    worlds: vec![World {
                        log_weight: 0.0,
                        held,
                    }],
                });
            }
        }
        cluster.settle();
        cluster.visits = cluster.holders();
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

#[cfg(test)]
mod tests {
    use super::super::hypothesis::Act;
    use super::super::likelihood::Places;
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

    fn act(direction: Direction, digit: u64, tag: Option<u8>) -> Act {
        Act {
            direction,
            gtin: product(digit),
            epc: tag.map(epc),
            along: 0.5,
            places: Places::at(0.5),
            window: Default::default(),
            sources: Sources::default(),
            misplaced: false,
            tags: None,
            told_by: Vec::new(),
        }
    }

    /// Either of two visits, as likely, does one thing.
    fn either(clusters: &mut Clusters, act: Act, first: u64) {
        let account = Account {
            acts: vec![act],
            ..Account::default()
        };
        let who = Rc::new(vec![(Some(VisitId(1)), 0.0), (Some(VisitId(2)), 0.0)]);
        clusters.branch(ShelfIx(0), &[account], &[vec![who]], UnitId(first));
    }

    #[test]
    fn takes_of_different_things_are_independent_and_a_put_back_joins_its_own() {
        let mut clusters = Clusters::default();
        for n in 1..=9 {
            either(&mut clusters, act(Direction::Take, n, Some(n as u8)), n);
        }
        // Nine takes by either of two are 512 stories; apart they are nine times two.
        assert_eq!(clusters.clusters.len(), 9);
        assert!(clusters.clusters.iter().all(|c| c.worlds.len() == 2));
        let chance = |clusters: &Clusters, tag: u8, visit: u64| {
            let chances = clusters.chances(epc(tag));
            chances.get(&VisitId(visit)).copied().unwrap_or(0.0)
        };
        assert!((chance(&clusters, 9, 2) - 0.5).abs() < 1e-9);
        // What tells of one thing tells nothing of the others.
        clusters.reweigh(
            VisitId(2),
            |u| if u.epc == Some(epc(3)) { 20.0 } else { 0.0 },
        );
        assert!(chance(&clusters, 3, 2) > 0.999);
        assert!((chance(&clusters, 4, 2) - 0.5).abs() < 1e-9);
        // Whoever has it puts it back.
        either(&mut clusters, act(Direction::Putback, 4, Some(4)), 20);
        assert!(chance(&clusters, 4, 1) + chance(&clusters, 4, 2) < 0.01);
        assert!((chance(&clusters, 5, 1) - 0.5).abs() < 1e-9);
        clusters.forget(VisitId(1));
        clusters.forget(VisitId(2));
        assert!(clusters.clusters.is_empty());
    }
}
