//! Readers that speak LLRP (EPCglobal Low Level Reader Protocol 1.0.1, 1.1) over TCP: connects,
//! clears away what others left, configures, starts one ROSpec, and hands its reads to the daemon.
//!
//! ```text
//!   connection ─► setup (capabilities, config, ROSpec by `plan`) ─► session ─┬─ reports ─► Outlet
//!       ▲                                                                    └─ events, troubles
//!       └────────── back-off ◄── failure, in words for a technician ◄────────┘
//! ```
//!
//! A reader keeps its ROSpecs when a client goes, so every connection begins by deleting them all:
//! one box owns a reader. Nothing ends a supervisor but its own stop.

mod capabilities;
mod connection;
mod events;
mod failure;
mod plan;
mod probe;
mod reader_clock;
mod reports;
mod session;
mod setup;
mod troubles;

use std::collections::BTreeMap;

use tokio::sync::watch;

use self::connection::Connection;
use self::failure::Failure;
pub use self::probe::{Facts, facts};
use crate::link::backoff::Backoff;
use crate::link::outlet::{Gone, Outlet};
use crate::link::stopped;
use crate::observation::SourceState;

/// Which reader, and how it is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A name or an address.
    pub host: String,
    /// LLRP has 5084.
    pub port: u16,
    /// The ports that are read, from 1, each with its power in hundredths of dBm; the reader's
    /// highest where none is given. None at all means every port that the reader has.
    pub antennas: BTreeMap<u16, Option<i16>>,
    /// Gen2 session, 0 to 3.
    pub session: u8,
    /// ModeIdentifier of the reader's own table; its own choice where none is given.
    pub rf_mode: Option<u16>,
    /// A report is sent when so many tags were read, and at the latest after half a second.
    pub report_every: u16,
    /// The reader is to give a sign of life this often.
    pub keepalive_s: u16,
}

/// Reads until `stop` turns true or nobody takes any more; then the reader is left without a
/// ROSpec.
pub async fn run(config: Config, mut outlet: Outlet, mut stop: watch::Receiver<bool>) {
    let mut link = None;
    tokio::select! {
        biased;
        () = stopped(&mut stop) => {}
        Gone = serve(&config, &mut outlet, &mut link) => {}
    }
    if let Some(connection) = link {
        setup::leave(connection).await;
    }
}

/// Connection after connection. `link` is the one that is open, so that whoever cancels this can
/// take leave of the reader.
async fn serve(config: &Config, outlet: &mut Outlet, link: &mut Option<Connection>) -> Gone {
    let mut backoff = Backoff::default();
    loop {
        let failure = attempt(config, outlet, link, &mut backoff).await;
        *link = None;
        let told = match failure {
            Failure::Gone(gone) => return gone,
            failure => format!("{}:{}: {failure}", config.host, config.port),
        };
        tracing::debug!(reader = %told, "LLRP connection failed");
        if let Err(gone) = outlet.state(SourceState::Offline, &told).await {
            return gone;
        }
        tokio::time::sleep(backoff.wait()).await;
    }
}

async fn attempt(
    config: &Config,
    outlet: &mut Outlet,
    link: &mut Option<Connection>,
    backoff: &mut Backoff,
) -> Failure {
    let connection = match Connection::open(&config.host, config.port).await {
        Ok(connection) => link.insert(connection),
        Err(failure) => return failure,
    };
    let ready = match setup::prepare(connection, config).await {
        Ok(ready) => ready,
        Err(failure) => return failure,
    };
    session::run(connection, ready, outlet, backoff).await
}
