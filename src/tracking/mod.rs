//! People on the floor plan: detections of all floor cameras through their homographies into one
//! set of tracks with continuous identity, through occlusion and across cameras. Pure.
//!
//! A person comes in and goes out through zones only: somebody who appears inside is somebody
//! who was lost, and somebody who disappears inside is still there.

mod assign;
mod bias;
mod encounter;
pub mod image;
mod pairs;
mod person;
mod place;
mod stature;
mod still;
mod upright;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{CameraIx, TrackId, ZoneIx};
use crate::observation::{Class, Detections};
use crate::store::{Store, View};
use crate::units::{Point, Polygon, TimeDelta, Timestamp};

use self::bias::Biases;
use self::encounter::Encounter;
use self::pairs::Pairs;
use self::person::{Person, Sight};
use self::place::Floor;
use self::stature::Stature;
use self::still::Stills;
use self::upright::Upright;

/// What became known about a person on the floor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum TrackEvent {
    /// A new person is certain enough to be counted; first seen at `at`, at `position`.
    Began {
        track: TrackId,
        at: Timestamp,
        position: Point,
    },
    /// The person passed out of the store through an exit (or entry) zone at `at`.
    Left {
        track: TrackId,
        at: Timestamp,
        zone: ZoneIx,
    },
    /// The track was lost inside the store and given up; last seen at `at`.
    Lost {
        track: TrackId,
        at: Timestamp,
        position: Point,
    },
    /// The person was so near another that the two may have been taken for each other.
    Doubted {
        track: TrackId,
        other: TrackId,
        /// When they came near each other.
        since: Timestamp,
        /// Probability that they were.
        mistaken: f64,
    },
    /// `track` turned out to be the same person as the older `into`, which goes on.
    Merged {
        track: TrackId,
        into: TrackId,
        at: Timestamp,
    },
}

/// Where a person was at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    pub at: Timestamp,
    pub position: Point,
    /// Standard deviation of each coordinate, metres.
    pub sigma: f64,
}

/// What is known of whether two people are two.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Apart {
    /// Frames in which one camera saw both.
    frames: u32,
    together_since: Timestamp,
    /// The same as near as two people never stand.
    upon_since: Timestamp,
}

/// A meeting of a shopper with somebody who had come by a staff door.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetStaff {
    shopper: TrackId,
    pub staff: TrackId,
    pub since: Timestamp,
    /// Log odds that they have been each other since.
    swapped: f64,
}

impl MetStaff {
    /// That they have been taken for each other since.
    pub fn probability(&self) -> f64 {
        1.0 / (1.0 + libm::exp(-self.swapped))
    }
}

/// All tracks: those alive, and the recent past of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracking {
    floor: Floor,
    /// What is known of each camera's vertical, by its index.
    uprights: Vec<Option<Upright>>,
    /// How far off each camera places people, by its index.
    biases: Vec<Biases>,
    /// What each camera takes for people and is nobody, by its index.
    stills: Vec<Stills>,
    people: BTreeMap<TrackId, Person>,
    /// Detections that may become people.
    tentative: Vec<Person>,
    /// Pairs of people whom one camera saw at once: proof that they are two.
    apart: Pairs<Apart>,
    /// Pairs of people who are near each other or were just now.
    encounters: BTreeMap<(TrackId, TrackId), Encounter>,
    /// Shoppers who met staff and may be them since.
    met_staff: Vec<MetStaff>,
    /// Tracks that ended within the last minutes, for questions about their past.
    ended: BTreeMap<TrackId, Person>,
    /// When each camera last gave a frame, by its index.
    frames: Vec<Option<Timestamp>>,
    next: u64,
    /// How much later than captured frames arrive, seconds, at most of late.
    lag: TimeDelta,
    deadline: Option<Timestamp>,
}

