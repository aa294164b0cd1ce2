//! Where a frame's time goes.

use std::fmt;
use std::ops::AddAssign;

/// Nanoseconds spent on some frames, by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    pub frames: u64,
    /// JPEG or PNG to pixels.
    pub decode_ns: u64,
    /// Resizing and normalising.
    pub prepare_ns: u64,
    /// In the model's own run call.
    pub run_ns: u64,
    /// From bytes to detections, all steps.
    pub total_ns: u64,
}

impl Timings {
    /// The share of the time that the model itself takes, 0 to 1.
    pub fn run_share(&self) -> f64 {
        self.run_ns as f64 / self.total_ns.max(1) as f64
    }

    fn millis(&self, ns: u64) -> f64 {
        ns as f64 / 1e6 / self.frames.max(1) as f64
    }
}

impl AddAssign for Timings {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.decode_ns += other.decode_ns;
        self.prepare_ns += other.prepare_ns;
        self.run_ns += other.run_ns;
        self.total_ns += other.total_ns;
    }
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} frames, {:.2} ms each: decode {:.2}, prepare {:.2}, model {:.2} ({:.1} %)",
            self.frames,
            self.millis(self.total_ns),
            self.millis(self.decode_ns),
            self.millis(self.prepare_ns),
            self.millis(self.run_ns),
            100.0 * self.run_share(),
        )
    }
}
