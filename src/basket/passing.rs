//! Who goes out where no camera sees the floor and no token is shown on the way: a door tells that
//! somebody passes and about how many, the tags that the gate hears tell whose they are, and who
//! came in first goes first. What is left of doubt lies on all who may have been meant.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::visits::{Visit, VisitChange, Visits};
use crate::fusion::Heard;
use crate::ids::{GateIx, VisitId};
use crate::units::signal::log_sum_exp;
use crate::units::{TimeDelta, Timestamp};

/// A door that stood open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    pub gate: GateIx,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// Somebody is taken to have gone whom nobody saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Guess {
    /// The visit's doubt without it.
    doubt: f64,
    /// Probability that it was another.
    mistaken: f64,
}

/// Openings of the doors that lead out, and how long a door stands open for one person.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Doorways {
    open: BTreeMap<GateIx, Timestamp>,
    /// Shut again, until all is heard of who passed.
    shut: Vec<Opening>,
    /// How long doors stood open of late, newest last.
    lengths: VecDeque<TimeDelta>,
    stays: Stays,
}

/// How long shoppers stay.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Stays {
    number: f64,
    sum_s: f64,
}

impl Stays {
    fn add(&mut self, seconds: f64) {
        self.number += 1.0;
        self.sum_s += seconds;
    }

    /// How likely it is, as a log, that whoever has been inside for so long goes just now, against
    /// others: the hazard of a normal distribution, in spreads.
    fn log_hazard(&self, seconds: f64) -> f64 {
        let mean = (self.sum_s + STAY_S * STAY_WEIGHT) / (self.number + STAY_WEIGHT);
        // Beyond, it rises no faster than z itself.
        let z = ((seconds - mean) / (STAY_SPREAD * mean)).clamp(-3.0, 6.0);
        let density = libm::exp(-0.5 * z * z) / libm::sqrt(std::f64::consts::TAU);
        let longer = 0.5 * libm::erfc(z / std::f64::consts::SQRT_2);
        libm::log(density / longer)
    }
}

/// The gate's antennas have told of a tag so long after it passed: the slowest report.
const TOLD: TimeDelta = TimeDelta::from_millis(2_000);
/// A door that stands open for longer is wedged, or its contact is broken.
const WEDGED: TimeDelta = TimeDelta::from_millis(20_000);
/// People who pass a door one behind the other: a door's capacity of about one a second.
const HEADWAY_S: f64 = 1.1;
/// A contact that opens for less bounces: nobody passes in so short a time.
const BOUNCE: TimeDelta = TimeDelta::from_millis(500);
/// Openings remembered.
const LENGTHS: usize = 24;
/// A token is shown, or somebody let in, so long before the door opens.
const BEFORE: TimeDelta = TimeDelta::from_millis(3_000);
/// Nobody is out again so soon after he came in.
const STAY: TimeDelta = TimeDelta::from_millis(4_000);
/// What a stay is taken for before any is known, and the weight of that.
const STAY_S: f64 = 60.0;
const STAY_WEIGHT: f64 = 3.0;
/// The spread of stays as a share of their mean. Assumed.
const STAY_SPREAD: f64 = 0.45;
/// A hazard below this, as a log, speaks for a door that opened for nobody.
const SOON_LOG: f64 = -1.0;
/// What a person more or less than a door for one tells costs, nats; the more, the worse they count.
const MISCOUNT: f64 = 4.0;
/// What a door that opens for nobody costs, nats.
const FOR_NOBODY: f64 = 3.0;
/// Whose going is as sure as this tells how long shoppers stay.
const SURE: f64 = 0.2;
/// Less doubt than this is none.
const NO_DOUBT: f64 = 0.02;
/// The people of a party go out within this of each other.
const PARTY: TimeDelta = TimeDelta::from_millis(10_000);
/// When somebody passed is looked for in such steps.
const STEP: TimeDelta = TimeDelta::from_millis(300);