/// Cameras place one person up to this far apart: feet hidden, boxes cut, metres.
const BESIDE_M: f64 = 1.8;
/// Who was seen beside another for so long, and never in one frame with him, is he.
const BESIDE_FOR: TimeDelta = TimeDelta::from_millis(1_200);
/// As long as he was lost no longer ago.
const LOST_BESIDE: TimeDelta = TimeDelta::from_millis(2_000);
/// Who is not seen for so long may be anywhere.
const LOST: TimeDelta = TimeDelta::from_millis(1_000);
/// Among more people than this some are mistaken for others.
const FEW: usize = 3;
/// People nearer than this for seconds, never seen as two by one camera, are one, metres.
const TOGETHER_M: f64 = 1.2;
/// People do not stand as near as this for long, metres.
const UPON_M: f64 = 0.3;
/// Who is so near another and never seen beside him for so long is he.
const ONE: TimeDelta = TimeDelta::from_millis(2_500);
/// Who goes on in another's place was himself so shortly before at most.
const GONE_BEFORE: TimeDelta = TimeDelta::from_millis(8_000);
/// Frames in which one camera saw two people that prove them two for good.
const PROOF_FRAMES: u32 = 12;
/// Two who parted are exchanged where the log odds that they are each other are above this.
const EXCHANGE_LOG: f64 = 1.0;
/// Who is this near the edge of the floor stands at its threshold, metres.
const THRESHOLD_M: f64 = 0.45;
/// Who walks up to a threshold and back has come from this much further inside, metres.
const TURN_M: f64 = 0.6;
/// Who is found at a door was lost there just now, or is somebody new.
const DOOR_GAP_S: f64 = 4.0;
const DOOR_REACH_M: f64 = 1.5;
/// Who has gone out stands before the door for so long.
const DOORSTEP: TimeDelta = TimeDelta::from_millis(1_500);
/// A camera is at work whose last frame is no older than this.
const AT_WORK: TimeDelta = TimeDelta::from_millis(1_500);
/// A detection weaker than this starts nobody.
const STRONG: f64 = 0.5;
const WEAK: f64 = 0.2;

impl Tracking {
    pub fn new(store: &Store) -> Self {
        let upright = |c: &crate::store::Camera| match &c.view {
            View::Floor { floor_from_image } => Upright::new(floor_from_image, (c.width, c.height)),
            View::Shelf { .. } => None,
        };
        Self {
            floor: Floor::new(store),
            uprights: store.cameras.iter().map(upright).collect(),
            biases: vec![Biases::default(); store.cameras.len()],
            stills: vec![Stills::default(); store.cameras.len()],
            people: BTreeMap::new(),
            tentative: Vec::new(),
            apart: Pairs::default(),
            encounters: BTreeMap::new(),
            met_staff: Vec::new(),
            ended: BTreeMap::new(),
            frames: vec![None; store.cameras.len()],
            next: 0,
            lag: TimeDelta::ZERO,
            deadline: None,
        }
    }

    /// The number of the track that began last.
    pub fn last(&self) -> u64 {
        self.next
    }

    /// Tracks that begin from now on have higher numbers than `last`.
    pub fn number_after(&mut self, last: u64) {
        self.next = self.next.max(last);
    }

    /// A gate tells that its door, in this zone, opened or closed.
    pub fn on_door(&mut self, zone: ZoneIx, at: Timestamp, open: bool) {
        self.floor.on_door(zone, at, open);
    }

    /// Takes the person detections of a floor camera; others are ignored.
    pub fn on_detections(
        &mut self,
        store: &Store,
        at: Timestamp,
        captured_at: Timestamp,
        seen: &Detections,
        out: &mut Vec<TrackEvent>,
    ) {
        let camera = &store.cameras[seen.camera.index()];
        let View::Floor { floor_from_image } = &camera.view else {
            return;
        };
        self.lag = (at - captured_at)
            .max(TimeDelta::ZERO)
            .min(TimeDelta::from_millis(2000));
        let upright = self.uprights[seen.camera.index()].as_ref();
        let persons = seen
            .detections
            .iter()
            .filter(|d| d.class == Class::Person && d.score >= WEAK);
        let sights: Vec<Sight> = persons
            .filter_map(|d| Sight::new(floor_from_image, upright, (camera.width, camera.height), d))
            .filter(|s| {
                let placed = s.placed(&Stature::default());
                self.floor.may_be_inside(placed.at, placed.sigma)
            })
            .collect();
        let stills = &mut self.stills[seen.camera.index()];
        let mut sights = without_doubles(sights);
        sights.retain(|s| !stills.knows(captured_at, s.bbox));
        for sight in &mut sights {
            sight.correct(&self.biases[seen.camera.index()]);
        }
        self.frames[seen.camera.index()] = Some(captured_at);
        self.update(seen.camera, captured_at, &sights);
        self.part(seen.camera, captured_at, out);
        self.confirm(captured_at, out);
        self.merge(captured_at, out);
        self.end(captured_at, out);
        self.deadline = (!self.people.is_empty() || !self.tentative.is_empty())
            .then(|| at + TimeDelta::from_millis(1000));
    }

