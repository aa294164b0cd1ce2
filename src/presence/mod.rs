//! Tags: where each one is, when it left, when it came back, and where it was heard on its way.
//! A detector for each tag learns the tag's own report cadence at its home read point and how
//! often it misses a turn; silence of the whole antenna is no evidence. Pure.

mod heard;
mod say;
mod tag;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::gs1::{Epc, Gtin};
use crate::ids::{AntennaIx, ReaderIx};
use crate::observation::TagRead;
use crate::store::{ReadPoint, Store};
use crate::units::{TimeDelta, Timestamp};

pub use self::heard::TagHeard;
pub use self::say::TagSay;
use self::tag::{Standing, Tag};

/// What became known about a tag.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum TagEvent {
    /// A tag settled at a read point: for the first time, again, or at another than before.
    Arrived {
        epc: Epc,
        home: ReadPoint,
        /// It arrived after this and no later than `before`.
        after: Timestamp,
        before: Timestamp,
        /// Nobody had seen it before: stock found at start, or goods that came in.
        first: bool,
    },
    /// A tag that was at home answers there no longer.
    Departed {
        epc: Epc,
        home: ReadPoint,
        /// Its last read at home.
        after: Timestamp,
        /// When a read at home was due and did not come.
        before: Timestamp,
        /// Natural log of the odds that it left rather than fell silent by chance.
        log_odds: f64,
    },
    /// A tag was heard away from its home: on a gate's antenna, or by a shelf in passing.
    Sighted {
        epc: Epc,
        antenna: AntennaIx,
        at: Timestamp,
        rssi_dbm: f32,
    },
}

/// What is known of an antenna's own rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Rhythm {
    last_read: Option<Timestamp>,
    /// Recent pauses: high where a reader visits its ports in turn.
    pauses: f64,
    /// The longest pause of late, seconds: what is much longer is not the tags' doing.
    longest_s: f64,
    /// Tags at home here.
    homes: u32,
    /// Share of turns in which a tag at home here answers: tags share a turn's time.
    hit: f64,
    /// Its reader is known to be away.
    away: bool,
    /// When it was heard again after a silence of its own: what was not heard before is no evidence.
    resumed: Option<Timestamp>,
}

impl Rhythm {
    fn new() -> Self {
        Self {
            longest_s: SILENT.as_secs(),
            hit: tag::FIRST_HIT,
            ..Self::default()
        }
    }

    /// A pause much longer than any of late is the reader's: its tags did not miss their turns.
    fn on_gap(&mut self, gap: TimeDelta, at: Timestamp) {
        let dark = (3.0 * self.longest_s).max(DARK.as_secs());
        if gap > SILENT || gap.as_secs() > dark {
            self.resumed = Some(at);
            // A reader may have come to pause for so long.
            self.longest_s = (1.5 * self.longest_s).min(SILENT.as_secs());
        } else {
            self.longest_s = gap.as_secs().max(0.995 * self.longest_s);
        }
    }
}

/// The state of all tags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    tags: BTreeMap<Epc, Tag>,
    rhythms: Vec<Rhythm>,
    /// Tags at home, by the antenna that hears them there.
    at_home: BTreeMap<AntennaIx, BTreeSet<Epc>>,
    /// Tags that departed of late, with their home.
    gone: VecDeque<(Timestamp, AntennaIx, Epc)>,
    /// When to look at a tag next; a tag has one entry at most.
    due: BTreeSet<(Timestamp, Epc)>,
    /// Tags of which nothing can be said before their antenna hears something again.
    waiting: BTreeMap<AntennaIx, BTreeSet<Epc>>,
    /// How much later than heard reads arrive, at most of late.
    lag: TimeDelta,
    /// Products of tags that have been at home; follows from the tags and the store.
    #[serde(skip)]
    known: BTreeSet<Gtin>,
    /// There was no room for another tag; until when none is looked for.
    full_until: Option<Timestamp>,
    /// A tag was refused for want of room, and nobody has been told.
    refused: bool,
}

/// Pauses of an antenna between these lengths show that its reader visits ports in turn.
const PAUSE: TimeDelta = TimeDelta::from_millis(450);
/// More tags than this are not followed; those that are nowhere in the shop make room, the longest
/// unheard first.
const TAGS_MAX: usize = 150_000;
/// Where no tag makes room none is looked for so soon again.
const FULL: TimeDelta = TimeDelta::from_millis(60_000);

impl Presence {
    pub fn new(store: &Store) -> Self {
        Self {
            tags: BTreeMap::new(),
            rhythms: vec![Rhythm::new(); store.antennas.len()],
            at_home: BTreeMap::new(),
            gone: VecDeque::new(),
            due: BTreeSet::new(),
            waiting: BTreeMap::new(),
            lag: TimeDelta::ZERO,
            known: BTreeSet::new(),
            full_until: None,
            refused: false,
        }
    }

