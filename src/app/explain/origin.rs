//! Where what a receipt charges came from, as it is believed when the visit is closed, and which
//! moments are not believed any more by then.

use std::collections::BTreeSet;

use super::accounts::groups;
use crate::basket::event::{Line, Receipt};
use crate::fusion::Direction;
use crate::fusion::hypothesis::Act;
use crate::fusion::trace::{AtGate, Decided};
use crate::fusion::world::UnitId;
use crate::gs1::{Epc, Gtin};
use crate::ids::VisitId;

/// All decisions before a closing, in order; none of staff's filling shelves.
pub(super) struct Acts<'a> {
    decided: Vec<&'a Decided>,
    visit: VisitId,
    /// What was known at the closing of what it may hold; none without gate antennas.
    gate: Option<&'a AtGate>,
}

/// One act of the account that was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) decided: &'a Decided,
    pub(super) place: usize,
    pub(super) act: &'a Act,
    /// Probability of it, and of its being this visit's, when it was decided.
    share: f64,
}

/// Where a unit of a receipt's line left the shelf.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) decided: &'a Decided,
    pub(super) epc: Option<Epc>,
    /// Who took it there, by the likeliest way in which it was taken at all.
    pub(super) taker: Option<VisitId>,
    /// Whether that was the account that was told.
    pub(super) told: bool,
}

/// An act that was told as this visit's and is not believed any more.
#[derive(Debug)]
pub(super) struct Overruled<'a> {
    pub(super) told: Told<'a>,
    /// Probability that the visit holds what it took; `None` where nobody knows, or it was put back.
    pub(super) held: Option<f64>,
}

/// What is so likely held stands.
const STANDS: f64 = 0.5;

impl<'a> Acts<'a> {
    pub(super) fn new(
        decided: impl Iterator<Item = &'a Decided>,
        visit: VisitId,
        gate: Option<&'a AtGate>,
    ) -> Self {
        Self {
            decided: decided.filter(|d| !d.restock).collect(),
            visit,
            gate,
        }
    }

