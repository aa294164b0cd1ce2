//! What a receipt's doubt is made of, as far as the engine's events and findings tell: the items,
//! the meetings in which the shopper may have been taken for another, and the rest, which is whether
//! the right one came in and, where no scale feels all, what went unseen.

use std::collections::BTreeMap;

use crate::basket::event::Receipt;
use crate::fusion::Holdings;
use crate::fusion::met::Verdict;
use crate::gs1::Gtin;
use crate::ids::{TrackId, VisitId};
use crate::units::Timestamp;

/// A meeting of one of the visit's people with somebody else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Met {
    pub(super) own: TrackId,
    pub(super) other: TrackId,
    /// Whose the other was.
    pub(super) visit: Option<VisitId>,
    pub(super) since: Timestamp,
    /// Probability that they were taken for each other.
    pub(super) mistaken: f64,
}

/// From so likely on the engine exchanges two people.
const EXCHANGED: f64 = 0.8;

impl Met {
    /// What tags say takes the place of what looks said; so likely, the two are exchanged, and the
    /// doubt is that they were not.
    pub(super) fn judge(&mut self, verdict: &Verdict) {
        let m = &verdict.meeting;
        let same =
            m.since == self.since && m.tracks.contains(&self.own) && m.tracks.contains(&self.other);
        if same {
            self.mistaken = if verdict.mistaken > EXCHANGED {
                1.0 - verdict.mistaken
            } else {
                verdict.mistaken
            };
        }
    }
}

/// Probabilities of a receipt's being wrong, by what would be the cause.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Of the items; `None` where the recording does not tell it apart from the rest.
    pub(super) items: Option<f64>,
    /// The same of each line: that this shopper's items are others.
    pub(super) lines: BTreeMap<Gtin, f64>,
    /// The worst first.
    pub(super) met: Vec<Met>,
    pub(super) rest: f64,
}

impl Doubt {
    pub(super) fn new(receipt: &Receipt, held: Option<&Holdings>, met: &[Met]) -> Self {
        let known: f64 = met.iter().map(|m| 1.0 - m.mistaken).product();
        let items = held.map_or(1.0, |h| h.confidence);
        let rest = 1.0 - receipt.confidence / (known * items).max(1e-9);
        let mut met = met.to_vec();
        met.sort_by(|a, b| b.mistaken.total_cmp(&a.mistaken));
        Self {
            items: held.map(|h| (1.0 - h.confidence).max(0.0)),
            lines: held.map_or_else(BTreeMap::new, |h| {
                let lines = h.lines.iter();
                lines.map(|l| (l.gtin, 1.0 - l.confidence)).collect()
            }),
            met,
            rest: rest.clamp(0.0, 1.0),
        }
    }
}
