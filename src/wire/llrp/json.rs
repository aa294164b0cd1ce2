//! Elements as JSON, by the standard's names: fields and parameters of an element are members of one
//! object. A parameter that may stand several times is an array. Enumerations are names, flags are
//! booleans, bytes are hexadecimal, words of a tag's memory too, and bit arrays tell their count.

use serde_json::{Map, Value as Json, json};

use super::element::{Element, Tag};
use super::schema::{Definition, Field, Kind, Shape};
use super::value::Value;

impl Element {
    /// The element's fields and parameters, without its name.
    pub fn to_json(&self) -> Json {
        match self.tag {
            Tag::Known(definition) => known(definition, self),
            Tag::Unknown(number) => json!({"type": number, "bytes": self.raw_hex()}),
            Tag::Unparsed => json!({"bytes": self.raw_hex()}),
        }
    }

    fn raw_hex(&self) -> String {
        let bytes = self.values.first().and_then(Value::as_bytes);
        hex(bytes.unwrap_or_default())
    }
}

fn known(definition: &'static Definition, element: &Element) -> Json {
    let mut object = Map::new();
    match definition.kind {
        Kind::CustomParameter(vendor, subtype) => {
            object.insert("VendorIdentifier".into(), vendor.into());
            object.insert("ParameterSubtype".into(), subtype.into());
        }
        Kind::CustomMessage(vendor, subtype) => {
            object.insert("VendorIdentifier".into(), vendor.into());
            object.insert("MessageSubtype".into(), subtype.into());
        }
        Kind::Message(_) | Kind::Parameter(_) => {}
    }
    for (field, value) in element.fields() {
        object.insert(field.name.into(), field_json(field, value));
    }
    for parameter in element.parameters() {
        add(&mut object, definition, parameter);
    }
    object.into()
}

fn add(object: &mut Map<String, Json>, definition: &Definition, parameter: &Element) {
    let slot = parameter.definition().and_then(|p| definition.slot_of(p));
    // What has no place may come again.
    let repeats = slot.is_none_or(|slot| definition.slots[slot].repeats);
    let value = parameter.to_json();
    match object.get_mut(parameter.name()) {
        Some(Json::Array(all)) => all.push(value),
        Some(first) => *first = Json::Array(vec![first.take(), value]),
        None if repeats => drop(object.insert(parameter.name().into(), json!([value]))),
        None => drop(object.insert(parameter.name().into(), value)),
    }
}

fn field_json(field: &Field, value: &Value) -> Json {
    let entry = |number: u64| match field.enumeration.and_then(|e| e.name_of(number)) {
        Some(name) => name.into(),
        None => number.into(),
    };
    match value {
        Value::Unsigned(number @ 0..=1)
            if field.shape == Shape::Bits(1) && field.enumeration.is_none() =>
        {
            (*number == 1).into()
        }
        Value::Unsigned(number) => entry(*number),
        Value::Signed(number) => (*number).into(),
        Value::Bytes(bytes) if field.enumeration.is_some() => {
            bytes.iter().map(|byte| entry((*byte).into())).collect()
        }
        Value::Bytes(bytes) => hex(bytes).into(),
        Value::Words(words) if field.shape == Shape::Words => hex_of_words(words).into(),
        Value::Words(words) => words.iter().copied().collect(),
        Value::DoubleWords(numbers) => numbers.iter().copied().collect(),
        Value::Text(text) => (&**text).into(),
        Value::Bits(bits) => json!({"bits": bits.count(), "hex": hex(bits.bytes())}),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|n| digit(n).to_ascii_uppercase()).collect()
}

fn hex_of_words(words: &[u16]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    hex(&bytes)
}
