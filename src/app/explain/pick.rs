//! What of all that the engine said concerns one visit, in the order in which it happened. By
//! default only what may have changed its receipt is told.

use std::collections::{BTreeMap, BTreeSet};

use super::doubt::{Doubt, Met};
use super::origin::Acts;
use super::story::{Grounds, Moment, Moments, Said, Since, Story, Tale, Untold};
use crate::basket::event::{BasketClosed, Receipt};
use crate::basket::visits::VisitChange;
use crate::fusion::met::Verdict;
use crate::fusion::trace::{AtGate, Decided, Followed, GateTag, Inside, Trace};
use crate::fusion::world::UnitId;
use crate::gs1::Epc;
use crate::ids::{TrackId, VisitId};
use crate::tracking::TrackEvent;
use crate::units::{TimeDelta, Timestamp};

/// With less than this share in it, what was done, held or carried is told with all only.
const SHARE: f64 = 0.05;
/// The same of a meeting's probability of a mistake.
const MEETING: f64 = 0.01;
/// Less is not told at all.
const FAINT: f64 = 0.001;
/// Who is first seen so near to another in time may have been taken for him at the gate.
const TOGETHER: TimeDelta = TimeDelta::from_millis(6_000);

pub(super) struct Picker<'a> {
    story: &'a Story,
    visit: VisitId,
    all: bool,
    untold: Untold,
    /// Whose each track is by now, and of whom it was at last.
    bound: BTreeMap<TrackId, VisitId>,
    whose: BTreeMap<TrackId, VisitId>,
    met: Vec<Met>,
    /// Where each unit of the visit's interactions came from.
    units: BTreeMap<UnitId, (&'a Decided, usize)>,
    /// Tags that the visit may hold, and those told to be heard after it had left.
    tags: BTreeSet<Epc>,
    inside: BTreeSet<Epc>,
    /// What the receipt says against an interaction, by its first unit.
    since: BTreeMap<UnitId, Since>,
    closed: Option<&'a BasketClosed>,
    /// Whether it has left and been weighed at the gate.
    gone: bool,
    receipt: Option<&'a Receipt>,
    out: Moments<'a>,
}

impl<'a> Picker<'a> {
    pub(super) fn new(story: &'a Story, visit: VisitId, all: bool) -> Self {
        let closed = story.said.iter().find_map(|(_, said)| match said {
            Said::Closed(closed) if closed.visit == visit => Some(&**closed),
            _ => None,
        });
        Self {
            story,
            visit,
            all,
            untold: Untold::default(),
            bound: BTreeMap::new(),
            whose: BTreeMap::new(),
            met: Vec::new(),
            units: BTreeMap::new(),
            tags: BTreeSet::new(),
            inside: BTreeSet::new(),
            since: BTreeMap::new(),
            closed,
            gone: false,
            receipt: None,
            out: Vec::new(),
        }
    }

