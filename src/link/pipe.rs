//! A device that bytes go to and come from, and the time in which they do: what the edges of serial
//! devices stand on. USB is one such pipe, a simulated device another.

use std::time::Duration;

use crate::clock;
use crate::units::Timestamp;

/// Why there is no pipe, or none any more; the text tells a technician what to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipeError {
    /// Not plugged in; it may be in a second.
    #[error("{0}")]
    Missing(String),
    /// It was unplugged while it was in use.
    #[error("unplugged")]
    Unplugged,
    /// It is there and does not work.
    #[error("{0}")]
    Failed(String),
}

/// An open device.
pub trait BytePipe {
    /// Waits up to `timeout` for bytes; 0 where none came. A device of reports gives one at a time.
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, PipeError>;

    /// Writes all of them.
    fn write(&mut self, bytes: &[u8]) -> Result<(), PipeError>;

    /// Bits a second; where there is no line behind the device it changes nothing.
    fn set_baud(&mut self, baud: u32) -> Result<(), PipeError>;

    /// What the device says of itself: of a HID device its report descriptor.
    fn descriptor(&self) -> &[u8] {
        &[]
    }
}

/// A device that can be opened again and again.
pub trait Port {
    fn open(&mut self) -> Result<Box<dyn BytePipe>, PipeError>;

    /// How people find it.
    fn name(&self) -> String;
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since some begin, never set: for deadlines.
    pub ms: u64,
    /// As the world has it: for what is told.
    pub wall: Timestamp,
}

/// Time as an edge lives through it; tests have their own.
pub trait Pace {
    fn now(&self) -> Moment;

    fn pause(&self, duration: Duration);
}

/// Real time.
#[derive(Debug)]
pub struct RealPace(clock::Monotonic);

impl RealPace {
    pub fn start() -> Self {
        Self(clock::Monotonic::start())
    }
}

impl Pace for RealPace {
    fn now(&self) -> Moment {
        Moment {
            ms: self.0.millis(),
            wall: clock::wall(),
        }
    }

    fn pause(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
