//! Who came in with which admission. A gate says that somebody was let in, and cameras see somebody
//! come in; between the two lie seconds that are about the same at one gate each time, and that is
//! how a tail-gater is told from the one who was admitted. All ways of pairing people and admissions
//! are weighed together, with somebody's being admitted by nobody, and an admission's person not
//! having been seen yet. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::visits::{NEAR_GATE_M, Unadmitted, Visit, VisitChange, Visits};
use crate::ids::{GateIx, TrackId, VisitId};
use crate::store::Store;
use crate::tracking::Tracking;
use crate::units::signal::{log_sum_exp, normal_cdf};
use crate::units::{TimeDelta, Timestamp};

/// How long after the gates' word people are first seen, by gate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Leads(BTreeMap<GateIx, Lead>);

/// What has been seen of those who came in: their number, and their mean and sum of squared
/// deviations, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Lead {
    n: f64,
    mean_s: f64,
    squares: f64,
}

/// Before anything is known of a gate: people are seen at about the time of its word, before or
/// after it by where the gate is read.
const UNKNOWN: (f64, f64) = (0.6, 1.8);
/// How far people differ at one gate, seconds, and how many people that is worth.
const WITHIN_S: f64 = 0.5;
const WORTH: f64 = 4.0;
/// One in so many is not as others at the gate: a slow hand, a door that sticks, a clock that is off
/// while the gate is learned; and what he teaches of the others.
const STRANGE: f64 = 0.1;
const STRANGE_WORTH: f64 = 0.3;
/// They differ by no less.
const LEAST_S: f64 = 0.25;
/// People of late that are remembered.
const MEMORY: f64 = 40.0;
/// Somebody who has come in is told of so much later: cameras look twice.
const TOLD_S: f64 = 1.0;
/// The people of a party come in one after the other, seconds apart at most.
const APART_S: f64 = 1.4;
/// Somebody comes in whom no gate has admitted: one in some fifteen, at any time of some seconds.
const UNADMITTED_LOG: f64 = -4.4;
/// Log probability that somebody who was admitted is never seen to come in.
const UNSEEN_LOG: f64 = -3.5;
/// Log probability that of two the one who was let in first comes in last.
const CROSSED_LOG: f64 = -1.5;
/// The same that somebody whom no gate has admitted goes ahead of the one who was: he follows as a
/// rule, so closely.
const AHEAD_LOG: f64 = -1.5;
const FOLLOWS_S: f64 = 4.0;
/// Of two who come so close to each other nobody can say who was first, seconds.
const ABREAST_S: f64 = 0.3;
/// What is so likely is not waited for any longer.
const SURE: f64 = 0.97;
/// Pairs less likely to be none than this teach how long people take.
const CLEAR: f64 = 0.5;
/// How long before or after the gate's word a person may be seen to come in.
const WINDOW: TimeDelta = TimeDelta::from_millis(12_000);
/// Options this much less likely than nobody's having admitted a person are left out, nats.
const UNLIKELY: f64 = 6.0;
/// Ways looked through at most; with more, the least likely options go.
const WAYS: usize = 20_000;

impl Lead {
    /// Mean and standard deviation of when the next one is seen (normal with a normal prior on its
    /// mean; Gelman et al., Bayesian Data Analysis, 3rd ed., 2.5).
    fn next(&self) -> (f64, f64) {
        let (mean0, between) = UNKNOWN;
        let within = ((WORTH * WITHIN_S * WITHIN_S + self.squares) / (WORTH + self.n)).sqrt();
        let within = within.max(LEAST_S);
        let (known, new) = (1.0 / (between * between), self.n / (within * within));
        let mean = (mean0 * known + self.mean_s * new) / (known + new);
        (mean, (within * within + 1.0 / (known + new)).sqrt())
    }

    /// One more person, who counts as so much of one.
    fn learn(&mut self, seconds: f64, worth: f64) {
        self.n += worth;
        let off = seconds - self.mean_s;
        self.mean_s += worth * off / self.n;
        self.squares += worth * off * (seconds - self.mean_s);
        if self.n > MEMORY {
            self.squares *= MEMORY / self.n;
            self.n = MEMORY;
        }
    }
}

impl Leads {
    fn of(&self, gate: GateIx) -> (f64, f64) {
        self.0.get(&gate).copied().unwrap_or_default().next()
    }

    /// How much later the last of a party comes in than its first, seconds at most.
    fn late(visit: &Visit) -> f64 {
        APART_S * f64::from(visit.party.saturating_sub(1))
    }

