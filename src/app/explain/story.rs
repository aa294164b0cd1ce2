//! What the engine said of all visits, and of these what concerns one, in the order in which it
//! happened.

use std::collections::{BTreeMap, BTreeSet};

use crate::basket::event::{BasketAdjusted, BasketClosed, Body, VisitOpened};
use crate::basket::visits::VisitChange;
use crate::engine::{Finding, Output};
use crate::fusion::Piece;
use crate::fusion::met::Verdict;
use crate::fusion::trace::{AtGate, Decided, Followed, GateTag, Inside, Late, Near, Trace};
use crate::fusion::world::UnitId;
use crate::gs1::Epc;
use crate::ids::{GateIx, TrackId, VisitId};
use crate::tracking::TrackEvent;
use crate::units::{TimeDelta, Timestamp};

/// Everything said that may be of interest.
#[derive(Debug, Default)]
pub(super) struct Story {
    said: Vec<(Timestamp, Said)>,
    opened: BTreeMap<VisitId, (Timestamp, VisitOpened)>,
    began: BTreeMap<TrackId, Timestamp>,
}

#[derive(Debug)]
enum Said {
    Opened(VisitId),
    Change(VisitChange),
    Track(TrackEvent),
    Fusion(Box<Trace>),
    Closed(Box<BasketClosed>),
    Adjusted(Box<BasketAdjusted>),
}

