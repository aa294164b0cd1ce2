//! Elements to bytes. An element that was decoded gives the bytes that it came from.

use super::element::{Element, Tag};
use super::schema::{CUSTOM, Definition, Kind, Shape};
use super::value::Value;

/// The bytes do not fit the length that their element can tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{element} would have {bytes} bytes, and its length ends at {limit}")]
pub struct TooLong {
    pub element: &'static str,
    pub bytes: usize,
    pub limit: u32,
}

/// Appends a message's body without its header.
pub(super) fn body(element: &Element, out: &mut Vec<u8>) -> Result<(), TooLong> {
    if let Tag::Known(Definition {
        kind: Kind::CustomMessage(vendor, subtype),
        ..
    }) = element.tag
    {
        out.extend(vendor.to_be_bytes());
        out.push(*subtype);
    }
    content(element, out)
}

fn content(element: &Element, out: &mut Vec<u8>) -> Result<(), TooLong> {
    match element.tag {
        Tag::Known(definition) => values(definition, &element.values, out),
        Tag::Unknown(_) | Tag::Unparsed => element.values.iter().for_each(|v| value(v, 0, out)),
    }
    element
        .parameters
        .iter()
        .try_for_each(|p| parameter(p, out))
}

fn parameter(element: &Element, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let number = match element.tag {
        Tag::Unparsed => return content(element, out),
        Tag::Unknown(number) => number,
        Tag::Known(definition) => match definition.kind {
            Kind::Parameter(number) | Kind::Message(number) => number,
            Kind::CustomParameter(..) | Kind::CustomMessage(..) => CUSTOM,
        },
    };
    if let Tag::Known(definition) = element.tag
        && definition.is_tv()
    {
        out.push(0x80 | u8::try_from(number).expect("a TV type has seven bits"));
        return content(element, out);
    }
    let start = out.len();
    out.extend(number.to_be_bytes());
    out.extend([0, 0]);
    if let Tag::Known(Definition {
        kind: Kind::CustomParameter(vendor, subtype),
        ..
    }) = element.tag
    {
        out.extend(vendor.to_be_bytes());
        out.extend(subtype.to_be_bytes());
    }
    content(element, out)?;
    let bytes = out.len() - start;
    let Ok(length) = u16::try_from(bytes) else {
        return Err(TooLong {
            element: element.name(),
            bytes,
            limit: u16::MAX.into(),
        });
    };
    out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn values(definition: &Definition, values: &[Value], out: &mut Vec<u8>) {
    // Bits wait here until they are a byte.
    let (mut byte, mut filled) = (0, 0);
    for (field, value) in definition.fields.iter().zip(values) {
        let (Shape::Bits(count), Value::Unsigned(number)) = (field.shape, value) else {
            self::value(value, size(field.shape), out);
            continue;
        };
        for bit in (0..count).rev() {
            byte = byte << 1 | u8::from(number >> bit & 1 == 1);
            filled += 1;
            if filled == 8 {
                out.push(byte);
                (byte, filled) = (0, 0);
            }
        }
    }
}

/// The size of a number; zero where the value has no count before it.
fn size(shape: Shape) -> usize {
    match shape {
        Shape::Unsigned(size) | Shape::Signed(size) => size.into(),
        Shape::Fixed(_) | Shape::Rest | Shape::Bits(_) => 0,
        Shape::BitArray | Shape::Array(_) | Shape::Words | Shape::Text => 2,
    }
}

fn value(value: &Value, size: usize, out: &mut Vec<u8>) {
    let count = |n: usize, out: &mut Vec<u8>| {
        // Counts were checked when the element was made.
        out.extend(u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes());
    };
    match value {
        Value::Unsigned(number) => out.extend(&number.to_be_bytes()[8 - size..]),
        Value::Signed(number) => out.extend(&number.to_be_bytes()[8 - size..]),
        Value::Bits(bits) => {
            out.extend(bits.count().to_be_bytes());
            out.extend(bits.bytes());
        }
        Value::Bytes(bytes) => {
            if size != 0 {
                count(bytes.len(), out);
            }
            out.extend(bytes);
        }
        Value::Text(text) => {
            count(text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Words(words) => {
            count(words.len(), out);
            words.iter().for_each(|word| out.extend(word.to_be_bytes()));
        }
        Value::DoubleWords(numbers) => {
            count(numbers.len(), out);
            numbers.iter().for_each(|n| out.extend(n.to_be_bytes()));
        }
    }
}
