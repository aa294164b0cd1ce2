//! `basketd record`: what the sensors say, to a file, without an engine: nothing is decided and
//! nothing published. The file is a recording like any other, frames among it, with how the sensors
//! were and what of them was lost.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::given::{Given, Inlet, Sensed, Topic};
use super::health::Health;
use super::live::Live;
use super::play::{Player, Tape};
use crate::app::load::{Loaded, load};
use crate::app::replay::{Speed, parse_speed};
use crate::clock::{self, Monotonic};
use crate::console::Call;
use crate::link::outlet::Told;
use crate::observation::SourceReport;
use crate::recording::writer::RecordingWriter;
use crate::units::Timestamp;
use crate::wire::encode;

#[derive(Debug, clap::Args)]
pub(in crate::app) struct Args {
    /// The store file.
    #[arg(long)]
    store: PathBuf,
    /// The file to write; it must not be there.
    #[arg(long)]
    out: PathBuf,
    /// Plays a recording as if its sensors were live; several files in order are one.
    #[arg(long, num_args = 1..)]
    play: Vec<PathBuf>,
    /// `max`, or how many times as fast as it was recorded.
    #[arg(long, default_value = "1", value_parser = parse_speed, requires = "play")]
    speed: Speed,
    /// How often the recording is played, its times moved on each time.
    #[arg(long, default_value_t = 1, requires = "play", value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
}

/// What is written is on disk after so long.
const SYNC_MS: u64 = 1_000;

pub(in crate::app) fn run(args: &Args) -> anyhow::Result<()> {
    let loaded = load(&args.store)?;
    let shown = args.out.display().to_string();
    let stop = Arc::new(AtomicBool::new(false));
    watch_signals(Arc::clone(&stop))?;
    let (inlet, given) = Inlet::new();
    let giver = if args.play.is_empty() {
        Giver::live(&loaded, inlet)?
    } else {
        Giver::tape(args, &loaded, inlet, &stop)?
    };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.out);
    let file = file.with_context(|| shown.clone())?;
    let metadata = [
        ("version", "1".to_owned()),
        ("store", loaded.store.id.clone()),
        ("journal", crate::app::journal_id::new_id()),
        ("store_sha256", loaded.sha256.clone()),
    ];
    let metadata = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let mut recorder = Recorder {
        file: file.try_clone()?,
        writer: RecordingWriter::new(BufWriter::new(file), &metadata)
            .with_context(|| shown.clone())?,
        last: Timestamp::from_micros(0),
        counts: BTreeMap::new(),
    };
    let giver = giver.start(&loaded)?;
    let recorded = recorder.record(&given, &stop);
    stop.store(true, Ordering::Relaxed);
    let ended = giver.end(&given, &mut recorder);
    drop(given);
    recorded.with_context(|| shown.clone())?;
    ended?;
    recorder.finish(&shown)
}

/// Who gives what is recorded.
enum Giver {
    Tape(Box<Player>),
    Live(Runtime, Box<Live>, mpsc::Sender<Call>),
}

/// The same, at work.
enum Giving {
    Tape(JoinHandle<anyhow::Result<()>>),
    /// The sender says stop to the pages.
    Live(Runtime, Box<Live>, watch::Sender<bool>),
}

impl Giver {
    fn tape(
        args: &Args,
        loaded: &Loaded,
        inlet: Inlet,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let tape = Tape {
            recordings: args.play.clone(),
            speed: args.speed,
            times: args.repeat,
        };
        let store = Arc::new(loaded.store.clone());
        let health = Arc::new(Health::new());
        let stop = Arc::clone(stop);
        let player = Player::new(tape, store, &loaded.models, inlet, health, stop)?;
        Ok(Self::Tape(Box::new(player)))
    }

    fn live(loaded: &Loaded, inlet: Inlet) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("edge")
            .enable_all()
            .build()?;
        let (call, calls) = mpsc::channel(super::CALLS);
        let health = Arc::new(Health::new());
        let live = Box::new(Live::new(inlet, health, calls, true, Vec::new()));
        anyhow::ensure!(
            live.reads_any(loaded),
            "the store file names no live sensor, and no recording is named by --play"
        );
        Ok(Self::Live(runtime, live, call))
    }

    fn start(self, loaded: &Loaded) -> anyhow::Result<Giving> {
        match self {
            Self::Tape(player) => {
                let begin = clock::wall();
                let thread = std::thread::Builder::new()
                    .name("tape".into())
                    .spawn(move || player.play(begin))?;
                Ok(Giving::Tape(thread))
            }
            Self::Live(runtime, mut live, call) => {
                let (stop, stopped) = watch::channel(false);
                runtime.block_on(async {
                    let listen = loaded.settings.console.listen;
                    let listener = crate::console::listen(listen);
                    let listener = listener.await.map_err(anyhow::Error::msg)?;
                    let served =
                        crate::console::serve(listener, Arc::new(Recording), call, stopped);
                    tokio::spawn(served);
                    live.follow(loaded).await
                })?;
                Ok(Giving::Live(runtime, live, stop))
            }
        }
    }
}

