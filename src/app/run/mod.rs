//! `basketd run`: the daemon. Sensors in, events out, nothing lost between.
//!
//! ```text
//! sensors, a tape ─┐                          ┌► journal (MCAP)          ┌► uplink ─► broker
//! commands ────────┼► sequencer (one thread) ─┤                           │   ▲ ack
//! store file ──────┘   engine, one order      └► outbox (one thread) ─────┘   │
//!                                                 syncs the journal, commits  └─ commands
//! ```

mod commands;
mod disk;
mod feed;
mod given;
mod health;
mod kept;
mod live;
mod pages;
pub(super) mod pending;
mod play;
pub(super) mod record;
mod recover;
mod rows;
mod sequencer;
mod standing;
mod state;
mod systemd;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle as Task;

use self::commands::Commands;
use self::given::{Given, Inlet};
use self::health::Health;
use self::live::Live;
use self::play::{Player, Tape};
use self::recover::{Place, Recovered, recover};
use self::sequencer::{Clock, Parts, Sequencer};
use self::state::StateDir;
use super::load::{Loaded, load};
use super::replay::{Speed, parse_speed};
use crate::clock::{self, SteadyClock, Stopwatch};
use crate::console::Call;
use crate::outbox::{OpenError, Outbox, Reader};
use crate::recording::journal::Head;
use crate::store::{Mqtt, Store};
use crate::units::Timestamp;
use crate::uplink::{self, Topics, Uplink, Watermark};
use crate::wire::delivery::Ack;
use crate::wire::event::Origin;
use crate::wire::topic;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The store file.
    #[arg(long)]
    store: PathBuf,
    /// Plays a recording as if its sensors were live; several files in order are one.
    #[arg(long, num_args = 1..)]
    play: Vec<PathBuf>,
    /// `max`, or how many times as fast as it was recorded.
    #[arg(long, default_value = "1", value_parser = parse_speed, requires = "play")]
    speed: Speed,
    /// How often the recording is played, its times moved on each time.
    #[arg(long, default_value_t = 1, requires = "play", value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Ends when the recording is over and every event of it is confirmed.
    #[arg(long, requires = "play")]
    once: bool,
}

/// Gates' calls that wait for their answer.
const CALLS: usize = 32;

/// How long the end may take: systemd waits longer.
const END: Duration = Duration::from_millis(4_500);

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let loaded = load(&args.store)?;
    for path in &args.play {
        crate::recording::journal::beginning(path)?;
    }
    // What is wrong from here on is not the store file's fault: another try may do.
    serve_store(args, loaded).map_err(|error| {
        let refused = error
            .downcast_ref::<OpenError>()
            .is_some_and(OpenError::is_refusal);
        if refused {
            error
        } else {
            error.context(super::Fault)
        }
    })
}

fn serve_store(args: &Args, loaded: Loaded) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("edge")
        .enable_all()
        .build()?;
    let done = runtime.block_on(daemon(args, loaded));
    // Tasks that are left hold nothing that must be kept.
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

/// What runs besides the sequencer.
struct Edges {
    stop: watch::Sender<bool>,
    uplink: Option<Task<()>>,
    tasks: Vec<Task<()>>,
    standing: Option<standing::Standing>,
}