    /// Log density of somebody's being seen then who was admitted with this visit.
    fn log_density(&self, visit: &Visit, began_at: Timestamp) -> Option<f64> {
        let (mean, sigma) = self.of(visit.gate?);
        let late = Self::late(visit);
        let seconds = began_at.secs_since(visit.entered_at);
        let z = (seconds - seconds.clamp(mean, mean + late)) / sigma;
        // The root of 2 pi.
        let usual = -0.5 * z * z - libm::log(2.506_628 * sigma + late);
        Some(log_sum_exp([
            libm::log(1.0 - STRANGE) + usual,
            libm::log(STRANGE) + Self::strange(seconds, late),
        ]))
    }

    /// Log density of somebody's being seen then who is not as others at this gate.
    fn strange(seconds: f64, late: f64) -> f64 {
        let (mean, sigma) = Lead::default().next();
        let z = (seconds - seconds.clamp(mean, mean + late)) / sigma;
        -0.5 * z * z - libm::log(2.506_628 * sigma + late)
    }

    /// How likely somebody seen then is as others at this gate.
    fn is_usual(&self, visit: &Visit, began_at: Timestamp) -> f64 {
        let all = self.log_density(visit, began_at).unwrap_or(0.0);
        let seconds = began_at.secs_since(visit.entered_at);
        let strange = libm::log(STRANGE) + Self::strange(seconds, Self::late(visit));
        1.0 - libm::exp(strange - all).min(1.0)
    }

    /// Log probability that somebody who was admitted with a visit has not been seen by now.
    fn log_unseen(&self, visit: &Visit, at: Timestamp) -> f64 {
        let Some((mean, sigma)) = visit.gate.map(|gate| self.of(gate)) else {
            return UNSEEN_LOG;
        };
        let seconds = at.secs_since(visit.entered_at) - TOLD_S;
        let (mean0, sigma0) = Lead::default().next();
        let after = |mean, sigma| normal_cdf((mean + Self::late(visit) - seconds) / sigma);
        let later = (1.0 - STRANGE) * after(mean, sigma) + STRANGE * after(mean0, sigma0);
        log_sum_exp([libm::log(later.max(1e-12)), UNSEEN_LOG])
    }

    /// When everybody who was admitted with a visit has been seen.
    pub(super) fn over(&self, visit: &Visit) -> Option<Timestamp> {
        let (mean, sigma) = self.of(visit.gate?);
        let seconds = mean + Self::late(visit) + 2.5 * sigma + TOLD_S;
        Some(visit.entered_at + TimeDelta::from_secs(seconds))
    }
}

/// All ways of pairing some people with some visits.
struct Pairing {
    visits: Vec<(VisitId, u32)>,
    /// By which gate and when each was admitted.
    admitted: Vec<(Option<GateIx>, Timestamp)>,
    /// When each person was first seen.
    seen: Vec<Timestamp>,
    /// What is lost for each admitted person who is not among them, by visit.
    unseen: Vec<f64>,
    /// Whom each person can have come in with.
    options: Vec<Vec<(usize, f64)>>,
    people: Vec<TrackId>,
    /// Log weights by person and visit, and the best way.
    sums: Vec<Vec<f64>>,
    all: f64,
    best: (f64, Vec<Option<usize>>),
}

impl Pairing {
    fn weigh(&mut self) {
        let ways = |options: &[Vec<(usize, f64)>]| {
            let each = options.iter().map(|o| o.len() + 1);
            each.fold(1_usize, usize::saturating_mul)
        };
        while ways(&self.options) > WAYS {
            let last = |o: &Vec<(usize, f64)>| o.last().map(|(_, log)| *log);
            let worst = self.options.iter_mut().filter(|o| !o.is_empty());
            let worst = worst.min_by(|a, b| {
                let (a, b) = (last(a), last(b));
                a.unwrap_or(0.0).total_cmp(&b.unwrap_or(0.0))
            });
            let Some(worst) = worst else { break };
            worst.pop();
        }
        let free: Vec<u32> = self.visits.iter().map(|(_, free)| *free).collect();
        self.go_on(&mut Vec::new(), free, 0.0);
    }

