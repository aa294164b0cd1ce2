//! A daemon's journal: each file begins with the frozen engine, so that any can be replayed by
//! itself, and all in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::run::pending;
use crate::engine::Engine;
use crate::recording::journal::{self, Beginning};
use crate::store::Store;

/// The engine to begin with: the first file's own, where it is a journal's; else a new one.
pub(super) fn first_engine(store: &Arc<Store>, recordings: &[PathBuf]) -> Engine {
    let fresh = || Engine::new(Arc::clone(store));
    let Some(path) = recordings.first() else {
        return fresh();
    };
    let begins = journal::beginning(path).unwrap_or_default();
    let is_journal = begins
        .metadata
        .get("timers")
        .is_some_and(|t| t == "journaled");
    match begins.snapshot.filter(|_| is_journal) {
        None => fresh(),
        Some(snapshot) => Engine::thaw(Arc::clone(store), &snapshot).unwrap_or_else(|why| {
            tracing::warn!(
                "{}: its snapshot is not used, so that visits which were open then are unknown: {why}",
                path.display()
            );
            fresh()
        }),
    }
}

/// The engine of a later file whose inputs do not all follow from the file before, with the events
/// that were made by then and may stand in no file.
pub(super) fn resynced(store: &Arc<Store>, path: &Path) -> Option<(Engine, Vec<(u64, String)>)> {
    let Beginning {
        metadata,
        snapshot,
        pending,
    } = journal::beginning(path).ok()?;
    metadata.get("resync").filter(|resync| *resync == "true")?;
    let rows = pending::decode(&pending).unwrap_or_default();
    match Engine::thaw(Arc::clone(store), &snapshot?) {
        Ok(engine) => {
            let rows = rows.into_iter().map(|row| (row.n, row.body));
            Some((engine, rows.collect()))
        }
        Err(why) => {
            tracing::warn!("{}: its snapshot is not used: {why}", path.display());
            None
        }
    }
}
