//! What is not as it should be while a reader reads, as the state that is told: some of it lasts,
//! some passes.

use std::collections::BTreeSet;

use super::plan::list;
use super::reports::Oddities;
use crate::observation::SourceState;

/// A trouble that a reader told once is told on for so long.
const PASSES_MS: u64 = 60_000;

#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Wishes that cannot be.
    lasting: Vec<String>,
    unconnected: BTreeSet<u16>,
    /// The newest alone, and until when.
    passing: Option<(String, u64)>,
}

impl Troubles {
    pub(super) fn new(lasting: Vec<String>) -> Self {
        Self {
            lasting,
            ..Self::default()
        }
    }

    pub(super) fn lasts(&mut self, text: String) {
        self.lasting.push(text);
    }

    pub(super) fn antenna(&mut self, id: u16, connected: bool) {
        if connected {
            self.unconnected.remove(&id);
        } else {
            self.unconnected.insert(id);
        }
    }

    pub(super) fn passes(&mut self, text: String, now_ms: u64) {
        self.passing = Some((text, now_ms.saturating_add(PASSES_MS)));
    }

    /// The state, and why it is that; `well` is told where nothing is wrong. `unheard` are antennas
    /// that were never connected.
    pub(super) fn state(
        &mut self,
        well: &str,
        unheard: &BTreeSet<u16>,
        odd: &Oddities,
        now_ms: u64,
    ) -> (SourceState, String) {
        self.passing.take_if(|(_, until)| *until <= now_ms);
        let mut parts = Vec::new();
        let unconnected: BTreeSet<_> = self.unconnected.union(unheard).collect();
        if !unconnected.is_empty() {
            let ids = list(unconnected);
            parts.push(format!("antenna {ids} disconnected; look at its cable"));
        }
        parts.extend(self.passing.iter().map(|(text, _)| text.clone()));
        parts.extend(self.lasting.iter().cloned());
        parts.extend(oddities(odd));
        match &*parts {
            [] => (SourceState::Online, well.to_owned()),
            parts => (SourceState::Degraded, parts.join("; ")),
        }
    }
}

fn oddities(odd: &Oddities) -> impl Iterator<Item = String> {
    let unasked = (!odd.unasked.is_empty()).then(|| {
        let ids = list(&odd.unasked);
        format!("it reads at antenna {ids} too, which is not in the store file: dropped")
    });
    let no_antenna = odd.no_antenna.then(|| {
        "its reports name no antenna, and it has several: what they tell is dropped".to_owned()
    });
    let no_rssi = odd
        .no_rssi
        .then(|| "it tells no RSSI; -60 dBm is assumed".to_owned());
    [unasked, no_antenna, no_rssi].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_passes_and_what_lasts_lasts() {
        let mut troubles = Troubles::default();
        let none = BTreeSet::new();
        let odd = Oddities::default();
        let online = |text: &str| (SourceState::Online, text.to_owned());
        let degraded = |text: &str| (SourceState::Degraded, text.to_owned());
        assert_eq!(troubles.state("well", &none, &odd, 0), online("well"));
        troubles.antenna(3, false);
        troubles.antenna(4, false);
        troubles.passes("hot".into(), 1_000);
        let cables = "antenna 3, 4 disconnected; look at its cable";
        let both = format!("{cables}; hot");
        assert_eq!(troubles.state("well", &none, &odd, 60_999), degraded(&both));
        assert_eq!(
            troubles.state("well", &none, &odd, 61_000),
            degraded(cables)
        );
        troubles.antenna(3, true);
        troubles.antenna(4, true);
        assert_eq!(troubles.state("well", &none, &odd, 61_000), online("well"));
        troubles.lasts("no mode 7".into());
        assert_eq!(
            troubles.state("well", &none, &odd, 99_000),
            degraded("no mode 7")
        );
    }
}
