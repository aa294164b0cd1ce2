//! What is done now and then: a new file of the journal, limits, old files.

use std::io;
use std::sync::atomic::Ordering;

use super::Sequencer;
use crate::app::run::disk::Space;
use crate::app::run::pending;
use crate::observation::{SourceReport, SourceState};
use crate::outbox::{Batch, Row};
use crate::recording::journal::{self, Head, Journal};
use crate::units::TimeDelta;

/// A file of the journal, and with it a snapshot, is begun after so long, …
const ROTATE_MS: u64 = 300_000;
/// … or so long by the engine's time, which a played recording makes run faster, …
const ROTATE_ENGINE_TIME: TimeDelta = TimeDelta::from_millis(1_800_000);
/// … or so many bytes: the file's index is in memory until it ends, …
const ROTATE_BYTES: u64 = 16 << 20;
/// … or when replaying the file would take so long: recovery must be a matter of seconds.
const ROTATE_ENGINE_NANOS: u64 = 2_000_000_000;
/// How often limits and old files are looked at.
const TEND_MS: u64 = 10_000;
/// Files of the journal that are kept whatever room they take: the one being written, and the one
/// before.
const KEEP_FILES: usize = 2;

impl Sequencer {
    /// What is to be done now and then.
    pub(super) fn tend(&mut self) {
        if let Some(trouble) = self.outbox.trouble() {
            let journal = trouble.journal;
            self.break_down(&trouble.to_string(), journal);
            return;
        }
        let now = self.watch.millis();
        let (bytes, messages) = self
            .journal
            .as_ref()
            .map_or((0, 0), |journal| (journal.bytes(), journal.messages));
        let due =
            now - self.rotated_ms >= ROTATE_MS || self.now - self.rotated_at >= ROTATE_ENGINE_TIME;
        let due = due && messages > 0;
        let due = due || bytes >= ROTATE_BYTES || self.engine_nanos >= ROTATE_ENGINE_NANOS;
        let rotated = if due { self.rotate(false) } else { Ok(()) };
        if let Err(error) = rotated {
            self.break_down(&format!("the journal: {error}"), true);
            return;
        }
        if now - self.tended_ms >= TEND_MS || self.tended_ms == 0 {
            self.tended_ms = now.max(1);
            self.keep_within_limits();
        }
    }

    pub(super) fn keep_within_limits(&mut self) {
        self.outbox.tend(self.now.as_micros());
        self.health
            .counts
            .open_visits
            .store(self.engine.open_visits() as u64, Ordering::Relaxed);
        let space = self.disk.look(self.outbox.waiting_bytes());
        let pruned = self.disk.prune(&self.folder, space, KEEP_FILES);
        match pruned {
            Ok((files, bytes)) => {
                let counts = &self.health.counts;
                counts.journal_files.store(files, Ordering::Relaxed);
                counts.journal_bytes.store(bytes, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!("the journal's old files stay: {error}"),
        }
        self.tell_space(space);
    }

    /// The engine hears of the disk as of any other source.
    pub(super) fn tell_space(&mut self, space: Space) {
        let (state, reason) = match space {
            Space::Enough => (SourceState::Online, None),
            Space::Low => (SourceState::Degraded, Some(self.disk.why().to_owned())),
            Space::Full => (SourceState::Offline, Some(self.disk.why().to_owned())),
        };
        self.health.set("disk", reason.clone());
        if !self.disk.is_news(space) {
            return;
        }
        self.source(SourceReport::State {
            source: "box/disk".to_owned(),
            state,
            reason: reason.unwrap_or_default(),
        });
        self.commit();
    }

    /// Ends the journal's file and begins the next with the frozen engine.
    pub(super) fn rotate(&mut self, resync: bool) -> io::Result<()> {
        let committed = self.outbox.committed();
        let pending = self.uncommitted.iter().chain(&self.rows);
        let pending: Vec<&Row> = pending.filter(|row| row.n > committed).collect();
        let snapshot = self.engine.freeze();
        let head = Head {
            resync,
            ..self.head.clone()
        };
        let begun = Journal::begin(
            &self.folder,
            self.number,
            &head,
            self.now.as_nanos(),
            &snapshot,
            &pending::encode(&pending),
        )?;
        let snapshot_bytes = &self.health.counts.snapshot_bytes;
        snapshot_bytes.store(snapshot.len() as u64, Ordering::Relaxed);
        self.number += 1;
        self.rotated_ms = self.watch.millis();
        self.rotated_at = self.now;
        self.engine_nanos = 0;
        if let Some(ended) = self.journal.replace(begun).filter(|_| !resync) {
            let path = ended.path.clone();
            // Its bytes so far must be on disk before later events are; its index need not.
            match ended.finish() {
                Ok(file) => self.outbox.write(Batch {
                    journal: Some(file),
                    ..Batch::default()
                }),
                Err(error) => {
                    tracing::warn!("{}: ended without an index: {error}", path.display());
                }
            }
        }
        Ok(())
    }
}

/// Removes what is past its limits, with how much is left: files and bytes.
pub(in crate::app::run) fn prune(
    folder: &std::path::Path,
    bytes: u64,
    before_s: u64,
    keep: usize,
) -> io::Result<(u64, u64)> {
    for file in journal::prune(folder, bytes, before_s, keep)? {
        tracing::debug!(
            file = file.number,
            "a file of the journal is past its limit"
        );
    }
    let left = journal::files(folder)?;
    let total = left.iter().map(|file| file.bytes).sum();
    Ok((left.len() as u64, total))
}
