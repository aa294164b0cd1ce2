//! Why fusion decided what it decided, for people: the evidence, the accounts with what speaks for
//! each, who stood where, and what came later. It is put together only where somebody wants to know,
//! after the decision, and changes none.

use std::collections::BTreeMap;

use super::away::gate_change;
use super::hypothesis::{Account, Act, Possible};
use super::interaction::{Interaction, Piece};
use super::met::Verdict;
use super::ways::{self, Options};
use super::who::Carriers;
use super::world::{Unit, UnitId};
use super::{Direction, Fusion, Holdings, Witness};
use crate::gs1::{Epc, Gtin};
use crate::ids::{ShelfIx, TrackId, VisitId};
use crate::presence::{Presence, TagHeard, TagSay};
use crate::store::{ReadPoint, Store};
use crate::tracking::Tracking;
use crate::units::{TimeDelta, Timestamp};
use std::rc::Rc;

/// Something that fusion did, with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub enum Trace {
    Decided(Decided),
    /// Tags were weighed when a visit left.
    Gate(AtGate),
    Inside(Inside),
    /// A sensor told late of what was decided already.
    Late(Late),
    /// The tags of a take were looked at again.
    Again(Again),
    /// A tag's reads were held against people's walks.
    Followed(Followed),
    /// What tags say of two who met.
    Judged(Verdict),
}

/// The tags of a take were looked at again: what it can have been, with the probabilities before and
/// after.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    pub unit: UnitId,
    pub before: Vec<(Gtin, f64)>,
    pub after: Vec<(Gtin, f64)>,
}

/// Whose walk the reads of a tag follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    pub epc: Epc,
    pub gtin: Gtin,
    /// The first and the last read, and how many there were.
    pub heard: (Timestamp, Timestamp, usize),
    /// Each visit that may hold it: the probability before, how well its walk fits as a log against
    /// the best, and the probability after.
    pub visits: Vec<(VisitId, f64, f64, f64)>,
}

/// What an account's log likelihood is made of, nats.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Parts {
    /// How common such a thing is.
    pub prior: f64,
    pub scale: f64,
    pub tags: f64,
    pub cameras: f64,
    /// What a sensor that looks there did not tell.
    pub silence: f64,
}

/// An interaction with all that was thought of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    pub shelf: ShelfIx,
    pub window: (Timestamp, Timestamp),
    /// Staff was filling the shelf: nobody was asked for.
    pub restock: bool,
    pub pieces: Vec<Piece>,
    /// The likeliest first.
    pub accounts: Vec<Weighed>,
    /// Of the first act of each account; further ones count on.
    pub first: UnitId,
    /// Of the acts of the first account.
    pub acts: Vec<ActTrace>,
    /// The visits that can have had a hand in any of it.
    pub near: Vec<Near>,
}

/// Somebody who can have had a hand in an interaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    pub visit: VisitId,
    /// Probability that one of its acts was this visit's.
    pub acted: f64,
    /// `None` where nobody saw.
    pub stood: Option<Stood>,
}

/// An account with what it came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    pub acts: Vec<Act>,
    pub parts: Parts,
    pub log_likelihood: f64,
    /// Over all ways of who did it.
    pub probability: f64,
    /// The likeliest way: who did each act, how near they were as a log, and its probability.
    pub who: Vec<Option<VisitId>>,
    pub who_log: f64,
    pub way: f64,
}

/// One act as it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct ActTrace {
    pub unit: UnitId,
    /// Who can have done it, if it was done: probabilities that sum to 1, the likeliest first.
    pub who: Vec<(Option<VisitId>, f64)>,
    /// Where each visit that can have done it stood.
    pub stood: Vec<(VisitId, Stood)>,
    /// What tags of the product say, those that say most for it first, and how many there are.
    pub tags: Vec<(TagSay, Option<TagHeard>)>,
    pub tags_of_product: usize,
}

/// Where somebody stood in the middle of an act, by the front of the shelf.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stood {
    pub track: TrackId,
    /// To the left (negative) or right of the place, metres.
    pub sideways: f64,
    /// In front of the shelf's edge, metres.
    pub off: f64,
    /// Standard deviation of both.
    pub sigma: f64,
}

