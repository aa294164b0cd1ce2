//! Two people who met may have been taken for each other. What each had taken before goes on with
//! him: tags that follow the other's track afterwards say that the tracks were exchanged, and tags
//! that stay with their own that they were not.

use serde::{Deserialize, Serialize};

use super::Fusion;
use super::comove;
use super::trace::Trace;
use crate::ids::{TrackId, VisitId};
use crate::store::Store;
use crate::tracking::Tracking;
use crate::units::{TimeDelta, Timestamp};

/// People of two visits who came near each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Meeting {
    pub visits: [VisitId; 2],
    pub tracks: [TrackId; 2],
    pub since: Timestamp,
    /// Probability that they were taken for each other since, by how they walked and how tall they
    /// look.
    pub seen: f64,
    /// The same by all that is known.
    pub mistaken: f64,
}

/// What became of a meeting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    pub meeting: Meeting,
    /// Probability that the two were taken for each other, by all that is known now.
    pub mistaken: f64,
}

/// People are apart again so long after they met, as a rule.
const APART: TimeDelta = TimeDelta::from_millis(1_000);
/// The most that one tag says, nats: it may have been handed over.
const MOST: f64 = 3.0;

impl Fusion {
    pub fn on_met(&mut self, meeting: Meeting) {
        self.meetings.push(meeting);
    }

    /// The meetings of a visit.
    pub fn meetings_of(&self, visit: VisitId) -> impl Iterator<Item = &Meeting> {
        self.meetings
            .iter()
            .filter(move |m| m.visits.contains(&visit))
    }

    /// What tags say of the meetings of a visit that has left, the earliest first.
    pub fn judge(&self, store: &Store, tracking: &Tracking, visit: VisitId) -> Vec<Verdict> {
        let ours = self.meetings.iter().filter(|m| m.visits.contains(&visit));
        let judged = ours.filter_map(|m| self.verdict(store, tracking, m));
        judged.collect()
    }

    fn verdict(&self, store: &Store, tracking: &Tracking, meeting: &Meeting) -> Option<Verdict> {
        let mut log = 0.0;
        let mut heard = false;
        for (n, visit) in meeting.visits.into_iter().enumerate() {
            let (own, other) = (meeting.tracks[n], meeting.tracks[1 - n]);
            let mine: Vec<TrackId> = self.carriers.tracks_of(visit).collect();
            for (unit, p) in self.clusters.units_of(visit) {
                let before = self
                    .taken_at
                    .get(&unit.id)
                    .is_some_and(|at| *at < meeting.since);
                let Some(away) = unit.epc.and_then(|epc| self.sightings.get(&epc)) else {
                    continue;
                };
                if !before || p < 0.5 {
                    continue;
                }
                let mut says = 0.0;
                let mut last: Option<Timestamp> = None;
                for read in away.reads.iter().filter(|r| r.at > meeting.since + APART) {
                    if last.is_some_and(|last| read.at - last < APART) {
                        continue;
                    }
                    last = Some(read.at);
                    let fit = |tracks: &mut dyn Iterator<Item = TrackId>| {
                        comove::fit_tracks(store, tracking, tracks, read)
                    };
                    let kept = fit(&mut mine.iter().copied());
                    let swapped = fit(&mut mine.iter().map(|t| if *t == own { other } else { *t }));
                    if let (Some(kept), Some(swapped)) = (kept, swapped) {
                        says += comove::WORTH * (swapped - kept);
                        heard = true;
                    }
                }
                log += p * says.clamp(-MOST, MOST);
            }
        }
        let odds = libm::log(meeting.seen / (1.0 - meeting.seen).max(1e-9));
        heard.then(|| Verdict {
            meeting: *meeting,
            mistaken: 1.0 / (1.0 + libm::exp(-(odds + log))),
        })
    }

    /// The two were taken for each other: what either took since then the other took.
    pub fn exchange(&mut self, meeting: &Meeting) -> Vec<VisitId> {
        let [a, b] = meeting.visits;
        let taken_at = &self.taken_at;
        let since =
            |unit: super::UnitId| taken_at.get(&unit).is_some_and(|at| *at >= meeting.since);
        self.clusters.exchange(a, b, since)
    }

    pub fn forget_meeting(&mut self, meeting: &Meeting) {
        self.meetings
            .retain(|m| m.since != meeting.since || m.tracks != meeting.tracks);
    }

    /// Notes what a meeting has come to.
    pub fn on_judged(&mut self, verdict: &Verdict, exchanged: bool) {
        self.trace(|_| Trace::Judged(*verdict));
        let same = |m: &&mut Meeting| {
            m.since == verdict.meeting.since && m.tracks == verdict.meeting.tracks
        };
        if exchanged {
            // What tells of it has been used.
            self.forget_meeting(&verdict.meeting);
        } else if let Some(meeting) = self.meetings.iter_mut().find(same) {
            meeting.mistaken = verdict.mistaken;
        }
    }
}
