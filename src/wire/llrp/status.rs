//! What a reader answers: LLRPStatus (LLRP 1.0.1 clause 14.2.2), in words.

use std::fmt;

use super::element::Element;
use super::message::Message;
use super::schema::Definition;

/// The status in a response or an ERROR_MESSAGE. Its text is for a technician.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'a>(&'a Element);

impl Message {
    /// The status that the message carries; None where it has none.
    pub fn status(&self) -> Option<Status<'_>> {
        self.param("LLRPStatus").map(Status)
    }
}

impl<'a> Status<'a> {
    /// 0 is success, 1xx is about the message, 2xx a parameter, 3xx a field, 401 the device.
    pub fn code(&self) -> u64 {
        self.0.number("StatusCode").unwrap_or(0)
    }

    pub fn is_success(&self) -> bool {
        self.code() == 0
    }

    /// What the reader says in its own words; often nothing.
    pub fn description(&self) -> &'a str {
        let field = self.0.field("ErrorDescription");
        field.and_then(|text| text.as_str()).unwrap_or("")
    }
}

/// `M_ParameterError (100), "…", in ROSpec, field 2: A_OutOfRange (301)`
impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        code(self.0, "StatusCode", f)?;
        if !self.description().is_empty() {
            write!(f, ", {:?}", self.description())?;
        }
        details(self.0, f)
    }
}

fn code(element: &Element, field: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = element.entry(field).unwrap_or("unknown status");
    write!(f, "{name} ({})", element.number(field).unwrap_or(0))
}

/// Which field and which parameter, inwards.
fn details(element: &Element, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for error in element.params("FieldError") {
        write!(f, ", field {}: ", error.number("FieldNum").unwrap_or(0))?;
        code(error, "ErrorCode", f)?;
    }
    for error in element.params("ParameterError") {
        let number = error.number("ParameterType").unwrap_or(0);
        let known = u16::try_from(number).ok().and_then(Definition::parameter);
        match known {
            Some(definition) => write!(f, ", in {}: ", definition.name)?,
            None => write!(f, ", in parameter type {number}: ")?,
        }
        code(error, "ErrorCode", f)?;
        details(error, f)?;
    }
    Ok(())
}
