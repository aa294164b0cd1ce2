//! WCH's CH340 and CH341. Their maker documents no requests; these are what free drivers have found.

use super::{BadBaud, Control};

/// Vendor request to the device, out and in.
const OUT: u8 = 0x40;
const IN: u8 = 0xC0;
const VERSION: u8 = 0x5F;
const WRITE_REGISTER: u8 = 0x9A;
const SERIAL_INIT: u8 = 0xA1;
const MODEM_LINES: u8 = 0xA4;
/// Divisor and prescaler; line control, in pairs of registers.
const SPEED_REGISTERS: u16 = 0x1312;
const LINE_REGISTERS: u16 = 0x2518;
/// Receiver and transmitter on, 8 data bits, no parity, one stop bit.
const LINE_8N1: u16 = 0xC3;
/// DTR and RTS; the chip takes them inverted.
const DTR_RTS: u16 = (1 << 5) | (1 << 6);
/// Bytes are sent on at once and not in packets of 32.
const AT_ONCE: u16 = 0x80;

pub(super) fn opening() -> Vec<Control> {
    let say = |request, value, index| Control::new(OUT, request, value, index);
    vec![
        Control::new(IN, VERSION, 0, 0).with([0; 2]),
        say(SERIAL_INIT, 0, 0),
        say(WRITE_REGISTER, LINE_REGISTERS, LINE_8N1),
        say(MODEM_LINES, !DTR_RTS, 0),
    ]
}

pub(super) fn speed(baud: u32) -> Result<Vec<Control>, BadBaud> {
    let registers = divisor(baud).ok_or(BadBaud(baud))? | AT_ONCE;
    Ok(vec![
        Control::new(OUT, WRITE_REGISTER, SPEED_REGISTERS, registers),
        // Setting a speed resets the format on some chips.
        Control::new(OUT, WRITE_REGISTER, LINE_REGISTERS, LINE_8N1),
    ])
}

pub(super) fn closing() -> Vec<Control> {
    vec![Control::new(OUT, MODEM_LINES, !0, 0)]
}

/// 48 MHz by a power of two and a divisor of 2 to 255, the one that comes closest: the divisor's
/// complement in the upper byte, the power's code in the lower.
fn divisor(baud: u32) -> Option<u16> {
    const CLOCK: u64 = 48_000_000;
    let baud = u64::from(baud).max(1);
    let candidates = (0..=3_u16).flat_map(|prescaler| {
        [0, 1_u16].into_iter().flat_map(move |factor| {
            let scaled = CLOCK >> (12 - 3 * prescaler - factor);
            let near = scaled / baud;
            // With the factor, divisors below 9 are not taken by the chip.
            let least = if factor == 1 { 9 } else { 2 };
            (near..=near + 1)
                .filter(move |divisor| (least..=255).contains(divisor))
                .map(move |divisor| {
                    let off = (scaled * 1000 / divisor).abs_diff(baud * 1000);
                    (off, prescaler | (factor << 2), divisor)
                })
        })
    });
    // Of equals the finest clock, as the maker's driver has it.
    let (off, power, divisor) =
        candidates.min_by_key(|(off, power, _)| (*off, core::cmp::Reverse(power & 3), *power))?;
    let close = off <= baud * 20;
    close.then_some((((0x100 - divisor) << 8) as u16) | power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_are_those_that_free_drivers_use() {
        for (baud, expected) in [
            (9600, 0xB202),
            (19_200, 0xD902),
            (38_400, 0x6403),
            (57_600, 0x9803),
            (115_200, 0xCC03),
            (921_600, 0xF307),
        ] {
            assert_eq!(
                divisor(baud),
                Some(expected),
                "{baud}: {:04x?}",
                divisor(baud)
            );
        }
        assert_eq!(divisor(0), None);
        assert_eq!(divisor(30_000_000), None);
    }
}
