//! Bytes to elements, by the table alone.
//!
//! Decoding is strict about bytes and lenient about manners: lengths must fit, while a parameter
//! that stands where the standard has no place for it, twice, or not at all, is told by
//! [`check`](super::check) and not refused, for readers are not all alike. What the table does not
//! know is kept as bytes, and so is a vendor's parameter that does not look as the table says.

use std::fmt;

use super::element::{Element, Tag};
use super::frame;
use super::schema::{CUSTOM, Definition, Field, Shape};
use super::value::{BitArray, Value};

/// Deeper than any message of the standard (eight), and shallow enough for any stack.
pub const MAX_DEPTH: usize = 32;

/// Why bytes are no LLRP message, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}at byte {offset}: {reason}")]
pub struct DecodeError {
    /// Of the message's bytes, its header included.
    pub offset: usize,
    /// The elements around it, outermost first.
    pub path: Path,
    pub reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("{0}")]
    Header(frame::FrameError),
    #[error("the header says {announced} bytes, and there are {found}")]
    MessageLength { announced: u32, found: usize },
    #[error("field {field} needs {needs} bytes, and {left} are left")]
    FieldCut {
        field: &'static str,
        needs: usize,
        left: usize,
    },
    #[error("{left} byte(s) are left, too few for the head of a parameter")]
    HeadCut { left: usize },
    #[error("{} says it is {length} bytes long, and its head alone has 4", parameter(*.number))]
    LengthTooSmall { number: u16, length: usize },
    #[error("{} says it is {length} bytes long, and {left} are left", parameter(*.number))]
    LengthTooLarge {
        number: u16,
        length: usize,
        left: usize,
    },
    #[error("the reserved bits before {} are set: {word:#06x}", parameter(*.number))]
    Reserved { number: u16, word: u16 },
    #[error("{} is no RO_ACCESS_REPORT", frame::message(*.0))]
    NoReport(u16),
    #[error("{} has no length here, or is cut", parameter(*.0))]
    NoLength(u16),
    #[error("parameters are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

fn parameter(number: u16) -> String {
    match Definition::parameter(number) {
        Some(definition) => format!("{} (parameter type {number})", definition.name),
        None => format!("parameter type {number}"),
    }
}

/// The names of the elements around a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<&'static str>);

impl Path {
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().rev().copied()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            let slash = if at == 0 { "" } else { "/" };
            write!(f, "{slash}{name}")?;
        }
        f.write_str(if self.0.is_empty() { "" } else { ", " })
    }
}

impl DecodeError {
    pub(super) fn new(offset: usize, reason: Reason) -> Self {
        Self {
            offset,
            path: Path::default(),
            reason,
        }
    }

    pub(super) fn within(mut self, name: &'static str) -> Self {
        self.path.0.push(name);
        self
    }
}

/// A stretch of the message.
struct Input<'a> {
    bytes: &'a [u8],
    /// Where `bytes` begins in the message.
    offset: usize,
    /// Bits taken of the first byte.
    bits: u32,
}

impl<'a> Input<'a> {
    fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            bytes,
            offset,
            bits: 0,
        }
    }

    fn error(&self, reason: Reason) -> DecodeError {
        DecodeError::new(self.offset, reason)
    }

    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(length) else {
            return Err(self.error(Reason::FieldCut {
                field,
                needs: length,
                left: self.bytes.len(),
            }));
        };
        self.bytes = rest;
        self.offset += length;
        Ok(taken)
    }

    fn number(&mut self, length: u8, field: &'static str) -> Result<u64, DecodeError> {
        let taken = self.take(usize::from(length), field)?;
        Ok(taken.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn bit_field(&mut self, count: u8, field: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0;
        for _ in 0..count {
            let Some(byte) = self.bytes.first() else {
                self.take(1, field)?;
                break;
            };
            value = value << 1 | u64::from(byte >> (7 - self.bits) & 1);
            self.bits += 1;
            if self.bits == 8 {
                self.bits = 0;
                self.take(1, field)?;
            }
        }
        Ok(value)
    }
}

/// A message's body after its header of `offset` bytes.
pub(super) fn message(number: u16, body: &[u8], offset: usize) -> Result<Element, DecodeError> {
    if let (CUSTOM, [v0, v1, v2, v3, subtype, rest @ ..]) = (number, body) {
        let vendor = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
        let own = Definition::custom_message(vendor, *subtype);
        let own = own.and_then(|definition| known(definition, rest, offset + 5, 0).ok());
        if let Some(element) = own {
            return Ok(element);
        }
    }
    match Definition::message(number) {
        Some(definition) => known(definition, body, offset, 0),
        None => Ok(Element::raw(Tag::Unknown(number), body)),
    }
}

fn known(
    definition: &'static Definition,
    body: &[u8],
    offset: usize,
    depth: usize,
) -> Result<Element, DecodeError> {
    let mut input = Input::new(body, offset);
    let element = |input: &mut Input<'_>| {
        Ok(Element {
            tag: Tag::Known(definition),
            values: values(&definition.fields, input)?,
            parameters: parameters(input, depth)?,
        })
    };
    element(&mut input).map_err(|error: DecodeError| error.within(definition.name))
}

