//! What is heard of the sources themselves: alerts that stand until a source is well again, the
//! box's own absence, and its disk. With a full disk nobody new is admitted, since nothing of him
//! could be kept; who is inside is served.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::clocks::Told;
use crate::basket::event::{Alert, Body};
use crate::basket::review::Forced;
use crate::observation::{SourceReport, SourceState};
use crate::store::Store;
use crate::units::Timestamp;

/// The source whose gaps are the box's own absence.
const BOX: &str = "box";
/// The source that tells of the disk: degraded where it is low, offline where it is full.
const DISK: &str = "box/disk";
/// A take is over in about two seconds: what happens within an absence of so many milliseconds
/// shows when it is over.
pub(super) const UNSEEN_MS: u64 = 2_000;

/// An alert that stands until its cause is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Standing {
    Offline,
    Degraded,
    DiskLow,
    /// Its own clock is put right.
    ClockOff,
}

impl Standing {
    fn alert(self, about: &str) -> Alert {
        match self {
            Self::Offline => Alert::new("source-offline", "error", about),
            Self::Degraded => Alert::new("source-degraded", "warning", about),
            Self::DiskLow => Alert::new("disk-low", "error", about),
            Self::ClockOff => Alert::new("clock-off", "warning", about),
        }
    }
}

/// The alerts that stand, by the source that they are about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Alerts(BTreeSet<(String, Standing)>);

/// More alerts, and those about longer names, are not remembered: they are raised each time that
/// they are reported, and never cleared. No store has so many sources or such names.
const STANDING_MAX: usize = 1_000;
const NAME_MAX: usize = 200;

impl Alerts {
    /// What is cleared and what is raised when a source reports its state.
    fn on_state(&mut self, source: &str, state: SourceState) -> (Vec<Alert>, Option<Alert>) {
        let now = match state {
            SourceState::Online => None,
            SourceState::Degraded | SourceState::Offline if source == DISK => {
                Some(Standing::DiskLow)
            }
            SourceState::Degraded => Some(Standing::Degraded),
            SourceState::Offline => Some(Standing::Offline),
        };
        let over = self.of(source).filter(|standing| Some(*standing) != now);
        let over: Vec<Standing> = over.collect();
        for standing in &over {
            self.0.remove(&(source.to_owned(), *standing));
        }
        let raised = now.filter(|now| self.raise(source, *now));
        let cleared = over.iter().map(|standing| standing.alert(source));
        (cleared.collect(), raised.map(|now| now.alert(source)))
    }

    /// What is raised or cleared when a sensor's clock is seen to be off, or to be right again.
    fn on_clock(&mut self, source: &str, told: Told) -> Option<Body> {
        let alert = Standing::ClockOff.alert(source);
        match told {
            Told::Off => self
                .raise(source, Standing::ClockOff)
                .then_some(Body::AlertRaised(alert)),
            Told::Right => {
                self.0.remove(&(source.to_owned(), Standing::ClockOff));
                Some(Body::AlertCleared(alert))
            }
        }
    }

    /// The states of a source that stand.
    fn of(&self, source: &str) -> impl Iterator<Item = Standing> {
        let all = [Standing::Offline, Standing::Degraded, Standing::DiskLow];
        let stands = move |s: &Standing| self.0.contains(&(source.to_owned(), *s));
        all.into_iter().filter(stands)
    }

    /// Whether an alert is new.
    fn raise(&mut self, source: &str, standing: Standing) -> bool {
        let key = (source.to_owned(), standing);
        if self.0.contains(&key) {
            return false;
        }
        if self.0.len() < STANDING_MAX && source.len() <= NAME_MAX {
            self.0.insert(key);
        }
        true
    }

    /// Takes out the alerts about sensors that a store does not have.
    pub(super) fn gone(&mut self, store: &Store) -> Vec<Alert> {
        let gone = self.0.iter().filter(|(source, _)| is_gone(store, source));
        let gone: Vec<(String, Standing)> = gone.cloned().collect();
        for alert in &gone {
            self.0.remove(alert);
        }
        gone.iter().map(|(about, s)| s.alert(about)).collect()
    }
}

/// Whether a source is a sensor of another store file.
fn is_gone(store: &Store, source: &str) -> bool {
    match source.split_once('/') {
        Some(("rfid", id)) => store.reader_by_id(id).is_none(),
        Some(("camera", id)) => store.camera_by_id(id).is_none(),
        Some(("scale", id)) => store.scale_by_id(id).is_none(),
        Some(("gate", id)) => store.gate_by_id(id).is_none(),
        Some(("door", id)) => store.gondola_by_id(id).is_none(),
        _ => false,
    }
}

impl Engine {
    /// The sensors that are taken for away or ill, by name.
    pub fn ill(&self) -> Vec<String> {
        let standing = self.state.alerts.0.iter();
        let sensors = standing.filter(|(source, standing)| {
            source.as_str() != DISK && *standing != Standing::ClockOff
        });
        let mut ill: Vec<String> = sensors.map(|(source, _)| source.clone()).collect();
        ill.dedup();
        ill
    }

    /// A sensor's clock is seen to be off, or to be right again.
    pub(super) fn on_clock(&mut self, at: Timestamp, told: Told, sensor: &str) {
        if let Some(body) = self.state.alerts.on_clock(sensor, told) {
            self.tell(at, body);
        }
    }

    pub(super) fn on_source(&mut self, at: Timestamp, report: SourceReport) {
        match report {
            SourceReport::State { source, state, .. } => {
                if source == DISK {
                    let full = state == SourceState::Offline;
                    self.state.baskets.visits.set_shut(full);
                }
                self.on_outage(at, &source, state);
                let (cleared, raised) = self.state.alerts.on_state(&source, state);
                for alert in cleared {
                    self.tell(at, Body::AlertCleared(alert));
                }
                if let Some(alert) = raised {
                    self.tell(at, Body::AlertRaised(alert));
                }
            }
            SourceReport::Gap {
                source,
                lost,
                reason,
            } if source == BOX => {
                self.alert(at, "box-away", "warning", &reason);
                if lost > UNSEEN_MS {
                    self.state.baskets.force(Forced::SensorsAway);
                }
            }
            SourceReport::Gap { source, lost, .. } => self.on_gap(at, &source, lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_beyond_the_bound_are_raised_and_not_remembered() {
        let mut alerts = Alerts::default();
        let mut raised = |source: &str| {
            let (cleared, raised) = alerts.on_state(source, SourceState::Offline);
            (cleared.len(), raised.is_some(), alerts.0.len())
        };
        assert_eq!(raised(&"x".repeat(NAME_MAX + 1)), (0, true, 0));
        for i in 0..STANDING_MAX {
            assert_eq!(raised(&format!("scale/{i}")), (0, true, i + 1));
        }
        assert_eq!(raised("scale/0"), (0, false, STANDING_MAX));
        for _ in 0..2 {
            assert_eq!(raised("rfid/r1"), (0, true, STANDING_MAX));
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_once_and_outlasts_an_outage() {
        let mut alerts = Alerts::default();
        let camera = "camera/cam1";
        assert!(alerts.on_clock(camera, Told::Off).is_some());
        assert!(alerts.on_clock(camera, Told::Off).is_none());
        for state in [SourceState::Offline, SourceState::Online] {
            alerts.on_state(camera, state);
        }
        assert_eq!(alerts.0.len(), 1);
        assert!(alerts.on_clock(camera, Told::Right).is_some());
        assert!(alerts.0.is_empty());
    }
}
