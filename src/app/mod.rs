//! The program: the command line and one file for each subcommand.

mod inspect_model;
mod replay;
mod score;

use std::path::Path;

use clap::{Parser, Subcommand};

use crate::store::Store;

#[derive(Debug, Parser)]
#[command(name = "basketd", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints what a recording or a model file holds.
    Inspect {
        file: std::path::PathBuf,
        /// JSON lines instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Runs the engine over a recording.
    Replay(replay::Args),
    /// Measures receipts against the truth.
    Score(score::Args),
}

/// A store file with all that it refers to.
struct Loaded {
    store: Store,
    /// Of the store file, hexadecimal.
    sha256: String,
    /// The folder of model manifests.
    models: std::path::PathBuf,
}

fn load_store(path: &Path) -> anyhow::Result<Loaded> {
    let text = std::fs::read_to_string(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let catalog = crate::store::file::catalog_path(&text).map_err(anyhow::Error::msg)?;
    let catalog = std::fs::read_to_string(folder.join(catalog))?;
    let store = crate::store::file::parse(&text, &catalog).map_err(anyhow::Error::msg)?;
    let models = folder.join(crate::store::file::models_path(&text).unwrap_or("models".into()));
    Ok(Loaded {
        store,
        sha256: String::new(),
        models,
    })
}

pub fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Inspect { file, json } => inspect_model::run(&file, json),
        Command::Replay(args) => replay::run(&args),
        Command::Score(args) => score::run(&args),
    }
}

/// Prints a line of a subcommand's own output.
#[expect(
    clippy::print_stdout,
    reason = "what the user asked for goes to standard output"
)]
fn print(text: &str) {
    println!("{text}");
}

/// Prints a line for people where standard output is for machines.
#[expect(
    clippy::print_stderr,
    reason = "standard output is taken by what was asked for"
)]
fn print_err(text: &str) {
    eprintln!("{text}");
}
