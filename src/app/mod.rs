//! The program: the command line and one file for each subcommand.

mod broker;
pub mod check;
mod checkout;
mod explain;
mod inspect;
mod inspect_llrp;
mod inspect_model;
mod journal_id;
pub mod load;
mod local;
mod probe;
pub mod replay;
mod routes;
mod run;
mod schema;
pub mod score;
mod simulate;
mod track;
pub mod trial;
mod tune;
mod words;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "basketd", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads a store file and all that it names; prints a summary, or every problem found.
    Check {
        /// The store file.
        #[arg(long)]
        store: PathBuf,
    },
    /// Prints what a recording, a capture of LLRP messages or a model file holds.
    Inspect {
        file: PathBuf,
        /// JSON lines instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Runs the daemon: sensors in, events out.
    Run(run::Args),
    /// Writes what the sensors say to a file, and publishes nothing.
    Record(run::record::Args),
    /// Finds readers, scales and cameras, tells what they are, and prints lines of a store file.
    Probe(probe::Args),
    /// A reference backend: stores receipts, and confirms events to the boxes.
    Checkout(checkout::Args),
    /// Runs the engine over a recording.
    Replay(replay::Args),
    /// Tells how one visit's receipt came about.
    Explain(explain::Args),
    /// Tracks boxes of one camera in MOTChallenge text.
    Track(track::Args),
    /// Prints the schemas of events, commands and recorded messages.
    Schema(schema::Args),
    /// Measures receipts against the truth.
    Score(score::Args),
    /// Fits tunables to recordings whose truth is known.
    Tune(tune::Args),
    /// Writes recordings of a shop that does not exist.
    Simulate(simulate::Args),
}

/// Runs the command line's subcommand. A refusal is told on standard error, a line a problem, and
/// gives exit code 1.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log(matches!(cli.command, Command::Run(_)));
    // A panic is a fault of ours, and has an exit code of its own.
    std::panic::catch_unwind(|| run(cli)).unwrap_or(ExitCode::from(70))
}

/// Logs to standard error as text; under systemd to the journal, as fields. A daemon tells what it
/// does; a command tells what is wrong.
fn log(daemon: bool) {
    use tracing_subscriber::prelude::*;
    let usual = if daemon { "info" } else { "warn" };
    let level = tracing_subscriber::EnvFilter::try_from_default_env()
        // What the MQTT client says of an answer, the uplink says with what it means.
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("{usual},rumqttc=off")));
    // Set where standard error is the journal (systemd.exec(5)).
    let journald = std::env::var_os("JOURNAL_STREAM").filter(|_| daemon);
    if let Some(Ok(layer)) = journald.map(|_| tracing_journald::layer()) {
        let layer = layer.with_syslog_identifier("basketd".to_owned());
        tracing_subscriber::registry()
            .with(level)
            .with(layer)
            .init();
        return;
    }
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Whoever runs a command looks at files, not at modules.
        .with_target(daemon)
        .init();
}

/// A fault that is not in what we were given: the disk, a port, a lock. Worth another try.
#[derive(Debug)]
struct Fault;

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the daemon cannot run")
    }
}

fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Check { store } => check::run(&store).map_err(anyhow::Error::from),
        Command::Inspect { file, json } => inspect::run(&file, json),
        Command::Run(args) => run::run(&args),
        Command::Record(args) => run::record::run(&args),
        Command::Checkout(args) => checkout::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Track(args) => track::run(&args),
        Command::Tune(args) => tune::run(&args),
    };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    print_err(&format!("{error:#}"));
    if error.is::<Fault>() {
        return ExitCode::from(70);
    }
    ExitCode::from(1)
}

/// Prints a line of a subcommand's own output. Whoever reads it may have gone: `… | head`.
fn print(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Prints a line for people where standard output is for machines.
fn print_err(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