    fn go_on(&mut self, chosen: &mut Vec<Option<usize>>, free: Vec<u32>, log: f64) {
        let n = chosen.len();
        let Some(options) = self.options.get(n).cloned() else {
            let left = free.iter().zip(&self.unseen);
            let log = log + left.map(|(n, unseen)| f64::from(*n) * unseen).sum::<f64>();
            self.all = log_sum_exp([self.all, log]);
            for (sums, chosen) in self.sums.iter_mut().zip(&*chosen) {
                if let Some(visit) = chosen {
                    sums[*visit] = log_sum_exp([sums[*visit], log]);
                }
            }
            if log > self.best.0 {
                self.best = (log, chosen.clone());
            }
            return;
        };
        for (visit, own) in options {
            if free[visit] > 0 {
                let mut free = free.clone();
                free[visit] -= 1;
                chosen.push(Some(visit));
                self.go_on(chosen, free, log + own + self.order(chosen));
                chosen.pop();
            }
        }
        chosen.push(None);
        self.go_on(chosen, free, log + UNADMITTED_LOG + self.order(chosen));
        chosen.pop();
    }

    /// How likely the last of these people comes in before or after the others, as a log.
    fn order(&self, chosen: &[Option<usize>]) -> f64 {
        let Some((last, others)) = chosen.split_last() else {
            return 0.0;
        };
        let n = others.len();
        let each = others.iter().enumerate();
        each.map(|(m, other)| self.follows((m, *other), (n, *last)))
            .sum()
    }

    /// The same of two people and whom each came in with.
    fn follows(&self, a: (usize, Option<usize>), b: (usize, Option<usize>)) -> f64 {
        let after = self.seen[b.0].secs_since(self.seen[a.0]);
        if after < 0.0 {
            return self.follows(b, a);
        }
        let (Some(then), true) = (b.1, after > ABREAST_S) else {
            return 0.0;
        };
        let (gate, then_at) = self.admitted[then];
        match a.1.map(|first| self.admitted[first]) {
            Some((other, at)) if other == gate && at.secs_since(then_at) > ABREAST_S => CROSSED_LOG,
            None if after < FOLLOWS_S => AHEAD_LOG,
            _ => 0.0,
        }
    }

    fn probability(&self, person: usize, visit: usize) -> f64 {
        libm::exp(self.sums[person][visit] - self.all).min(1.0)
    }
}

impl Visits {
    /// Binds people who came in to the visits that were admitted, as far as it is clear by now.
    pub(super) fn pair(
        &mut self,
        store: &Store,
        at: Timestamp,
        tracking: &Tracking,
        out: &mut Vec<VisitChange>,
    ) {
        while let Some((id, track, mistaken)) = self.next_pair(store, at, tracking) {
            let person = self.unadmitted.iter().find(|u| u.track == track);
            // Who can have been another's is in doubt with him, whoever is bound first.
            let rival = person.filter(|u| u.rival.is_some_and(|rival| rival != id));
            let mistaken = rival.map_or(mistaken, |u| mistaken.max(u.doubt));
            if let (Some(u), Some(visit)) = (person, self.visits.get(&id))
                && let Some(gate) = visit.gate.filter(|_| mistaken < CLEAR && visit.party == 1)
            {
                let seconds = u.began_at.secs_since(visit.entered_at);
                let worth = self.leads.is_usual(visit, u.began_at).max(STRANGE_WORTH);
                self.leads.0.entry(gate).or_default().learn(seconds, worth);
            }
            if let Some(visit) = self.visits.get_mut(&id) {
                visit.doubt += (1.0 - visit.doubt) * mistaken;
            }
            self.unadmitted.retain(|u| u.track != track);
            self.bind(id, track, out);
        }
    }

    /// Visits that were admitted and of whom not all people have been seen.
    fn waiting(&self, at: Timestamp) -> impl Iterator<Item = &Visit> {
        self.visits
            .values()
            .filter(move |v| v.left_at.is_none() && v.untracked() > 0 && at - v.entered_at < WINDOW)
    }

    fn pairing(&self, store: &Store, at: Timestamp, tracking: &Tracking) -> Option<Pairing> {
        let waiting: Vec<&Visit> = self.waiting(at).filter(|v| v.gate.is_some()).collect();
        if waiting.is_empty() || self.unadmitted.is_empty() {
            return None;
        }
        let option = |u: &Unadmitted, visit: &Visit| {
            let zone = &store.zones[store.gates[visit.gate?.index()].zone.index()].polygon;
            let apart = u.began_at - visit.entered_at;
            let log = self.leads.log_density(visit, u.began_at)?;
            let fits = apart.max(-apart) <= WINDOW
                && log > UNADMITTED_LOG - UNLIKELY
                && is_near(u, zone, at, tracking);
            fits.then_some(log)
        };
        let options = |u: &Unadmitted| {
            let each = waiting.iter().enumerate();
            let mut options: Vec<(usize, f64)> =
                each.filter_map(|(n, v)| Some((n, option(u, v)?))).collect();
            options.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            options
        };
        let mut pairing = Pairing {
            visits: waiting.iter().map(|v| (v.id, v.untracked())).collect(),
            admitted: waiting.iter().map(|v| (v.gate, v.entered_at)).collect(),
            seen: self.unadmitted.iter().map(|u| u.began_at).collect(),
            unseen: waiting
                .iter()
                .map(|v| self.leads.log_unseen(v, at))
                .collect(),
            options: self.unadmitted.iter().map(options).collect(),
            people: self.unadmitted.iter().map(|u| u.track).collect(),
            sums: vec![vec![f64::NEG_INFINITY; waiting.len()]; self.unadmitted.len()],
            all: f64::NEG_INFINITY,
            best: (f64::NEG_INFINITY, Vec::new()),
        };
        pairing.weigh();
        Some(pairing)
    }

