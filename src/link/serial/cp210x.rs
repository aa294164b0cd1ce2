//! Silicon Labs' CP210x (application note AN571).

use super::Control;

/// Vendor request to an interface.
const KIND: u8 = 0x41;
const IFC_ENABLE: u8 = 0x00;
const SET_LINE_CTL: u8 = 0x03;
const SET_MHS: u8 = 0x07;
const PURGE: u8 = 0x12;
const SET_FLOW: u8 = 0x13;
const SET_BAUDRATE: u8 = 0x1E;
/// 8 data bits, no parity, one stop bit.
const LINE_8N1: u16 = 0x0800;
const ALL_QUEUES: u16 = 0x000F;
/// DTR and RTS by hand; no other flow control.
const NO_FLOW: [u8; 16] = [1, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub(super) fn opening(interface: u8) -> Vec<Control> {
    let say = |request, value| Control::new(KIND, request, value, interface.into());
    vec![
        say(IFC_ENABLE, 1),
        say(SET_LINE_CTL, LINE_8N1),
        say(SET_FLOW, 0).with(NO_FLOW),
        // Which lines to set in the upper byte, DTR and RTS in the lower.
        say(SET_MHS, 0x0303),
        say(PURGE, ALL_QUEUES),
    ]
}

pub(super) fn speed(interface: u8, baud: u32) -> Vec<Control> {
    let request = Control::new(KIND, SET_BAUDRATE, 0, interface.into());
    vec![request.with(baud.to_le_bytes())]
}

pub(super) fn closing(interface: u8) -> Vec<Control> {
    let say = |request, value| Control::new(KIND, request, value, interface.into());
    vec![say(SET_MHS, 0x0300), say(IFC_ENABLE, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_enabled_first_and_disabled_last() {
        assert_eq!(opening(0)[0], Control::new(0x41, 0, 1, 0));
        assert_eq!(closing(0).last(), Some(&Control::new(0x41, 0, 0, 0)));
        assert_eq!(speed(1, 115_200)[0].data, [0x00, 0xC2, 0x01, 0x00]);
    }
}
