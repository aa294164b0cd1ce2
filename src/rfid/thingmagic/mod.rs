//! ThingMagic modules (M6e, M6e Micro, M6e Nano, M7e) on a serial line over USB: brought from
//! whatever they do to reading on the configured ports, and watched.

mod session;
mod setup;
mod trouble;

use std::time::Duration;

use tokio::sync::watch;

use self::session::Talk;
use crate::link::outlet::Outlet;
use crate::link::pipe::{Pace, Port, RealPace};
use crate::link::serial::SerialPort;
use crate::link::supervise::supervise;
use crate::link::usb::UsbId;
use crate::wire::thingmagic::Region;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// None: the module keeps the region that it has; without any it is refused.
    pub region: Option<Region>,
    /// None: the first port, at the module's own power.
    pub ports: Vec<Antenna>,
    /// A module that says nothing for so long is opened again; it says something each second.
    pub silence: Duration,
}

/// A port with an antenna on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Antenna {
    /// From 1.
    pub port: u8,
    /// Hundredths of dBm; none: the module's own.
    pub power_cdbm: Option<i16>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            region: None,
            ports: Vec::new(),
            silence: Duration::from_secs(5),
        }
    }
}

/// Reads with the module at `usb` until it is told to stop, on this thread.
pub fn run(usb: UsbId, config: &Config, mut outlet: Outlet, stop: &watch::Receiver<bool>) {
    let mut port = SerialPort::new(usb);
    run_over(&mut port, &RealPace::start(), config, &mut outlet, stop);
}

/// The same over any pipe, in any time.
pub fn run_over(
    port: &mut dyn Port,
    pace: &dyn Pace,
    config: &Config,
    outlet: &mut Outlet,
    stop: &watch::Receiver<bool>,
) {
    supervise(port, pace, outlet, stop, |now, _| {
        Ok(Talk::begin(config.clone(), now))
    });
}