async fn daemon(args: &Args, loaded: Loaded) -> anyhow::Result<()> {
    let signals = Signals::take()?;
    systemd::status("reading the state");
    let health = Arc::new(Health::new());
    // Before the state is touched: an address that is taken is an error of the store file.
    let listen = loaded.settings.console.listen;
    let listener = crate::console::listen(listen)
        .await
        .map_err(anyhow::Error::msg)?;
    let state = StateDir::open(&loaded)?;
    let wake = Arc::new(Notify::new());
    let woken = Arc::clone(&wake);
    let changed = move || woken.notify_one();
    let (outbox, notes) = state.outbox(&loaded.store.id, &loaded.settings.state, changed)?;
    let outbox = Arc::new(outbox);
    let store = Arc::new(loaded.store.clone());
    let origin = Origin {
        store: store.id.clone(),
        journal: outbox.journal().to_owned(),
    };
    let watch = Stopwatch::start();
    let recovered = recover_state(&state, &loaded, &store, &origin, &outbox)?;
    told(&recovered, &notes, &watch);
    let last_at = recovered.last_at;
    let ill = recovered.engine.ill();
    let play = args.play.clone();
    let begin_at = {
        let mut clock = SteadyClock::start(last_at);
        clock.now()
    };
    let clock = if play.is_empty() {
        Clock::Steady(SteadyClock::start(last_at))
    } else {
        Clock::Tape
    };
    let (inlet, given) = Inlet::new();
    let sequencer = Sequencer::begin(Parts {
        engine: recovered.engine,
        store: Arc::clone(&store),
        settings: loaded.settings.clone(),
        head: Head {
            store: store.id.clone(),
            store_sha256: loaded.sha256.clone(),
            inputs_sha256: loaded.inputs_sha256.clone(),
            journal: origin.journal.clone(),
            resync: recovered.resync,
        },
        origin: origin.clone(),
        folder: state.journal(),
        state: state.path().to_owned(),
        number: recovered.number,
        last_at,
        begin_at,
        uncommitted: recovered.rows,
        clock,
        outbox: Arc::clone(&outbox),
        health: Arc::clone(&health),
    })
    .with_context(|| {
        format!(
            "failed to begin the journal in {}",
            state.journal().display()
        )
    })?;
    let engine = std::thread::Builder::new()
        .name("engine".into())
        .spawn(move || sequencer.run(&given))?;
    // What recovery has made anew is there before a backend asks for it.
    outbox.barrier(Duration::from_secs(30));
    let (call, calls) = mpsc::channel(CALLS);
    let edges = start_edges(
        &loaded, &health, &outbox, &inlet, wake, &origin, listener, call,
    )?;
    // A tape's sensors are all the sensors there are while it plays.
    let mut live = None;
    if args.play.is_empty() {
        let mut sensors = Live::new(inlet.clone(), Arc::clone(&health), calls, false, ill);
        sensors.follow(&loaded).await?;
        live = Some(sensors);
    }
    let tape = start_tape(args, &loaded, &store, &inlet, &health, begin_at)?;
    health.set_ready(true);
    systemd::ready(&store.id);
    tracing::info!(store = store.id, journal = origin.journal, console = %listen, "running");
    serve(
        args,
        &inlet,
        &health,
        &outbox,
        &state,
        tape.as_ref(),
        &edges,
        &mut live,
        signals,
        &engine,
    )
    .await;
    if let Some(live) = &mut live {
        live.stop().await;
    }
    end(inlet, engine, tape, edges, &health).await
}

/// Serves until a signal says stop, or the tape is over.
async fn serve(
    args: &Args,
    inlet: &Inlet,
    health: &Arc<Health>,
    outbox: &Arc<Outbox>,
    state: &StateDir,
    tape: Option<&TapeThread>,
    edges: &Edges,
    live: &mut Option<Live>,
    signals: Signals,
    engine: &JoinHandle<()>,
) {
    let Signals {
        mut terminate,
        mut interrupt,
        mut hangup,
    } = signals;
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut watchdog = systemd::Watchdog::new();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(args, inlet, health, state, live).await,
            _ = tick.tick() => {
                watchdog.feed(health.beats());
                if edges.uplink.is_none() {
                    // Nobody waits for them: they are history, which `resend` can send.
                    outbox.confirm(outbox.committed());
                }
                if engine.is_finished() {
                    tracing::error!("the engine's thread has ended by itself");
                    break;
                }
                let over = tape.is_some_and(|tape| tape.thread.is_finished());
                if args.once && over && is_settled(outbox, edges) {
                    break;
                }
            }
        }
    }
    // A second signal is not waited for.
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("a second signal: ended at once; the journal has what the outbox lacks");
        std::process::exit(130);
    });
}

/// Taken from the first moment on: a signal that comes while the state is read is not lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn take() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Whether all is committed and, where there is a broker, confirmed.
fn is_settled(outbox: &Outbox, edges: &Edges) -> bool {
    let settled = outbox.barrier(Duration::from_millis(100));
    settled && (edges.uplink.is_none() || outbox.confirmed() >= outbox.committed())
}

