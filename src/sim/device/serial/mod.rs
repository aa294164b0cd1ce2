//! Readers and scales that do not exist, at the level of bytes: each answers, streams, fails and
//! recovers as its protocol's documents say. They are written from those and not from our decoders;
//! only checksums are shared, which are checked against published frames.
//!
//! A device is a value to which time and bytes are given. [`bench::Bench`] runs one in virtual time
//! under a real edge, with a script of what happens to it; [`serve::serve`] runs one in real time
//! over any stream.

pub mod bench;
pub mod hid_scale;
pub mod serve;
pub mod thingmagic;
pub mod uhfreader18;

/// A device on a line, or on USB with reports.
pub trait Device {
    /// Bytes of the host.
    fn receive(&mut self, now_ms: u64, bytes: &[u8]);

    /// The next message or report that is due, whole.
    fn transmit(&mut self, now_ms: u64) -> Option<Vec<u8>>;

    /// When there is something to transmit again, if nothing comes in.
    fn next_ms(&self) -> Option<u64>;

    /// The line's speed, where there is one.
    fn baud(&self) -> Option<u32> {
        None
    }

    /// Somebody has opened the device.
    fn opened(&mut self, _now_ms: u64) {}

    /// The device gets power.
    fn power_on(&mut self, _now_ms: u64) {}

    /// A HID device's report descriptor.
    fn descriptor(&self) -> &[u8] {
        &[]
    }
}

/// Messages that wait for their time, in order.
#[derive(Debug, Clone, Default)]
struct Outgoing(std::collections::VecDeque<(u64, Vec<u8>)>);

impl Outgoing {
    fn push(&mut self, due_ms: u64, message: Vec<u8>) {
        self.0.push_back((due_ms, message));
    }

    fn pop(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        if self.0.front()?.0 > now_ms {
            return None;
        }
        self.0.pop_front().map(|(_, message)| message)
    }

    fn next_ms(&self) -> Option<u64> {
        self.0.front().map(|(due_ms, _)| *due_ms)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
