//! Whose walk a tag's reads follow. A tag in somebody's hands is heard by the antennas that he
//! passes: shelves on his way, the gate as he goes out. Each read away from home is held against
//! where everybody stood just then, and a tag that goes on with somebody else has changed hands.

use std::collections::BTreeSet;

use crate::ids::{TrackId, VisitId};
use crate::store::{ReadPoint, Store};
use crate::tracking::Tracking;
use crate::units::{Point, TimeDelta, Timestamp};

use super::away::Sighting;
use super::who::Carriers;

/// How far antennas hear what is carried, metres: nine in ten of such reads on four recordings and
/// on simulated days came from within 1.5 m of the shelf's front or the gate's zone.
const HEARD_M: f64 = 1.0;
/// Share of reads from anywhere else: reflections, and people whom the cameras misplace.
const STRAY: f64 = 0.03;
/// How well a read fits somebody of whom nobody knows where he is.
const UNSEEN: f64 = 0.2;
/// The same for a tag that stands on some shelf, at its own antenna and at another.
const AT_HOME: f64 = 1.0;
const AT_REST: f64 = 0.12;
/// Who left is heard through the door for so long.
const DOORSTEP: TimeDelta = TimeDelta::from_millis(3_000);
/// Reads of one second by one antenna are one, and seconds are not independent either.
const MARK: TimeDelta = TimeDelta::from_millis(1_000);
pub(super) const WORTH: f64 = 0.6;
/// The most that all reads say against somebody, nats.
const MOST: f64 = 8.0;
/// Log prior of a tag's changing hands between two visits that came close, and that did not.
const HANDED_LOG: f64 = -4.0;
const APART_LOG: f64 = -4.0;
/// Log prior of its having been put down where nothing else told of it.
const PUT_DOWN_LOG: f64 = -5.0;
/// Hands reach each other within this, metres; cameras are off by as much again.
const ARMS_M: f64 = 1.3;
const FAR_M: f64 = 2.2;
/// People's distance is looked at so often.
const LOOK: TimeDelta = TimeDelta::from_millis(500);
const LOOKS_MAX: usize = 60;

/// How well a tag's reads fit each visit's walk.
pub(super) struct Walks<'a> {
    tracking: &'a Tracking,
    carriers: &'a Carriers,
    visits: Vec<VisitId>,
    /// From when on it was away.
    since: Timestamp,
    /// Since when it has stood, or been held, before another shelf.
    rested: Option<Timestamp>,
    marks: Vec<Mark>,
}

struct Mark {
    at: Timestamp,
    /// As a log, by visit.
    fits: Vec<f64>,
    /// The same if nobody carries it.
    rests: f64,
}

impl<'a> Walks<'a> {
    /// `reads` are those that have not been weighed yet, oldest first; `home` is where it stood, and
    /// `rested` where it may stand now, and since when.
    pub(super) fn new(
        store: &Store,
        tracking: &'a Tracking,
        carriers: &'a Carriers,
        (home, rested, since): (Option<ReadPoint>, Option<(Timestamp, ReadPoint)>, Timestamp),
        holders: BTreeSet<VisitId>,
        reads: &[Sighting],
    ) -> Option<Self> {
        let (first, last) = (reads.first()?, reads.last()?);
        let homes = [home, rested.map(|(_, place)| place)];
        let mut visits = holders;
        visits.extend(carriers.present(first.at, last.at));
        let visits: Vec<VisitId> = visits.into_iter().collect();
        let mut marks: Vec<Mark> = Vec::new();
        let mut told: Vec<(ReadPoint, Timestamp)> = Vec::new();
        for read in reads {
            let same =
                |(place, at): &(ReadPoint, Timestamp)| *place == read.place && read.at - *at < MARK;
            if told.iter().rev().any(same) {
                continue;
            }
            told.push((read.place, read.at));
            let fit = |visit: &VisitId| WORTH * fit(store, tracking, carriers, *visit, read);
            let rests = if homes.contains(&Some(read.place)) {
                AT_HOME
            } else {
                AT_REST
            };
            marks.push(Mark {
                at: read.at,
                fits: visits.iter().map(fit).collect(),
                rests: WORTH * libm::log(rests),
            });
        }
        Some(Self {
            tracking,
            carriers,
            visits,
            since,
            rested: rested.map(|(at, _)| at),
            marks,
        })
    }

    /// The first second and the last in which it was heard, and how many there are.
    pub(super) fn heard(&self) -> (Timestamp, Timestamp, usize) {
        let at = |mark: Option<&Mark>| mark.map_or(self.since, |m| m.at);
        (
            at(self.marks.first()),
            at(self.marks.last()),
            self.marks.len(),
        )
    }

    fn place(&self, visit: VisitId) -> Option<usize> {
        self.visits.iter().position(|v| *v == visit)
    }

    /// The best that any one visit explains of it.
    fn best(&self) -> f64 {
        let all = |n: usize| self.marks.iter().map(|m| m.fits[n]).sum::<f64>();
        let each = (0..self.visits.len()).map(all);
        each.fold(self.rested(), f64::max)
    }

    fn rested(&self) -> f64 {
        self.marks.iter().map(|m| m.rests).sum()
    }

    /// How well it fits that nobody carries it, against the best: it has stood somewhere all along,
    /// or since it was put down.
    pub(super) fn nobody(&self) -> f64 {
        let put_down = self.rested.map_or(f64::NEG_INFINITY, |at| {
            let carried = self.marks.partition_point(|m| m.at < at);
            let each = (0..self.visits.len()).map(|n| self.put_down_after(n, carried));
            each.fold(f64::NEG_INFINITY, f64::max)
        });
        (self.rested().max(put_down) - self.best()).max(-MOST)
    }

