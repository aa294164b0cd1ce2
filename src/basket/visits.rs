//! Visits: who is in the store. A gate admits a token, a track begins in the gate's zone, and the
//! two become one visit; a party's visit has several tracks; a track that nobody admitted becomes
//! an anonymous visit. Without floor cameras the gates alone tell.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::entry::Leads;
use super::passing::{Doorways, Guess};
use crate::fusion::met::Meeting;
use crate::ids::{GateIx, TrackId, VisitId, ZoneIx};
use crate::observation::{Admission, GateEvent};
use crate::store::Store;
use crate::tracking::{TrackEvent, Tracking};
use crate::units::{Point, TimeDelta, Timestamp};

/// What changed about who is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum VisitChange {
    Opened(VisitId),
    /// The track is one of this visit's people.
    Bound(VisitId, TrackId),
    /// The last of its people passed out of the store.
    Left(VisitId),
    /// People of two visits came so near each other that they may have been taken for each other.
    Met(Meeting),
    /// A gate let somebody in while no visits are opened.
    NotAdmitted(GateIx),
    /// Somebody whom no gate admitted is inside while no visits are opened.
    Unadmitted(Option<GateIx>),
}

/// One shopper or group, from entry to exit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    pub id: VisitId,
    pub gate: Option<GateIx>,
    pub token: Option<String>,
    pub member: Option<String>,
    pub party: u32,
    pub staff: bool,
    pub entered_at: Timestamp,
    pub left_at: Option<Timestamp>,
    pub exit_gate: Option<GateIx>,
    /// People inside.
    tracks: BTreeSet<TrackId>,
    pub(super) shown: bool,
    /// Where nobody saw it leave.
    pub(super) guessed: Option<Guess>,
    /// People of the party who have left.
    left: u32,
    /// People whom the cameras lost inside.
    lost: Vec<LostPerson>,
    /// Probability that its people were taken for others.
    pub doubt: f64,
    /// When to look for the one who was admitted and of whom no track began.
    awaited: Option<Timestamp>,
    /// Those admitted with it have had their time to be seen.
    pub(super) paired_out: bool,
}

/// Somebody whom the cameras lost inside: where and when he was last seen, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct LostPerson {
    at: Timestamp,
    position: Option<Point>,
}

/// Who was lost is found again within this of where he was, and a walk's way, metres.
const FOUND_M: f64 = 1.0;
const FOUND_M_S: f64 = 1.0;

impl Visit {
    pub fn anonymous(&self) -> bool {
        self.token.is_none()
    }

    /// Whether it ended with its token shown at an exit, rather than seen by cameras.
    pub fn has_shown_token(&self) -> bool {
        self.shown
    }

    /// How many admitted people have no track yet.
    pub(super) fn untracked(&self) -> u32 {
        let known = self.tracks.len() as u32 + self.left + self.lost.len() as u32;
        self.party.saturating_sub(known)
    }
}

/// A person whom no gate has admitted so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Unadmitted {
    pub(super) track: TrackId,
    pub(super) began_at: Timestamp,
    pub(super) position: Point,
    pub(super) decide_at: Timestamp,
    /// Probability that he came in with one of those admitted.
    pub(super) doubt: f64,
    /// The visit that was somebody else's as likely.
    pub(super) rival: Option<VisitId>,
}

/// All visits that are not forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visits {
    pub(super) visits: BTreeMap<VisitId, Visit>,
    by_track: BTreeMap<TrackId, VisitId>,
    pub(super) unadmitted: Vec<Unadmitted>,
    pub(super) leads: Leads,
    /// Tracks given up inside whose visit waits to be found again.
    next: u64,
    tracked: bool,
    /// Whether no visits are opened.
    shut: bool,
    /// Whether each gate's door is open, and when it last told.
    doors: BTreeMap<GateIx, (bool, Timestamp)>,
    pub(super) doorways: Doorways,
}

