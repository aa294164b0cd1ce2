//! Frames through real models, by model and backend, and the share of the time that is the
//! model's own: `cargo bench --bench vision`.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use basketd::ids::CameraIx;
use basketd::vision::{Backend, CameraModel, Choice, Detector, Frame, FrameRunner, Manifest, Pool};

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

/// Thirty frames in order, as replay runs them, by the number of workers.
#[divan::bench(args = [1, 2], sample_count = 5)]
fn thirty_frames(bencher: divan::Bencher<'_, '_>, workers: usize) {
    let Some(frames) = frames::frames("nanostore-real", "cam1", 10, 30) else {
        return;
    };
    let Ok(backend) = Backend::choose(Choice::Auto) else {
        return;
    };
    let model = CameraModel {
        manifest: Arc::new(manifest("yolox")),
        width: 640,
        height: 360,
    };
    let pool = Pool::new(BTreeMap::from([(CameraIx(0), model)]), backend, workers);
    let mut runner = FrameRunner::new(pool.expect("the model is whole"));
    bencher.bench_local(|| {
        for (number, bytes) in frames.iter().enumerate() {
            let frame = Frame {
                camera: CameraIx(0),
                bytes: bytes.clone(),
            };
            runner.push(number, Some(frame));
            while runner.pop().is_some() {}
        }
        while runner.drain().is_some() {}
    });
    println!(
        "{workers} workers, {}: {}",
        backend.describe(),
        runner.timings()
    );
}

fn manifest(model: &str) -> Manifest {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    Manifest::load(&folder, model).expect("the test manifests are sound")
}

fn detector(model: &str, choice: Choice) -> Option<Detector> {
    frames::shared("models")?;
    let backend = Backend::choose(choice);
    let backend = backend.inspect_err(|why| println!("skipped: {why}")).ok()?;
    Some(Detector::load(&manifest(model), backend).expect("the models are whole"))
}
