//! The one thread that owns the engine. It puts everything into one total order: each input gets
//! its time, stands in the journal, and then the engine has it; what the engine says goes to the
//! outbox with the journal's file, which the outbox syncs first.
//!
//! Where nothing can be written, nothing is given to the engine: what sensors say meanwhile is
//! counted and told to the engine as gaps once there is space again. The journal then begins a new
//! file with the engine as it stands and with the events that the outbox lacks.

mod broken;
mod sensed;
mod states;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use self::broken::Broken;
use self::states::States;
pub(super) use self::upkeep::prune;
use super::disk::Disk;
use super::given::{Asked, Given, Topic};
use super::health::Health;
use super::rows;
use crate::app::load::Loaded;
use crate::clock::{Monotonic, SteadyClock, Stopwatch};
use crate::engine::{Engine, Input, Output};
use crate::observation::{Command, SourceReport};
use crate::outbox::{Batch, Outbox, Row, Then};
use crate::recording::journal::{Head, Journal};
use crate::store::{Settings, Store};
use crate::units::{TimeDelta, Timestamp};
use crate::wire::delivery::Reply;
use crate::wire::event::Origin;
use crate::wire::message::Route;
use crate::wire::{command, encode};

/// Inputs handled in one turn, at most: then what they gave is committed.
const TURN_MAX: usize = 512;
/// Without inputs a turn takes so long, so that deadlines fire and progress shows.
const IDLE: Duration = Duration::from_millis(50);
/// What is in the journal is on disk after so long, events or not.
const SYNC_MS: u64 = 1_000;
/// Away for longer than this is told to the engine.
const AWAY: TimeDelta = TimeDelta::from_millis(1_000);

/// What is told to whoever waits for an answer while nothing can be written.
const CANNOT_WRITE: &str = "the box cannot write at present; try again";

/// Whose time it is.
pub(super) enum Clock {
    Steady(SteadyClock),
    /// A recording's, at the time of its last message.
    Tape,
}

/// What the sequencer is made of.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) store: Arc<Store>,
    pub(super) settings: Settings,
    pub(super) head: Head,
    pub(super) origin: Origin,
    pub(super) folder: PathBuf,
    pub(super) state: PathBuf,
    /// The number of the next file of the journal.
    pub(super) number: u64,
    /// The time of the last input before this run.
    pub(super) last_at: Option<Timestamp>,
    /// The time of its beginning, not before that.
    pub(super) begin_at: Timestamp,
    /// Events that the engine has made and the outbox lacks.
    pub(super) uncommitted: Vec<Row>,
    pub(super) clock: Clock,
    pub(super) outbox: Arc<Outbox>,
    pub(super) health: Arc<Health>,
}

pub(super) struct Sequencer {
    engine: Engine,
    store: Arc<Store>,
    settings: Settings,
    head: Head,
    origin: Origin,
    folder: PathBuf,
    number: u64,
    journal: Option<Journal>,
    clock: Clock,
    now: Timestamp,
    outbox: Arc<Outbox>,
    health: Arc<Health>,
    routes: BTreeMap<Arc<Topic>, Arc<Route>>,
    /// How live sensors are.
    states: States,
    /// Of this turn.
    rows: Vec<Row>,
    then: Vec<Then>,
    /// Events handed to the outbox that it may not have committed.
    uncommitted: VecDeque<Row>,
    disk: Disk,
    watch: Monotonic,
    flushed_ms: u64,
    rotated_ms: u64,
    rotated_at: Timestamp,
    tended_ms: u64,
    engine_nanos: u64,
    broken: Option<Broken>,
    stopping: bool,
}

