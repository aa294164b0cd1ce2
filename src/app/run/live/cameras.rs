//! Frames of live cameras: to the models, whose detections are what the engine is given, and to the
//! recording where frames are kept. Nobody waits for either: the newest frame wins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ::image::codecs::jpeg::JpegEncoder;

use crate::app::run::given::{Given, Inlet, Sensed, Topic};
use crate::app::run::health::Health;
use crate::camera::{Frame, Picture, TakeFrame};
use crate::ids::CameraIx;
use crate::observation::{Class, Detections};
use crate::store::{CameraSource, Store};
use crate::vision::{Backend, CameraModel, Choice, Live, Looked, Manifest, Shot, Tell, Timings};
use crate::wire::encode;
use crate::wire::image;

/// Kept frames are for people: at this quality artefacts do not show.
const QUALITY: u8 = 85;

/// Whether somebody is in a camera's newest frame, by camera.
pub(super) type Occupied = Vec<Arc<AtomicBool>>;

/// The models of the live cameras that have one, loaded; `None` where there are none.
pub(super) fn models(
    store: &Arc<Store>,
    occupied: &Occupied,
    folder: &Path,
    inlet: &Inlet,
    health: &Arc<Health>,
) -> anyhow::Result<Option<Live>> {
    let mut by_camera = BTreeMap::new();
    let mut manifests: BTreeMap<&str, Arc<Manifest>> = BTreeMap::new();
    for (i, camera) in store.cameras.iter().enumerate() {
        let (Some(name), false) = (&camera.model, camera.source == CameraSource::None) else {
            continue;
        };
        let manifest = match manifests.get(name.as_str()) {
            Some(manifest) => Arc::clone(manifest),
            None => {
                let manifest = Arc::new(Manifest::load(folder, name)?);
                manifests.insert(name, Arc::clone(&manifest));
                manifest
            }
        };
        let model = CameraModel {
            manifest,
            width: camera.width,
            height: camera.height,
        };
        by_camera.insert(CameraIx(i as u16), model);
    }
    if by_camera.is_empty() {
        return Ok(None);
    }
    let backend = Backend::choose(Choice::from_env()?)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cores.min(by_camera.len());
    let tell = tell(store, occupied, inlet, health);
    Ok(Some(Live::new(by_camera, backend, workers, tell)?))
}

/// What was seen goes to the engine, with the frame's time.
fn tell(store: &Arc<Store>, occupied: &Occupied, inlet: &Inlet, health: &Arc<Health>) -> Arc<Tell> {
    let occupied = occupied.clone();
    let (store, inlet, health) = (Arc::clone(store), inlet.clone(), Arc::clone(health));
    let topic = |id: &String| {
        let topic = format!("/camera/{id}/detections");
        Arc::new(Topic::json(&topic, "basketd.Detections"))
    };
    let topics: Vec<Arc<Topic>> = store.cameras.iter().map(|c| topic(&c.id)).collect();
    let sum = std::sync::Mutex::new(Timings::default());
    Arc::new(move |looked: Looked| {
        let camera = &store.cameras[looked.camera.index()];
        {
            let mut sum = sum
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *sum += looked.timings;
            health.inferred(*sum);
        }
        let found = match looked.outcome {
            Ok(found) => found,
            Err(error) => {
                let why = format!("camera `{}`: a frame was not looked at: {error}", camera.id);
                health.lose(&why, 1);
                return;
            }
        };
        let seen_any = found.detections.iter().any(|d| d.class != Class::Product);
        occupied[looked.camera.index()].store(seen_any, Ordering::Relaxed);
        let seen = Detections {
            camera: looked.camera,
            detections: found.detections,
        };
        let sensed = Sensed {
            topic: Arc::clone(&topics[looked.camera.index()]),
            at: None,
            captured_at: looked.captured_at,
            payload: encode::detections(&store, &seen, camera.model.as_deref()),
        };
        // A sequencer that has gone has ended already.
        inlet.give(Given::Sensed(sensed)).ok();
    })
}

/// Where a camera's frames go.
pub(super) fn frames(
    store: &Store,
    camera: CameraIx,
    models: Option<&Arc<Live>>,
    keep: bool,
    inlet: &Inlet,
    health: &Arc<Health>,
) -> Arc<TakeFrame> {
    let known = &store.cameras[camera.index()];
    let models = models.filter(|_| known.model.is_some()).cloned();
    let id = known.id.clone();
    let topic = Arc::new(Topic::image(&id));
    let (inlet, health) = (inlet.clone(), Arc::clone(health));
    let unkept = AtomicU64::new(0);
    Arc::new(move |frame: Frame| {
        if keep {
            let kept = keep_frame(&id, &topic, &inlet, &frame);
            if !kept && unkept.fetch_add(1, Ordering::Relaxed) == 0 {
                let why = format!("camera `{id}`: frames that were to be kept found no room");
                health.lose(&why, 1);
            }
        }
        if let Some(models) = &models {
            let shot = match frame.picture {
                Picture::Jpeg(bytes) => Shot::Encoded(bytes),
                Picture::Rgb(picture) => Shot::Rgb(picture),
            };
            if !models.put(camera, frame.captured_at, shot) {
                health.counts.frames_skipped.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
}

fn keep_frame(id: &str, topic: &Arc<Topic>, inlet: &Inlet, frame: &Frame) -> bool {
    let payload = match &frame.picture {
        Picture::Jpeg(bytes) => image::jpeg(id, frame.captured_at, bytes),
        Picture::Rgb(picture) => {
            let mut bytes = Vec::new();
            let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
            if picture.write_with_encoder(encoder).is_err() {
                return false;
            }
            image::jpeg(id, frame.captured_at, &bytes)
        }
    };
    let sensed = Sensed {
        topic: Arc::clone(topic),
        at: None,
        captured_at: frame.captured_at,
        payload,
    };
    inlet.try_give(Given::Sensed(sensed)).is_ok()
}
