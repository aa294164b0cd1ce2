//! How worlds go on when something happened at a shelf: which account of it, and who did each of its
//! acts.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::cluster::World;
use super::hypothesis::{Account, Act};
use super::who::Who;
use super::{Action, Direction};
use crate::gs1::Gtin;
use crate::ids::{ShelfIx, VisitId};
use crate::store::Store;
use crate::units::signal::log_sum_exp;

/// What a branching did.
pub(super) struct Branched {
    pub(super) shelf: ShelfIx,
    /// Posterior of each account with its assignment, heaviest first.
    pub(super) told: Vec<(f64, Vec<Option<VisitId>>, usize)>,
    pub(super) accounts: Vec<Account>,
    pub(super) reweighed: Vec<VisitId>,
}

/// Visits this much less likely than the likeliest, in nats, are not drawn in.
pub(super) const UNLIKELY: f64 = 6.0;

/// One way on from a world: an account, and who did what of it.
pub(super) struct Way {
    /// The most that the branch can weigh: what it makes unlikely only takes away.
    pub(super) bound: f64,
    pub(super) world: usize,
    pub(super) account: usize,
    pub(super) assignment: usize,
}

/// Ways tried at most: with more, many people are equally likely, and what is told is doubt.
const WAYS: usize = 1024;

/// All ways on, the heaviest first.
pub(super) fn ways(
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
pub(super) fn assignments(whos: &[Rc<Options>]) -> Vec<(f64, Vec<Option<VisitId>>)> {
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
