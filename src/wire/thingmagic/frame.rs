//! One response as bytes: where it begins and ends, and whether it is whole.

use crate::wire::framing::{Framing, Length};

pub(super) const HEADER: u8 = 0xFF;
/// Header, length, operation, status, checksum.
const AROUND: usize = 7;
/// The longest message, `TMR_SR_MAX_PACKET_SIZE`.
const MESSAGE_MAX: usize = 255;

/// The checksum over everything between header and checksum: the polynomial of CRC-16/CCITT from
/// `FFFF`, without the 16 zero bits that the usual form appends.
pub fn crc(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 16] = [
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5, 0x60C6, 0x70E7, 0x8108, 0x9129, 0xA14A,
        0xB16B, 0xC18C, 0xD1AD, 0xE1CE, 0xF1EF,
    ];
    let step =
        |crc: u16, nibble: u8| ((crc << 4) | u16::from(nibble)) ^ TABLE[usize::from(crc >> 12)];
    bytes
        .iter()
        .fold(0xFFFF, |crc, byte| step(step(crc, byte >> 4), byte & 15))
}

/// The module's responses, for a [`Splitter`](crate::wire::framing::Splitter).
#[derive(Debug)]
pub struct ResponseFraming;

impl Framing for ResponseFraming {
    fn length(head: &[u8]) -> Length {
        match head {
            [HEADER, len, ..] if usize::from(*len) + AROUND <= MESSAGE_MAX => {
                Length::Known(usize::from(*len) + AROUND)
            }
            [HEADER] => Length::Unknown,
            _ => Length::None,
        }
    }

    fn is_sound(frame: &[u8]) -> bool {
        match frame {
            [HEADER, body @ .., high, low] => crc(body) == u16::from_be_bytes([*high, *low]),
            _ => false,
        }
    }
}

/// A response's parts; nothing of `data` is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub opcode: u8,
    /// 0 is success.
    pub status: u16,
    pub data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes apart what a splitter gave; none where it is too short, which a splitter never gives.
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        match frame {
            [_, _, opcode, high, low, data @ .., _, _] => Some(Self {
                opcode: *opcode,
                status: u16::from_be_bytes([*high, *low]),
                data,
            }),
            _ => None,
        }
    }
}
