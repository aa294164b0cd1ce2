//! The serial protocol of UHFReader18 and UHFReader288 readers, sold as Chafon CF-RU and CF-MU and
//! under many names. Pure: bytes in, values out.
//!
//! ```text
//! command   LEN ADR CMD         DATA[LEN-4] CRC CRC
//! response  LEN ADR CMD STATUS  DATA[LEN-5] CRC CRC
//! ```
//!
//! `LEN` counts what follows it. The checksum is CRC-16/MCRF4XX, low byte first. Readers of the
//! family 288 tell antenna and strength of a tag, those of type 18 neither.

mod command;
mod frame;
mod response;

pub use self::command::{Band, Command, SCAN_STEP_MS};
pub use self::frame::{Frame, ResponseFraming, crc};
pub use self::response::{Family, Info, Inventory, Malformed, Status, Tag};

/// The commands' codes.
pub mod opcode {
    pub const INVENTORY: u8 = 0x01;
    pub const INFO: u8 = 0x21;
    pub const SET_BAND: u8 = 0x22;
    pub const SET_SCAN_TIME: u8 = 0x25;
    pub const SET_POWER: u8 = 0x2F;
    pub const SET_WORK_MODE: u8 = 0x76;
    /// A tag that a reader tells by itself, in its scan modes.
    pub const REPORT: u8 = 0xEE;
}

#[cfg(test)]
mod tests;
