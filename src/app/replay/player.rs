//! Feeds messages to the engine in their order and writes what it says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::{Summary, journaled};
use crate::app::routes::Routes;
use crate::basket::event::Event;
use crate::clock::Stopwatch;
use crate::engine::{Engine, Input, Output};
use crate::ids::CameraIx;
use crate::observation::{Detections, Observation, Sensed, SourceReport};
use crate::outbox::Row;
use crate::recording::{Facts, Message};
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};
use crate::uplink::Sending;
use crate::vision::{Backend, CameraModel, Choice, Frame, FrameRunner, Manifest, Pool};
use crate::wire::event::{Origin, encode};
use crate::wire::message::{
    Decoded, NOT_SOLD, Route, capture_time, decode, decode_image, keep_known,
};
use crate::wire::topic::{Address, address};

pub(super) struct Sinks {
    pub(super) events: Option<Box<dyn Write>>,
    pub(super) tracks: Option<Box<dyn Write>>,
    pub(super) findings: Option<Box<dyn Write>>,
    pub(super) watch: Option<Watch>,
}

/// Somebody who looks at all that the engine says, at its time.
pub(crate) type Watch = Box<dyn FnMut(Timestamp, &Output)>;

impl Sinks {
    /// Whether anybody wants to know what was found on the way.
    fn want_findings(&self) -> bool {
        self.findings.is_some() || self.watch.is_some()
    }
}

/// What one message is to the engine.
enum Step {
    Input(Timestamp, Input),
    /// A frame at its log time and capture time; its detections come from the pool.
    Frame(Timestamp, Timestamp, CameraIx),
}

pub(super) struct Player {
    engine: Engine,
    origin: Origin,
    sinks: Sinks,
    summary: Summary,
    runner: Option<FrameRunner<Step>>,
    /// Cameras whose frames go through a model.
    inferred: BTreeSet<CameraIx>,
    /// Cameras with frames that neither a model nor recorded detections tell of.
    blind: BTreeSet<CameraIx>,
    /// Only deadlines in the recording fire.
    timers_journaled: bool,
    routes: Routes,
    pace: Option<Pace>,
    next_track_at: Option<Timestamp>,
    /// The last event's number.
    last_n: u64,
    /// Where events are published: they are numbered from 1, and kept.
    sendings: Option<Vec<Sending>>,
    first_file: bool,
    /// The number of the journal's file that is played.
    file: Option<u64>,
    failed: Option<std::io::Error>,
    /// Where messages are missing in the recording, the next first: the log times before.
    holes: VecDeque<u64>,
}

struct Pace {
    watch: Stopwatch,
    times: f64,
    first: Option<Timestamp>,
}

/// The models of the cameras whose frames have to be looked at; `None` where there are none.
pub(crate) fn pool(
    store: &Store,
    models: &Path,
    facts: &Facts,
    infer: bool,
    workers: usize,
) -> anyhow::Result<Option<(Pool, BTreeSet<CameraIx>)>> {
    let mut by_camera = BTreeMap::new();
    let mut manifests: BTreeMap<String, Arc<Manifest>> = BTreeMap::new();
    for (i, camera) in store.cameras.iter().enumerate() {
        let has = |kind: &str| {
            facts
                .topics
                .contains_key(&format!("/camera/{}/{kind}", camera.id))
        };
        let Some(name) = camera.model.as_ref() else {
            continue;
        };
        if !has("image") || (has("detections") && !infer) {
            continue;
        }
        let manifest = match manifests.get(name) {
            Some(manifest) => Arc::clone(manifest),
            None => {
                let manifest = Arc::new(Manifest::load(models, name)?);
                manifests.insert(name.clone(), Arc::clone(&manifest));
                manifest
            }
        };
        let (width, height) = (camera.width, camera.height);
        by_camera.insert(
            CameraIx(i as u16),
            CameraModel {
                manifest,
                width,
                height,
            },
        );
    }
    if by_camera.is_empty() {
        return Ok(None);
    }
    let backend = Backend::choose(Choice::from_env()?)?;
    let cameras = by_camera.keys().copied().collect();
    Ok(Some((Pool::new(by_camera, backend, workers)?, cameras)))
}

