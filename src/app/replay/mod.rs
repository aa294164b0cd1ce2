//! `basketd replay`: the engine over a recording, at a virtual clock. Nothing is added after the
//! last message: a deadline that it does not reach does not fire.

mod journaled;
mod player;
mod publish;
mod summary;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use self::player::{Player, Sinks};
pub(super) use self::player::{Watch, pool};
use self::publish::Publisher;
use self::summary::Summary;
use super::load::Loaded;
use crate::clock::Stopwatch;
use crate::engine::Engine;
use crate::recording::{self, Part};
use crate::store::Store;
use crate::wire::event::Origin;
use crate::wire::message::{Route, route};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The recording; several files in order are one.
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
    /// The store file.
    #[arg(long)]
    store: PathBuf,
    /// Where to write the events, a line each; `-` for standard output.
    #[arg(long)]
    events: Option<PathBuf>,
    /// `max`, or how many times as fast as it was recorded.
    #[arg(long, default_value = "max", value_parser = parse_speed)]
    speed: Speed,
    /// Lets frames go through the models even where the recording holds detections.
    #[arg(long)]
    infer: bool,
    /// Where to write people on the floor plan, a line a track and second.
    #[arg(long)]
    tracks: Option<PathBuf>,
    /// Where to write what presence, tracking and shelves found, a line each; for looking into a
    /// recording.
    #[arg(long)]
    findings: Option<PathBuf>,
    /// Where to write the frozen engine after the last message.
    #[arg(long)]
    freeze: Option<PathBuf>,
    /// A frozen engine to go on from.
    #[arg(long)]
    thaw: Option<PathBuf>,
    /// Sends the events to the store file's broker as the store `<id>-replay`.
    #[arg(long)]
    publish: bool,
    /// For how long the broker may take none of them, seconds.
    #[arg(long, default_value_t = 60, requires = "publish")]
    publish_timeout: u64,
    /// Threads that run models.
    #[arg(long, default_value_t = default_workers())]
    workers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Speed {
    Max,
    Times(f64),
}

pub(super) fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse::<f64>() {
        Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
        _ => Err("a speed is `max` or a number above 0".to_owned()),
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    refuse_overwriting(args)?;
    let loaded = super::load::load(&args.store)?;
    let store = Arc::new(loaded.store);
    let watch = Stopwatch::start();
    let facts = recording::facts(&args.recordings)?;
    for note in store_notes(&store, &loaded.sha256, &facts) {
        tracing::warn!("{note}");
    }
    let publisher = args.publish.then(|| {
        Publisher::new(
            &store,
            loaded.settings.mqtt.as_ref(),
            &loaded.folder,
            args.publish_timeout,
        )
    });
    let publisher = publisher.transpose()?;
    let origin = publisher.as_ref().map_or_else(
        || Origin {
            store: store.id.clone(),
            journal: facts.journal(),
        },
        Publisher::origin,
    );
    let mut engine = match &args.thaw {
        Some(path) => thaw(&store, path)?,
        None => journaled::first_engine(&store, &args.recordings),
    };
    if args.findings.is_some() {
        engine.show_findings();
    }
    let sinks = Sinks {
        events: sink(args.events.as_deref())?,
        tracks: sink(args.tracks.as_deref())?,
        findings: sink(args.findings.as_deref())?,
        watch: None,
    };
    let pool = pool(&store, &loaded.models, &facts, args.infer, args.workers)?;
    let mut player = Player::new(engine, origin, sinks, &facts, pool);
    if let Speed::Times(times) = args.speed {
        player.pace(times);
    }
    if publisher.is_some() {
        player.renumber();
    }
    player.note(&facts.notices);
    recording::read_parts(&args.recordings, &facts, |part| match part {
        Part::File(path) => player.on_file(path),
        Part::Message(message) => player.take(message),
    })?;
    let (engine, summary, sendings) = player.finish()?;
    if let Some(path) = &args.freeze {
        std::fs::write(path, engine.freeze()).with_context(|| path.display().to_string())?;
    }
    let text = summary.table(&store, watch.nanos());
    if args.events.as_deref() == Some(Path::new("-")) {
        super::print_err(&text);
    } else {
        super::print(&text);
    }
    let strangers = strangers(&store, &facts);
    if strangers > facts.messages / 2 {
        super::print_err(&format!(
            "{}: probably another shop's store file: it does not have the sensors of {strangers} of \
             {} messages",
            args.store.display(),
            facts.messages
        ));
    }
    match publisher {
        Some(publisher) => publisher.publish(sendings),
        None => Ok(()),
    }
}

