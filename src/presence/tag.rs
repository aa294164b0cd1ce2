//! One tag: its home, its cadence there, and what each antenna has heard of it lately.

use serde::{Deserialize, Serialize};

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
    /// Level at home, once known.
    home_rssi_dbm: Option<f32>,
    last_home: Timestamp,
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

/// A priori a tag at home answers in nineteen turns of twenty: it was heard well enough to have
/// a home.
const HITS: f64 = 12.0;
const MISSES: f64 = 0.7;
/// Turns remembered.
const MEMORY: f64 = 60.0;
/// Log odds against a tag's leaving within any one turn: shoppers take one of hundreds of tags in
/// a few hundred turns.
const LEAVING_LOG: f64 = 4.0;
/// Decided at this log of odds.
const SURE_LOG: f64 = 1.5;
/// A level this much below home's is no return, dB: neighbours hear 15 to 25 dB less.
const RETURN_DB: f32 = 9.0;

impl Cadence {
    fn new() -> Self {
        Self {
            period_s: 0.0,
            known: 0,
            hits: HITS,
            misses: MISSES,
        }
    }

    fn on_gap(&mut self, gap_s: f64) {
        if self.known < 3 {
            let least = if self.known == 0 {
                gap_s
            } else {
                self.period_s.min(gap_s)
            };
            self.period_s = least.max(0.03);
            self.known += 1;
            return;
        }
        let turns = (gap_s / self.period_s).round().max(1.0);
        if turns < 1.5 {
            self.period_s += 0.1 * (gap_s - self.period_s);
        } else {
            self.period_s *= 1.01;
        }
        self.hits += 1.0;
        self.misses += (turns - 1.0).min(20.0);
        let all = self.hits + self.misses;
        if all > MEMORY {
            self.hits *= MEMORY / all;
            self.misses *= MEMORY / all;
        }
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
            last_home: at,
            last_sighted: None,
            away_since: at,
            cadence: Cadence::new(),
        }
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

    /// Takes a read; `cycled` says that the antenna is visited in turns, so that reads close
    /// together are one, `resumed` when it was last heard again after a silence of its own.
    pub(super) fn on_read(
        &mut self,
        at: Timestamp,
        antenna: AntennaIx,
        rssi_dbm: f32,
        cycled: bool,
        resumed: Option<Timestamp>,
    ) {
        let one_turn = TimeDelta::from_millis(if cycled { 400 } else { 20 });
        if self.standing == Standing::Home(antenna) {
            let gap = at - self.last_home;
            // Turns that the antenna itself missed are not the tag's.
            let dark = resumed.is_some_and(|resumed| self.last_home < resumed);
            if gap > one_turn && !dark {
                self.cadence.on_gap(gap.as_secs());
            }
            self.last_home = self.last_home.max(at);
            let level = self.home_rssi_dbm.get_or_insert(rssi_dbm);
            *level += 0.1 * (rssi_dbm - *level);
            return;
        }
        if matches!(self.standing, Standing::Home(_)) {
            return;
        }
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

    pub(super) fn come_home(&mut self, antenna: AntennaIx) {
        let heard = self.heard.iter().find(|h| h.antenna == antenna);
        if let Some(heard) = heard {
            self.last_home = heard.last;
            self.home_rssi_dbm = Some(heard.rssi_dbm);
        }
        self.standing = Standing::Home(antenna);
        self.cadence = Cadence::new();
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
        alone: bool,
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
        let heard_until = if alone { now } else { now.min(awake) };
        let turns = ((heard_until.secs_since(since) / period) - 0.25)
            .floor()
            .max(0.0);
        let log_odds = turns * self.cadence.miss_log() - LEAVING_LOG;
        let needed = ((SURE_LOG + LEAVING_LOG) / self.cadence.miss_log())
            .ceil()
            .max(1.0);
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