    fn update(&mut self, camera: CameraIx, at: Timestamp, sights: &[Sight]) {
        let ids: Vec<TrackId> = self.people.keys().copied().collect();
        let people = self.people.values().chain(&self.tentative);
        let all: Vec<&Person> = people.collect();
        let chosen = assign::best(&all, ids.len(), sights, at);
        for (sight, place) in sights.iter().zip(&chosen) {
            let person = place.and_then(|p| self.people.get(ids.get(p)?));
            let somebody = person.is_some_and(|p| p.has_walked() || p.cameras_lately(at) >= 2);
            if !somebody && !self.may_be_known(sight, at) {
                self.stills[camera.index()].learn(at, sight.bbox);
            }
            if let Some(id) = place.and_then(|p| ids.get(p))
                && let Some(person) = self.people.get_mut(id)
            {
                if let Some(placed) = sight.placed_by_feet(&person.stature)
                    && person.cameras_lately(at) >= 2
                {
                    self.biases[camera.index()].learn(placed, person.position_at(at));
                }
                person.see(camera, at, sight);
                person.been_inside |= self.floor.is_beyond_doors(person.position());
            }
        }
        self.note_apart(camera, at);
        for (sight, place) in sights.iter().zip(chosen) {
            match place {
                Some(p) if p < ids.len() => {}
                Some(p) => self.see_tentative(p - ids.len(), camera, at, sight),
                None if sight.score >= STRONG && !sight.cut && self.tentative.len() < 64 => {
                    self.tentative.push(Person::new(camera, at, sight));
                }
                None => {}
            }
        }
    }

    /// Whether a sight may be of somebody known: he is near, somebody has been lost, or there are many
    /// of whom one may have been.
    fn may_be_known(&self, sight: &Sight, at: Timestamp) -> bool {
        let mut walked = self.people.values().filter(|p| p.has_walked());
        if walked.clone().nth(FEW).is_some() {
            return true;
        }
        walked.any(|p| {
            at - p.last_seen() > LOST || p.position_at(at).distance(sight.place.at) < BESIDE_M
        })
    }

    /// Somebody who may be there is seen again; it counts whether the nearest person was seen in
    /// the same frame.
    fn see_tentative(&mut self, place: usize, camera: CameraIx, at: Timestamp, sight: &Sight) {
        let near = self.nearest(self.tentative[place].position(), at);
        let apart = near.is_some_and(|(id, _)| self.people[&id].seen_by_at(camera, at));
        self.tentative[place].see(camera, at, sight);
        self.tentative[place].apart += u32::from(apart);
    }

    /// Follows who is near whom, and gives people who part the walks that are theirs.
    fn part(&mut self, camera: CameraIx, at: Timestamp, out: &mut Vec<TrackEvent>) {
        let fresh = TimeDelta::from_millis(700);
        let seen = self
            .people
            .iter()
            .filter(|(_, p)| at - p.last_seen() < fresh);
        let seen: Vec<TrackId> = seen.map(|(id, _)| *id).collect();
        let mut places: Vec<Point> = seen
            .iter()
            .map(|p| self.people[p].position_at(at))
            .collect();
        for (i, a) in seen.iter().enumerate() {
            let met_before = self
                .encounters
                .range((*a, TrackId(0))..=(*a, TrackId(u64::MAX)));
            let met_before: Vec<TrackId> = met_before.map(|((_, b), _)| *b).collect();
            for (j, b) in seen.iter().enumerate().skip(i + 1) {
                let distance = places[i].distance(places[j]);
                if distance >= encounter::CLOSE_M && !met_before.contains(b) {
                    continue;
                }
                let (pa, pb) = (&self.people[a], &self.people[b]);
                if distance < encounter::CLOSE_M {
                    let met = self.encounters.entry((*a, *b));
                    met.or_insert_with(|| Encounter::new(at, pa, pb)).stay(
                        (camera, at),
                        (pa, pb),
                        distance,
                    );
                    continue;
                }
                let Some(met) = self.encounters.get_mut(&(*a, *b)) else {
                    continue;
                };
                met.see(camera, at, pa, pb);
                if distance > encounter::PARTED_M && met.is_over(at) {
                    let (since, log) = (met.since(), met.swapped_log(Some(at), pa, pb));
                    self.conclude((*a, *b), log, out);
                    if log > EXCHANGE_LOG {
                        self.swap(*a, *b, since);
                        places[i] = self.people[a].position_at(at);
                        places[j] = self.people[b].position_at(at);
                    }
                }
            }
        }
        let people = &self.people;
        self.encounters
            .retain(|(a, b), _| people.contains_key(a) && people.contains_key(b));
    }

