//! What the reader answers.

use core::fmt;

use super::Band;
use super::frame::Frame;

/// How an answer ends, and why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    pub const DONE: Self = Self(0x00);
    /// The inventory is complete.
    pub const COMPLETE: Self = Self(0x01);
    /// The scan time was over.
    pub const TIME_OVER: Self = Self(0x02);
    /// Another frame of the same inventory follows.
    pub const MORE: Self = Self(0x03);
    /// There were more tags than the reader can hold.
    pub const MEMORY_FULL: Self = Self(0x04);
    /// A frame of statistics.
    pub const STATISTICS: Self = Self(0x26);
    pub const ANTENNA: Self = Self(0xF8);
    pub const NO_TAG: Self = Self(0xFB);

    fn text(self) -> &'static str {
        match self.0 {
            0x00 => "done",
            0x01 => "inventory complete",
            0x02 => "scan time over",
            0x03 => "more to follow",
            0x04 => "more tags than the reader holds",
            0xF8 => "antenna error",
            0xF9 => "command failed",
            0xFA => "tag lost during the command",
            0xFB => "no tag",
            0xFC => "the tag refused",
            0xFD => "wrong length of a command",
            0xFE => "unknown command",
            0xFF => "wrong parameter",
            _ => "a status without a known text",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (status {:02x})", self.text(), self.0)
    }
}

/// Bytes with a right checksum that are nothing that is known; says what was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// How a reader answers inventories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// EPCs alone.
    Type18,
    /// Ports, and a strength with each EPC.
    Type288,
}

/// What a reader is and how it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    pub firmware: [u8; 2],
    /// The maker's number for the model.
    pub kind: u8,
    pub band: Band,
    /// dBm.
    pub power: u8,
    /// In steps of 100 ms.
    pub scan_time: u8,
}

impl Info {
    pub fn parse(frame: Frame<'_>) -> Result<Self, Malformed> {
        match frame.data {
            [a, b, kind, _protocols, high, low, power, scan_time, ..] => Ok(Self {
                firmware: [*a, *b],
                kind: *kind,
                band: Band::from_bytes([*high, *low]),
                power: *power,
                scan_time: *scan_time,
            }),
            _ => Err(Malformed("too short for what a reader tells of itself")),
        }
    }

    /// None where the model is not known.
    pub fn family(&self) -> Option<Family> {
        match self.kind {
            0x03 | 0x08 | 0x09 => Some(Family::Type18),
            0x0C | 0x0F | 0x10 | 0x16 | 0x20 | 0x8B => Some(Family::Type288),
            _ => None,
        }
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            0x03 | 0x08 => "RRU9803M",
            0x09 => "UHFReader18",
            0x0C => "UHFReader288M",
            0x0F | 0x10 => "UHFReader86",
            0x16 => "RRU9883M",
            0x20 => "UHFReader288MP",
            0x8B => "UHFReader288ADV",
            other => return write!(f, "a reader of model {other:02x}"),
        };
        let [a, b] = self.firmware;
        write!(f, "{name}, firmware {a}.{b}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// 1 to 62 bytes.
    pub epc: &'a [u8],
    /// The reader's own measure, higher is stronger; family 288 alone.
    pub strength: Option<u8>,
}

/// One frame of an inventory's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory<'a> {
    /// From 1; family 288 alone.
    pub port: Option<u8>,
    pub tags: Vec<Tag<'a>>,
}

const EPC_MAX: usize = 62;

impl<'a> Inventory<'a> {
    /// Parses the data of an answer; all of it must be tags.
    pub fn parse(family: Family, frame: Frame<'a>) -> Result<Self, Malformed> {
        let (port, list) = match (family, frame.data) {
            (_, []) => (None, &[][..]),
            (Family::Type18, list) => (None, list),
            (Family::Type288, [antenna, list @ ..]) => (Some(port(*antenna)?), list),
        };
        let tags = match list {
            [] => Vec::new(),
            [count, list @ ..] => tags(family, *count, list)?,
        };
        Ok(Self { port, tags })
    }
}

/// A bit for the port that was read.
fn port(antenna: u8) -> Result<u8, Malformed> {
    if !antenna.is_power_of_two() {
        return Err(Malformed("an antenna that is not one bit"));
    }
    Ok(antenna.trailing_zeros() as u8 + 1)
}

fn tags(family: Family, count: u8, mut list: &[u8]) -> Result<Vec<Tag<'_>>, Malformed> {
    let mut tags = Vec::new();
    for _ in 0..count {
        let (length, rest) = list
            .split_first()
            .ok_or(Malformed("fewer tags than told"))?;
        let (epc, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or(Malformed("an EPC that is cut off"))?;
        if epc.is_empty() || epc.len() > EPC_MAX {
            return Err(Malformed("an EPC of no or of too many bytes"));
        }
        let (strength, rest) = match (family, rest) {
            (Family::Type18, rest) => (None, rest),
            (Family::Type288, [strength, rest @ ..]) => (Some(*strength), rest),
            (Family::Type288, []) => return Err(Malformed("a tag without its strength")),
        };
        tags.push(Tag { epc, strength });
        list = rest;
    }
    if !list.is_empty() {
        return Err(Malformed("more bytes than the tags that were told"));
    }
    Ok(tags)
}