/// How long a person may be inside before he counts as nobody's guest.
const ADMISSION_GRACE: TimeDelta = TimeDelta::from_millis(6_000);
/// How long after a door has closed somebody who came through it may first be seen.
const DOOR_SLACK: TimeDelta = TimeDelta::from_millis(2_500);
/// How near the gate's zone a person is who is just coming in, metres.
pub(super) const NEAR_GATE_M: f64 = 1.2;
/// How long after an admission somebody has been seen to come in.
const AWAITED: TimeDelta = TimeDelta::from_millis(4_000);
/// How near the gate's zone a person is who shows a token there, metres.
const NEAR_READER_M: f64 = 0.6;

impl Visits {
    pub fn new(store: &Store) -> Self {
        Self {
            visits: BTreeMap::new(),
            by_track: BTreeMap::new(),
            unadmitted: Vec::new(),
            leads: Leads::default(),
            next: 0,
            tracked: store.has_floor_cameras(),
            shut: false,
            doors: BTreeMap::new(),
            doorways: Doorways::default(),
        }
    }

    /// Shut, no visits are opened; those that are open go on in any case.
    pub fn set_shut(&mut self, shut: bool) {
        self.shut = shut;
    }

    pub fn is_shut(&self) -> bool {
        self.shut
    }

    /// The number of the visit that was opened last.
    pub fn last(&self) -> u64 {
        self.next
    }

    /// Visits opened from now on have higher numbers than `last`.
    pub fn number_after(&mut self, last: u64) {
        self.next = self.next.max(last);
    }

    pub fn visit(&self, id: VisitId) -> Option<&Visit> {
        self.visits.get(&id)
    }

    pub fn of_track(&self, track: TrackId) -> Option<VisitId> {
        self.by_track.get(&track).copied()
    }

    pub fn forget(&mut self, id: VisitId) {
        self.visits.remove(&id);
        self.by_track.retain(|_, visit| *visit != id);
    }

    pub fn on_gate(
        &mut self,
        store: &Store,
        at: Timestamp,
        gate: GateIx,
        event: &GateEvent,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        match event {
            GateEvent::Admitted(_) if self.shut => out.push(VisitChange::NotAdmitted(gate)),
            GateEvent::Admitted(admission) => {
                self.on_admitted(store, at, gate, admission, tracking, out);
            }
            GateEvent::Presented { token } => {
                self.on_presented(store, at, gate, token, tracking, out);
            }
            GateEvent::Door { open } => {
                self.doors.insert(gate, (*open, at));
                let zone = &store.zones[store.gates[gate.index()].zone.index()];
                if !self.tracked {
                    self.doorways.on_door(gate, zone.exit, at, *open);
                }
            }
        }
    }

    /// Whether a gate's door, if it tells at all, was open about a time.
    fn was_open(&self, gate: GateIx, at: Timestamp) -> bool {
        self.doors
            .get(&gate)
            .is_none_or(|(open, last)| *open || at - *last < DOOR_SLACK)
    }

    fn on_admitted(
        &mut self,
        store: &Store,
        at: Timestamp,
        gate: GateIx,
        admission: &Admission,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        let id = self.open(Some(gate), at, Some(admission));
        out.push(VisitChange::Opened(id));
        self.pair(store, at, tracking, out);
    }

    /// A token shown on the way out ends a visit that no camera follows, and says whose the person
    /// at that gate is.
    fn on_presented(
        &mut self,
        store: &Store,
        at: Timestamp,
        gate: GateIx,
        token: &str,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        let open = |v: &&Visit| v.token.as_deref() == Some(token) && v.left_at.is_none();
        let Some(id) = self.visits.values().find(open).map(|v| v.id) else {
            self.take_back(at, gate, token, out);
            return;
        };
        self.claim(store, at, gate, id, tracking, out);
        if let Some(visit) = self.visits.get_mut(&id) {
            visit.exit_gate = Some(gate);
            if visit.tracks.is_empty() {
                visit.left_at = Some(at);
                visit.shown = true;
                let (entered_at, staff) = (visit.entered_at, visit.staff);
                out.push(VisitChange::Left(id));
                if !staff {
                    self.note_stay(at, entered_at);
                }
            }
        }
    }

