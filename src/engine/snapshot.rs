//! The frozen engine: a version, whose it is, then all state. Layout: the eight bytes `basketd` and
//! a version number; 8 bytes of the SHA-256 of the store's layout, since the state counts sensors
//! and shelves by their place in it; 8 bytes of the SHA-256 of the state; the state in postcard's
//! format. A snapshot of another version or layout, or a damaged one, is refused; its reader
//! replays the journal instead.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{Engine, State};
use crate::store::Store;

/// Raised whenever the state's shape changes.
const VERSION: u8 = 2;
const MAGIC: &[u8; 7] = b"basketd";

/// Why bytes cannot be thawed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThawError {
    #[error("not a snapshot of basketd")]
    Magic,
    #[error("a snapshot of version {found}; this program reads version {VERSION}")]
    Version { found: u8 },
    #[error(
        "frozen in a store of other sensors, shelves or doors than `{store}`; thaw it with the \
         store file that it was frozen with"
    )]
    Layout { store: String },
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
        let state = postcard::to_stdvec(&self.state).expect("the state's types all serialise");
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend(layout(&self.store));
        bytes.extend(digest(&state));
        bytes.extend(state);
        bytes
    }

    /// The engine as it was frozen, for the same store.
    pub fn thaw(store: Arc<Store>, bytes: &[u8]) -> Result<Self, ThawError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ThawError::Magic)?;
        let (version, rest) = rest.split_first().ok_or(ThawError::Magic)?;
        if *version != VERSION {
            return Err(ThawError::Version { found: *version });
        }
        let damaged = |what: &str| ThawError::Damaged(what.to_owned());
        let (of_layout, rest) = rest
            .split_at_checked(8)
            .ok_or_else(|| damaged("cut short"))?;
        let (of_state, rest) = rest
            .split_at_checked(8)
            .ok_or_else(|| damaged("cut short"))?;
        if digest(rest) != of_state {
            return Err(damaged("its checksum is another"));
        }
        if layout(&store) != of_layout {
            let store = store.id.clone();
            return Err(ThawError::Layout { store });
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

fn digest(bytes: &[u8]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&Sha256::digest(bytes)[..8]);
    first
}

/// What the state's indices stand for: everything that is counted by its place, in order.
fn layout(store: &Store) -> [u8; 8] {
    let ids = |kind: &str, ids: &mut dyn Iterator<Item = &String>| {
        let mut text = format!("{kind}\n");
        for id in ids {
            text.push_str(id);
            text.push('\n');
        }
        text
    };
    let mut text = format!("{}\n", store.id);
    text += &ids("zones", &mut store.zones.iter().map(|z| &z.id));
    text += &ids("gates", &mut store.gates.iter().map(|g| &g.id));
    text += &ids("gondolas", &mut store.gondolas.iter().map(|g| &g.id));
    text += &ids("shelves", &mut store.shelves.iter().map(|s| &s.id));
    text += &ids("scales", &mut store.scales.iter().map(|s| &s.id));
    text += &ids("readers", &mut store.readers.iter().map(|r| &r.id));
    text += &ids("cameras", &mut store.cameras.iter().map(|c| &c.id));
    for antenna in &store.antennas {
        text += &format!("{:?} {}\n", antenna.reader, antenna.port);
    }
    digest(text.as_bytes())
}