    pub(super) fn tale(mut self) -> Tale<'a> {
        self.look_ahead();
        for (at, said) in &self.story.said {
            self.on_said(*at, said);
        }
        // Stable: what happened at one time stays in the order in which it was said.
        self.out.sort_by_key(|(at, _)| *at);
        self.settle_binding();
        let opened = self.story.opened.iter();
        Tale {
            visit: self.visit,
            all: self.all,
            moments: self.out,
            entered: opened.map(|(visit, (at, _))| (*visit, *at)).collect(),
            whose: self.whose,
            untold: self.untold,
        }
    }

    /// All that fusion had said when the visit was closed.
    fn before_closing(&self) -> impl Iterator<Item = &'a Trace> + use<'a> {
        let visit = self.visit;
        let is_closing =
            move |said: &Said| matches!(said, Said::Closed(closed) if closed.visit == visit);
        let said = self.story.said.iter().map(|(_, said)| said);
        said.take_while(move |said| !is_closing(said))
            .filter_map(|said| match said {
                Said::Fusion(trace) => Some(&**trace),
                _ => None,
            })
    }

    fn last_gate(&self) -> Option<&'a AtGate> {
        let visit = self.visit;
        let gates = self.before_closing().filter_map(|trace| match trace {
            Trace::Gate(gate) if gate.visit == visit => Some(gate),
            _ => None,
        });
        gates.last()
    }

    fn acts(&self) -> Acts<'a> {
        let decided = self.before_closing().filter_map(|trace| match trace {
            Trace::Decided(decided) => Some(decided),
            _ => None,
        });
        Acts::new(decided, self.visit, self.last_gate())
    }

    /// Which interactions the receipt charges from, or does not believe any more.
    fn look_ahead(&mut self) {
        let Some(closed) = self.closed else { return };
        let acts = self.acts();
        for overruled in acts.overruled(&closed.receipt) {
            self.since
                .insert(overruled.told.decided.first, Since::Overruled);
        }
        for origin in acts.origins(&closed.receipt).into_iter().flatten() {
            self.tags.extend(origin.epc);
            let own = origin.told && origin.taker == Some(self.visit);
            let since = if own { Since::Stands } else { Since::Charged };
            self.since.entry(origin.decided.first).or_insert(since);
        }
    }

    fn grounds(&self, closed: &BasketClosed) -> Grounds<'a> {
        let (acts, gate) = (self.acts(), self.last_gate());
        let held = gate.map(|gate| &gate.holdings);
        Grounds {
            doubt: Doubt::new(&closed.receipt, held, &self.met),
            origins: acts.origins(&closed.receipt),
            overruled: acts.overruled(&closed.receipt),
            missing: held.map_or_else(Vec::new, |h| h.missing.clone()),
        }
    }

    /// What the receipt's doubt leaves for whether the one who came in is the one who was followed.
    fn settle_binding(&mut self) {
        let known = self.out.iter().find_map(|(_, moment)| match moment {
            Moment::Closed(_, grounds) if grounds.doubt.items.is_some() => Some(grounds.doubt.rest),
            _ => None,
        });
        let mut bound = self.out.iter_mut().filter_map(|(_, moment)| match moment {
            Moment::Bound { sure, before, .. } => before.is_none().then_some(sure),
            _ => None,
        });
        // With several it is not known whose doubt it is.
        if let (Some(first), None) = (bound.next(), bound.next()) {
            *first = known.map(|doubt| 1.0 - doubt);
        }
    }

    fn push(&mut self, at: Timestamp, moment: Moment<'a>) {
        self.out.push((at, moment));
    }

    fn on_said(&mut self, at: Timestamp, said: &'a Said) {
        match said {
            Said::Opened(id) if *id == self.visit => {
                if let Some((_, opened)) = self.story.opened.get(id) {
                    self.push(at, Moment::Opened(opened));
                }
            }
            Said::Change(VisitChange::Bound(id, track)) => self.on_bound(at, *id, *track),
            Said::Change(VisitChange::Left(id)) if *id == self.visit && self.closed.is_none() => {
                self.push(at, Moment::Left(None));
            }
            Said::Track(event) => self.on_track(at, *event),
            Said::Fusion(trace) => self.on_trace(at, trace),
            Said::Closed(basket) if basket.visit == self.visit => {
                self.push(basket.left_at, Moment::Left(basket.exit_gate));
                let grounds = Box::new(self.grounds(basket));
                self.push(at, Moment::Closed(basket, grounds));
                self.receipt = Some(&basket.receipt);
            }
            Said::Adjusted(basket) if basket.visit == self.visit => {
                let before = self.receipt.replace(&basket.receipt);
                self.push(at, Moment::Adjusted(basket, before));
            }
            _ => {}
        }
    }

    fn on_bound(&mut self, at: Timestamp, id: VisitId, track: TrackId) {
        self.whose.insert(track, id);
        let before = self.bound.insert(track, id).filter(|before| *before != id);
        if id != self.visit {
            if before == Some(self.visit) {
                self.push(at, Moment::Unbound(track, id));
            }
            return;
        }
        let began = self.story.began.get(&track).copied();
        let opened = self.story.opened.get(&id).map(|(at, _)| *at);
        let after_gate_s = began.zip(opened).map(|(began, at)| began.secs_since(at));
        let moment = Moment::Bound {
            track,
            began,
            after_gate_s,
            others: self.beside(track, began),
            before,
            sure: None,
        };
        self.push(at, moment);
    }

    /// Who else was first seen about then, and whose he was found to be.
    fn beside(&self, track: TrackId, began: Option<Timestamp>) -> Vec<(TrackId, Option<VisitId>)> {
        let near = |(other, when): (&TrackId, &Timestamp)| {
            let apart = began.map(|began| *when - began)?;
            (*other != track && apart.max(-apart) < TOGETHER).then_some(*other)
        };
        let others = self.story.began.iter().filter_map(near);
        others.map(|other| (other, self.first_of(other))).collect()
    }

    fn first_of(&self, track: TrackId) -> Option<VisitId> {
        self.story.said.iter().find_map(|(_, said)| match said {
            Said::Change(VisitChange::Bound(id, bound)) if *bound == track => Some(*id),
            _ => None,
        })
    }

    fn on_track(&mut self, at: Timestamp, event: TrackEvent) {
        let is_ours = |track: TrackId| self.bound.get(&track) == Some(&self.visit);
        match event {
            TrackEvent::Doubted {
                track,
                other,
                since,
                mistaken,
            } if is_ours(track) && !is_ours(other) => {
                let met = Met {
                    own: track,
                    other,
                    visit: self.bound.get(&other).copied(),
                    since,
                    mistaken,
                };
                self.on_met(at, met);
            }
            TrackEvent::Lost { track, .. } if is_ours(track) => {
                self.bound.remove(&track);
                self.push(at, Moment::Lost(track));
            }
            TrackEvent::Merged { track, into, .. } if is_ours(track) || is_ours(into) => {
                self.push(at, Moment::Merged(track, into));
            }
            _ => {}
        }
    }

    fn on_met(&mut self, at: Timestamp, met: Met) {
        self.met.push(met);
        if met.mistaken >= self.least(MEETING) {
            self.push(at, Moment::Met(met));
        } else {
            self.untold.others += 1;
        }
    }

    /// What is told from when on.
    fn least(&self, share: f64) -> f64 {
        if self.all { FAINT } else { share }
    }

    fn on_gate(&mut self, at: Timestamp, gate: &'a AtGate) {
        let least = self.least(SHARE);
        let held = |t: &GateTag| t.held.max(t.held_after) >= least;
        let tags = gate.tags.iter();
        let told: Vec<&GateTag> = if gate.visit == self.visit {
            let known = |t: &&GateTag| self.all || held(t) || self.charges(&t.epc);
            tags.filter(known).collect()
        } else {
            // Another who may hold the same tag speaks for or against this one's holding it.
            let known = |t: &&GateTag| self.tags.contains(&t.epc) && (self.all || held(t));
            let told = self.all || !self.gone;
            tags.filter(|t| told && known(t)).collect()
        };
        if gate.visit == self.visit {
            self.gone = true;
            if !self.all {
                self.tags.clear();
            }
            self.tags.extend(told.iter().map(|t| t.epc));
        }
        self.untold.others += usize::from(told.is_empty());
        if !told.is_empty() {
            // Weighed now, though heard before.
            self.push(at, Moment::Gate(gate, told));
        }
    }

    fn charges(&self, epc: &Epc) -> bool {
        let lines = self.closed.into_iter().flat_map(|c| &c.receipt.lines);
        lines.flat_map(|l| &l.epcs).any(|e| e == epc)
    }

    fn on_trace(&mut self, at: Timestamp, trace: &'a Trace) {
        match trace {
            Trace::Decided(decided) => self.on_decided(at, decided),
            Trace::Late(late) => {
                if let Some((decided, act)) = self.units.get(&late.unit) {
                    self.push(at, Moment::Late(late, decided, *act));
                }
            }
            Trace::Again(_) => {}
            Trace::Gate(gate) => self.on_gate(at, gate),
            Trace::Inside(inside) => self.on_inside(inside),
            Trace::Followed(followed) => self.on_followed(at, followed),
            Trace::Judged(verdict) => self.on_judged(at, verdict),
        }
    }

    fn on_decided(&mut self, at: Timestamp, decided: &'a Decided) {
        let since = self.since.get(&decided.first).copied();
        let since = since.filter(|_| !decided.restock);
        let near = decided.near.iter().find(|n| n.visit == self.visit);
        if near.is_none() && since.is_none() {
            return;
        }
        let acted = near.map_or(0.0, |n| n.acted);
        if !self.all && acted < SHARE && since.is_none() {
            self.untold.stirred += 1;
            return;
        }
        for (i, act) in decided.acts.iter().enumerate() {
            self.units.insert(act.unit, (decided, i));
        }
        let acts = decided.accounts.iter().flat_map(|a| &a.acts);
        self.tags.extend(acts.filter_map(|a| a.epc));
        let since = since.unwrap_or(Since::Stands);
        let moment = Moment::Interaction(decided, at, since);
        self.push(decided.window.0, moment);
    }

    /// A tag that stands inside is heard again and again.
    fn on_inside(&mut self, inside: &'a Inside) {
        if inside.visit != self.visit || !self.tags.contains(&inside.epc) {
            return;
        }
        if self.inside.insert(inside.epc) || self.all {
            self.push(inside.at, Moment::Inside(inside));
        } else {
            self.untold.others += 1;
        }
    }

    fn on_followed(&mut self, at: Timestamp, followed: &'a Followed) {
        let ours = followed.visits.iter().find(|(v, ..)| *v == self.visit);
        let Some((_, before, _, after)) = ours else {
            return;
        };
        if before.max(*after) >= self.least(SHARE) {
            self.tags.insert(followed.epc);
            self.push(at, Moment::Followed(followed));
        } else {
            self.untold.others += 1;
        }
    }

    fn on_judged(&mut self, at: Timestamp, verdict: &'a Verdict) {
        if !verdict.meeting.visits.contains(&self.visit) {
            return;
        }
        self.met.iter_mut().for_each(|met| met.judge(verdict));
        if verdict.mistaken.max(verdict.meeting.seen) >= self.least(MEETING) {
            self.push(at, Moment::Judged(verdict));
        } else {
            self.untold.others += 1;
        }
    }
}