    /// Takes a store in which tags may stand for other products.
    pub fn on_store(&mut self, store: &Store) {
        let at_home = self.tags.iter().filter(|(_, tag)| tag.was_found());
        self.known = at_home.filter_map(|(epc, _)| store.gtin_of(epc)).collect();
    }

    /// `captured_at` is when the reader says that it heard the tag, `at` the engine's time.
    pub fn on_read(
        &mut self,
        store: &Store,
        at: Timestamp,
        captured_at: Timestamp,
        read: &TagRead,
        out: &mut Vec<TagEvent>,
    ) {
        // A reader's clock that runs ahead or far behind is not believed.
        let captured_at = captured_at.min(at).max(at - TimeDelta::from_millis(2000));
        self.lag = self.lag.max(at - captured_at);
        let cycled = self.on_rhythm(read.antenna, captured_at);
        for epc in self.waiting.remove(&read.antenna).unwrap_or_default() {
            self.due.insert((at, epc));
        }
        let full = self.tags.len() >= TAGS_MAX
            && !self.tags.contains_key(&read.epc)
            && !self.make_room(at);
        let tag = match self.tags.entry(read.epc) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => {
                return;
            }
            Entry::Vacant(new) => {
                self.due.insert((at + FIRST_LOOK, read.epc));
                new.insert(Tag::new(captured_at))
            }
        };
        let resumed = self.rhythms[read.antenna.index()].resumed;
        let missed = tag.on_read(captured_at, read.antenna, read.rssi_dbm, cycled, resumed);
        if let Some(missed) = missed {
            let rhythm = &mut self.rhythms[read.antenna.index()];
            rhythm.hit += HIT_SHARE * (1.0 / (1.0 + missed) - rhythm.hit);
        }
        match tag.standing() {
            Standing::New => {}
            Standing::Home(home) => {
                // It may be in the hands of somebody who stood there for a while.
                let new = read.antenna != home && tag.is_new_at(read.antenna, read.rssi_dbm);
                if new && tag.sighted(captured_at, read.antenna) {
                    out.push(TagEvent::Sighted {
                        epc: read.epc,
                        antenna: read.antenna,
                        at: captured_at,
                        rssi_dbm: read.rssi_dbm,
                    });
                }
            }
            Standing::Away => {
                if tag.sighted(captured_at, read.antenna) {
                    out.push(TagEvent::Sighted {
                        epc: read.epc,
                        antenna: read.antenna,
                        at: captured_at,
                        rssi_dbm: read.rssi_dbm,
                    });
                }
                let is_shelf = |a: AntennaIx| is_home(store, a);
                if let Some((antenna, after, before)) = tag.settled(is_shelf) {
                    let home = store.antennas[antenna.index()].read_point;
                    tag.come_home(antenna, self.rhythms[antenna.index()].hit);
                    self.at_home.entry(antenna).or_default().insert(read.epc);
                    self.rhythms[antenna.index()].homes += 1;
                    self.due.insert((at + FIRST_LOOK, read.epc));
                    let epc = read.epc;
                    out.push(TagEvent::Arrived {
                        epc,
                        home,
                        after,
                        before,
                        first: false,
                    });
                }
            }
        }
    }

    /// Forgets tags that are nowhere in the shop, the longest unheard first: passers-by before
    /// stock that has left. Tags at home stay. Whether there is room now.
    fn make_room(&mut self, at: Timestamp) -> bool {
        if self.full_until.is_some_and(|until| at < until) {
            return false;
        }
        let homeless = self
            .tags
            .iter()
            .filter(|(_, tag)| !matches!(tag.standing(), Standing::Home(_)));
        let mut homeless: Vec<(bool, Timestamp, Epc)> = homeless
            .map(|(epc, tag)| (tag.was_found(), tag.last_heard(), *epc))
            .collect();
        homeless.sort_unstable();
        for (_, _, epc) in homeless.into_iter().take(TAGS_MAX / 16) {
            self.tags.remove(&epc);
        }
        let room = self.tags.len() < TAGS_MAX;
        self.full_until = (!room).then_some(at + FULL);
        self.refused |= !room;
        room
    }

    /// Whether a tag has been refused for want of room since this was last asked.
    pub fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// A reader has come or gone: with it go its antennas, and no tag.
    pub fn on_reader(&mut self, store: &Store, reader: ReaderIx, at: Timestamp, away: bool) {
        for antenna in store.readers[reader.index()].antennas.values() {
            let rhythm = &mut self.rhythms[antenna.index()];
            if rhythm.away && !away {
                rhythm.resumed = Some(at);
                for epc in self.waiting.remove(antenna).unwrap_or_default() {
                    self.due.insert((at + FIRST_LOOK, epc));
                }
            }
            rhythm.away = away;
        }
    }

    fn on_rhythm(&mut self, antenna: AntennaIx, at: Timestamp) -> bool {
        let rhythm = &mut self.rhythms[antenna.index()];
        if let Some(last) = rhythm.last_read {
            let gap = at - last;
            rhythm.on_gap(gap, at);
            if gap > PAUSE {
                rhythm.pauses = (rhythm.pauses + 1.0).min(6.0);
            } else if gap > TimeDelta::ZERO {
                // A pause in every few hundred reads keeps an antenna counted as visited in turn.
                rhythm.pauses *= 0.998;
            }
        }
        rhythm.last_read = Some(rhythm.last_read.map_or(at, |last| last.max(at)));
        rhythm.pauses > 0.7
    }

    /// Whether a tag stands somewhere, as far as is known.
    pub fn stands(&self, epc: &Epc) -> bool {
        let tag = self.tags.get(epc);
        tag.is_some_and(|tag| matches!(tag.standing(), Standing::Home(_)))
    }

    /// When a tag was heard last at the place where it stands.
    pub fn last_at_home(&self, epc: &Epc) -> Option<Timestamp> {
        self.tags.get(epc).map(Tag::last_at_home)
    }

    /// Whether a tag of this product has ever been heard at home.
    pub fn knows(&self, gtin: Gtin) -> bool {
        self.known.contains(&gtin)
    }

    /// When to call [`Presence::on_timeout`] next.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub fn on_timeout(&mut self, store: &Store, at: Timestamp, out: &mut Vec<TagEvent>) {
        while let Some((due, epc)) = self.due.first().copied() {
            if due > at {
                break;
            }
            self.due.remove(&(due, epc));
            if let Some(next) = self.look(store, at, epc, out) {
                self.due
                    .insert((next.max(at + TimeDelta::from_millis(20)), epc));
            }
        }
    }

    /// Looks at a tag whose time has come; tells when to look again.
    fn look(
        &mut self,
        store: &Store,
        at: Timestamp,
        epc: Epc,
        out: &mut Vec<TagEvent>,
    ) -> Option<Timestamp> {
        let tag = self.tags.get_mut(&epc)?;
        match tag.standing() {
            Standing::Away => None,
            Standing::New => {
                let Some((antenna, first)) = tag.first_home(|a| is_home(store, a)) else {
                    // Heard at gates only, or seldom: a passer-by or a stray.
                    tag.go_away();
                    return None;
                };
                tag.come_home(antenna, self.rhythms[antenna.index()].hit);
                self.at_home.entry(antenna).or_default().insert(epc);
                tag.found();
                self.rhythms[antenna.index()].homes += 1;
                self.known.extend(store.gtin_of(&epc));
                let home = store.antennas[antenna.index()].read_point;
                out.push(TagEvent::Arrived {
                    epc,
                    home,
                    after: first,
                    before: first,
                    first: true,
                });
                Some(at + FIRST_LOOK)
            }
            Standing::Home(antenna) => {
                let rhythm = &mut self.rhythms[antenna.index()];
                let awake = rhythm.last_read.unwrap_or(Timestamp::MIN);
                if rhythm.away {
                    self.waiting.entry(antenna).or_default().insert(epc);
                    return None;
                }
                let (homes, alone) = (rhythm.homes, rhythm.homes <= 1);
                let (verdict, next) = tag.silence(at - self.lag, awake, homes, rhythm.resumed);
                let Some((after, before, log_odds)) = verdict else {
                    let next = next + self.lag;
                    if awake < at - SILENT && !(alone && tag.has_cadence()) {
                        // The antenna itself is silent: a reader that is off takes no tag away.
                        self.waiting.entry(antenna).or_default().insert(epc);
                        return None;
                    }
                    return Some(next);
                };
                tag.go_away();
                if let Some(tags) = self.at_home.get_mut(&antenna) {
                    tags.remove(&epc);
                }
                self.gone.push_back((at, antenna, epc));
                while self.gone.len() > GONE_MAX
                    || self.gone.front().is_some_and(|(t, _, _)| at - *t > GONE)
                {
                    self.gone.pop_front();
                }
                rhythm.homes = rhythm.homes.saturating_sub(1);
                let home = store.antennas[antenna.index()].read_point;
                out.push(TagEvent::Departed {
                    epc,
                    home,
                    after,
                    before,
                    log_odds,
                });
                None
            }
        }
    }
}

/// How much one tag's turn tells of its antenna.
const HIT_SHARE: f64 = 0.003;
/// Departures remembered, and for how long.
const GONE_MAX: usize = 10_000;
const GONE: TimeDelta = TimeDelta::from_millis(60_000);
/// An antenna that has heard nothing for so long tells nothing about its tags.
const SILENT: TimeDelta = TimeDelta::from_millis(5_000);
/// No pause shorter than this is taken for the reader's own: a turn of its antennas takes as long.
const DARK: TimeDelta = TimeDelta::from_millis(500);
/// How long after its first read a tag's home is decided.
const FIRST_LOOK: TimeDelta = TimeDelta::from_millis(3_200);

fn is_home(store: &Store, antenna: AntennaIx) -> bool {
    matches!(
        store.antennas[antenna.index()].read_point,
        ReadPoint::Shelf(_) | ReadPoint::Gondola(_)
    )
}
