//! Whether what a camera shows can be what it sees: silence, frozen pictures, black ones. A value;
//! time is milliseconds of a clock that is never set.
//!
//! Frozen is said of pictures that are equal to the last bit for [`Limits::frozen`], and only where
//! the sensor's noise must have made them different: of JPEGs (each is encoded anew), of raw
//! pictures, and of H.264 key frames, never of the pictures between them, which repeat a still
//! scene exactly. Three at least must be equal, and there must be light and structure in them: an
//! even picture has no noise left after encoding. So an empty shop at night raises no alarm, and a
//! hanging sensor or encoder does.

use super::Limits;
use super::luma::Luma;

/// Equal pictures that are needed, however long they are shown.
const EQUAL_MIN: u32 = 3;
/// Brightness (0 to 255) at which a lens is covered or there is no light: the median, and what all
/// but a fiftieth lies below. A limited range's black is 16.
const BLACK_MEDIAN: u8 = 24;
const BLACK_BRIGHTEST: u8 = 44;
/// Between the darker and the brighter end of a picture that has structure.
const STRUCTURE_MIN: u8 = 24;
/// Pictures in a row that cannot be decoded.
const UNDECODABLE_MIN: u32 = 5;
/// A frozen camera is connected anew, since that often helps, but not again and again.
const FROZEN_RETRIES: u32 = 1;

#[derive(Debug, Clone)]
pub(super) struct Health {
    limits: Limits,
    opened_ms: u64,
    last_ms: Option<u64>,
    still: Option<Still>,
    structure: bool,
    black_since: Option<u64>,
    undecodable: u32,
    /// How often a frozen picture has ended a connection since a living one was seen.
    retries: u32,
}

#[derive(Debug, Clone, Copy)]
struct Still {
    fingerprint: u64,
    since_ms: u64,
    count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No picture yet.
    Waiting,
    Well,
    Degraded(String),
    /// The connection gives nothing more; make it anew.
    Over(String),
}

impl Health {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            opened_ms: 0,
            last_ms: None,
            still: None,
            structure: false,
            black_since: None,
            undecodable: 0,
            retries: 0,
        }
    }

    /// A connection begins. What was frozen or black before is so still, until a picture says not.
    pub(super) fn opened(&mut self, now_ms: u64) {
        self.opened_ms = now_ms;
        self.last_ms = None;
        self.undecodable = 0;
    }

    /// A picture came, whether or not it is looked at.
    pub(super) fn came(&mut self, now_ms: u64) {
        self.last_ms = Some(now_ms);
    }

    /// A picture that the sensor's noise is in.
    pub(super) fn fresh(&mut self, now_ms: u64, fingerprint: u64) {
        match &mut self.still {
            Some(still) if still.fingerprint == fingerprint => still.count += 1,
            still => {
                let count = 1;
                if still.is_some() {
                    self.retries = 0;
                }
                *still = Some(Still {
                    fingerprint,
                    since_ms: now_ms,
                    count,
                });
            }
        }
    }

    /// How bright a picture is; `None` where it could not be decoded.
    pub(super) fn seen(&mut self, now_ms: u64, luma: Option<&Luma>) {
        let Some(luma) = luma else {
            self.undecodable += 1;
            return;
        };
        self.undecodable = 0;
        let (dark, median, bright) = (luma.quantile(20), luma.quantile(500), luma.quantile(980));
        self.structure = bright.saturating_sub(dark) >= STRUCTURE_MIN;
        let black = median <= BLACK_MEDIAN && bright <= BLACK_BRIGHTEST;
        self.black_since = match (black, self.black_since) {
            (false, _) => None,
            (true, since) => since.or(Some(now_ms)),
        };
    }

    pub(super) fn verdict(&mut self, now_ms: u64) -> Verdict {
        let over = |since: u64, limit: std::time::Duration| {
            let passed = now_ms.saturating_sub(since);
            (u128::from(passed) >= limit.as_millis()).then_some(passed / 1000)
        };
        let Some(last) = self.last_ms else {
            return match over(self.opened_ms, self.limits.first_frame) {
                Some(s) => Verdict::Over(format!("connected, but no picture in {s} s")),
                None => Verdict::Waiting,
            };
        };
        if let Some(s) = over(last, self.limits.silence) {
            let what = format!("the stream is open, but no picture has come for {s} s");
            return Verdict::Over(what);
        }
        if self.undecodable >= UNDECODABLE_MIN {
            return Verdict::Degraded("its pictures cannot be decoded; restart it".to_owned());
        }
        if let Some(s) = self
            .black_since
            .and_then(|since| over(since, self.limits.black))
        {
            return Verdict::Degraded(format!(
                "black for {} s: the lens is covered, or there is no light",
                round(s)
            ));
        }
        let still = self
            .still
            .filter(|still| still.count >= EQUAL_MIN && self.structure);
        let Some(still) = still else {
            return Verdict::Well;
        };
        let Some(s) = over(still.since_ms, self.limits.frozen) else {
            return Verdict::Well;
        };
        let what = format!(
            "the picture has been frozen for {} s, noise and all: the camera hangs; restart it",
            round(s)
        );
        if self.retries < FROZEN_RETRIES && over(still.since_ms, self.limits.frozen * 2).is_some() {
            self.retries += 1;
            return Verdict::Over(what);
        }
        Verdict::Degraded(what)
    }
}