async fn end(
    inlet: Inlet,
    engine: JoinHandle<()>,
    tape: Option<TapeThread>,
    edges: Edges,
    health: &Arc<Health>,
) -> anyhow::Result<()> {
    systemd::stopping();
    health.set_ready(false);
    let joined = tokio::task::spawn_blocking(move || {
        if let Some(tape) = tape {
            tape.stop.store(true, Ordering::Relaxed);
            // It may wait for room in the queue, which the sequencer makes.
            if tape.thread.join().is_err() {
                tracing::error!("the tape's thread had panicked");
            }
        }
        // A sequencer that has gone has ended already.
        inlet.give(Given::Stop).ok();
        engine.join()
    });
    let ended = tokio::time::timeout(END, joined).await;
    // The uplink says goodbye after the last events.
    edges.stop.send_replace(true);
    if let Some(uplink) = edges.uplink {
        // A broker that does not answer is not waited for long.
        drop(tokio::time::timeout(Duration::from_secs(2), uplink).await);
    }
    for task in edges.tasks {
        task.abort();
    }
    match ended {
        Ok(Ok(Ok(()))) => {
            tracing::info!("stopped");
            Ok(())
        }
        Ok(_) => anyhow::bail!("the engine's thread had panicked"),
        Err(_) => anyhow::bail!("the end took longer than {} s", END.as_secs_f64()),
    }
}

fn told(recovered: &Recovered, notes: &[String], watch: &Stopwatch) {
    for note in notes.iter().chain(&recovered.notes) {
        tracing::error!("{note}");
    }
    if recovered.last_at.is_some() {
        tracing::info!(
            replayed_inputs = recovered.inputs,
            appended_events = recovered.rows.len(),
            ms = watch.nanos() / 1_000_000,
            "the state is as it was"
        );
    }
}

fn recover_state(
    state: &StateDir,
    loaded: &Loaded,
    store: &Arc<Store>,
    origin: &Origin,
    outbox: &Outbox,
) -> anyhow::Result<Recovered> {
    let kept = state.kept();
    kept.keep(&loaded.inputs_sha256, &loaded.inputs)?;
    let reader = Reader::open(outbox.path())?;
    recover(&Place {
        store,
        inputs_sha256: &loaded.inputs_sha256,
        kept: &kept,
        folder: &state.journal(),
        origin,
        reader: &reader,
        now: clock::wall(),
    })
}

