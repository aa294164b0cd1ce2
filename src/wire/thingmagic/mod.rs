//! The serial protocol of ThingMagic's UHF modules (M6e, M6e Micro, M6e Nano, M7e), as JADAK's
//! MercuryAPI (MIT licence) and SparkFun's library speak it. Pure: bytes in, values out.
//!
//! ```text
//! command   FF LEN OP        DATA[LEN] CRC CRC
//! response  FF LEN OP ST ST  DATA[LEN] CRC CRC      at most 255 bytes
//! ```
//!
//! Numbers are big-endian. After a start the module sends responses to a command that nobody gave
//! (`22`): a tag each, and once a cycle "no tag", by which it shows that it lives.

mod command;
mod fault;
mod frame;
mod region;
mod response;
mod tag;

pub use self::command::{Command, METADATA, PortPower};
pub use self::fault::Fault;
pub use self::frame::{Frame, ResponseFraming, crc};
pub use self::region::Region;
pub use self::response::{Malformed, Model, Response, StatusReport, Version};
pub use self::tag::Tag;

/// The operations' codes (`TMR_SR_OpCode`).
pub mod opcode {
    pub const VERSION: u8 = 0x03;
    pub const BOOT_FIRMWARE: u8 = 0x04;
    pub const SET_BAUD: u8 = 0x06;
    pub const CURRENT_PROGRAM: u8 = 0x0C;
    pub const READ_MULTIPLE: u8 = 0x22;
    pub const MULTI_PROTOCOL: u8 = 0x2F;
    pub const GET_READ_POWER: u8 = 0x62;
    pub const GET_REGION: u8 = 0x67;
    pub const AVAILABLE_REGIONS: u8 = 0x71;
    pub const GET_TEMPERATURE: u8 = 0x72;
    pub const SET_ANTENNA: u8 = 0x91;
    pub const SET_READ_POWER: u8 = 0x92;
    pub const SET_PROTOCOL: u8 = 0x93;
    pub const SET_REGION: u8 = 0x97;
    pub const SET_OPTION: u8 = 0x9A;
}

#[cfg(test)]
mod tests;
