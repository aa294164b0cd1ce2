//! What the engine said of all visits, and the shape of one visit's story.

use std::collections::BTreeMap;

use super::doubt::{Doubt, Met};
use super::origin::{Origin, Overruled};
use super::pick::Picker;
use crate::app::local::Local;
use crate::basket::event::{BasketAdjusted, BasketClosed, Body, Receipt, VisitOpened};
use crate::basket::visits::VisitChange;
use crate::engine::{Finding, Output};
use crate::fusion::met::Verdict;
use crate::fusion::trace::{AtGate, Decided, Followed, GateTag, Inside, Late, Trace};
use crate::gs1::Gtin;
use crate::ids::{GateIx, TrackId, VisitId};
use crate::tracking::TrackEvent;
use crate::units::Timestamp;

/// Everything said that may be of interest.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) said: Vec<(Timestamp, Said)>,
    pub(super) opened: BTreeMap<VisitId, (Timestamp, VisitOpened)>,
    left: BTreeMap<VisitId, Timestamp>,
    pub(super) began: BTreeMap<TrackId, Timestamp>,
}

#[derive(Debug)]
pub(super) enum Said {
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
        /// Others who were first seen at about the same time, and whose they were found to be.
        others: Vec<(TrackId, Option<VisitId>)>,
        /// Whose it was before.
        before: Option<VisitId>,
        /// Probability that it is this visit's, at least; `None` where the recording does not tell.
        sure: Option<f64>,
    },
    /// A track went to another visit.
    Unbound(TrackId, VisitId),
    Lost(TrackId),
    Merged(TrackId, TrackId),
    Met(Met),
    /// Decided at.
    Interaction(&'a Decided, Timestamp, Since),
    /// A late witness of an act of an interaction.
    Late(&'a Late, &'a Decided, usize),
    Left(Option<GateIx>),
    /// Who left, and what was heard of tags that this visit may hold.
    Gate(&'a AtGate, Vec<&'a GateTag>),
    Inside(&'a Inside),
    Followed(&'a Followed),
    Judged(&'a Verdict),
    Closed(&'a BasketClosed, Box<Grounds<'a>>),
    /// With the receipt before.
    Adjusted(&'a BasketAdjusted, Option<&'a Receipt>),
}

/// What became of an interaction's account by the time of the receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    Stands,
    /// What was told as the visit's is not believed any more.
    Overruled,
    /// The receipt charges something from here that was told otherwise.
    Charged,
}

/// What a receipt rests on.
#[derive(Debug)]
pub(super) struct Grounds<'a> {
    pub(super) doubt: Doubt,
    /// Of each line's units.
    pub(super) origins: Vec<Vec<Origin<'a>>>,
    pub(super) overruled: Vec<Overruled<'a>>,
    /// Products that may be held and are not charged, with their probabilities.
    pub(super) missing: Vec<(Gtin, f64)>,
}

pub(super) type Moments<'a> = Vec<(Timestamp, Moment<'a>)>;

/// A visit's story.
pub(super) struct Tale<'a> {
    pub(super) visit: VisitId,
    /// Whether all is told.
    pub(super) all: bool,
    pub(super) moments: Moments<'a>,
    /// When each visit came in.
    pub(super) entered: BTreeMap<VisitId, Timestamp>,
    /// Whose each track was found to be, at last.
    pub(super) whose: BTreeMap<TrackId, VisitId>,
    pub(super) untold: Untold,
}

/// What was left out, as of little weight for this visit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Untold {
    /// Interactions.
    pub(super) stirred: usize,
    /// Meetings, and what was heard of tags.
    pub(super) others: usize,
}

impl Story {
    pub(super) fn on_output(&mut self, at: Timestamp, output: &Output) {
        let said = match output {
            Output::Finding(Finding::Visit(change)) => {
                if let VisitChange::Left(visit) = change {
                    self.left.insert(*visit, at);
                }
                Said::Change(*change)
            }
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
                    self.left.insert(closed.visit, closed.left_at);
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

    /// A line for each of these visits: when it came in, when it left, and its token.
    pub(super) fn list(&self, local: &Local, visits: &[&VisitOpened]) -> String {
        let line = |v: &&VisitOpened| {
            let token = v.token.as_deref().unwrap_or("anonymous");
            let at = self.opened.get(&v.visit).map(|(at, _)| *at);
            let at = at.map(|at| local.date_time(at)).unwrap_or_default();
            let left = self.left.get(&v.visit);
            let left = left.map_or_else(
                || "is inside".to_owned(),
                |at| format!("to {}", local.time(*at)),
            );
            format!("  {}  {at} {left:<13} {token}", v.visit)
        };
        let lines: Vec<String> = visits.iter().map(line).collect();
        lines.join("\n")
    }

    /// What concerns a visit, in the order in which it happened.
    pub(super) fn of(&self, visit: VisitId, all: bool) -> Tale<'_> {
        Picker::new(self, visit, all).tale()
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
