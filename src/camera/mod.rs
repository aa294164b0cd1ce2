//! Cameras: a supervisor each, which connects, decodes, watches and begins again for ever.
//!
//! What comes out is the newest frame: nobody waits for a picture that is older than another. The
//! store's names, models and boxes are not known here.

use image::RgbImage;

use crate::units::Timestamp;

/// One picture of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// By the camera's own clock where it has one that agrees with ours, else at its arrival.
    pub captured_at: Timestamp,
    pub picture: Picture,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Picture {
    /// A JPEG as the camera made it.
    Jpeg(Vec<u8>),
    Rgb(RgbImage),
}

/// Takes a frame at once, and never waits: the newest wins.
pub type TakeFrame = dyn Fn(Frame) + Send + Sync;
