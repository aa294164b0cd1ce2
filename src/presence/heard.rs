//! What was heard of one tag about a time, for people who want to know why something was decided.

use super::Presence;
use super::say::antennas_of;
use crate::gs1::Epc;
use crate::ids::{AntennaIx, ShelfIx};
use crate::store::Store;
use crate::units::Timestamp;

/// A tag as a shelf's antennas heard it before and after an instant, as far as is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TagHeard {
    /// The last read before.
    pub before: Option<Timestamp>,
    /// The first and the last read since, and how many there were.
    pub since: Option<(Timestamp, Timestamp, u32)>,
    /// How much weaker than usual those since were, on average, dB; where its level is known.
    pub weaker_db: Option<f64>,
    /// Whether an antenna of another place has heard it since.
    pub elsewhere: bool,
}

impl Presence {
    /// What is remembered of a tag at a shelf about `at`; `None` for a tag that is not known.
    pub fn heard(
        &self,
        store: &Store,
        shelf: ShelfIx,
        epc: &Epc,
        at: Timestamp,
    ) -> Option<TagHeard> {
        let tag = self.tags.get(epc)?;
        let here: Vec<AntennaIx> = antennas_of(store, shelf).collect();
        let mut heard = TagHeard::default();
        let mut levels = 0.0;
        for (when, antenna, rssi) in tag.other_reads() {
            if !here.contains(&antenna) {
                heard.elsewhere |= when > at;
            } else if when <= at {
                heard.before = Some(when);
            } else {
                let (first, _, n) = heard.since.unwrap_or((when, when, 0));
                heard.since = Some((first, when, n + 1));
                levels += f64::from(rssi);
            }
        }
        let mean = heard.since.map(|(_, _, n)| levels / f64::from(n));
        heard.weaker_db = tag.level().zip(mean).map(|(level, mean)| level - mean);
        Some(heard)
    }
}