impl Doorways {
    /// A door told that it is open or shut; `exit`, people go out by it.
    pub(super) fn on_door(&mut self, gate: GateIx, exit: bool, at: Timestamp, open: bool) {
        if open {
            let from = self.open.entry(gate).or_insert(at);
            if at - *from > WEDGED {
                // Nobody told that it was shut between.
                *from = at;
            }
        } else if let Some(from) = self.open.remove(&gate).filter(|from| at - *from < WEDGED) {
            if at - from < BOUNCE {
                return;
            }
            self.lengths.push_back(at - from);
            if self.lengths.len() > LENGTHS {
                self.lengths.pop_front();
            }
            if exit {
                self.shut.push(Opening { gate, from, to: at });
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.shut.iter().map(|opening| opening.to + TOLD).min()
    }

    pub(super) fn take_due(&mut self, at: Timestamp) -> Vec<Opening> {
        let (due, later) = self.shut.iter().partition(|o| o.to + TOLD <= at);
        self.shut = later;
        due
    }

    /// How many people a door stood open for.
    fn people(&self, opening: &Opening) -> u32 {
        let length = (opening.to - opening.from).as_secs();
        // Most come and go by themselves.
        let mut lengths: Vec<TimeDelta> = self.lengths.iter().copied().collect();
        lengths.sort_unstable();
        let one = lengths.get(lengths.len() / 4);
        let one = one.map_or(length, |one| one.as_secs());
        let more = ((length - one) / HEADWAY_S).round().clamp(0.0, 20.0);
        1 + more as u32
    }
}

impl Opening {
    /// Instants at which somebody may have passed.
    pub fn instants(&self) -> Vec<Timestamp> {
        let mut instants = vec![self.from];
        let mut at = self.from + STEP;
        while at <= self.to {
            instants.push(at);
            at += STEP;
        }
        instants
    }

    fn middle(&self) -> Timestamp {
        self.from + TimeDelta::from_micros((self.to - self.from).as_micros() / 2)
    }
}

impl Visits {
    /// A token was shown by who goes.
    pub(super) fn note_stay(&mut self, at: Timestamp, entered_at: Timestamp) {
        self.doorways.stays.add(at.secs_since(entered_at));
    }

    /// The doors' openings of which all is heard.
    pub fn take_openings(&mut self, at: Timestamp) -> Vec<Opening> {
        self.doorways.take_due(at)
    }

    /// Who may have gone out through an opening unseen: who is inside, and who was taken to have gone
    /// before, as far as that is in doubt.
    pub fn may_have_passed(&self, opening: &Opening) -> Vec<VisitId> {
        let may = |v: &&Visit| {
            let inside = v.left_at.is_none_or(|left| {
                v.guessed.is_some_and(|g| g.mistaken > NO_DOUBT) && left < opening.from
            });
            inside && v.entered_at + STAY < opening.from
        };
        self.visits.values().filter(may).map(|v| v.id).collect()
    }

    /// How many passed of whom nothing tells who they are, and whether anybody told.
    fn unexplained(&self, opening: &Opening) -> (i64, bool) {
        let about = |at: Timestamp| at + BEFORE >= opening.from && at <= opening.to;
        let came = |v: &Visit| v.gate == Some(opening.gate) && about(v.entered_at);
        let went = |v: &Visit| v.exit_gate == Some(opening.gate) && v.left_at.is_some_and(about);
        // A party goes out one by one.
        let follows = |v: &Visit| {
            let before = |left: Timestamp| left < opening.from && opening.from < left + PARTY;
            v.party > 1 && v.exit_gate == Some(opening.gate) && v.left_at.is_some_and(before)
        };
        let people = i64::from(self.doorways.people(opening));
        let (mut told, mut rest) = (0, 0);
        for v in self.visits.values() {
            if came(v) || went(v) && v.shown {
                told += i64::from(v.party);
            } else if follows(v) {
                rest += i64::from(v.party) - 1;
            }
        }
        (people - told - rest.min(people), told + rest > 0)
    }

    /// Decides who passed a door: whoever makes what was heard likeliest, one by one. What is known
    /// less well than surely lies as doubt on all who may have been meant.
    pub fn pass(&mut self, opening: &Opening, heard: &[Heard], out: &mut Vec<VisitChange>) {
        let people = self.unexplained(opening);
        if people.0 <= 0 {
            return;
        }
        let may = self.may_have_passed(opening);
        let hazards = may.iter().map(|v| self.log_hazard(*v, opening));
        // Of whoever came in just now it says that nobody may have gone at all.
        let most = hazards.fold(SOON_LOG, f64::max);
        let likelihood = |set: &BTreeSet<VisitId>| {
            let order: f64 = set
                .iter()
                .map(|v| self.log_hazard(*v, opening) - most)
                .sum();
            order + self.likelihood(set, people, heard)
        };
        let with = |set: &BTreeSet<VisitId>, v: VisitId| {
            let mut set = set.clone();
            set.insert(v);
            set
        };
        let mut passed = BTreeSet::new();
        loop {
            let others = may.iter().filter(|v| !passed.contains(*v));
            let more = others.map(|v| with(&passed, *v));
            let more = more.map(|set| (likelihood(&set), set));
            let best = more.max_by(|a, b| a.0.total_cmp(&b.0));
            match best {
                Some((log, set)) if log > likelihood(&passed) => passed = set,
                _ => break,
            }
        }
        let mut ways = vec![passed.clone()];
        for v in &may {
            let mut less = passed.clone();
            if less.remove(v) {
                let others = may.iter().filter(|o| !passed.contains(*o));
                ways.extend(others.map(|o| with(&less, *o)));
                ways.push(less);
            } else {
                ways.push(with(&passed, *v));
            }
        }
        let weighed: Vec<f64> = ways.iter().map(likelihood).collect();
        let sum = log_sum_exp(weighed.iter().copied());
        let chance = |v: &VisitId| {
            let among = ways.iter().zip(&weighed).filter(|(way, _)| way.contains(v));
            let p: f64 = among.map(|(_, log)| libm::exp(log - sum)).sum();
            p.clamp(0.0, 1.0)
        };
        let chances: Vec<f64> = may.iter().map(chance).collect();
        for (v, p) in may.into_iter().zip(chances) {
            let has = passed.contains(&v);
            let mistaken = if has { 1.0 - p } else { p };
            if has {
                let at = passed_at(opening, v, heard);
                self.leave_unseen(v, at, opening.gate, mistaken, out);
            } else if let Some(visit) = self.visits.get_mut(&v) {
                visit.doubt = 1.0 - (1.0 - visit.doubt) * (1.0 - mistaken);
            }
        }
    }

    /// Somebody went out, and nobody saw who. Who had been taken to have gone before gives his place
    /// there to another.
    fn leave_unseen(
        &mut self,
        id: VisitId,
        at: Timestamp,
        gate: GateIx,
        mistaken: f64,
        out: &mut Vec<VisitChange>,
    ) {
        let Some(visit) = self.visits.get_mut(&id) else {
            return;
        };
        if mistaken < SURE && visit.left_at.is_none() && !visit.staff {
            self.doorways.stays.add(at.secs_since(visit.entered_at));
        }
        let before = visit.guessed.take();
        let was = visit.left_at.zip(visit.exit_gate);
        let doubt = before.map_or(visit.doubt, |guess| guess.doubt);
        visit.left_at = Some(at);
        visit.exit_gate = Some(gate);
        visit.guessed = Some(Guess { doubt, mistaken });
        visit.doubt = 1.0 - (1.0 - doubt) * (1.0 - mistaken);
        out.push(VisitChange::Left(id));
        if let Some(was) = was {
            self.give_place(was, mistaken, out);
        }
    }

    /// Somebody went at a time and another than was taken to: the one who had been inside for
    /// longest.
    fn give_place(
        &mut self,
        (at, gate): (Timestamp, GateIx),
        mistaken: f64,
        out: &mut Vec<VisitChange>,
    ) {
        let inside = |v: &&Visit| v.left_at.is_none() && v.entered_at + STAY < at;
        let others = self.visits.values().filter(inside);
        let longest = others.min_by_key(|v| (v.entered_at, v.id)).map(|v| v.id);
        if let Some(other) = longest {
            self.leave_unseen(other, at, gate, mistaken, out);
        }
    }

    /// How likely it is, as a log, that somebody's stay ends just now; staff's may at any time.
    fn log_hazard(&self, id: VisitId, opening: &Opening) -> f64 {
        match &self.visits[&id] {
            v if v.staff => 0.0,
            v => {
                let stay = opening.from.secs_since(v.entered_at);
                self.doorways.stays.log_hazard(stay)
            }
        }
    }

    /// Log likelihood of what a door and its gate tell if all of these passed, up to a constant.
    fn likelihood(
        &self,
        passed: &BTreeSet<VisitId>,
        (people, told): (i64, bool),
        heard: &[Heard],
    ) -> f64 {
        let of = |v: &VisitId| &self.visits[v];
        let count: i64 = passed.iter().map(|v| i64::from(of(v).party)).sum();
        let off = (count - people).abs() as f64 / libm::sqrt(people.max(1) as f64);
        let door = if count == 0 && !told {
            FOR_NOBODY
        } else {
            MISCOUNT * off
        };
        let tags = heard.iter().map(|tag| {
            let p: f64 = passed.iter().filter_map(|v| tag.holders.get(v)).sum();
            let p = p.clamp(0.0, 1.0);
            libm::log(p * libm::exp(tag.log) + 1.0 - p)
        });
        let known = passed.iter().filter_map(|v| of(v).guessed);
        let again: f64 = known.map(|guess| -libm::log(guess.mistaken)).sum();
        tags.sum::<f64>() - door - again
    }

    /// A token is shown by somebody who was taken to have gone before: that was another.
    pub(super) fn take_back(
        &mut self,
        at: Timestamp,
        gate: GateIx,
        token: &str,
        out: &mut Vec<VisitChange>,
    ) {
        let gone = |v: &&mut Visit| v.guessed.is_some() && v.token.as_deref() == Some(token);
        let Some(visit) = self.visits.values_mut().find(gone) else {
            return;
        };
        let was = visit.left_at.zip(visit.exit_gate);
        visit.doubt = visit.guessed.take().map_or(visit.doubt, |g| g.doubt);
        visit.left_at = Some(at);
        visit.exit_gate = Some(gate);
        visit.shown = true;
        out.push(VisitChange::Left(visit.id));
        if let Some(was) = was {
            self.give_place(was, NO_DOUBT, out);
        }
    }
}

/// When a visit passed: as the gate hears what it holds, else in the middle of the opening.
fn passed_at(opening: &Opening, visit: VisitId, heard: &[Heard]) -> Timestamp {
    let instants = opening.instants();
    let weight = |i: usize| -> f64 {
        let each = heard.iter().map(|tag| {
            let p = tag.holders.get(&visit).copied().unwrap_or(0.0);
            p * tag.at.get(i).copied().unwrap_or(0.0)
        });
        each.sum()
    };
    let weights: Vec<f64> = (0..instants.len()).map(weight).collect();
    let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = weights.iter().copied().fold(f64::INFINITY, f64::min);
    if most - least < 1e-9 {
        return opening.middle();
    }
    let best: Vec<Timestamp> = instants
        .iter()
        .zip(&weights)
        .filter(|(_, w)| most - **w < 1e-9)
        .map(|(at, _)| *at)
        .collect();
    let middle = best.get(best.len() / 2);
    middle.copied().unwrap_or_else(|| opening.middle())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: GateIx = GateIx(0);

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_nanos(0) + TimeDelta::from_secs(seconds)
    }

    fn opening(from: f64, to: f64) -> Opening {
        Opening {
            gate: GATE,
            from: at(from),
            to: at(to),
        }
    }

    #[test]
    fn a_door_that_stands_open_for_longer_lets_more_through() {
        let mut doors = Doorways::default();
        let entry = GateIx(1);
        // The way in tells how long it stands open for one, and is nobody's way out.
        doors.on_door(entry, false, at(10.0), true);
        doors.on_door(entry, false, at(12.2), false);
        assert_eq!(doors.deadline(), None);
        for (length, people) in [(2.2, 1), (2.6, 1), (3.3, 2), (4.8, 3)] {
            let from = 100.0 * length;
            doors.on_door(GATE, true, at(from), true);
            doors.on_door(GATE, true, at(from + length), false);
            assert_eq!(doors.deadline(), Some(at(from + length) + TOLD));
            let due = doors.take_due(at(from + 60.0));
            assert_eq!(due, [opening(from, from + length)]);
            assert_eq!(doors.people(&due[0]), people, "{length} s");
        }
    }

    #[test]
    fn a_door_that_is_wedged_or_told_twice_counts_nobody_twice() {
        let mut doors = Doorways::default();
        doors.on_door(GATE, true, at(0.0), true);
        doors.on_door(GATE, true, at(1.0), true);
        doors.on_door(GATE, true, at(2.0), false);
        doors.on_door(GATE, true, at(2.5), false);
        assert_eq!(doors.take_due(at(9.0)), [opening(0.0, 2.0)]);
        doors.on_door(GATE, true, at(10.0), true);
        doors.on_door(GATE, true, at(90.0), false);
        assert_eq!(doors.take_due(at(99.0)), []);
        // A contact that bounces lets nobody through, and counts as no opening.
        doors.on_door(GATE, true, at(99.0), true);
        doors.on_door(GATE, true, at(99.2), false);
        assert_eq!(
            (doors.take_due(at(109.0)), doors.lengths.len()),
            (vec![], 1)
        );
        // That it was shut went untold.
        doors.on_door(GATE, true, at(110.0), true);
        doors.on_door(GATE, true, at(200.0), true);
        doors.on_door(GATE, true, at(202.0), false);
        assert_eq!(doors.take_due(at(209.0)), [opening(200.0, 202.0)]);
    }

    #[test]
    fn who_has_been_inside_for_long_goes_first() {
        let mut stays = Stays::default();
        let hazards: Vec<f64> = [5.0, 30.0, 60.0, 120.0, 1e6]
            .iter()
            .map(|s| stays.log_hazard(*s))
            .collect();
        assert!(hazards.is_sorted() && hazards.iter().all(|h| h.is_finite()));
        let before = stays.log_hazard(120.0);
        for _ in 0..10 {
            stays.add(600.0);
        }
        // Where people stay for ten minutes nobody has to go after two.
        assert!(stays.log_hazard(120.0) < before - 1.0);
    }

    #[test]
    fn who_passed_did_so_when_the_gate_heard_what_he_holds() {
        let opening = opening(10.0, 13.0);
        let visit = VisitId(1);
        let n = opening.instants().len();
        let tag = |loud: usize| Heard {
            holders: BTreeMap::from([(visit, 0.9)]),
            log: 2.5,
            at: (0..n).map(|i| if i == loud { 2.5 } else { -1.0 }).collect(),
        };
        assert_eq!(passed_at(&opening, visit, &[tag(8)]), at(12.4));
        assert_eq!(passed_at(&opening, visit, &[]), at(11.5));
        assert_eq!(passed_at(&opening, VisitId(2), &[tag(8)]), at(11.5));
    }
}
