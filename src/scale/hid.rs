//! Scales that follow the HID point-of-sale tables: each report a weight, passed on while the scale
//! can be believed.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::watch;

use crate::link::hid::HidPort;
use crate::link::outlet::{Outlet, Readings};
use crate::link::pipe::{Moment, Pace, Port, RealPace};
use crate::link::supervise::{Action, Session, supervise};
use crate::link::usb::UsbId;
use crate::observation::SourceState;
use crate::wire::hid_scale::{Layout, State, Weight, layout};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// A scale that says nothing for so long is opened again; scales report several times a second.
    pub silence: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(5),
        }
    }
}

/// Reads the scale at `usb` until it is told to stop, on this thread.
pub fn run(usb: UsbId, config: Config, mut outlet: Outlet, stop: &watch::Receiver<bool>) {
    let mut port = HidPort::new(usb, "scale", |descriptor| layout(descriptor).is_some());
    run_over(&mut port, &RealPace::start(), config, &mut outlet, stop);
}

/// The same over any pipe of reports, in any time.
pub fn run_over(
    port: &mut dyn Port,
    pace: &dyn Pace,
    config: Config,
    outlet: &mut Outlet,
    stop: &watch::Receiver<bool>,
) {
    supervise(port, pace, outlet, stop, |now, descriptor| {
        match layout(descriptor) {
            Some(layout) => Ok(Talk::begin(layout, config, now)),
            None => Err("no scale: its report descriptor has no usage page 8D".to_owned()),
        }
    });
}

/// The talk with one scale; it only listens.
#[derive(Debug)]
struct Talk {
    layout: Layout,
    silence_ms: u64,
    deadline_ms: u64,
    /// The first report is what the scale last said to somebody else, minutes ago perhaps.
    is_first: bool,
    actions: VecDeque<Action>,
}

impl Talk {
    fn begin(layout: Layout, config: Config, now: Moment) -> Self {
        let silence_ms = u64::try_from(config.silence.as_millis()).unwrap_or(u64::MAX);
        Self {
            layout,
            silence_ms,
            deadline_ms: now.ms.saturating_add(silence_ms),
            is_first: true,
            actions: VecDeque::new(),
        }
    }

    fn on_weight(&mut self, now: Moment, weight: Weight) {
        let (state, reason) = match trouble(weight.state) {
            Some(trouble) => (SourceState::Degraded, trouble),
            None => (SourceState::Online, ""),
        };
        self.actions
            .push_back(Action::State(state, reason.to_owned()));
        if state == SourceState::Online {
            let message = format!(r#"{{"grams":{}}}"#, weight.grams);
            let readings = Readings::one(now.wall, message.into_bytes());
            self.actions.push_back(Action::Readings(readings));
        }
    }
}

/// Why the weight cannot be believed. One that still moves can: whoever reads it knows motion.
fn trouble(state: State) -> Option<&'static str> {
    match state {
        State::Zero | State::Moving | State::Stable => None,
        State::Fault => Some("the scale tells a fault: unplug it and look at its own display"),
        State::UnderZero => Some(
            "under zero: the scale was zeroed with goods on it, or its plate hangs; empty and zero it",
        ),
        State::OverLimit => Some("over its limit: take goods off it"),
        State::NeedsCalibration => Some("it wants to be calibrated"),
        State::NeedsRezero => Some("it wants to be zeroed: empty it and press its zero key"),
    }
}

impl Session for Talk {
    fn on_bytes(&mut self, now: Moment, report: &[u8]) {
        self.deadline_ms = now.ms.saturating_add(self.silence_ms);
        if std::mem::take(&mut self.is_first) {
            return;
        }
        match Weight::decode(self.layout, report) {
            Ok(weight) => self.on_weight(now, weight),
            Err(error) => self.actions.push_back(Action::Lost(1, error.to_string())),
        }
    }

    fn on_time(&mut self, _: Moment) {
        let ms = self.silence_ms;
        let reason = format!("it said nothing for {ms} ms: is it switched on?");
        self.actions.push_back(Action::End(reason));
    }

    fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    fn on_stop(&mut self) {}

    fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