/// What the gate heard, and who was heard inside, when a visit left.
#[derive(Debug, Clone, PartialEq)]
pub struct AtGate {
    pub visit: VisitId,
    pub left_at: Timestamp,
    /// Of the tags that it may hold.
    pub tags: Vec<GateTag>,
    /// What it may hold once the gate has been weighed, each unit with its probability.
    pub units: Vec<(Unit, f64)>,
    /// The same as a receipt has it.
    pub holdings: Holdings,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateTag {
    pub epc: Epc,
    pub gtin: Gtin,
    /// Probability that the visit held it, before.
    pub held: f64,
    /// Reads by the gate's antennas since shortly before it left: the first, the last, how many.
    pub gate: Option<(Timestamp, Timestamp, u32)>,
    /// Where it was heard last, if so late that a visit which carried it out was gone.
    pub later: Option<(Timestamp, ReadPoint)>,
    /// How much likelier this is if it was carried out than if it was not.
    pub log: f64,
    /// Probability that the visit held it, after all that the gate heard was weighed.
    pub held_after: f64,
}

/// A tag was heard inside after a visit that may hold it had left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inside {
    pub visit: VisitId,
    pub epc: Epc,
    pub place: ReadPoint,
    pub at: Timestamp,
    pub log: f64,
}

/// A sensor told late of an act that was decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Late {
    pub unit: UnitId,
    pub window: (Timestamp, Timestamp),
    pub by: Witness,
    pub epc: Option<Epc>,
}

impl Late {
    pub(super) fn new(
        unit: UnitId,
        window: (Timestamp, Timestamp),
        by: Witness,
        epc: Option<Epc>,
    ) -> Self {
        Self {
            unit,
            window,
            by,
            epc,
        }
    }
}

/// Tags shown of an act.
const TAGS: usize = 2;
/// How long before it left the gate's reads are looked for.
const BEFORE_GATE: TimeDelta = TimeDelta::from_millis(3000);
/// Who left is heard no more so long after, as what the gate says has it.
const GONE: TimeDelta = TimeDelta::from_millis(2500);

/// All that a decision was made of.
pub(super) struct Scene<'a> {
    pub(super) store: &'a Store,
    pub(super) tracking: &'a Tracking,
    pub(super) presence: &'a Presence,
    pub(super) possible: &'a Possible,
    pub(super) interaction: &'a Interaction,
}

type Told = (f64, Vec<Option<VisitId>>, usize);

