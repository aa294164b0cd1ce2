//! Named worker threads, each with its own detector for every model. Frames go in numbered and
//! come out in the order of their numbers, however many threads there are and whichever is first.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::backend::Backend;
use super::detector::{Detector, Found, FrameError, LoadError};
use super::manifest::Manifest;
use super::timings::Timings;
use crate::ids::CameraIx;

/// Frames in the pool for each worker: one at work and one waiting.
const FRAMES_A_WORKER: usize = 2;

/// A camera's model, and the size that the store file gives it.
#[derive(Debug, Clone)]
pub struct CameraModel {
    pub manifest: Arc<Manifest>,
    pub width: u32,
    pub height: u32,
}

/// A JPEG or PNG of a camera.
#[derive(Debug)]
pub struct Frame {
    pub camera: CameraIx,
    pub bytes: Vec<u8>,
}

/// What came of a frame.
#[derive(Debug)]
pub struct Inferred {
    pub camera: CameraIx,
    pub outcome: Result<Found, FrameError>,
}

impl Inferred {
    /// Of a frame that no worker was there for.
    pub(super) fn lost(camera: CameraIx) -> Self {
        Self {
            camera,
            outcome: Err(FrameError::Panicked),
        }
    }
}

#[derive(Debug)]
struct Answer {
    number: u64,
    inferred: Inferred,
    timings: Timings,
}

type Job = (u64, Frame);
type Jobs = Arc<Mutex<Receiver<Job>>>;
pub(super) type Models = Arc<BTreeMap<CameraIx, CameraModel>>;

/// Workers with their detectors.
#[derive(Debug)]
pub struct Pool {
    /// `None` only while dropping.
    jobs: Option<SyncSender<Job>>,
    answers: Receiver<Answer>,
    workers: Vec<JoinHandle<()>>,
    /// Answers that came before their turn.
    early: BTreeMap<u64, Inferred>,
    submitted: u64,
    received: u64,
    timings: Timings,
}

impl Pool {
    /// Starts workers, at least one, and waits until each has loaded every camera's model.
    pub fn new(
        models: BTreeMap<CameraIx, CameraModel>,
        backend: Backend,
        workers: usize,
    ) -> Result<Self, LoadError> {
        let workers = workers.max(1);
        let capacity = workers * FRAMES_A_WORKER;
        let models = Arc::new(models);
        let (jobs, queue) = sync_channel(capacity);
        let queue = Arc::new(Mutex::new(queue));
        let (answer, answers) = sync_channel(capacity);
        let (ready, loaded) = sync_channel(workers);
        let start = |number: usize| {
            let (models, queue) = (Arc::clone(&models), Arc::clone(&queue));
            let (answer, ready) = (answer.clone(), ready.clone());
            std::thread::Builder::new()
                .name(format!("vision-{number}"))
                .spawn(move || work(&models, backend, &queue, &answer, ready))
                .expect("the system has threads to give at start")
        };
        let workers: Vec<_> = (0..workers).map(start).collect();
        drop(ready);
        let loaded: Result<(), LoadError> = loaded.iter().collect();
        let pool = Self {
            jobs: Some(jobs),
            answers,
            workers,
            early: BTreeMap::new(),
            submitted: 0,
            received: 0,
            timings: Timings::default(),
        };
        loaded.map(|()| pool)
    }

    /// Frames submitted and not received yet.
    pub fn outstanding(&self) -> usize {
        usize::try_from(self.submitted - self.received).unwrap_or(usize::MAX)
    }

    /// The most frames that can be outstanding.
    pub fn capacity(&self) -> usize {
        self.workers.len() * FRAMES_A_WORKER
    }

    /// Puts a frame in; hands it back where the pool is full, and something must be received
    /// first.
    pub fn submit(&mut self, frame: Frame) -> Result<(), Frame> {
        let Some(jobs) = self
            .jobs
            .as_ref()
            .filter(|_| self.outstanding() < self.capacity())
        else {
            return Err(frame);
        };
        let sent = jobs.send((self.submitted, frame));
        sent.map_err(|refused| refused.0.1)?;
        self.submitted += 1;
        Ok(())
    }

    /// What came of the oldest frame that is outstanding; waits for it. `None` without one.
    pub fn recv(&mut self) -> Option<Inferred> {
        if self.outstanding() == 0 {
            return None;
        }
        while !self.early.contains_key(&self.received) {
            let answer = self.answers.recv().ok()?;
            self.keep(answer);
        }
        self.next()
    }

    /// The same where it is there already.
    pub fn try_recv(&mut self) -> Option<Inferred> {
        while let Ok(answer) = self.answers.try_recv() {
            self.keep(answer);
        }
        self.next()
    }

    fn keep(&mut self, answer: Answer) {
        self.timings += answer.timings;
        self.early.insert(answer.number, answer.inferred);
    }

    fn next(&mut self) -> Option<Inferred> {
        let inferred = self.early.remove(&self.received)?;
        self.received += 1;
        Some(inferred)
    }

    /// Of all frames that came back, all workers together.
    pub fn timings(&self) -> Timings {
        self.timings
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The workers leave when no more frames can come. None can wait on a full queue of
        // answers: it has room for all that is outstanding.
        self.jobs = None;
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
    queue: &Jobs,
    answers: &SyncSender<Answer>,
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
    // Whoever waits for all to be ready waits until every one has let go.
    drop(ready);
    loop {
        // The lock is held while waiting: whoever holds it gets the next frame.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, frame)) = job else { return };
        let answer = infer(models, &mut detectors, number, &frame);
        if answers.send(answer).is_err() {
            return;
        }
    }
}

/// One detector for each model, by its name.
pub(super) fn load(
    models: &Models,
    backend: Backend,
) -> Result<BTreeMap<String, Detector>, LoadError> {
    let mut detectors = BTreeMap::new();
    for model in models.values() {
        let name = &model.manifest.name;
        if !detectors.contains_key(name) {
            let detector = Detector::load(&model.manifest, backend)?;
            detectors.insert(name.clone(), detector);
        }
    }
    Ok(detectors)
}

fn infer(
    models: &Models,
    detectors: &mut BTreeMap<String, Detector>,
    number: u64,
    frame: &Frame,
) -> Answer {
    let camera = frame.camera;
    let model = models.get(&camera);
    let detector = model.and_then(|model| detectors.get_mut(&model.manifest.name));
    let (Some(model), Some(detector)) = (model, detector) else {
        let outcome = Err(FrameError::NoModel);
        return Answer {
            number,
            inferred: Inferred { camera, outcome },
            timings: Timings::default(),
        };
    };
    let detect = AssertUnwindSafe(|| detector.detect(&frame.bytes, model.width, model.height));
    // A detector holds nothing between frames that a panic could spoil; without this a lost
    // answer would stop the stream for good.
    let outcome = catch_unwind(detect).unwrap_or(Err(FrameError::Panicked));
    Answer {
        number,
        inferred: Inferred { camera, outcome },
        timings: detector.take_timings(),
    }
}
