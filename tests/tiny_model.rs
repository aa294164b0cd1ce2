//! The committed tiny model is the one that the code here describes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::path::PathBuf;

mod support;

use support::tiny::{Fault, model};

/// `UPDATE=1 cargo test --test tiny_model` writes it.
#[test]
fn the_committed_model_is_the_generated_one() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/tiny.onnx");
    let generated = model(Fault::None);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    assert_eq!(std::fs::read(&path).unwrap(), generated);
}
