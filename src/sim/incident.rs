//! What befalls sensors in a scene.

/// Sources are named as in the recording's topics: `rfid/r-g1`, `camera/cam1`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incident {
    /// They say nothing for so long from the signal on.
    Silent {
        sources: Vec<String>,
        seconds: f64,
        /// Whether the box notes it and writes `/source`.
        told: bool,
    },
    /// From the beginning on nobody is seen by this camera: something stands before it.
    Blocked { camera: String },
    /// Its clock is ahead by so much.
    Clock { source: String, ahead_s: f64 },
    /// Messages of readers, scales and cameras come twice or late, as over a bad link.
    Repeated,
}
