//! When to try again: soon at first, later each time, never at the same moment as others who lost
//! the same thing, and soon again once it went well.

use std::time::Duration;

/// Doubles within bounds; each wait is drawn from its upper half.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(15);

impl Backoff {
    /// How long to wait now: from a quarter of a second to fifteen.
    pub fn wait(&mut self) -> Duration {
        self.within(FIRST, LAST)
    }

    /// The same within bounds of the caller's.
    pub fn within(&mut self, least: Duration, most: Duration) -> Duration {
        let whole = self.next.clamp(least, most);
        self.next = whole * 2;
        whole / 2 + (whole / 2).mul_f64(random())
    }

    /// It went well: the next failure is a new one.
    pub fn reset(&mut self) {
        self.next = Duration::ZERO;
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
        for (least, most) in [(FIRST, LAST), (LAST, 20 * LAST)] {
            let mut backoff = Backoff::default();
            let mut whole = least;
            for _ in 0..20 {
                let wait = backoff.within(least, most);
                assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
                whole = (whole * 2).min(most);
            }
            backoff.reset();
            assert!(backoff.within(least, most) <= least);
        }
    }
}