    /// Where the only person near a gate goes by another visit than the token shown there, the two
    /// were taken for each other: they change places.
    fn claim(
        &mut self,
        store: &Store,
        at: Timestamp,
        gate: GateIx,
        id: VisitId,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        let zone = &store.zones[store.gates[gate.index()].zone.index()].polygon;
        let near = tracking.tracks().into_iter().filter(|track| {
            let fix = tracking.fix_at(*track, at);
            fix.is_some_and(|f| zone.distance(f.position) < NEAR_READER_M)
        });
        let near: Vec<TrackId> = near.collect();
        let [track] = near[..] else { return };
        let Some(other) = self.of_track(track).filter(|other| *other != id) else {
            return;
        };
        let single = |v: &VisitId| self.visits.get(v).is_some_and(|v| v.party == 1);
        if !single(&id) || !single(&other) {
            return;
        }
        let ours: Vec<TrackId> = self.visits[&id].tracks.iter().copied().collect();
        self.unbind(id, &ours);
        self.unbind(other, &[track]);
        self.bind(id, track, out);
        if ours.is_empty()
            && let Some(other) = self.visits.get_mut(&other)
        {
            // He is inside, and nobody sees him.
            other.lost.push(LostPerson { at, position: None });
        }
        for track in ours {
            self.bind(other, track, out);
        }
    }

    fn unbind(&mut self, id: VisitId, tracks: &[TrackId]) {
        if let Some(visit) = self.visits.get_mut(&id) {
            for track in tracks {
                visit.tracks.remove(track);
                self.by_track.remove(track);
            }
        }
    }

    /// Visits that have not ended, with when they began.
    pub fn inside(&self) -> impl Iterator<Item = (VisitId, Timestamp)> {
        let inside = self.visits.values().filter(|v| v.left_at.is_none());
        inside.map(|v| (v.id, v.entered_at))
    }

    /// Who else was inside during a visit, as far as is remembered.
    fn company(&self, visit: &Visit) -> impl Iterator<Item = &Visit> {
        let left = |v: &Visit| v.left_at.unwrap_or(Timestamp::MAX);
        let (id, from, to) = (visit.id, visit.entered_at, left(visit));
        let all = self.visits.values();
        all.filter(move |v| v.id != id && v.entered_at < to && from < left(v))
    }

    /// Whether nobody else was inside during a visit.
    pub fn was_alone(&self, visit: &Visit) -> bool {
        self.company(visit).next().is_none()
    }

    /// Whether somebody else was inside during a visit of whom nobody saw when he left.
    pub fn was_among_unseen(&self, visit: &Visit) -> bool {
        self.company(visit).any(|v| v.guessed.is_some())
    }

    /// An operator, or the clock, says that a visit is over.
    pub fn close_by_command(&mut self, at: Timestamp, id: VisitId, out: &mut Vec<VisitChange>) {
        if let Some(visit) = self.visits.get_mut(&id).filter(|v| v.left_at.is_none()) {
            visit.left_at = Some(at);
            visit.awaited = None;
            out.push(VisitChange::Left(id));
        }
    }

    fn open(
        &mut self,
        gate: Option<GateIx>,
        at: Timestamp,
        admission: Option<&Admission>,
    ) -> VisitId {
        self.next += 1;
        let id = VisitId(self.next);
        let mut visit = Visit {
            id,
            gate,
            token: admission.map(|a| a.token.clone()),
            member: admission.and_then(|a| a.member.clone()),
            party: admission.map_or(1, |a| a.party),
            staff: admission.is_some_and(|a| a.staff),
            entered_at: at,
            left_at: None,
            exit_gate: None,
            tracks: BTreeSet::new(),
            shown: false,
            guessed: None,
            left: 0,
            lost: Vec::new(),
            doubt: 0.0,
            paired_out: admission.is_none() || !self.tracked,
            awaited: None,
        };
        if admission.is_some() && self.tracked {
            // Not before he has had his time to be seen.
            let over = self.leads.over(&visit).unwrap_or(at);
            visit.awaited = Some(over.max(at + AWAITED));
        }
        self.visits.insert(id, visit);
        id
    }

    pub(super) fn bind(&mut self, id: VisitId, track: TrackId, out: &mut Vec<VisitChange>) {
        if let Some(visit) = self.visits.get_mut(&id) {
            visit.tracks.insert(track);
            self.by_track.insert(track, id);
            out.push(VisitChange::Bound(id, track));
        }
    }