fn parameters(input: &mut Input<'_>, depth: usize) -> Result<Vec<Element>, DecodeError> {
    let mut parameters = Vec::new();
    if depth == MAX_DEPTH && !input.bytes.is_empty() {
        return Err(input.error(Reason::TooDeep));
    }
    while let Some(first) = input.bytes.first() {
        let parameter = match first & 0x80 {
            0 => tlv(input, depth + 1)?,
            _ => tv(u16::from(first & 0x7F), input)?,
        };
        parameters.push(parameter);
    }
    Ok(parameters)
}

/// A parameter of one byte of type and a fixed length.
fn tv(number: u16, input: &mut Input<'_>) -> Result<Element, DecodeError> {
    let Some(definition) = Definition::parameter(number) else {
        let rest = std::mem::take(&mut input.bytes);
        return Ok(Element::raw(Tag::Unparsed, rest));
    };
    let element = |input: &mut Input<'_>| {
        input.take(1, definition.name)?;
        Ok(Element {
            tag: Tag::Known(definition),
            values: values(&definition.fields, input)?,
            parameters: Vec::new(),
        })
    };
    element(input).map_err(|error: DecodeError| error.within(definition.name))
}

/// A parameter of 16 bits of type, 16 bits of length and its body.
fn tlv(input: &mut Input<'_>, depth: usize) -> Result<Element, DecodeError> {
    let (number, body, _) = split_tlv(input.bytes).map_err(|reason| input.error(reason))?;
    let offset = input.offset + 4;
    input.take(4 + body.len(), "")?;
    self::body(number, body, offset, depth)
}

/// The type, the body and what comes after it.
#[inline]
pub(super) fn split_tlv(bytes: &[u8]) -> Result<(u16, &[u8], &[u8]), Reason> {
    let left = bytes.len();
    let [t0, t1, l0, l1, ..] = *bytes else {
        return Err(Reason::HeadCut { left });
    };
    let word = u16::from_be_bytes([t0, t1]);
    let (number, length) = (word & 0x3FF, usize::from(u16::from_be_bytes([l0, l1])));
    if word != number {
        return Err(Reason::Reserved { number, word });
    }
    if length < 4 {
        return Err(Reason::LengthTooSmall { number, length });
    }
    let Some((whole, rest)) = bytes.split_at_checked(length) else {
        return Err(Reason::LengthTooLarge {
            number,
            length,
            left,
        });
    };
    Ok((number, &whole[4..], rest))
}

fn body(number: u16, body: &[u8], offset: usize, depth: usize) -> Result<Element, DecodeError> {
    if let (CUSTOM, Some((head, rest))) = (number, body.split_first_chunk::<8>()) {
        let [v0, v1, v2, v3, s0, s1, s2, s3] = *head;
        let vendor = u32::from_be_bytes([v0, v1, v2, v3]);
        let subtype = u32::from_be_bytes([s0, s1, s2, s3]);
        let own = Definition::custom_parameter(vendor, subtype);
        let own = own.and_then(|definition| known(definition, rest, offset + 8, depth).ok());
        if let Some(element) = own {
            return Ok(element);
        }
    }
    // Numbers below 128 have no length: with one, it is something else.
    match Definition::parameter(number).filter(|d| !d.is_tv()) {
        Some(definition) => known(definition, body, offset, depth),
        None => Ok(Element::raw(Tag::Unknown(number), body)),
    }
}

fn values(fields: &'static [Field], input: &mut Input<'_>) -> Result<Vec<Value>, DecodeError> {
    let mut values = Vec::with_capacity(fields.len());
    for field in fields {
        values.push(value(field, input)?);
    }
    Ok(values)
}

fn value(field: &'static Field, input: &mut Input<'_>) -> Result<Value, DecodeError> {
    let name = field.name;
    Ok(match field.shape {
        Shape::Bits(count) => Value::Unsigned(input.bit_field(count, name)?),
        Shape::Unsigned(length) => Value::Unsigned(input.number(length, name)?),
        Shape::Signed(length) => {
            let unused = 64 - 8 * u32::from(length);
            let number = input.number(length, name)? << unused;
            Value::Signed(number.cast_signed() >> unused)
        }
        Shape::Fixed(length) => input.take(usize::from(length), name)?.into(),
        Shape::Rest => input.take(input.bytes.len(), name)?.into(),
        Shape::BitArray => bits(input, name)?,
        Shape::Array(1) => counted(input, name, 1)?.into(),
        Shape::Array(4) => {
            let (numbers, _) = counted(input, name, 4)?.as_chunks();
            Value::DoubleWords(numbers.iter().map(|n| u32::from_be_bytes(*n)).collect())
        }
        Shape::Array(_) | Shape::Words => {
            let (words, _) = counted(input, name, 2)?.as_chunks();
            Value::Words(words.iter().map(|n| u16::from_be_bytes(*n)).collect())
        }
        Shape::Text => {
            let bytes = counted(input, name, 1)?;
            std::str::from_utf8(bytes).map_or_else(|_| bytes.into(), Value::from)
        }
    })
}

/// The bytes of a count and as many items.
fn counted<'a>(
    input: &mut Input<'a>,
    name: &'static str,
    size: usize,
) -> Result<&'a [u8], DecodeError> {
    let count = usize::try_from(input.number(2, name)?).expect("16 bits");
    input.take(count * size, name)
}

fn bits(input: &mut Input<'_>, name: &'static str) -> Result<Value, DecodeError> {
    let count = u16::try_from(input.number(2, name)?).expect("16 bits");
    let bytes = input.take(usize::from(count).div_ceil(8), name)?;
    Ok(Value::Bits(
        BitArray::new(count, bytes).expect("as many bytes as the bits need"),
    ))
}