impl Giving {
    /// Ends whoever gives; what was given before is written.
    fn end(self, given: &Receiver<Given>, recorder: &mut Recorder) -> anyhow::Result<()> {
        match self {
            Self::Tape(thread) => {
                // It may wait for room.
                while !thread.is_finished() {
                    recorder.rest(given)?;
                    std::thread::park_timeout(Duration::from_millis(5));
                }
                recorder.rest(given)?;
                let played = thread.join();
                played.map_err(|_panic| anyhow::anyhow!("the tape's thread had panicked"))?
            }
            Self::Live(runtime, mut live, stop) => {
                runtime.block_on(live.stop());
                stop.send_replace(true);
                recorder.rest(given)?;
                runtime.shutdown_timeout(Duration::from_millis(500));
                Ok(())
            }
        }
    }
}

/// The pages while nothing but a recording is made.
struct Recording;

impl crate::console::Pages for Recording {
    fn alive(&self) -> bool {
        true
    }

    fn ready(&self) -> (bool, Vec<String>) {
        (
            true,
            vec!["sensors are recorded, nothing is decided".to_owned()],
        )
    }

    fn metrics(&self) -> String {
        String::new()
    }
}

/// SIGTERM and SIGINT end a recording whole.
fn watch_signals(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut terminate, mut interrupt) = runtime.block_on(async {
        anyhow::Ok((
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ))
    })?;
    let wait = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.store(true, Ordering::Relaxed);
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(move || runtime.block_on(wait))?;
    Ok(())
}

struct Recorder {
    writer: RecordingWriter<BufWriter<File>>,
    file: File,
    last: Timestamp,
    /// By topic: messages and bytes.
    counts: BTreeMap<String, (u64, u64)>,
}

impl Recorder {
    fn record(&mut self, given: &Receiver<Given>, stop: &AtomicBool) -> anyhow::Result<()> {
        let watch = Monotonic::start();
        let mut synced = 0;
        while !stop.load(Ordering::Relaxed) {
            match given.recv_timeout(Duration::from_millis(100)) {
                Ok(given) => self.take(given)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = watch.millis();
            if now - synced >= SYNC_MS {
                synced = now;
                self.writer.flush()?;
                self.file.sync_data()?;
            }
        }
        Ok(())
    }

    /// Writes what waits.
    fn rest(&mut self, given: &Receiver<Given>) -> anyhow::Result<()> {
        while let Ok(given) = given.try_recv() {
            self.take(given)?;
        }
        Ok(())
    }

    fn take(&mut self, given: Given) -> anyhow::Result<()> {
        match given {
            Given::Sensed(sensed) => self.write(&sensed),
            Given::Told(topic, told, _room) => self.told(&topic, told),
            Given::Event(sensed, answer) => {
                let written = self.write(&sensed);
                // Whoever called may have gone.
                answer.send(Ok(())).ok();
                written
            }
            Given::Parted(_)
            | Given::Command(_)
            | Given::Reload(..)
            | Given::TapeEnded
            | Given::Stop => Ok(()),
        }
    }

    fn told(&mut self, topic: &Arc<Topic>, told: Told) -> anyhow::Result<()> {
        let source = topic.source.clone();
        let (report, topic) = match told {
            Told::Readings(readings) => {
                for (captured_at, payload) in readings.iter() {
                    self.message(topic, clock::wall(), captured_at, payload)?;
                }
                return Ok(());
            }
            Told::State { state, reason } => {
                crate::app::print_err(&format!("{source}: {state:?} {reason}"));
                let report = SourceReport::State {
                    source,
                    state,
                    reason,
                };
                (report, Topic::json("/source", "basketd.SourceState"))
            }
            Told::Lost { lost, reason } => {
                let report = SourceReport::Gap {
                    source,
                    lost,
                    reason,
                };
                (report, Topic::json("/gap", "basketd.SourceGap"))
            }
        };
        let at = clock::wall();
        self.message(&topic, at, at, &encode::source(&report))
    }

    fn write(&mut self, sensed: &Sensed) -> anyhow::Result<()> {
        let topic = &sensed.topic;
        if topic.topic == "/timer" {
            // Deadlines are an engine's, and none is here.
            return Ok(());
        }
        let at = sensed.at.unwrap_or_else(clock::wall);
        self.message(topic, at, sensed.captured_at, &sensed.payload)
    }

    fn message(
        &mut self,
        topic: &Topic,
        at: Timestamp,
        captured_at: Timestamp,
        payload: &[u8],
    ) -> anyhow::Result<()> {
        self.last = self.last.max(at);
        let text = encode::schema_text(&topic.schema).unwrap_or_default();
        let schema = (topic.schema.as_str(), topic.schema_encoding.as_str(), text);
        let times = (self.last.as_nanos(), captured_at.as_nanos());
        self.writer
            .message(&topic.topic, schema, &topic.encoding, times, payload)?;
        let count = self.counts.entry(topic.topic.clone()).or_default();
        count.0 += 1;
        count.1 += payload.len() as u64;
        Ok(())
    }

    fn finish(self, shown: &str) -> anyhow::Result<()> {
        let ended = self.writer.finish().with_context(|| shown.to_owned())?;
        let file = ended
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        file.with_context(|| shown.to_owned())?.sync_all()?;
        for (topic, (messages, bytes)) in &self.counts {
            crate::app::print(&format!(
                "{topic:<40} {messages:>9} messages {bytes:>12} bytes"
            ));
        }
        Ok(())
    }
}
