//! Tags out of an RO_ACCESS_REPORT (LLRP 1.0.1 clause 13.2.3, 1.1 clause 14.2.3) without a tree and
//! without an allocation: this is what a reader says thousands of times a second.
//!
//! ```
//! # fn told(message: &[u8]) -> Result<(), basketd::wire::llrp::DecodeError> {
//! for report in basketd::wire::llrp::tag_reports(message) {
//!     let report = report?;
//!     if let Some(epc) = report.epc {
//!         // epc.bytes, report.antenna_id, report.rssi_cdbm() …
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A report that is malformed is told as an error, and the next one follows. Impinj's own
//! parameters (private enterprise number 25882) are read as Impinj's LLRP extension definition has
//! them.

use super::decode::{DecodeError, Reason, split_tlv};
use super::frame::{HEADER, Header};
use super::schema::CUSTOM;

mod carry;
mod draft;
mod result;

pub use carry::Carry;
pub use result::{OpResult, OpResults, Operation, Words};

const RO_ACCESS_REPORT: u16 = 61;
const TAG_REPORT_DATA: u16 = 240;
/// Impinj's IANA private enterprise number.
const IMPINJ: u32 = 25882;

/// What a reader tells of one tag. What is absent was not told: it may be switched off, or the
/// same as before (see [`Carry`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TagReportData<'a> {
    /// The standard wants it; some readers leave it out.
    pub epc: Option<Epc<'a>>,
    pub rospec_id: Option<u32>,
    pub spec_index: Option<u16>,
    pub inventory_parameter_spec_id: Option<u16>,
    /// From 1.
    pub antenna_id: Option<u16>,
    /// The strongest of the reads merged in this report.
    pub peak_rssi_dbm: Option<i8>,
    /// From 1, into the table of frequencies of the reader's capabilities.
    pub channel_index: Option<u16>,
    /// Microseconds since 1970.
    pub first_seen_utc_us: Option<u64>,
    /// Microseconds since the reader's start, of readers without a clock.
    pub first_seen_uptime_us: Option<u64>,
    pub last_seen_utc_us: Option<u64>,
    pub last_seen_uptime_us: Option<u64>,
    /// Reads merged in this report.
    pub tag_seen_count: Option<u16>,
    pub access_spec_id: Option<u32>,
    /// Protocol control bits of the tag's EPC memory.
    pub pc_bits: Option<u16>,
    pub crc: Option<u16>,
    pub xpc_w1: Option<u16>,
    pub xpc_w2: Option<u16>,
    pub impinj: ImpinjData<'a>,
    /// The report's parameters as they came; see [`Self::op_results`].
    pub parameters: &'a [u8],
    /// The end of `parameters` from the first parameter without a length that nobody knows.
    pub unparsed: &'a [u8],
}

/// What an Impinj reader tells of a tag when it is asked to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImpinjData<'a> {
    /// Subtype 55: the chip's own identity.
    pub serialized_tid: Option<Words<'a>>,
    /// Subtype 56: 4096 are a whole turn.
    pub rf_phase_angle: Option<u16>,
    /// Subtype 57: hundredths of dBm.
    pub peak_rssi_cdbm: Option<i16>,
    /// Subtype 68: sixteenths of a hertz.
    pub rf_doppler_frequency: Option<i16>,
    /// Subtype 73: hundredths of dBm.
    pub tx_power_cdbm: Option<u16>,
}

/// A tag's electronic product code: a count of bits, and the bytes that hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epc<'a> {
    pub bits: u16,
    pub bytes: &'a [u8],
}

/// Walks the tag reports of a message with its header; other parameters are passed over.
pub fn tag_reports(message: &[u8]) -> TagReports<'_> {
    let checked = body(message);
    TagReports {
        end: message.len(),
        left: checked.as_ref().map_or(&[], |body| body),
        refused: checked.err(),
    }
}

fn body(message: &[u8]) -> Result<&[u8], DecodeError> {
    let header = Header::read(message).map_err(|e| DecodeError::new(0, Reason::Header(e)))?;
    let (announced, found) = (header.length, message.len());
    if usize::try_from(announced) != Ok(found) {
        let reason = Reason::MessageLength { announced, found };
        return Err(DecodeError::new(2, reason));
    }
    if header.number != RO_ACCESS_REPORT {
        return Err(DecodeError::new(0, Reason::NoReport(header.number)));
    }
    Ok(&message[HEADER..])
}

