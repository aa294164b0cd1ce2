//! Cameras: a supervisor each, which connects, decodes, watches and begins again for ever.
//!
//! What comes out is the newest frame: nobody waits for a picture that is older than another. The
//! store's names, models and boxes are not known here.
//!
//! ```text
//!   rtsp (retina) ── h264 ─┐
//!   http (ureq) ── wire/   │                 pace ─► luma ─► health (frozen, black)
//!     multipart, jpeg ─────┼─► views ─► eye ─┤          └──► motion (gate)
//!   v4l2 (linuxvideo) ─────┤                 └─► TakeFrame
//!   file (re_mp4) ── h264 ─┘
//! ```
//!
//! Each camera has a thread of its own, which decodes and waits; tokio's workers never do. A source
//! shows views that borrow what the decoder holds; colours are converted for those alone that are
//! given out.

mod capture_time;
mod eye;
mod file;
mod h264;
mod health;
mod http;
mod login;
mod luma;
pub mod motion;
mod pace;
mod plugged;
mod rtsp;
mod source;
mod supervisor;
mod v4l2;
mod yuyv;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use image::RgbImage;
use tokio::sync::watch;

use crate::link::outlet::Outlet;
use crate::link::secret::Secret;
use crate::units::Timestamp;

pub use self::luma::Luma;
pub use self::plugged::{Plugged, plugged};

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

/// The largest picture in bytes, as it is sent.
pub const PICTURE_MAX: usize = 16 * 1024 * 1024;
/// The largest picture in pixels: 8K. Larger ones are refused before anything is decoded.
pub(crate) const PIXELS_MAX: u64 = 8192 * 4352;

/// Where a camera is reached, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names the camera's thread and its log lines.
    pub name: String,
    pub address: Address,
    /// User and password, for cameras that ask for them (basic or digest).
    pub login: Option<(String, Secret)>,
    /// Frames given out per second, at most.
    pub max_fps: f64,
    /// For RTSP.
    pub transport: Transport,
    /// Certificates (PEM) that an `https` camera may show; the system's authorities where there are
    /// none.
    pub ca: Option<Vec<u8>>,
    /// Width and height asked of a V4L2 device.
    pub size: (u32, u32),
    pub limits: Limits,
    /// Frames of a scene in which nothing moves are then given seldom.
    pub motion: Option<motion::Settings>,
    /// Set by whoever looks at the frames while somebody is in them: whoever stands still does not
    /// move, and must be seen all the same.
    pub occupied: Arc<AtomicBool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// H.264 or JPEG over RTP.
    Rtsp {
        url: String,
    },
    /// Motion JPEG, or a snapshot that is fetched again and again.
    Http {
        url: String,
    },
    V4l2 {
        device: PathBuf,
    },
    /// An MP4 with H.264, JPEGs one after another, or a folder of them; played for ever at its own
    /// pace.
    File {
        path: PathBuf,
    },
}

/// How RTP comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Within the RTSP connection: nothing is lost.
    #[default]
    Tcp,
    /// Lost packets cost pictures until the next key frame.
    Udp,
}

/// After how long something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From connecting to the first picture.
    pub first_frame: Duration,
    /// From one picture to the next; then the connection is made anew.
    pub silence: Duration,
    /// Of pictures that are equal to the last bit.
    pub frozen: Duration,
    /// Of pictures without any light in them.
    pub black: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_frame: Duration::from_secs(10),
            silence: Duration::from_secs(5),
            frozen: Duration::from_secs(30),
            black: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Ten frames a second at most, RTP over TCP, no motion gate.
    pub fn new(name: impl Into<String>, address: Address) -> Self {
        Self {
            name: name.into(),
            address,
            login: None,
            max_fps: 10.0,
            transport: Transport::default(),
            ca: None,
            size: (1280, 720),
            limits: Limits::default(),
            motion: None,
            occupied: Arc::default(),
        }
    }

    /// The frame-rate cap, between one a minute and a hundred a second; what is no number means
    /// ten.
    pub(crate) fn fps(&self) -> f64 {
        let fps = if self.max_fps.is_finite() {
            self.max_fps
        } else {
            10.0
        };
        fps.clamp(1.0 / 60.0, 100.0)
    }
}

/// Without what may be secret in it: some cameras take user and password in the query.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtsp { url } | Self::Http { url } => {
                let (place, query) = match url.split_once('?') {
                    Some((place, _)) => (place, "?…"),
                    None => (url.as_str(), ""),
                };
                let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                write!(f, "{scheme}://{rest}{query}")
            }
            Self::V4l2 { device } => write!(f, "{}", device.display()),
            Self::File { path } => write!(f, "{}", path.display()),
        }
    }
}

/// Runs one camera until `stop` turns true or nobody takes what it says. States and losses go to
/// `outlet`, frames to `frames`.
pub async fn run(
    config: Config,
    frames: Arc<TakeFrame>,
    outlet: Outlet,
    stop: watch::Receiver<bool>,
) {
    supervisor::run(config, frames, outlet, stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        let shown = |url: &str| {
            Address::Http {
                url: url.to_owned(),
            }
            .to_string()
        };
        assert_eq!(shown("http://cam:80/a/b"), "http://cam:80/a/b");
        assert_eq!(shown("http://u:p@cam/a?pwd=x"), "http://cam/a?…");
    }

    #[test]
    fn any_cap_is_a_rate() {
        let mut config = Config::new(
            "x",
            Address::File {
                path: PathBuf::new(),
            },
        );
        for (max_fps, fps) in [
            (f64::NAN, 10.0),
            (-1.0, 1.0 / 60.0),
            (1e9, 100.0),
            (5.0, 5.0),
        ] {
            config.max_fps = max_fps;
            assert_eq!(config.fps(), fps);
        }
    }
}
