//! The Low Level Reader Protocol, versions 1.0.1 and 1.1 (EPCglobal, now GS1), between a client and
//! an RFID reader on TCP port 5084. Pure: bytes in, values out, and back.
//!
//! | what | where |
//! | --- | --- |
//! | bytes of a stream to messages | [`Framer`] |
//! | a message to a tree and back, byte for byte | [`Message::decode`], [`Message::encode`] |
//! | reading a tree by the standard's names | `message.param("LLRPStatus")`, `.field(…)`, [`Message::status`] |
//! | making a message by name | [`Draft`], and [`commands`] for those that a client sends |
//! | the tags of a report, fast | [`tag_reports`]; [`Carry`] for readers that leave out what did not change |
//! | what is against the standard | [`check`] |
//!
//! One table, `schema.txt`, tells all that the protocol has; decoding, encoding, drafts and JSON are
//! the same few functions over it. Nothing here panics on any bytes, and no length that is only
//! announced reserves memory.

pub mod check;
pub mod commands;
pub mod decode;
mod draft;
mod element;
mod encode;
pub mod frame;
mod json;
mod message;
pub mod schema;
mod status;
mod tag_reports;
mod value;

pub use decode::DecodeError;
pub use draft::{Draft, DraftError};
pub use element::Element;
pub use encode::TooLong;
pub use frame::{FrameError, Framer, Header};
pub use message::{Message, Version};
pub use schema::Definition;
pub use status::Status;
pub use tag_reports::{
    Carry, Epc, ImpinjData, OpResult, OpResults, Operation, TagReportData, TagReports, Words,
    tag_reports,
};
pub use value::{BitArray, Value};
