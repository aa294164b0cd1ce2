//! What the module answers, and what it says by itself.

use core::fmt;

use super::frame::Frame;
use super::{Fault, Region, Tag, opcode};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    Version(Version),
    /// Whether the boot loader runs and not the firmware.
    Program {
        boot_loader: bool,
    },
    Region(Region),
    AvailableRegions(&'a [u8]),
    /// Hundredths of dBm.
    Power {
        set: i16,
        max: i16,
        min: i16,
    },
    /// Degrees Celsius.
    Temperature(i8),
    Tag(Tag<'a>),
    /// A cycle has ended and the next begins.
    KeepAlive,
    Status(StatusReport),
    Started,
    Stopped,
    /// The stream has ended.
    Ended,
    /// Done, and nothing else told.
    Done {
        opcode: u8,
    },
    Fault {
        opcode: u8,
        fault: Fault,
    },
}

/// What a module tells between tags, where it was asked to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusReport {
    pub temperature_c: Option<i8>,
    pub frequency_khz: Option<u32>,
    pub port: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    pub hardware: [u8; 4],
    /// Year, month and day in binary-coded decimals.
    pub firmware_date: [u8; 4],
    pub firmware: [u8; 4],
}

/// Which module it is, by the first byte of its hardware's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    M6e,
    M6eI,
    M6eMicro,
    M6eNano,
    M7e,
    Unknown(u8),
}

/// Bytes with a right checksum that are nothing that is known; says what was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

impl<'a> Response<'a> {
    pub fn parse(frame: Frame<'a>) -> Result<Self, Malformed> {
        if frame.opcode == opcode::READ_MULTIPLE {
            return Self::stream(frame);
        }
        if frame.status != 0 {
            let fault = Fault(frame.status);
            let opcode = frame.opcode;
            return Ok(Self::Fault { opcode, fault });
        }
        let mut bytes = Reader::new(frame.data);
        Ok(match frame.opcode {
            opcode::VERSION | opcode::BOOT_FIRMWARE => Self::Version(Version::parse(&mut bytes)?),
            opcode::CURRENT_PROGRAM => Self::Program {
                boot_loader: bytes.u8()? & 3 == 1,
            },
            opcode::GET_REGION => Self::Region(Region::from_code(bytes.last()?)),
            opcode::AVAILABLE_REGIONS => Self::AvailableRegions(frame.data),
            opcode::GET_READ_POWER => {
                bytes.u8()?;
                let (set, max, min) = (bytes.i16()?, bytes.i16()?, bytes.i16()?);
                Self::Power { set, max, min }
            }
            opcode::GET_TEMPERATURE => Self::Temperature(bytes.i8()?),
            opcode::MULTI_PROTOCOL => match bytes.u8()? {
                2 => Self::Stopped,
                _ => Self::Started,
            },
            opcode => Self::Done { opcode },
        })
    }

    /// What comes by itself once a read goes on.
    fn stream(frame: Frame<'a>) -> Result<Self, Malformed> {
        let fault = Fault(frame.status);
        let opcode = frame.opcode;
        match frame.status {
            0 if frame.data.is_empty() => return Ok(Self::KeepAlive),
            0 => {}
            _ if fault == Fault::NO_TAGS => return Ok(Self::KeepAlive),
            _ => return Ok(Self::Fault { opcode, fault }),
        }
        let mut bytes = Reader::new(frame.data);
        let has_metadata = bytes.u8()? & 0x10 != 0;
        let search_flags = bytes.u16()?;
        let metadata = if has_metadata { bytes.u16()? } else { 0 };
        match bytes.u8()? {
            0 => Ok(Self::Ended),
            1 => Tag::parse(metadata, &mut bytes).map(Self::Tag),
            2 => StatusReport::parse(search_flags, &mut bytes).map(Self::Status),
            _ => Err(Malformed("a stream's message of an unknown kind")),
        }
    }
}

impl Version {
    fn parse(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let _boot_loader = bytes.four()?;
        Ok(Self {
            hardware: bytes.four()?,
            firmware_date: bytes.four()?,
            firmware: bytes.four()?,
        })
    }

    pub fn model(&self) -> Model {
        match self.hardware[0] {
            0x18 => Model::M6e,
            0x19 => Model::M6eI,
            0x20 => Model::M6eMicro,
            0x30 => Model::M6eNano,
            0x38 => Model::M7e,
            other => Model::Unknown(other),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.firmware;
        let model = self.model();
        write!(f, "{model}, firmware {a:02x}.{b:02x}.{c:02x}.{d:02x}")
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::M6e => f.write_str("M6e"),
            Self::M6eI => f.write_str("M6e-i"),
            Self::M6eMicro => f.write_str("M6e Micro"),
            Self::M6eNano => f.write_str("M6e Nano"),
            Self::M7e => f.write_str("M7e"),
            Self::Unknown(number) => write!(f, "a module of hardware {number:02x}"),
        }
    }
}

/// The flag by which a start asks for reports in the older form (`STATUS_REPORT_STREAMING`).
const OLDER_REPORTS: u16 = 0x0020;

impl StatusReport {
    fn parse(search_flags: u16, bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        if search_flags & OLDER_REPORTS != 0 {
            Self::older(bytes)
        } else {
            Self::newer(bytes)
        }
    }

    /// Parts by flags (`TMR_SR_StatusType`).
    fn older(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let flags = bytes.u16()?;
        let mut report = Self::default();
        if flags & 0x02 != 0 {
            report.frequency_khz = Some(bytes.u24()?);
        }
        if flags & 0x04 != 0 {
            report.temperature_c = Some(bytes.i8()?);
        }
        if flags & 0x08 != 0 {
            report.port = Some(bytes.u8()?);
            bytes.u8()?;
        }
        Ok(report)
    }

    /// Which parts, then each as a number, a length and a value; numbers from 80 on take two bytes
    /// (`TMR_Reader_StatsFlag`).
    fn newer(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        const TEMPERATURE: u16 = 1 << 8;
        bytes.extensible()?;
        let mut report = Self::default();
        while !bytes.rest().is_empty() {
            let part = bytes.extensible()?;
            let length = bytes.u8()?;
            let value = bytes.take(usize::from(length))?;
            if let (TEMPERATURE, [celsius]) = (part, value) {
                report.temperature_c = Some(i8::from_be_bytes([*celsius]));
            }
        }
        Ok(report)
    }
}

/// Bytes read one after another; running out is the only error.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(Malformed("too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed("too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn i8(&mut self) -> Result<i8, Malformed> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn u24(&mut self) -> Result<u32, Malformed> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn four(&mut self) -> Result<[u8; 4], Malformed> {
        self.array()
    }

    /// Seven bits a byte, the highest first, the eighth where more follow; two bytes at most here.
    fn extensible(&mut self) -> Result<u16, Malformed> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u16::from(first));
        }
        let second = self.u8()?;
        Ok((u16::from(first & 0x7F) << 7) | u16::from(second & 0x7F))
    }

    fn last(&self) -> Result<u8, Malformed> {
        self.0.last().copied().ok_or(Malformed("too short"))
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}
