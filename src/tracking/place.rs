//! Where people can be: the store's floor, its doors, and who has gone out through one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::person::Person;
use crate::ids::ZoneIx;
use crate::store::Store;
use crate::units::{Point, Polygon, TimeDelta, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Floor {
    /// Convex hull of zones and of where shoppers stand before gondolas.
    hull: Polygon,
    entries: Vec<(ZoneIx, Polygon)>,
    /// What the doors of zones with gates have told, once they have told anything.
    doors: BTreeMap<ZoneIx, Door>,
    exits: Vec<(ZoneIx, Polygon)>,
    staff: Vec<Polygon>,
}

/// A gate's door.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Door {
    open: bool,
    last: Timestamp,
}

/// How long after a door has closed somebody who came through it may first be seen.
const DOOR_SLACK: TimeDelta = TimeDelta::from_millis(2_500);
/// Who is not seen at an exit for so long has gone whatever its door says, seconds.
const GONE_S: f64 = 6.0;
/// Who was lost this near a way out, metres, and is not seen for so long, seconds, has gone.
const GONE_M: f64 = 2.0;
const GONE_UNSEEN_S: f64 = 9.0;
/// The same where the door there seems to have been shut.
const SHUT_UNSEEN_S: f64 = 85.0;
/// How far outside of the hull a person in the store may seem to be, metres.
const MARGIN_M: f64 = 0.25;
/// Who walks towards an exit at this pace is on his way out.
const OUTWARD_M_S: f64 = 0.4;
/// Nearer than this to the floor's edge is on the threshold, metres.
const THRESHOLD_M: f64 = 0.4;
/// How near a door's zone counts as in it, metres.
const DOOR_M: f64 = 0.9;

impl Floor {
    pub(super) fn new(store: &Store) -> Self {
        let mut points: Vec<Point> = store
            .zones
            .iter()
            .flat_map(|z| z.polygon.0.iter().copied())
            .collect();
        for g in &store.gondolas {
            let along = g.front.to - g.front.from;
            let unit = along * (1.0 / along.norm().max(1e-9));
            let out = Point::new(unit.y, -unit.x) * g.reach.min(0.6);
            points.extend([
                g.front.from,
                g.front.to,
                g.front.from + out,
                g.front.to + out,
            ]);
        }
        let zones = |is: fn(&crate::store::Zone) -> bool| {
            let numbered = store.zones.iter().enumerate();
            let chosen = numbered.filter(move |(_, z)| is(z));
            chosen
                .map(|(i, z)| (ZoneIx(i as u16), z.polygon.clone()))
                .collect::<Vec<_>>()
        };
        let mut exits = zones(|z| z.exit);
        if exits.is_empty() {
            exits = zones(|z| z.entry);
        }
        let entries = zones(|z| z.entry);
        // Staff go by doors of their own, out of sight of the floor cameras.
        exits.extend(zones(|z| z.staff && !z.exit));
        let staff = zones(|z| z.staff).into_iter().map(|(_, p)| p).collect();
        Self {
            hull: convex_hull(points),
            entries,
            doors: BTreeMap::new(),
            exits,
            staff,
        }
    }

    pub(super) fn may_be_inside(&self, position: Point, sigma: Point) -> bool {
        self.hull.0.len() < 3 || self.hull.distance(position) < MARGIN_M + sigma.norm().min(0.5)
    }

    pub(super) fn is_inside(&self, position: Point) -> bool {
        self.hull.0.len() < 3 || self.hull.distance(position) < 0.10
    }

    /// Whether somebody can have come in here at that time: through an entry zone whose door, if
    /// it tells at all, was open about then.
    pub(super) fn can_enter(&self, position: Point, at: Timestamp) -> bool {
        let open = |zone: &ZoneIx| {
            self.doors
                .get(zone)
                .is_none_or(|d| d.open || at - d.last < DOOR_SLACK)
        };
        self.entries
            .iter()
            .any(|(zone, p)| p.distance(position) < DOOR_M && open(zone))
    }

    pub(super) fn near_entry(&self, position: Point) -> bool {
        self.entries
            .iter()
            .any(|(_, p)| p.distance(position) < DOOR_M)
    }

    pub(super) fn on_door(&mut self, zone: ZoneIx, at: Timestamp, open: bool) {
        self.doors.insert(zone, Door { open, last: at });
    }

    /// Staff come out of doors of their own.
    pub(super) fn near_staff_door(&self, position: Point) -> bool {
        self.staff.iter().any(|p| p.distance(position) < DOOR_M)
    }

    /// Whether a place is in the shop itself: on the floor and in no door.
    pub(super) fn is_beyond_doors(&self, position: Point) -> bool {
        self.hull.contains(position) && !self.exits.iter().any(|(_, p)| p.contains(position))
    }

