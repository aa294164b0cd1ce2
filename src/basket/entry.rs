//! Who came in with which admission. A gate says that somebody was let in, and cameras see somebody
//! come in; between the two lie seconds that are about the same at one gate each time, and that
//! is how a tail-gater is told from the one who was admitted. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::visits::{NEAR_GATE_M, Unadmitted, Visit, VisitChange, Visits};
use crate::ids::{GateIx, TrackId, VisitId};
use crate::store::Store;
use crate::tracking::Tracking;
use crate::units::{TimeDelta, Timestamp};

/// How long after the gates' word people are first seen, by gate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Leads(BTreeMap<GateIx, Lead>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Lead {
    mean_s: f64,
    n: u32,
}

/// Before anything is known of a gate: people are seen at about the time of its word.
const UNKNOWN: (f64, f64) = (0.6, 1.8);
/// Standard deviation at a gate that is known, seconds.
const SIGMA_S: f64 = 0.8;
/// Admissions with one person each after which a gate is known.
const KNOWN: u32 = 3;
/// The people of a party come in one after the other, seconds apart at most.
const APART_S: f64 = 1.4;
/// A pair this unlikely, as half a squared deviation, is made at once; one less likely waits for
/// somebody else to be seen.
const LIKELY: f64 = 1.2;
/// Who came in so near somebody admitted, seconds, may be taken for him; and how likely that is at
/// least.
const CLOSE_S: f64 = 4.0;
const TAILGATED: f64 = 0.12;
/// How long before or after the gate's word a person may be seen to come in.
const WINDOW: TimeDelta = TimeDelta::from_millis(12_000);

impl Leads {
    fn of(&self, gate: GateIx) -> (f64, f64) {
        match self.0.get(&gate) {
            Some(lead) if lead.n >= KNOWN => (lead.mean_s, SIGMA_S),
            _ => UNKNOWN,
        }
    }

    fn learn(&mut self, gate: GateIx, seconds: f64) {
        let lead = self.0.entry(gate).or_insert(Lead { mean_s: 0.0, n: 0 });
        lead.n = (lead.n + 1).min(30);
        lead.mean_s += (seconds - lead.mean_s) / f64::from(lead.n);
    }

    /// How unlikely it is that somebody first seen then was admitted with this visit: half the
    /// squared deviation of the time between.
    fn cost(&self, visit: &Visit, began_at: Timestamp) -> Option<f64> {
        let gate = visit.gate?;
        let (mean, sigma) = self.of(gate);
        let seconds = began_at.secs_since(visit.entered_at);
        let late = APART_S * f64::from(visit.party.saturating_sub(1));
        let off = seconds - seconds.clamp(mean, mean + late);
        Some(0.5 * (off / sigma) * (off / sigma))
    }

    /// When everybody who was admitted with a visit has been seen.
    fn over(&self, visit: &Visit) -> Option<Timestamp> {
        let (mean, sigma) = self.of(visit.gate?);
        let late = APART_S * f64::from(visit.party.saturating_sub(1));
        Some(visit.entered_at + TimeDelta::from_secs(mean + late + 2.5 * sigma))
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
        while let Some((id, track)) = self.next_pair(store, at, tracking) {
            let waiting = self.waiting(at).count();
            let alone = waiting == 1 && self.unadmitted.len() == 1;
            let began_at = self.unadmitted.iter().find(|u| u.track == track);
            if let (Some(began_at), Some(visit)) = (began_at, self.visits.get(&id))
                && alone
                && visit.party == 1
                && let Some(gate) = visit.gate
            {
                let seconds = began_at.began_at.secs_since(visit.entered_at);
                self.leads.learn(gate, seconds);
            }
            let began_at = began_at.map(|u| u.began_at);
            let cost = began_at.and_then(|t| self.leads.cost(self.visits.get(&id)?, t));
            if let Some(visit) = self.visits.get_mut(&id) {
                visit.entry_cost = cost;
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

    fn next_pair(
        &self,
        store: &Store,
        at: Timestamp,
        tracking: &Tracking,
    ) -> Option<(VisitId, TrackId)> {
        let mut best: Option<(f64, VisitId, TrackId)> = None;
        for visit in self.waiting(at) {
            let Some(gate) = visit.gate else { continue };
            let zone = &store.zones[store.gates[gate.index()].zone.index()].polygon;
            let over = self.leads.over(visit).is_some_and(|over| at >= over);
            for u in self
                .unadmitted
                .iter()
                .filter(|u| is_near(u, zone, at, tracking))
            {
                let apart = u.began_at - visit.entered_at;
                let Some(cost) = self.leads.cost(visit, u.began_at) else {
                    continue;
                };
                if apart.max(-apart) > WINDOW || (cost > LIKELY && !over) {
                    continue;
                }
                // Of equals the earlier visit, and its first person.
                if best.is_none_or(|(least, _, _)| cost < least) {
                    best = Some((cost, visit.id, u.track));
                }
            }
        }
        best.map(|(_, id, track)| (id, track))
    }

    /// Somebody came in whom nobody admitted: whoever was admitted about then may be he, and he that.
    pub(super) fn doubt_close(&mut self, gate: GateIx, began_at: Timestamp) -> f64 {
        let mut most: f64 = 0.0;
        for visit in self.visits.values_mut() {
            let near = visit.entered_at.secs_since(began_at).abs() < CLOSE_S;
            let (Some(own), true) = (visit.entry_cost, near && visit.gate == Some(gate)) else {
                continue;
            };
            let Some(other) = self.leads.cost(visit, began_at) else {
                continue;
            };
            // What they did inside tells nothing of who was who at the door.
            let mistaken = 1.0 / (1.0 + libm::exp(other - own));
            let mistaken = mistaken.clamp(TAILGATED, 0.5);
            visit.doubt += (1.0 - visit.doubt) * mistaken;
            most = most.max(mistaken);
        }
        most
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
