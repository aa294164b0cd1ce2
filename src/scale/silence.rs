//! How long a scale may say nothing. A board that speaks ten times a second is gone after seconds, one
//! that speaks when something changes is not: its own longest pauses tell which it is.

use std::collections::VecDeque;

/// A scale's pauses, milliseconds of one clock.
#[derive(Debug, Clone, Default)]
pub struct Silence {
    last_ms: Option<u64>,
    /// Since when its first word is waited for.
    waiting_ms: Option<u64>,
    /// The newest pauses.
    pauses: VecDeque<u64>,
}

/// Pauses that are remembered.
const PAUSES: usize = 64;
/// A network's hiccup.
const LEAST_MS: u64 = 5_000;
/// For the first word after it can be heard: a wrong topic should show while the installer looks.
const FIRST_WORD_MS: u64 = 15_000;
/// Before its pauses are known.
const UNKNOWN_MS: u64 = 60_000;
/// Pauses that must be known.
const KNOWN: usize = 5;
/// Pauses vary: so many times its longest is more than that.
const TIMES: u64 = 5;

impl Silence {
    /// It can be heard from now on.
    pub fn listening(&mut self, now_ms: u64) {
        self.waiting_ms = Some(now_ms);
    }

    pub fn heard(&mut self, now_ms: u64) {
        self.waiting_ms = None;
        if let Some(last) = self.last_ms.replace(now_ms) {
            self.pauses.push_back(now_ms.saturating_sub(last));
            if self.pauses.len() > PAUSES {
                self.pauses.pop_front();
            }
        }
    }

    /// Whether it has said anything since it can be heard.
    pub fn has_spoken(&self) -> bool {
        self.last_ms.is_some()
    }

    /// Its connection was away: the pause until its next word is not its own.
    pub fn interrupted(&mut self) {
        self.last_ms = None;
        self.waiting_ms = None;
    }

    /// When it has been silent for too long; `None` while it cannot be heard.
    pub fn over_ms(&self) -> Option<u64> {
        if let Some(waiting) = self.waiting_ms {
            return Some(waiting + FIRST_WORD_MS);
        }
        let patience = match self.pauses.iter().max() {
            Some(longest) if self.pauses.len() >= KNOWN => (TIMES * longest).max(LEAST_MS),
            _ => UNKNOWN_MS,
        };
        Some(self.last_ms? + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_as_long_as_the_scale_is_slow() {
        let mut fast = Silence::default();
        assert_eq!(fast.over_ms(), None);
        fast.listening(7);
        assert_eq!(fast.over_ms(), Some(7 + FIRST_WORD_MS));
        fast.heard(0);
        assert_eq!(fast.over_ms(), Some(UNKNOWN_MS));
        (1..=20).for_each(|n| fast.heard(n * 100));
        assert_eq!(fast.over_ms(), Some(2_000 + LEAST_MS));
        let mut slow = Silence::default();
        (0..=5).for_each(|n| slow.heard(n * 30_000));
        assert_eq!(slow.over_ms(), Some(150_000 + 150_000));
        slow.interrupted();
        assert_eq!(slow.over_ms(), None);
    }
}
