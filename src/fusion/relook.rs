//! A second look at what tags say of a take. When an interaction is decided its tags have been
//! silent for a few seconds, and one that was hidden looks like one that has left. Some seconds
//! later, or as somebody who may have it goes out, they have been silent for longer or are heard
//! again, and worlds that differ in what was taken are weighed anew.

use serde::{Deserialize, Serialize};

use super::tags::Tags;
use super::trace::{Again, Trace};
use super::ways::Branched;
use super::world::UnitId;
use super::{Decision, Direction, Fusion};
use crate::gs1::{Epc, Gtin};
use crate::ids::{ShelfIx, VisitId};
use crate::presence::Presence;
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};

/// A take of which it is in doubt what was taken, or whether anything was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Doubtful {
    shelf: ShelfIx,
    unit: UnitId,
    /// The last instant at which it can have been.
    until: Timestamp,
    options: Vec<Choice>,
    /// Probability, when it was decided, that nothing was taken.
    nothing: f64,
}

/// What may have been taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Choice {
    pub(super) gtin: Gtin,
    /// The tag by which alone it is known.
    pub(super) own: Option<Epc>,
    window: (Timestamp, Timestamp),
    /// What its tags said when they were last weighed, and what they say now.
    pub(super) before: Tags,
    pub(super) now: Tags,
    /// Probability, when it was decided, that it went and nobody who is known took it.
    nobody: f64,
}

/// Tags are looked at again so long after.
const LOOK_AGAIN: TimeDelta = TimeDelta::from_millis(12_000);
/// Less likely choices are not looked at again.
const FAINT: f64 = 0.002;

#[cfg(test)]
impl Choice {
    pub(super) fn new(gtin: Gtin, before: Tags, now: Tags) -> Self {
        Self {
            gtin,
            own: None,
            window: (Timestamp::MIN, Timestamp::MIN),
            before,
            now,
            nobody: 0.0,
        }
    }
}

impl Doubtful {
    /// What the tags say now against what they said, as a log, of worlds in which nobody holds the
    /// unit: nothing was taken, or somebody took it who is not known.
    fn absent(&self) -> f64 {
        let each = |c: &Choice| (c.nobody, c.now.log(|_| 0.0) - c.before.log(|_| 0.0));
        let nobody: f64 = self.options.iter().map(|c| c.nobody).sum();
        if self.nothing + nobody < 1e-9 {
            return 0.0;
        }
        let now: f64 = self
            .options
            .iter()
            .map(each)
            .map(|(p, log)| p * libm::exp(log))
            .sum();
        libm::log((self.nothing + now) / (self.nothing + nobody))
    }
}

impl Fusion {
    /// Notes of which takes of an interaction it is in doubt what they were.
    pub(super) fn note_doubtful(
        &mut self,
        store: &Store,
        presence: &Presence,
        shelf: ShelfIx,
        branched: &Branched,
        first: UnitId,
    ) {
        if !self.coverage.of(shelf).rfid {
            return;
        }
        let told = branched.told();
        let most = told.iter().map(|(_, who, _)| who.len()).max().unwrap_or(0);
        for i in 0..most {
            let mut doubtful = Doubtful {
                shelf,
                unit: UnitId(first.0 + i as u64),
                until: Timestamp::MIN,
                options: Vec::new(),
                nothing: 0.0,
            };
            let mut putback = false;
            for (p, act, who) in branched.ways_of(i) {
                let Some(act) = act else {
                    doubtful.nothing += p;
                    continue;
                };
                putback |= act.direction == Direction::Putback;
                let own = act.epc.filter(|_| act.tags.is_none());
                let same = |c: &&mut Choice| c.gtin == act.gtin && c.own == own;
                let nobody = if who.is_none() { p } else { 0.0 };
                if let Some(known) = doubtful.options.iter_mut().find(same) {
                    known.nobody += nobody;
                } else if p > FAINT {
                    let tags = tags_left(store, presence, shelf, act.gtin, own, act.window);
                    doubtful.until = doubtful.until.max(act.window.1);
                    doubtful.options.push(Choice {
                        gtin: act.gtin,
                        own,
                        window: act.window,
                        before: tags.clone(),
                        now: tags,
                        nobody,
                    });
                }
            }
            let certain = doubtful.options.len() < 2 && doubtful.nothing < FAINT;
            if !putback && !certain && !doubtful.options.is_empty() {
                self.doubtful.push(doubtful);
            }
        }
    }

    /// When tags are to be looked at again.
    pub(super) fn looks_again_at(&self) -> Option<Timestamp> {
        self.doubtful.iter().map(|d| d.until + LOOK_AGAIN).min()
    }

    /// Looks again at the takes that are due.
    pub(super) fn look_again(
        &mut self,
        store: &Store,
        presence: &Presence,
        at: Timestamp,
        out: &mut Vec<Decision>,
    ) {
        let all = std::mem::take(&mut self.doubtful);
        let (due, later) = all.into_iter().partition(|d| d.until + LOOK_AGAIN <= at);
        self.doubtful = later;
        let due: Vec<Doubtful> = due;
        for mut doubtful in due {
            self.look_at(store, presence, &mut doubtful, out);
        }
    }

    /// Looks again at what a visit may have taken that is being closed.
    pub(super) fn look_before_closing(
        &mut self,
        store: &Store,
        presence: &Presence,
        visit: VisitId,
        out: &mut Vec<Decision>,
    ) {
        let mut all = std::mem::take(&mut self.doubtful);
        let units = self.clusters.units_of(visit);
        let concerned = |d: &&mut Doubtful| units.iter().any(|(u, _)| u.id == d.unit);
        for doubtful in all.iter_mut().filter(concerned) {
            self.look_at(store, presence, doubtful, out);
        }
        self.doubtful = all;
    }

    fn look_at(
        &mut self,
        store: &Store,
        presence: &Presence,
        doubtful: &mut Doubtful,
        out: &mut Vec<Decision>,
    ) {
        // A tag that came back says nothing of whether it had been taken.
        let came_back = self.decided.iter().any(|d| {
            d.direction == Direction::Putback
                && d.window.1 > doubtful.until
                && doubtful.options.iter().any(|c| c.gtin == d.gtin)
        });
        if came_back {
            return;
        }
        for c in &mut doubtful.options {
            c.now = tags_left(store, presence, doubtful.shelf, c.gtin, c.own, c.window);
        }
        let unit = doubtful.unit;
        let before = self.traces.is_some().then(|| self.clusters.choices(unit));
        let changed = self
            .clusters
            .look_again(unit, &doubtful.options, doubtful.absent());
        if let Some(before) = before {
            let after = self.clusters.choices(unit);
            self.trace(|_| {
                Trace::Again(Again {
                    unit,
                    before,
                    after,
                })
            });
        }
        for c in &mut doubtful.options {
            c.before = c.now.clone();
        }
        if !changed.is_empty() {
            out.push(Decision::Reweighed(changed));
        }
    }
}

/// What a shelf's tags of a product say of one's having been taken within a window.
fn tags_left(
    store: &Store,
    presence: &Presence,
    shelf: ShelfIx,
    gtin: Gtin,
    own: Option<Epc>,
    window: (Timestamp, Timestamp),
) -> Tags {
    let tagged = store.catalog.get(&gtin).and_then(|p| p.tagged);
    if tagged == Some(false) {
        return Tags::none();
    }
    let says = presence.left(store, shelf, window);
    Tags::left(&says, gtin, own, presence.knows(gtin), |_| true)
}
