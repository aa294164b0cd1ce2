//! What is told before all is known. A scale tells within a second of the hand what left, a reader
//! takes several: the likeliest account is told at once, and corrected when the slower sensors have
//! spoken. What is told early changes nobody's holdings; only the decision does.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::hypothesis::{self, Account};
use super::interaction::Interaction;
use super::likelihood::Places;
use super::ways::{self, Options};
use super::world::UnitId;
use super::{Action, Decision, Direction, Fusion};
use crate::gs1::Gtin;
use crate::ids::{ShelfIx, VisitId};
use crate::presence::Presence;
use crate::store::Store;
use crate::tracking::Tracking;
use crate::units::Timestamp;
use crate::units::signal::log_sum_exp;

/// What is less likely than this is not told before it is decided.
const LIKELY: f64 = 0.2;

type Key = (bool, Gtin, Option<VisitId>);

fn key(action: &Action) -> Key {
    (
        action.direction == Direction::Take,
        action.gtin,
        action.visit,
    )
}

impl Fusion {
    /// Tells the likeliest account of each interaction whose fast sensors have spoken.
    pub(super) fn tell_early(
        &mut self,
        store: &Store,
        at: Timestamp,
        tracking: &Tracking,
        presence: &Presence,
        out: &mut Vec<Decision>,
    ) {
        let due = self
            .open
            .values()
            .filter(|i| i.tell_at.is_some_and(|t| t <= at));
        let due: Vec<ShelfIx> = due.map(|i| i.shelf).collect();
        for shelf in due {
            let Some(mut interaction) = self.open.remove(&shelf) else {
                continue;
            };
            interaction.tell_at = None;
            for action in self.foreseen(store, tracking, presence, &interaction) {
                out.push(Decision::Told(action.clone()));
                interaction.told.push(action);
            }
            self.open.insert(shelf, interaction);
        }
    }

    /// The acts that would be decided now, less those that have been told.
    fn foreseen(
        &self,
        store: &Store,
        tracking: &Tracking,
        presence: &Presence,
        interaction: &Interaction,
    ) -> Vec<Action> {
        if self.is_restocked(interaction.shelf, interaction) {
            return Vec::new();
        }
        let possible = self.possible(interaction);
        let mut accounts =
            hypothesis::enumerate(store, &self.coverage, presence, interaction, &possible);
        self.weigh_idle_hands(store, tracking, interaction.shelf, &mut accounts);
        let whos = self.whos(store, tracking, interaction.shelf, &accounts);
        let foreseen = self.clusters.clone().branch(
            interaction.shelf,
            &accounts,
            &whos,
            UnitId(self.next_unit),
        );
        let mut told: BTreeMap<Key, u32> = BTreeMap::new();
        for action in &interaction.told {
            *told.entry(key(action)).or_default() += 1;
        }
        let mut actions = foreseen.actions(store);
        actions.retain(|action| match told.get_mut(&key(action)) {
            Some(n) if *n > 0 => {
                *n -= 1;
                false
            }
            _ => action.confidence >= LIKELY && action.visit.is_some(),
        });
        actions
    }

    /// Who may have done each act of each account.
    pub(super) fn whos(
        &self,
        store: &Store,
        tracking: &Tracking,
        shelf: ShelfIx,
        accounts: &[Account],
    ) -> Vec<Vec<Rc<Options>>> {
        // Acts of many accounts lie at one place and time.
        let mut known: BTreeMap<(usize, Timestamp, Timestamp), Rc<Options>> = BTreeMap::new();
        let mut who = |a: &hypothesis::Act| {
            let key = (a.places.key(), a.window.0, a.window.1);
            let weigh = || {
                let carriers = &self.carriers;
                let who = carriers.weigh(store, tracking, shelf, &a.places, a.window);
                Rc::new(ways::likely(&who))
            };
            Rc::clone(known.entry(key).or_insert_with(weigh))
        };
        let of = |account: &Account| account.acts.iter().map(&mut who).collect();
        accounts.iter().map(of).collect()
    }

    /// A hand is somebody's, whether it moved anything or not: an account by which it moved nothing
    /// says as little or as much of where people stood as one by which it did.
    pub(super) fn weigh_idle_hands(
        &self,
        store: &Store,
        tracking: &Tracking,
        shelf: ShelfIx,
        accounts: &mut [Account],
    ) {
        let mut known: BTreeMap<(u64, Timestamp, Timestamp), f64> = BTreeMap::new();
        let mut log = |(along, window): (f64, (Timestamp, Timestamp))| {
            let key = (along.to_bits(), window.0, window.1);
            *known.entry(key).or_insert_with(|| {
                let place = Places::at(along);
                let who = self.carriers.weigh(store, tracking, shelf, &place, window);
                let all = who.visits.iter().map(|(_, log)| *log);
                log_sum_exp(all.chain([libm::log(NO_HAND)]))
            })
        };
        for account in &mut *accounts {
            // Several cameras, or its place and the hand itself, tell of one hand.
            let most = account.idle_hands().map(&mut log).reduce(f64::max);
            if let Some(most) = most {
                account.log_likelihood += most;
                account.parts.cameras += most;
            }
        }
        accounts.sort_by(|a, b| b.log_likelihood.total_cmp(&a.log_likelihood));
    }
}

/// Weight of a hand that is nobody's but a detector's, against somebody's right in front of it.
const NO_HAND: f64 = 0.05;

/// Decided acts against those told before: what was told is confirmed, what was told and is not so
/// is withdrawn.
pub(super) fn settled(told: &[Action], decided: Vec<Action>) -> Vec<Decision> {
    let mut open: Vec<&Action> = told.iter().collect();
    let mut out = Vec::new();
    let mut fresh = Vec::new();
    for action in decided {
        match open.iter().position(|t| key(t) == key(&action)) {
            Some(place) => {
                open.remove(place);
                out.push(Decision::Confirmed(action));
            }
            None => fresh.push(Decision::Action(action)),
        }
    }
    out.extend(open.into_iter().map(|a| Decision::Withdrawn(a.clone())));
    out.extend(fresh);
    out
}
