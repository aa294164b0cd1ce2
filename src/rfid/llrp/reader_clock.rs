//! A reader's clock against the box's: how old a read is when its report arrives.
//!
//! `arrival - stamp` is the clocks' offset and the report's way. The way is never negative, so the
//! smallest of a minute is the offset, as near as the fastest report was fast (the filter of NTP,
//! RFC 5905 clause 10, without its way back). A minute forgets what 50 ppm of drift make of it: 3 ms.
//! Arrivals are told by a clock that nobody sets; the reader's own may be set, and is then learnt
//! anew.

use std::collections::VecDeque;

/// Offsets are kept by stretches of arrivals this long …
const STRETCH_US: i64 = 10_000_000;
/// … and so many of them.
const STRETCHES: usize = 6;
/// Reports are not on their way for so long: a larger change is a clock that was set.
const STEP_US: i64 = 1_000_000;
/// A network that stands still looks like a clock that was set back, until what it held arrives.
const DOUBT_US: i64 = 3_000_000;
const DOUBT_REPORTS: u32 = 3;

/// Learns the offset of one clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ReaderClock {
    /// When each stretch began, and its smallest offset.
    stretches: VecDeque<(i64, i64)>,
    doubt: Option<Doubt>,
}

/// Since when all offsets are too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Doubt {
    since: i64,
    reports: u32,
    smallest: i64,
}

impl ReaderClock {
    /// Takes the newest stamp of what arrived at `arrival`, both in microseconds. Some with the
    /// step where the reader's clock was set.
    pub(super) fn learn(&mut self, arrival: i64, stamp: i64) -> Option<i64> {
        let sample = arrival.saturating_sub(stamp);
        let Some(offset) = self.offset() else {
            self.keep(arrival, sample);
            return None;
        };
        let step = offset.saturating_sub(sample);
        if step < -STEP_US {
            return self.doubt(arrival, sample, offset);
        }
        self.doubt = None;
        let set_forward = step > STEP_US;
        if set_forward {
            self.stretches.clear();
        }
        self.keep(arrival, sample);
        set_forward.then_some(step)
    }

    /// How long before `arrival` the reader's `stamp` was, in microseconds, never negative; None
    /// where nothing is known yet.
    pub(super) fn age(&self, arrival: i64, stamp: i64) -> Option<i64> {
        let sample = arrival.saturating_sub(stamp);
        Some(sample.saturating_sub(self.offset()?).max(0))
    }

    fn offset(&self) -> Option<i64> {
        self.stretches.iter().map(|(_, smallest)| *smallest).min()
    }

    fn keep(&mut self, arrival: i64, sample: i64) {
        // What is too old goes, unless there is nothing newer.
        let oldest = arrival.saturating_sub(STRETCH_US * STRETCHES as i64);
        self.stretches.retain(|(begin, _)| *begin > oldest);
        match self.stretches.back_mut() {
            Some((begin, smallest)) if arrival.saturating_sub(*begin) < STRETCH_US => {
                *smallest = (*smallest).min(sample);
            }
            _ => self.stretches.push_back((arrival, sample)),
        }
    }

    fn doubt(&mut self, arrival: i64, sample: i64, offset: i64) -> Option<i64> {
        let doubt = self.doubt.get_or_insert(Doubt {
            since: arrival,
            reports: 0,
            smallest: sample,
        });
        doubt.reports += 1;
        doubt.smallest = doubt.smallest.min(sample);
        if arrival - doubt.since < DOUBT_US || doubt.reports < DOUBT_REPORTS {
            return None;
        }
        let smallest = doubt.smallest;
        *self = Self::default();
        self.keep(arrival, smallest);
        Some(offset.saturating_sub(smallest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000;

    #[test]
    fn the_fastest_report_tells_the_offset() {
        let mut clock = ReaderClock::default();
        assert_eq!(clock.age(10, 0), None);
        // The reader started 500 s before; reports take 40, 2 and 90 ms.
        for (at, way) in [(1, 40_000), (2, 2_000), (3, 90_000)] {
            assert_eq!(clock.learn(at * S + way, (500 + at) * S), None);
        }
        assert_eq!(clock.age(4 * S + 30_000, 504 * S), Some(28_000));
        // Faster than all before: it is not read before it arrives.
        assert_eq!(clock.age(4 * S, 504 * S), Some(0));
    }

    #[test]
    fn drift_is_followed_within_a_minute() {
        let mut clock = ReaderClock::default();
        // 50 ppm slow, a report each 100 ms with a way of 0 to 9 ms.
        for n in 0..36_000_i64 {
            let true_us = n * 100_000;
            let stamp = true_us - true_us / 20_000;
            let arrival = true_us + n % 10 * 1_000;
            assert_eq!(clock.learn(arrival, stamp), None);
            let age = clock.age(arrival, stamp).unwrap();
            assert!((age - (arrival - true_us)).abs() <= 3_100, "{n}: {age}");
        }
    }

    #[test]
    fn a_clock_that_is_set_is_learnt_anew_and_told_once() {
        let mut clock = ReaderClock::default();
        let told = |steps: &[(i64, i64)], clock: &mut ReaderClock| -> Vec<i64> {
            let steps = steps.iter();
            steps
                .filter_map(|(at, stamp)| clock.learn(*at, *stamp))
                .collect()
        };
        let before: Vec<_> = (0..5).map(|s| (s * S, s * S)).collect();
        assert!(told(&before, &mut clock).is_empty());
        // An hour forward: at once.
        let forward: Vec<_> = (5..9).map(|s| (s * S, (s + 3600) * S)).collect();
        assert_eq!(told(&forward, &mut clock), [3600 * S]);
        // And back: after three seconds.
        let back: Vec<_> = (9..15).map(|s| (s * S, s * S)).collect();
        assert_eq!(told(&back, &mut clock), [-3600 * S]);
        assert_eq!(clock.age(15 * S, 15 * S), Some(0));
    }

    #[test]
    fn a_network_that_stood_still_is_no_clock_that_was_set() {
        let mut clock = ReaderClock::default();
        clock.learn(0, 0);
        // Ten seconds of reports arrive together.
        for s in 1..=10 {
            assert_eq!(clock.learn(10 * S, s * S), None);
            assert_eq!(clock.age(10 * S, s * S), Some((10 - s) * S));
        }
    }

    #[test]
    fn a_quiet_hour_does_not_forget_the_clock() {
        let mut clock = ReaderClock::default();
        clock.learn(0, 7 * S);
        assert_eq!(clock.age(3600 * S + 5, 3607 * S), Some(5));
    }

    proptest! {
        #[test]
        fn any_stamps_give_an_age(samples in prop::collection::vec((0..i64::MAX, any::<i64>()), 0..99)) {
            let mut clock = ReaderClock::default();
            for (arrival, stamp) in samples {
                clock.learn(arrival, stamp);
                prop_assert!(clock.age(arrival, stamp).unwrap() >= 0);
                prop_assert!(clock.stretches.len() <= 9);
            }
        }
    }
}
