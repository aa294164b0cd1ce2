//! One tag as a continuous read tells it.

use super::command::GEN2;
use super::response::{Malformed, Reader};

/// What was told of the read; what the response's own flags do not name is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tag<'a> {
    /// 1 to 62 bytes.
    pub epc: &'a [u8],
    /// The tag's protocol control word.
    pub pc: u16,
    pub count: Option<u8>,
    pub rssi_dbm: Option<i8>,
    /// The port that sent, from 1 to 16.
    pub port: Option<u8>,
    pub frequency_khz: Option<u32>,
    /// Milliseconds since the cycle began, which is when the module last said that it lives.
    pub in_cycle_ms: Option<u32>,
    /// Degrees, 0 to 180: the module cannot tell a phase from its opposite.
    pub phase_deg: Option<u16>,
    /// What an operation on the tag gave; none is asked for here.
    pub data: &'a [u8],
}

/// `TMR_TRD_MetadataFlag`, in the order in which the parts stand.
mod flag {
    pub(super) const COUNT: u16 = 0x0001;
    pub(super) const RSSI: u16 = 0x0002;
    pub(super) const ANTENNA: u16 = 0x0004;
    pub(super) const FREQUENCY: u16 = 0x0008;
    pub(super) const TIME: u16 = 0x0010;
    pub(super) const PHASE: u16 = 0x0020;
    pub(super) const PROTOCOL: u16 = 0x0040;
    pub(super) const DATA: u16 = 0x0080;
    pub(super) const GPIO: u16 = 0x0100;
    pub(super) const GEN2_Q: u16 = 0x0200;
    pub(super) const GEN2_LINK_FREQUENCY: u16 = 0x0400;
    pub(super) const GEN2_TARGET: u16 = 0x0800;
    pub(super) const BRAND: u16 = 0x1000;
    pub(super) const KNOWN: u16 = 0x1FFF;
}

/// In the protocol control word: a first word of extended control follows (Gen2, 6.3.2.1.2.2).
const HAS_XPC_W1: u16 = 0x0200;
/// In that word: a second follows.
const HAS_XPC_W2: u16 = 0x8000;
const EPC_MAX: usize = 62;

impl<'a> Tag<'a> {
    /// Parses metadata by its flags, then the tag.
    pub(super) fn parse(flags: u16, bytes: &mut Reader<'a>) -> Result<Self, Malformed> {
        if flags & !flag::KNOWN != 0 {
            return Err(Malformed("metadata of an unknown kind"));
        }
        let mut tag = Self::default();
        let has = |flag| flags & flag != 0;
        if has(flag::COUNT) {
            tag.count = Some(bytes.u8()?);
        }
        if has(flag::RSSI) {
            tag.rssi_dbm = Some(bytes.i8()?);
        }
        if has(flag::ANTENNA) {
            tag.port = Some(port(bytes.u8()?));
        }
        if has(flag::FREQUENCY) {
            tag.frequency_khz = Some(bytes.u24()?);
        }
        if has(flag::TIME) {
            tag.in_cycle_ms = Some(bytes.u32()?);
        }
        if has(flag::PHASE) {
            tag.phase_deg = Some(bytes.u16()?);
        }
        let protocol = if has(flag::PROTOCOL) {
            bytes.u8()?
        } else {
            GEN2
        };
        if protocol != GEN2 {
            return Err(Malformed("a tag that is not of class 1 generation 2"));
        }
        if has(flag::DATA) {
            let bits = bytes.u16()?;
            tag.data = bytes.take(usize::from(bits).div_ceil(8))?;
        }
        let singles = [
            flag::GPIO,
            flag::GEN2_Q,
            flag::GEN2_LINK_FREQUENCY,
            flag::GEN2_TARGET,
        ];
        for _ in singles.into_iter().filter(|flag| has(*flag)) {
            bytes.u8()?;
        }
        if has(flag::BRAND) {
            bytes.u16()?;
        }
        tag.identity(bytes)?;
        Ok(tag)
    }

    /// Length in bits of everything, control words, EPC, the tag's own checksum.
    fn identity(&mut self, bytes: &mut Reader<'a>) -> Result<(), Malformed> {
        let bits = bytes.u16()?;
        let mut identity = Reader::new(bytes.take(usize::from(bits).div_ceil(8))?);
        self.pc = identity.u16()?;
        if self.pc & HAS_XPC_W1 != 0 && identity.u16()? & HAS_XPC_W2 != 0 {
            identity.u16()?;
        }
        self.epc = match identity.rest() {
            [epc @ .., _, _] if !epc.is_empty() && epc.len() <= EPC_MAX => epc,
            _ => return Err(Malformed("an EPC of no or of too many bytes")),
        };
        Ok(())
    }
}

/// The upper half tells the port that sent; 16 does not fit and wraps to 0.
fn port(antenna: u8) -> u8 {
    match antenna >> 4 {
        0 => 16,
        port => port,
    }
}