    pub fn on_track(
        &mut self,
        store: &Store,
        at: Timestamp,
        event: TrackEvent,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        match event {
            TrackEvent::Began {
                track,
                at: began_at,
                position,
            } => {
                self.on_began(store, at, track, began_at, position, tracking, out);
            }
            TrackEvent::Left {
                track,
                at: left_at,
                zone,
            } => {
                self.on_track_left(store, (track, left_at, zone), tracking, out);
            }
            TrackEvent::Doubted {
                track,
                other,
                since,
                mistaken,
            } => self.on_doubted((track, other), since, mistaken, out),
            TrackEvent::Lost {
                track,
                at,
                position,
            } => self.on_lost(track, at, Some(position)),
            TrackEvent::Merged { track, into, at } => self.on_merged(track, into, at, out),
        }
    }

    fn on_began(
        &mut self,
        store: &Store,
        at: Timestamp,
        track: TrackId,
        began_at: Timestamp,
        position: Point,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        let (at_door, at_staff_door) = (
            self.may_have_entered(store, position, began_at),
            near_staff_door(store, position),
        );
        // Who appears away from the doors is somebody whom the cameras lost; so is a shopper who
        // comes back by the staff door through which he went.
        let inside = !at_door && !at_staff_door;
        let found = self
            .likeliest_lost(began_at, position)
            .filter(|(_, fits)| !at_door && (inside || *fits));
        if let Some(((id, place), _)) = found {
            if let Some(visit) = self.visits.get_mut(&id) {
                visit.lost.remove(place);
            }
            self.bind(id, track, out);
        } else if at_door && !at_staff_door {
            // Somebody inside who came through no door is somebody known whom two cameras place
            // apart; he opens no visit.
            let decide_at = at + ADMISSION_GRACE;
            self.unadmitted.push(Unadmitted {
                track,
                began_at,
                position,
                decide_at,
                doubt: 0.0,
                rival: None,
            });
            self.pair(store, at, tracking, out);
        }
    }

    /// Which of those who were lost inside somebody who appears is likeliest to be, as a place
    /// among the lost of a visit, and whether he can have come that far.
    fn likeliest_lost(
        &self,
        began_at: Timestamp,
        position: Point,
    ) -> Option<((VisitId, usize), bool)> {
        let open = self.visits.values().filter(|v| v.left_at.is_none());
        let lost = open.flat_map(|v| v.lost.iter().enumerate().map(|(i, l)| ((v.id, i), l)));
        let beyond = lost.map(|(which, lost)| {
            let way = FOUND_M + FOUND_M_S * began_at.secs_since(lost.at).max(0.0);
            let far = lost.position.map_or(way, |p| p.distance(position));
            (far / way, which)
        });
        let nearest = beyond.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        nearest.map(|(beyond, which)| (which, beyond <= 1.0))
    }

    /// Whether somebody can have come in here at that time.
    fn may_have_entered(&self, store: &Store, position: Point, at: Timestamp) -> bool {
        let zones = store.zones.iter().enumerate();
        zones
            .filter(|(_, z)| z.entry && z.polygon.distance(position) < NEAR_GATE_M)
            .any(|(i, _)| {
                let of_zone = |g: &&crate::store::Gate| g.zone.index() == i;
                let gate = store.gates.iter().position(|g| of_zone(&g));
                gate.is_none_or(|g| self.was_open(GateIx(g as u16), at))
            })
    }