    /// The log of how well it fits one visit's having carried it for so many marks and put it down
    /// then.
    fn put_down_after(&self, n: usize, carried: usize) -> f64 {
        let (before, after) = self.marks.split_at(carried.min(self.marks.len()));
        let before: f64 = before.iter().map(|m| m.fits[n]).sum();
        before + after.iter().map(|m| m.rests).sum::<f64>()
    }

    /// How well it fits one visit's having put it down, or never having had it, unseen, against the
    /// best.
    pub(super) fn put_down(&self, visit: VisitId) -> Option<f64> {
        let n = self.place(visit)?;
        let each = (0..self.marks.len()).map(|carried| self.put_down_after(n, carried));
        let log = each.fold(f64::NEG_INFINITY, f64::max) - self.best() + PUT_DOWN_LOG;
        (log > -MOST).then_some(log)
    }

    /// How well it fits one visit's having carried it all along, against the best.
    pub(super) fn kept(&self, visit: VisitId) -> f64 {
        let Some(n) = self.place(visit) else {
            return -MOST;
        };
        let all: f64 = self.marks.iter().map(|m| m.fits[n]).sum();
        (all - self.best()).max(-MOST)
    }

    /// How well it fits its having been handed on by one visit, to whom and when.
    pub(super) fn handed(&self, from: VisitId) -> Vec<(VisitId, f64)> {
        let best = self.best();
        let before = |mark: &Mark| self.place(from).map_or(-MOST, |n| mark.fits[n]);
        let to = |(n, to): (usize, &VisitId)| {
            let all: f64 = self.marks.iter().map(|m| m.fits[n]).sum();
            let (mut kept, mut most) = (0.0, f64::NEG_INFINITY);
            let mut rest = all;
            let mut since = self.since;
            for mark in &self.marks {
                let log = kept + rest - best + HANDED_LOG;
                // Whoever has left hands nothing over.
                let here = self.carriers.is_inside(from, since);
                if here && log > most && log > -MOST {
                    let log = log + self.met(from, *to, (since, mark.at));
                    most = most.max(log);
                }
                kept += before(mark);
                rest -= mark.fits[n];
                since = mark.at;
            }
            (*to, most)
        };
        let others = self.visits.iter().enumerate().filter(|(_, v)| **v != from);
        let all = others.map(to);
        all.filter(|(_, log)| *log > -MOST - HANDED_LOG.abs())
            .collect()
    }

    /// What their distance within a span says of something's having gone from hand to hand.
    fn met(&self, a: VisitId, b: VisitId, (from, to): (Timestamp, Timestamp)) -> f64 {
        let span = (to - from).as_micros().max(0);
        let looks = (span / LOOK.as_micros()).clamp(1, LOOKS_MAX as i64);
        let mut least = f64::INFINITY;
        let mut seen = false;
        for i in 0..=looks {
            let at = from + TimeDelta::from_micros(span * i / looks);
            for x in self.carriers.places_of(self.tracking, a, at) {
                for y in self.carriers.places_of(self.tracking, b, at) {
                    seen = true;
                    least = least.min(x.distance(y));
                }
            }
        }
        match seen {
            true if least <= ARMS_M => 0.0,
            true if least >= FAR_M => APART_LOG,
            true => APART_LOG * (least - ARMS_M) / (FAR_M - ARMS_M),
            false => APART_LOG / 2.0,
        }
    }
}

/// How well one read fits a visit's having the tag, as a log.
fn fit(
    store: &Store,
    tracking: &Tracking,
    carriers: &Carriers,
    visit: VisitId,
    read: &Sighting,
) -> f64 {
    let seen = fit_tracks(store, tracking, &mut carriers.tracks_of(visit), read);
    let about = carriers.is_inside(visit, read.at) || carriers.is_inside(visit, read.at - DOORSTEP);
    seen.unwrap_or_else(|| libm::log(if about { UNSEEN } else { STRAY }))
}

/// How well a read fits the one of some tracks that it fits best, as a log; `None` where none of
/// them was seen then.
pub(super) fn fit_tracks(
    store: &Store,
    tracking: &Tracking,
    tracks: &mut dyn Iterator<Item = TrackId>,
    read: &Sighting,
) -> Option<f64> {
    let nearest = tracks
        .filter_map(|track| tracking.fix_at(track, read.at))
        .map(|fix| distance(store, read.place, fix.position))
        .fold(f64::INFINITY, f64::min);
    nearest.is_finite().then(|| libm::log(nearness(nearest)))
}

fn nearness(metres: f64) -> f64 {
    let z = metres / HEARD_M;
    (1.0 - STRAY) * libm::exp(-0.5 * z * z) + STRAY
}

/// From where somebody stands to what an antenna watches, metres.
pub(super) fn distance(store: &Store, place: ReadPoint, p: Point) -> f64 {
    match place {
        ReadPoint::Shelf(shelf) => store.gondola_of(shelf).front.distance(p),
        ReadPoint::Gondola(gondola) => store.gondola(gondola).front.distance(p),
        ReadPoint::Gate(gate) => {
            let zone = store.gates[gate.index()].zone;
            store.zones[zone.index()].polygon.distance(p)
        }
        ReadPoint::Zone(zone) => store.zones[zone.index()].polygon.distance(p),
    }
}