impl Player {
    pub(super) fn new(
        engine: Engine,
        origin: Origin,
        sinks: Sinks,
        facts: &Facts,
        pool: Option<(Pool, BTreeSet<CameraIx>)>,
    ) -> Self {
        let (pool, inferred) = pool.map_or((None, BTreeSet::new()), |(p, c)| (Some(p), c));
        let cameras = engine.store().cameras.iter().enumerate();
        let unseen = cameras.filter(|(_, camera)| {
            let detections = format!("/camera/{}/detections", camera.id);
            !facts.topics.contains_key(&detections)
        });
        let blind: BTreeSet<CameraIx> = unseen.map(|(i, _)| CameraIx(i as u16)).collect();
        let blind = &blind - &inferred;
        Self {
            engine,
            origin,
            sinks,
            summary: Summary::default(),
            runner: pool.map(FrameRunner::new),
            inferred,
            blind,
            timers_journaled: facts.timers_journaled(),
            routes: Routes::default(),
            pace: None,
            next_track_at: None,
            last_n: 0,
            sendings: None,
            first_file: true,
            file: None,
            failed: None,
            holes: VecDeque::from(facts.holes.clone()),
        }
    }

    /// Lets the virtual clock run `times` as fast as the recording's own.
    pub(super) fn pace(&mut self, times: f64) {
        self.pace = Some(Pace {
            watch: Stopwatch::start(),
            times,
            first: None,
        });
    }

    /// Numbers the events from 1, and keeps them for whoever publishes them.
    pub(super) fn renumber(&mut self) {
        self.sendings = Some(Vec::new());
    }

    /// A file of a journal that the engine did not come to by the file before goes on from its own
    /// snapshot.
    pub(super) fn on_file(&mut self, path: &Path) {
        let number = journaled::number(path);
        let before = std::mem::replace(&mut self.file, number);
        if std::mem::take(&mut self.first_file) {
            return;
        }
        let store = self.engine.share_store();
        let Some((engine, pending)) = journaled::resynced(&store, path, before) else {
            return;
        };
        // Frames of the file before are its own engine's.
        self.finish_frames();
        self.engine = engine;
        if self.sinks.want_findings() {
            self.engine.show_findings();
        }
        for row in pending {
            // What was published is published, although this replay did not see why.
            if row.n > self.last_n {
                self.last_n = row.n;
                self.write_pending(row);
            }
        }
    }

    fn write_pending(&mut self, row: Row) {
        if self.sendings.is_some() {
            // Another store's and journal's names stand in it.
            self.summary
                .lose("events of a journal that only its outbox had", 1);
            return;
        }
        let written = self
            .sinks
            .events
            .as_mut()
            .map(|s| writeln!(s, "{}", row.body));
        if let Some(Err(e)) = written {
            self.failed.get_or_insert(e);
        }
    }

    fn finish_frames(&mut self) {
        while let Some((step, found)) = self.runner.as_mut().and_then(FrameRunner::drain) {
            self.play(
                step,
                found.map(|f| f.map(|f| f.detections).map_err(|e| e.to_string())),
            );
        }
    }

    /// Counts what was lost of the recording before any of it was played.
    pub(super) fn note(&mut self, notices: &BTreeMap<String, u64>) {
        for (why, n) in notices {
            self.summary.lose(why, *n);
        }
    }

