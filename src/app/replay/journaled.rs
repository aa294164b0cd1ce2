//! A daemon's journal: each file begins with the frozen engine, so that any can be replayed by
//! itself, and all in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::run::pending;
use crate::engine::Engine;
use crate::outbox::Row;
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

/// The number of a journal's file.
pub(super) fn number(path: &Path) -> Option<u64> {
    journal::beginning(path).ok()?.file()
}

/// The engine of a later file whose inputs do not all follow from the file before, with the events
/// that were made by then and may stand in no file. `before` is the number of the file before, where
/// that is a journal's, too.
pub(super) fn resynced(
    store: &Arc<Store>,
    path: &Path,
    before: Option<u64>,
) -> Option<(Engine, Vec<Row>)> {
    let begins = journal::beginning(path).ok()?;
    let skipped = before
        .zip(begins.file())
        .is_some_and(|(before, number)| number != before + 1);
    if !begins.is_resync() && !skipped {
        return None;
    }
    let Beginning {
        snapshot, pending, ..
    } = begins;
    let rows = pending::decode(&pending).unwrap_or_else(|why| {
        tracing::warn!("{}: its pending events are lost: {why}", path.display());
        Vec::new()
    });
    let thawed = match snapshot {
        Some(snapshot) => Engine::thaw(Arc::clone(store), &snapshot).map_err(|why| why.to_string()),
        None => Err("none is there".to_owned()),
    };
    match thawed {
        Ok(engine) => Some((engine, rows)),
        Err(why) => {
            tracing::warn!(
                "{}: its snapshot is not used, and the replay goes on with another engine: {why}",
                path.display()
            );
            None
        }
    }
}
