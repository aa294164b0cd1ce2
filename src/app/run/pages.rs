//! What the box's own pages say of the daemon.

use std::sync::{Arc, Mutex, PoisonError};

use super::health::{Health, OutboxGauges};
use crate::clock::Monotonic;
use crate::console::Pages;
use crate::outbox::Outbox;

pub(super) struct DaemonPages {
    health: Arc<Health>,
    outbox: Arc<Outbox>,
    clock: Monotonic,
    /// The engine's beats, and when they last changed.
    seen: Mutex<(u64, u64)>,
}

/// Without a beat for so long the engine is stuck; idle it beats many times a second.
const STUCK_MS: u64 = 10_000;

impl DaemonPages {
    pub(super) fn new(health: Arc<Health>, outbox: Arc<Outbox>) -> Self {
        Self {
            health,
            outbox,
            clock: Monotonic::start(),
            seen: Mutex::new((0, 0)),
        }
    }
}

impl Pages for DaemonPages {
    fn alive(&self) -> bool {
        let (now, beats) = (self.clock.millis(), self.health.beats());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != beats || seen.1 == 0 {
            *seen = (beats, now.max(1));
        }
        now - seen.1 < STUCK_MS
    }

    fn ready(&self) -> (bool, Vec<String>) {
        let report = self.health.uplink.lock();
        let report = report.unwrap_or_else(PoisonError::into_inner).clone();
        let mut reasons = self.health.reasons();
        if !report.trouble.is_empty() {
            reasons.push(format!("broker: {}", report.trouble));
        }
        (self.health.is_ready(), reasons)
    }

    fn metrics(&self) -> String {
        self.health.metrics(&OutboxGauges {
            committed: self.outbox.committed(),
            confirmed: self.outbox.confirmed(),
            waiting_bytes: self.outbox.waiting_bytes(),
            traffic_bytes: self.outbox.traffic_bytes(),
            traffic_dropped: self.outbox.traffic_dropped(),
            commits: self.outbox.commits(),
        })
    }
}
