//! How long to wait before the next attempt: longer each time, never quite the same, short again
//! after success.

use std::time::Duration;

#[derive(Debug, Clone)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            next: Duration::ZERO,
        }
    }

    pub(super) fn reset(&mut self) {
        self.next = Duration::ZERO;
    }

    /// The next wait, between `least` and `most`; half of it is chance (0 to 255), so that many
    /// cameras on one switch do not come back at once.
    pub(super) fn wait(&mut self, (least, most): (Duration, Duration), chance: u8) -> Duration {
        let whole = self.next.clamp(least, most);
        self.next = whole * 2;
        whole / 2 + whole * u32::from(chance) / (2 * 255)
    }
}

/// A byte of chance; 128 where the system has none.
pub(super) fn chance() -> u8 {
    let mut byte = [128];
    match rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(_) | Err(_) => byte[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_cap_and_begin_again() {
        let mut backoff = Backoff::new();
        let cap = (Duration::from_millis(250), Duration::from_secs(2));
        let waits: Vec<_> = (0..5).map(|_| backoff.wait(cap, 255).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 2000]);
        assert_eq!(backoff.wait(cap, 0).as_millis(), 1000);
        backoff.reset();
        assert_eq!(backoff.wait(cap, 255).as_millis(), 250);
    }
}
