//! Scales that follow the HID point-of-sale tables: each report a weight, passed on while the scale
//! can be believed.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::silence::Silence;
use crate::link::hid::HidPort;
use crate::link::outlet::{Outlet, Readings};
use crate::link::pipe::{Moment, Pace, Port, RealPace};
use crate::link::supervise::{Action, Session, supervise};
use crate::link::usb::UsbId;
use crate::observation::SourceState;
use crate::wire::encode;
use crate::wire::hid_scale::{Layout, State, Weight, layout};

/// Reads the scale at `usb` until it is told to stop, on this thread.
pub fn run(usb: UsbId, mut outlet: Outlet, stop: &watch::Receiver<bool>) {
    let mut port = HidPort::new(usb, "scale", |descriptor| layout(descriptor).is_some());
    run_over(&mut port, &RealPace::start(), &mut outlet, stop);
}

/// The same over any pipe of reports, in any time.
pub fn run_over(
    port: &mut dyn Port,
    pace: &dyn Pace,
    outlet: &mut Outlet,
    stop: &watch::Receiver<bool>,
) {
    supervise(port, pace, outlet, stop, |now, descriptor| {
        match layout(descriptor) {
            Some(layout) => Ok(Talk::begin(layout, now)),
            None => Err("no scale: its report descriptor has no usage page 8D".to_owned()),
        }
    });
}

/// The talk with one scale; it only listens.
#[derive(Debug)]
struct Talk {
    layout: Layout,
    silence: Silence,
    /// The first report is what the scale last said to somebody else, minutes ago perhaps.
    is_first: bool,
    actions: VecDeque<Action>,
}

impl Talk {
    fn begin(layout: Layout, now: Moment) -> Self {
        let mut silence = Silence::default();
        silence.heard(now.ms);
        Self {
            layout,
            silence,
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
            let readings = Readings::one(now.wall, encode::weight(weight.grams));
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
        self.silence.heard(now.ms);
        if std::mem::take(&mut self.is_first) {
            return;
        }
        match Weight::decode(self.layout, report) {
            Ok(weight) => self.on_weight(now, weight),
            Err(error) => self.actions.push_back(Action::Lost(1, error.to_string())),
        }
    }

    fn on_time(&mut self, _: Moment) {
        let reason = "it says nothing any more: is it switched on?".to_owned();
        self.actions.push_back(Action::End(reason));
    }

    fn deadline_ms(&self) -> u64 {
        self.silence.over_ms().unwrap_or(u64::MAX)
    }

    fn on_stop(&mut self) {}

    fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
