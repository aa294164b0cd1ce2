//! One tag: its home, its cadence there, and what each antenna has heard of it lately.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::say::level_log;
use crate::ids::AntennaIx;
use crate::units::{TimeDelta, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// Heard, but nobody knows yet where it lives.
    New,
    Home(AntennaIx),
    Away,
}

/// What one antenna heard of a tag lately.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Heard {
    antenna: AntennaIx,
    /// Since the tag's standing changed, or since a long silence.
    first: Timestamp,
    last: Timestamp,
    /// Turns in which it was heard.
    turns: u32,
    rssi_dbm: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tag {
    standing: Standing,
    /// Its first place was a home.
    found: bool,
    heard: Vec<Heard>,
    /// Level at home, once known, and its spread.
    home_rssi_dbm: Option<f32>,
    home_spread_db: f32,
    /// All reads of late, oldest first.
    recent: VecDeque<(Timestamp, AntennaIx, f32)>,
    /// How loud other antennas hear it while it is at home.
    around: Vec<(AntennaIx, f32)>,
    /// The last read at home as loud as usual.
    last_home: Timestamp,
    /// What weak reads at home since then say for its being in a hand, and their number.
    weak_log: f64,
    weak: u32,
    /// What other antennas that had not heard it before say since then.
    elsewhere_log: f64,
    /// Since it left its home another antenna has heard it that had not before.
    moved: bool,
    last_antenna: Option<AntennaIx>,
    last_sighted: Option<(Timestamp, AntennaIx)>,
    away_since: Timestamp,
    cadence: Cadence,
}

/// How often a tag at home is reported, and how often it misses a turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Cadence {
    /// Seconds from turn to turn.
    period_s: f64,
    known: u32,
    hits: f64,
    misses: f64,
}

/// Chance that a tag at home answers in a turn, before its antenna is known.
pub(super) const FIRST_HIT: f64 = 0.945;
/// What is held of a new tag's answering weighs as much as so many turns.
const PRIOR_TURNS: f64 = 12.0;
/// Turns remembered.
const MEMORY: f64 = 60.0;
/// Log odds against its leaving within any one turn, of a tag that is alone at its antenna; of
/// many it is as much less likely to be just this one.
const LEAVING_LOG: f64 = 3.5;
/// Decided at this log of odds.
const SURE_LOG: f64 = 1.5;
/// A tag's level at home spreads by about so much before it is known, dB.
const SPREAD_DB: f32 = 2.5;
/// Reads remembered, and for how long.
const RECENT_MAX: usize = 40;
const RECENT: TimeDelta = TimeDelta::from_millis(20_000);
/// Other antennas remembered that hear it at home.
const AROUND_MAX: usize = 8;
/// A read at home this much below the level is weak, dB.
const WEAK_DB: f64 = 5.0;
/// The most that weak reads say, nats.
const WEAK_LOG_MAX: f64 = 2.5;
/// What a read by an antenna that does not hear it at home says, and all of them at most, nats.
pub(super) const ELSEWHERE_LOG: f64 = 0.5;
pub(super) const ELSEWHERE_MAX: f64 = 3.0;
/// So many weak reads, over so long, are a new level.
const WEAK_MAX: u32 = 6;
const WEAK_FOR: TimeDelta = TimeDelta::from_millis(10_000);
/// A level this much below home's is no return, dB: neighbours hear 15 to 25 dB less.
const RETURN_DB: f32 = 9.0;

impl Cadence {
    /// Of a tag whose antenna hears so much of its tags in a turn.
    fn new(hit: f64) -> Self {
        Self {
            period_s: 0.0,
            known: 0,
            hits: PRIOR_TURNS * hit,
            misses: PRIOR_TURNS * (1.0 - hit),
        }
    }

    /// Takes the time between two turns in which it answered; how many it missed between.
    fn on_gap(&mut self, gap_s: f64) -> Option<f64> {
        if self.known < 3 {
            let least = if self.known == 0 {
                gap_s
            } else {
                self.period_s.min(gap_s)
            };
            self.period_s = least.max(0.03);
            self.known += 1;
            return None;
        }
        let turns = (gap_s / self.period_s).round().max(1.0);
        if turns < 1.5 {
            self.period_s += 0.1 * (gap_s - self.period_s);
        } else {
            self.period_s *= 1.01;
        }
        let missed = (turns - 1.0).min(20.0);
        self.hits += 1.0;
        self.misses += missed;
        let all = self.hits + self.misses;
        if all > MEMORY {
            self.hits *= MEMORY / all;
            self.misses *= MEMORY / all;
        }
        Some(missed)
    }

