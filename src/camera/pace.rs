//! The frame-rate cap: which of a camera's frames are given out, spread evenly.

use crate::units::{TimeDelta, Timestamp};

#[derive(Debug, Clone)]
pub(super) struct Pace {
    interval: TimeDelta,
    due: Option<Timestamp>,
}

impl Pace {
    /// At most `fps` a second.
    pub(super) fn new(fps: f64) -> Self {
        Self {
            interval: TimeDelta::from_secs(1.0 / fps),
            due: None,
        }
    }

    /// Whether a frame of this time is given out. A camera whose rate is the cap's loses none to
    /// jitter; over any while the cap holds.
    pub(super) fn admit(&mut self, at: Timestamp) -> bool {
        let interval = self.interval.as_micros();
        let early = TimeDelta::from_micros(interval / 8);
        let due = match self.due {
            // The camera's clock was set back, or forward.
            Some(due) if at + TimeDelta::from_micros(interval * 2) < due => at,
            Some(due) if due + self.interval < at => at,
            Some(due) => due,
            None => at,
        };
        if at + early < due {
            return false;
        }
        self.due = Some(due + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(camera_fps: i64, max_fps: f64) -> Vec<i64> {
        let mut pace = Pace::new(max_fps);
        let times = (0..camera_fps * 10).map(|n| n * 1_000_000 / camera_fps);
        let admitted = times.filter(|us| pace.admit(Timestamp::from_micros(*us)));
        admitted.collect()
    }

    #[test]
    fn the_cap_holds_and_frames_are_spread_evenly() {
        for (camera, cap, count) in [(30, 10.0, 100), (25, 10.0, 100), (15, 10.0, 100)] {
            let given = given(camera, cap);
            assert_eq!(given.len(), count, "{camera} fps");
            let gaps = given.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(gaps.clone().max() <= Some(100_000 + 1_000_000 / camera));
            assert!(gaps.min() >= Some(100_000 - 1_000_000 / camera));
        }
    }

    #[test]
    fn a_camera_slower_than_the_cap_loses_nothing() {
        assert_eq!(given(5, 10.0).len(), 50);
        let mut pace = Pace::new(10.0);
        let jitter = [0, 9, -9, 5, -8, 0, 11, -11];
        let times = (0..80).map(|n| n * 100_000 + jitter[n as usize % 8] * 1000);
        assert_eq!(
            times
                .filter(|us| pace.admit(Timestamp::from_micros(*us)))
                .count(),
            80
        );
    }

    #[test]
    fn a_clock_that_is_set_stops_nothing() {
        let mut pace = Pace::new(10.0);
        let at = |s: i64| Timestamp::from_micros(s * 1_000_000);
        assert!(pace.admit(at(100)));
        assert!(pace.admit(at(5000)));
        assert!(pace.admit(at(20)));
        assert!(!pace.admit(at(20)));
    }
}
