//! Nothing can be written: the disk is full, read-only or broken. Nothing is given to the engine then;
//! what the sensors say is counted, and told as gaps when there is space again.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::{CANNOT_WRITE, IDLE, Sequencer};
use crate::app::run::given::Given;
use crate::link::outlet::Told;
use crate::observation::SourceReport;
use crate::recording::journal::Journal;
use crate::units::Timestamp;
use crate::wire::delivery::Reply;

/// How long inputs may wait in the queue while nothing can be written, before they are counted as
/// lost.
const HOLD_MS: u64 = 2_000;
/// How often it is tried whether there is space again.
const RETRY_MS: u64 = 500;

/// Nothing can be written.
pub(super) struct Broken {
    pub(super) since_ms: u64,
    pub(super) since: Timestamp,
    pub(super) tried_ms: u64,
    /// Whether the journal's file cannot be trusted any more.
    pub(super) journal: bool,
    pub(super) lost: BTreeMap<String, u64>,
}

impl Sequencer {
    pub(super) fn break_down(&mut self, why: &str, journal: bool) {
        if let Some(broken) = &mut self.broken {
            broken.journal |= journal;
            return;
        }
        tracing::error!("nothing can be written, so nothing is taken in: {why}");
        self.health.set("storage", Some(why.to_owned()));
        self.health.set_ready(false);
        let since_ms = self.watch.millis();
        self.broken = Some(Broken {
            since_ms,
            since: self.now,
            tried_ms: since_ms,
            journal,
            lost: BTreeMap::new(),
        });
    }

    /// Waits for space, and counts what is lost meanwhile.
    pub(super) fn broken_turn(&mut self, inlet: &Receiver<Given>) {
        let now = self.watch.millis();
        let Some(broken) = &mut self.broken else {
            return;
        };
        if now - broken.tried_ms >= RETRY_MS {
            broken.tried_ms = now;
            self.try_to_mend();
            return;
        }
        if now - broken.since_ms < HOLD_MS {
            // A short hiccup loses nothing: the queue holds.
            std::thread::park_timeout(Duration::from_millis(20));
            return;
        }
        match inlet.recv_timeout(IDLE) {
            Ok(Given::Sensed(sensed)) => {
                *broken.lost.entry(sensed.topic.source.clone()).or_insert(0) += 1;
            }
            Ok(Given::Told(topic, told, _)) => self.told_meanwhile(&topic.source, told),
            Ok(Given::Parted(source)) => self.states.forget(&source),
            Ok(Given::Event(_, answer)) => drop(answer.send(Err(CANNOT_WRITE.to_owned()))),
            Ok(Given::Command(asked)) => {
                drop(asked.answer.send(Reply::refused(CANNOT_WRITE.to_owned())));
            }
            Ok(Given::Reload(_, answer)) => {
                drop(answer.send(Err("the box cannot write at present".to_owned())));
            }
            Ok(Given::TapeEnded) => self.tape_ended(),
            Ok(Given::Stop) | Err(RecvTimeoutError::Disconnected) => self.stopping = true,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }

    /// Nothing a sensor says is taken in; how it is must be known when there is space again.
    fn told_meanwhile(&mut self, source: &str, told: Told) {
        let lost = match told {
            Told::Readings(readings) => readings.len() as u64,
            Told::Lost { lost, .. } => lost,
            Told::State { state, reason } => {
                self.states.want(source.to_owned(), state, reason);
                return;
            }
        };
        if let Some(broken) = &mut self.broken {
            *broken.lost.entry(source.to_owned()).or_insert(0) += lost;
        }
    }

    pub(super) fn try_to_mend(&mut self) {
        let journal_is_broken = self.broken.as_ref().is_some_and(|broken| broken.journal);
        let trouble = self.outbox.trouble();
        let journal_is_broken =
            journal_is_broken || trouble.as_ref().is_some_and(|trouble| trouble.journal);
        if journal_is_broken {
            if let Err(error) = self.rotate(true) {
                self.health
                    .set("storage", Some(format!("the journal: {error}")));
                return;
            }
            if let Some(broken) = &mut self.broken {
                broken.journal = false;
            }
            match self.journal.as_mut().map(Journal::flush) {
                Some(Ok(file)) => self.outbox.replaced(file),
                _ => return,
            }
            // Rows of the turn that failed go with the next batch.
            return;
        }
        if let Some(trouble) = trouble {
            self.health.set("storage", Some(trouble.to_string()));
            return;
        }
        self.mended();
    }

    pub(super) fn mended(&mut self) {
        let Some(broken) = self.broken.take() else {
            return;
        };
        self.health.set("storage", None);
        self.health.set_ready(true);
        self.advance();
        let lost: u64 = broken.lost.values().sum();
        tracing::warn!(lost, "there is space again; sensors are taken in");
        self.commit();
        for (source, lost) in broken.lost {
            let reason = "the box could not write".to_owned();
            self.source(SourceReport::Gap {
                source,
                lost,
                reason,
            });
        }
        self.tell_states();
        if lost > 0 {
            self.was_away(broken.since);
        }
        self.commit();
    }
}