/// See [`tag_reports`].
#[derive(Debug, Clone)]
pub struct TagReports<'a> {
    left: &'a [u8],
    /// The message's length.
    end: usize,
    refused: Option<DecodeError>,
}

impl<'a> Iterator for TagReports<'a> {
    type Item = Result<TagReportData<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while let Some(first) = self.left.first() {
            if first & 0x80 != 0 {
                // The standard has no parameter without a length here, yet some may be known.
                let rest = result::after_tv(self.left);
                let Some(rest) = rest else {
                    let number = u16::from(first & 0x7F);
                    return Some(Err(self.broken(Reason::NoLength(number))));
                };
                self.left = rest;
                continue;
            }
            let (number, body, rest) = match split_tlv(self.left) {
                Ok(split) => split,
                Err(reason) => return Some(Err(self.broken(reason))),
            };
            self.left = rest;
            if number == TAG_REPORT_DATA {
                let end = self.end - rest.len();
                return Some(TagReportData::read(body).map_err(|(left, reason)| {
                    DecodeError::new(end - left, reason).within("TagReportData")
                }));
            }
        }
        self.refused.take().map(Err)
    }
}

impl TagReports<'_> {
    /// Where the next parameter begins, nobody knows.
    fn broken(&mut self, reason: Reason) -> DecodeError {
        let offset = self.end - self.left.len();
        self.left = &[];
        DecodeError::new(offset, reason)
    }
}

impl<'a> Epc<'a> {
    /// Of whole bytes; beyond 8,191 of them the rest is left out.
    pub fn of_bytes(bytes: &'a [u8]) -> Self {
        let bytes = bytes.get(..8_191).unwrap_or(bytes);
        let bits = u16::try_from(bytes.len() * 8).unwrap_or(0);
        Self { bits, bytes }
    }

    fn read(body: &'a [u8]) -> Option<Self> {
        let (count, rest) = body.split_first_chunk()?;
        let bits = u16::from_be_bytes(*count);
        let bytes = rest.get(..usize::from(bits).div_ceil(8))?;
        Some(Self { bits, bytes })
    }
}

macro_rules! fixed {
    ($left:ident, $name:literal, $number:ty) => {{
        const SIZE: usize = size_of::<$number>();
        let Some((bytes, rest)) = $left[1..].split_first_chunk::<SIZE>() else {
            return Err(cut($left, $name, SIZE));
        };
        $left = rest;
        Some(<$number>::from_be_bytes(*bytes))
    }};
}

/// The bytes that are left at the place of the error, and why.
type Refusal = (usize, Reason);

#[cold]
fn cut(left: &[u8], field: &'static str, needs: usize) -> Refusal {
    // The type byte is read.
    let left = left.len().saturating_sub(1);
    let reason = Reason::FieldCut { field, needs, left };
    (left, reason)
}

