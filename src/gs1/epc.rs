//! Electronic Product Codes as tags hold them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest EPC that a Gen2 tag can hold: 496 bits (UHF Air Interface 2.1, 6.3.2.1.2.2).
const MAX_BYTES: usize = 62;

/// An EPC's bytes, whatever its scheme; ordered as its hexadecimal text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epc {
    bytes: [u8; MAX_BYTES],
    len: u8,
}

/// Why text or bytes are not an EPC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EpcError {
    #[error("an EPC of {0} bytes; a tag holds 1 to 62")]
    Length(usize),
    #[error("`{0}` is not an even number of hexadecimal digits")]
    Hex(String),
}

impl Epc {
    pub fn new(bytes: &[u8]) -> Result<Self, EpcError> {
        let len = u8::try_from(bytes.len())
            .ok()
            .filter(|n| (1..=62).contains(n));
        let len = len.ok_or(EpcError::Length(bytes.len()))?;
        let mut padded = [0; MAX_BYTES];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { bytes: padded, len })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl FromStr for Epc {
    type Err = EpcError;
    fn from_str(text: &str) -> Result<Self, EpcError> {
        let refuse = || EpcError::Hex(text.chars().take(140).collect());
        let b = text.as_bytes();
        if !b.len().is_multiple_of(2) {
            return Err(refuse());
        }
        if b.len() > 2 * MAX_BYTES {
            return Err(EpcError::Length(b.len() / 2));
        }
        let mut bytes = [0; MAX_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(b.chunks_exact(2)) {
            let nibble = |c: u8| char::from(c).to_digit(16);
            let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
                return Err(refuse());
            };
            *byte = (high * 16 + low) as u8;
        }
        Self::new(&bytes[..b.len() / 2])
    }
}

impl fmt::Display for Epc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|b| write!(f, "{b:02X}"))
    }
}

impl fmt::Debug for Epc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epc({self})")
    }
}

impl Serialize for Epc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.as_bytes().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Epc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let made = if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse()
        } else {
            Self::new(&Vec::<u8>::deserialize(deserializer)?)
        };
        made.map_err(serde::de::Error::custom)
    }
}
