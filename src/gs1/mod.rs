//! GS1 numbers: GTINs with their check digit, and the EPC binary encodings of tags.
//!
//! Sources: GS1 General Specifications (check digit, 7.9), EPC Tag Data Standard 2.0 (14.6.1
//! SGTIN-96 and SGTIN-198).

pub mod epc;
pub mod gtin;

pub use epc::{Epc, EpcError, Sgtin};
pub use gtin::{Gtin, GtinError};
