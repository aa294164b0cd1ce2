//! What the tags of a shelf say about an act that something else tells of, a step on a scale or a
//! product missed by a camera: not whether a tag has left for good, but how much better its reads
//! since then, and their absence, fit its having been taken at that time than its standing there
//! still. A tag in a hand is still heard by its shelf now and then, but far weaker.

use super::Presence;
use super::tag::{ELSEWHERE_LOG, ELSEWHERE_MAX, Tag};
use crate::gs1::{Epc, Gtin};
use crate::ids::{AntennaIx, ShelfIx};
use crate::store::{ReadPoint, Store};
use crate::units::signal::log_normal;
use crate::units::{TimeDelta, Timestamp};

/// One tag's say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TagSay {
    pub epc: Epc,
    pub gtin: Gtin,
    /// Natural log of how much likelier what was heard is if it was moved at that time than if
    /// it was not.
    pub log: f64,
}

/// The most that a tag says for having left, and against it, nats: bodies and neighbours hide
/// several turns at once.
const MOST: f64 = 7.0;
const LEAST: f64 = -6.0;
/// The most that missed turns alone say: they do not come one by one, and on simulated days a third
/// of the tags that fell silent stood where they had stood.
const MOST_MISSED: f64 = 4.0;
/// Chance a turn that a tag carried before its shelf is heard by it.
const NEAR: f64 = 0.25;
/// The most that a tag says for having come: who stands before a shelf holds what he carries
/// nearly as near to its antenna.
const MOST_CAME: f64 = 4.5;
/// Chance a turn that a tag is heard which somebody holds before a shelf for long, and how much
/// weaker than one that stands there, dB.
const BEFORE: f64 = 0.5;
const BEFORE_DB: (f64, f64) = (11.0, 6.0);
/// How much weaker a tag in a hand is heard by its shelf, and its spread, dB (recordings: 8 to 25).
const CARRIED_DB: (f64, f64) = (14.0, 7.0);
/// Share of reads at rest that are off the usual level by anything: bodies, a neighbour moved.
const ODD: f64 = 0.03;
const ODD_DB: f64 = 8.0;
/// Reads closer together than this are one turn of a reader that visits its antennas.
const ONE_TURN: TimeDelta = TimeDelta::from_millis(400);
/// Clocks and the hand's own way: what is heard until so long after an act says nothing of it.
const SLACK: TimeDelta = TimeDelta::from_millis(150);
/// A tag that departed so long ago can still be the one of an act.
const LATELY: TimeDelta = TimeDelta::from_millis(25_000);

impl Presence {
    /// What each tag of a shelf says of having left within a window, the engine's time being `at`.
    pub fn left(
        &self,
        store: &Store,
        shelf: ShelfIx,
        window: (Timestamp, Timestamp),
    ) -> Vec<TagSay> {
        let mut out = Vec::new();
        for antenna in antennas_of(store, shelf) {
            let home = self.at_home.get(&antenna).into_iter().flatten();
            let gone = self.gone.iter().filter(|(_, a, _)| *a == antenna);
            let gone = gone.filter(|(when, _, _)| window.0 - *when < LATELY);
            for epc in home.chain(gone.map(|(_, _, epc)| epc)) {
                let (Some(tag), Some(gtin)) = (self.tags.get(epc), store.gtin_of(epc)) else {
                    continue;
                };
                let log = self.log_left(tag, antenna, window);
                out.push(TagSay {
                    epc: *epc,
                    gtin,
                    log,
                });
            }
        }
        out.sort_by_key(|s| s.epc);
        out.dedup_by(|a, b| a.epc == b.epc);
        out
    }

    /// Whether a tag of a shelf that may have been taken within a window stands there yet.
    pub fn stayed(
        &self,
        store: &Store,
        shelf: ShelfIx,
        epc: Epc,
        window: (Timestamp, Timestamp),
    ) -> bool {
        let says = |antenna: AntennaIx| {
            let home = self.at_home.get(&antenna);
            let tag = home
                .filter(|tags| tags.contains(&epc))
                .and(self.tags.get(&epc));
            tag.map(|tag| self.log_left(tag, antenna, window))
        };
        let mut says = antennas_of(store, shelf).filter_map(says);
        says.any(|log| log < 0.0)
    }

    /// What each tag that is away from home says of having come to a shelf within a window.
    pub fn came(
        &self,
        store: &Store,
        shelf: ShelfIx,
        window: (Timestamp, Timestamp),
        tags: &[Epc],
    ) -> Vec<TagSay> {
        let antennas: Vec<AntennaIx> = antennas_of(store, shelf).collect();
        let say = |epc: &Epc| {
            let tag = self.tags.get(epc)?;
            let gtin = store.gtin_of(epc)?;
            let log = self.log_came(tag, &antennas, window);
            Some(TagSay {
                epc: *epc,
                gtin,
                log,
            })
        };
        tags.iter().filter_map(say).collect()
    }

