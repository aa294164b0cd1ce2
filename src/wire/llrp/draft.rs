//! Elements made by the standard's names, and checked against the table:
//!
//! ```
//! use basketd::wire::llrp::{Draft, Version};
//!
//! let spec = Draft::new("KeepaliveSpec")
//!     .set("KeepaliveTriggerType", "Periodic")
//!     .set("PeriodicTriggerValue", 10_000_u32);
//! let request = Draft::new("SET_READER_CONFIG")
//!     .set("ResetToFactoryDefault", false)
//!     .with(spec);
//! let bytes = request.encode(Version::V1_0_1, 7)?;
//! assert_eq!(bytes.len(), 20);
//! # Ok::<(), basketd::wire::llrp::DraftError>(())
//! ```
//!
//! Nothing has a default: a field that is not set is an error. Parameters may be given in any
//! order; they are put into the standard's.

use super::check;
use super::decode::MAX_DEPTH;
use super::element::{Element, Tag};
use super::encode::TooLong;
use super::message::{Message, Version};
use super::schema::{Definition, Field, Shape};
use super::value::Value;

/// A message or parameter in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    name: String,
    fields: Vec<(String, Value)>,
    parameters: Vec<Self>,
}

/// What is wrong with a draft; names are those of the standard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    #[error("LLRP has no message or parameter {0}")]
    UnknownElement(String),
    #[error("{element} has no field {field}; it has {has}")]
    UnknownField {
        element: &'static str,
        field: String,
        has: String,
    },
    #[error("{element}: field {field} is not set")]
    MissingField {
        element: &'static str,
        field: &'static str,
    },
    #[error("{element}: field {field} is set twice")]
    SetTwice {
        element: &'static str,
        field: &'static str,
    },
    #[error("{element}: field {field} cannot be {value}; it is {wants}")]
    Refused {
        element: &'static str,
        field: &'static str,
        value: String,
        wants: String,
    },
    #[error("{0}")]
    Parameters(check::Problem),
    #[error("{0} is a parameter and no message")]
    NoMessage(&'static str),
    #[error("parameters are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl Draft {
    /// `name` is the standard's, as `ROSpec` or `ADD_ROSPEC`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            fields: Vec::new(),
            parameters: Vec::new(),
        }
    }

    /// Sets a field: a number, a flag, an enumeration's entry by name or number, text, bytes,
    /// words, or a [`BitArray`](super::BitArray).
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((field.into(), value.into()));
        self
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, parameter: Self) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Adds parameters, also none: an `Option` will do.
    #[must_use]
    pub fn with_all(mut self, parameters: impl IntoIterator<Item = Self>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// The element.
    ///
    /// # Errors
    ///
    /// Unknown names, fields that are missing or refused, parameters that the standard does not
    /// have here, or has not so often.
    pub fn element(&self) -> Result<Element, DraftError> {
        self.element_at(0)
    }

    /// The message with its header.
    ///
    /// # Errors
    ///
    /// As [`Self::element`].
    pub fn message(&self, version: Version, id: u32) -> Result<Message, DraftError> {
        let body = self.element()?;
        match body.definition() {
            Some(definition) if definition.is_message() => Ok(Message { version, id, body }),
            _ => Err(DraftError::NoMessage(body.name())),
        }
    }

    /// The message's bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::element`], and where a length does not hold what is in it.
    pub fn encode(&self, version: Version, id: u32) -> Result<Vec<u8>, DraftError> {
        Ok(self.message(version, id)?.encode()?)
    }

    fn element_at(&self, depth: usize) -> Result<Element, DraftError> {
        let unknown = || DraftError::UnknownElement(self.name.clone());
        let definition = Definition::find(&self.name).ok_or_else(unknown)?;
        if depth > MAX_DEPTH {
            return Err(DraftError::TooDeep);
        }
        let values = self.values(definition)?;
        let parameters = self.parameters.iter().map(|p| p.element_at(depth + 1));
        let mut parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        let slot = |p: &Element| p.definition().and_then(|d| definition.slot_of(d));
        parameters.sort_by_key(slot);
        if let Some(problem) = check::parameters(definition, &parameters).next() {
            return Err(DraftError::Parameters(problem));
        }
        Ok(Element {
            tag: Tag::Known(definition),
            values,
            parameters,
        })
    }

    fn values(&self, definition: &'static Definition) -> Result<Vec<Value>, DraftError> {
        let element = definition.name;
        for (name, _) in &self.fields {
            if definition.position(name).is_none() {
                let has = definition.fields.iter().map(|f| f.name);
                let has: Vec<_> = has.filter(|n| !n.is_empty()).collect();
                return Err(DraftError::UnknownField {
                    element,
                    field: name.clone(),
                    has: has.join(", "),
                });
            }
        }
        let fields = definition.fields.iter();
        fields.map(|field| self.value(element, field)).collect()
    }

    fn value(&self, element: &'static str, field: &'static Field) -> Result<Value, DraftError> {
        if field.name.is_empty() {
            return Ok(Value::Unsigned(0));
        }
        let name = field.name;
        let mut given = self.fields.iter().filter(|(n, _)| n == name);
        let (value, twice) = (given.next(), given.next());
        if twice.is_some() {
            let field = name;
            return Err(DraftError::SetTwice { element, field });
        }
        let Some((_, value)) = value else {
            let field = name;
            return Err(DraftError::MissingField { element, field });
        };
        fit(field, value).ok_or_else(|| DraftError::Refused {
            element,
            field: name,
            value: told(value),
            wants: wants(field),
        })
    }
}

