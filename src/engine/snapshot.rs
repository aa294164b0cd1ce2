//! The frozen engine: a version, then all state. Layout: the eight bytes `basketd` and a version
//! number, then the state in postcard's format. A snapshot of another version is refused; its
//! reader replays the journal instead.

use std::sync::Arc;

use super::{Engine, State};
use crate::store::Store;

/// Raised whenever the state's shape changes.
const VERSION: u8 = 1;
const MAGIC: &[u8; 7] = b"basketd";

/// Why bytes cannot be thawed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThawError {
    #[error("not a snapshot of basketd")]
    Magic,
    #[error("a snapshot of version {found}; this program reads version {VERSION}")]
    Version { found: u8 },
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
}

impl Engine {
    /// All state as bytes; outputs must have been drained.
    pub fn freeze(&self) -> Vec<u8> {
        debug_assert!(
            self.outputs.is_empty(),
            "outputs are drained before a freeze"
        );
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        postcard::to_extend(&self.state, bytes).expect("the state's types all serialise")
    }

    /// The engine as it was frozen, for the same store.
    pub fn thaw(store: Arc<Store>, bytes: &[u8]) -> Result<Self, ThawError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ThawError::Magic)?;
        let (version, rest) = rest.split_first().ok_or(ThawError::Magic)?;
        if *version != VERSION {
            return Err(ThawError::Version { found: *version });
        }
        let state: State =
            postcard::from_bytes(rest).map_err(|e| ThawError::Damaged(e.to_string()))?;
        Ok(Self {
            store,
            state,
            outputs: std::collections::VecDeque::new(),
            findings: false,
        })
    }
}
