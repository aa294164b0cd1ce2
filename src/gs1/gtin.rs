//! Global Trade Item Numbers, compared as GTIN-14.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A GTIN with a right check digit, held as the number that its 14 digits spell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtin(u64);

/// Why text is not a GTIN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GtinError {
    #[error("`{0}` has {1} digits; a GTIN has 8, 12, 13 or 14 (UPC-E stands expanded)")]
    Length(String, usize),
    #[error("`{0}` holds `{1}`, which is no digit")]
    Digit(String, char),
    #[error("`{0}` ends in check digit {1}; its other digits ask for {2}")]
    CheckDigit(String, u8, u8),
}

impl Gtin {
    /// The GTIN-14 whose first 13 digits are given, with the check digit that they ask for;
    /// `None` above 13 digits.
    pub fn from_payload(payload: u64) -> Option<Self> {
        (payload < 10_u64.pow(13)).then(|| Self(payload * 10 + u64::from(check_digit(payload))))
    }

    /// The number that the 14 digits spell.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// The check digit of a GTIN's other digits: weights 3 and 1 from the right (General
/// Specifications 7.9).
fn check_digit(mut payload: u64) -> u8 {
    let (mut sum, mut weight) = (0, 3);
    while payload > 0 {
        sum += payload % 10 * weight;
        weight = 4 - weight;
        payload /= 10;
    }
    ((10 - sum % 10) % 10) as u8
}

impl FromStr for Gtin {
    type Err = GtinError;
    fn from_str(text: &str) -> Result<Self, GtinError> {
        let shown = || text.chars().take(40).collect::<String>();
        if let Some(c) = text.chars().find(|c| !c.is_ascii_digit()) {
            return Err(GtinError::Digit(shown(), c));
        }
        if !matches!(text.len(), 8 | 12 | 13 | 14) {
            return Err(GtinError::Length(shown(), text.len()));
        }
        let number = text.bytes().fold(0, |n, c| n * 10 + u64::from(c - b'0'));
        let (found, asked) = ((number % 10) as u8, check_digit(number / 10));
        if found == asked {
            Ok(Self(number))
        } else {
            Err(GtinError::CheckDigit(shown(), found, asked))
        }
    }
}

impl fmt::Display for Gtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014}", self.0)
    }
}

impl Serialize for Gtin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Gtin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            Ok(Self(u64::deserialize(deserializer)?))
        }
    }
}
