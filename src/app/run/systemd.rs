//! What systemd is told: that the daemon is ready, how it is, and that its engine makes progress.
//! Without systemd nobody is told anything.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::Monotonic;

pub(super) fn ready(store: &str) {
    let text = format!("store {store} is watched");
    notify(&[NotifyState::Ready, NotifyState::Status(&text)]);
}

pub(super) fn status(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("systemd is not told of the reload: {error}"),
    }
}

pub(super) fn reloaded() {
    notify(&[NotifyState::Ready]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd is not told: {error}");
    }
}

/// Fed by the engine's own progress: where its beats stop, systemd hears nothing any more, and
/// starts the daemon anew.
pub(super) struct Watchdog {
    every: Option<Duration>,
    clock: Monotonic,
    fed_ms: u64,
    beats: u64,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        // Three times within the time that systemd allows.
        let every = sd_notify::watchdog_enabled().map(|allowed| allowed / 3);
        Self {
            every,
            clock: Monotonic::start(),
            fed_ms: 0,
            beats: 0,
        }
    }

    /// Call often.
    pub(super) fn feed(&mut self, beats: u64) {
        let Some(every) = self.every else { return };
        let now = self.clock.millis();
        let due = now - self.fed_ms >= u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        if due && beats != self.beats {
            self.beats = beats;
            self.fed_ms = now;
            notify(&[NotifyState::Watchdog]);
        }
    }
}