    /// A pair that is clear, or as clear as it will be, and the probability that it is none.
    fn next_pair(
        &mut self,
        store: &Store,
        at: Timestamp,
        tracking: &Tracking,
    ) -> Option<(VisitId, TrackId, f64)> {
        let pairing = self.pairing(store, at, tracking)?;
        let mut clearest: Option<(f64, usize, usize)> = None;
        for (person, visit) in pairing.best.1.iter().enumerate() {
            let Some(visit) = *visit else { continue };
            let (id, _) = pairing.visits[visit];
            let over = self.visits.get(&id).and_then(|v| self.leads.over(v));
            let p = pairing.probability(person, visit);
            let late = self.unadmitted[person].decide_at <= at;
            let clear = p >= SURE || late || over.is_some_and(|over| at >= over);
            if clear && clearest.is_none_or(|(most, _, _)| p > most) {
                clearest = Some((p, person, visit));
            }
        }
        let (p, person, visit) = clearest?;
        let id = pairing.visits[visit].0;
        // All of a party are its own.
        let rival = self.visits.get(&id).filter(|v| v.party == 1).map(|v| v.id);
        // Who can have been the one, and goes without an admission, is in as much doubt.
        for (n, other) in self.unadmitted.iter_mut().enumerate() {
            let as_likely = pairing.probability(n, visit);
            if n != person && as_likely > other.doubt {
                other.doubt = as_likely;
                other.rival = rival;
            }
        }
        Some((
            pairing.visits[visit].0,
            pairing.people[person],
            (1.0 - p).max(0.0),
        ))
    }

    /// When somebody who has been seen is to be bound to a visit that waits, likely or not.
    pub(super) fn pairing_deadline(&self) -> Option<Timestamp> {
        if self.unadmitted.is_empty() {
            return None;
        }
        let waiting = self
            .visits
            .values()
            .filter(|v| v.left_at.is_none() && v.untracked() > 0 && !v.paired_out);
        waiting.filter_map(|v| self.leads.over(v)).min()
    }

    /// Notes whose time to be bound has passed, so that no deadline is asked for again.
    pub(super) fn pass_pairing(&mut self, at: Timestamp) {
        for visit in self.visits.values_mut() {
            if !visit.paired_out && self.leads.over(visit).is_some_and(|over| over <= at) {
                visit.paired_out = true;
            }
        }
    }
}

