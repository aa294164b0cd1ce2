//! SGTIN: a GTIN with a serial, as tags hold it in 96 or 198 bits (TDS 2.0, 14.6.1) and as
//! `urn:epc:id:sgtin:` text (6.3.1).
//!
//! ```text
//!  0      8     11         14            58
//! | header | filter | partition | company, item | serial: 38 bits, or 20 characters of 7 bits |
//! ```

use std::{fmt, str::FromStr};

use super::{Epc, Gtin, Scheme};

/// Digits and bits of the company prefix by partition value (table 14-2). The item reference,
/// led by the indicator digit, has the rest of 13 digits and 44 bits.
const PARTITIONS: [(u8, u32); 7] = [
    (12, 40),
    (11, 37),
    (10, 34),
    (9, 30),
    (8, 27),
    (7, 24),
    (6, 20),
];
const SERIAL_BITS: u32 = 38;
const SERIAL_CHARS: usize = 20;
const URN: &str = "urn:epc:id:sgtin:";

/// A serialised GTIN, with all that its tag says, so that encoding it gives the tag's bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sgtin {
    gtin: Gtin,
    serial: String,
    filter: u8,
    company_digits: u8,
}

/// Why something is not an SGTIN, or not one that the encoding can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SgtinError {
    #[error("`{0}` is not an urn:epc:id:sgtin: of company prefix, item reference and serial")]
    Urn(String),
    #[error("a company prefix of {0} digits; 6 to 12 are allowed")]
    CompanyDigits(usize),
    #[error("filter value {0}; 0 to 7 are allowed")]
    Filter(u8),
    #[error("serial `{0}`; 1 to 20 letters, digits or !\"%&'()*+,-./:;<=>?_ are allowed")]
    Serial(String),
    #[error("serial `{0}`; SGTIN-96 holds numbers below 2^38 without leading zeros")]
    NotNumeric(String),
}

impl Sgtin {
    /// `filter` is the tag's filter value (0 all others, 1 point of sale item, …);
    /// `company_digits` the length of the GS1 company prefix, 6 to 12.
    pub fn new(
        gtin: Gtin,
        serial: &str,
        filter: u8,
        company_digits: u8,
    ) -> Result<Self, SgtinError> {
        if !(6..=12).contains(&company_digits) {
            return Err(SgtinError::CompanyDigits(company_digits.into()));
        }
        if filter > 7 {
            return Err(SgtinError::Filter(filter));
        }
        if !(1..=SERIAL_CHARS).contains(&serial.len()) || !serial.bytes().all(is_serial_char) {
            return Err(SgtinError::Serial(serial.chars().take(40).collect()));
        }
        Ok(Self {
            gtin,
            serial: serial.to_owned(),
            filter,
            company_digits,
        })
    }

    pub fn gtin(&self) -> Gtin {
        self.gtin
    }

    pub fn serial(&self) -> &str {
        &self.serial
    }

    pub fn filter(&self) -> u8 {
        self.filter
    }

    pub fn company_digits(&self) -> u8 {
        self.company_digits
    }

    /// The 12 bytes of an SGTIN-96.
    pub fn to_sgtin_96(&self) -> Result<Epc, SgtinError> {
        let number = self.serial.parse::<u64>().ok();
        // Leading zeros, signs and the like do not survive the number.
        let number = number.filter(|n| *n < 1 << SERIAL_BITS && n.to_string() == self.serial);
        let number = number.ok_or_else(|| SgtinError::NotNumeric(self.serial.clone()))?;
        let mut bits = self.head(Scheme::Sgtin96);
        bits.push(number, SERIAL_BITS);
        Ok(bits.epc())
    }

    /// The 26 bytes of an SGTIN-198: tag memory has words of 16 bits.
    pub fn to_sgtin_198(&self) -> Epc {
        let mut bits = self.head(Scheme::Sgtin198);
        let padding = std::iter::repeat(0);
        for char in self.serial.bytes().chain(padding).take(SERIAL_CHARS) {
            bits.push(char.into(), 7);
        }
        bits.push(0, 10);
        bits.epc()
    }

    fn head(&self, scheme: Scheme) -> Bits {
        let partition = 12 - self.company_digits;
        let (_, company_bits) = PARTITIONS[usize::from(partition)];
        let (company, item) = self.company_item();
        let mut bits = Bits::default();
        bits.push(scheme.header().into(), 8);
        bits.push(self.filter.into(), 3);
        bits.push(partition.into(), 3);
        bits.push(company, company_bits);
        bits.push(item, 44 - company_bits);
        bits
    }

    /// The company prefix, and the item reference led by the indicator digit.
    fn company_item(&self) -> (u64, u64) {
        let payload = self.gtin.as_u64() / 10;
        let unit = item_unit(self.company_digits);
        let (indicator, rest) = (payload / 10_u64.pow(12), payload % 10_u64.pow(12));
        (rest / unit, indicator * unit + rest % unit)
    }
}

/// The place value of the indicator digit in an item reference.
fn item_unit(company_digits: u8) -> u64 {
    10_u64.pow(12 - u32::from(company_digits))
}

/// The GTIN of a company prefix and an item reference; `None` where either has too many digits.
fn join(company: u64, item: u64, company_digits: u8) -> Option<Gtin> {
    let unit = item_unit(company_digits);
    if company >= 10_u64.pow(company_digits.into()) || item >= unit * 10 {
        return None;
    }
    Gtin::from_payload(item / unit * 10_u64.pow(12) + company * unit + item % unit)
}

/// GS1 AI encodable character set 82 (General Specifications 7.11).
fn is_serial_char(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'!' | b'"' | b'_' | b'%'..=b'/' | b':'..=b'?')
}

