//! What the module can be asked.

use super::Region;
use super::frame::{HEADER, crc};
use super::opcode;

/// Metadata that a start asks for with each tag (`TMR_TRD_MetadataFlag`): read count, RSSI, antenna,
/// frequency, time, phase, protocol.
pub const METADATA: u16 = 0x007F;

/// The antenna list that [`Command::SearchList`] has set, tags one by one as they are read, and
/// populations that do not fit the module's buffer (`TMR_SR_SearchFlag` 3, 8, 16).
const SEARCH_FLAGS: u16 = 3 | 8 | 16;
/// Milliseconds of a read cycle; at its end the module says that it lives.
const CYCLE_MS: u16 = 1000;
/// EPC class 1 generation 2 (`TMR_TAG_PROTOCOL_GEN2`).
pub(super) const GEN2: u8 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortPower {
    pub port: u8,
    /// Hundredths of dBm, for reading and for writing.
    pub power_cdbm: i16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    Version,
    /// Which program runs: the boot loader or the firmware.
    CurrentProgram,
    BootFirmware,
    /// Bits a second; the answer still comes at the old speed.
    SetBaud(u32),
    Region,
    AvailableRegions,
    SetRegion(Region),
    /// The read power with its limits.
    ReadPower,
    /// Hundredths of dBm, for all ports that have none of their own.
    SetReadPower(i16),
    /// Ports to read on, one after another: each sends and receives.
    SearchList(&'a [u8]),
    PortPowers(&'a [PortPower]),
    ProtocolGen2,
    /// An option by its key (`TMR_SR_Configuration`).
    SetOption {
        key: u8,
        value: u8,
    },
    Temperature,
    /// Reads until it is told to stop.
    Start,
    Stop,
}

impl Command<'_> {
    /// "Report a tag once only": off, a tag that stays must be heard again and again.
    pub const READ_FILTER: u8 = 0x0C;

    pub fn opcode(&self) -> u8 {
        match self {
            Self::Version => opcode::VERSION,
            Self::CurrentProgram => opcode::CURRENT_PROGRAM,
            Self::BootFirmware => opcode::BOOT_FIRMWARE,
            Self::SetBaud(_) => opcode::SET_BAUD,
            Self::Region => opcode::GET_REGION,
            Self::AvailableRegions => opcode::AVAILABLE_REGIONS,
            Self::SetRegion(_) => opcode::SET_REGION,
            Self::ReadPower => opcode::GET_READ_POWER,
            Self::SetReadPower(_) => opcode::SET_READ_POWER,
            Self::SearchList(_) | Self::PortPowers(_) => opcode::SET_ANTENNA,
            Self::ProtocolGen2 => opcode::SET_PROTOCOL,
            Self::SetOption { .. } => opcode::SET_OPTION,
            Self::Temperature => opcode::GET_TEMPERATURE,
            Self::Start | Self::Stop => opcode::MULTI_PROTOCOL,
        }
    }

    /// Appends the whole message. Lists go in as far as a message holds them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend([HEADER, 0, self.opcode()]);
        self.data(out);
        // 2 bytes of checksum must still fit.
        out.truncate(begin + 253);
        if let Some([_, len, body @ ..]) = out.get_mut(begin..) {
            *len = u8::try_from(body.len() - 1).unwrap_or(u8::MAX);
        }
        let crc = crc(out.get(begin + 1..).unwrap_or_default());
        out.extend(crc.to_be_bytes());
    }

    fn data(&self, out: &mut Vec<u8>) {
        match self {
            Self::Version
            | Self::CurrentProgram
            | Self::BootFirmware
            | Self::Region
            | Self::AvailableRegions
            | Self::Temperature => {}
            Self::SetBaud(baud) => out.extend(baud.to_be_bytes()),
            Self::SetRegion(region) => out.push(region.code()),
            Self::ReadPower => out.push(1),
            Self::SetReadPower(power) => out.extend(power.to_be_bytes()),
            Self::SearchList(ports) => {
                out.push(2);
                out.extend(ports.iter().flat_map(|port| [*port, *port]));
            }
            Self::PortPowers(powers) => {
                out.push(3);
                for PortPower { port, power_cdbm } in *powers {
                    out.push(*port);
                    out.extend(power_cdbm.to_be_bytes());
                    out.extend(power_cdbm.to_be_bytes());
                }
            }
            Self::ProtocolGen2 => out.extend([0, GEN2]),
            Self::SetOption { key, value } => out.extend([1, *key, *value]),
            Self::Start => start(out),
            Self::Stop => out.extend([0, 0, 2]),
        }
    }
}

/// A search without an end over one protocol, with the command for one cycle of it inside.
fn start(out: &mut Vec<u8>) {
    // No time limit; option 1: go on for ever; no flags of its own; the protocol.
    out.extend([0, 0, 1, opcode::READ_MULTIPLE, 0, 0, GEN2]);
    let [flags_high, flags_low] = SEARCH_FLAGS.to_be_bytes();
    let [cycle_high, cycle_low] = CYCLE_MS.to_be_bytes();
    let [metadata_high, metadata_low] = METADATA.to_be_bytes();
    // Option 10: with metadata.
    let command = [
        0x10,
        flags_high,
        flags_low,
        cycle_high,
        cycle_low,
        metadata_high,
        metadata_low,
    ];
    out.extend([command.len() as u8, opcode::READ_MULTIPLE]);
    out.extend(command);
}