    pub(super) fn take(&mut self, message: &Message<'_>) {
        let at = Timestamp::from_nanos(message.log_time);
        while let Some(before) = self.holes.front().filter(|t| **t < message.log_time) {
            let before = Timestamp::from_nanos(*before);
            self.holes.pop_front();
            self.on_hole(at, before);
        }
        let published = Timestamp::from_nanos(message.publish_time);
        let captured_at = capture_time(at, published).unwrap_or(at);
        self.summary.on_message(at);
        let decoded = match self.routes.of(self.engine.store(), message.channel) {
            Route::Ignored(why) | Route::NotInStore(why) => {
                self.summary.lose(why, 1);
                return;
            }
            known => decode(self.engine.store(), known, captured_at, message.payload),
        };
        if capture_time(at, published).is_none() {
            let topic = &message.channel.topic;
            let why = format!("{topic}: a capture time that cannot be; the log time counts");
            self.summary.lose(&why, 1);
        }
        match decoded {
            Ok(Decoded::Input(input)) => self.on_input(at, input),
            Ok(Decoded::Partly(input, lost)) => {
                for (n, why) in lost {
                    let why = format!("{}: {why}", message.channel.topic);
                    self.summary.lose(&why, n);
                }
                self.on_input(at, input);
            }
            Ok(Decoded::Image(camera)) => self.on_image(at, captured_at, camera, message),
            Err(why) => self
                .summary
                .lose(&format!("{}: {why}", message.channel.topic), 1),
        }
    }

    /// A damaged recording is as a box that was away.
    fn on_hole(&mut self, at: Timestamp, before: Timestamp) {
        let lost = (at - before).as_micros() / 1_000;
        self.push(
            Step::Input(
                at,
                Input::Source(SourceReport::Gap {
                    source: "box".to_owned(),
                    lost: lost.try_into().unwrap_or(0),
                    reason: "the recording is damaged here".to_owned(),
                }),
            ),
            None,
        );
    }

    fn on_input(&mut self, at: Timestamp, input: Input) {
        if !self.is_replaced(&input) {
            self.push(Step::Input(at, input), None);
        }
    }

    /// Recorded detections of a camera whose frames are looked at anew.
    fn is_replaced(&self, input: &Input) -> bool {
        match input {
            Input::Observation(Observation {
                sensed: Sensed::Detections(seen),
                ..
            }) => self.inferred.contains(&seen.camera),
            _ => false,
        }
    }

    fn on_image(
        &mut self,
        at: Timestamp,
        captured_at: Timestamp,
        camera: CameraIx,
        message: &Message<'_>,
    ) {
        if !self.inferred.contains(&camera) {
            if self.blind.contains(&camera) {
                let topic = &message.channel.topic;
                let why = format!("{topic}: frames of a camera without a model");
                self.summary.lose(&why, 1);
            }
            return;
        }
        match decode_image(message.payload) {
            Ok(bytes) => {
                let frame = Frame {
                    camera,
                    bytes: bytes.to_vec(),
                };
                self.push(Step::Frame(at, captured_at, camera), Some(frame));
            }
            Err(why) => self
                .summary
                .lose(&format!("{}: {why}", message.channel.topic), 1),
        }
    }

    fn push(&mut self, step: Step, frame: Option<Frame>) {
        let Some(runner) = &mut self.runner else {
            self.play(step, None);
            return;
        };
        runner.push(step, frame);
        while let Some((step, found)) = self.runner.as_mut().and_then(FrameRunner::pop) {
            self.play(
                step,
                found.map(|f| f.map(|f| f.detections).map_err(|e| e.to_string())),
            );
        }
    }

    fn play(
        &mut self,
        step: Step,
        found: Option<Result<Vec<crate::observation::Detection>, String>>,
    ) {
        let (at, input) = match (step, found) {
            (Step::Input(at, input), _) => (at, input),
            (Step::Frame(at, captured_at, camera), Some(Ok(mut detections))) => {
                let unknown = keep_known(self.engine.store(), &mut detections);
                if unknown > 0 {
                    let id = &self.engine.store().cameras[camera.index()].id;
                    self.summary
                        .lose(&format!("camera `{id}`: {NOT_SOLD}"), unknown);
                }
                let sensed = Sensed::Detections(Detections { camera, detections });
                (
                    at,
                    Input::Observation(Observation {
                        captured_at,
                        sensed,
                    }),
                )
            }
            (Step::Frame(_, _, camera), found) => {
                let why = found.and_then(Result::err).unwrap_or_default();
                let id = &self.engine.store().cameras[camera.index()].id;
                let why = format!("camera `{id}`: a frame was not looked at: {why}");
                self.summary.lose(&why, 1);
                return;
            }
        };
        self.wait_until(at);
        if !self.timers_journaled {
            self.fire_until(at);
        }
        self.summary.on_input(&input);
        self.engine.handle(at, input);
        self.drain(at);
    }

