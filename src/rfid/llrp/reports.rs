//! RO_ACCESS_REPORT to tag reads: what was left out is filled in, channels become frequencies, and
//! the reader's times the box's. No allocation for each tag.

use std::collections::BTreeSet;

use super::events::Stamp;
use super::reader_clock::ReaderClock;
use crate::clock::{self, Monotonic};
use crate::link::outlet::Readings;
use crate::units::{TimeDelta, Timestamp};
use crate::wire::llrp::{Carry, DecodeError, Epc, TagReportData, tag_reports};
use crate::wire::tag_report::TagReport;

/// A stamp that says more is not believed: no report waits so long.
const OLDEST_US: i64 = 60_000_000;
/// Where a reader tells no RSSI at all: in the middle of what readers hear.
const NO_RSSI_CDBM: i32 = -6000;
/// Gen2's longest EPC: 496 bits (Gen2 2.0.1 clause 6.3.2.1.2.2).
const EPC_BYTES: usize = 62;

/// When something arrived: by the wall clock, and by one that nobody sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    wall: Timestamp,
    steady_us: i64,
}

impl Arrival {
    pub(super) fn now(clock: &Monotonic) -> Self {
        Self {
            wall: clock::wall(),
            steady_us: i64::try_from(clock.nanos() / 1000).unwrap_or(i64::MAX),
        }
    }
}

/// What a reader's reports have in common.
#[derive(Debug)]
pub(super) struct Reports {
    antennas: Vec<u16>,
    /// kHz by ChannelIndex - 1.
    channels: Vec<u32>,
    carry: Carry,
    utc: ReaderClock,
    uptime: ReaderClock,
    /// Antennas of which the reader said at first that none is connected: not all readers know.
    pub(super) unheard: BTreeSet<u16>,
    pub(super) oddities: Oddities,
}

/// Antennas that nobody asked for and that are told: readers have up to 32 ports.
const UNASKED_MAX: usize = 32;

/// What was strange, since the connection began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    /// Reports without antenna, where several could be meant.
    pub(super) no_antenna: bool,
    pub(super) no_rssi: bool,
    /// Antennas that nobody asked for, the first few.
    pub(super) unasked: BTreeSet<u16>,
    /// The reader's clock was set.
    clock_set: bool,
}

impl Reports {
    pub(super) fn new(antennas: Vec<u16>, channels: Vec<u32>, unheard: BTreeSet<u16>) -> Self {
        Self {
            antennas,
            channels,
            carry: Carry::default(),
            utc: ReaderClock::default(),
            uptime: ReaderClock::default(),
            unheard,
            oddities: Oddities::default(),
        }
    }

    /// Appends the reads of a message to `into`.
    ///
    /// # Errors
    ///
    /// The first report in it that is malformed; the others are taken.
    pub(super) fn take(
        &mut self,
        message: &[u8],
        arrival: Arrival,
        into: &mut Readings,
    ) -> Result<(), DecodeError> {
        self.learn_newest(message, arrival);
        let mut refused = Ok(());
        for report in tag_reports(message) {
            match report {
                Ok(mut report) => {
                    self.carry.fill(&mut report);
                    self.read(&report, arrival, into);
                }
                Err(error) => refused = refused.and(Err(error)),
            }
        }
        refused
    }

    /// Learns from the time of an event.
    pub(super) fn learn(&mut self, stamp: Stamp, arrival: Arrival) {
        let (clock, stamp) = match stamp {
            Stamp::Utc(us) => (&mut self.utc, us),
            Stamp::Uptime(us) => (&mut self.uptime, us),
        };
        let Ok(stamp) = i64::try_from(stamp) else {
            return;
        };
        let step = clock.learn(arrival.steady_us, stamp);
        if let Some(step) = step
            && !std::mem::replace(&mut self.oddities.clock_set, true)
        {
            let step_s = step / 1_000_000;
            tracing::warn!(step_s, "a reader's clock was set; its reads are timed anew");
        }
    }

