//! Elements as JSON, by the standard's names: fields and parameters of an element are members of one
//! object. A parameter that may stand several times is an array. Enumerations are names, flags are
//! booleans, bytes are hexadecimal, words of a tag's memory too, and bit arrays tell their count.
//!
//! It is written as it is walked: a report of many tags is not held a second time.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::element::{Element, Tag};
use super::schema::{Definition, Field, Kind, Shape};
use super::value::Value;

impl Serialize for Element {
    /// The element's fields and parameters, without its name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.tag {
            Tag::Known(definition) => known(definition, self, &mut map)?,
            Tag::Unknown(number) => {
                map.serialize_entry("type", &number)?;
                map.serialize_entry("bytes", &self.kept())?;
            }
            Tag::Unparsed => map.serialize_entry("bytes", &self.kept())?,
        }
        map.end()
    }
}

impl Element {
    fn kept(&self) -> Hex<'_> {
        Hex(self
            .values
            .first()
            .and_then(Value::as_bytes)
            .unwrap_or_default())
    }
}

fn known<M: SerializeMap>(
    definition: &'static Definition,
    element: &Element,
    map: &mut M,
) -> Result<(), M::Error> {
    match definition.kind {
        Kind::CustomParameter(vendor, subtype) => {
            map.serialize_entry("VendorIdentifier", &vendor)?;
            map.serialize_entry("ParameterSubtype", &subtype)?;
        }
        Kind::CustomMessage(vendor, subtype) => {
            map.serialize_entry("VendorIdentifier", &vendor)?;
            map.serialize_entry("MessageSubtype", &subtype)?;
        }
        Kind::Message(_) | Kind::Parameter(_) => {}
    }
    for (field, value) in element.fields() {
        map.serialize_entry(field.name, &Told { field, value })?;
    }
    for name in distinct(element.parameters()) {
        let group = Group {
            definition,
            parameters: element.parameters(),
            name,
        };
        // Only what has no place can have a field's name.
        match definition.position(name) {
            None => map.serialize_entry(name, &group)?,
            Some(_) => map.serialize_entry(&format!("{name}Parameter"), &group)?,
        }
    }
    Ok(())
}

/// Names in the order in which they come first.
fn distinct(parameters: &[Element]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in parameters.iter().map(Element::name) {
        // Most come in runs.
        if names.last() != Some(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The parameters of one name.
struct Group<'a> {
    definition: &'static Definition,
    parameters: &'a [Element],
    name: &'static str,
}

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut own = self.parameters.iter().filter(|p| p.name() == self.name);
        let (Some(first), second) = (own.next(), own.next()) else {
            return serializer.serialize_unit();
        };
        let slot = first.definition().and_then(|p| self.definition.slot_of(p));
        // What has no place may come again.
        let repeats = slot.is_none_or(|slot| self.definition.slots[slot].repeats);
        if second.is_none() && !repeats {
            return first.serialize(serializer);
        }
        serializer.collect_seq([first].into_iter().chain(second).chain(own))
    }
}

/// A field's value as its definition wants it told.
struct Told<'a> {
    field: &'static Field,
    value: &'a Value,
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Field {
            shape, enumeration, ..
        } = self.field;
        match self.value {
            Value::Unsigned(n @ 0..=1) if *shape == Shape::Bits(1) && enumeration.is_none() => {
                serializer.serialize_bool(*n == 1)
            }
            Value::Unsigned(number) => self.entry(*number).serialize(serializer),
            Value::Signed(number) => serializer.serialize_i64(*number),
            Value::Bytes(bytes) if enumeration.is_some() => {
                serializer.collect_seq(bytes.iter().map(|byte| self.entry((*byte).into())))
            }
            Value::Bytes(bytes) => Hex(bytes).serialize(serializer),
            Value::Words(words) if *shape == Shape::Words => {
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
                Hex(&bytes).serialize(serializer)
            }
            Value::Words(words) => serializer.collect_seq(&**words),
            Value::DoubleWords(numbers) => serializer.collect_seq(&**numbers),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bits(bits) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("bits", &bits.count())?;
                map.serialize_entry("hex", &Hex(bits.bytes()))?;
                map.end()
            }
        }
    }
}

impl Told<'_> {
    fn entry(&self, number: u64) -> Entry {
        let name = self.field.enumeration.and_then(|e| e.name_of(number));
        name.map_or(Entry::Number(number), Entry::Name)
    }
}

/// An enumeration's entry: its number where the standard has no name.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Entry {
    Name(&'static str),
    Number(u64),
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
