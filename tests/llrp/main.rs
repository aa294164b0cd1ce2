//! LLRP against what others recorded, and against what nobody should send.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod golden;
mod golden_json;
mod random;
mod robust;
mod stream;
mod tags;
mod xml;
