//! UHFReader18 and UHFReader288 readers on a serial line over USB: asked for one inventory after
//! another, port by port.
//!
//! They keep their settings in flash memory, so that a setting is written only where it differs.

mod session;

use tokio::sync::watch;

use self::session::Talk;
use crate::link::outlet::Outlet;
use crate::link::pipe::{Pace, Port, RealPace};
use crate::link::serial::SerialPort;
use crate::link::supervise::supervise;
use crate::link::usb::UsbId;
use crate::wire::uhfreader18::Band;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// None: the reader keeps the band that it has.
    pub band: Option<Band>,
    /// From 1; none: the first. Readers of type 18 have one.
    pub ports: Vec<u8>,
    /// dBm, for all ports: these readers have one power. None: the reader's own.
    pub power_dbm: Option<u8>,
    /// How long one inventory may take, in steps of 100 ms.
    pub scan_time: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            band: None,
            ports: Vec::new(),
            power_dbm: None,
            scan_time: 3,
        }
    }
}

/// Reads with the reader at `usb` until it is told to stop, on this thread.
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
