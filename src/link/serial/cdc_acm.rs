//! USB's own class for serial lines (CDC PSTN 1.2, 6.3). A device whose bytes go to no real line
//! takes any speed and does nothing with it.

use super::Control;

/// Class request to an interface.
const KIND: u8 = 0x21;
const SET_LINE_CODING: u8 = 0x20;
const SET_CONTROL_LINE_STATE: u8 = 0x22;
const DTR_RTS: u16 = 3;

pub(super) fn opening(interface: u8) -> Vec<Control> {
    vec![lines(interface, DTR_RTS)]
}

pub(super) fn speed(interface: u8, baud: u32) -> Vec<Control> {
    let [a, b, c, d] = baud.to_le_bytes();
    // One stop bit, no parity, 8 data bits.
    let coding = [a, b, c, d, 0, 0, 8];
    vec![Control::new(KIND, SET_LINE_CODING, 0, interface.into()).with(coding)]
}

pub(super) fn closing(interface: u8) -> Vec<Control> {
    vec![lines(interface, 0)]
}

fn lines(interface: u8, set: u16) -> Control {
    Control::new(KIND, SET_CONTROL_LINE_STATE, set, interface.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_a_line_coding() {
        let [coding] = &speed(2, 57_600)[..] else {
            panic!("one request");
        };
        assert_eq!((coding.request, coding.index), (0x20, 2));
        assert_eq!(coding.data, [0, 0xE1, 0, 0, 0, 0, 8]);
    }
}