    /// An encounter is over, and these are the log odds that the two are each other, who are exchanged
    /// or not: tells how likely it is that they are taken for each other from now on.
    fn conclude(&mut self, pair: (TrackId, TrackId), log: f64, out: &mut Vec<TrackEvent>) {
        let Some(met) = self.encounters.remove(&pair) else {
            return;
        };
        let wrong = if log > EXCHANGE_LOG { -log } else { log };
        self.note_staff(pair, met.since(), wrong);
        let mistaken = 1.0 / (1.0 + libm::exp(-wrong));
        let both = [(pair.0, pair.1), (pair.1, pair.0)];
        out.extend(both.map(|(track, other)| TrackEvent::Doubted {
            track,
            other,
            since: met.since(),
            mistaken,
        }));
    }

    fn note_staff(&mut self, (a, b): (TrackId, TrackId), since: Timestamp, swapped: f64) {
        let staffs = |track: &TrackId| {
            let first = self.people.get(track).map(Person::first_position);
            first.is_some_and(|p| self.floor.near_staff_door(p) && !self.floor.near_entry(p))
        };
        let (shopper, staff) = match (staffs(&a), staffs(&b)) {
            (false, true) => (a, b),
            (true, false) => (b, a),
            _ => return,
        };
        self.met_staff.push(MetStaff {
            shopper,
            staff,
            since,
            swapped,
        });
    }

    /// A shopper does not go out by a staff door: whoever does so after he met somebody who came in
    /// by one is that one, and the two were taken for each other.
    fn exchange_staff(&mut self, over: &[(TrackId, TrackEvent)]) -> bool {
        let mut exchanged = false;
        for (track, event) in over {
            let place = self.people.get(track).map(Person::position);
            let by_staff_door = matches!(event, TrackEvent::Left { .. })
                && place
                    .is_some_and(|p| self.floor.near_staff_door(p) && !self.floor.near_entry(p));
            if !by_staff_door {
                continue;
            }
            if let Some(met) = self.met_staff(*track) {
                self.swap(met.shopper, met.staff, met.since);
                self.met_staff.retain(|m| *m != met);
                exchanged = true;
            }
        }
        exchanged
    }

    /// Exchanges all that two people were and did after an instant. Whoever has left since was the
    /// other.
    pub fn swap(&mut self, a: TrackId, b: TrackId, since: Timestamp) {
        let known = |t: &TrackId| self.people.contains_key(t) || self.ended.contains_key(t);
        if a == b || !known(&a) || !known(&b) {
            return;
        }
        let mut take = |track: TrackId| {
            let alive = self.people.remove(&track).map(|p| (p, true));
            alive.or_else(|| self.ended.remove(&track).map(|p| (p, false)))
        };
        if let (Some((pa, a_alive)), Some((pb, b_alive))) = (take(a), take(b)) {
            let (pa, pb) = Person::swapped(pa, pb, since);
            for (track, person, alive) in [(a, pa, b_alive), (b, pb, a_alive)] {
                let kept = if alive {
                    &mut self.people
                } else {
                    &mut self.ended
                };
                kept.insert(track, person);
            }
        }
    }

    /// Whom of the staff who come by a door of their own a shopper is likeliest to have been exchanged
    /// with, and when they met.
    pub fn met_staff(&self, shopper: TrackId) -> Option<MetStaff> {
        let theirs = self.met_staff.iter();
        let theirs = theirs.filter(|m| m.shopper == shopper && self.is_alive(m.staff));
        let likeliest = theirs.max_by(|a, b| {
            let order = a.swapped.total_cmp(&b.swapped);
            order.then(a.since.cmp(&b.since))
        });
        likeliest.copied()
    }

    /// When somebody was first seen.
    pub fn began_at(&self, track: TrackId) -> Option<Timestamp> {
        self.people.get(&track).map(Person::first_seen)
    }

