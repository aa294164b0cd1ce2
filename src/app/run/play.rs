//! A recording as if its sensors were live: its messages at their own distances, moved to the
//! present. Frames go through the models where the recording holds no detections.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::given::{Given, Gone, Inlet, Sensed, Topic};
use super::health::Health;
use crate::app::replay::{Speed, pool};
use crate::clock::Stopwatch;
use crate::ids::CameraIx;
use crate::recording::{self, Facts, Message};
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};
use crate::vision::{Frame, FrameRunner, Pool};
use crate::wire::encode;
use crate::wire::message::{decode_image, keep_known};

/// What to play and how.
#[derive(Debug, Clone)]
pub(super) struct Tape {
    pub(super) recordings: Vec<PathBuf>,
    pub(super) speed: Speed,
    /// How often, with the times moved on each time.
    pub(super) times: u64,
}

/// The distance between the end of a recording and its next beginning.
const BETWEEN: TimeDelta = TimeDelta::from_millis(1_000);

pub(super) struct Player {
    tape: Tape,
    facts: Facts,
    store: Arc<Store>,
    inlet: Inlet,
    health: Arc<Health>,
    runner: Option<FrameRunner<Step>>,
    inferred: BTreeSet<CameraIx>,
    topics: Vec<Arc<Topic>>,
    stop: Arc<AtomicBool>,
    watch: Stopwatch,
    /// When playing began, in the store's time.
    began: Timestamp,
    /// What is added to the recording's times.
    shift: TimeDelta,
    /// The time of the last message, moved.
    last: Timestamp,
}

enum Step {
    Given(Sensed),
    Frame(CameraIx, Sensed),
}

impl Player {
    /// Looks through the recordings, and loads the models that they need.
    pub(super) fn new(
        tape: Tape,
        store: Arc<Store>,
        models: &Path,
        inlet: Inlet,
        health: Arc<Health>,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let facts = recording::facts(&tape.recordings)?;
        for what in facts.notices.keys() {
            tracing::warn!("{what}");
        }
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = pool(&store, models, &facts, false, workers)?;
        let (pool, inferred): (Option<Pool>, _) = pool
            .map_or((None, BTreeSet::new()), |(pool, cameras)| {
                (Some(pool), cameras)
            });
        Ok(Self {
            tape,
            facts,
            store,
            inlet,
            health,
            runner: pool.map(FrameRunner::new),
            inferred,
            topics: Vec::new(),
            stop,
            watch: Stopwatch::start(),
            began: Timestamp::from_micros(0),
            shift: TimeDelta::ZERO,
            last: Timestamp::from_micros(0),
        })
    }

    /// Plays from `begin` on; ends when all is played, or when told to stop.
    pub(super) fn play(mut self, begin: Timestamp) -> anyhow::Result<()> {
        self.watch = Stopwatch::start();
        (self.began, self.last) = (begin, begin);
        for _ in 0..self.tape.times {
            let first = self.facts.first.map_or(begin, Timestamp::from_nanos);
            self.shift = self.last - first;
            self.topics.clear();
            let (paths, facts) = (self.tape.recordings.clone(), self.facts.clone());
            let mut gone = Ok(());
            recording::read(&paths, &facts, |message| {
                if gone.is_ok() && !self.stop.load(Ordering::Relaxed) {
                    gone = self.message(message);
                }
            })?;
            while let Some(out) = self.runner.as_mut().and_then(FrameRunner::drain) {
                gone = gone.and(self.played(out));
            }
            if let Some(runner) = &self.runner {
                self.health.inferred(runner.timings());
            }
            if gone.is_err() || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.last += BETWEEN;
        }
        // The sequencer may have gone; then nobody waits for the end.
        self.inlet.give(Given::TapeEnded).ok();
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>) -> Result<(), Gone> {
        let number = message.channel.number;
        while self.topics.len() <= number {
            let channel = message.channel;
            let encoding = if channel.encoding == "json" {
                "jsonschema"
            } else {
                channel.encoding.as_str()
            };
            self.topics.push(Arc::new(Topic {
                topic: channel.topic.clone(),
                schema: channel.schema.clone(),
                schema_encoding: encoding.to_owned(),
                encoding: channel.encoding.clone(),
                source: super::given::source(&channel.topic),
            }));
        }
        let at = Timestamp::from_nanos(message.log_time) + self.shift;
        let captured_at = Timestamp::from_nanos(message.publish_time) + self.shift;
        self.last = self.last.max(at);
        self.wait_until(at);
        let sensed = Sensed {
            topic: Arc::clone(&self.topics[number]),
            at: Some(at),
            captured_at,
            payload: message.payload.to_vec(),
        };
        let Some(camera) = self.to_infer(&sensed.topic) else {
            return self.push(Step::Given(sensed), None);
        };
        match decode_image(message.payload) {
            Ok(bytes) => {
                let bytes = bytes.to_vec();
                self.push(Step::Frame(camera, sensed), Some(Frame { camera, bytes }))
            }
            Err(why) => {
                self.health
                    .lose(&format!("{}: {why}", sensed.topic.topic), 1);
                Ok(())
            }
        }
    }

    /// The camera of a topic of frames that a model has to look at.
    fn to_infer(&self, topic: &Topic) -> Option<CameraIx> {
        let id = topic
            .topic
            .strip_prefix("/camera/")?
            .strip_suffix("/image")?;
        let camera = self.store.camera_by_id(id)?;
        self.inferred.contains(&camera).then_some(camera)
    }

    fn push(&mut self, step: Step, frame: Option<Frame>) -> Result<(), Gone> {
        let Some(runner) = &mut self.runner else {
            return self.played((step, None));
        };
        runner.push(step, frame);
        while let Some(out) = self.runner.as_mut().and_then(FrameRunner::pop) {
            self.played(out)?;
        }
        Ok(())
    }

    fn played(&mut self, (step, found): crate::vision::Out<Step>) -> Result<(), Gone> {
        let (camera, frame) = match step {
            Step::Given(sensed) => return self.inlet.give(Given::Sensed(sensed)),
            Step::Frame(camera, frame) => (camera, frame),
        };
        let id = &self.store.cameras[camera.index()].id;
        let topic = Topic::json(&format!("/camera/{id}/detections"), "basketd.Detections");
        let (at, captured_at) = (frame.at, frame.captured_at);
        self.inlet.give(Given::Sensed(frame))?;
        match found {
            Some(Ok(mut found)) => {
                keep_known(&self.store, &mut found.detections);
                let seen = crate::observation::Detections {
                    camera,
                    detections: found.detections,
                };
                let model = self.store.cameras[camera.index()].model.as_deref();
                let payload = encode::detections(&self.store, &seen, model);
                let topic = Arc::new(topic);
                let sensed = Sensed {
                    topic,
                    at,
                    captured_at,
                    payload,
                };
                self.inlet.give(Given::Sensed(sensed))
            }
            Some(Err(error)) => {
                self.health.lose(
                    &format!("camera `{id}`: a frame was not looked at: {error}"),
                    1,
                );
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn wait_until(&self, at: Timestamp) {
        let Speed::Times(times) = self.tape.speed else {
            return;
        };
        let due_s = at.secs_since(self.began).max(0.0) / times;
        loop {
            let wait_s = due_s - self.watch.nanos() as f64 / 1e9;
            if wait_s <= 0.0 || self.stop.load(Ordering::Relaxed) {
                return;
            }
            // In short steps, so that a stop is seen.
            std::thread::sleep(std::time::Duration::from_secs_f64(wait_s.min(0.1)));
        }
    }
}
