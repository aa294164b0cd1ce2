//! The state's folder: who may use it, and what is in it.
//!
//! | | holds |
//! | --- | --- |
//! | `outbox.db` | events and history, [`crate::outbox`] |
//! | `journal/` | what the engine was given, [`crate::recording::journal`] |
//! | `stores/` | store files by their hash |
//! | `lock` | held by the daemon that runs |

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};

use super::kept::Kept;
use crate::app::journal_id::new_id;
use crate::app::load::Loaded;
use crate::clock;
use crate::outbox::{Limits, OpenError, Outbox};
use crate::recording::journal;
use crate::store::State;

#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

const OUTBOX: &str = "outbox.db";

impl StateDir {
    /// Makes the folder where it is not there, and locks it.
    pub(super) fn open(loaded: &Loaded) -> anyhow::Result<Self> {
        let path = match &loaded.settings.state.dir {
            Some(dir) => loaded.folder.join(dir),
            None => super::default_state(),
        };
        let shown = path.display().to_string();
        fs::create_dir_all(path.join("journal"))
            .with_context(|| format!("failed to make the state's folder {shown}"))?;
        let lock = path.join("lock");
        let file = File::create(&lock)
            .with_context(|| format!("failed to write in the state's folder {shown}"))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_held| {
            anyhow::anyhow!("{shown} is in use by another basketd: one store, one daemon")
        })?;
        Ok(Self { path, _lock: file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn journal(&self) -> PathBuf {
        super::sequencer::journal_folder(&self.path)
    }

    pub(super) fn kept(&self) -> Kept {
        Kept::new(&self.path)
    }

    /// Opens the outbox. A damaged database is set aside, and one made in its place from the
    /// journal; notes tell of it. A newer one is refused.
    pub(super) fn outbox(
        &self,
        store: &str,
        settings: &State,
        changed: impl Fn() + Send + Clone + 'static,
    ) -> anyhow::Result<(Outbox, Vec<String>)> {
        let path = self.path.join(OUTBOX);
        let limits = Limits {
            event_days: settings.outbox_days,
            traffic_days: settings.traffic_days,
            traffic_bytes: settings.traffic_bytes,
        };
        let mut notes = Vec::new();
        match Outbox::open(&path, store, &self.journal_id(), limits, changed.clone()) {
            Ok(outbox) => return Ok((outbox, notes)),
            Err(error @ OpenError::Damaged { .. }) => {
                let aside = self.set_aside(&path)?;
                notes.push(format!(
                    "{error}; set aside as {}, and made anew from the journal",
                    aside.display()
                ));
            }
            Err(error) => return Err(error.into()),
        }
        let outbox = Outbox::open(&path, store, &self.journal_id(), limits, changed)?;
        Ok((outbox, notes))
    }

    fn set_aside(&self, path: &Path) -> anyhow::Result<PathBuf> {
        let when = clock::wall().as_micros() / 1_000_000;
        let named = |tail: &str| self.path.join(format!("{OUTBOX}.damaged-{when}{tail}"));
        fs::rename(path, named(""))
            .with_context(|| format!("failed to set {} aside", path.display()))?;
        for tail in ["-wal", "-shm"] {
            let beside = self.path.join(format!("{OUTBOX}{tail}"));
            // Neither need be there.
            drop(fs::rename(beside, named(tail)));
        }
        Ok(named(""))
    }

    /// The journal's id, as its youngest file has it; else a new one.
    fn journal_id(&self) -> String {
        let files = journal::files(&self.journal()).unwrap_or_default();
        let known = files.iter().rev().find_map(|file| {
            let begins = journal::beginning(&file.path).ok()?;
            begins.metadata.get("journal").cloned()
        });
        known.filter(|id| !id.is_empty()).unwrap_or_else(new_id)
    }
}