/// To ever coarser steps, so that a state that lasts is not told each second.
fn round(seconds: u64) -> u64 {
    let step = [3600, 600, 60, 10]
        .into_iter()
        .find(|step| seconds >= *step);
    let step = step.unwrap_or(1);
    seconds / step * step
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn luma(values: impl Fn(usize) -> u8) -> Luma {
        Luma {
            width: 10,
            height: 10,
            pixels: (0..100).map(values).collect(),
        }
    }

    fn health() -> Health {
        let mut health = Health::new(Limits {
            first_frame: Duration::from_secs(10),
            silence: Duration::from_secs(5),
            frozen: Duration::from_secs(30),
            black: Duration::from_secs(10),
        });
        health.opened(0);
        health
    }

    /// What is said each second of pictures that come twice a second.
    fn verdicts(seconds: u64, show: impl Fn(u64, &mut Health)) -> Vec<Verdict> {
        let mut health = health();
        let mut verdicts = Vec::new();
        for half in 0..seconds * 2 {
            health.came(half * 500);
            show(half, &mut health);
            verdicts.push(health.verdict(half * 500));
        }
        verdicts
    }

    #[test]
    fn silence_ends_a_connection() {
        let mut health = health();
        assert_eq!(health.verdict(9_999), Verdict::Waiting);
        assert!(matches!(health.verdict(10_000), Verdict::Over(_)));
        health.opened(20_000);
        health.came(21_000);
        assert_eq!(health.verdict(25_999), Verdict::Well);
        let Verdict::Over(what) = health.verdict(26_000) else {
            panic!("it should be over");
        };
        assert!(what.contains("5 s"), "{what}");
    }

    #[test]
    fn a_frozen_picture_is_told_and_connected_anew_once() {
        let told = verdicts(300, |half, health| {
            health.fresh(half * 500, 7);
            health.seen(half * 500, Some(&luma(|at| at as u8 * 2)));
        });
        assert_eq!(told[59], Verdict::Well);
        assert!(matches!(told[60], Verdict::Degraded(_)));
        let over = told.iter().filter(|told| matches!(told, Verdict::Over(_)));
        assert_eq!(over.count(), 1);
        let mut different = told.clone();
        different.dedup();
        assert!(different.len() < 15, "{different:#?}");
    }

    #[test]
    fn a_still_scene_with_noise_is_well() {
        let told = verdicts(300, |half, health| {
            health.fresh(half * 500, half);
            health.seen(half * 500, Some(&luma(|at| at as u8 * 2)));
        });
        assert!(told.iter().all(|told| *told == Verdict::Well));
    }

    #[test]
    fn an_even_picture_is_not_called_frozen_and_a_black_one_is_called_black() {
        let told = verdicts(100, |half, health| {
            health.fresh(half * 500, 7);
            health.seen(half * 500, Some(&luma(|_| 90)));
        });
        assert!(told.iter().all(|told| *told == Verdict::Well));
        let told = verdicts(100, |half, health| {
            health.fresh(half * 500, 7);
            health.seen(half * 500, Some(&luma(|at| 16 + (at % 3) as u8)));
        });
        let Verdict::Degraded(what) = &told[199] else {
            panic!("it should be degraded");
        };
        assert!(what.starts_with("black for 60 s"), "{what}");
        assert!(told[..20].iter().all(|told| *told == Verdict::Well));
    }

    #[test]
    fn pictures_that_nobody_can_decode_are_told() {
        let told = verdicts(10, |half, health| health.seen(half * 500, None));
        assert!(matches!(&told[19], Verdict::Degraded(what) if what.contains("decoded")));
    }
}
