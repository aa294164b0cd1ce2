//! Who was it? Weighs each visit by where its people stood when something happened at a shelf.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::likelihood::Places;
use crate::ids::{ShelfIx, TrackId, VisitId};
use crate::store::Store;
use crate::tracking::{Fix, Tracking};
use crate::units::signal::log_sum_exp;
use crate::units::{Point, TimeDelta, Timestamp};

/// Log weights of the visits that can have done something; `nobody` is always among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Who {
    pub visits: Vec<(VisitId, f64)>,
    pub nobody: f64,
}

/// Who is in the store, and whose tracks are whose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carriers {
    by_visit: BTreeMap<VisitId, Carrier>,
    has_floor_cameras: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Carrier {
    entered_at: Timestamp,
    left_at: Option<Timestamp>,
    tracks: BTreeSet<TrackId>,
}

impl Carriers {
    pub fn new(store: &Store) -> Self {
        Self {
            by_visit: BTreeMap::new(),
            has_floor_cameras: store.has_floor_cameras(),
        }
    }

    pub fn enter(&mut self, visit: VisitId, at: Timestamp) {
        let carrier = Carrier {
            entered_at: at,
            ..Carrier::default()
        };
        self.by_visit.insert(visit, carrier);
    }

    pub fn bind(&mut self, visit: VisitId, track: TrackId) {
        // Whoever has left keeps his past.
        for carrier in self.by_visit.values_mut().filter(|c| c.left_at.is_none()) {
            carrier.tracks.remove(&track);
        }
        if let Some(carrier) = self.by_visit.get_mut(&visit) {
            carrier.tracks.insert(track);
        }
    }

    /// The tracks of a visit's people.
    pub(super) fn tracks_of(&self, visit: VisitId) -> impl Iterator<Item = TrackId> {
        let carrier = self.by_visit.get(&visit).into_iter();
        carrier.flat_map(|c| c.tracks.iter().copied())
    }

    /// Where a visit's people stood at an instant.
    pub(super) fn places_of<'a>(
        &'a self,
        tracking: &'a Tracking,
        visit: VisitId,
        at: Timestamp,
    ) -> impl Iterator<Item = Point> + 'a {
        let fixes = self.tracks_of(visit);
        fixes.filter_map(move |track| Some(tracking.fix_at(track, at)?.position))
    }

    /// Whether a visit's people can have reached a shelf within a span; where nobody saw them, they
    /// can.
    pub(super) fn was_near(
        &self,
        store: &Store,
        tracking: &Tracking,
        visit: VisitId,
        shelf: ShelfIx,
        (from, to): (Timestamp, Timestamp),
    ) -> bool {
        let gondola = store.gondola_of(shelf);
        let step = LOOK.as_micros();
        let looks = ((to - from).as_micros() / step).clamp(1, LOOKS_MAX);
        let (mut seen, mut near) = (false, false);
        for i in 0..=looks {
            let at = from + TimeDelta::from_micros((to - from).as_micros() * i / looks);
            for place in self.places_of(tracking, visit, at) {
                seen = true;
                near |= gondola.front.distance(place) < gondola.reach + FAR_M;
            }
        }
        near || !seen
    }

    /// Whether a visit was inside at an instant.
    pub(super) fn is_inside(&self, visit: VisitId, at: Timestamp) -> bool {
        self.by_visit
            .get(&visit)
            .is_some_and(|c| c.entered_at <= at && c.left_at.is_none_or(|left| at <= left))
    }

    /// When a visit left; `None` takes back that it did.
    pub fn leave(&mut self, visit: VisitId, at: Option<Timestamp>) {
        if let Some(carrier) = self.by_visit.get_mut(&visit) {
            carrier.left_at = at;
        }
    }

    pub fn forget(&mut self, visit: VisitId) {
        self.by_visit.remove(&visit);
    }

    /// The visits inside at some time of a span, with slack for clocks and doors.
    pub fn present(&self, from: Timestamp, to: Timestamp) -> Vec<VisitId> {
        let slack = TimeDelta::from_millis(1500);
        let inside = |c: &Carrier| {
            c.entered_at <= to + slack && c.left_at.is_none_or(|left| left + slack >= from)
        };
        self.by_visit
            .iter()
            .filter(|(_, c)| inside(c))
            .map(|(v, _)| *v)
            .collect()
    }

    /// The visits that left within a span, and when.
    pub(super) fn left_within(&self, from: Timestamp, to: Timestamp) -> Vec<(VisitId, Timestamp)> {
        let left = |(v, c): (&VisitId, &Carrier)| Some((*v, c.left_at?));
        let within = |(_, left): &(VisitId, Timestamp)| *left >= from && *left <= to;
        self.by_visit
            .iter()
            .filter_map(left)
            .filter(within)
            .collect()
    }

    /// The visits that had left before an instant.
    pub fn gone_before(&self, at: Timestamp) -> Vec<VisitId> {
        let gone = |c: &Carrier| c.left_at.is_some_and(|left| left < at);
        self.by_visit
            .iter()
            .filter(|(_, c)| gone(c))
            .map(|(v, _)| *v)
            .collect()
    }

    /// Log weights of who did something at one of these places along a shelf within `window`.
    pub(super) fn weigh(
        &self,
        store: &Store,
        tracking: &Tracking,
        shelf: ShelfIx,
        places: &Places,
        window: (Timestamp, Timestamp),
    ) -> Who {
        let t = &store.tunables.fusion;
        let nobody = libm::log(t.nobody);
        let place = Place {
            store,
            shelf,
            places,
        };
        let mut visits = Vec::new();
        for visit in self.present(window.0, window.1) {
            let Some(carrier) = self.by_visit.get(&visit) else {
                continue;
            };
            let weight = if self.has_floor_cameras {
                let track = |track: &TrackId| place.weigh(tracking, *track, window);
                let best = carrier
                    .tracks
                    .iter()
                    .map(track)
                    .fold(f64::NEG_INFINITY, f64::max);
                // Nobody knows where a visit without a track stands.
                best.max(libm::log(t.unseen_carrier))
            } else {
                0.0
            };
            visits.push((visit, weight));
        }
        Who { visits, nobody }
    }
}

