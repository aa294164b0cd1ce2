//! Store files as they were when a journal's files were written: kept by their hash, so that an
//! older file can be replayed as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::app::load::Inputs;
use crate::store::Store;

#[derive(Debug, Clone)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    pub(super) fn new(state: &Path) -> Self {
        let folder = state.join("stores");
        Self { folder }
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.json"))
    }

    /// Keeps a store's texts, once.
    pub(super) fn keep(&self, sha256: &str, inputs: &Inputs) -> anyhow::Result<()> {
        let path = self.path(sha256);
        if path.is_file() {
            return Ok(());
        }
        let shown = || format!("failed to keep the store file in {}", self.folder.display());
        fs::create_dir_all(&self.folder).with_context(shown)?;
        let text = serde_json::to_vec(inputs)?;
        let making = path.with_extension("new");
        fs::write(&making, text).with_context(shown)?;
        fs::rename(&making, &path).with_context(shown)
    }

    /// A store as it was; `None` where it was not kept, or is not right for this version.
    pub(super) fn store(&self, sha256: &str) -> Option<Arc<Store>> {
        let plain = !sha256.is_empty() && sha256.bytes().all(|c| c.is_ascii_hexdigit());
        let text = fs::read(self.path(sha256)).ok().filter(|_| plain)?;
        let inputs: Inputs = serde_json::from_slice(&text).ok()?;
        inputs.store().map(Arc::new)
    }
}