impl Sequencer {
    /// Begins a file of the journal with the engine as it stands.
    pub(super) fn begin(parts: Parts) -> io::Result<Self> {
        let mut sequencer = Self {
            now: parts.begin_at,
            engine: parts.engine,
            store: parts.store,
            head: parts.head,
            origin: parts.origin,
            folder: parts.folder,
            number: parts.number,
            journal: None,
            clock: parts.clock,
            outbox: parts.outbox,
            health: parts.health,
            routes: BTreeMap::new(),
            states: States::default(),
            rows: Vec::new(),
            then: Vec::new(),
            uncommitted: parts.uncommitted.into(),
            disk: Disk::new(&parts.state, &parts.settings.state),
            settings: parts.settings,
            watch: Monotonic::start(),
            flushed_ms: 0,
            rotated_ms: 0,
            rotated_at: parts.begin_at,
            tended_ms: 0,
            engine_nanos: 0,
            broken: None,
            stopping: false,
        };
        sequencer.advance();
        let resync = std::mem::take(&mut sequencer.head.resync);
        sequencer.rotate(resync)?;
        // What recovery made anew goes the same way as everything else.
        sequencer.rows = sequencer.uncommitted.drain(..).collect();
        sequencer.commit();
        if let Some(last) = parts.last_at {
            sequencer.was_away(last);
        }
        Ok(sequencer)
    }

    /// How long the box was away is an input like any other.
    fn was_away(&mut self, last: Timestamp) {
        let away = self.now - last;
        if away < AWAY {
            return;
        }
        let reason = format!("the box was away for {:.1} s", away.as_secs());
        tracing::warn!("{reason}");
        let lost = u64::try_from(away.as_micros() / 1000).unwrap_or(0);
        let gap = SourceReport::Gap {
            source: "box".to_owned(),
            lost,
            reason,
        };
        let topic = Topic::json("/gap", "basketd.SourceGap");
        let at = self.now;
        // Before the deadlines of that time: a visit that one of them closes was not watched.
        if self.journal_it(&topic, (at, at), &encode::source(&gap)) {
            self.handle(at, Input::Source(gap));
        }
        self.commit();
    }

    /// Takes what it is given until it is told to stop.
    pub(super) fn run(mut self, inlet: &Receiver<Given>) {
        loop {
            self.health.beat();
            if self.broken.is_some() {
                self.broken_turn(inlet);
            } else {
                self.turn(inlet);
            }
            if self.stopping {
                break;
            }
        }
        self.end();
    }

    fn turn(&mut self, inlet: &Receiver<Given>) {
        match inlet.recv_timeout(self.idle()) {
            Ok(given) => self.take(given),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.stopping = true,
        }
        let mut taken = 1;
        while taken < TURN_MAX && !self.stopping && self.broken.is_none() {
            let Ok(given) = inlet.try_recv() else { break };
            self.take(given);
            taken += 1;
        }
        let counts = &self.health.counts;
        counts.waiting_inputs.store(taken as u64, Ordering::Relaxed);
        let now_us = u64::try_from(self.now.as_micros()).unwrap_or(0);
        counts.engine_time_us.store(now_us, Ordering::Relaxed);
        if self.broken.is_some() {
            return;
        }
        self.tell_states();
        self.advance();
        self.fire_until(self.now);
        self.commit();
        self.tend();
    }

    /// Until the engine's next deadline, but not long.
    fn idle(&mut self) -> Duration {
        let due = match (&mut self.clock, self.engine.poll_timeout()) {
            (Clock::Steady(clock), Some((due, _))) => {
                let wait = (due - clock.now()).as_micros().max(0);
                Duration::from_micros(u64::try_from(wait).unwrap_or(0))
            }
            _ => IDLE,
        };
        due.min(IDLE)
    }

    /// Lets time go on; a recording's stands still between its messages.
    fn advance(&mut self) {
        if let Clock::Steady(clock) = &mut self.clock {
            self.now = self.now.max(clock.now());
        }
    }

    fn take(&mut self, given: Given) {
        match given {
            Given::Sensed(sensed) => self.sensed(&sensed),
            Given::Told(topic, told, _room) => self.told(&topic, told),
            Given::Event(sensed, answer) => self.event(&sensed, answer),
            Given::Parted(source) => self.parted(&source),
            Given::Command(asked) => self.command(asked),
            Given::Reload(loaded, answer) => {
                let done = self.reload(*loaded);
                // Whoever asked may have gone.
                drop(answer.send(done));
            }
            Given::TapeEnded => self.tape_ended(),
            Given::Stop => self.stopping = true,
        }
    }

