//! What the store file says to the program rather than to the engine: where state is kept, the
//! broker, the console, and what else lies on disk.

use core::net::SocketAddr;

use super::{Live, Place};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Folder of model manifests, relative to the store file; `None` for those that come with
    /// basketd.
    pub models: Option<String>,
    pub state: State,
    /// `None` where nothing is published.
    pub mqtt: Option<Mqtt>,
    pub console: Console,
    pub live: Live,
    /// What the store file refers to and its reader did not open.
    pub links: Vec<Link>,
}

/// Where the state lives, and how much journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Relative to the store file; `None` for `$STATE_DIRECTORY`, else `./state`.
    pub dir: Option<String>,
    /// The journal's files are removed after this many days, or when all together have this many
    /// bytes, whichever comes first.
    pub journal_days: u64,
    pub journal_bytes: u64,
    /// Whether the journal keeps camera frames, and not their detections alone.
    pub keep_frames: bool,
    /// Events that the backend has confirmed are kept as history for so many days.
    pub outbox_days: u64,
    /// Events that wait for the backend, bytes: with more, no new visit is admitted.
    pub outbox_bytes: u64,
    /// Traffic and interest that could not be sent are dropped after so many days or bytes.
    pub traffic_days: u64,
    pub traffic_bytes: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            dir: None,
            // A receipt is disputed within the month.
            journal_days: 30,
            // A quarter of the smallest disk that boxes are sold with, 128 GB.
            journal_bytes: 32_000_000_000,
            keep_frames: false,
            outbox_days: 90,
            // A busy shop makes some 100 MB a day: ten days without a backend.
            outbox_bytes: 1_000_000_000,
            traffic_days: 7,
            traffic_bytes: 100_000_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqtt {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub username: Option<String>,
    /// Files relative to the store file, or systemd credentials of that name.
    pub password_file: Option<String>,
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub confirm: Confirm,
}

/// When an event is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// When the backend's watermark has passed it.
    #[default]
    Backend,
    /// When the broker has acknowledged it.
    Puback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Console {
    pub listen: SocketAddr,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
        }
    }
}

/// Something beyond the store file, its catalogue and its tag list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where the store file names it.
    pub place: Place,
    pub to: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A camera's model, by the name of its manifest.
    Model { camera: String, name: String },
    /// A file relative to the store file, or a systemd credential of that name.
    Secret { path: String },
    /// A file relative to the store file.
    File { path: String },
}
