//! One response as bytes: where it begins and ends, and whether it is whole.

use crate::wire::framing::{Framing, Length};

/// Address, command, status, checksum.
const LEN_MIN: u8 = 5;

/// CRC-16/MCRF4XX: polynomial 1021 reflected, from `FFFF`; over everything before it.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            let carry = crc & 1;
            (crc >> 1) ^ (carry * 0x8408)
        })
    })
}

/// The reader's responses, for a [`Splitter`](crate::wire::framing::Splitter).
#[derive(Debug)]
pub struct ResponseFraming;

impl Framing for ResponseFraming {
    fn length(head: &[u8]) -> Length {
        match head {
            [len, ..] if *len >= LEN_MIN => Length::Known(usize::from(*len) + 1),
            _ => Length::None,
        }
    }

    fn is_sound(frame: &[u8]) -> bool {
        match frame {
            [body @ .., low, high] => crc(body) == u16::from_le_bytes([*low, *high]),
            _ => false,
        }
    }
}

/// A response's parts; nothing of `data` is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub address: u8,
    pub opcode: u8,
    pub status: u8,
    pub data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes apart what a splitter gave; none where it is too short, which a splitter never gives.
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        match frame {
            [_, address, opcode, status, data @ .., _, _] => Some(Self {
                address: *address,
                opcode: *opcode,
                status: *status,
                data,
            }),
            _ => None,
        }
    }
}