    /// Natural log of how much likelier one missed turn is for a tag that left.
    fn miss_log(&self) -> f64 {
        -libm::log((self.misses / (self.hits + self.misses)).clamp(0.01, 0.99))
    }
}

impl Tag {
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            standing: Standing::New,
            found: false,
            heard: Vec::new(),
            home_rssi_dbm: None,
            home_spread_db: SPREAD_DB,
            recent: VecDeque::new(),
            around: Vec::new(),
            last_home: at,
            weak_log: 0.0,
            weak: 0,
            elsewhere_log: 0.0,
            moved: false,
            last_antenna: None,
            last_sighted: None,
            away_since: at,
            cadence: Cadence::new(FIRST_HIT),
        }
    }

    pub(super) fn last_at_home(&self) -> Timestamp {
        self.last_home
    }

    /// When any antenna heard it last.
    pub(super) fn last_heard(&self) -> Timestamp {
        let heard = self.heard.iter().map(|h| h.last);
        heard.fold(self.last_home.max(self.away_since), Timestamp::max)
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Notes that its first place is a home.
    pub(super) fn found(&mut self) {
        self.found = true;
    }

    pub(super) fn was_found(&self) -> bool {
        self.found
    }

    /// Takes a read; gives how many turns it missed before it, where that is known. `cycled` says
    /// that the antenna is visited in turns, so that reads close together are one, `resumed` when it
    /// was last heard again after a silence of its own.
    pub(super) fn on_read(
        &mut self,
        at: Timestamp,
        antenna: AntennaIx,
        rssi_dbm: f32,
        cycled: bool,
        resumed: Option<Timestamp>,
    ) -> Option<f64> {
        let one_turn = TimeDelta::from_millis(if cycled { 400 } else { 20 });
        self.note(at, antenna, rssi_dbm);
        if self.standing == Standing::Home(antenna) {
            if self.is_weak(at, rssi_dbm) {
                return None;
            }
            let mut missed = None;
            let gap = at - self.last_home;
            // Turns that the antenna itself missed are not the tag's.
            let dark = resumed.is_some_and(|resumed| self.last_home < resumed);
            if gap > one_turn && !dark {
                missed = self.cadence.on_gap(gap.as_secs());
            }
            self.last_home = self.last_home.max(at);
            (self.weak_log, self.weak, self.elsewhere_log) = (0.0, 0, 0.0);
            let level = self.home_rssi_dbm.get_or_insert(rssi_dbm);
            let off = rssi_dbm - *level;
            *level += 0.1 * off;
            self.home_spread_db += 0.03 * (off.abs() * 1.25 - self.home_spread_db);
            return missed;
        }
        if matches!(self.standing, Standing::Home(_)) {
            let due = TimeDelta::from_secs(1.6 * self.cadence.period_s);
            if self.weak == 0 && at - self.last_home < due {
                self.note_around(antenna, rssi_dbm);
            } else if self.has_cadence() && self.is_new_at(antenna, rssi_dbm) {
                self.elsewhere_log = (self.elsewhere_log + ELSEWHERE_LOG).min(ELSEWHERE_MAX);
            }
            return None;
        }
        self.moved |= self.is_new_at(antenna, rssi_dbm);
        match self.heard.iter_mut().find(|h| h.antenna == antenna) {
            Some(heard) if at - heard.last < TimeDelta::from_millis(4000) => {
                heard.turns += u32::from(at - heard.last > one_turn);
                heard.last = heard.last.max(at);
                heard.rssi_dbm += 0.3 * (rssi_dbm - heard.rssi_dbm);
            }
            Some(heard) => {
                *heard = Heard {
                    antenna,
                    first: at,
                    last: at,
                    turns: 1,
                    rssi_dbm,
                }
            }
            None => self.heard.push(Heard {
                antenna,
                first: at,
                last: at,
                turns: 1,
                rssi_dbm,
            }),
        }
        None
    }

    /// Where a tag lives that has just been found: the antenna that hears it best.
    pub(super) fn first_home(
        &self,
        may_be: impl Fn(AntennaIx) -> bool,
    ) -> Option<(AntennaIx, Timestamp)> {
        let heard = self.heard.iter().filter(|h| may_be(h.antenna));
        let best = heard.max_by(|a, b| {
            a.rssi_dbm
                .total_cmp(&b.rssi_dbm)
                .then(b.antenna.cmp(&a.antenna))
        })?;
        Some((best.antenna, best.first))
    }

    fn note(&mut self, at: Timestamp, antenna: AntennaIx, rssi_dbm: f32) {
        // Reports may come late by their own clocks.
        if self.recent.back().is_none_or(|(t, _, _)| *t <= at) {
            self.recent.push_back((at, antenna, rssi_dbm));
        } else {
            let place = self.recent.partition_point(|(t, _, _)| *t <= at);
            self.recent.insert(place, (at, antenna, rssi_dbm));
        }
        while self.recent.len() > RECENT_MAX
            || self
                .recent
                .front()
                .is_some_and(|(t, _, _)| at - *t > RECENT)
        {
            self.recent.pop_front();
        }
    }

    /// Whether a read at home is far below the usual level: the tag is in a hand before its shelf,
    /// or something has come between. A level that stays is taken for the new one.
    fn is_weak(&mut self, at: Timestamp, rssi_dbm: f32) -> bool {
        let Some((_, _, level, spread)) = self.habits() else {
            return false;
        };
        let drop = level - f64::from(rssi_dbm);
        if drop < WEAK_DB.max(3.0 * spread) {
            return false;
        }
        if self.weak >= WEAK_MAX && at - self.last_home > WEAK_FOR {
            self.home_rssi_dbm = Some(rssi_dbm);
            return false;
        }
        self.weak += 1;
        self.weak_log = (self.weak_log + level_log(drop, spread)).clamp(0.0, WEAK_LOG_MAX);
        true
    }

    fn note_around(&mut self, antenna: AntennaIx, rssi_dbm: f32) {
        if let Some((_, level)) = self.around.iter_mut().find(|(a, _)| *a == antenna) {
            *level += 0.15 * (rssi_dbm - *level);
        } else if self.around.len() < AROUND_MAX {
            self.around.push((antenna, rssi_dbm));
        }
    }

    /// Whether an antenna that is not its home's hears it as it does not while the tag is at home.
    pub(super) fn is_new_at(&self, antenna: AntennaIx, rssi_dbm: f32) -> bool {
        let known = self.around.iter().find(|(a, _)| *a == antenna);
        match known {
            Some((_, level)) => rssi_dbm > level + 7.0,
            None => self.around.len() < AROUND_MAX,
        }
    }

    /// Reads of late by one antenna, oldest first, with their level, dBm.
    pub(super) fn home_reads(&self, antenna: AntennaIx) -> impl Iterator<Item = (Timestamp, f32)> {
        let by = self.recent.iter().filter(move |(_, a, _)| *a == antenna);
        by.map(|(at, _, rssi)| (*at, *rssi))
    }

    /// All reads of late, oldest first.
    pub(super) fn other_reads(&self) -> impl Iterator<Item = (Timestamp, AntennaIx, f32)> {
        self.recent.iter().copied()
    }

    /// Level at home, dBm, where it has had a home.
    pub(super) fn level(&self) -> Option<f64> {
        self.home_rssi_dbm.map(f64::from)
    }

    /// Chance that it is heard in a turn at home, seconds from turn to turn, level at home and its
    /// spread, dB; `None` where too little is known.
    pub(super) fn habits(&self) -> Option<(f64, f64, f64, f64)> {
        let level = self.level().filter(|_| self.has_cadence())?;
        let c = &self.cadence;
        let hit = (c.hits / (c.hits + c.misses)).clamp(0.05, 0.985);
        let spread = f64::from(self.home_spread_db).clamp(1.2, 5.0);
        Some((hit, c.period_s, level, spread))
    }

    pub(super) fn come_home(&mut self, antenna: AntennaIx, hit: f64) {
        let before = (self.last_home, self.last_antenna.replace(antenna));
        let heard = self.heard.iter().find(|h| h.antenna == antenna);
        if let Some(heard) = heard {
            self.last_home = heard.last;
            self.home_rssi_dbm = Some(heard.rssi_dbm);
        }
        self.standing = Standing::Home(antenna);
        if before.1 == Some(antenna) && !self.moved && self.has_cadence() {
            // It answers again where it was, and nobody heard it elsewhere: it missed its turns.
            let gap_s = self.last_home.secs_since(before.0);
            self.cadence.on_gap(gap_s);
        } else {
            self.cadence = Cadence::new(hit);
            self.around.clear();
        }
        (self.weak_log, self.weak, self.moved) = (0.0, 0, false);
        self.elsewhere_log = 0.0;
        self.heard = Vec::new();
    }

    pub(super) fn go_away(&mut self) {
        self.standing = Standing::Away;
        self.away_since = self.last_home;
        self.heard = Vec::new();
    }

    /// Whether a read away from home is worth telling: one an antenna and tenth of a second.
    pub(super) fn sighted(&mut self, at: Timestamp, antenna: AntennaIx) -> bool {
        let thin = TimeDelta::from_millis(100);
        let soon = self
            .last_sighted
            .is_some_and(|(last, by)| by == antenna && at - last < thin);
        if !soon {
            self.last_sighted = Some((at, antenna));
        }
        !soon
    }

    /// Whether a tag that was away stands on a shelf again: antenna, and between when.
    pub(super) fn settled(
        &self,
        may_be: impl Fn(AntennaIx) -> bool,
    ) -> Option<(AntennaIx, Timestamp, Timestamp)> {
        let level = self.home_rssi_dbm.unwrap_or(-55.0) - RETURN_DB;
        let best = self
            .heard
            .iter()
            .filter(|h| may_be(h.antenna))
            .max_by(|a, b| {
                a.rssi_dbm
                    .total_cmp(&b.rssi_dbm)
                    .then(b.antenna.cmp(&a.antenna))
            })?;
        let enough = best.turns >= 2 && best.last - best.first >= TimeDelta::from_millis(700);
        let loud = best.rssi_dbm >= level;
        let since = self
            .away_since
            .max(best.first - TimeDelta::from_millis(1600));
        (enough && loud).then_some((best.antenna, since, best.first))
    }

    /// Whether enough is known of its cadence to miss it by.
    pub(super) fn has_cadence(&self) -> bool {
        self.cadence.known >= 3
    }

    /// What a tag's silence up to `now` says, its antenna having heard others up to `awake`: the
    /// verdict that it left (after, before, log odds), and when to ask again. `resumed` is when the
    /// antenna was heard again after a silence of its own.
    pub(super) fn silence(
        &self,
        now: Timestamp,
        awake: Timestamp,
        homes: u32,
        resumed: Option<Timestamp>,
    ) -> (Option<(Timestamp, Timestamp, f64)>, Timestamp) {
        // While the antenna was silent nobody could be heard.
        let since = resumed.map_or(self.last_home, |at| self.last_home.max(at));
        if !self.has_cadence() {
            // Too little is known of its cadence; a long silence decides.
            let over = now - since > TimeDelta::from_millis(8000) && awake > self.last_home;
            let verdict = (
                self.last_home,
                self.last_home + TimeDelta::from_millis(3000),
                1.0,
            );
            return (over.then_some(verdict), now + TimeDelta::from_millis(1000));
        }
        let period = self.cadence.period_s;
        let heard_until = if homes <= 1 { now } else { now.min(awake) };
        let leaving = LEAVING_LOG + libm::log(f64::from(homes.max(1)));
        let moved = self.weak_log + self.elsewhere_log;
        let weak = f64::from(self.weak);
        let turns = ((heard_until.secs_since(since) / period) - 0.25).floor();
        let turns = (turns - weak).max(0.0);
        let log_odds = turns * self.cadence.miss_log() + moved - leaving;
        let rest = SURE_LOG + leaving - moved;
        let needed = (rest / self.cadence.miss_log()).ceil().max(1.0) + weak;
        if log_odds >= SURE_LOG {
            let first_missed = since + TimeDelta::from_secs(1.1 * period);
            return (Some((self.last_home, first_missed, log_odds.min(8.0))), now);
        }
        let sure_at = since + TimeDelta::from_secs((needed + 0.25) * period);
        (
            None,
            sure_at.max(now + TimeDelta::from_secs((0.25 * period).max(0.05))),
        )
    }
}