/// Plays recordings for somebody who looks at all that the engine says, findings among it.
pub(super) fn watch(loaded: &Loaded, recordings: &[PathBuf], watch: Watch) -> anyhow::Result<()> {
    let store = Arc::new(loaded.store.clone());
    let facts = recording::facts(recordings)?;
    for note in store_notes(&store, &loaded.sha256, &facts) {
        tracing::warn!("{note}");
    }
    let origin = Origin {
        store: store.id.clone(),
        journal: facts.journal(),
    };
    let mut engine = journaled::first_engine(&store, recordings);
    engine.show_findings();
    let sinks = Sinks {
        events: None,
        tracks: None,
        findings: None,
        watch: Some(watch),
    };
    let pool = pool(&store, &loaded.models, &facts, false, default_workers())?;
    let mut player = Player::new(engine, origin, sinks, &facts, pool);
    player.note(&facts.notices);
    recording::read_parts(recordings, &facts, |part| match part {
        Part::File(path) => player.on_file(path),
        Part::Message(message) => player.take(message),
    })?;
    player.finish()?;
    Ok(())
}

/// An engine over messages that are in no file, none of them a frame: what a recording of them
/// gives by `basketd replay`.
pub struct InMemory(Player);

impl InMemory {
    /// `journal` is what the recording would have for its id.
    pub fn new(store: &Arc<Store>, journal: &str) -> Self {
        let origin = Origin {
            store: store.id.clone(),
            journal: journal.to_owned(),
        };
        let sinks = Sinks {
            events: None,
            tracks: None,
            findings: None,
            watch: None,
        };
        let facts = recording::Facts::default();
        let engine = Engine::new(Arc::clone(store));
        let mut player = Player::new(engine, origin, sinks, &facts, None);
        player.renumber();
        Self(player)
    }

    /// Log times may not decrease.
    pub fn take(&mut self, message: &recording::Message<'_>) {
        self.0.take(message);
    }

    /// All events, a line each.
    pub fn finish(self) -> anyhow::Result<Vec<String>> {
        let (_, _, sendings) = self.0.finish()?;
        Ok(sendings.into_iter().map(|s| s.body).collect())
    }
}

/// No output may be one of the inputs, nor two outputs one file.
fn refuse_overwriting(args: &Args) -> anyhow::Result<()> {
    let same = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let inputs = args
        .recordings
        .iter()
        .chain([&args.store])
        .chain(&args.thaw);
    let mut taken: Vec<PathBuf> = inputs.map(|path| same(path)).collect();
    let outputs = [&args.events, &args.tracks, &args.findings, &args.freeze];
    for path in outputs.into_iter().flatten() {
        let device = path == Path::new("-") || path.starts_with("/dev");
        if device {
            continue;
        }
        anyhow::ensure!(
            !taken.contains(&same(path)),
            "{}: would be written over what is read, or written twice; give another name",
            path.display()
        );
        taken.push(same(path));
    }
    Ok(())
}

/// The version of the recording format that is read.
const FORMAT: &str = "1";

fn store_notes(store: &Store, sha256: &str, facts: &recording::Facts) -> Vec<String> {
    let mut notes = Vec::new();
    let version = facts.metadata.get("version");
    if let Some(version) = version.filter(|version| **version != FORMAT) {
        notes.push(format!(
            "recorded in version `{version}` of the format, read as version `{FORMAT}`"
        ));
    }
    if let Some(recorded) = facts.metadata.get("store").filter(|id| **id != store.id) {
        notes.push(format!(
            "recorded in store `{recorded}`, replayed with store `{}`",
            store.id
        ));
    }
    if facts
        .metadata
        .get("store_sha256")
        .is_some_and(|recorded| recorded != sha256)
    {
        notes.push("recorded with another store file than this one".to_owned());
    }
    notes
}

/// How many messages are of sensors that the store file does not have.
fn strangers(store: &Store, facts: &recording::Facts) -> u64 {
    let unknown = |(name, topic): &(&String, &recording::Topic)| {
        let mut schemas = topic.schemas.iter();
        schemas.any(|(schema, encoding)| {
            matches!(route(store, name, schema, encoding), Route::NotInStore(_))
        })
    };
    let topics = facts.topics.iter().filter(unknown);
    topics.map(|(_, topic)| topic.messages).sum()
}

fn thaw(store: &Arc<Store>, path: &Path) -> anyhow::Result<Engine> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Engine::thaw(Arc::clone(store), &bytes).with_context(|| path.display().to_string())
}

fn sink(path: Option<&Path>) -> anyhow::Result<Option<Box<dyn Write>>> {
    let Some(path) = path else { return Ok(None) };
    if path == Path::new("-") {
        return Ok(Some(Box::new(std::io::stdout().lock())));
    }
    let file =
        File::create(path).with_context(|| format!("failed to create {}", path.display()))?;
    Ok(Some(Box::new(BufWriter::new(file))))
}