/// One thing of a visit's story.
#[derive(Debug)]
pub(super) enum Moment<'a> {
    Opened(&'a VisitOpened),
    /// A person on the floor plan was found to be of this visit.
    Bound {
        track: TrackId,
        /// When the track was first seen.
        began: Option<Timestamp>,
        /// From the gate's word to that, seconds.
        after_gate_s: Option<f64>,
        /// Others who were first seen at about the same time.
        others: Vec<TrackId>,
        /// Whose it was before.
        before: Option<VisitId>,
    },
    /// A track went to another visit.
    Unbound(TrackId, VisitId),
    Lost(TrackId),
    Merged(TrackId, TrackId),
    /// The probability that the person was taken for another.
    Doubted(TrackId, f64),
    /// Decided at.
    Interaction(&'a Decided, Timestamp),
    /// A late witness of an act of an interaction.
    Late(&'a Late, &'a Decided, usize),
    Left(Option<GateIx>),
    /// Who left, and what was heard of tags that this visit may hold.
    Gate(VisitId, Vec<&'a GateTag>),
    Inside(&'a Inside),
    Followed(&'a Followed),
    Judged(&'a Verdict),
    Closed(&'a BasketClosed),
    Adjusted(&'a BasketAdjusted),
}

type Moments<'a> = Vec<(Timestamp, Moment<'a>)>;

/// A visit's story.
pub(super) struct Tale<'a> {
    pub(super) visit: VisitId,
    pub(super) moments: Moments<'a>,
    /// Interactions left out: at so little odds was it this visit's doing.
    pub(super) untold: usize,
}

/// A visit with less than this probability of having acted is told of only where it stood near.
const ACTED: f64 = 0.005;
/// Tags held with less than this probability are not told of.
const FAINT: f64 = 0.001;
/// How far to the side somebody reaches, metres.
const ARM_M: f64 = 1.0;
/// Who is first seen so near to another in time may have been taken for him at the gate.
const TOGETHER: TimeDelta = TimeDelta::from_millis(6_000);

impl Story {
    pub(super) fn on_output(&mut self, at: Timestamp, output: &Output) {
        let said = match output {
            Output::Finding(Finding::Visit(change)) => Said::Change(*change),
            Output::Finding(Finding::Fusion(trace)) => Said::Fusion(trace.clone()),
            Output::Finding(Finding::Track(event)) => {
                if let TrackEvent::Began {
                    track,
                    at: began_at,
                    ..
                } = event
                {
                    self.began.insert(*track, *began_at);
                }
                Said::Track(*event)
            }
            Output::Event(event) => match &event.body {
                Body::VisitOpened(opened) => {
                    self.opened.insert(opened.visit, (at, opened.clone()));
                    Said::Opened(opened.visit)
                }
                Body::BasketClosed(closed) => {
                    // A visit that was open when the recording began has no other beginning.
                    self.opened
                        .entry(closed.visit)
                        .or_insert_with(|| (closed.entered_at, opened_by(closed)));
                    Said::Closed(Box::new(closed.clone()))
                }
                Body::BasketAdjusted(adjusted) => Said::Adjusted(Box::new(adjusted.clone())),
                _ => return,
            },
            Output::Finding(_) => return,
        };
        self.said.push((at, said));
    }

    pub(super) fn visits(&self) -> impl Iterator<Item = &VisitOpened> {
        self.opened.values().map(|(_, opened)| opened)
    }

    /// A line for each of these visits.
    pub(super) fn list(&self, visits: &[&VisitOpened]) -> String {
        let line = |v: &&VisitOpened| {
            let token = v.token.as_deref().unwrap_or("anonymous");
            let at = self.opened.get(&v.visit).map(|(at, _)| *at);
            let at = at.map(|at| at.to_string()).unwrap_or_default();
            format!("  {}  {at}  {token}", v.visit)
        };
        let lines: Vec<String> = visits.iter().map(line).collect();
        lines.join("\n")
    }

    /// What concerns a visit, in the order in which it happened.
    pub(super) fn of(&self, visit: VisitId, all: bool) -> Tale<'_> {
        let mut teller = Teller {
            story: self,
            visit,
            all,
            untold: 0,
            bound: BTreeMap::new(),
            ours: BTreeSet::new(),
            units: BTreeMap::new(),
            tags: BTreeSet::new(),
            out: Vec::new(),
        };
        let closed = self.said.iter().any(|(_, said)| match said {
            Said::Closed(closed) => closed.visit == visit,
            _ => false,
        });
        for (at, said) in &self.said {
            teller.on_said(*at, said, closed);
        }
        // Stable: what happened at one time stays in the order in which it was said.
        teller.out.sort_by_key(|(at, _)| *at);
        Tale {
            visit,
            moments: teller.out,
            untold: teller.untold,
        }
    }
}

fn opened_by(closed: &BasketClosed) -> VisitOpened {
    VisitOpened {
        visit: closed.visit,
        gate: None,
        token: closed.token.clone(),
        member: closed.member.clone(),
        party: 1,
    }
}

struct Teller<'a> {
    story: &'a Story,
    visit: VisitId,
    all: bool,
    untold: usize,
    /// Whose each track is by now.
    bound: BTreeMap<TrackId, VisitId>,
    /// The tracks that were ever this visit's.
    ours: BTreeSet<TrackId>,
    /// Where each unit of the visit's interactions came from.
    units: BTreeMap<UnitId, (&'a Decided, usize)>,
    /// Tags that the visit may hold.
    tags: BTreeSet<Epc>,
    out: Moments<'a>,
}

impl<'a> Teller<'a> {
    fn on_said(&mut self, at: Timestamp, said: &'a Said, closed: bool) {
        match said {
            Said::Opened(id) if *id == self.visit => {
                if let Some((_, opened)) = self.story.opened.get(id) {
                    self.out.push((at, Moment::Opened(opened)));
                }
            }
            Said::Change(VisitChange::Bound(id, track)) => self.on_bound(at, *id, *track),
            Said::Change(VisitChange::Left(id)) if *id == self.visit && !closed => {
                self.out.push((at, Moment::Left(None)));
            }
            Said::Track(event) => self.on_track(at, *event),
            Said::Fusion(trace) => self.on_trace(at, trace),
            Said::Closed(basket) if basket.visit == self.visit => {
                let left = Moment::Left(basket.exit_gate);
                self.out.push((basket.left_at, left));
                self.out.push((at, Moment::Closed(basket)));
            }
            Said::Adjusted(basket) if basket.visit == self.visit => {
                self.out.push((at, Moment::Adjusted(basket)));
            }
            _ => {}
        }
    }

    fn on_bound(&mut self, at: Timestamp, id: VisitId, track: TrackId) {
        let before = self.bound.insert(track, id).filter(|before| *before != id);
        if id != self.visit {
            if before == Some(self.visit) {
                self.out.push((at, Moment::Unbound(track, id)));
            }
            return;
        }
        self.ours.insert(track);
        let began = self.story.began.get(&track).copied();
        let opened = self.story.opened.get(&id).map(|(at, _)| *at);
        let near = |(other, when): (&TrackId, &Timestamp)| {
            let apart = began.map(|began| *when - began)?;
            (*other != track && apart.max(-apart) < TOGETHER).then_some(*other)
        };
        let others = self.story.began.iter().filter_map(near).collect();
        let after_gate_s = began.zip(opened).map(|(began, at)| began.secs_since(at));
        self.out.push((
            at,
            Moment::Bound {
                track,
                began,
                after_gate_s,
                others,
                before,
            },
        ));
    }

    fn on_track(&mut self, at: Timestamp, event: TrackEvent) {
        let is_ours = |track: TrackId| self.bound.get(&track) == Some(&self.visit);
        let moment = match event {
            TrackEvent::Doubted {
                track,
                other,
                mistaken,
                ..
            } if is_ours(track) && !is_ours(other) && mistaken >= 0.001 => {
                Moment::Doubted(track, mistaken)
            }
            TrackEvent::Lost { track, .. } if is_ours(track) => Moment::Lost(track),
            TrackEvent::Merged { track, into, .. } if is_ours(track) || is_ours(into) => {
                Moment::Merged(track, into)
            }
            _ => return,
        };
        self.out.push((at, moment));
    }

    /// Another visit that may hold the same tag speaks for or against this one's holding it.
    fn on_gate(&mut self, at: Timestamp, gate: &'a AtGate) {
        let tags = gate.tags.iter();
        let concerned: Vec<&GateTag> = if gate.visit == self.visit {
            tags.filter(|t| self.all || t.held >= FAINT).collect()
        } else {
            tags.filter(|t| self.tags.contains(&t.epc)).collect()
        };
        if gate.visit == self.visit {
            self.tags.extend(concerned.iter().map(|t| t.epc));
        }
        if !concerned.is_empty() {
            // Weighed now, though heard before.
            self.out.push((at, Moment::Gate(gate.visit, concerned)));
        }
    }

    fn on_trace(&mut self, at: Timestamp, trace: &'a Trace) {
        match trace {
            Trace::Decided(decided) => {
                let Some(near) = decided.near.iter().find(|n| n.visit == self.visit) else {
                    return;
                };
                if !self.all && !matters(decided, near) {
                    self.untold += 1;
                    return;
                }
                for (i, act) in decided.acts.iter().enumerate() {
                    self.units.insert(act.unit, (decided, i));
                }
                let acts = decided.accounts.iter().flat_map(|a| &a.acts);
                self.tags.extend(acts.filter_map(|a| a.epc));
                let moment = Moment::Interaction(decided, at);
                self.out.push((decided.window.0, moment));
            }
            Trace::Late(late) => {
                if let Some((decided, act)) = self.units.get(&late.unit) {
                    self.out.push((at, Moment::Late(late, decided, *act)));
                }
            }
            Trace::Gate(gate) => self.on_gate(at, gate),
            Trace::Inside(inside)
                if inside.visit == self.visit && self.tags.contains(&inside.epc) =>
            {
                self.out.push((inside.at, Moment::Inside(inside)));
            }
            Trace::Followed(followed) => {
                let ours = followed.visits.iter().find(|(v, ..)| *v == self.visit);
                let least = if self.all { 0.0 } else { FAINT };
                if ours.is_some_and(|(_, before, _, after)| before.max(*after) >= least) {
                    self.tags.insert(followed.epc);
                    self.out.push((at, Moment::Followed(followed)));
                }
            }
            Trace::Judged(verdict)
                if verdict.meeting.visits.contains(&self.visit)
                    && verdict.mistaken.max(verdict.meeting.seen) >= 0.001 =>
            {
                self.out.push((at, Moment::Judged(verdict)));
            }
            _ => {}
        }
    }
}

/// Whether somebody may have had a hand in it, or stood within reach of what a scale felt, a camera
/// saw or somebody took. A tag alone is missed for a while again and again.
fn matters(decided: &Decided, near: &Near) -> bool {
    let tags_alone = decided
        .pieces
        .iter()
        .all(|piece| matches!(piece, Piece::Tag { .. }));
    let within = near
        .stood
        .is_some_and(|s| s.sideways.abs() < ARM_M && (-0.5..2.0 * ARM_M).contains(&s.off));
    near.acted >= ACTED || (within && !(tags_alone && decided.acts.is_empty()))
}
