//! When a picture was captured: the camera's own clock where it agrees with ours, else the arrival,
//! freed from the network's jitter. A value.
//!
//! The stream's own time (RTP, RFC 3550, section 5.1) says how pictures lie to each other; what is
//! asked is where its zero lies. Sender reports (section 6.4.1) tell it by the camera's wall clock.
//! Each arrival is late by encoding and network, never early, so the earliest of late ones is the
//! best guess where the camera's clock is wrong.

use crate::units::{TimeDelta, Timestamp};

/// The camera's clock is believed where pictures arrive this long after it says at most.
const LATE_MAX: TimeDelta = TimeDelta::from_millis(1000);
/// And this long before: clocks that are set over the network differ by a few milliseconds.
const EARLY_MAX: TimeDelta = TimeDelta::from_millis(20);
/// How long an arrival counts; a camera's crystal drifts by some milliseconds in it.
const WINDOW: TimeDelta = TimeDelta::from_millis(30_000);

/// All offsets are wall time at the stream's zero.
#[derive(Debug, Clone, Default)]
pub(super) struct CaptureTime {
    reported: Option<Timestamp>,
    /// The least offsets of this window and of the one before.
    least: Option<(Timestamp, Timestamp)>,
    window_begin: Option<Timestamp>,
}

impl CaptureTime {
    /// A sender report: at `media` of the stream the camera's clock stood at `wall`.
    pub(super) fn report(&mut self, media: TimeDelta, wall: Timestamp) {
        self.reported = Some(wall - media);
    }

    /// A picture of `media` of the stream arrived.
    pub(super) fn arrived(&mut self, media: TimeDelta, arrival: Timestamp) {
        let offset = arrival - media;
        let begin = *self.window_begin.get_or_insert(arrival);
        self.least = Some(match self.least {
            // Our own clock was set, or the stream's time jumped: what was learnt is void.
            Some((least, _)) if (offset - least).as_micros().abs() > 10_000_000 => (offset, offset),
            Some((least, _)) if arrival - begin > WINDOW => {
                self.window_begin = Some(arrival);
                (offset, least)
            }
            Some((least, before)) => (least.min(offset), before),
            None => (offset, offset),
        });
    }

    /// When the picture of `media` was captured; `None` before any has arrived.
    pub(super) fn at(&self, media: TimeDelta) -> Option<Timestamp> {
        let (least, before) = self.least?;
        let least = least.min(before);
        let believed = self.reported.filter(|reported| {
            let late = least - *reported;
            late <= LATE_MAX && -late <= EARLY_MAX
        });
        Some(believed.unwrap_or(least) + media)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: i64) -> TimeDelta {
        TimeDelta::from_millis(ms)
    }

    fn wall(ms: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + ms * 1000)
    }

    /// Ten frames a second for a minute, each late by 80 ms and up to 60 more.
    fn watched(drift_ppm: i64) -> CaptureTime {
        let mut time = CaptureTime::default();
        for n in 0..600 {
            let drift = n * 100 * drift_ppm / 1_000_000;
            let jitter = [0, 60, 13, 40, 7][n as usize % 5];
            time.arrived(ms(n * 100), wall(n * 100 + drift + 80 + jitter));
        }
        time
    }

    #[test]
    fn jitter_of_the_network_is_gone() {
        let time = watched(0);
        assert_eq!(time.at(ms(60_000)), Some(wall(60_080)));
        let drifted = watched(200).at(ms(60_000)).unwrap() - wall(60_080);
        assert!(drifted >= ms(0) && drifted <= ms(12), "{drifted:?}");
    }

    #[test]
    fn the_cameras_clock_counts_where_it_agrees() {
        let mut time = watched(0);
        time.report(ms(50_000), wall(50_010));
        assert_eq!(time.at(ms(60_000)), Some(wall(60_010)));
        for wrong in [-7_200_000, -1_500, 200, 3_600_000] {
            time.report(ms(50_000), wall(50_080 + wrong));
            assert_eq!(time.at(ms(60_000)), Some(wall(60_080)), "{wrong} ms off");
        }
    }

    #[test]
    fn a_clock_that_is_set_is_followed() {
        let mut time = watched(0);
        time.arrived(ms(60_000), wall(3_660_080));
        assert_eq!(time.at(ms(60_000)), Some(wall(3_660_080)));
    }
}