    /// The origins of each line's units.
    pub(super) fn origins(&self, receipt: &Receipt) -> Vec<Vec<Origin<'a>>> {
        let lines = receipt.lines.iter();
        lines.map(|line| self.of_line(line)).collect()
    }

    fn of_line(&self, line: &Line) -> Vec<Origin<'a>> {
        let quantity = line.quantity as usize;
        let Some(gate) = self.gate else {
            let told = self.told(line.gtin, Direction::Take);
            let own = told.into_iter().rev().take(quantity);
            return own
                .filter_map(|t| self.origin(t.unit(), t.act.epc))
                .collect();
        };
        let ours = gate.units.iter().filter(|(u, _)| u.gtin == line.gtin);
        let mut ours: Vec<_> = ours.collect();
        ours.sort_by(|(a, p), (b, q)| {
            let named = |epc: Option<Epc>| epc.is_some_and(|epc| line.epcs.contains(&epc));
            let by_name = named(b.epc).cmp(&named(a.epc));
            by_name.then(q.total_cmp(p)).then(a.id.cmp(&b.id))
        });
        let held = ours.into_iter().take(quantity);
        held.filter_map(|(unit, _)| self.origin(unit.id, unit.epc))
            .collect()
    }

    fn origin(&self, unit: UnitId, epc: Option<Epc>) -> Option<Origin<'a>> {
        let after = self.decided.partition_point(|d| d.first <= unit);
        let decided = *self.decided.get(after.checked_sub(1)?)?;
        let place = usize::try_from(unit.0 - decided.first.0).ok()?;
        let takes = |a: &Act| a.direction == Direction::Take;
        let mut accounts = decided.accounts.iter().enumerate();
        let (n, account) = accounts.find(|(_, a)| a.acts.get(place).is_some_and(takes))?;
        let likeliest = account.who.get(place).copied().flatten();
        let own = n == 0 && self.is_as_likely(decided, place);
        Some(Origin {
            decided,
            epc,
            taker: if own { Some(self.visit) } else { likeliest },
            told: n == 0,
        })
    }

    /// Whether nobody is likelier than this visit to have done an act that was told.
    fn is_as_likely(&self, decided: &Decided, place: usize) -> bool {
        let who = decided.acts.get(place).map_or(&[][..], |act| &act.who);
        let own = who.iter().find(|(v, _)| *v == Some(self.visit));
        let most = who.iter().map(|(_, p)| *p).fold(0.0, f64::max);
        own.is_some_and(|(_, p)| *p > most - 1e-6)
    }

    /// What was told as this visit's doing with a product.
    fn told(&self, gtin: Gtin, direction: Direction) -> Vec<Told<'a>> {
        let told = self.all_told().into_iter();
        told.filter(|t| t.act.gtin == gtin && t.act.direction == direction)
            .collect()
    }

    fn all_told(&self) -> Vec<Told<'a>> {
        let mut all = Vec::new();
        for decided in self.decided.iter().copied() {
            let Some(account) = decided.accounts.first() else {
                continue;
            };
            let own = account.acts.iter().zip(&account.who).enumerate();
            for (place, (act, _)) in own.filter(|(_, (_, who))| **who == Some(self.visit)) {
                let share = share(decided, place, self.visit);
                all.push(Told {
                    decided,
                    place,
                    act,
                    share,
                });
            }
        }
        all
    }

    fn held(&self, unit: UnitId) -> Option<f64> {
        let units = self.gate?.units.iter();
        let own = units.filter(|(u, _)| u.id == unit).map(|(_, p)| p);
        Some(own.sum())
    }

    /// What was told as this visit's and does not fit what the receipt charges: takes of which it
    /// holds nothing and that were not put back, and put-backs of what it holds yet.
    pub(super) fn overruled(&self, receipt: &Receipt) -> Vec<Overruled<'a>> {
        let told = self.all_told();
        let gtins: BTreeSet<Gtin> = told.iter().map(|t| t.act.gtin).collect();
        let each = gtins.into_iter();
        let mut all: Vec<_> = each.flat_map(|g| self.overruled_of(receipt, g)).collect();
        all.sort_by_key(|o| o.told.decided.window.0);
        all
    }

    fn overruled_of(&self, receipt: &Receipt, gtin: Gtin) -> Vec<Overruled<'a>> {
        let puts = self.told(gtin, Direction::Putback);
        let mut gone = self.told(gtin, Direction::Take);
        let charged = receipt.lines.iter().filter(|l| l.gtin == gtin);
        let charged: u32 = charged.map(|l| l.quantity).sum();
        // The least likely first, those put back by their own tag last.
        gone.sort_by(|a, b| {
            let back = |t: &Told<'_>| {
                let same = |p: &Told<'_>| t.act.epc.is_some() && p.act.epc == t.act.epc;
                puts.iter().any(same)
            };
            back(a).cmp(&back(b)).then(a.share.total_cmp(&b.share))
        });
        match self.gate {
            Some(_) => gone.retain(|t| self.held(t.unit()).is_none_or(|p| p < STANDS)),
            None => gone.truncate(gone.len().saturating_sub(charged as usize)),
        }
        let (takes, mut puts) = (gone.len().saturating_sub(puts.len()), puts);
        puts.sort_by(|a, b| a.share.total_cmp(&b.share));
        let backs = puts.len().saturating_sub(gone.len());
        let takes = gone.into_iter().take(takes).map(|told| Overruled {
            told,
            held: self.held(told.unit()),
        });
        let backs = puts.into_iter().take(backs);
        takes
            .chain(backs.map(|told| Overruled { told, held: None }))
            .collect()
    }
}

impl Told<'_> {
    fn unit(&self) -> UnitId {
        UnitId(self.decided.first.0.saturating_add(self.place as u64))
    }
}

/// Probability of what was told of an act, and that it was this visit's.
fn share(decided: &Decided, place: usize, visit: VisitId) -> f64 {
    let what = groups(decided).first().map_or(0.0, |g| g.probability);
    let acts = decided.acts.get(place).into_iter();
    let who = acts.flat_map(|a| &a.who).find(|(v, _)| *v == Some(visit));
    what * who.map_or(0.0, |(_, p)| *p)
}