    fn on_track_left(
        &mut self,
        store: &Store,
        (track, left_at, zone): (TrackId, Timestamp, ZoneIx),
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        let gate = store
            .gates
            .iter()
            .position(|g| g.zone == zone)
            .map(|g| GateIx(g as u16));
        if let Some(place) = self.unadmitted.iter().position(|u| u.track == track) {
            // Somebody looked in and turned round at the door: no visit.
            self.unadmitted.remove(place);
            return;
        }
        // A shopper does not leave by a staff door: he is lost, and may turn up again.
        let shopper = |id: &VisitId| self.visits.get(id).is_some_and(|v| !v.staff);
        let zones = &store.zones[zone.index()];
        if zones.staff && !zones.exit && self.by_track.get(&track).is_some_and(shopper) {
            let last = tracking.fix_at(track, left_at).map(|f| f.position);
            self.on_lost(track, left_at, last);
            return;
        }
        let Some(id) = self.by_track.remove(&track) else {
            return;
        };
        let Some(visit) = self.visits.get_mut(&id) else {
            return;
        };
        visit.tracks.remove(&track);
        visit.left += 1;
        visit.exit_gate = gate.or(visit.exit_gate);
        if visit.tracks.is_empty() && visit.left_at.is_none() {
            visit.left_at = Some(left_at);
            out.push(VisitChange::Left(id));
        }
    }

    fn on_doubted(
        &mut self,
        tracks: (TrackId, TrackId),
        since: Timestamp,
        mistaken: f64,
        out: &mut Vec<VisitChange>,
    ) {
        let (ours, theirs) = (self.of_track(tracks.0), self.of_track(tracks.1));
        // People of one party may be taken for each other as they like.
        if ours == theirs {
            return;
        }
        if let Some(visit) = ours.and_then(|id| self.visits.get_mut(&id)) {
            visit.doubt += (1.0 - visit.doubt) * mistaken;
        }
        if let (Some(a), Some(b), true) = (ours, theirs, tracks.0 < tracks.1) {
            out.push(VisitChange::Met(Meeting {
                visits: [a, b],
                tracks: [tracks.0, tracks.1],
                since,
                seen: mistaken,
                mistaken,
            }));
        }
    }

    /// Puts another probability in the place of one that had gone into two visits' doubt.
    pub fn revise(&mut self, meeting: &Meeting, mistaken: f64) {
        let times = (1.0 - mistaken) / (1.0 - meeting.mistaken).max(1e-6);
        for id in meeting.visits {
            if let Some(visit) = self.visits.get_mut(&id) {
                visit.doubt = (1.0 - (1.0 - visit.doubt) * times).clamp(0.0, 1.0);
            }
        }
    }

    /// Two people were taken for each other, and their tracks have been put right: whoever seemed to
    /// have left was the other.
    pub fn exchange(&mut self, meeting: &Meeting, tracking: &Tracking) {
        let [a, b] = meeting.visits;
        let (Some(was_a), Some(was_b)) =
            (self.visits.get(&a).cloned(), self.visits.get(&b).cloned())
        else {
            return;
        };
        for ((id, track), (was, other)) in meeting
            .visits
            .into_iter()
            .zip(meeting.tracks)
            .zip([(&was_a, &was_b), (&was_b, &was_a)])
        {
            let inside = tracking.is_alive(track);
            let Some(visit) = self.visits.get_mut(&id) else {
                continue;
            };
            if inside && visit.tracks.insert(track) {
                visit.left = visit.left.saturating_sub(1);
                self.by_track.insert(track, id);
            } else if !inside && visit.tracks.remove(&track) {
                visit.left += 1;
                self.by_track.remove(&track);
            }
            visit.left_at = if visit.tracks.is_empty() {
                other.left_at.or(was.left_at)
            } else {
                None
            };
            if visit.left_at.is_some() {
                visit.exit_gate = other.exit_gate.or(was.exit_gate);
            }
        }
    }

    fn on_lost(&mut self, track: TrackId, at: Timestamp, position: Option<Point>) {
        self.unadmitted.retain(|u| u.track != track);
        if let Some(visit) = self
            .by_track
            .remove(&track)
            .and_then(|id| self.visits.get_mut(&id))
        {
            visit.tracks.remove(&track);
            visit.lost.push(LostPerson { at, position });
        }
    }

