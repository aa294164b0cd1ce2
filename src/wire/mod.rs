//! Pure codecs: recording messages, events, frames of readers and scales. Bytes have one shape, told here; refusals name
//! what was found and what is allowed.

pub mod command;
pub mod delivery;
pub mod encode;
pub mod event;
pub mod framing;
pub mod hid_scale;
pub mod image;
pub mod jpeg;
pub mod llrp;
pub mod message;
pub mod money;
pub mod multipart;
mod record;
pub mod schema;
pub mod shape;
pub mod tag_report;
pub mod thingmagic;
pub mod topic;
pub mod uhfreader18;