/// The value in the field's own form; None where it does not fit.
fn fit(field: &Field, value: &Value) -> Option<Value> {
    let countable = |n: usize| n <= usize::from(u16::MAX);
    let by_name = |name: &str| field.enumeration?.value_of(name).map(Value::Unsigned);
    match (field.shape, value) {
        (Shape::Bits(_) | Shape::Unsigned(_), Value::Text(name)) => by_name(name),
        (Shape::Bits(bits), _) => unsigned(value, bits.into()),
        (Shape::Unsigned(bytes), _) => unsigned(value, u32::from(bytes) * 8),
        (Shape::Signed(bytes), _) => signed(value, u32::from(bytes) * 8),
        (Shape::Fixed(length), Value::Bytes(bytes)) => {
            (bytes.len() == usize::from(length)).then(|| value.clone())
        }
        (Shape::BitArray, Value::Bits(_)) | (Shape::Rest, Value::Bytes(_)) => Some(value.clone()),
        (Shape::Text, Value::Text(text)) => countable(text.len()).then(|| value.clone()),
        (Shape::Array(1), Value::Bytes(b)) => countable(b.len()).then(|| value.clone()),
        (Shape::Array(2) | Shape::Words, Value::Words(words)) => {
            countable(words.len()).then(|| value.clone())
        }
        (Shape::Array(4), Value::DoubleWords(n)) => countable(n.len()).then(|| value.clone()),
        _ => None,
    }
}

fn unsigned(value: &Value, bits: u32) -> Option<Value> {
    let number = value.as_u64()?;
    (number.checked_shr(bits).unwrap_or(0) == 0).then_some(Value::Unsigned(number))
}

fn signed(value: &Value, bits: u32) -> Option<Value> {
    let number = value.as_i64()?;
    let unused = 64 - bits;
    (number << unused >> unused == number).then_some(Value::Signed(number))
}

fn told(value: &Value) -> String {
    match value {
        Value::Unsigned(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Bits(bits) => format!("{} bits", bits.count()),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Words(words) => format!("{} words", words.len()),
        Value::DoubleWords(numbers) => format!("{} 32-bit numbers", numbers.len()),
    }
}

fn wants(field: &Field) -> String {
    if let Some(enumeration) = field.enumeration {
        let names: Vec<_> = enumeration.names().collect();
        return format!("one of {}, or its number", names.join(", "));
    }
    match field.shape {
        Shape::Bits(bits) => format!("a number of {bits} bit(s)"),
        Shape::Unsigned(bytes) => format!("a number of {} bits", bytes * 8),
        Shape::Signed(bytes) => format!("a signed number of {} bits", bytes * 8),
        Shape::Fixed(length) => format!("{length} bytes"),
        Shape::BitArray => "an array of bits".to_owned(),
        Shape::Array(1) | Shape::Rest => "bytes".to_owned(),
        Shape::Array(4) => "32-bit numbers".to_owned(),
        Shape::Array(_) | Shape::Words => "16-bit words".to_owned(),
        Shape::Text => "text of at most 65,535 bytes".to_owned(),
    }
}
