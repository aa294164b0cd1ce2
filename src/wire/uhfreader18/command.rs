//! What the reader can be asked.

use core::fmt;

use super::frame::crc;
use super::opcode;

/// Milliseconds of one step of a scan time.
pub const SCAN_STEP_MS: u64 = 100;
/// Any reader answers; there is one on the line.
const BROADCAST: u8 = 0xFF;
/// The first frame has 2^Q slots; the reader adapts from there. A shelf has some dozen tags.
const Q: u8 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Info,
    SetBand(Band),
    /// In steps of 100 ms, 3 to 255: how long one inventory may take.
    SetScanTime(u8),
    /// dBm, for all ports.
    SetPower(u8),
    /// Only what is asked is answered; for readers of the family 288.
    AnswerMode,
    /// One inventory by a reader of type 18.
    Inventory18,
    /// One inventory by a reader of the family 288 on a port from 1; session 0, target A.
    Inventory288 {
        port: u8,
        scan_time: u8,
    },
}

impl Command {
    pub fn opcode(self) -> u8 {
        match self {
            Self::Info => opcode::INFO,
            Self::SetBand(_) => opcode::SET_BAND,
            Self::SetScanTime(_) => opcode::SET_SCAN_TIME,
            Self::SetPower(_) => opcode::SET_POWER,
            Self::AnswerMode => opcode::SET_WORK_MODE,
            Self::Inventory18 | Self::Inventory288 { .. } => opcode::INVENTORY,
        }
    }

    /// Appends the whole message.
    pub fn encode(self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend([0, BROADCAST, self.opcode()]);
        match self {
            Self::Info | Self::Inventory18 => {}
            Self::SetBand(band) => out.extend(band.bytes()),
            Self::SetScanTime(value) | Self::SetPower(value) => out.push(value),
            Self::AnswerMode => out.push(0),
            // No mask: EPC memory, from bit 0, of length 0.
            Self::Inventory288 { port, scan_time } => {
                let antenna = 0x80 | (port.wrapping_sub(1) & 0x7F);
                out.extend([Q, 0, 1, 0, 0, 0, 0, antenna, scan_time]);
            }
        }
        let after_length = out.len() - begin - 1 + 2;
        if let Some(length) = out.get_mut(begin) {
            *length = after_length as u8;
        }
        let crc = crc(out.get(begin..).unwrap_or_default());
        out.extend(crc.to_le_bytes());
    }
}

/// A band with its lowest and highest channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    number: u8,
    low: u8,
    high: u8,
}

/// Name, number, lowest channel, highest channel; EU channels lie at 865.1 MHz + n × 0.2 MHz.
const NAMES: &[(&str, Band)] = &[
    ("cn", Band::new(0b0001, 0, 19)),
    ("na", Band::new(0b0010, 0, 49)),
    ("kr", Band::new(0b0011, 0, 31)),
    ("eu", Band::new(0b0100, 0, 14)),
    // 865 to 867 MHz within the European channels.
    ("in", Band::new(0b0100, 0, 8)),
];

impl Band {
    const fn new(number: u8, low: u8, high: u8) -> Self {
        Self { number, low, high }
    }

    /// None where no band has that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// As an [`Info`](super::Info) tells it: highest channel, lowest channel, the band's number in
    /// the upper bits of both.
    pub fn from_bytes([high, low]: [u8; 2]) -> Self {
        Self {
            number: ((high >> 6) << 2) | (low >> 6),
            low: low & 0x3F,
            high: high & 0x3F,
        }
    }

    pub fn bytes(self) -> [u8; 2] {
        let (upper, lower) = (self.number >> 2, self.number & 3);
        [(upper << 6) | self.high, (lower << 6) | self.low]
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, low, high } = self;
        match NAMES.iter().find(|(_, band)| band == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "band {number}, channels {low} to {high}"),
        }
    }
}
