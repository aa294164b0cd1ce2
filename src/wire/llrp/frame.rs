//! Messages out of a byte stream (LLRP 1.0.1 clause 16.1): a header of ten bytes tells version, type,
//! length and id.
//!
//! What is not read yet costs no memory: a length that a peer only announces reserves nothing, and
//! one beyond the limit is refused at once. After a refusal the stream is out of step, and the
//! connection is best closed; a file is gone on with by [`Framer::skip_refused`].

use std::fmt;

use super::message::Version;
use super::schema::Definition;

/// The length of a message's header.
pub const HEADER: usize = 10;

/// Larger than any message of a well reader; a report of 70,000 tags fits.
pub const USUAL_LIMIT: u32 = 8 << 20;

/// A message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub version: Version,
    /// The 10-bit type.
    pub number: u16,
    /// Of the whole message in bytes, this header included.
    pub length: u32,
    pub id: u32,
}

/// Why bytes are no head of an LLRP message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("this is no LLRP but {what}: {seen}; is it the right port? (LLRP has 5084)")]
    Foreign { what: &'static str, seen: Seen },
    #[error(
        "LLRP version {version} in {}; known are 1 (LLRP 1.0.1) and 2 (1.1)", message(*.number)
    )]
    Version {
        version: u8,
        number: u16,
        length: u32,
    },
    #[error("{} says it is {length} bytes long; its header alone has 10", message(*.number))]
    TooShort { number: u16, length: u32 },
    #[error("{} says it is {length} bytes long; the limit is {limit}", message(*.number))]
    TooLong {
        number: u16,
        length: u32,
        limit: u32,
    },
    #[error("{0} byte(s), too few for a message's header of 10")]
    Cut(usize),
}

pub(super) fn message(number: u16) -> String {
    match Definition::message(number) {
        Some(definition) => format!("{} (message type {number})", definition.name),
        None => format!("a message of type {number}"),
    }
}

/// The first bytes of what was seen, as text where they are printable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    bytes: [u8; 16],
    length: usize,
}

impl Seen {
    fn new(bytes: &[u8]) -> Self {
        let length = bytes.len().min(16);
        let mut seen = [0; 16];
        seen[..length].copy_from_slice(&bytes[..length]);
        Self {
            bytes: seen,
            length,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = &self.bytes[..self.length];
        if is_text(bytes) {
            return write!(f, "`{}`", bytes.escape_ascii());
        }
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Header {
    /// Reads the header at the beginning of a message, however much of the rest is there.
    ///
    /// # Errors
    ///
    /// See [`FrameError`]; a limit on the length is the [`Framer`]'s.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        foreign(bytes)?;
        let Some([h0, h1, l0, l1, l2, l3, i0, i1, i2, i3]) = bytes.first_chunk::<HEADER>() else {
            return Err(FrameError::Cut(bytes.len()));
        };
        let word = u16::from_be_bytes([*h0, *h1]);
        let number = word & 0x3FF;
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
        let version = (word >> 10) as u8 & 7;
        let Some(known) = Version::of(version) else {
            return Err(FrameError::Version {
                version,
                number,
                length,
            });
        };
        if length < 10 {
            return Err(FrameError::TooShort { number, length });
        }
        Ok(Self {
            version: known,
            number,
            length,
            id: u32::from_be_bytes([*i0, *i1, *i2, *i3]),
        })
    }
}

/// Whether bytes look like the beginning of messages back to back: a header of a known type, or one
/// whose length leads to such a header.
pub fn looks_like_messages(bytes: &[u8]) -> bool {
    let known = |bytes: &[u8]| match Header::read(bytes) {
        Ok(Header { number, .. }) | Err(FrameError::TooShort { number, .. }) => {
            Definition::message(number).is_some()
        }
        Err(_) => false,
    };
    let after = || {
        let length = u32::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
        let length = usize::try_from(length).ok().filter(|n| *n >= HEADER)?;
        bytes.get(length..)
    };
    known(bytes) || after().is_some_and(known)
}

/// The three reserved bits are set in no LLRP, and in all printable text; a TLS record would be
/// version 5.
fn foreign(bytes: &[u8]) -> Result<(), FrameError> {
    let what = match bytes {
        [] => return Ok(()),
        [b'S', b'S', b'H', b'-', ..] => "SSH",
        [0x14..=0x17] | [0x14..=0x17, 3, ..] => "TLS (LLRP over TLS has port 5085)",
        [first, ..] if first >> 5 == 0 => return Ok(()),
        _ if is_http(bytes) => "HTTP",
        _ if is_text(bytes) => "text",
        _ => "something else",
    };
    let seen = Seen::new(bytes);
    Err(FrameError::Foreign { what, seen })
}

fn is_http(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 5] = [b"HTTP/", b"GET ", b"POST ", b"HEAD ", b"PUT "];
    starts.iter().any(|start| bytes.starts_with(start))
}

fn is_text(bytes: &[u8]) -> bool {
    let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    bytes.iter().take(16).all(printable)
}

/// Splits a stream of bytes into messages, wherever it is cut.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are done with.
    done: usize,
    /// Bytes to come that belong to a refused message.
    skip: u64,
    /// Bytes of the stream before what waits in `buffer`.
    offset: u64,
    limit: u32,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(USUAL_LIMIT)
    }
}

impl Framer {
    /// `limit` is the longest message in bytes that is taken.
    pub fn new(limit: u32) -> Self {
        Self {
            buffer: Vec::new(),
            done: 0,
            skip: 0,
            offset: 0,
            limit,
        }
    }

    /// Takes bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        let skipped = usize::try_from(self.skip).map_or(bytes.len(), |n| n.min(bytes.len()));
        self.skip -= skipped as u64;
        self.offset += skipped as u64;
        bytes = &bytes[skipped..];
        // What was done with goes once it is the larger part, so that each byte moves about once.
        if self.done > self.buffer.len() / 2 {
            self.buffer.drain(..self.done);
            self.done = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > 1 << 20 {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; None until more bytes come.
    ///
    /// # Errors
    ///
    /// What is wrong with the next message's header, again and again: the stream is out of step.
    pub fn pop(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let waiting = &self.buffer[self.done..];
        let header = match Header::read(waiting) {
            Ok(header) => header,
            Err(FrameError::Cut(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Header { number, length, .. } = header;
        let limit = self.limit;
        if length > limit {
            return Err(FrameError::TooLong {
                number,
                length,
                limit,
            });
        }
        let length = length as usize;
        let Some(message) = waiting.get(..length) else {
            return Ok(None);
        };
        self.done += length;
        self.offset += length as u64;
        Ok(Some(message))
    }

    /// Where in the stream the next message begins, or the one that was refused.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that wait for the rest of their message.
    pub fn waiting(&self) -> &[u8] {
        &self.buffer[self.done..]
    }

    /// Goes on after a refused message by the length that it announced; false where that cannot be
    /// trusted, and nothing is done.
    pub fn skip_refused(&mut self, refused: &FrameError) -> bool {
        let (FrameError::Version { length, .. } | FrameError::TooLong { length, .. }) = *refused
        else {
            return false;
        };
        if length < 10 {
            return false;
        }
        let here = (length as usize).min(self.waiting().len());
        self.done += here;
        self.offset += here as u64;
        self.skip = u64::from(length) - here as u64;
        true
    }

    /// Bytes of a refused message that have not come yet.
    pub fn left_to_skip(&self) -> u64 {
        self.skip
    }
}