fn is_near(
    u: &Unadmitted,
    zone: &crate::units::Polygon,
    at: Timestamp,
    tracking: &Tracking,
) -> bool {
    let now = tracking
        .fix_at(u.track, at)
        .map_or(u.position, |fix| fix.position);
    zone.distance(u.position).min(zone.distance(now)) < NEAR_GATE_M
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_nanos(1_000_000_000_000) + TimeDelta::from_secs(seconds)
    }

    fn lead(seen: &[f64]) -> Lead {
        let mut lead = Lead::default();
        seen.iter().for_each(|s| lead.learn(*s, 1.0));
        lead
    }

    /// All ways of pairing people seen so long after one admission, at a gate that is known so well.
    fn paired(lead: Lead, seconds: &[f64], unseen: f64) -> Pairing {
        let (mean, sigma) = lead.next();
        let z = |s: &f64| (s - mean) / sigma;
        let density = |s: &f64| -0.5 * z(s) * z(s) - libm::log(2.506_628 * sigma);
        let mut pairing = Pairing {
            visits: vec![(VisitId(1), 1)],
            admitted: vec![(Some(GateIx(0)), at(0.0))],
            seen: seconds.iter().map(|s| at(*s)).collect(),
            unseen: vec![unseen],
            options: seconds.iter().map(|s| vec![(0, density(s))]).collect(),
            people: (1..=seconds.len() as u64).map(TrackId).collect(),
            sums: vec![vec![f64::NEG_INFINITY]; seconds.len()],
            all: f64::NEG_INFINITY,
            best: (f64::NEG_INFINITY, Vec::new()),
        };
        pairing.weigh();
        pairing
    }

    #[test]
    fn a_gate_is_known_after_a_few_people() {
        let (mean, sigma) = Lead::default().next();
        assert!((mean - 0.6).abs() < 1e-9 && sigma > 1.8);
        let (mean, sigma) = lead(&[1.6]).next();
        assert!((mean - 1.6).abs() < 0.15 && sigma < 0.8, "{mean} {sigma}");
        let (mean, sigma) = lead(&[1.6, 1.4, 1.5, 1.3, 1.6, 1.5]).next();
        assert!((mean - 1.5).abs() < 0.05 && sigma < 0.45, "{mean} {sigma}");
    }

    #[test]
    fn who_slipped_in_before_the_gate_spoke_is_not_who_was_admitted() {
        // One was seen 0.8 s before the word, and one 0.9 s after it, where 1.6 s after is usual.
        let pairing = paired(lead(&[1.6]), &[-0.8, 0.9], UNSEEN_LOG);
        assert_eq!(pairing.best.1, [None, Some(0)]);
        assert!(pairing.probability(1, 0) > 0.95);
        // Before the second is seen, the first is not taken for certain: another may come yet.
        let early = paired(lead(&[1.6]), &[-0.8], 0.0);
        assert!(early.probability(0, 0) < 0.6, "{}", early.probability(0, 0));
    }

    #[test]
    fn two_who_come_at_once_are_in_doubt() {
        let pairing = paired(lead(&[0.9, 1.0, 1.1]), &[0.9, 1.2], UNSEEN_LOG);
        let (a, b) = (pairing.probability(0, 0), pairing.probability(1, 0));
        assert!(a > 0.3 && b > 0.3 && a + b > 0.95, "{a} {b}");
    }

    #[test]
    fn people_come_in_in_the_order_in_which_they_were_let_in() {
        // Let in at 0 and 2.4 s at a gate that nobody knows yet, seen at 1.0 and 3.1 s.
        let (mean, sigma) = Lead::default().next();
        let (let_in, seen) = ([0.0, 2.4], [1.0, 3.1]);
        let density = |s: f64| -0.5 * ((s - mean) / sigma) * ((s - mean) / sigma);
        let options = |s: &f64| (0..2).map(|v| (v, density(s - let_in[v]))).collect();
        let mut pairing = Pairing {
            visits: vec![(VisitId(1), 1), (VisitId(2), 1)],
            admitted: let_in.map(|s| (Some(GateIx(0)), at(s))).to_vec(),
            seen: seen.map(at).to_vec(),
            unseen: vec![UNSEEN_LOG; 2],
            options: seen.iter().map(options).collect(),
            people: vec![TrackId(1), TrackId(2)],
            sums: vec![vec![f64::NEG_INFINITY; 2]; 2],
            all: f64::NEG_INFINITY,
            best: (f64::NEG_INFINITY, Vec::new()),
        };
        pairing.weigh();
        assert_eq!(pairing.best.1, [Some(0), Some(1)]);
        assert!(pairing.probability(0, 0) > 0.85);
        // One who comes in a second behind the one who was let in follows him.
        let close = paired(Lead::default(), &[0.7, 2.2], UNSEEN_LOG);
        assert!(close.probability(0, 0) > 0.7, "{}", close.probability(0, 0));
    }

    #[test]
    fn a_crowd_at_the_gate_is_looked_through_in_time() {
        let options: Vec<Vec<(usize, f64)>> =
            vec![(0..12).map(|n| (n, -1.0 - n as f64)).collect(); 30];
        let mut pairing = Pairing {
            visits: (0..12).map(|n| (VisitId(n), 1)).collect(),
            admitted: (0..12)
                .map(|n| (Some(GateIx(0)), at(f64::from(n))))
                .collect(),
            seen: (0..30).map(|n| at(f64::from(n))).collect(),
            unseen: vec![UNSEEN_LOG; 12],
            sums: vec![vec![f64::NEG_INFINITY; 12]; 30],
            people: (0..30).map(TrackId).collect(),
            options,
            all: f64::NEG_INFINITY,
            best: (f64::NEG_INFINITY, Vec::new()),
        };
        pairing.weigh();
        assert_eq!(pairing.best.1.len(), 30);
    }
}