    /// Whether a track goes on.
    pub fn is_alive(&self, track: TrackId) -> bool {
        self.people.contains_key(&track)
    }

    /// The nearest person who is being seen, and how far away.
    fn nearest(&self, position: Point, at: Timestamp) -> Option<(TrackId, f64)> {
        let seen = self
            .people
            .iter()
            .filter(|(_, p)| at - p.last_seen() < TimeDelta::from_millis(600));
        let near = seen.map(|(id, p)| (*id, p.position().distance(position)));
        near.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
    }

    /// Tentative people who are certain become people: new ones at a door, lost ones elsewhere.
    fn confirm(&mut self, at: Timestamp, out: &mut Vec<TrackEvent>) {
        let silence = TimeDelta::from_millis(900);
        self.tentative.retain(|p| at - p.last_seen() < silence);
        let mut i = 0;
        while i < self.tentative.len() {
            let person = &self.tentative[i];
            let near = self.nearest(person.position(), at);
            let beside = near.is_some_and(|(_, d)| d < BESIDE_M);
            let inside = self.floor.is_inside(person.position());
            let certain = person.hits() >= 5
                && person.age() >= TimeDelta::from_millis(400)
                && (!beside || person.apart >= 5)
                && inside;
            if !certain {
                i += 1;
                continue;
            }
            let lost = self
                .lost_match(person, at)
                .or_else(|| self.lost_beside(person, at));
            let moved = person.position().distance(person.first_position()) > 0.35;
            let at_door = self
                .floor
                .can_enter(person.first_position(), person.first_seen())
                && (moved || person.stands_long());
            let staff = self.floor.near_staff_door(person.first_position()) && moved;
            // Nobody can come to be inside but through a door: only long proof makes somebody
            // whose coming was missed.
            let certain_inside = person.cameras() >= 2
                && person.age() >= TimeDelta::from_millis(6000)
                && (near.is_none_or(|(_, d)| d > 2.5 * BESIDE_M) || person.apart >= 25);
            if let Some(id) = lost {
                let person = self.tentative.remove(i);
                if let Some(old) = self.people.get_mut(&id) {
                    old.resume(person);
                }
            } else if at_door || staff || certain_inside {
                let person = self.tentative.remove(i);
                self.next += 1;
                let track = TrackId(self.next);
                out.push(TrackEvent::Began {
                    track,
                    at: person.first_seen(),
                    position: person.first_position(),
                });
                self.people.insert(track, person);
            } else {
                i += 1;
            }
        }
    }

    /// People who were never proved to be two and stay together are one.
    fn merge(&mut self, at: Timestamp, out: &mut Vec<TrackEvent>) {
        let seen: Vec<TrackId> = self
            .people
            .iter()
            .filter(|(_, p)| at - p.last_seen() < TimeDelta::from_millis(500))
            .map(|(id, _)| *id)
            .collect();
        let places: Vec<Point> = seen.iter().map(|p| self.people[p].position()).collect();
        let fresh = Apart {
            frames: 0,
            together_since: at,
            upon_since: at,
        };
        let mut merged: Vec<(usize, usize)> = Vec::new();
        let mut upon: Vec<(usize, usize, Timestamp)> = Vec::new();
        self.apart.each(&seen, fresh, |i, j, apart| {
            let metres = places[i].distance(places[j]);
            if metres >= UPON_M {
                apart.upon_since = at;
            } else if at - apart.upon_since > ONE {
                upon.push((i, j, apart.upon_since));
            }
            if metres >= TOGETHER_M {
                apart.together_since = at;
            } else if apart.frames < PROOF_FRAMES
                && at - apart.together_since > ONE
                && !merged.iter().any(|(_, gone)| *gone == i || *gone == j)
            {
                merged.push((i, j));
            }
        });
        let before = out.len();
        for (older, younger) in merged {
            self.people.remove(&seen[younger]);
            out.push(TrackEvent::Merged {
                track: seen[younger],
                into: seen[older],
                at,
            });
        }
        for (i, j, since) in upon {
            self.end_shadow([seen[i], seen[j]], since, out);
        }
        if out.len() > before {
            self.forget_pairs();
        }
    }

