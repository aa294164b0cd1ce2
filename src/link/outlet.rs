//! A sensor's way to the daemon: what it says, how it is, and what of it was lost.
//!
//! An edge owns one [`Outlet`] for its source. Where the daemon has no room it waits briefly, then
//! counts what it drops and tells the loss before anything else; states are never dropped. Whoever
//! takes decides where it goes: the sequencer, a recording, a person at a terminal.

use std::sync::Arc;
use std::time::Duration;

use crate::observation::SourceState;
use crate::units::Timestamp;

/// How long readings wait for room before they are dropped and counted.
const PATIENCE: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(1);

/// Messages of one source, oldest first, as recordings hold them: bytes one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    bytes: Vec<u8>,
    /// When each was captured, and where it ends.
    ends: Vec<(Timestamp, usize)>,
}

impl Readings {
    pub fn one(captured_at: Timestamp, payload: Vec<u8>) -> Self {
        let ends = vec![(captured_at, payload.len())];
        Self {
            bytes: payload,
            ends,
        }
    }

    /// Appends a message that `write` appends to the bytes.
    pub fn push(&mut self, captured_at: Timestamp, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push((captured_at, self.bytes.len()));
    }

    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &[u8])> {
        let mut begin = 0;
        self.ends.iter().map(move |(captured_at, end)| {
            let payload = &self.bytes[begin..*end];
            begin = *end;
            (*captured_at, payload)
        })
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// One thing that a source tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Readings(Readings),
    State { state: SourceState, reason: String },
    Lost { lost: u64, reason: String },
}

/// Why it was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No room at present.
    Full(Told),
    /// Nobody takes any more; the edge should end.
    Gone,
}

/// Nobody takes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes any more")]
pub struct Gone;

/// Takes without waiting.
pub type Take = dyn Fn(Told) -> Result<(), Refused> + Send + Sync;

pub struct Outlet {
    take: Arc<Take>,
    told: Option<(SourceState, String)>,
    /// Dropped since the last loss that was told.
    dropped: u64,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet")
            .field("told", &self.told)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

const NO_ROOM: &str = "the daemon had no room in time";

impl Outlet {
    pub fn new(take: Arc<Take>) -> Self {
        Self {
            take,
            told: None,
            dropped: 0,
        }
    }

    /// Hands readings over; waits briefly for room.
    pub async fn readings(&mut self, readings: Readings) -> Result<(), Gone> {
        let mut waited = Duration::ZERO;
        let mut rest = readings;
        while let Some(refused) = self.offer(rest)? {
            if waited >= PATIENCE {
                self.dropped += refused.len() as u64;
                return Ok(());
            }
            tokio::time::sleep(STEP).await;
            waited += STEP;
            rest = refused;
        }
        Ok(())
    }

    /// The same from a thread.
    pub fn readings_blocking(&mut self, readings: Readings) -> Result<(), Gone> {
        let mut waited = Duration::ZERO;
        let mut rest = readings;
        while let Some(refused) = self.offer(rest)? {
            if waited >= PATIENCE {
                self.dropped += refused.len() as u64;
                return Ok(());
            }
            std::thread::sleep(STEP);
            waited += STEP;
            rest = refused;
        }
        Ok(())
    }

    /// Tells how the source is; the same again is not told.
    pub async fn state(&mut self, state: SourceState, reason: &str) -> Result<(), Gone> {
        let Some(mut rest) = self.news(state, reason) else {
            return Ok(());
        };
        while let Some(refused) = self.give(rest)? {
            tokio::time::sleep(STEP).await;
            rest = refused;
        }
        Ok(())
    }

    /// The same from a thread.
    pub fn state_blocking(&mut self, state: SourceState, reason: &str) -> Result<(), Gone> {
        let Some(mut rest) = self.news(state, reason) else {
            return Ok(());
        };
        while let Some(refused) = self.give(rest)? {
            std::thread::sleep(STEP);
            rest = refused;
        }
        Ok(())
    }

    /// Tells a loss that the edge itself has seen: reads that a reader dropped, frames that a
    /// network lost. One that finds no room is counted with the next.
    pub fn lose(&mut self, lost: u64, reason: &str) -> Result<(), Gone> {
        let reason = reason.to_owned();
        if self.give(Told::Lost { lost, reason })?.is_some() {
            self.dropped += lost;
        }
        Ok(())
    }

    fn news(&mut self, state: SourceState, reason: &str) -> Option<Told> {
        let same = |(s, r): &(SourceState, String)| *s == state && r == reason;
        if self.told.as_ref().is_some_and(same) {
            return None;
        }
        let reason = reason.to_owned();
        self.told = Some((state, reason.clone()));
        Some(Told::State { state, reason })
    }

    /// Tries once, what was lost before first; gives the readings back where there is no room.
    fn offer(&mut self, readings: Readings) -> Result<Option<Readings>, Gone> {
        if readings.is_empty() {
            return Ok(None);
        }
        if self.dropped > 0 {
            let lost = Told::Lost {
                lost: self.dropped,
                reason: NO_ROOM.to_owned(),
            };
            if self.give(lost)?.is_some() {
                return Ok(Some(readings));
            }
            self.dropped = 0;
        }
        Ok(match self.give(Told::Readings(readings))? {
            Some(Told::Readings(refused)) => Some(refused),
            _ => None,
        })
    }

    fn give(&self, told: Told) -> Result<Option<Told>, Gone> {
        match (self.take)(told) {
            Ok(()) => Ok(None),
            Err(Refused::Full(told)) => Ok(Some(told)),
            Err(Refused::Gone) => Err(Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    /// Room for so many things; what was taken.
    fn taker(room: usize) -> (Outlet, Arc<Mutex<(usize, Vec<Told>)>>) {
        let taken = Arc::new(Mutex::new((room, Vec::new())));
        let place = Arc::clone(&taken);
        let take = move |told| {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if place.0 == 0 {
                return Err(Refused::Full(told));
            }
            place.0 -= 1;
            place.1.push(told);
            Ok(())
        };
        (Outlet::new(Arc::new(take)), taken)
    }

    fn reading(n: u8) -> Readings {
        Readings::one(Timestamp::from_micros(i64::from(n)), vec![n])
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_is_counted_and_told_first() {
        let (mut outlet, taken) = taker(1);
        outlet.readings(reading(1)).await.unwrap();
        outlet.readings(reading(2)).await.unwrap();
        outlet.readings(reading(3)).await.unwrap();
        taken.lock().unwrap().0 = 9;
        outlet.readings(reading(4)).await.unwrap();
        let lost = Told::Lost {
            lost: 2,
            reason: NO_ROOM.to_owned(),
        };
        let expected = [Told::Readings(reading(1)), lost, Told::Readings(reading(4))];
        assert_eq!(taken.lock().unwrap().1, expected);
    }

    #[tokio::test]
    async fn a_state_is_told_once() {
        let (mut outlet, taken) = taker(9);
        for _ in 0..3 {
            outlet.state(SourceState::Online, "").await.unwrap();
        }
        outlet.state_blocking(SourceState::Offline, "x").unwrap();
        assert_eq!(taken.lock().unwrap().1.len(), 2);
    }

    #[test]
    fn readings_lie_one_after_another() {
        let mut readings = Readings::default();
        for n in 0..3_u8 {
            readings.push(Timestamp::from_micros(i64::from(n)), |out| {
                out.extend(std::iter::repeat_n(n, usize::from(n)));
            });
        }
        let all: Vec<_> = readings.iter().map(|(_, bytes)| bytes.to_vec()).collect();
        assert_eq!(all, [vec![], vec![1], vec![2, 2]]);
    }
}