    /// Whether somebody can have gone out through a zone by now: its door, if it tells at all, is
    /// open or was just now.
    fn can_leave(&self, zone: ZoneIx, at: Timestamp) -> bool {
        let just = |d: &Door| d.open || at - d.last < DOOR_SLACK;
        self.doors.get(&zone).is_none_or(just)
    }

    /// When and through which zone a person went out by `at`, if he did; `unseen` seconds ago he
    /// was last seen. A door's word can be lost: who is not seen for long has gone.
    pub(super) fn left(
        &self,
        person: &Person,
        unseen: f64,
        at: Timestamp,
    ) -> Option<(Timestamp, ZoneIx)> {
        if !person.been_inside {
            return None;
        }
        let (position, velocity) = (person.position(), person.velocity());
        let nearest = |p: Point| {
            let zones = self
                .exits
                .iter()
                .map(|(z, polygon)| (polygon.distance(p), *z));
            zones.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
        };
        let (distance, zone) = nearest(position)?;
        let (soon, _) = nearest(position + velocity * 0.6)?;
        let outside = self.hull.distance(position);
        let further = self.hull.distance(position + velocity * 0.3);
        let walking_out = outside > 0.05 && further > outside + 0.05;
        // Whoever walked out over the threshold and is not seen for a moment has gone: the next
        // who is seen there comes in.
        let crossing = self.depth(position) < THRESHOLD_M
            && self.depth(position + velocity * 0.5) < 0.05
            && velocity.norm() > OUTWARD_M_S;
        let gone = (walking_out && distance < 0.4)
            || (crossing && unseen > 0.25 && distance < 0.3)
            || (unseen > 0.6 && outside > 0.0 && distance < 0.5)
            || (unseen > 1.0 && distance < 0.05)
            || (unseen > 1.5 && distance.min(soon) < 0.5);
        if !gone || (unseen < GONE_S && !self.can_leave(zone, at)) {
            return None;
        }
        if let Some(at) = person.since(|p| self.hull.distance(p) > 0.0) {
            return Some((at, zone));
        }
        // He was out when he had covered what was left of the zone, within a second.
        let rest = (self.depth(position) / velocity.norm().max(0.5)).min(1.0);
        Some((person.last_seen() + TimeDelta::from_secs(rest), zone))
    }

    /// When and through which zone somebody has gone who was lost not far from a way out, and whom no
    /// camera there has seen since: he went out behind something or somebody.
    pub(super) fn gone(&self, person: &Person, unseen: f64) -> Option<(Timestamp, ZoneIx)> {
        let exits = self.exits.iter();
        let distances = exits.map(|(z, polygon)| (polygon.distance(person.position()), *z));
        let nearest = distances.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (distance, zone) = nearest.filter(|(d, _)| *d < GONE_M)?;
        if !person.been_inside || unseen < GONE_UNSEEN_S {
            return None;
        }
        // Nobody goes out through a door that was shut all the time; where doors tell, one that has
        // told nothing yet was. A door's word can be lost, for long it is not waited.
        let let_out = |d: &Door| d.open || person.last_seen() - d.last < DOOR_SLACK;
        let shut = match self.doors.get(&zone) {
            Some(door) => !let_out(door),
            None => !self.doors.is_empty(),
        };
        if shut && unseen < SHUT_UNSEEN_S {
            return None;
        }
        let way = TimeDelta::from_secs(distance + 0.5);
        Some((person.last_seen() + way, zone))
    }

    /// When and through which zone somebody went out, if within a span he was on its threshold.
    pub(super) fn was_at_exit(
        &self,
        person: &Person,
        (from, to): (Timestamp, Timestamp),
    ) -> Option<(Timestamp, ZoneIx)> {
        let out = |p: Point| {
            let mut exits = self.exits.iter();
            let zone = exits.find(|(_, polygon)| polygon.distance(p) < 0.1);
            zone.filter(|_| self.depth(p) < THRESHOLD_M)
                .map(|(z, _)| *z)
        };
        let fixes = person.fixes(from, to);
        fixes.filter_map(|f| Some((f.at, out(f.position)?))).last()
    }

    /// How far inside the hull a point lies, metres.
    pub(super) fn depth(&self, p: Point) -> f64 {
        if !self.hull.contains(p) {
            return 0.0;
        }
        let edges = self.hull.edges();
        let distance = |(from, to)| crate::units::Segment { from, to }.distance(p);
        edges.map(distance).fold(f64::INFINITY, f64::min)
    }
}

/// The convex hull, counter-clockwise (Andrew's monotone chain).
fn convex_hull(mut points: Vec<Point>) -> Polygon {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    points.dedup();
    if points.len() < 3 {
        return Polygon(points);
    }
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for p in points {
            while let [.., a, b] = chain[..]
                && (b - a).cross(p - a) <= 0.0
            {
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    Polygon(hull)
}
