//! A scale as the HID point-of-sale tables describe it, reporting ten times a second.

use super::Device;

/// Its report descriptor: a weighing device with one report of data, id 3, of status, unit, scaling
/// and weight.
pub const DESCRIPTOR: &[u8] = &[
    0x05, 0x8D, // Usage page: weighing devices
    0x09, 0x20, // Usage: scale device
    0xA1, 0x01, // Collection: application
    0x85, 0x03, //   Report id 3
    0x09, 0x32, //   Usage: scale data report
    0xA1, 0x02, //   Collection: logical
    0x09, 0x70, //     Usage: scale status
    0x15, 0x01, 0x25, 0x08, // 1 to 8
    0x75, 0x08, 0x95, 0x01, // 8 bits, one
    0x81, 0x02, //     Input
    0x09, 0x50, //     Usage: weight unit
    0x25, 0x0C, // 1 to 12
    0x81, 0x02, //     Input
    0x09, 0x41, //     Usage: data scaling
    0x15, 0x80, 0x25, 0x7F, // -128 to 127
    0x81, 0x02, //     Input
    0x09, 0x40, //     Usage: data weight
    0x15, 0x00, 0x27, 0xFF, 0xFF, 0x00, 0x00, // 0 to 65535
    0x75, 0x10, //     16 bits
    0x81, 0x02, //     Input
    0xC0, //   End
    0xC0, // End
];

pub const REPORT_BYTES: usize = 6;
const PERIOD_MS: u64 = 100;

/// The tables' numbers for a scale's status.
pub mod status {
    pub const FAULT: u8 = 1;
    pub const ZERO: u8 = 2;
    pub const MOVING: u8 = 3;
    pub const STABLE: u8 = 4;
    pub const UNDER_ZERO: u8 = 5;
    pub const OVER_LIMIT: u8 = 6;
    pub const CALIBRATE: u8 = 7;
    pub const REZERO: u8 = 8;
}

#[derive(Debug, Clone)]
pub struct Scale {
    pub status: u8,
    pub unit: u8,
    pub exponent: i8,
    pub weight: u16,
    pub is_mute: bool,
    pub descriptor: Vec<u8>,
    /// What was last reported to whoever had it open before.
    stale: Option<Vec<u8>>,
    next_ms: u64,
}

impl Scale {
    /// In grams.
    pub fn new() -> Self {
        Self {
            status: status::ZERO,
            unit: 2,
            exponent: 0,
            weight: 0,
            is_mute: false,
            descriptor: DESCRIPTOR.to_vec(),
            stale: None,
            next_ms: 0,
        }
    }

    pub fn put(&mut self, status: u8, weight: u16) {
        self.status = status;
        self.weight = weight;
    }

    fn report(&self) -> Vec<u8> {
        let [low, high] = self.weight.to_le_bytes();
        let exponent = self.exponent.to_le_bytes()[0];
        vec![3, self.status, self.unit, exponent, low, high]
    }
}

impl Default for Scale {
    fn default() -> Self {
        Self::new()
    }
}

impl Device for Scale {
    fn receive(&mut self, _: u64, _: &[u8]) {}

    fn transmit(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        if self.is_mute || now_ms < self.next_ms {
            return None;
        }
        if let Some(stale) = self.stale.take() {
            return Some(stale);
        }
        self.next_ms = now_ms + PERIOD_MS;
        Some(self.report())
    }

    fn next_ms(&self) -> Option<u64> {
        (!self.is_mute).then_some(self.next_ms)
    }

    /// The report that waits in the device is of whenever it was last read.
    fn opened(&mut self, now_ms: u64) {
        self.stale = Some(vec![3, status::STABLE, 2, 0, 0x0F, 0x27]);
        self.next_ms = now_ms;
    }

    fn descriptor(&self) -> &[u8] {
        &self.descriptor
    }
}
