//! GS1 numbers: GTINs with their check digit, and the EPC binary encodings of tags.
//!
//! Sources: GS1 General Specifications (check digit, 7.9; characters, 7.11), EPC Tag Data
//! Standard 2.0.

pub mod epc;
pub mod gtin;
pub mod scheme;
pub mod sgtin;

pub use epc::{Epc, EpcError};
pub use gtin::{Gtin, GtinError};
pub use scheme::Scheme;
pub use sgtin::{Sgtin, SgtinError};
