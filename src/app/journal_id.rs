//! Names of journals.

use crate::clock;

/// Eight letters and digits that no other box has, and nobody takes for others.
pub(super) fn new_id() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 8];
    let filled = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
    if filled.is_err() {
        // A kernel without randomness has a clock at least.
        bytes = clock::wall().as_micros().to_le_bytes();
    }
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    bytes.iter().map(letter).collect()
}