    /// Two tracks go on in one place, and no camera sees two: one of them has gone out before and
    /// been given what was seen of the other since.
    fn end_shadow(&mut self, pair: [TrackId; 2], since: Timestamp, out: &mut Vec<TrackEvent>) {
        let people = &self.people;
        let went = |track: &TrackId| {
            let before = (since - GONE_BEFORE, since);
            Some((*track, self.floor.was_at_exit(people.get(track)?, before)?))
        };
        let went: Vec<_> = pair.iter().filter_map(went).collect();
        let [(track, (at, zone))] = went[..] else {
            return;
        };
        if pair.iter().all(|t| people.contains_key(t)) {
            out.push(TrackEvent::Left { track, at, zone });
            if let Some(person) = self.people.remove(&track) {
                self.ended.insert(track, person);
            }
        }
    }

    fn forget_pairs(&mut self) {
        let people = &self.people;
        self.apart.retain(|track| people.contains_key(&track));
    }

    fn note_apart(&mut self, camera: CameraIx, at: Timestamp) {
        let seen: Vec<TrackId> = self
            .people
            .iter()
            .filter(|(_, p)| p.seen_by_at(camera, at))
            .map(|(id, _)| *id)
            .collect();
        let fresh = Apart {
            frames: 0,
            together_since: at,
            upon_since: at,
        };
        self.apart.each(&seen, fresh, |_, _, apart| {
            apart.frames = apart.frames.saturating_add(1);
            apart.together_since = at;
            apart.upon_since = at;
        });
    }

    /// The person who was lost and can be this one.
    fn lost_match(&self, found: &Person, at: Timestamp) -> Option<TrackId> {
        let cost = |p: &Person| {
            let gap = found.first_seen().secs_since(p.last_seen());
            if gap < 0.15 && at - p.last_seen() < TimeDelta::from_millis(600) {
                return None;
            }
            let reach = 0.7 + 1.8 * gap.max(0.0);
            let distance = p
                .position_at(found.first_seen())
                .distance(found.first_position());
            let straight = p.position().distance(found.first_position());
            let likeness = p.likeness(found).map_or(0.0, |cos| 2.0 * (0.6 - cos));
            let cost = distance.min(straight) / reach + likeness;
            (distance.min(straight) < reach && likeness < 1.0).then_some(cost)
        };
        let at_door = self.floor.near_entry(found.first_position());
        let here = |p: &Person| {
            let gap = found.first_seen().secs_since(p.last_seen());
            gap < DOOR_GAP_S && p.position().distance(found.first_position()) < DOOR_REACH_M
        };
        let lost = self
            .people
            .iter()
            .filter(|(_, p)| !at_door || here(p))
            .filter_map(|(id, p)| Some((cost(p)?, *id)));
        // Somebody at a door is as a rule somebody new.
        let near = lost.filter(|(c, _)| !at_door || *c < 0.5);
        near.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map(|(_, id)| id)
    }

    /// The person beside whom somebody has been seen for a while, but never in one frame with him,
    /// and who is not seen any more: the two are one, whom two cameras placed apart.
    fn lost_beside(&self, found: &Person, at: Timestamp) -> Option<TrackId> {
        let place = found.position();
        if found.age() < BESIDE_FOR || found.apart >= 5 || self.floor.near_entry(place) {
            return None;
        }
        let lost = self.people.iter().filter(|(_, p)| {
            let unseen = at - p.last_seen();
            unseen > TimeDelta::from_millis(300)
                && unseen < LOST_BESIDE
                && found.first_seen() + BESIDE_FOR < p.last_seen()
        });
        let near = lost.map(|(id, p)| (p.position().distance(place), *id));
        let near = near.filter(|(metres, _)| *metres < BESIDE_M);
        let nearest = near.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        nearest.map(|(_, id)| id)
    }

    /// Tracks that are over by now.
    fn over(&self, at: Timestamp) -> Vec<(TrackId, TrackEvent)> {
        let (people, floor) = (&self.people, &self.floor);
        let mut over = Vec::new();
        for (id, person) in people {
            let unseen = at.secs_since(person.last_seen());
            let at_work =
                |c: &CameraIx| self.frames[c.index()].is_some_and(|last| at - last < AT_WORK);
            let watched = person.last_cameras().all(at_work);
            let gone = floor.left(person, unseen, at);
            let gone = gone.or_else(|| floor.gone(person, unseen).filter(|_| watched));
            if let Some((left_at, zone)) = gone {
                over.push((
                    *id,
                    TrackEvent::Left {
                        track: *id,
                        at: left_at,
                        zone,
                    },
                ));
            } else if unseen > 90.0 || (!person.been_inside && unseen > 2.5) {
                let event = TrackEvent::Lost {
                    track: *id,
                    at: person.last_seen(),
                    position: person.position(),
                };
                over.push((*id, event));
            }
        }
        over
    }

