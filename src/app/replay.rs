//! `basketd replay`: the engine over a recording.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::{Engine, Input, Output};
use crate::store::Store;
use crate::units::Timestamp;
use crate::wire::event::Origin;
use crate::wire::event::encode;
use crate::wire::message::Decoded;
use crate::wire::message::decode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The recording; several files in order are one.
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
    #[arg(long)]
    store: PathBuf,
    /// Where to write the events, a line each.
    #[arg(long)]
    events: Option<PathBuf>,
    #[arg(long)]
    findings: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store: Arc<Store> = Arc::new(super::load_store(&args.store)?);
    let origin = Origin {
        store: store.id.clone(),
        journal: "replay".into(),
    };
    let mut events: Box<dyn std::io::Write> = match &args.events {
        Some(path) => Box::new(std::io::BufWriter::new(std::fs::File::create(path)?)),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut engine = Engine::new(Arc::clone(&store));
    if args.findings {
        engine.show_findings();
    }
    let mut failed = Ok(());
    let mut first = None;
    for recording in &args.recordings {
        crate::recording::read(recording, |message| {
            let at = Timestamp::from_nanos(message.log_time);
            let first = *first.get_or_insert(at);
            let mut drain = |engine: &mut Engine, at: Timestamp| {
                while let Some(output) = engine.poll_output() {
                    let line = match output {
                        Output::Event(event) => encode(&store, &origin, &event),
                        Output::Finding(f) => format!("{:.3} {f:?}", at.secs_since(first)),
                    };
                    if let Err(e) = writeln!(events, "{line}") {
                        failed = Err(e);
                    }
                }
            };
            while let Some((due, why)) = engine.poll_timeout().filter(|(due, _)| *due <= at) {
                engine.handle(due, Input::Timeout(why));
                drain(&mut engine, due);
            }
            let captured_at = Timestamp::from_nanos(message.publish_time);
            if let Ok(Decoded::Input(input)) =
                decode(&store, &message.topic, captured_at, &message.payload)
            {
                engine.handle(at, input);
                drain(&mut engine, at);
            }
        })?;
    }
    failed?;
    events.flush()?;
    Ok(())
}