    /// Time goes on by the clock, and nobody speaks any more.
    fn tape_ended(&mut self) {
        self.clock = Clock::Steady(SteadyClock::start(Some(self.now)));
        let why = "the recording has ended";
        tracing::info!("{why}");
        self.health.all_offline(why, &self.now.to_string());
    }

    /// Fires what was due before, puts an input into the journal, and gives it to the engine.
    fn give(
        &mut self,
        topic: &Topic,
        (at, captured_at): (Timestamp, Timestamp),
        payload: &[u8],
        input: Input,
    ) {
        self.fire_until(at);
        if self.broken.is_some() || !self.journal_it(topic, (at, captured_at), payload) {
            return;
        }
        self.health.counts.inputs.fetch_add(1, Ordering::Relaxed);
        self.handle(at, input);
    }

    fn handle(&mut self, at: Timestamp, input: Input) {
        let watch = Stopwatch::start();
        self.engine.handle(at, input);
        while let Some(output) = self.engine.poll_output() {
            if let Output::Event(event) = output {
                self.rows.push(rows::row(&self.store, &self.origin, &event));
            }
        }
        let nanos = watch.nanos();
        self.engine_nanos += nanos;
        let counts = &self.health.counts;
        counts.engine_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Lets the engine's deadlines come, each in the journal.
    fn fire_until(&mut self, at: Timestamp) {
        let topic = Topic::json("/timer", "basketd.Timer");
        while let Some((due, why)) = self.engine.poll_timeout().filter(|(due, _)| *due <= at) {
            // A deadline in the past is now.
            let due = self.engine.now().map_or(due, |now| due.max(now));
            if !self.journal_it(&topic, (due, due), &encode::timer(why)) {
                return;
            }
            self.health.counts.timers.fetch_add(1, Ordering::Relaxed);
            self.handle(due, Input::Timeout(why));
        }
    }

    /// Writes to the journal; `false` where that fails, and the input must not go on.
    fn journal_it(&mut self, topic: &Topic, times: (Timestamp, Timestamp), bytes: &[u8]) -> bool {
        let Some(journal) = &mut self.journal else {
            return false;
        };
        let text = encode::schema_text(&topic.schema).unwrap_or_default();
        let schema = (topic.schema.as_str(), topic.schema_encoding.as_str(), text);
        let times = (times.0.as_nanos(), times.1.as_nanos());
        match journal.write(&topic.topic, schema, &topic.encoding, times, bytes) {
            Ok(()) => true,
            Err(error) => {
                let why = format!("{}: {error}", journal.path.display());
                self.break_down(&why, true);
                false
            }
        }
    }

    fn command(&mut self, asked: Asked) {
        self.advance();
        let refused = |answer: oneshot::Sender<Reply>, why: String| {
            // Whoever asked may have gone.
            drop(answer.send(Reply::refused(why)));
        };
        let parsed = command::parse(&self.store, &asked.payload);
        let given = match parsed {
            Ok(given) => given,
            Err(why) => return refused(asked.answer, why),
        };
        // What is due by now comes first: it may close what the command speaks of.
        self.fire_until(self.now);
        if let Some(why) = self.engine.refuses(&given) {
            return refused(asked.answer, why);
        }
        // What is journaled is what was understood, field by field.
        let bytes = command::encode(&self.store, &given);
        let at = self.now;
        let topic = Topic::json("/command", "basketd.Command");
        if given != Command::Status {
            self.give(&topic, (at, at), &bytes, Input::Command(given));
        }
        if self.broken.is_some() {
            drop(asked.answer.send(Reply::refused(CANNOT_WRITE.to_owned())));
            return;
        }
        self.health.counts.commands.fetch_add(1, Ordering::Relaxed);
        tracing::info!("carried out: {}", String::from_utf8_lossy(&bytes));
        // Answered when it is on disk.
        self.then
            .push(Box::new(move || drop(asked.answer.send(Reply::ok()))));
    }

    /// Hands this turn's events to the outbox, after the journal's bytes.
    fn commit(&mut self) {
        let now = self.watch.millis();
        let due = now - self.flushed_ms >= SYNC_MS;
        let nothing = self.rows.is_empty() && self.then.is_empty();
        if self.broken.is_some() || (nothing && !due) {
            return;
        }
        let flushed = match &mut self.journal {
            Some(journal) if journal.has_unflushed() || !nothing => Some(journal.flush()),
            _ => None,
        };
        self.flushed_ms = now;
        let file = match flushed {
            Some(Ok(file)) => Some(file),
            Some(Err(error)) => {
                self.break_down(&format!("the journal: {error}"), true);
                return;
            }
            None => None,
        };
        let committed = self.outbox.committed();
        while self
            .uncommitted
            .front()
            .is_some_and(|row| row.n <= committed)
        {
            self.uncommitted.pop_front();
        }
        let events = std::mem::take(&mut self.rows);
        let then = std::mem::take(&mut self.then);
        if file.is_none() && events.is_empty() && then.is_empty() {
            return;
        }
        let counts = &self.health.counts;
        counts
            .events
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        self.uncommitted.extend(events.iter().cloned());
        self.outbox.write(Batch {
            events,
            journal: file,
            then,
            ..Batch::default()
        });
    }

    /// Another store file: in place where its layout is the same; else the engine hands over to a
    /// new one, and visits that are open are closed under review.
    fn reload(&mut self, loaded: Loaded) -> Result<String, String> {
        if self.broken.is_some() {
            return Err("the box cannot write at present".to_owned());
        }
        if loaded.store.id != self.store.id {
            return Err(format!(
                "the store's id would change from `{}` to `{}`; that needs a state of its own",
                self.store.id, loaded.store.id
            ));
        }
        let Loaded {
            store,
            settings,
            sha256,
            inputs_sha256,
            ..
        } = loaded;
        let store = Arc::new(store);
        self.advance();
        self.fire_until(self.now);
        self.commit();
        let told = if self.engine.reload(Arc::clone(&store)).is_ok() {
            "prices, names and tunables are taken over".to_owned()
        } else {
            let fresh = Engine::new(Arc::clone(&self.store));
            let old = std::mem::replace(&mut self.engine, fresh);
            let (engine, events) = old.hand_over(self.now, Arc::clone(&store));
            self.engine = engine;
            let closed = events.len();
            for event in events {
                self.rows.push(rows::row(&self.store, &self.origin, &event));
            }
            tracing::warn!(
                events = closed,
                "another layout: visits that were open are closed under review"
            );
            format!("another layout: the engine begins anew, {closed} events closed what was open")
        };
        self.store = store;
        self.routes.clear();
        self.head.store_sha256 = sha256;
        self.head.inputs_sha256 = inputs_sha256;
        self.disk.limits(&settings.state);
        let elsewhere = settings.mqtt != self.settings.mqtt
            || settings.console != self.settings.console
            || settings.state.dir != self.settings.state.dir;
        self.settings = settings;
        if let Err(error) = self.rotate(true) {
            self.break_down(&format!("the journal: {error}"), true);
        }
        self.commit();
        let restart = "; [mqtt], [console] and `dir` count at the next start";
        Ok(format!("{told}{}", if elsewhere { restart } else { "" }))
    }

    /// Commits what is left, and leaves a file that begins where this run ended.
    fn end(mut self) {
        if self.broken.is_some() {
            tracing::error!("stopped while nothing could be written");
            return;
        }
        self.advance();
        self.fire_until(self.now);
        self.commit();
        match self.journal.take().map(Journal::finish) {
            Some(Ok(file)) => self.outbox.write(Batch {
                events: std::mem::take(&mut self.rows),
                journal: Some(file),
                then: std::mem::take(&mut self.then),
                ..Batch::default()
            }),
            Some(Err(error)) => tracing::warn!("the journal: {error}"),
            None => {}
        }
        if !self.outbox.barrier(Duration::from_secs(4)) {
            tracing::error!("the last events were not committed in time; the journal has them");
        }
    }
}

/// The journal's folder below the state's.
pub(super) fn journal_folder(state: &std::path::Path) -> PathBuf {
    state.join("journal")
}
