//! One device for ever: open, talk, and begin again after whatever went wrong.
//!
//! A [`Session`] is the talk as a value: bytes and time go in, [`Action`]s come out; it knows no pipe
//! and no clock. [`supervise`] owns the pipe. It ends when it is told to or when nobody takes any
//! more, never because of a device.

use std::time::Duration;

use tokio::sync::watch;

use super::backoff::Backoff;
use super::outlet::{Gone, Outlet, Readings};
use super::pipe::{BytePipe, Moment, Pace, PipeError, Port};
use crate::observation::SourceState;

/// What a session wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Write(Vec<u8>),
    SetBaud(u32),
    State(SourceState, String),
    Readings(Readings),
    Lost(u64, String),
    /// The talk has failed, and why: close, wait, open again.
    End(String),
}

pub trait Session {
    fn on_bytes(&mut self, now: Moment, bytes: &[u8]);

    /// The time of [`Session::deadline_ms`] has come, or passed.
    fn on_time(&mut self, now: Moment);

    /// In [`Moment::ms`].
    fn deadline_ms(&self) -> u64;

    /// Last words: what the device must be told before it is left alone.
    fn on_stop(&mut self);

    fn poll(&mut self) -> Option<Action>;
}

/// An order to stop is seen this soon.
const STEP: Duration = Duration::from_millis(100);
/// A device that is not there is looked for this often.
const LOOK: Duration = Duration::from_secs(1);

/// Why a talk ended.
enum Ended {
    Stopped,
    Failed { error: PipeError, was_online: bool },
}

/// Runs sessions one after another over the device at `port`. `begin` makes a session of what the
/// device says of itself, or tells why it is the wrong device.
pub fn supervise<S: Session>(
    port: &mut dyn Port,
    pace: &dyn Pace,
    outlet: &mut Outlet,
    stop: &watch::Receiver<bool>,
    mut begin: impl FnMut(Moment, &[u8]) -> Result<S, String>,
) {
    let mut backoff = Backoff::default();
    while !stopped(stop) {
        let ended = match port.open() {
            Err(error) => Ok(Ended::Failed {
                error,
                was_online: false,
            }),
            Ok(mut pipe) => match begin(pace.now(), pipe.descriptor()) {
                Err(reason) => Ok(Ended::Failed {
                    error: PipeError::Failed(reason),
                    was_online: false,
                }),
                Ok(session) => talk(&mut *pipe, session, pace, outlet, stop),
            },
        };
        let Ok(Ended::Failed { error, was_online }) = ended else {
            return;
        };
        if was_online {
            backoff.reset();
        }
        let wait = match error {
            PipeError::Missing(_) | PipeError::Unplugged => LOOK,
            PipeError::Failed(_) => backoff.wait(),
        };
        let reason = format!("{}: {error}", port.name());
        if outlet
            .state_blocking(SourceState::Offline, &reason)
            .is_err()
        {
            return;
        }
        pause(wait, pace, stop);
    }
}

/// One talk until it fails or is told to stop.
fn talk<S: Session>(
    pipe: &mut dyn BytePipe,
    mut session: S,
    pace: &dyn Pace,
    outlet: &mut Outlet,
    stop: &watch::Receiver<bool>,
) -> Result<Ended, Gone> {
    let mut buffer = [0; 4096];
    let mut was_online = false;
    let failed = |error, was_online| Ok(Ended::Failed { error, was_online });
    loop {
        while let Some(action) = session.poll() {
            was_online |=
                matches!(&action, Action::State(state, _) if *state != SourceState::Offline);
            if let Err(error) = act(action, pipe, outlet)? {
                return failed(error, was_online);
            }
        }
        if stopped(stop) {
            say_goodbye(pipe, session, outlet);
            return Ok(Ended::Stopped);
        }
        let left = session.deadline_ms().saturating_sub(pace.now().ms);
        let timeout = Duration::from_millis(left.max(1)).min(STEP);
        match pipe.read(&mut buffer, timeout) {
            Ok(0) => {}
            Ok(count) => session.on_bytes(pace.now(), buffer.get(..count).unwrap_or_default()),
            Err(error) => return failed(error, was_online),
        }
        let now = pace.now();
        if now.ms >= session.deadline_ms() {
            session.on_time(now);
        }
    }
}

/// Does one thing; the inner error is the device's.
fn act(
    action: Action,
    pipe: &mut dyn BytePipe,
    outlet: &mut Outlet,
) -> Result<Result<(), PipeError>, Gone> {
    match action {
        Action::Write(bytes) => return Ok(pipe.write(&bytes)),
        Action::SetBaud(baud) => return Ok(pipe.set_baud(baud)),
        Action::State(state, reason) => outlet.state_blocking(state, &reason)?,
        Action::Readings(readings) => outlet.readings_blocking(readings)?,
        Action::Lost(lost, reason) => outlet.lose(lost, &reason)?,
        Action::End(reason) => return Ok(Err(PipeError::Failed(reason))),
    }
    Ok(Ok(()))
}

/// Whether the device hears it is not waited for.
fn say_goodbye<S: Session>(pipe: &mut dyn BytePipe, mut session: S, outlet: &mut Outlet) {
    session.on_stop();
    while let Some(action) = session.poll() {
        if !matches!(act(action, pipe, outlet), Ok(Ok(()))) {
            return;
        }
    }
}

/// Whoever could order a stop being gone is one.
fn stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

fn pause(wait: Duration, pace: &dyn Pace, stop: &watch::Receiver<bool>) {
    let mut left = wait;
    while !left.is_zero() && !stopped(stop) {
        let step = left.min(STEP);
        pace.pause(step);
        left -= step;
    }
}
