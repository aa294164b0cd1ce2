//! Scales that follow the HID point-of-sale tables (USB-IF, "HID Point of Sale Usage Tables" 1.02,
//! usage page 8D). Pure: report bytes in, grams out.
//!
//! ```text
//! [report id]  status  unit  exponent (i8, of ten)  weight (u16, little-endian)
//! ```

mod descriptor;
mod unit;

pub use self::descriptor::{Layout, layout};
pub use self::unit::Unit;

/// Where a scale is with its weight (usages 71 to 78).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Fault,
    /// Nothing on it, and at rest.
    Zero,
    Moving,
    Stable,
    UnderZero,
    OverLimit,
    NeedsCalibration,
    NeedsRezero,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    pub state: State,
    pub unit: Unit,
    /// Negative under zero, where the report gives the amount.
    pub grams: f64,
}

/// What a report had that a scale cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a report of {0} bytes; a weight has 5, and 6 with a report id")]
    Length(usize),
    #[error("report {0}, which is none of weights")]
    ReportId(u8),
    #[error("status {0}; 1 to 8 are known")]
    Status(u8),
    #[error("unit {0}; 1 to 12 are known")]
    Unit(u8),
    #[error("a weight of more than a thousand tonnes")]
    Huge,
}

/// No scale of a shop weighs more, grams.
const GRAMS_MAX: f64 = 1e9;
/// Reports of weights where a descriptor names no id: most scales have 3, some 4.
const USUAL_IDS: [u8; 2] = [3, 4];

impl Weight {
    /// Decodes a report by the layout that the device's descriptor tells. What follows the weight is
    /// padding.
    pub fn decode(layout: Layout, report: &[u8]) -> Result<Self, Malformed> {
        let fields = match (layout, report) {
            (Layout::WithId(id), [first, rest @ ..]) if *first == id => rest,
            (Layout::WithId(_), [first, ..]) => return Err(Malformed::ReportId(*first)),
            (Layout::Plain, fields) => fields,
            (Layout::Guessed, [first, rest @ ..]) if rest.len() >= 5 => {
                if !USUAL_IDS.contains(first) {
                    return Err(Malformed::ReportId(*first));
                }
                rest
            }
            (_, fields) => fields,
        };
        let [status, unit, exponent, low, high, ..] = fields else {
            return Err(Malformed::Length(report.len()));
        };
        let state = State::parse(*status)?;
        let unit = Unit::parse(*unit).ok_or(Malformed::Unit(*unit))?;
        let amount = f64::from(u16::from_le_bytes([*low, *high]));
        let exponent = i8::from_le_bytes([*exponent]);
        let grams = scaled(amount, exponent) * unit.grams();
        if grams > GRAMS_MAX {
            return Err(Malformed::Huge);
        }
        let sign = if state == State::UnderZero { -1.0 } else { 1.0 };
        let grams = grams * sign;
        Ok(Self { state, unit, grams })
    }
}

/// `amount × 10^exponent`, divided where the exponent is negative: 6452 × 10^-1 is then 645.2 and no
/// neighbour of it.
fn scaled(amount: f64, exponent: i8) -> f64 {
    let power = (0..exponent.unsigned_abs()).fold(1.0, |power, _| power * 10.0);
    if exponent < 0 {
        amount / power
    } else {
        amount * power
    }
}

impl State {
    fn parse(status: u8) -> Result<Self, Malformed> {
        Ok(match status {
            1 => Self::Fault,
            2 => Self::Zero,
            3 => Self::Moving,
            4 => Self::Stable,
            5 => Self::UnderZero,
            6 => Self::OverLimit,
            7 => Self::NeedsCalibration,
            8 => Self::NeedsRezero,
            other => return Err(Malformed::Status(other)),
        })
    }
}

#[cfg(test)]
mod tests;
