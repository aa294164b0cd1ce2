//! Why the module refuses or stops (`tmr_status.h`).

use core::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(pub u16);

impl Fault {
    pub const NO_TAGS: Self = Self(0x0400);
    pub const NO_ANTENNA: Self = Self(0x0503);
    pub const TOO_HOT: Self = Self(0x0504);
    pub const HIGH_RETURN_LOSS: Self = Self(0x0505);
    pub const BUFFER_FULL: Self = Self(0x0601);

    /// The module itself has failed and does not go on.
    pub fn is_fatal(self) -> bool {
        self.0 >= 0x7F00
    }

    /// The operation or its value is not known to this module.
    pub fn is_unsupported(self) -> bool {
        matches!(self.0, 0x0100..=0x0102 | 0x0105 | 0x0109)
    }

    fn text(self) -> &'static str {
        match self.0 {
            0x0100 => "wrong number of data bytes",
            0x0101 => "unknown operation",
            0x0102 => "operation not implemented",
            0x0103 => "power too high",
            0x0104 => "frequency outside the region's",
            0x0105 => "a value that it does not take",
            0x0106 => "power too low",
            0x0109 => "feature not implemented",
            0x010A => "speed not implemented",
            0x0200 => "firmware damaged",
            0x0201 => "firmware's end damaged",
            0x0300..=0x03FF => "flash memory failed",
            0x0400 => "no tag found",
            0x0401 => "no tag protocol set",
            0x0402 => "tag protocol not known",
            0x0403..=0x04FF => "a tag did not do what it was asked",
            0x0500 => "frequency not allowed",
            0x0501 => "channel occupied",
            0x0502 => "transmitter already on",
            0x0503 => "no antenna",
            0x0504 => "too hot",
            0x0505 => "high return loss",
            0x0507 => "antennas wrongly configured",
            0x0509 => "supply voltage outside its limits",
            0x0601 => "buffer for tags full",
            0x0600..=0x06FF => "buffer for tags failed",
            0x7F00 => "unknown failure of the module",
            0x7F01 => "the module's firmware has failed",
            _ => "a fault without a known text",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (fault {:04x})", self.text(), self.0)
    }
}