    /// Of a message's stamps the newest alone tells about the way, the others waited at the reader.
    fn learn_newest(&mut self, message: &[u8], arrival: Arrival) {
        let (mut utc, mut uptime) = (None, None);
        for report in tag_reports(message).flatten() {
            utc = utc.max(report.last_seen_utc_us.or(report.first_seen_utc_us));
            uptime = uptime.max(report.last_seen_uptime_us.or(report.first_seen_uptime_us));
        }
        let stamps = [utc.map(Stamp::Utc), uptime.map(Stamp::Uptime)];
        for stamp in stamps.into_iter().flatten() {
            self.learn(stamp, arrival);
        }
    }

    fn read(&mut self, report: &TagReportData<'_>, arrival: Arrival, into: &mut Readings) {
        let Some(antenna) = self.antenna(report.antenna_id) else {
            return;
        };
        let mut place = [0; EPC_BYTES];
        let Some(epc) = report.epc.and_then(|epc| whole_bytes(epc, &mut place)) else {
            return;
        };
        let rssi_cdbm = report.rssi_cdbm().unwrap_or_else(|| {
            self.oddities.no_rssi = true;
            NO_RSSI_CDBM
        });
        let read = TagReport {
            count: report.tag_seen_count.map_or(1, u32::from).max(1),
            phase_cdeg: report.phase_cdeg(),
            frequency_khz: report.channel_index.and_then(|index| self.frequency(index)),
            doppler_chz: report.doppler_chz(),
            ..TagReport::new(epc, antenna, rssi_cdbm)
        };
        if !self.unheard.is_empty() {
            self.unheard.remove(&antenna);
        }
        let captured_at = self.captured_at(report, arrival);
        into.push(captured_at, |out| read.write(out));
    }

    /// The antenna, if it is one that was asked for.
    fn antenna(&mut self, told: Option<u16>) -> Option<u16> {
        let Some(antenna) = told.filter(|antenna| *antenna != 0) else {
            let [only] = *self.antennas else {
                self.oddities.no_antenna = true;
                return None;
            };
            return Some(only);
        };
        if !self.antennas.contains(&antenna) {
            let unasked = &mut self.oddities.unasked;
            if unasked.len() < UNASKED_MAX {
                unasked.insert(antenna);
            }
            return None;
        }
        Some(antenna)
    }

    fn frequency(&self, channel: u16) -> Option<u32> {
        let place = usize::from(channel).checked_sub(1)?;
        self.channels.get(place).copied()
    }

    fn captured_at(&self, report: &TagReportData<'_>, arrival: Arrival) -> Timestamp {
        let utc = report.last_seen_utc_us.or(report.first_seen_utc_us);
        let uptime = report.last_seen_uptime_us.or(report.first_seen_uptime_us);
        let age = |clock: &ReaderClock, stamp: u64| {
            clock.age(arrival.steady_us, i64::try_from(stamp).ok()?)
        };
        let age = match (utc, uptime) {
            (Some(stamp), _) => age(&self.utc, stamp),
            (None, Some(stamp)) => age(&self.uptime, stamp),
            (None, None) => None,
        };
        let age = age.filter(|age| *age <= OLDEST_US).unwrap_or(0);
        arrival.wall - TimeDelta::from_micros(age)
    }
}

/// An EPC of whole bytes, its last one filled with zero bits; None of one that Gen2 cannot have.
fn whole_bytes<'a>(epc: Epc<'a>, place: &'a mut [u8; EPC_BYTES]) -> Option<&'a [u8]> {
    let length = epc.bytes.len();
    if length == 0 || length > EPC_BYTES {
        return None;
    }
    let odd = epc.bits % 8;
    if odd == 0 {
        return Some(epc.bytes);
    }
    place[..length].copy_from_slice(epc.bytes);
    place[length - 1] &= 0xFF << (8 - odd);
    Some(&place[..length])
}

#[cfg(test)]
mod tests;
