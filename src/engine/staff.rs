//! Who stands at a shelf while staff restock it is staff. Where that is a shopper's track, and
//! nobody of the staff is there, the two were taken for each other when they met or came in.

use std::sync::Arc;

use super::{Engine, State};
use crate::fusion::Decision;
use crate::fusion::met::Meeting;
use crate::ids::{ShelfIx, TrackId, VisitId};
use crate::units::{TimeDelta, Timestamp};

/// How near the shelf's front somebody stands who restocks it, metres.
const THERE_M: f64 = 1.0;
/// Staff are there for most of the time between their two words, and as they say the last.
const THERE: f64 = 0.7;
const LAST: TimeDelta = TimeDelta::from_millis(1_000);
/// A track is looked at so often.
const STEP: TimeDelta = TimeDelta::from_millis(500);
/// A shorter time says nothing.
const SHORTEST: TimeDelta = TimeDelta::from_millis(3_000);
/// Who passed each other clearly apart was not exchanged: the word came from somewhere else.
const PLAUSIBLE: f64 = 0.005;
/// Two who are first seen within this of each other can have been taken for each other at the door.
const CAME_TOGETHER: TimeDelta = TimeDelta::from_millis(6_000);

impl Engine {
    /// Staff have restocked a shelf since `begin`.
    pub(super) fn on_restocked(&mut self, at: Timestamp, shelf: ShelfIx, begin: Timestamp) {
        if at - begin < SHORTEST {
            return;
        }
        let Some((shopper, track)) = self.stood_in_for_staff((begin, at), shelf) else {
            return;
        };
        let Some(meeting) = self.met_staff(begin, shopper, track) else {
            self.exchange_unadmitted(begin, track);
            return;
        };
        let store = Arc::clone(&self.store);
        let reweighed = self.state.exchange(&store, &meeting);
        // What tells of it has been used.
        self.state.fusion.forget_meeting(&meeting);
        self.on_decisions(at, vec![Decision::Reweighed(reweighed)]);
        self.note_deadline();
    }

    /// The same with somebody of the staff who came by a door of their own and has no visit.
    fn exchange_unadmitted(&mut self, before: Timestamp, track: TrackId) {
        let tracking = &mut self.state.tracking;
        let met = tracking.met_staff(track);
        let met = met.filter(|m| m.since <= before && m.probability() > PLAUSIBLE);
        if let Some(met) = met {
            tracking.swap(track, met.staff, met.since);
        }
    }

    /// The only shopper who was at a shelf all the time and yet at last, when nobody of the staff was.
    fn stood_in_for_staff(
        &self,
        span: (Timestamp, Timestamp),
        shelf: ShelfIx,
    ) -> Option<(VisitId, TrackId)> {
        let State {
            tracking, baskets, ..
        } = &self.state;
        let mut shoppers = Vec::new();
        for track in tracking.tracks() {
            let visit = baskets.visits.of_track(track);
            let visit = visit.and_then(|id| baskets.visits.visit(id));
            let shopper = visit.filter(|v| !v.staff && baskets.is_open(v.id));
            let at_last = self.was_at(track, (span.1 - LAST, span.1), shelf);
            match shopper {
                Some(_) if at_last < 1.0 || self.was_at(track, span, shelf) < THERE => {}
                Some(visit) => shoppers.push((visit.id, track)),
                None if at_last > 0.0 => return None,
                None => {}
            }
        }
        let [only] = shoppers[..] else { return None };
        Some(only)
    }

    /// For how much of a span somebody stood before a shelf.
    fn was_at(&self, track: TrackId, (from, to): (Timestamp, Timestamp), shelf: ShelfIx) -> f64 {
        let front = &self.store.gondola_of(shelf).front;
        let (mut there, mut all) = (0.0, 0.0);
        let mut at = from;
        while at <= to {
            let fix = self.state.tracking.fix_at(track, at);
            all += 1.0;
            if fix.is_some_and(|f| front.distance(f.position) < THERE_M) {
                there += 1.0;
            }
            at += STEP;
        }
        there / f64::max(all, 1.0)
    }

    /// When and with whom of the staff a shopper can have been exchanged before an instant.
    fn met_staff(&self, before: Timestamp, shopper: VisitId, track: TrackId) -> Option<Meeting> {
        let State {
            tracking,
            baskets,
            fusion,
            ..
        } = &self.state;
        let is_staff = |id: VisitId| baskets.visits.visit(id).is_some_and(|v| v.staff);
        let met = fusion.meetings_of(shopper).filter(|m| {
            let theirs = m.visits.iter().filter(|v| **v != shopper);
            m.since <= before
                && m.seen > PLAUSIBLE
                && m.tracks.contains(&track)
                && theirs.copied().any(is_staff)
        });
        let likeliest = met.max_by(|a, b| a.seen.total_cmp(&b.seen).then(a.since.cmp(&b.since)));
        if let Some(meeting) = likeliest {
            return Some(*meeting);
        }
        let began = tracking.began_at(track)?;
        let mut beside = tracking.tracks().into_iter().filter_map(|other| {
            let visit = baskets.visits.of_track(other).filter(|v| is_staff(*v))?;
            let apart = tracking.began_at(other)? - began;
            (apart.max(-apart) <= CAME_TOGETHER).then_some((visit, other))
        });
        let (staff, other) = beside.next()?;
        beside.next().is_none().then_some(Meeting {
            visits: [shopper, staff],
            tracks: [track, other],
            since: Timestamp::MIN,
            seen: 0.5,
            mistaken: 0.5,
        })
    }
}