impl<'a> TagReportData<'a> {
    /// Reads the body of a TagReportData parameter.
    #[inline]
    fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let mut report = Self {
            parameters: body,
            ..Self::default()
        };
        let mut left = body;
        while let Some(first) = left.first() {
            match first {
                0..=0x7F => {
                    let split = split_tlv(left).map_err(|reason| (left.len(), reason));
                    let (number, inner, rest) = split?;
                    report.tlv(number, inner, rest.len())?;
                    left = rest;
                }
                0x81 => report.antenna_id = fixed!(left, "AntennaID", u16),
                0x82 => report.first_seen_utc_us = fixed!(left, "FirstSeenTimestampUTC", u64),
                0x83 => report.first_seen_uptime_us = fixed!(left, "FirstSeenTimestampUptime", u64),
                0x84 => report.last_seen_utc_us = fixed!(left, "LastSeenTimestampUTC", u64),
                0x85 => report.last_seen_uptime_us = fixed!(left, "LastSeenTimestampUptime", u64),
                0x86 => report.peak_rssi_dbm = fixed!(left, "PeakRSSI", i8),
                0x87 => report.channel_index = fixed!(left, "ChannelIndex", u16),
                0x88 => report.tag_seen_count = fixed!(left, "TagSeenCount", u16),
                0x89 => report.rospec_id = fixed!(left, "ROSpecID", u32),
                0x8A => {
                    report.inventory_parameter_spec_id =
                        fixed!(left, "InventoryParameterSpecID", u16);
                }
                0x8B => report.crc = fixed!(left, "C1G2_CRC", u16),
                0x8C => report.pc_bits = fixed!(left, "C1G2_PC", u16),
                0x8D => {
                    let epc = left.get(1..13).ok_or_else(|| cut(left, "EPC_96", 12))?;
                    report.epc = Some(Epc::of_bytes(epc));
                    left = &left[13..];
                }
                0x8E => report.spec_index = fixed!(left, "SpecIndex", u16),
                // What a client request came to; its operation has no result of its own here.
                0x8F => _ = fixed!(left, "ClientRequestOpSpecResult", u16),
                0x90 => report.access_spec_id = fixed!(left, "AccessSpecID", u32),
                0x91 => _ = fixed!(left, "OpSpecID", u16),
                0x92 => _ = fixed!(left, "C1G2SingulationDetails", u32),
                0x93 => report.xpc_w1 = fixed!(left, "C1G2_XPCW1", u16),
                0x94 => report.xpc_w2 = fixed!(left, "C1G2_XPCW2", u16),
                _ => {
                    report.unparsed = left;
                    break;
                }
            }
        }
        Ok(report)
    }

    #[inline]
    fn tlv(&mut self, number: u16, body: &'a [u8], after: usize) -> Result<(), Refusal> {
        const EPC_DATA: u16 = 241;
        match number {
            EPC_DATA => {
                let cut = || {
                    let needs = 2 + body
                        .first_chunk()
                        .map_or(0, |n| usize::from(u16::from_be_bytes(*n)).div_ceil(8));
                    let left = body.len();
                    let field = "EPC";
                    (after + left, Reason::FieldCut { field, needs, left })
                };
                self.epc = Some(Epc::read(body).ok_or_else(cut)?);
            }
            CUSTOM => {
                if let Some((head, data)) = body.split_first_chunk::<8>() {
                    let [v0, v1, v2, v3, s0, s1, s2, s3] = *head;
                    if u32::from_be_bytes([v0, v1, v2, v3]) == IMPINJ {
                        let subtype = u32::from_be_bytes([s0, s1, s2, s3]);
                        self.impinj.read(subtype, data);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What access operations came to.
    pub fn op_results(&self) -> OpResults<'a> {
        let known = self.parameters.len() - self.unparsed.len();
        OpResults::new(self.parameters.get(..known).unwrap_or_default())
    }

    /// Impinj's finer RSSI where it was told, else the standard's; hundredths of dBm.
    pub fn rssi_cdbm(&self) -> Option<i32> {
        let fine = self.impinj.peak_rssi_cdbm.map(i32::from);
        fine.or_else(|| self.peak_rssi_dbm.map(|dbm| i32::from(dbm) * 100))
    }

    /// Hundredths of a degree, 0 to 35,999, rounded down.
    pub fn phase_cdeg(&self) -> Option<u32> {
        let turn = |angle| u32::from(angle) % 4096 * 36_000 / 4096;
        self.impinj.rf_phase_angle.map(turn)
    }

    /// Hundredths of a hertz, rounded towards zero.
    pub fn doppler_chz(&self) -> Option<i32> {
        let sixteenths = self.impinj.rf_doppler_frequency.map(i32::from);
        sixteenths.map(|sixteenths| sixteenths * 100 / 16)
    }
}

impl<'a> ImpinjData<'a> {
    #[inline]
    fn read(&mut self, subtype: u32, data: &'a [u8]) {
        let two = || data.first_chunk().copied();
        match subtype {
            55 => self.serialized_tid = Words::counted(data),
            56 => self.rf_phase_angle = two().map(u16::from_be_bytes),
            57 => self.peak_rssi_cdbm = two().map(i16::from_be_bytes),
            68 => self.rf_doppler_frequency = two().map(i16::from_be_bytes),
            73 => self.tx_power_cdbm = two().map(u16::from_be_bytes),
            _ => {}
        }
    }
}
