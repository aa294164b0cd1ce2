//! Sensors' own clocks. A sensor says when it saw what it tells, by its own clock. Nobody sees the
//! future, and live sensors are not many seconds late for long: what is told from the future, or
//! late by much in each message of half a minute, was told by a clock that is off, and is put right
//! by what that clock is off at least. Offsets within what transport may take are not seen this way.

use serde::{Deserialize, Serialize};

use crate::observation::Sensed;
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};

/// The clocks of all sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Clocks {
    readers: Vec<Clock>,
    cameras: Vec<Clock>,
    scales: Vec<Clock>,
}

/// How late one sensor's messages are by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Clock {
    /// The least lateness of this span and of the one before, where there was one.
    least: Option<TimeDelta>,
    least_before: Option<TimeDelta>,
    /// When this span began.
    since: Option<Timestamp>,
    /// What is taken from its lateness.
    off: TimeDelta,
}

/// What is heard of a clock in passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It was right, and is seen to be off.
    Off,
    /// It was off, and is right again.
    Right,
}

/// Lateness is measured over so long.
const SPAN: TimeDelta = TimeDelta::from_millis(15_000);
/// A message this far from the future is one of a clock that is off: time is measured by steps.
const FUTURE: TimeDelta = TimeDelta::from_millis(-20);
/// Transport that always takes longer than this is a clock that is off. Video with B-frames and a
/// jitter buffer is late by up to a second.
const LATE: TimeDelta = TimeDelta::from_millis(1_800);
/// How late messages are at least whose clock is right: capture, detection and transport.
const CAMERA: TimeDelta = TimeDelta::from_millis(150);
const OTHER: TimeDelta = TimeDelta::from_millis(40);

impl Clock {
    /// When something was seen by the box's clock.
    fn right(&mut self, at: Timestamp, captured_at: Timestamp, usual: TimeDelta) -> Option<Told> {
        let late = at - captured_at;
        let mut told = None;
        match self.since {
            None => self.since = Some(at),
            Some(since) if at - since > SPAN => {
                // A sensor that was silent for a span has told nothing in it.
                let silent = at - since > SPAN + SPAN;
                self.least_before = self.least.filter(|_| !silent);
                self.least = None;
                self.since = Some(at);
                told = self.judge(late, usual);
            }
            Some(_) => {}
        }
        self.least = Some(self.least.map_or(late, |least| least.min(late)));
        if late - self.off < FUTURE {
            told = self.judge(late, usual);
        }
        told
    }

    fn judge(&mut self, late: TimeDelta, usual: TimeDelta) -> Option<Told> {
        let known = self.least_before.map_or(late, |before| before.min(late));
        let known = self.least.map_or(known, |least| least.min(known));
        let whole = self.least_before.is_some();
        let off = known < FUTURE || (whole && known > LATE);
        let was = std::mem::replace(
            &mut self.off,
            if off { known - usual } else { TimeDelta::ZERO },
        );
        match (was == TimeDelta::ZERO, self.off == TimeDelta::ZERO) {
            (true, false) => Some(Told::Off),
            (false, true) => Some(Told::Right),
            _ => None,
        }
    }
}

impl Clocks {
    pub(super) fn new(store: &Store) -> Self {
        let clocks = |n: usize| vec![Clock::default(); n];
        Self {
            readers: clocks(store.readers.len()),
            cameras: clocks(store.cameras.len()),
            scales: clocks(store.scales.len()),
        }
    }

    /// When something was seen, by the box's clock, and what is to be told of the sensor's.
    pub(super) fn right(
        &mut self,
        store: &Store,
        at: Timestamp,
        captured_at: Timestamp,
        sensed: &Sensed,
    ) -> (Timestamp, Option<Told>) {
        let (clock, usual) = match sensed {
            Sensed::TagRead(read) => {
                let reader = store.antennas[read.antenna.index()].reader;
                (&mut self.readers[reader.index()], OTHER)
            }
            Sensed::Detections(seen) => (&mut self.cameras[seen.camera.index()], CAMERA),
            Sensed::Weight { scale, .. } => (&mut self.scales[scale.index()], OTHER),
            Sensed::Gate { .. } | Sensed::Door { .. } => return (captured_at, None),
        };
        let told = clock.right(at, captured_at, usual);
        (captured_at + clock.off, told)
    }
}

/// A sensor as alerts name it.
pub(super) fn name(store: &Store, sensed: &Sensed) -> Option<String> {
    match sensed {
        Sensed::TagRead(read) => {
            let reader = store.antennas[read.antenna.index()].reader;
            Some(format!("rfid/{}", store.readers[reader.index()].id))
        }
        Sensed::Detections(seen) => {
            Some(format!("camera/{}", store.cameras[seen.camera.index()].id))
        }
        Sensed::Weight { scale, .. } => Some(format!("scale/{}", store.scales[scale.index()].id)),
        Sensed::Gate { .. } | Sensed::Door { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000) + TimeDelta::from_secs(seconds)
    }

    /// A sensor that tells ten times a second, late by 0.1 to 0.3 s and by what its clock is off;
    /// how late its messages are taken to be at last, at most, and what was told.
    fn run(off_s: impl Fn(f64) -> f64) -> (f64, Vec<(f64, Told)>) {
        let mut clock = Clock::default();
        let (mut most, mut told) = (0.0, Vec::new());
        for i in 0..900 {
            let t = 0.1 * f64::from(i);
            let late = 0.1 + 0.02 * f64::from(i % 11) - off_s(t);
            let captured_at = at(t - late);
            if let Some(news) = clock.right(at(t), captured_at, OTHER) {
                told.push((t, news));
            }
            let late = (at(t) - (captured_at + clock.off)).as_secs();
            most = if t > 80.0 { late.max(most) } else { most };
        }
        (most, told)
    }

    #[test]
    fn a_clock_that_is_right_stays_as_it_is() {
        let (most, told) = run(|_| 0.0);
        assert!(
            (most - 0.3).abs() < 1e-6 && told.is_empty(),
            "{most} {told:?}"
        );
        let (most, told) = run(|_| -0.9);
        assert!(
            (most - 1.2).abs() < 1e-6 && told.is_empty(),
            "{most} {told:?}"
        );
    }

    #[test]
    fn clocks_ahead_are_found_at_once_and_clocks_behind_after_a_while() {
        for off in [0.5, 3.0, 9.0] {
            let (most, told) = run(|_| off);
            assert!(most < 0.35, "{off}: {most}");
            assert!(matches!(told[..], [(t, Told::Off)] if t < 0.2), "{told:?}");
        }
        for off in [-3.0, -30.0, -500.0] {
            let (most, told) = run(|_| off);
            assert!(most < 0.35, "{off}: {most}");
            assert!(matches!(told[..], [(_, Told::Off)]), "{told:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_right_is_believed_again_and_a_backlog_changes_nothing() {
        let (most, told) = run(|t| if t < 30.0 { 2.0 } else { 0.0 });
        assert!((most - 0.3).abs() < 1e-6, "{most}");
        let kinds: Vec<Told> = told.iter().map(|(_, k)| *k).collect();
        assert_eq!(kinds, [Told::Off, Told::Right]);
        let (most, told) = run(|t| {
            if (40.0..48.0).contains(&t) {
                40.0 - t
            } else {
                0.0
            }
        });
        assert!(
            (most - 0.3).abs() < 1e-6 && told.is_empty(),
            "{most} {told:?}"
        );
    }
}
