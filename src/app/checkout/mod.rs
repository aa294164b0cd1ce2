//! `basketd checkout`: a checkout backend to read and to try with. What every backend has to do is
//! here in full:
//!
//! 1. Subscribe to each store's `visit/+`, `stock/#`, `stock-alert` and `alert`.
//! 2. Store each event under `(store, journal, n)`; one that is there already is a repeat.
//! 3. Apply events in the order of `n`, and only those before which none is missing: after a loss
//!    first deliveries can come late.
//! 4. Once that is on disk, say so: publish `{"journal", "through"}`, retained, to the store's
//!    `ack`. The box sends again whatever lies beyond.
//! 5. Read the retained `ack` of a start: one beyond what is in the database is that of a database
//!    which was lost. Publish the lower one, and the box sends again what is missing.
//!
//! Nothing is lost if this program, the broker or the box dies at any moment.

mod ledger;

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use self::ledger::{Applied, Envelope, Ledger};
use super::broker;
use crate::link::mqtt::{Arrived, Closed, Connection, Incoming, Message};
use crate::wire::delivery::Ack;
use crate::wire::topic;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    broker: broker::Args,
    /// The database of receipts; made where it is not there.
    #[arg(long)]
    db: PathBuf,
    /// One store's id; all stores where it is left out.
    #[arg(long)]
    store: Option<String>,
    /// The name under which the broker knows this backend.
    #[arg(long, default_value = "basketd-checkout")]
    client_id: String,
    /// Prints no receipts.
    #[arg(long)]
    quiet: bool,
}

/// Messages taken into one transaction, at most.
const TOGETHER: usize = 1000;
/// The broker keeps for us what comes while we are away for so long.
const SESSION_S: u32 = 86_400;
const BACKOFF: [u64; 5] = [100, 200, 500, 1_000, 3_000];

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: &Args) -> anyhow::Result<()> {
    let mut ledger = Ledger::open(&args.db)?;
    let mut options = args.broker.options(&args.client_id)?;
    options.session_s = Some(SESSION_S);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let prefix = topic::prefix(args.store.as_deref().unwrap_or("+"));
    let filters = topic::BACKEND_FILTERS.iter().chain(&["ack"]);
    let filters: Vec<String> = filters.map(|filter| format!("{prefix}/{filter}")).collect();
    let mut failures = 0;
    loop {
        let connected = tokio::select! {
            connected = Connection::open(&options, &filters) => connected,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let why = match connected {
            Ok(mut connection) => {
                failures = 0;
                tracing::info!("connected");
                tokio::select! {
                    closed = receive(&mut connection, &mut ledger, args.quiet) => closed?,
                    _ = terminate.recv() => { connection.close().await; return Ok(()) }
                    _ = interrupt.recv() => { connection.close().await; return Ok(()) }
                }
            }
            Err(closed) => closed,
        };
        let wait = BACKOFF[failures.min(BACKOFF.len() - 1)];
        failures += 1;
        tracing::warn!(retry_ms = wait, "not connected: {why}");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

/// Takes events in until the connection ends. An error is one of the database: then nothing is
/// confirmed any more.
async fn receive(
    connection: &mut Connection,
    ledger: &mut Ledger,
    quiet: bool,
) -> anyhow::Result<Closed> {
    // Boxes that come back learn at once how far we are.
    let mut to_confirm = ledger.watermarks()?;
    loop {
        confirm(connection, &mut to_confirm);
        let mut together = Vec::new();
        match connection.recv().await {
            Incoming::Message(arrived) => match ack_of(&arrived) {
                Some((store, ack)) => to_confirm.extend(ledger.lower_than(store, &ack)?),
                None => together.extend(read(&arrived)),
            },
            Incoming::Acked { .. } => continue,
            Incoming::Closed(closed) => return Ok(closed),
        }
        let mut end = None;
        while together.len() < TOGETHER {
            match connection.try_recv() {
                Some(Incoming::Message(arrived)) => match ack_of(&arrived) {
                    Some((store, ack)) => to_confirm.extend(ledger.lower_than(store, &ack)?),
                    None => together.extend(read(&arrived)),
                },
                Some(Incoming::Acked { .. }) => {}
                Some(Incoming::Closed(closed)) => {
                    end = Some(closed);
                    break;
                }
                None => break,
            }
        }
        let applied = tokio::task::block_in_place(|| ledger.take(&together))?;
        told(&applied, quiet);
        for watermark in applied.watermarks {
            to_confirm.retain(|(store, _)| *store != watermark.0);
            to_confirm.push(watermark);
        }
        if let Some(closed) = end {
            return Ok(closed);
        }
    }
}

/// Publishes watermarks while there is room; the rest waits for its turn.
fn confirm(connection: &Connection, to_confirm: &mut Vec<(String, Ack)>) {
    to_confirm.retain(|(store, ack)| {
        let text = serde_json::to_vec(ack).expect("an ack is plain JSON");
        let mut message = Message::new(topic::ack(store), text);
        message.retained = true;
        message.content_type = Some("application/json");
        !connection.publish(0, message)
    });
}

/// A watermark that stands at the broker, with its store.
fn ack_of(arrived: &Arrived) -> Option<(&str, Ack)> {
    let rest = arrived.topic.strip_prefix("basketd/v1/")?;
    let store = rest.strip_suffix("/ack")?;
    let ack = Ack::parse(&arrived.payload).ok()?;
    Some((store, ack))
}

/// An event of the series that must not be lost; anything else is told and left.
fn read(arrived: &Arrived) -> Option<Envelope> {
    let text = String::from_utf8(arrived.payload.clone()).ok();
    let read = text
        .ok_or_else(|| "not UTF-8".to_owned())
        .and_then(Envelope::read);
    match read {
        Ok(envelope) => envelope,
        Err(why) => {
            tracing::warn!(topic = arrived.topic, "not an event: {why}");
            None
        }
    }
}

fn told(applied: &Applied, quiet: bool) {
    for id in &applied.conflicts {
        tracing::error!("event {id} came with two bodies; the first counts");
    }
    if !quiet {
        for receipt in &applied.receipts {
            super::print(receipt);
        }
    }
}
