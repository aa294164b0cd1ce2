//! `basketd record`: what the sensors say, to a file, without an engine: nothing is decided and
//! nothing published. The file is a recording like any other, frames among it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;

use super::given::{Given, Inlet, Sensed};
use super::health::Health;
use super::play::{Player, Tape};
use crate::app::load::load;
use crate::app::replay::{Speed, parse_speed};
use crate::clock::{self, Monotonic};
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
    let store = Arc::new(loaded.store);
    let shown = args.out.display().to_string();
    anyhow::ensure!(
        !args.play.is_empty(),
        "this version reads no live sensors; name a recording by --play"
    );
    let stop = Arc::new(AtomicBool::new(false));
    watch_signals(Arc::clone(&stop))?;
    let (inlet, given) = Inlet::new();
    let health = Arc::new(Health::new());
    let tape = Tape {
        recordings: args.play.clone(),
        speed: args.speed,
        times: args.repeat,
    };
    let player = Player::new(
        tape,
        Arc::clone(&store),
        &loaded.models,
        inlet,
        health,
        Arc::clone(&stop),
    )?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.out);
    let file = file.with_context(|| shown.clone())?;
    let metadata = [
        ("version", "1".to_owned()),
        ("store", store.id.clone()),
        ("journal", crate::app::journal_id::new_id()),
        ("store_sha256", loaded.sha256),
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
    let begin = clock::wall();
    let thread = std::thread::Builder::new()
        .name("tape".into())
        .spawn(move || player.play(begin))?;
    let recorded = recorder.record(&given, &stop);
    stop.store(true, Ordering::Relaxed);
    drop(given);
    let played = thread
        .join()
        .map_err(|_panic| anyhow::anyhow!("the tape's thread had panicked"));
    recorded.with_context(|| shown.clone())?;
    played??;
    recorder.finish(&shown)
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
                Ok(Given::Sensed(sensed)) => self.write(&sensed)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
            let now = watch.millis();
            if now - synced >= SYNC_MS {
                synced = now;
                self.writer.flush()?;
                self.file.sync_data()?;
            }
        }
        // What was taken before the end was asked for is written.
        while let Ok(Given::Sensed(sensed)) = given.try_recv() {
            self.write(&sensed)?;
        }
        Ok(())
    }

    fn write(&mut self, sensed: &Sensed) -> anyhow::Result<()> {
        let topic = &sensed.topic;
        if topic.topic == "/timer" {
            // Deadlines are an engine's, and none is here.
            return Ok(());
        }
        self.last = self.last.max(sensed.at.unwrap_or_else(clock::wall));
        let text = encode::schema_text(&topic.schema).unwrap_or_default();
        let schema = (topic.schema.as_str(), topic.schema_encoding.as_str(), text);
        let times = (self.last.as_nanos(), sensed.captured_at.as_nanos());
        self.writer.message(
            &topic.topic,
            schema,
            &topic.encoding,
            times,
            &sensed.payload,
        )?;
        let count = self.counts.entry(topic.topic.clone()).or_default();
        count.0 += 1;
        count.1 += sensed.payload.len() as u64;
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
