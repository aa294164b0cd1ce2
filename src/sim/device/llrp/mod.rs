//! A reader that does not exist, over LLRP: listens on a port, takes one client, demands of it what
//! the standard demands, reads the tags that lie before its antennas, and misbehaves when it is
//! told to.
//!
//! ```text
//!   Control ──Order──► Reader ─┬─ device (requests, ROSpecs, config)   demands (what it refuses)
//!       ◄────Seen────          ├─ air (which tags are read when)
//!                              └─ report (bytes, or a Feed made before)
//! ```
//!
//! It knows nothing of the client in `rfid`: what that sends is parsed as a tree and judged by the
//! standard's rules, and reports are written byte by byte here, so that the two do not agree by
//! construction.

mod air;
mod answers;
mod demands;
mod device;
mod report;
mod rospec;
mod server;

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub use self::air::Tag;
pub use self::report::Feed;
use crate::wire::llrp::Version;

/// What the reader is.
#[derive(Debug, Clone)]
pub struct ReaderSetup {
    /// Ports, from 1.
    pub antennas: u16,
    /// Impinj's number, and its extensions once a client enables them; else Zebra's.
    pub impinj: bool,
    pub firmware: String,
    /// The table of power levels, hundredths of dBm by index - 1.
    pub power_cdbm: Vec<i16>,
    /// ModeIdentifiers.
    pub rf_modes: Vec<u32>,
    /// The hop table, or the channels of a region that does not hop.
    pub channels_khz: Vec<u32>,
    pub hopping: bool,
    pub clock: Clock,
    /// How much faster than true, parts in a million.
    pub drift_ppm: i32,
    pub tags: Vec<Tag>,
    /// Of all tags together.
    pub reads_per_s: f64,
    /// Where it is given, this is what reports are, at its own rate.
    pub feed: Option<Feed>,
    /// Leaves out of reports what is the same as in the last one.
    pub omits: bool,
    /// What it refuses although it should not.
    pub refuses: Vec<Refuses>,
    /// The only version that it speaks.
    pub version: Version,
    /// Another client has left a ROSpec running: reports come before the reader's first word.
    pub left_running: bool,
    /// Holds events and reports until it is told that they are wanted.
    pub holds: bool,
    pub seed: u64,
}

/// What stamps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// UTC, wrong by so many microseconds.
    Utc { ahead_us: i64 },
    /// Microseconds since the reader's start, which was so long before.
    Uptime { since_us: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refuses {
    /// ADD_ROSPEC with C1G2RFControl, naming the parameter.
    RfMode,
    /// ADD_ROSPEC with C1G2SingulationControl, in its text alone.
    Session,
    /// ADD_ROSPEC with RFTransmitter, naming the field.
    Power,
    ImpinjExtensions,
    /// SET_READER_CONFIG with EventsAndReports.
    Holding,
    GetReport,
}

impl Default for ReaderSetup {
    /// Four antennas in Europe, 10 to 30 dBm, no tags.
    fn default() -> Self {
        Self {
            antennas: 4,
            impinj: false,
            firmware: "1.2.3".to_owned(),
            power_cdbm: (0..=80).map(|step| 1000 + step * 25).collect(),
            rf_modes: vec![0, 1, 2, 3, 1002],
            channels_khz: vec![865_700, 866_300, 866_900, 867_500],
            hopping: false,
            clock: Clock::Utc { ahead_us: 0 },
            drift_ppm: 0,
            tags: Vec::new(),
            reads_per_s: 100.0,
            feed: None,
            omits: false,
            refuses: Vec::new(),
            version: Version::V1_0_1,
            left_running: false,
            holds: false,
            seed: 1,
        }
    }
}

/// What the reader is told to do.
#[derive(Debug, Clone)]
pub enum Order {
    /// Other tags lie before the antennas.
    Tags(Vec<Tag>),
    Rate(f64),
    /// These are read now, once each, where somebody reads at their antennas.
    Reads(Vec<Tag>),
    /// Closes each new connection without a word.
    TurnAway(bool),
    /// Says to each new connection that another client has the reader.
    Busy(bool),
    Antenna {
        id: u16,
        connected: bool,
    },
    Exception(String),
    BufferFills(u8),
    BufferOverflows,
    /// Says and hears nothing, and keeps its connections open, as one whose cable is cut.
    Silence(bool),
    /// Ends the connection by a reset.
    Reset,
    /// Says that it closes the connection, and closes.
    Close,
    /// Sends these bytes.
    Garbage(Vec<u8>),
    /// Sends some bytes at a time.
    Dribble(bool),
    /// Ends the active ROSpec.
    EndRospec,
    /// Sets the reader's clock forward, or back.
    SetClock {
        by_us: i64,
    },
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections that were taken, all together.
    pub connections: u32,
    pub connected: bool,
    /// Names of the requests since the reader's start, KEEPALIVE_ACK apart.
    pub requests: Vec<&'static str>,
    /// What was refused, and why.
    pub refused: Vec<String>,
    pub keepalive_acks: u64,
    /// Ids and their states, as the standard names them.
    pub rospecs: Vec<(u32, &'static str)>,
    pub accessspecs: usize,
    /// Of the ROSpec that is active.
    pub reading: Option<Reading>,
    pub reports: u64,
    pub reads: u64,
}

/// What a ROSpec asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    pub antennas: Vec<u16>,
    /// Antenna and index into the table of power levels.
    pub power: Vec<(u16, u16)>,
    pub session: Option<u8>,
    pub rf_mode: Option<u16>,
    pub tags_per_report: u16,
    pub impinj: bool,
}

/// Steers a reader and looks at it.
#[derive(Debug, Clone)]
pub struct Control {
    orders: mpsc::Sender<Order>,
    seen: watch::Receiver<Seen>,
}

impl Control {
    /// False where the reader has ended.
    pub async fn order(&self, order: Order) -> bool {
        self.orders.send(order).await.is_ok()
    }

    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until it is so; None where the reader ends before.
    pub async fn until(&mut self, so: impl FnMut(&Seen) -> bool) -> Option<Seen> {
        self.seen.wait_for(so).await.ok().map(|seen| seen.clone())
    }
}

/// Orders that wait.
const ORDERS: usize = 64;

/// A reader before it is switched on.
#[derive(Debug)]
pub struct Reader {
    setup: ReaderSetup,
    orders: mpsc::Receiver<Order>,
    seen: watch::Sender<Seen>,
}

impl Reader {
    pub fn new(setup: ReaderSetup) -> (Self, Control) {
        let (tell, orders) = mpsc::channel(ORDERS);
        let (seen, look) = watch::channel(Seen::default());
        let reader = Self {
            setup,
            orders,
            seen,
        };
        let control = Control {
            orders: tell,
            seen: look,
        };
        (reader, control)
    }

    /// Serves until `stop` turns true; then every connection is closed.
    pub async fn serve(self, listener: TcpListener, stop: watch::Receiver<bool>) {
        server::serve(self.setup, self.orders, self.seen, listener, stop).await;
    }

    /// Listens at `address`, serves in a task of its own, and says where.
    ///
    /// # Errors
    ///
    /// The address is taken, or not this machine's.
    pub async fn start(
        setup: ReaderSetup,
        address: &str,
        stop: watch::Receiver<bool>,
    ) -> io::Result<(SocketAddr, Control)> {
        let listener = TcpListener::bind(address).await?;
        let at = listener.local_addr()?;
        let (reader, control) = Self::new(setup);
        tokio::spawn(reader.serve(listener, stop));
        Ok((at, control))
    }
}
