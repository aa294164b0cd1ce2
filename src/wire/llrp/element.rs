//! A message's body or a parameter as a tree, and how to read it by the standard's names:
//! `message.param("LLRPStatus")?.number("StatusCode")`.
//!
//! The tree keeps the wire's order and what it does not know, so that it encodes to the bytes that
//! it came from. It is at most some fifty times as large as those.

use super::schema::{Definition, Field};
use super::value::Value;

/// A message's body, or a parameter with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub(super) tag: Tag,
    /// One for each field of the definition, reserved bits included; of what is not known, all
    /// bytes as one.
    pub(super) values: Vec<Value>,
    pub(super) parameters: Vec<Self>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Known(&'static Definition),
    /// A message or a parameter with a length (TLV) whose number is not in the table.
    Unknown(u16),
    /// From a parameter without a length (TV) whose number is not in the table, to the end of what
    /// is around it: where it ends, nobody can tell.
    Unparsed,
}

impl Element {
    pub(super) fn raw(tag: Tag, bytes: &[u8]) -> Self {
        Self {
            tag,
            values: vec![bytes.into()],
            parameters: Vec::new(),
        }
    }

    /// The standard's name; `Unknown` and `Unparsed` for what the table does not have.
    pub fn name(&self) -> &'static str {
        match self.tag {
            Tag::Known(definition) => definition.name,
            Tag::Unknown(_) => "Unknown",
            Tag::Unparsed => "Unparsed",
        }
    }

    /// What the table says about this element; None where it does not have it.
    pub fn definition(&self) -> Option<&'static Definition> {
        match self.tag {
            Tag::Known(definition) => Some(definition),
            Tag::Unknown(_) | Tag::Unparsed => None,
        }
    }

    /// The type and the bytes of a message or parameter that the table does not have.
    pub fn unknown(&self) -> Option<(u16, &[u8])> {
        match (self.tag, self.values.first()) {
            (Tag::Unknown(number), Some(Value::Bytes(bytes))) => Some((number, bytes)),
            _ => None,
        }
    }

    /// Bytes that begin with a parameter without a length that the table does not have.
    pub fn unparsed(&self) -> Option<&[u8]> {
        match (self.tag, self.values.first()) {
            (Tag::Unparsed, Some(Value::Bytes(bytes))) => Some(bytes),
            _ => None,
        }
    }

    /// Fields with their values in the wire's order, reserved bits left out.
    pub fn fields(&self) -> impl Iterator<Item = (&'static Field, &Value)> {
        let fields = self.definition().map_or(&[][..], |d| &d.fields);
        fields
            .iter()
            .zip(&self.values)
            .filter(|(field, _)| !field.name.is_empty())
    }

    /// A field's value by its name.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.values.get(self.definition()?.position(name)?)
    }

    /// A field that is a number which is not negative, a flag or an enumeration's value.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.as_u64()
    }

    /// The name of an enumeration's entry; None where the standard has no name for the value.
    pub fn entry(&self, name: &str) -> Option<&'static str> {
        let definition = self.definition()?;
        let enumeration = definition.fields[definition.position(name)?].enumeration?;
        enumeration.name_of(self.number(name)?)
    }

    /// All parameters in the wire's order.
    pub fn parameters(&self) -> &[Self] {
        &self.parameters
    }

    /// The first parameter of this name.
    pub fn param(&self, name: &str) -> Option<&Self> {
        self.parameters.iter().find(|p| p.name() == name)
    }

    /// The parameters of this name.
    pub fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.parameters.iter().filter(move |p| p.name() == name)
    }
}