impl Scene<'_> {
    pub(super) fn decided(
        &self,
        carriers: &Carriers,
        accounts: &[Account],
        whos: &[Vec<Rc<Options>>],
        told: &[Told],
        first: UnitId,
    ) -> Decided {
        let shelf = self.interaction.shelf;
        let numbered = accounts.iter().zip(whos).enumerate();
        let weigh = |(n, (account, whos)): (usize, (&Account, &Vec<Rc<Options>>))| {
            (n, weighed(account, whos, told, n))
        };
        let mut all: Vec<(usize, Weighed)> = numbered.map(weigh).collect();
        // The account that was told is that of the likeliest single way.
        all.sort_by(|(a, x), (b, y)| {
            let best = |n: usize| told.first().is_some_and(|(_, _, best)| *best == n);
            best(*b)
                .cmp(&best(*a))
                .then(y.probability.total_cmp(&x.probability))
                .then(a.cmp(b))
        });
        let first_place = all.first().map(|(n, _)| *n);
        let accounts_told: Vec<Weighed> = all.into_iter().map(|(_, w)| w).collect();
        let act = |n: usize| {
            let acts = accounts[n].acts.iter().enumerate();
            acts.map(|(i, a)| {
                self.act(
                    carriers,
                    a,
                    i,
                    (n, told),
                    UnitId(first.0.saturating_add(i as u64)),
                )
            })
            .collect()
        };
        let (from, to) = (self.interaction.began(), self.interaction.ended());
        let middle = from + TimeDelta::from_micros((to - from).as_micros() / 2);
        let along = self.along();
        let near = ways::involved(whos).into_iter();
        Decided {
            shelf,
            window: (from, to),
            restock: self.possible.restock,
            first,
            pieces: self.interaction.pieces.clone(),
            acts: first_place.map_or_else(Vec::new, act),
            accounts: accounts_told,
            near: near
                .map(|visit| Near {
                    visit,
                    acted: acted(told, visit),
                    stood: self.stood(carriers, visit, along, middle),
                })
                .collect(),
        }
    }

    /// Where staff filled the shelf only the likeliest account counts.
    pub(super) fn restocked(&self, carriers: &Carriers, accounts: &[Account]) -> Decided {
        let told: Vec<Told> = accounts
            .first()
            .map(|a| (1.0, vec![None; a.acts.len()], 0))
            .into_iter()
            .collect();
        let whos: Vec<Vec<Rc<Options>>> = accounts.iter().map(|_| Vec::new()).collect();
        self.decided(carriers, accounts, &whos, &told, UnitId(u64::MAX))
    }

    fn act(
        &self,
        carriers: &Carriers,
        act: &Act,
        i: usize,
        (n, told): (usize, &[Told]),
        unit: UnitId,
    ) -> ActTrace {
        let mut who: Vec<(Option<VisitId>, f64)> = Vec::new();
        for (share, assigned, _) in told.iter().filter(|(_, _, account)| *account == n) {
            let visit = assigned.get(i).copied().flatten();
            match who.iter_mut().find(|(v, _)| *v == visit) {
                Some((_, sum)) => *sum += share,
                None => who.push((visit, *share)),
            }
        }
        let all: f64 = who.iter().map(|(_, p)| p).sum();
        who.iter_mut().for_each(|(_, p)| *p /= all.max(1e-12));
        who.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let visits = who.iter().filter_map(|(v, _)| *v);
        let stood = visits.filter_map(|v| Some((v, self.stood(carriers, v, act.along, act.at())?)));
        let says = self.says(act);
        let heard = |say: &TagSay| {
            let heard = self
                .presence
                .heard(self.store, self.interaction.shelf, &say.epc, act.at());
            (*say, heard)
        };
        ActTrace {
            unit,
            stood: stood.collect(),
            tags: says.iter().take(TAGS).map(heard).collect(),
            tags_of_product: says.len(),
            who,
        }
    }

    /// What the tags of an act's product say, its own first.
    fn says(&self, act: &Act) -> Vec<TagSay> {
        let shelf = self.interaction.shelf;
        let mut says = match act.direction {
            Direction::Take => self.presence.left(self.store, shelf, act.window),
            Direction::Putback => {
                let tags: Vec<Epc> = match act.epc {
                    Some(epc) => vec![epc],
                    None => self.possible.held_tags.clone(),
                };
                self.presence.came(self.store, shelf, act.window, &tags)
            }
        };
        says.retain(|s| s.gtin == act.gtin);
        says.sort_by(|a, b| {
            let own = |s: &TagSay| act.epc == Some(s.epc);
            own(b)
                .cmp(&own(a))
                .then(b.log.total_cmp(&a.log))
                .then(a.epc.cmp(&b.epc))
        });
        says
    }

    /// Where about the interaction took place, metres along the front.
    fn along(&self) -> f64 {
        let length = self.store.gondola_of(self.interaction.shelf).front.length();
        let places = self.interaction.pieces.iter().filter_map(|p| match p {
            Piece::Count(step) => Some(step.along),
            Piece::Weight(step) => step.middle(self.store),
            Piece::Tag { .. } => None,
        });
        let (sum, n) = places.fold((0.0, 0.0), |(s, n), x| (s + x, n + 1.0));
        if n > 0.0 { sum / n } else { length / 2.0 }
    }

    /// Where the one of a visit's people stood who was nearest.
    fn stood(
        &self,
        carriers: &Carriers,
        visit: VisitId,
        along: f64,
        at: Timestamp,
    ) -> Option<Stood> {
        let front = &self.store.gondola_of(self.interaction.shelf).front;
        let stood = |track: TrackId| {
            let fix = self.tracking.fix_at(track, at)?;
            let (x, off) = front.along_off(fix.position);
            Some(Stood {
                track,
                sideways: x - along,
                off,
                sigma: fix.sigma,
            })
        };
        let far = |s: &Stood| s.sideways * s.sideways + s.off * s.off;
        let all = carriers.tracks_of(visit).filter_map(stood);
        all.min_by(|a, b| far(a).total_cmp(&far(b)))
    }
}

