//! What is done with each view of a camera: watched, thinned out, passed by the motion gate, given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::health::{Health, Verdict};
use super::luma::Luma;
use super::motion::{Decision, Gate};
use super::pace::Pace;
use super::source::View;
use super::{Config, Frame, TakeFrame};

/// Brightness is looked at this often where no gate needs it.
const LOOK_MS: u64 = 1000;

pub(super) struct Eye {
    take: Arc<TakeFrame>,
    pace: Pace,
    gate: Option<Gate>,
    occupied: Arc<AtomicBool>,
    health: Health,
    looked_ms: Option<u64>,
}

impl Eye {
    pub(super) fn new(config: &Config, take: Arc<TakeFrame>) -> Self {
        Self {
            take,
            pace: Pace::new(config.fps()),
            gate: config.motion.map(Gate::new),
            occupied: Arc::clone(&config.occupied),
            health: Health::new(config.limits),
            looked_ms: None,
        }
    }

    pub(super) fn opened(&mut self, now_ms: u64) {
        self.health.opened(now_ms);
    }

    pub(super) fn verdict(&mut self, now_ms: u64) -> Verdict {
        self.health.verdict(now_ms)
    }

    pub(super) fn see(&mut self, view: &View<'_>, now_ms: u64) {
        self.health.came(now_ms);
        if view.fresh {
            self.health.fresh(now_ms, view.pixels.fingerprint());
        }
        if !self.pace.admit(view.captured_at) {
            return;
        }
        let luma = self.luma(view, now_ms);
        if !self.passes(view, luma.as_ref()) {
            return;
        }
        if let Some(picture) = view.pixels.picture() {
            (self.take)(Frame {
                captured_at: view.captured_at,
                picture,
            });
        }
    }

    /// The small picture, where somebody needs it now.
    fn luma(&mut self, view: &View<'_>, now_ms: u64) -> Option<Luma> {
        let due = self.looked_ms.is_none_or(|ms| now_ms >= ms + LOOK_MS);
        if !due && self.gate.is_none() {
            return None;
        }
        let luma = view.pixels.luma();
        if due || luma.is_none() {
            self.looked_ms = Some(now_ms);
            self.health.seen(now_ms, luma.as_ref());
        }
        luma
    }

    /// What cannot be looked at passes: whoever takes it will say so.
    fn passes(&mut self, view: &View<'_>, luma: Option<&Luma>) -> bool {
        match (&mut self.gate, luma) {
            (Some(gate), Some(luma)) => {
                let asleep = gate.see(view.captured_at, luma) == Decision::Asleep;
                !asleep || self.occupied.load(Ordering::Relaxed)
            }
            _ => true,
        }
    }
}
