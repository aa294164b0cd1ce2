//! How live sensors are, told at a rate: each change is an input, an alert and a line of the log, and a
//! sensor that is well and ill by turns would fill all three. That one is gone is told at once, and the
//! newest state is always told in the end.

use std::collections::BTreeMap;

use crate::observation::SourceState;

/// Changes of one sensor that are told at once, at most.
const BURST: u64 = 8;
/// A further one in so long.
const EACH_MS: u64 = 10_000;

/// By sensor; there are as many as the store file names.
#[derive(Debug, Default)]
pub(super) struct States(BTreeMap<String, Shown>);

#[derive(Debug, Default)]
struct Shown {
    told: Option<(SourceState, String)>,
    wanted: Option<(SourceState, String)>,
    /// When all changes that were spent are had again.
    full_ms: u64,
}

impl States {
    /// A sensor's newest state.
    pub(super) fn want(&mut self, source: String, state: SourceState, reason: String) {
        let shown = self.0.entry(source).or_default();
        shown.wanted = Some((state, reason)).filter(|news| shown.told.as_ref() != Some(news));
    }

    /// The next state that is to be told and may be by now.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<(String, SourceState, String)> {
        let mut all = self.0.iter_mut();
        all.find_map(|(source, shown)| {
            let (state, reason) = shown.next(now_ms)?;
            Some((source.clone(), state, reason))
        })
    }

    pub(super) fn forget(&mut self, source: &str) {
        self.0.remove(source);
    }
}

impl Shown {
    fn next(&mut self, now_ms: u64) -> Option<(SourceState, String)> {
        let is_gone = |told: &(SourceState, String)| told.0 == SourceState::Offline;
        let goes = is_gone(self.wanted.as_ref()?) && !self.told.as_ref().is_some_and(is_gone);
        let full_ms = self.full_ms.max(now_ms) + EACH_MS;
        if full_ms <= now_ms + BURST * EACH_MS {
            self.full_ms = full_ms;
        } else if !goes {
            return None;
        }
        self.told = self.wanted.take();
        self.told.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensor_that_flaps_is_told_at_a_rate_and_as_it_is_in_the_end() {
        let mut states = States::default();
        let mut told = Vec::new();
        let mut flap = |states: &mut States, now_ms, n: usize| {
            let state = [SourceState::Online, SourceState::Degraded][n % 2];
            states.want("gate/g".to_owned(), state, String::new());
            told.extend(states.next(now_ms).map(|(_, state, _)| state));
            told.len() as u64
        };
        for n in 0..100 {
            flap(&mut states, 5, n);
        }
        assert_eq!(flap(&mut states, 5, 100), BURST);
        // Nobody says anything more; the state that was wanted last is told.
        assert_eq!(states.next(5), None);
        // The eighth that was told is the other one.
        let last = states.next(5 + EACH_MS).map(|(_, state, _)| state);
        assert_eq!(last, Some(SourceState::Online));
        assert_eq!(states.next(9 * EACH_MS), None);
    }

    #[test]
    fn that_a_sensor_is_gone_is_told_at_once() {
        let mut states = States::default();
        for n in 0..20_usize {
            let state = [SourceState::Online, SourceState::Degraded][n % 2];
            states.want("a".to_owned(), state, String::new());
            states.next(0);
        }
        states.want("a".to_owned(), SourceState::Offline, "cut".to_owned());
        let told = states.next(0).map(|(_, state, _)| state);
        assert_eq!(told, Some(SourceState::Offline));
    }
}
