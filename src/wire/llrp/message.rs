//! A whole message: header and body.

use super::decode::{self, DecodeError, Reason};
use super::element::{Element, Tag};
use super::encode::{self, TooLong};
use super::frame::{HEADER, Header};
use super::schema::{CUSTOM, Kind};
use super::value::Value;

/// The version in a message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V1_0_1 = 1,
    V1_1 = 2,
}

impl Version {
    /// None for versions that this codec does not know.
    pub fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::V1_0_1),
            2 => Some(Self::V1_1),
            _ => None,
        }
    }
}

/// A message as a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub version: Version,
    /// A response has the id of its request.
    pub id: u32,
    pub body: Element,
}

impl Message {
    /// Reads one whole message, as [`Framer`](super::Framer) gives it.
    ///
    /// # Errors
    ///
    /// What is wrong, in which element and at which byte; see [`decode`](super::decode) for what is
    /// forgiven.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let header = Header::read(bytes).map_err(|e| DecodeError::new(0, Reason::Header(e)))?;
        let announced = header.length;
        if usize::try_from(announced) != Ok(bytes.len()) {
            let found = bytes.len();
            let reason = Reason::MessageLength { announced, found };
            return Err(DecodeError::new(2, reason));
        }
        Ok(Self {
            version: header.version,
            id: header.id,
            body: decode::message(header.number, &bytes[HEADER..], HEADER)?,
        })
    }

    /// The message's bytes.
    ///
    /// # Errors
    ///
    /// Only of drafts: what was decoded fits.
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        let mut out = Vec::new();
        self.encode_into(&mut out)?;
        Ok(out)
    }

    /// Appends the message's bytes; on an error `out` is as it was.
    ///
    /// # Errors
    ///
    /// As [`Self::encode`].
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let start = out.len();
        let word = (self.version as u16) << 10 | self.number();
        out.extend(word.to_be_bytes());
        out.extend([0; 4]);
        out.extend(self.id.to_be_bytes());
        let done = encode::body(&self.body, out).and_then(|()| self.finish(start, out));
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    fn finish(&self, start: usize, out: &mut [u8]) -> Result<(), TooLong> {
        let bytes = out.len() - start;
        let Ok(length) = u32::try_from(bytes) else {
            return Err(TooLong {
                element: self.name(),
                bytes,
                limit: u32::MAX,
            });
        };
        out[start + 2..start + 6].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// The 10-bit type.
    pub fn number(&self) -> u16 {
        match self.body.tag {
            Tag::Unknown(number) => number,
            Tag::Known(definition) => match definition.kind {
                Kind::Message(number) | Kind::Parameter(number) => number,
                Kind::CustomMessage(..) | Kind::CustomParameter(..) => CUSTOM,
            },
            Tag::Unparsed => 0,
        }
    }

    /// The standard's name, as `RO_ACCESS_REPORT`; `Unknown` for types that it does not have.
    pub fn name(&self) -> &'static str {
        self.body.name()
    }

    /// The first parameter of this name.
    pub fn param(&self, name: &str) -> Option<&Element> {
        self.body.param(name)
    }

    /// The parameters of this name, in the wire's order.
    pub fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.body.params(name)
    }

    /// A field of the message itself.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.body.field(name)
    }
}