/// Further from a shelf's reach than this nobody has a hand in it, metres.
const FAR_M: f64 = 1.2;
/// People are looked for so often.
const LOOK: TimeDelta = TimeDelta::from_millis(500);
const LOOKS_MAX: i64 = 60;

/// The share of a gondola's reach from which it is easy to take: on recordings that the project did not
/// make, 95 % of some 50 takes were from within 0.65 m, with a reach of 0.9 m.
const EASY: f64 = 0.67;

struct Place<'a> {
    store: &'a Store,
    shelf: ShelfIx,
    places: &'a Places,
}

impl Place<'_> {
    /// The mean weight over a few instants of the window, as a log.
    fn weigh(&self, tracking: &Tracking, track: TrackId, window: (Timestamp, Timestamp)) -> f64 {
        const INSTANTS: i64 = 5;
        let span = (window.1 - window.0).as_micros();
        let at = |i| window.0 + TimeDelta::from_micros(span * i / (INSTANTS - 1));
        let weights: Vec<f64> = (0..INSTANTS)
            .filter_map(|i| tracking.fix_at(track, at(i)))
            .map(|fix| self.weigh_fix(fix))
            .collect();
        log_sum_exp(weights.iter().copied()) - libm::log(INSTANTS as f64)
    }

    /// An arm reaches about as far sideways as it is long; who stands farther off than is easy seldom
    /// took it, and beyond the gondola's reach hardly ever.
    fn weigh_fix(&self, fix: Fix) -> f64 {
        let t = &self.store.tunables.fusion;
        let gondola = self.store.gondola_of(self.shelf);
        let (along, off) = gondola.front.along_off(fix.position);
        let too_far = (off - EASY * gondola.reach).max(-off).max(0.0);
        let var = fix.sigma * fix.sigma;
        let beyond = too_far * too_far / (t.reach_beyond_m * t.reach_beyond_m + var);
        let reach = t.reach_sideways_m * t.reach_sideways_m + var;
        let each = self.places.each().iter().map(|(place, log)| {
            let sideways = along - place;
            log - 0.5 * sideways * sideways / reach
        });
        log_sum_exp(each) - 0.5 * beyond
    }
}