impl Epc {
    /// The GTIN of an SGTIN-96, SGTIN-198, SGTIN+ or DSGTIN+, whatever its serial; `None` for
    /// other schemes and for fields that the scheme does not allow.
    pub fn gtin(&self) -> Option<Gtin> {
        match (self.scheme()?, self.as_bytes().len()) {
            (Scheme::Sgtin96, 12) | (Scheme::Sgtin198, 25..) => Some(self.sgtin_head()?.0),
            // Fourteen digits of four bits, behind toggle and filter, and in DSGTIN+ a date.
            (Scheme::SgtinPlus, _) => self.decimal_gtin(12),
            (Scheme::DsgtinPlus, _) => self.decimal_gtin(32),
            _ => None,
        }
    }

    /// All of an SGTIN-96 or SGTIN-198; `None` for anything else and for bits that no encoder
    /// writes.
    pub fn sgtin(&self) -> Option<Sgtin> {
        let serial = match (self.scheme()?, self.as_bytes().len()) {
            (Scheme::Sgtin96, 12) => self.field(58, SERIAL_BITS)?.to_string(),
            (Scheme::Sgtin198, 25..=26) => self.long_serial()?,
            _ => return None,
        };
        let (gtin, company_digits) = self.sgtin_head()?;
        let filter = u8::try_from(self.field(8, 3)?).ok()?;
        Sgtin::new(gtin, &serial, filter, company_digits).ok()
    }

    /// GTIN and length of the company prefix.
    fn sgtin_head(&self) -> Option<(Gtin, u8)> {
        let partition = usize::try_from(self.field(11, 3)?).ok()?;
        let (company_digits, company_bits) = *PARTITIONS.get(partition)?;
        let company = self.field(14, company_bits)?;
        let item = self.field(14 + company_bits, 44 - company_bits)?;
        Some((join(company, item, company_digits)?, company_digits))
    }

    /// Characters up to the first zero; behind it all bits are zero.
    fn long_serial(&self) -> Option<String> {
        let places = (0..SERIAL_CHARS as u32).map(|i| self.field(58 + 7 * i, 7));
        let chars: Vec<u8> = places
            .map(|c| u8::try_from(c?).ok())
            .collect::<Option<_>>()?;
        let tail_bits = self.as_bytes().len() as u32 * 8 - 198;
        let end = chars.iter().position(|c| *c == 0).unwrap_or(chars.len());
        let (serial, padding) = chars.split_at(end);
        let clean = padding.iter().all(|c| *c == 0) && self.field(198, tail_bits)? == 0;
        clean.then(|| serial.iter().copied().map(char::from).collect())
    }

    fn decimal_gtin(&self, from: u32) -> Option<Gtin> {
        let digits = (0..14).map(|i| self.field(from + 4 * i, 4));
        let number = digits.reduce(|n, d| Some(n? * 10 + d.filter(|d| *d <= 9)?))??;
        Gtin::from_payload(number / 10).filter(|gtin| gtin.as_u64() == number)
    }

    /// `bits` bits (64 at most) from bit `from`, the first being the highest.
    fn field(&self, from: u32, bits: u32) -> Option<u64> {
        (from..from + bits).try_fold(0, |value, bit| {
            let byte = self.as_bytes().get((bit / 8) as usize)?;
            Some(value << 1 | u64::from(byte >> (7 - bit % 8) & 1))
        })
    }
}

/// Bits written from the highest down; at most an EPC's.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: u32,
}

impl Bits {
    fn push(&mut self, value: u64, bits: u32) {
        for bit in (0..bits).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << (7 - self.len % 8);
            }
            self.len += 1;
        }
    }

    fn epc(self) -> Epc {
        Epc::new(&self.bytes).expect("an SGTIN has 12 or 26 bytes")
    }
}

impl fmt::Display for Sgtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (company, item) = self.company_item();
        let digits = usize::from(self.company_digits);
        write!(
            f,
            "{URN}{company:0digits$}.{item:0rest$}.",
            rest = 13 - digits
        )?;
        self.serial.chars().try_for_each(|c| match c {
            '"' | '%' | '&' | '/' | '<' | '>' | '?' => write!(f, "%{:02X}", u32::from(c)),
            _ => write!(f, "{c}"),
        })
    }
}

impl FromStr for Sgtin {
    type Err = SgtinError;

    /// The text names no filter value; the result has 0.
    fn from_str(text: &str) -> Result<Self, SgtinError> {
        let refuse = || SgtinError::Urn(text.chars().take(120).collect());
        let mut parts = text.strip_prefix(URN).ok_or_else(refuse)?.splitn(3, '.');
        let (Some(company), Some(item), Some(serial)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(refuse());
        };
        let number = |digits: &str| {
            let plain = digits.bytes().all(|c| c.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|_| plain)
        };
        if !(6..=12).contains(&company.len()) {
            return Err(SgtinError::CompanyDigits(company.len()));
        }
        let company_digits = company.len() as u8;
        let gtin = match (number(company), number(item)) {
            (Some(c), Some(i)) if company.len() + item.len() == 13 => join(c, i, company_digits),
            _ => None,
        };
        let serial = unescape(serial).ok_or_else(refuse)?;
        Self::new(gtin.ok_or_else(refuse)?, &serial, 0, company_digits)
    }
}

/// The text behind `%2F` and the like; `None` where one is not whole, or a character that must be
/// escaped is not.
fn unescape(text: &str) -> Option<String> {
    let mut chars = text.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '%' => {
                let (high, low) = (chars.next()?.to_digit(16)?, chars.next()?.to_digit(16)?);
                char::from(u8::try_from(high * 16 + low).ok()?)
            }
            '"' | '&' | '/' | '<' | '>' | '?' => return None,
            _ => c,
        });
    }
    Some(plain)
}
