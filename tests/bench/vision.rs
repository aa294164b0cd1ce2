//! Frames through real models, by model and backend, and the share of the time that is the
//! model's own: `cargo bench --bench vision`.

use std::path::PathBuf;

use basketd::vision::{Backend, Choice, Detector, Manifest};

#[path = "../support/frames.rs"]
mod frames;

fn main() {
    divan::main();
}

const CASES: [(&str, Choice); 6] = [
    ("yolox", Choice::OnnxRuntime),
    ("yolox", Choice::Tract),
    ("fastestdet", Choice::OnnxRuntime),
    ("nanodet", Choice::OnnxRuntime),
    ("nanodet", Choice::Tract),
    ("ultraface", Choice::OnnxRuntime),
];

/// One 640 x 360 JPEG, from bytes to detections.
#[divan::bench(args = CASES.map(|(model, backend)| format!("{model} {backend:?}")))]
fn frame(bencher: divan::Bencher<'_, '_>, case: &str) {
    let named = |(model, backend): &&(&str, Choice)| format!("{model} {backend:?}") == case;
    let Some((model, choice)) = CASES.iter().find(named) else {
        return;
    };
    let Some(mut detector) = detector(model, *choice) else {
        return;
    };
    let Some(frames) = frames::frames("nanostore-real", "cam1", 10, 30) else {
        return;
    };
    let mut frames = frames.iter().cycle();
    bencher.bench_local(|| detector.detect(frames.next()?, 640, 360).ok());
    println!("{case}: {}", detector.take_timings());
}

fn detector(model: &str, choice: Choice) -> Option<Detector> {
    frames::shared("models")?;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let manifest = Manifest::load(&folder, model).expect("the test manifests are sound");
    let backend = Backend::choose(choice);
    let backend = backend.inspect_err(|why| println!("skipped: {why}")).ok()?;
    Some(Detector::load(&manifest, backend).expect("the models are whole"))
}