struct TapeThread {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

fn start_tape(
    args: &Args,
    loaded: &Loaded,
    store: &Arc<Store>,
    inlet: &Inlet,
    health: &Arc<Health>,
    begin_at: Timestamp,
) -> anyhow::Result<Option<TapeThread>> {
    if args.play.is_empty() {
        return Ok(None);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let tape = Tape {
        recordings: args.play.clone(),
        speed: args.speed,
        times: args.repeat,
    };
    let (store, inlet, health) = (Arc::clone(store), inlet.clone(), Arc::clone(health));
    let player = Player::new(
        tape,
        store,
        &loaded.models,
        inlet,
        health,
        Arc::clone(&stop),
    )?;
    let play = move || {
        if let Err(error) = player.play(begin_at) {
            tracing::error!("the recording cannot be played on: {error:#}");
        }
    };
    let thread = std::thread::Builder::new()
        .name("tape".into())
        .spawn(play)?;
    Ok(Some(TapeThread { thread, stop }))
}

fn start_edges(
    loaded: &Loaded,
    health: &Arc<Health>,
    outbox: &Arc<Outbox>,
    inlet: &Inlet,
    wake: Arc<Notify>,
    origin: &Origin,
    listener: tokio::net::TcpListener,
    call: mpsc::Sender<Call>,
) -> anyhow::Result<Edges> {
    let (stop, stopped) = watch::channel(false);
    let pages = pages::DaemonPages::new(Arc::clone(health), Arc::clone(outbox));
    let console = crate::console::serve(listener, Arc::new(pages), call, stopped.clone());
    let mut edges = Edges {
        stop,
        uplink: None,
        tasks: vec![tokio::spawn(console)],
        standing: None,
    };
    let Some(mqtt) = &loaded.settings.mqtt else {
        tracing::warn!("the store file has no [mqtt]: events are kept and not published");
        return Ok(edges);
    };
    let (standing, published) = standing::Standing::new(&origin.store, Arc::clone(health));
    let mut options = super::broker::options(mqtt, &loaded.folder, &origin.store)?;
    options.will = Some(standing.will());
    let (asked, commands) = mpsc::channel(64);
    let (answers, to_answer) = mpsc::channel(64);
    let (resend, resends) = mpsc::channel(4);
    let uplink = Uplink {
        feed: feed::OutboxFeed::new(Arc::clone(outbox))?,
        confirm: mqtt.confirm,
        options,
        topics: topics(mqtt, &origin.store),
        journal: origin.journal.clone(),
        store: origin.store.clone(),
        parse_ack,
        standing: published,
        commands: asked,
        answers: to_answer,
        wake,
        report: Arc::clone(&health.uplink),
        resend: resends,
    };
    let carried_out = Commands {
        store: origin.store.clone(),
        journal: origin.journal.clone(),
        inlet: inlet.clone(),
        health: Arc::clone(health),
        outbox: Arc::clone(outbox),
        answers,
        resend,
    };
    edges.uplink = Some(tokio::spawn(uplink::run(uplink, stopped)));
    edges.tasks.push(tokio::spawn(carried_out.run(commands)));
    edges.tasks.push(tokio::spawn(standing.clone().run()));
    edges.standing = Some(standing);
    Ok(edges)
}

fn topics(mqtt: &Mqtt, store: &str) -> Topics {
    let backend = mqtt.confirm == crate::store::Confirm::Backend;
    Topics {
        ack: backend.then(|| topic::ack(store)),
        commands: Some(topic::commands(store)),
        status: topic::status(store),
    }
}

/// Reads the backend's watermark.
pub(super) fn parse_ack(payload: &[u8]) -> Result<Watermark, String> {
    let Ack { journal, through } = Ack::parse(payload)?;
    Ok(Watermark { journal, through })
}

/// Reads the store file anew; a bad one changes nothing and is told.
async fn reload(
    args: &Args,
    inlet: &Inlet,
    health: &Arc<Health>,
    state: &StateDir,
    live: &mut Option<Live>,
) {
    systemd::reloading();
    let done = read_anew(args, inlet, state, live).await;
    match done {
        Ok(told) => {
            tracing::info!("the store file is read anew: {told}");
            health.set("store-file", None);
        }
        Err(why) => {
            let why = why.replace('\n', "; ");
            tracing::error!("the store file stays as it was: {why}");
            health.set("store-file", Some(format!("the new one is refused: {why}")));
        }
    }
    systemd::reloaded();
}

async fn read_anew(
    args: &Args,
    inlet: &Inlet,
    state: &StateDir,
    live: &mut Option<Live>,
) -> Result<String, String> {
    let (path, kept) = (args.store.clone(), state.kept());
    let read = move || -> Result<Loaded, String> {
        let loaded = load(&path).map_err(|problems| problems.to_string())?;
        let kept = kept.keep(&loaded.inputs_sha256, &loaded.inputs);
        kept.map_err(|error| format!("{error:#}"))?;
        Ok(loaded)
    };
    let loaded = tokio::task::spawn_blocking(read).await;
    let loaded = loaded.map_err(|error| error.to_string())??;
    let (answer, answered) = oneshot::channel();
    let given = Given::Reload(Box::new(loaded.clone()), answer);
    let inlet = inlet.clone();
    let gave = tokio::task::spawn_blocking(move || inlet.give(given)).await;
    gave.map_err(|error| error.to_string())?
        .map_err(|_gone| "the box is going down".to_owned())?;
    let told = answered
        .await
        .unwrap_or_else(|_| Err("the box is going down".to_owned()))?;
    if let Some(live) = live {
        let followed = live.follow(&loaded).await;
        followed.map_err(|error| format!("{told}; sensors stand still: {error:#}"))?;
    }
    Ok(told)
}

/// Where state is kept when neither the store file nor systemd says.
fn default_state() -> PathBuf {
    match std::env::var_os("STATE_DIRECTORY") {
        // systemd gives several with colons between.
        Some(list) => std::env::split_paths(&list).next().unwrap_or_default(),
        None => PathBuf::from("state"),
    }
}
