//! Models over live cameras: each worker takes the newest frame of the camera whose turn it is. A
//! frame that nobody came for before the next one is not looked at; a camera's frames are looked
//! at one after another, so that what was seen comes out in their order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use image::RgbImage;

use super::backend::Backend;
use super::detector::{Detector, Found, FrameError, LoadError, Shown};
use super::newest_wins::NewestWins;
use super::pool::{CameraModel, Models, load};
use super::timings::Timings;
use crate::ids::CameraIx;
use crate::units::Timestamp;

/// A live camera's frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Shot {
    /// A JPEG or PNG.
    Encoded(Vec<u8>),
    Rgb(RgbImage),
}

/// What came of a frame.
#[derive(Debug)]
pub struct Looked {
    pub camera: CameraIx,
    pub captured_at: Timestamp,
    pub outcome: Result<Found, FrameError>,
    pub timings: Timings,
}

/// Takes what came of a frame; may wait, which makes frames older than the newest go unseen.
pub type Tell = dyn Fn(Looked) + Send + Sync;

/// Workers and the slots before them.
pub struct Live {
    slots: Arc<NewestWins<(Timestamp, Shot)>>,
    workers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let workers = self.workers.len();
        f.debug_struct("Live").field("workers", &workers).finish()
    }
}

impl Live {
    /// Starts workers, at least one, and waits until each has loaded every camera's model.
    pub fn new(
        models: BTreeMap<CameraIx, CameraModel>,
        backend: Backend,
        workers: usize,
        tell: Arc<Tell>,
    ) -> Result<Self, LoadError> {
        let slots = models.keys().next_back().map_or(0, |last| last.index() + 1);
        let slots = Arc::new(NewestWins::new(slots));
        let models: Models = Arc::new(models);
        let workers = workers.max(1);
        let (ready, loaded) = sync_channel(workers);
        let start = |number: usize| {
            let (models, slots) = (Arc::clone(&models), Arc::clone(&slots));
            let (tell, ready) = (Arc::clone(&tell), ready.clone());
            std::thread::Builder::new()
                .name(format!("look-{number}"))
                .spawn(move || work(&models, backend, &slots, &tell, ready))
                .expect("the system has threads to give at start")
        };
        let workers: Vec<_> = (0..workers).map(start).collect();
        drop(ready);
        let loaded: Result<(), LoadError> = loaded.iter().collect();
        let live = Self { slots, workers };
        loaded.map(|()| live)
    }

    /// Hands over a camera's newest frame; `false` where this one or the one before it goes unseen.
    pub fn put(&self, camera: CameraIx, captured_at: Timestamp, shot: Shot) -> bool {
        self.slots
            .put(camera.index(), (captured_at, shot))
            .is_none()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.slots.close();
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a vision worker had panicked");
            }
        }
    }
}

fn work(
    models: &Models,
    backend: Backend,
    slots: &NewestWins<(Timestamp, Shot)>,
    tell: &Arc<Tell>,
    ready: SyncSender<Result<(), LoadError>>,
) {
    let mut detectors = match load(models, backend) {
        Ok(detectors) => detectors,
        Err(error) => {
            // Nobody listens any more where another worker has failed before.
            drop(ready.send(Err(error)));
            return;
        }
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    drop(ready);
    while let Some((slot, (captured_at, shot))) = slots.take() {
        let camera = CameraIx(u16::try_from(slot).unwrap_or(u16::MAX));
        tell(look(models, &mut detectors, camera, captured_at, &shot));
        slots.done(slot);
    }
}

fn look(
    models: &Models,
    detectors: &mut BTreeMap<String, Detector>,
    camera: CameraIx,
    captured_at: Timestamp,
    shot: &Shot,
) -> Looked {
    let model = models.get(&camera);
    let detector = model.and_then(|model| detectors.get_mut(&model.manifest.name));
    let (Some(model), Some(detector)) = (model, detector) else {
        return Looked {
            camera,
            captured_at,
            outcome: Err(FrameError::NoModel),
            timings: Timings::default(),
        };
    };
    let shown = match shot {
        Shot::Encoded(bytes) => Shown::Encoded(bytes),
        Shot::Rgb(picture) => Shown::Rgb(picture),
    };
    // A detector holds nothing between frames that a panic could spoil.
    let looking = AssertUnwindSafe(|| detector.look(shown, model.width, model.height));
    let outcome = catch_unwind(looking).unwrap_or(Err(FrameError::Panicked));
    Looked {
        camera,
        captured_at,
        outcome,
        timings: detector.take_timings(),
    }
}