fn acted(told: &[Told], visit: VisitId) -> f64 {
    let by = told.iter().filter(|(_, who, _)| who.contains(&Some(visit)));
    by.map(|(p, _, _)| p).sum()
}

fn weighed(account: &Account, whos: &[Rc<Options>], told: &[Told], n: usize) -> Weighed {
    let of_account = || told.iter().filter(|(_, _, account)| *account == n);
    let best = of_account().next();
    let who: Vec<Option<VisitId>> =
        best.map_or_else(|| vec![None; account.acts.len()], |(_, who, _)| who.clone());
    let log = |(who, visit): (&Rc<Options>, &Option<VisitId>)| {
        let own = who.iter().find(|(v, _)| v == visit);
        own.map_or(f64::NEG_INFINITY, |(_, log)| *log)
    };
    Weighed {
        acts: account.acts.clone(),
        parts: account.parts,
        log_likelihood: account.log_likelihood,
        probability: of_account().map(|(p, _, _)| p).sum(),
        who_log: whos.iter().zip(&who).map(log).sum(),
        who,
        way: best.map_or(0.0, |(p, _, _)| *p),
    }
}

impl Fusion {
    /// What the gate heard of the tags that a visit may hold.
    pub(super) fn at_gate(
        &self,
        store: &Store,
        tracking: &Tracking,
        (visit, gates, left_at): (VisitId, &[ReadPoint], Timestamp),
    ) -> AtGate {
        let before = by_tag(self.clusters.units_of(visit));
        let says = self.gate_says(store, tracking, (visit, gates, left_at));
        let (units, holdings) = self.past_gate(visit, &says);
        let after = by_tag(units.clone());
        let tag = |(epc, (gtin, held)): (Epc, (Gtin, f64))| {
            let reads = self.sightings.get(&epc).map_or(&[][..], |a| &a.reads);
            let here = reads
                .iter()
                .filter(|r| gates.contains(&r.place) && r.at >= left_at - BEFORE_GATE);
            let gate = here.fold(None, |heard, read| {
                let (first, _, n) = heard.unwrap_or((read.at, read.at, 0));
                Some((first, read.at, n + 1))
            });
            let later = reads.iter().rfind(|r| r.at > left_at + GONE);
            GateTag {
                epc,
                gtin,
                held: held.min(1.0),
                gate,
                later: later.map(|r| (r.at, r.place)),
                log: says.get(&epc).copied().unwrap_or(0.0),
                held_after: after.get(&epc).map_or(0.0, |(_, p)| p.min(1.0)),
            }
        };
        AtGate {
            visit,
            left_at,
            tags: before.into_iter().map(tag).collect(),
            units,
            holdings,
        }
    }

    /// What a visit may hold once the gate's antennas are weighed, which they are after this.
    fn past_gate(&self, visit: VisitId, says: &BTreeMap<Epc, f64>) -> (Vec<(Unit, f64)>, Holdings) {
        let mut weighed = self.clusters.clone();
        let none = BTreeMap::new();
        let before = self.passed.get(&visit).unwrap_or(&none);
        weighed.reweigh(visit, |unit| gate_change(before, says, unit));
        (weighed.units_of(visit), weighed.holdings(visit))
    }
}

/// A tag can be of several units: it was taken, put back unseen, and taken.
fn by_tag(units: Vec<(Unit, f64)>) -> BTreeMap<Epc, (Gtin, f64)> {
    let mut tags: BTreeMap<Epc, (Gtin, f64)> = BTreeMap::new();
    for (unit, p) in units {
        if let Some(epc) = unit.epc {
            tags.entry(epc).or_insert((unit.gtin, 0.0)).1 += p;
        }
    }
    tags
}
