//! Tags away from home: where they were heard since they left it, what the gate heard as a visit
//! left, whose walk they follow, and what is heard of them inside when their holder has gone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::trace::{Followed, Inside, Trace};
use super::world::Unit;
use super::{Decision, Fusion, comove};
use crate::gs1::Epc;
use crate::ids::{GateIx, VisitId};
use crate::presence::Presence;
use crate::store::{ReadPoint, Store};
use crate::tracking::{Fix, Tracking};
use crate::units::{TimeDelta, Timestamp};

/// What was heard of a tag since it left its home.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Away {
    pub(super) home: Option<ReadPoint>,
    pub(super) since: Option<Timestamp>,
    /// Newest last.
    pub(super) reads: Vec<Sighting>,
    /// Up to when reads have told whose walk they follow.
    pub(super) followed: Option<Timestamp>,
    /// Since when it has stood, or been held, before another shelf than its home.
    pub(super) rested: Option<(Timestamp, ReadPoint)>,
}

impl Away {
    /// While it stands, or is held, before a shelf it is heard there all along.
    pub(super) fn hold_still(&mut self, until: Timestamp) {
        let Some((since, place)) = self.rested else {
            return;
        };
        let second = TimeDelta::from_millis(1_000);
        let newest = self.reads.last().map(|r| r.at + second);
        let mut at = newest.map_or(since, |at| at.max(since));
        while at <= until.min(since + HELD_STILL) {
            self.reads.push(Sighting { at, place });
            at += second;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Sighting {
    pub(super) at: Timestamp,
    pub(super) place: ReadPoint,
}

/// What a gate heard of a tag while somebody passed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// How likely each visit holds it.
    pub holders: BTreeMap<VisitId, f64>,
    /// How much likelier this is if it was carried out, as a log: at any of the instants, and at each.
    pub log: f64,
    pub at: Vec<f64>,
}

/// Somebody who stands still before a shelf lets what he holds seem to stand there, for so long.
pub(super) const HELD_STILL: TimeDelta = TimeDelta::from_millis(20_000);
/// Who goes out so long before another may have passed the gate with him.
const TOGETHER: TimeDelta = TimeDelta::from_millis(4_000);
/// Who left is past the gate so long after.
const PAST: TimeDelta = TimeDelta::from_millis(1_500);
/// Whose walk ends this near a gate passed it, metres.
const AT_GATE_M: f64 = 1.0;
/// A tag heard at a gate within this time before somebody left may have gone with him.
const AT_GATE: TimeDelta = TimeDelta::from_millis(6_000);

impl Fusion {
    /// A tag answers again and again at one place: it stands there, or somebody who holds it does.
    pub(super) fn on_rest(&mut self, epc: Epc, place: ReadPoint, at: Timestamp) {
        match self.sightings.get_mut(&epc) {
            Some(away) if away.home != Some(place) => {
                away.rested = Some((at, place));
            }
            _ => {
                self.sightings.remove(&epc);
            }
        }
    }

    /// The gate's antennas are weighed when a visit leaves: a tag heard there while the visit passed
    /// speaks for it, one heard inside afterwards against it. Who passed with it has left the same
    /// reads, and is weighed with it; what was heard of him since is weighed as he is closed.
    pub fn on_left(
        &mut self,
        store: &Store,
        tracking: &Tracking,
        presence: &Presence,
        at: Timestamp,
        (visit, gate, left_at): (VisitId, Option<GateIx>, Timestamp),
        out: &mut Vec<Decision>,
    ) {
        self.follow(store, tracking, presence, visit, left_at, out);
        // Who is closed without having been seen to go has passed no gate.
        let gates = gate.map_or(Vec::new(), |gate| gate_read_points(store, Some(gate)));
        if gates.is_empty() {
            return;
        }
        let all = gate_read_points(store, None);
        // Where nobody is followed, when somebody left is not known well enough.
        let together = if store.has_floor_cameras() {
            self.carriers.left_within(left_at - TOGETHER, at - PAST)
        } else {
            Vec::new()
        };
        for (other, left) in together {
            if other != visit && !self.passed.contains_key(&other) {
                self.weigh_gate(store, tracking, (other, &all, left), out);
            }
        }
        self.trace(|fusion| {
            let passed = (visit, &gates[..], left_at);
            Trace::Gate(fusion.at_gate(store, tracking, passed))
        });
        self.weigh_gate(store, tracking, (visit, &gates, left_at), out);
    }

    /// Weighs what a gate heard of the tags of a visit that passed it, less what was weighed already.
    fn weigh_gate(
        &mut self,
        store: &Store,
        tracking: &Tracking,
        (visit, gates, left_at): (VisitId, &[ReadPoint], Timestamp),
        out: &mut Vec<Decision>,
    ) {
        let says = self.gate_says(store, tracking, (visit, gates, left_at));
        let before = self.passed.remove(&visit).unwrap_or_default();
        let change = |unit: &Unit| gate_change(&before, &says, unit);
        let changed = self.clusters.reweigh(visit, change);
        self.passed.insert(visit, says);
        if !changed.is_empty() {
            out.push(Decision::Reweighed(changed));
        }
    }

    /// What a gate says of each tag that a visit may hold.
    pub(super) fn gate_says(
        &self,
        store: &Store,
        tracking: &Tracking,
        (visit, gates, left_at): (VisitId, &[ReadPoint], Timestamp),
    ) -> BTreeMap<Epc, f64> {
        let units = self.clusters.units_of(visit);
        let passed = self.passings(store, tracking, (visit, gates, left_at));
        let say = |epc: Epc| {
            let reads = self.sightings.get(&epc).map_or(&[][..], |a| &a.reads);
            let near = self.others_at_gate(store, tracking, (visit, epc), || {
                reads.iter().filter(|r| is_at_gate(r, gates, &passed))
            });
            (epc, gate_log_ratio(reads, gates, &passed, near))
        };
        units.iter().filter_map(|(u, _)| u.epc).map(say).collect()
    }

    /// What a gate heard of each tag that these visits may hold while somebody passed at one of these
    /// instants.
    pub fn heard_passing(
        &self,
        store: &Store,
        gate: GateIx,
        instants: &[Timestamp],
        visits: &[VisitId],
    ) -> Vec<Heard> {
        let gates = gate_read_points(store, Some(gate));
        if gates.is_empty() {
            return Vec::new();
        }
        let units = visits.iter().flat_map(|v| self.clusters.units_of(*v));
        let tags: BTreeSet<Epc> = units.filter_map(|(unit, _)| unit.epc).collect();
        let hear = |epc: Epc| {
            let reads = self.sightings.get(&epc).map_or(&[][..], |a| &a.reads);
            let at = |at: &Timestamp| gate_log_ratio(reads, &gates, &[*at], 0.0);
            Heard {
                holders: self.clusters.chances(epc),
                log: gate_log_ratio(reads, &gates, instants, 0.0),
                at: instants.iter().map(at).collect(),
            }
        };
        tags.into_iter().map(hear).collect()
    }

    /// When the people of a visit passed its gate, the last one last: a party leaves one by one.
    fn passings(
        &self,
        store: &Store,
        tracking: &Tracking,
        (visit, gates, left_at): (VisitId, &[ReadPoint], Timestamp),
    ) -> Vec<Timestamp> {
        let at_gate = |fix: &Fix| {
            let near =
                |gate: &&ReadPoint| comove::distance(store, **gate, fix.position) < AT_GATE_M;
            fix.at < left_at && gates.iter().any(|gate| near(&gate))
        };
        let ends = self.carriers.tracks_of(visit);
        let ends = ends.filter_map(|track| tracking.ended(track));
        let mut passed: Vec<Timestamp> = ends.filter(at_gate).map(|fix| fix.at).collect();
        passed.push(left_at);
        passed
    }

    /// How likely it is, if a visit does not have a tag, that somebody has it who stood as near the
    /// gate in the reads there.
    fn others_at_gate<'a, R: Iterator<Item = &'a Sighting>>(
        &self,
        store: &Store,
        tracking: &Tracking,
        (visit, epc): (VisitId, Epc),
        reads: impl Fn() -> R,
    ) -> f64 {
        let n = reads().count();
        if n == 0 || !store.has_floor_cameras() {
            return 0.0;
        }
        let chances = self.clusters.chances(epc);
        let own = chances.get(&visit).copied().unwrap_or(0.0);
        let fit = |v: VisitId, read: &Sighting| {
            let mut tracks = self.carriers.tracks_of(v);
            comove::fit_tracks(store, tracking, &mut tracks, read)
        };
        let near = |v: VisitId| {
            let each = reads().map(|read| {
                let own = fit(visit, read).unwrap_or(0.0);
                fit(v, read).map_or(0.0, |other| libm::exp((other - own).min(0.0)))
            });
            each.sum::<f64>() / n as f64
        };
        let others = chances.iter().filter(|(v, _)| **v != visit);
        let all: f64 = others.map(|(v, p)| p * near(*v)).sum();
        (all / (1.0 - own).max(1e-6)).clamp(0.0, 1.0)
    }

    /// Weighs whose walk tags follow that a visit which left may have carried out.
    fn follow(
        &mut self,
        store: &Store,
        tracking: &Tracking,
        presence: &Presence,
        visit: VisitId,
        left_at: Timestamp,
        out: &mut Vec<Decision>,
    ) {
        if !store.has_floor_cameras() {
            return;
        }
        for (epc, away) in &mut self.sightings {
            if let Some(last) = presence.last_at_home(epc) {
                away.hold_still(last);
            }
        }
        let heard = |away: &Away| {
            away.reads
                .last()
                .is_some_and(|r| Some(r.at) > away.followed)
        };
        let told = self.sightings.iter().filter(|(_, away)| heard(away));
        let told: Vec<Epc> = told.map(|(epc, _)| *epc).collect();
        let around = left_at - AT_GATE;
        for epc in told {
            let Some(gtin) = store.gtin_of(&epc) else {
                continue;
            };
            let Some(away) = self.sightings.get_mut(&epc) else {
                continue;
            };
            // A tag that nobody knows from a shelf is no unit's that was taken from one.
            let known = away.home.is_some();
            let mut holders = self.clusters.holders(epc);
            if known {
                holders.append(&mut self.clusters.untagged(gtin));
            }
            let at_gate = |r: &Sighting| matches!(r.place, ReadPoint::Gate(_)) && r.at >= around;
            let concerned = holders.contains(&visit) || away.reads.iter().any(at_gate);
            if holders.is_empty() || !concerned {
                continue;
            }
            let from = away.followed;
            let fresh = away.reads.partition_point(|r| Some(r.at) <= from);
            let Some(first) = away.reads.get(fresh).map(|r| r.at) else {
                continue;
            };
            let since = from.or(away.since).unwrap_or(first);
            let walks = comove::Walks::new(
                store,
                tracking,
                &self.carriers,
                (away.home, away.rested, since),
                holders,
                &away.reads[fresh..],
            );
            away.followed = away.reads.last().map(|r| r.at);
            let Some(walks) = walks else { continue };
            let before = self.traces.is_some().then(|| self.clusters.chances(epc));
            let changed = self.clusters.follow(epc, gtin, known, &walks);
            if let Some(before) = before {
                let after = self.clusters.chances(epc);
                let visits: BTreeSet<VisitId> =
                    before.keys().chain(after.keys()).copied().collect();
                let p = |of: &BTreeMap<VisitId, f64>, v| of.get(&v).copied().unwrap_or(0.0);
                let each = visits.into_iter();
                let visits = each.map(|v| (v, p(&before, v), walks.kept(v), p(&after, v)));
                let followed = Followed {
                    epc,
                    gtin,
                    heard: walks.heard(),
                    visits: visits.collect(),
                };
                self.trace(|_| Trace::Followed(followed));
            }
            if !changed.is_empty() {
                out.push(Decision::Reweighed(changed));
            }
        }
    }

    /// A tag heard inside the store after a visit left cannot be in that visit's hands.
    pub(super) fn on_heard_inside(
        &mut self,
        heard: Timestamp,
        epc: Epc,
        place: ReadPoint,
        out: &mut Vec<Decision>,
    ) {
        if matches!(place, ReadPoint::Gate(_)) {
            return;
        }
        let gone = self
            .carriers
            .gone_before(heard - TimeDelta::from_millis(2500));
        for visit in gone {
            let changed = self.clusters.reweigh_one(visit, epc, HEARD_INSIDE_LOG);
            if !changed.is_empty() {
                self.trace(|_| {
                    Trace::Inside(Inside {
                        visit,
                        epc,
                        place,
                        at: heard,
                        log: HEARD_INSIDE_LOG,
                    })
                });
                out.push(Decision::Reweighed(changed));
            }
        }
    }

    /// A tag that stands on a shelf again after a visit left was not carried out by that visit.
    pub(super) fn on_back_home(&mut self, after: Timestamp, epc: Epc, out: &mut Vec<Decision>) {
        for visit in self.carriers.gone_before(after) {
            let changed = self.clusters.reweigh_one(visit, epc, BACK_HOME_LOG);
            if !changed.is_empty() {
                out.push(Decision::Reweighed(changed));
            }
        }
    }
}

/// By how much a gate's say of a unit differs from what has been weighed of it.
pub(super) fn gate_change(
    before: &BTreeMap<Epc, f64>,
    says: &BTreeMap<Epc, f64>,
    unit: &Unit,
) -> f64 {
    let of = |says: &BTreeMap<Epc, f64>| unit.epc.and_then(|epc| says.get(&epc).copied());
    of(says).map_or(0.0, |say| say - of(before).unwrap_or(0.0))
}

/// Log likelihood of one read inside the store of a tag that was carried out seconds before:
/// a late report or a read through the door.
const HEARD_INSIDE_LOG: f64 = -2.0;

/// The same of one that settled on a shelf.
const BACK_HOME_LOG: f64 = -8.0;

fn gate_read_points(store: &Store, gate: Option<GateIx>) -> Vec<ReadPoint> {
    let points = store.antennas.iter().map(|a| a.read_point);
    let at_gate = |p: &ReadPoint| match p {
        ReadPoint::Gate(g) => gate.is_none_or(|gate| gate == *g),
        _ => false,
    };
    points.filter(at_gate).collect()
}

/// How much likelier, as a log, what the gate's antennas heard of a tag around a visit's exit is
/// if the visit carried it out than if it did not. Bodies and bags hide about one carried tag in
/// ten; stray reads of tags near the door are common (86 % of static tags near a gate were heard in
/// a published set of 90 passages), so a read says less than its absence or its timing.
/// `near` is how likely it is that it went in other hands which were as near the gate.
pub(super) fn gate_log_ratio(
    reads: &[Sighting],
    gates: &[ReadPoint],
    passed: &[Timestamp],
    near: f64,
) -> f64 {
    let here = || reads.iter().filter(|r| is_at_gate(r, gates, passed));
    let span = TimeDelta::from_millis(900);
    // A tag is loudest to the gate just as it passes; one heard before and no more has gone with
    // somebody else.
    let at_once = |r: &&Sighting| {
        passed
            .iter()
            .any(|t| r.at >= *t - span && r.at <= *t + span)
    };
    let passing = here().filter(at_once);
    let after = PAST + TimeDelta::from_millis(1000);
    let gone = |r: &Sighting| passed.iter().all(|t| r.at > *t + after);
    let inside = reads.iter().any(gone);
    let (carried, not): (f64, f64) = match (here().count(), passing.count()) {
        (0, _) => (0.06, 0.65),
        (_, 0) => (0.04, 0.16),
        (_, 1) => (0.16, 0.10),
        (_, 2..=3) => (0.30, 0.06),
        _ => (0.38, 0.03),
    };
    let not = not + BESIDE * near * (carried - not).max(0.0);
    let heard_inside = if inside { 0.05 / 0.60 } else { 0.95 / 0.40 };
    libm::log(carried / not * heard_inside)
}

/// Who stands beside a gate is heard there less than who passes it.
const BESIDE: f64 = 0.4;

fn is_at_gate(read: &Sighting, gates: &[ReadPoint], passed: &[Timestamp]) -> bool {
    let before = TimeDelta::from_millis(3500);
    let about = |t: &Timestamp| read.at >= *t - before && read.at <= *t + PAST;
    gates.contains(&read.place) && passed.iter().any(about)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: ReadPoint = ReadPoint::Gate(GateIx(0));

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_nanos(0) + TimeDelta::from_secs(seconds)
    }

    /// Read at the gate at these seconds.
    fn reads(seconds: &[f64]) -> Vec<Sighting> {
        let read = |s: &f64| Sighting {
            at: at(*s),
            place: GATE,
        };
        seconds.iter().map(read).collect()
    }

    fn says(seconds: &[f64], passed: &[f64], near: f64) -> f64 {
        let passed: Vec<Timestamp> = passed.iter().map(|s| at(*s)).collect();
        gate_log_ratio(&reads(seconds), &[GATE], &passed, near)
    }

    #[test]
    fn a_gate_says_less_where_somebody_else_stood_as_near() {
        let passing = [99.4, 99.7, 100.1, 100.4];
        assert!(says(&passing, &[100.0], 0.0) > 3.0);
        let beside = says(&passing, &[100.0], 1.0);
        assert!(beside > 0.0 && beside < 2.0, "{beside}");
        assert!(says(&[], &[100.0], 0.0) < -1.0);
    }

    #[test]
    fn of_a_party_either_may_have_carried_it_past_the_gate() {
        let passing = [93.4, 93.7, 94.1, 94.4];
        // By the last of them alone it had gone before with somebody else.
        assert!(says(&passing, &[100.0], 0.0) < 0.0);
        assert!(says(&passing, &[94.0, 100.0], 0.0) > 3.0);
    }
}
