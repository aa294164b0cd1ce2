//! The outbox: every event that the engine has made, in SQLite, until the backend has it, and for
//! some weeks longer as the history that people ask.
//!
//! Durable at return: WAL with `synchronous = FULL`. One thread writes; it takes all that waits for
//! it into one transaction, so that a disk's flush is paid once for many events. Readers are
//! connections of their own and never wait for it.
//!
//! The journal is the write-ahead log of what is here: each batch names the journal file whose
//! bytes must be on disk before its events are. An event's `n` is its key: the same event written
//! twice, as after a recovery, is one row.
//!
//! On disk: `outbox.db`, with `PRAGMA application_id` 0x62736b74 (`bskt`) and `user_version` as the
//! schema's version. A newer version is refused; a damaged file is told as such, and its owner
//! sets it aside and makes the events anew from the journal.

use serde::{Deserialize, Serialize};

mod handle;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

pub use handle::{Batch, Limits, Outbox, Then, Trouble};
pub use reader::{OpenVisit, Queued, Reader};
pub use schema::{OpenError, SCHEMA_VERSION};

/// An event's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub n: u64,
    /// Microseconds since 1970, by the engine's time.
    pub at_us: i64,
    /// The event's type, such as `basketd.item.taken`.
    pub kind: String,
    pub visit: Option<String>,
    pub topic: String,
    pub retained: bool,
    /// The event as it is published.
    pub body: String,
    /// What it says of a visit as a whole.
    pub change: Option<Change>,
}

/// What the history keeps of a visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    Opened {
        token: Option<String>,
    },
    /// Closed, or adjusted after closing.
    Closed {
        review: bool,
        total: String,
    },
}
