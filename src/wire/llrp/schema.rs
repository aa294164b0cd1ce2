//! What the protocol has: messages, parameters, fields and enumerations, read once from the table
//! in `schema.txt`. Nothing else in this module knows a parameter by heart, except the hot path.

use std::collections::BTreeMap;
use std::sync::LazyLock;

mod table;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| table::read(include_str!("schema.txt")));

/// One message or parameter of the protocol.
#[derive(Debug)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Kind,
    /// The clause of LLRP 1.0.1, where the table notes one.
    pub clause: Option<&'static str>,
    /// On the wire in this order, reserved bits included.
    pub fields: Vec<Field>,
    /// Parameters after the fields, in the standard's order.
    pub slots: Vec<Slot>,
    /// Of a request: the message that answers it.
    pub response: Option<&'static str>,
}

/// How an element is told apart on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Message(u16),
    /// Below 128 without a length of its own (TV), else with one (TLV).
    Parameter(u16),
    /// A vendor's message (type 1023) by its IANA private enterprise number and subtype.
    CustomMessage(u32, u8),
    /// A vendor's parameter (type 1023).
    CustomParameter(u32, u32),
}

#[derive(Debug)]
pub struct Field {
    /// Empty for reserved bits.
    pub name: &'static str,
    pub shape: Shape,
    pub enumeration: Option<&'static Enumeration>,
}

/// The bytes of a field; numbers are big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Bits of a byte, the highest first; up to 64.
    Bits(u8),
    /// A whole number of 1, 2, 4 or 8 bytes.
    Unsigned(u8),
    Signed(u8),
    /// This many bytes without a count.
    Fixed(u8),
    /// After a count of bits.
    BitArray,
    /// After a count, numbers of 1, 2 or 4 bytes.
    Array(u8),
    /// After a count, words of a tag's memory.
    Words,
    /// After a count of bytes.
    Text,
    /// All bytes that are left.
    Rest,
}

#[derive(Debug)]
pub struct Enumeration {
    pub name: &'static str,
    entries: Vec<(u64, &'static str)>,
}

/// A place for parameters.
#[derive(Debug)]
pub struct Slot {
    /// Any of these.
    pub names: Vec<&'static str>,
    pub required: bool,
    pub repeats: bool,
}

/// All of the protocol that the table tells.
#[derive(Debug, Default)]
pub struct Schema {
    definitions: &'static [Definition],
    by_name: BTreeMap<&'static str, &'static Definition>,
    messages: BTreeMap<u16, &'static Definition>,
    parameters: Vec<Option<&'static Definition>>,
    custom_messages: BTreeMap<(u32, u8), &'static Definition>,
    custom_parameters: BTreeMap<(u32, u32), &'static Definition>,
}

/// The number of the Custom parameter and of CUSTOM_MESSAGE.
pub const CUSTOM: u16 = 1023;

impl Definition {
    pub fn find(name: &str) -> Option<&'static Self> {
        SCHEMA.by_name.get(name).copied()
    }

    /// By the 10-bit type of a message header.
    pub fn message(number: u16) -> Option<&'static Self> {
        SCHEMA.messages.get(&number).copied()
    }

    /// By the 7-bit (TV) or 10-bit (TLV) type of a parameter.
    pub fn parameter(number: u16) -> Option<&'static Self> {
        SCHEMA.parameters.get(usize::from(number)).copied()?
    }

    pub fn custom_message(vendor: u32, subtype: u8) -> Option<&'static Self> {
        SCHEMA.custom_messages.get(&(vendor, subtype)).copied()
    }

    pub fn custom_parameter(vendor: u32, subtype: u32) -> Option<&'static Self> {
        SCHEMA.custom_parameters.get(&(vendor, subtype)).copied()
    }

    /// Everything in the table, in its order.
    pub fn all() -> &'static [Self] {
        SCHEMA.definitions
    }

    pub fn is_message(&self) -> bool {
        matches!(self.kind, Kind::Message(_) | Kind::CustomMessage(..))
    }

    /// Whether the parameter stands without a length.
    pub fn is_tv(&self) -> bool {
        matches!(self.kind, Kind::Parameter(number) if number < 128)
    }

    /// The position of a field, reserved bits counted.
    pub fn position(&self, field: &str) -> Option<usize> {
        let named = |f: &Field| !f.name.is_empty() && f.name == field;
        self.fields.iter().position(named)
    }

    /// The slot in which this parameter may stand. A vendor's parameter may stand wherever a
    /// Custom may.
    pub fn slot_of(&self, parameter: &Self) -> Option<usize> {
        let by_name = |name: &str| self.slots.iter().position(|s| s.names.contains(&name));
        let custom = matches!(parameter.kind, Kind::CustomParameter(..));
        by_name(parameter.name).or_else(|| by_name("Custom").filter(|_| custom))
    }
}

/// Definitions exist once each.
impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Definition {}

impl Enumeration {
    pub fn name_of(&self, value: u64) -> Option<&'static str> {
        let entry = self.entries.iter().find(|(v, _)| *v == value);
        entry.map(|(_, name)| *name)
    }

    pub fn value_of(&self, name: &str) -> Option<u64> {
        let entry = self.entries.iter().find(|(_, n)| *n == name);
        entry.map(|(value, _)| *value)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests;