    fn fire_until(&mut self, at: Timestamp) {
        while let Some((due, why)) = self.engine.poll_timeout().filter(|(due, _)| *due <= at) {
            self.engine.handle(due, Input::Timeout(why));
            self.drain(due);
        }
    }

    fn drain(&mut self, at: Timestamp) {
        while let Some(output) = self.engine.poll_output() {
            if let Some(watch) = &mut self.sinks.watch {
                watch(at, &output);
            }
            let (sink, line) = match output {
                Output::Event(event) => {
                    self.summary.on_event(&event);
                    let line = self.line(event);
                    (&mut self.sinks.events, line)
                }
                Output::Finding(_) if self.sinks.findings.is_none() => continue,
                Output::Finding(finding) => (&mut self.sinks.findings, format!("{at} {finding:?}")),
            };
            if let Some(Err(e)) = sink.as_mut().map(|sink| writeln!(sink, "{line}")) {
                self.failed.get_or_insert(e);
            }
        }
        self.write_tracks(at);
    }

    fn line(&mut self, mut event: Event) -> String {
        self.last_n = event.n;
        if let Some(sendings) = &self.sendings {
            event.n = sendings.len() as u64 + 1;
        }
        let line = encode(self.engine.store(), &self.origin, &event);
        if let Some(sendings) = &mut self.sendings {
            let Address { topic, retained } = address(self.engine.store(), &self.origin, &event);
            sendings.push(Sending {
                n: event.n,
                topic,
                retained,
                body: line.clone(),
            });
        }
        line
    }

    /// A line for each person on the floor plan, once a second.
    fn write_tracks(&mut self, at: Timestamp) {
        let Some(sink) = &mut self.sinks.tracks else {
            return;
        };
        if self.next_track_at.is_some_and(|next| at < next) {
            return;
        }
        self.next_track_at = Some(at + TimeDelta::from_millis(1000));
        for track in self.engine.tracking().tracks() {
            let Some(fix) = self.engine.tracking().fix_at(track, at) else {
                continue;
            };
            let visit = self.engine.visit_of(track).map(|v| v.to_string());
            let round = |v: f64| crate::units::signal::round_to(v, 3);
            let line = serde_json::json!({
                "at": at.to_string(),
                "track": track.to_string(),
                "x": round(fix.position.x),
                "y": round(fix.position.y),
                "visit": visit,
            });
            if let Err(e) = writeln!(sink, "{line}") {
                self.failed.get_or_insert(e);
            }
        }
    }

    fn wait_until(&mut self, at: Timestamp) {
        let Some(pace) = &mut self.pace else { return };
        let first = *pace.first.get_or_insert(at);
        let due_s = at.secs_since(first).max(0.0) / pace.times;
        let wait_s = due_s - pace.watch.nanos() as f64 / 1e9;
        if wait_s > 0.0 {
            std::thread::sleep(std::time::Duration::from_secs_f64(wait_s.min(3600.0)));
        }
    }

    /// Waits for the last frames, and gives back the engine as it stands.
    pub(super) fn finish(mut self) -> anyhow::Result<(Engine, Summary, Vec<Sending>)> {
        self.finish_frames();
        if let Some(runner) = &self.runner {
            self.summary.on_inference(runner.timings());
        }
        let Sinks {
            events,
            tracks,
            findings,
            ..
        } = &mut self.sinks;
        for sink in [events, tracks, findings].into_iter().flatten() {
            sink.flush()?;
        }
        if let Some(e) = self.failed {
            anyhow::bail!("failed to write: {e}");
        }
        let sendings = self.sendings.unwrap_or_default();
        Ok((self.engine, self.summary, sendings))
    }
}
