//! Events that a journal's file carries because the outbox lacked them when it was begun: postcard,
//! in the order of `n`.

use crate::outbox::Row;

pub(in crate::app) fn encode(rows: &[&Row]) -> Vec<u8> {
    if rows.is_empty() {
        return Vec::new();
    }
    postcard::to_stdvec(rows).expect("rows are strings and numbers")
}

/// The error says why bytes are none of ours.
pub(in crate::app) fn decode(bytes: &[u8]) -> Result<Vec<Row>, String> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    postcard::from_bytes(bytes).map_err(|error| error.to_string())
}