    fn log_left(
        &self,
        tag: &Tag,
        antenna: AntennaIx,
        (after, before): (Timestamp, Timestamp),
    ) -> f64 {
        let Some((hit, period, level, spread)) = tag.habits() else {
            return 0.0;
        };
        let rhythm = &self.rhythms[antenna.index()];
        let mut since = before + SLACK;
        // What the antenna could not hear was not missed.
        if let Some(resumed) = rhythm.resumed.filter(|r| *r > since) {
            since = resumed;
        }
        let awake = if rhythm.away {
            since
        } else {
            rhythm.last_read.unwrap_or(since)
        };
        let mut turns_heard = 0.0;
        let mut last: Option<Timestamp> = None;
        let mut log = 0.0;
        // The last read before the act tells when the next turn was due.
        let mut due_from = after;
        for (at, rssi) in tag.home_reads(antenna) {
            if at <= since {
                due_from = due_from.max(at);
                continue;
            }
            let drop = level - f64::from(rssi);
            if last.is_none_or(|last| at - last > ONE_TURN) {
                turns_heard += 1.0;
                log += libm::log(NEAR / hit) + level_log(drop, spread);
            } else {
                log += 0.5 * level_log(drop, spread);
            }
            last = Some(at);
        }
        let due = ((awake.secs_since(due_from.max(since - TimeDelta::from_secs(period))) / period)
            - 0.2)
            .floor();
        let missed = (due - turns_heard).clamp(0.0, 12.0);
        log += (missed * libm::log((1.0 - NEAR) / (1.0 - hit))).min(MOST_MISSED);
        log += elsewhere(tag, antenna, since);
        log.clamp(LEAST, MOST)
    }

    fn log_came(
        &self,
        tag: &Tag,
        antennas: &[AntennaIx],
        (_, before): (Timestamp, Timestamp),
    ) -> f64 {
        let since = before - SLACK;
        let level = tag.level().unwrap_or(-52.0);
        let mut log = 0.0;
        let mut turns: f64 = 0.0;
        let mut last: Option<Timestamp> = None;
        for (at, antenna, rssi) in tag.other_reads() {
            if at < since || !antennas.contains(&antenna) {
                continue;
            }
            let weaker = level - f64::from(rssi);
            let there = log_normal(weaker, 0.0, 5.0);
            let carried = log_normal(weaker, BEFORE_DB.0, BEFORE_DB.1);
            if last.is_none_or(|last| at - last > ONE_TURN) {
                turns += 1.0;
                log += libm::log(0.9 / BEFORE) + (there - carried).clamp(-3.0, 1.5);
            }
            last = Some(at);
        }
        let awake = antennas.iter().filter_map(|a| {
            let rhythm = &self.rhythms[a.index()];
            rhythm.last_read.filter(|_| !rhythm.away)
        });
        let awake = awake.max().unwrap_or(since);
        let due = (awake.secs_since(before) / 1.5 - 0.2)
            .floor()
            .clamp(0.0, 6.0);
        log += (due - turns).max(0.0) * libm::log(0.1 / (1.0 - BEFORE));
        log.clamp(LEAST, MOST_CAME)
    }
}

/// How much better a level fits a tag in a hand than one at home.
pub(super) fn level_log(drop: f64, spread: f64) -> f64 {
    let density = |mean: f64, sigma: f64| libm::exp(log_normal(drop, mean, sigma));
    let stays = (1.0 - ODD) * density(0.0, spread) + ODD * density(0.0, ODD_DB);
    let left = density(CARRIED_DB.0, CARRIED_DB.1);
    libm::log(left.max(1e-9) / stays.max(1e-9)).clamp(-5.0, 2.5)
}

/// A tag that comes to be heard where it was not heard before has moved, most likely.
fn elsewhere(tag: &Tag, home: AntennaIx, since: Timestamp) -> f64 {
    let mut log: f64 = 0.0;
    for (at, antenna, rssi) in tag.other_reads() {
        if at > since && antenna != home && tag.is_new_at(antenna, rssi) {
            log += ELSEWHERE_LOG;
        }
    }
    log.min(ELSEWHERE_MAX)
}

/// The antennas that hear a shelf.
pub(super) fn antennas_of(store: &Store, shelf: ShelfIx) -> impl Iterator<Item = AntennaIx> {
    let gondola = store.shelf(shelf).gondola;
    let hears = move |p: &ReadPoint| match p {
        ReadPoint::Shelf(s) => *s == shelf,
        ReadPoint::Gondola(g) => *g == gondola,
        ReadPoint::Gate(_) | ReadPoint::Zone(_) => false,
    };
    let numbered = store.antennas.iter().enumerate();
    numbered
        .filter(move |(_, a)| hears(&a.read_point))
        .map(|(i, _)| AntennaIx(i as u16))
}