    fn on_merged(
        &mut self,
        track: TrackId,
        into: TrackId,
        at: Timestamp,
        out: &mut Vec<VisitChange>,
    ) {
        let unadmitted = self.unadmitted.iter().position(|u| u.track == into);
        let (ours, theirs) = (self.by_track.remove(&track), self.of_track(into));
        self.unadmitted.retain(|u| u.track != track);
        match (ours, theirs) {
            (Some(ours), None) => {
                if let Some(place) = unadmitted {
                    self.unadmitted.remove(place);
                }
                if let Some(visit) = self.visits.get_mut(&ours) {
                    visit.tracks.remove(&track);
                }
                self.bind(ours, into, out);
            }
            (Some(ours), Some(_)) => {
                if let Some(visit) = self.visits.get_mut(&ours) {
                    visit.tracks.remove(&track);
                    if visit.tracks.is_empty() {
                        visit.lost.push(LostPerson { at, position: None });
                    }
                }
            }
            (None, _) => {}
        }
    }

    /// Somebody was admitted and nobody seen to come in: whoever turned round on the threshold just
    /// then was two, one who left and one who came.
    fn on_awaited(
        &mut self,
        store: &Store,
        at: Timestamp,
        id: VisitId,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        let Some(visit) = self.visits.get_mut(&id) else {
            return;
        };
        visit.awaited = None;
        let Some(gate) = visit.gate.filter(|_| visit.left_at.is_none()) else {
            return;
        };
        if visit.untracked() == 0 {
            return;
        }
        let zone = &store.zones[store.gates[gate.index()].zone.index()].polygon;
        let entered_at = visit.entered_at;
        let turned = |track: &TrackId| {
            let span = (entered_at - AWAITED, at);
            let turned_at = tracking.turned_at(*track, zone, span)?;
            let off = (turned_at - entered_at).as_micros().abs();
            Some((off, *track, turned_at))
        };
        let followed = self.by_track.keys();
        let Some((_, track, turned_at)) = followed.filter_map(turned).min() else {
            return;
        };
        let Some(other) = self.of_track(track).filter(|other| *other != id) else {
            return;
        };
        if self.visits.get(&other).is_none_or(|v| v.tracks.len() != 1) {
            return;
        }
        self.unbind(other, &[track]);
        if let Some(left) = self.visits.get_mut(&other) {
            left.left += 1;
            left.left_at = Some(turned_at);
            left.exit_gate = Some(gate);
            out.push(VisitChange::Left(other));
        }
        self.bind(id, track, out);
    }

    /// When to call [`Visits::on_timeout`] next.
    pub fn deadline(&self) -> Option<Timestamp> {
        let unadmitted = self.unadmitted.iter().map(|u| u.decide_at);
        unadmitted
            .chain(self.visits.values().filter_map(|v| v.awaited))
            .chain(self.pairing_deadline())
            .chain(self.doorways.deadline())
            .min()
    }

    /// People whom no gate has admitted for long are visits without a token.
    pub fn on_timeout(
        &mut self,
        store: &Store,
        at: Timestamp,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        self.pair(store, at, tracking, out);
        self.pass_pairing(at);
        let awaited = |v: &&Visit| v.awaited.is_some_and(|due| due <= at);
        let awaited: Vec<VisitId> = self.visits.values().filter(awaited).map(|v| v.id).collect();
        for id in awaited {
            self.on_awaited(store, at, id, tracking, out);
        }
        let (due, later) = self.unadmitted.iter().partition(|u| u.decide_at <= at);
        self.unadmitted = later;
        let due: Vec<Unadmitted> = due;
        for person in due {
            let zone = |g: &crate::store::Gate| &store.zones[g.zone.index()].polygon;
            let near = |g| zone(g).distance(person.position) < NEAR_GATE_M;
            let gate = store.gates.iter().position(near);
            let gate = gate.map(|g| GateIx(g as u16));
            if self.shut {
                out.push(VisitChange::Unadmitted(gate));
                continue;
            }
            let id = self.open(gate, person.began_at, None);
            if let Some(visit) = self.visits.get_mut(&id) {
                visit.doubt = person.doubt;
            }
            out.push(VisitChange::Opened(id));
            self.bind(id, person.track, out);
        }
        debug_assert!(self.tracked || self.unadmitted.is_empty());
    }
}

/// Who comes out of a staff door is no shopper.
fn near_staff_door(store: &Store, position: Point) -> bool {
    let staff = store.zones.iter().filter(|z| z.staff);
    staff
        .map(|z| z.polygon.distance(position))
        .fold(f64::INFINITY, f64::min)
        < NEAR_GATE_M
}
