//! Inference on real models and frames, and on the project's own tiny model.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use basketd::ids::CameraIx;
use basketd::observation::{Class, Detection};
use basketd::units::BBox;
use basketd::vision::{
    Backend, CameraModel, Choice, Detector, Found, Frame, FrameRunner, Manifest, Pool,
};
use image::{ImageFormat, Rgb, RgbImage};

mod support;

use support::frames::{frames, shared};
use support::tiny::{Fault, model};

const RED: Rgb<u8> = Rgb([255, 0, 0]);
const BLUE: Rgb<u8> = Rgb([0, 0, 255]);

/// Every backend of this box; says which are left out.
fn backends() -> Vec<Backend> {
    let mut backends = Vec::new();
    for choice in [Choice::Tract, Choice::OnnxRuntime] {
        match Backend::choose(choice) {
            Ok(backend) => backends.push(backend),
            Err(why) => println!("skipped: {why}"),
        }
    }
    assert!(!backends.is_empty());
    backends
}

fn own_models() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// A manifest of the tests for a model of the shared folder.
fn test_model(name: &str) -> Option<Manifest> {
    shared("models")?;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    Some(Manifest::load(&folder, name).unwrap())
}

fn blocks(width: u32, height: u32, blocks: &[(u32, u32, u32, Rgb<u8>)]) -> Vec<u8> {
    let mut picture = RgbImage::new(width, height);
    for (x, y, side, colour) in blocks {
        for dx in 0..*side {
            for dy in 0..*side {
                picture.put_pixel(x + dx, y + dy, *colour);
            }
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn count(found: &[Detection], class: Class) -> usize {
    found.iter().filter(|one| one.class == class).count()
}

#[test]
fn the_tiny_model_sees_blocks_where_they_are() {
    let manifest = Manifest::load(&own_models(), "tiny").unwrap();
    // Letterboxed to a half: 16 pixels of the picture are a cell of 8; the camera's pixels are
    // twice the picture's.
    let picture = blocks(128, 96, &[(32, 16, 16, RED), (96, 64, 32, BLUE)]);
    for backend in backends() {
        let mut detector = Detector::load(&manifest, backend).unwrap();
        let Found { detections, faces } = detector.detect(&picture, 256, 192).unwrap();
        let red: Vec<_> = detections
            .iter()
            .filter(|d| d.class == Class::Product)
            .collect();
        assert_eq!(red.len(), 1, "{backend:?}: {detections:#?}");
        assert_eq!(red[0].bbox, BBox::new(64.0, 32.0, 96.0, 64.0));
        let (gtin, probability) = red[0].gtins[0];
        assert_eq!(gtin.to_string(), "00000000000017");
        assert!(probability > 0.99 && red[0].score > 0.99);
        let blue: Vec<_> = detections
            .iter()
            .filter(|d| d.class == Class::Person)
            .collect();
        let whole = BBox::new(192.0, 128.0, 256.0, 192.0);
        assert!(
            blue.iter().any(|d| d.bbox == whole && d.gtins.is_empty()),
            "{blue:#?}"
        );
        assert!(faces.is_empty());
    }
}

/// A folder with a manifest `odd.toml` for the tiny model with a fault.
fn odd(fault: Fault, edit: impl Fn(String) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(own_models().join("tiny.toml")).unwrap();
    std::fs::write(folder.path().join("odd.toml"), edit(text)).unwrap();
    std::fs::write(folder.path().join("tiny.onnx"), model(fault)).unwrap();
    folder
}

fn refusal(folder: &Path, backend: Backend) -> String {
    let manifest = Manifest::load(folder, "odd").unwrap();
    Detector::load(&manifest, backend).unwrap_err().to_string()
}

#[test]
fn a_model_that_is_not_its_family_is_refused_in_words() {
    for backend in backends() {
        let folder = odd(Fault::Label, |text| text);
        assert_eq!(
            refusal(folder.path(), backend),
            "model `odd`: found output [1,84,8], family yolox with 2 labels has [1,84,7]"
        );
        let folder = odd(Fault::None, |text| {
            text.replace("\"yolox\"", "\"fastestdet\"")
        });
        assert_eq!(
            refusal(folder.path(), backend),
            "model `odd`: found output [1,84,7], family fastestdet with 2 labels has [1,7,4,4]"
        );
        let folder = odd(Fault::None, |text| text.replace("64", "96"));
        let text = refusal(folder.path(), backend);
        assert!(
            text.contains("image") && text.contains("[1,3,64,64]"),
            "{text}"
        );
        assert!(text.contains("[1, 3, 96, 96]"), "{text}");
    }
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    for backend in backends() {
        let folder = odd(Fault::NotANumber, |text| text);
        let text = refusal(folder.path(), backend);
        assert!(text.contains("not finite"), "{text}");
        let folder = odd(Fault::Logits, |text| text);
        let text = refusal(folder.path(), backend);
        assert!(text.contains("not between 0 and 1"), "{text}");
    }
}

#[test]
fn a_manifest_tells_all_that_is_wrong_with_it() {
    let problems = |edit: &dyn Fn(String) -> String| {
        let folder = odd(Fault::None, edit);
        let error = Manifest::load(folder.path(), "odd").unwrap_err();
        let path = format!("{}/", folder.path().display());
        error.to_string().replace(&path, "")
    };
    let several = problems(&|text| {
        text.replace("\"yolox\"", "\"yolo\"")
            .replace("red = ", "green = ")
            .replace("score = 0.5", "score = 5.0\nsha256 = \"00\"")
            .replace("\"person\"", "\"people\"")
    });
    insta::assert_snapshot!(several);
    assert_eq!(
        problems(&|text| text.replace("nms", "nsm")),
        "odd.toml:8:1: unknown field `nsm`, expected one of `file`, `sha256`, `family`, `labels`, \
         `input`, `score`, `nms`, `classes`, `gtins`; did you mean `nms`?"
    );
    let missing = problems(&|text| text.replace("tiny.onnx", "none.onnx"));
    assert!(
        missing.starts_with("odd.toml:3:8: failed to read none.onnx:"),
        "{missing}"
    );
}

#[test]
fn weights_that_changed_under_a_manifest_are_refused() {
    let folder = odd(Fault::None, |text| text);
    let manifest = Manifest::load(folder.path(), "odd").unwrap();
    std::fs::write(folder.path().join("tiny.onnx"), model(Fault::Logits)).unwrap();
    for backend in backends() {
        let error = Detector::load(&manifest, backend).unwrap_err().to_string();
        assert!(error.ends_with("changed while it was loaded"), "{error}");
    }
}

/// What is no model at all is an error of either runtime, never the end of the process.
#[test]
fn rubbish_is_no_model() {
    let whole = model(Fault::None);
    for backend in backends() {
        for cut in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
            assert!(
                backend.load(&whole[..cut], Some([1, 3, 64, 64])).is_err(),
                "{cut}"
            );
        }
    }
}

#[test]
fn yolox_finds_three_bottles_on_the_shelf() {
    let Some(folder) = shared("models") else {
        return;
    };
    let manifest = Manifest::load(&folder, "yolox-nano").unwrap();
    let Some(frames) = frames("bottles-all", "shelf-cam", 4, 5) else {
        return;
    };
    for backend in backends() {
        let mut detector = Detector::load(&manifest, backend).unwrap();
        for frame in &frames {
            let found = detector.detect(frame, 640, 360).unwrap().detections;
            assert_eq!(count(&found, Class::Product), 3, "{backend:?}: {found:#?}");
        }
        println!("{}: {}", detector.describe(), detector.take_timings());
    }
}

/// Where YOLOX is sure of a person, the other families see him at the same place.
#[test]
fn every_family_finds_the_shopper() {
    let Some(frames) = frames("nanostore-real", "cam7", 10, 30) else {
        return;
    };
    let Some(manifest) = test_model("yolox") else {
        return;
    };
    let persons = |detector: &mut Detector, frame: &Vec<u8>| {
        let found = detector.detect(frame, 640, 360).unwrap().detections;
        let persons = found.into_iter().filter(|d| d.class == Class::Person);
        persons.collect::<Vec<_>>()
    };
    for backend in backends() {
        let mut yolox = Detector::load(&manifest, backend).unwrap();
        let sure: Vec<_> = frames
            .iter()
            .filter_map(|frame| {
                let best = persons(&mut yolox, frame).into_iter().next()?;
                (best.score > 0.7).then_some((frame, best.bbox))
            })
            .collect();
        assert!(sure.len() >= 8, "{}", sure.len());
        for name in ["fastestdet", "nanodet"] {
            let mut detector = Detector::load(&test_model(name).unwrap(), backend).unwrap();
            let agree = |(frame, bbox): &&(&Vec<u8>, BBox)| {
                let found = persons(&mut detector, frame);
                found.iter().any(|d| d.bbox.iou(*bbox) > 0.5)
            };
            let agreed = sure.iter().filter(agree).count();
            let timings = detector.take_timings();
            println!(
                "{name}, {}: {agreed} of {}: {timings}",
                detector.describe(),
                sure.len()
            );
            assert!(
                4 * agreed >= 3 * sure.len(),
                "{name}: {agreed} of {}",
                sure.len()
            );
        }
    }
}

/// UltraFace sees faces of a few frames only; what it sees must be a face-sized box.
#[test]
fn faces_are_kept_apart() {
    let Some(manifest) = test_model("ultraface") else {
        return;
    };
    let Some(frames) = frames("nanostore-real", "cam7", 5, 60) else {
        return;
    };
    let mut detector = Detector::load(&manifest, backends()[0]).unwrap();
    let found: Vec<_> = frames
        .iter()
        .map(|f| detector.detect(f, 640, 360).unwrap())
        .collect();
    assert!(found.iter().all(|found| found.detections.is_empty()));
    let faces: Vec<_> = found.iter().flat_map(|found| &found.faces).collect();
    println!("{} faces in {} frames", faces.len(), frames.len());
    assert!(!faces.is_empty());
    assert!(
        faces
            .iter()
            .all(|face| face.width() < 200.0 && face.height() < 200.0)
    );
}

#[test]
fn both_runtimes_agree() {
    let backends = backends();
    let [one, other] = backends[..] else { return };
    let Some(frames) = frames("nanostore-real", "cam1", 60, 4) else {
        return;
    };
    for name in ["yolox", "fastestdet", "nanodet", "ultraface"] {
        let Some(manifest) = test_model(name) else {
            return;
        };
        let mut detectors = [one, other].map(|b| Detector::load(&manifest, b).unwrap());
        for frame in &frames {
            let [a, b] = detectors
                .each_mut()
                .map(|d| d.detect(frame, 640, 360).unwrap());
            assert_eq!(a.detections.len(), b.detections.len(), "{name}");
            assert_eq!(a.faces.len(), b.faces.len(), "{name}");
            for (a, b) in a.detections.iter().zip(&b.detections) {
                assert_eq!(a.class, b.class);
                assert!((a.score - b.score).abs() < 1e-3, "{name}: {a:?} {b:?}");
                assert!(a.bbox.iou(b.bbox) > 0.99, "{name}: {a:?} {b:?}");
            }
        }
    }
}

#[test]
fn the_pool_answers_in_order_whatever_its_threads_do() {
    let manifest = Arc::new(Manifest::load(&own_models(), "tiny").unwrap());
    // Sizes differ, so that small frames overtake large ones on another thread.
    let side = |n: usize| if n.is_multiple_of(3) { 1024 } else { 64 };
    let pictures: Vec<_> = (0..24)
        .map(|n| {
            blocks(
                side(n),
                side(n),
                &[(0, 0, side(n) / 8 * (1 + n as u32 % 4), RED)],
            )
        })
        .collect();
    let run = |workers| {
        let model = CameraModel {
            manifest: Arc::clone(&manifest),
            width: 64,
            height: 64,
        };
        let models = BTreeMap::from([(CameraIx(0), model)]);
        let pool = Pool::new(models, backends()[0], workers).unwrap();
        let mut runner = FrameRunner::new(pool);
        let mut out = Vec::new();
        let mut see = |(number, outcome): (usize, Option<Result<Found, _>>)| {
            out.push((
                number,
                outcome.map(|o| o.map_err(|e: basketd::vision::FrameError| e.to_string())),
            ));
        };
        for (number, bytes) in pictures.iter().enumerate() {
            let frame = Frame {
                // One frame in five comes from a camera without a model.
                camera: CameraIx(u16::from(number % 5 == 4)),
                bytes: bytes.clone(),
            };
            runner.push(2 * number, Some(frame));
            while let Some(item) = runner.pop() {
                see(item);
            }
            runner.push(2 * number + 1, None);
            while let Some(item) = runner.pop() {
                see(item);
            }
        }
        while let Some(item) = runner.drain() {
            see(item);
        }
        out
    };
    let alone = run(1);
    assert!(alone.iter().map(|(number, _)| *number).eq(0..48));
    let seen = alone.iter().filter_map(|(_, o)| o.as_ref()?.as_ref().ok());
    assert_eq!(
        seen.filter(|found| !found.detections.is_empty()).count(),
        20
    );
    assert_eq!(run(2), alone);
    assert_eq!(run(5), alone);
}

#[test]
fn a_pool_that_cannot_load_its_model_says_so() {
    let folder = odd(Fault::Logits, |text| text);
    let model = CameraModel {
        manifest: Arc::new(Manifest::load(folder.path(), "odd").unwrap()),
        width: 64,
        height: 64,
    };
    let models = BTreeMap::from([(CameraIx(0), model)]);
    let error = Pool::new(models, backends()[0], 2).unwrap_err().to_string();
    assert!(error.contains("raw logits"), "{error}");
}

/// `basketd inspect` of the tiny model with a library and backend of this name.
fn inspect(library: &str, backend: &str) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_basketd"))
        .args(["inspect", "--json"])
        .arg(own_models().join("tiny"))
        .env("ORT_DYLIB_PATH", library)
        .env("BASKETD_BACKEND", backend)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_library_that_does_not_load_is_named_and_tract_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libonnxruntime.so");
    std::fs::write(&library, b"no library").unwrap();
    let library = library.to_str().unwrap();
    let (done, text) = inspect(library, "onnxruntime");
    if done {
        println!("skipped: another ONNX Runtime is installed on this box");
        return;
    }
    assert!(
        text.contains(library) && text.trim_end().lines().count() == 1,
        "{text}"
    );
    let (done, text) = inspect(library, "auto");
    assert!(done && text.contains("\"backend\":\"tract\""), "{text}");
    let (done, text) = inspect(library, "cuda");
    assert!(!done && text.contains("no backend `cuda`"), "{text}");
}
