//! The frozen engine: a version, whose it is, then all state. Layout: the eight bytes `basketd` and
//! a version number; 8 bytes of the SHA-256 of the store's layout, since the state counts sensors
//! and shelves by their place in it and has drawn maps of the floor from it; 8 bytes of the SHA-256 of the state; the state in postcard's
//! format. A snapshot of another version or layout, or a damaged one, is refused; its reader
//! replays the journal instead.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{Engine, State};
use crate::store::{Store, View};

/// Raised whenever the state's shape changes.
const VERSION: u8 = 12;
const MAGIC: &[u8; 7] = b"basketd";

/// Why bytes cannot be thawed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThawError {
    #[error("not a snapshot of basketd")]
    Magic,
    #[error("a snapshot of version {found}; this program reads version {VERSION}")]
    Version { found: u8 },
    #[error(
        "frozen in a store of other sensors, shelves, doors or places of them, or of another \
         currency, than `{store}`; thaw it with the store file that it was frozen with"
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

    /// The engine as it was frozen, for the same store or one with the same layout.
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
        let mut engine = Self {
            store: Arc::clone(&store),
            state,
            outputs: std::collections::VecDeque::new(),
            findings: false,
            basket_deadline: None,
        };
        engine.adopt(store);
        Ok(engine)
    }
}

fn digest(bytes: &[u8]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&Sha256::digest(bytes)[..8]);
    first
}

/// What the state's indices stand for, and all else of a store that the state holds a copy of or
/// has drawn something from: where things are, what sees what, and the currency of amounts. Not
/// the catalogue, facings, tags, names and tunables: the engine asks its store for those each time.
pub(super) fn layout(store: &Store) -> [u8; 8] {
    let zones: Vec<_> = store
        .zones
        .iter()
        .map(|z| (&z.id, [z.entry, z.exit, z.aisle, z.staff], &z.polygon))
        .collect();
    let gates: Vec<_> = store.gates.iter().map(|g| (&g.id, g.zone)).collect();
    let gondolas: Vec<_> = store
        .gondolas
        .iter()
        .map(|g| (&g.id, &g.front, g.reach, &g.shelves))
        .collect();
    let shelves: Vec<_> = store
        .shelves
        .iter()
        .map(|s| (&s.id, s.gondola, &s.scales, &s.antennas))
        .collect();
    let scales: Vec<_> = store.scales.iter().map(|s| (&s.id, s.shelf)).collect();
    let readers: Vec<_> = store.readers.iter().map(|r| &r.id).collect();
    let cameras: Vec<(&String, u32, u32, &View)> = store
        .cameras
        .iter()
        .map(|c| (&c.id, c.width, c.height, &c.view))
        .collect();
    let layout = (
        (&store.id, &store.currency),
        (zones, gates, gondolas, shelves, scales),
        (readers, &store.antennas, cameras),
    );
    digest(&postcard::to_stdvec(&layout).expect("ids, places and numbers all serialise"))
}
