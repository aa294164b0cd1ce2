//! The program: the command line and one file for each subcommand.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::engine::{Engine, Input};
use crate::store::Store;
use crate::units::Timestamp;
use crate::wire::message::{Decoded, decode};

pub mod inspect_model;

#[derive(Debug, Parser)]
#[command(name = "basketd", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints what presence, tracking and shelves find in a recording.
    Findings {
        recording: PathBuf,
        #[arg(long)]
        store: PathBuf,
    },
    /// Prints what a model file holds.
    Inspect {
        file: PathBuf,
        #[arg(long)]
        json: bool,
    },
}

pub fn load_store(path: &Path) -> anyhow::Result<Store> {
    let text = std::fs::read_to_string(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let catalog = crate::store::file::catalog_path(&text).map_err(anyhow::Error::msg)?;
    let catalog = std::fs::read_to_string(folder.join(catalog))?;
    crate::store::file::parse(&text, &catalog).map_err(anyhow::Error::msg)
}

pub fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Inspect { file, json } => inspect_model::run(&file, json),
        Command::Findings { recording, store } => {
            let store = load_store(&store)?;
            let mut engine = Engine::new(&store);
            let mut first = None;
            crate::recording::read(&recording, |message| {
                let at = Timestamp::from_nanos(message.log_time);
                let first = *first.get_or_insert(at);
                let show = |found: Vec<crate::engine::Finding>, at: Timestamp| {
                    for finding in found {
                        #[expect(clippy::print_stdout, reason = "the subcommand's output")]
                        {
                            println!("{:.3} {finding:?}", at.secs_since(first));
                        }
                    }
                };
                while let Some((due, why)) = engine.poll_timeout().filter(|(due, _)| *due <= at) {
                    show(engine.handle(&store, due, Input::Timeout(why)), due);
                }
                let captured_at = Timestamp::from_nanos(message.publish_time);
                if let Ok(Decoded::Input(input)) =
                    decode(&store, &message.topic, captured_at, &message.payload)
                {
                    show(engine.handle(&store, at, input), at);
                }
            })
        }
    }
}
