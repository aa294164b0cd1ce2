//! When to try again: soon at first, later each time, never at the same moment as others who lost
//! the same thing, and soon again once it went well.

use std::time::Duration;

/// Doubles from `FIRST` to `LAST`; each wait is drawn from its upper half.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(15);

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LAST);
        whole / 2 + (whole / 2).mul_f64(random())
    }

    /// It went well: the next failure is a new one.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

/// Between 0 and 1; where the system has no chance to give, always the same.
fn random() -> f64 {
    let mut bytes = [0; 4];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK);
    got.map_or(0.5, |_| {
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_bounded_and_begin_anew() {
        let mut backoff = Backoff::default();
        let mut most = FIRST;
        for _ in 0..20 {
            let wait = backoff.wait();
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
            most = (most * 2).min(LAST);
        }
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
