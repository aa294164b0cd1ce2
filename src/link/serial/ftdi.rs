//! FTDI's bridges, from FT232B to FT232H (FTDI application note AN232B-05 for speeds).
//!
//! Each packet that they send begins with two bytes that tell the modem lines and errors.

use super::{BadBaud, Control};

/// Vendor request to the device.
const KIND: u8 = 0x40;
const RESET: u8 = 0;
const MODEM_LINES: u8 = 1;
const FLOW: u8 = 2;
const SPEED: u8 = 3;
const FORMAT: u8 = 4;
const LATENCY: u8 = 9;
const STATUS_BYTES: usize = 2;
/// Milliseconds that a chip waits for more before it sends what it has; it comes with 16.
const LATENCY_MS: u16 = 8;
const EIGHT_BITS: u16 = 8;

pub(super) fn opening(channel: u16) -> Vec<Control> {
    let say = |request, value| Control::new(KIND, request, value, channel);
    vec![
        say(RESET, 0),
        say(LATENCY, LATENCY_MS),
        say(FORMAT, EIGHT_BITS),
        say(FLOW, 0),
        say(MODEM_LINES, 0x0303),
        // What a chip has heard before counts for nothing.
        say(RESET, 1),
    ]
}

pub(super) fn closing(channel: u16) -> Vec<Control> {
    vec![Control::new(KIND, MODEM_LINES, 0x0300, channel)]
}

pub(super) fn speed(channel: u16, baud: u32) -> Result<Vec<Control>, BadBaud> {
    let value = divisor(baud).ok_or(BadBaud(baud))?;
    Ok(vec![Control::new(KIND, SPEED, value, channel)])
}

/// 3 MHz by a divisor in eighths, as the chips code it. Only halves, quarters and single eighths are
/// used: these all chips can, and all of them code alike. Speeds of readers come out within 0.2 %.
fn divisor(baud: u32) -> Option<u16> {
    /// 3 MHz in eighths.
    const CLOCK: u64 = 24_000_000;
    /// Eighths, and their code.
    const FRACTIONS: [(u64, u64); 4] = [(0, 0), (1, 3), (2, 2), (4, 1)];
    let baud = u64::from(baud).max(1);
    let wanted = CLOCK / baud / 8;
    let candidates = (wanted..=wanted + 1)
        .flat_map(|whole| FRACTIONS.map(|(eighths, code)| (whole * 8 + eighths, whole, code)));
    let off = |eighths: u64| (CLOCK * 1000 / eighths).abs_diff(baud * 1000);
    let (eighths, whole, code) = candidates
        .filter(|(_, whole, _)| (2..0x4000).contains(whole))
        .min_by_key(|(eighths, _, _)| off(*eighths))?;
    // A line bears 2 %.
    let close = off(eighths) <= baud * 20;
    close.then_some((whole | (code << 14)) as u16)
}

/// Copies what the line said, without each packet's status.
pub(super) fn line_bytes(read: &[u8], packet: usize, out: &mut [u8]) -> usize {
    let said = read
        .chunks(packet)
        .flat_map(|packet| packet.get(STATUS_BYTES..).unwrap_or_default());
    let mut count = 0;
    for (to, from) in out.iter_mut().zip(said) {
        *to = *from;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_are_those_of_the_application_note() {
        for (baud, expected) in [
            (300, 0x2710),
            (9600, 0x4138),
            (19_200, 0x809C),
            (38_400, 0xC04E),
            (57_600, 0xC034),
            (115_200, 0x001A),
            (230_400, 0x000D),
            (460_800, 0x4006),
            (921_600, 0x8003),
        ] {
            assert_eq!(
                divisor(baud),
                Some(expected),
                "{baud}: {:04x?}",
                divisor(baud)
            );
        }
        assert_eq!(divisor(0), None);
        assert_eq!(divisor(100), None);
        assert_eq!(divisor(4_000_000), None);
    }

    #[test]
    fn status_is_cut_from_each_packet() {
        let mut read: Vec<u8> = Vec::new();
        for packet in [&[7; 62][..], &[8; 62], &[9]] {
            read.extend([0x01, 0x60]);
            read.extend(packet);
        }
        let mut out = [0; 200];
        let count = line_bytes(&read, 64, &mut out);
        assert_eq!(out[..count], [&[7; 62][..], &[8; 62], &[9]].concat());
        assert_eq!(line_bytes(&[1, 0x60], 64, &mut out), 0);
        assert_eq!(line_bytes(&[1], 64, &mut out), 0);
        assert_eq!(line_bytes(&read, 64, &mut out[..3]), 3);
    }
}