    fn end(&mut self, at: Timestamp, out: &mut Vec<TrackEvent>) {
        let mut over = self.over(at);
        if self.exchange_staff(&over) {
            over = self.over(at);
        }
        // Who leaves before he has parted from another may be the other.
        let leaves = |t: TrackId| over.iter().any(|(id, _)| *id == t);
        let pairs = self.encounters.keys().copied();
        let met: Vec<_> = pairs.filter(|(a, b)| leaves(*a) || leaves(*b)).collect();
        for pair in met {
            let (Some(a), Some(b)) = (self.people.get(&pair.0), self.people.get(&pair.1)) else {
                continue;
            };
            let log = self.encounters[&pair].swapped_log(None, a, b);
            // Nobody is exchanged who leaves: how he walks on is not seen.
            self.conclude(pair, log.min(EXCHANGE_LOG), out);
        }
        let some_left = !over.is_empty();
        for (id, event) in over {
            out.push(event);
            if let Some(person) = self.people.remove(&id) {
                self.ended.insert(id, person);
            }
        }
        if some_left {
            self.forget_pairs();
        }
        self.ended
            .retain(|_, p| at - p.last_seen() < TimeDelta::from_millis(180_000));
        let people = &self.people;
        self.met_staff
            .retain(|m| people.contains_key(&m.shopper) && people.contains_key(&m.staff));
    }

    /// When to call [`Tracking::on_timeout`] next.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    pub fn on_timeout(&mut self, _store: &Store, at: Timestamp, out: &mut Vec<TrackEvent>) {
        let captured_at = at - self.lag;
        self.confirm(captured_at, out);
        self.end(captured_at, out);
        self.deadline = (!self.people.is_empty()).then(|| at + TimeDelta::from_millis(1000));
    }

    /// Where a track was at an instant of the last two minutes, interpolated between its fixes;
    /// `None` before its first fix, when it is unknown, and when it has ended. Merged tracks answer
    /// as one.
    pub fn fix_at(&self, track: TrackId, at: Timestamp) -> Option<Fix> {
        let ended = || {
            let person = self.ended.get(&track)?;
            (at - person.last_seen() <= DOORSTEP).then_some(person)
        };
        self.people.get(&track).or_else(ended)?.fix_at(at)
    }

    /// Where a track ended, if it has within the last minutes.
    pub fn ended(&self, track: TrackId) -> Option<Fix> {
        let person = self.ended.get(&track)?;
        person.fix_at(person.last_seen())
    }

    /// When a person was at the threshold of a zone, if within a span he walked up to it and back:
    /// one who goes out just as another comes in leaves such a track.
    pub fn turned_at(
        &self,
        track: TrackId,
        zone: &Polygon,
        (from, to): (Timestamp, Timestamp),
    ) -> Option<Timestamp> {
        let person = self.people.get(&track)?;
        let depth = |f: &Fix| self.floor.depth(f.position);
        let fixes = || person.fixes(from, to);
        let outmost = fixes()
            .filter(|f| zone.distance(f.position) < THRESHOLD_M)
            .min_by(|a, b| depth(a).total_cmp(&depth(b)))?;
        let deepest = |side: &dyn Fn(&Fix) -> bool| {
            let depths = fixes().filter(|f| side(f)).map(depth);
            depths.fold(0.0, f64::max) - depth(outmost)
        };
        let before = deepest(&|f| f.at < outmost.at);
        let after = deepest(&|f| f.at > outmost.at);
        let turned = depth(outmost) < THRESHOLD_M && before > TURN_M && after > TURN_M;
        turned.then_some(outmost.at)
    }

    /// All tracks with a fix within the last two minutes and not merged away, in order of id.
    pub fn tracks(&self) -> Vec<TrackId> {
        self.people.keys().copied().collect()
    }
}

/// Sights of one frame, boxes that lie over a stronger one left out: detectors double.
fn without_doubles(mut sights: Vec<Sight>) -> Vec<Sight> {
    sights.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Sight> = Vec::new();
    for sight in sights {
        if !kept.iter().any(|k| k.bbox.iou(sight.bbox) > 0.6) {
            kept.push(sight);
        }
    }
    kept
}
