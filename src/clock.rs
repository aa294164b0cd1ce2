//! The only file that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::units::{TimeDelta, Timestamp};

/// Measures how long our own work takes, for figures that people read; nothing is decided by it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "clocks are read here alone")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    #[expect(clippy::disallowed_methods, reason = "clocks are read here alone")]
    pub fn nanos(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clock that never runs back and that nobody sets: for deadlines of the edges.
#[derive(Debug, Clone, Copy)]
pub struct Monotonic(Stopwatch);

impl Monotonic {
    pub fn start() -> Self {
        Self(Stopwatch::start())
    }

    pub fn millis(&self) -> u64 {
        self.0.nanos() / 1_000_000
    }

    pub fn nanos(&self) -> u64 {
        self.0.nanos()
    }
}

/// The wall clock, as the system has it.
#[expect(clippy::disallowed_methods, reason = "clocks are read here alone")]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let us = since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
    Timestamp::from_micros(us)
}

/// The engine's time in a live store: the wall clock without its steps back. Where the wall clock
/// is set back, time goes on at half speed until it has caught up; where it is set forward, time
/// follows at once.
#[derive(Debug, Clone)]
pub struct SteadyClock {
    state: Steady,
    watch: Stopwatch,
}

impl SteadyClock {
    /// Begins at the wall clock, but not before `last`.
    pub fn start(last: Option<Timestamp>) -> Self {
        let watch = Stopwatch::start();
        let state = Steady::new(wall(), last);
        Self { state, watch }
    }

    pub fn now(&mut self) -> Timestamp {
        let elapsed = i64::try_from(self.watch.nanos() / 1000).unwrap_or(i64::MAX);
        self.state.read(elapsed, wall())
    }
}

/// The rule of [`SteadyClock`], as a value.
#[derive(Debug, Clone)]
struct Steady {
    now: Timestamp,
    /// Monotonic microseconds at `now`.
    elapsed_us: i64,
}

impl Steady {
    fn new(wall: Timestamp, last: Option<Timestamp>) -> Self {
        Self {
            now: last.map_or(wall, |last| last.max(wall)),
            elapsed_us: 0,
        }
    }

    fn read(&mut self, elapsed_us: i64, wall: Timestamp) -> Timestamp {
        let passed = elapsed_us.saturating_sub(self.elapsed_us).max(0);
        self.elapsed_us = self.elapsed_us.max(elapsed_us);
        let slow = self.now + TimeDelta::from_micros(passed / 2);
        self.now = slow.max(wall);
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_wall_clock_forward_and_never_goes_back() {
        let at = |s: i64| Timestamp::from_micros(s * 1_000_000);
        let mut steady = Steady::new(at(100), Some(at(90)));
        assert_eq!(steady.read(1_000_000, at(101)), at(101));
        // Set forward by an hour.
        assert_eq!(steady.read(2_000_000, at(3702)), at(3702));
        // Set back by an hour: half speed.
        assert_eq!(steady.read(4_000_000, at(104)), at(3703));
        // A state that was made with a clock ahead goes on from there.
        assert_eq!(
            Steady::new(at(5), Some(at(50))).read(2_000_000, at(7)),
            at(51)
        );
    }
}
