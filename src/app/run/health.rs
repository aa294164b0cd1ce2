//! How the daemon is, for its status topic, its pages and systemd: one place that every part
//! reports to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::clock::Monotonic;
use crate::observation::SourceState;
use crate::uplink;
use crate::vision::Timings;

/// Shared by all threads and tasks.
#[derive(Debug)]
pub(super) struct Health {
    state: Mutex<State>,
    /// Told whenever reasons or sources change.
    pub(super) changed: Arc<Notify>,
    clock: Monotonic,
    /// Turns of the sequencer's loop: they stop where it is stuck.
    beats: AtomicU64,
    pub(super) uplink: Arc<Mutex<uplink::Report>>,
    pub(super) counts: Counts,
}

/// Counters and gauges; each is written by one part.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) inputs: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) timers: AtomicU64,
    pub(super) waiting_inputs: AtomicU64,
    pub(super) journal_bytes: AtomicU64,
    pub(super) journal_files: AtomicU64,
    pub(super) open_visits: AtomicU64,
    pub(super) snapshot_bytes: AtomicU64,
    pub(super) engine_nanos: AtomicU64,
    pub(super) commands: AtomicU64,
    pub(super) commands_refused: AtomicU64,
    pub(super) frames_skipped: AtomicU64,
    /// Microseconds since 1970.
    pub(super) engine_time_us: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Why the box is not as it should be, by part.
    reasons: BTreeMap<&'static str, String>,
    sources: BTreeMap<String, Source>,
    losses: BTreeMap<String, u64>,
    ready: bool,
    inference: Timings,
}

/// A sensor as the daemon knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) state: SourceState,
    pub(super) reason: String,
    /// RFC 3339, when it came into that state.
    pub(super) since: String,
    /// Milliseconds of this run's clock at its last word.
    pub(super) heard_ms: Option<u64>,
    pub(super) messages: u64,
    /// It tells itself how it is; else its words alone show that it lives.
    pub(super) tells: bool,
}

/// Reasons of losses kept apart; they come from messages that can hold anything.
const LOSSES_MAX: usize = 200;

impl Health {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Arc::default(),
            clock: Monotonic::start(),
            beats: AtomicU64::new(0),
            uplink: Arc::default(),
            counts: Counts::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or lifts what is wrong with a part; told in the log when it changes.
    pub(super) fn set(&self, part: &'static str, reason: Option<String>) {
        let mut state = self.lock();
        let before = match &reason {
            Some(reason) => state.reasons.insert(part, reason.clone()),
            None => state.reasons.remove(part),
        };
        drop(state);
        if before == reason {
            return;
        }
        match (&before, &reason) {
            (_, Some(reason)) => tracing::warn!(part, "degraded: {reason}"),
            (Some(before), None) => tracing::info!(part, "no longer so: {before}"),
            (None, None) => {}
        }
        self.changed.notify_waiters();
    }

    /// What is wrong, a line each; empty where all is well.
    pub(super) fn reasons(&self) -> Vec<String> {
        let state = self.lock();
        let own = state.reasons.iter();
        let own = own.map(|(part, why)| format!("{part}: {why}"));
        let ill = state.sources.iter();
        let ill = ill.filter(|(_, known)| known.tells && known.state != SourceState::Online);
        let ill = ill.map(|(name, known)| {
            let word = if known.state == SourceState::Offline {
                "offline"
            } else {
                "degraded"
            };
            format!("{name} is {word}: {}", known.reason)
        });
        own.chain(ill).collect()
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.lock().ready = ready;
        self.changed.notify_waiters();
    }

    pub(super) fn is_ready(&self) -> bool {
        self.lock().ready
    }

    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// A source has spoken so many times.
    pub(super) fn heard(&self, source: &str, messages: u64, at: &dyn Fn() -> String) {
        let now = self.clock.millis();
        let mut state = self.lock();
        if let Some(known) = state.sources.get_mut(source) {
            known.heard_ms = Some(now);
            known.messages += messages;
            if known.tells || known.state == SourceState::Online {
                return;
            }
        }
        let known = state.sources.entry(source.to_owned());
        let known = known.or_insert_with(|| Source {
            state: SourceState::Online,
            reason: String::new(),
            since: at(),
            heard_ms: Some(now),
            messages,
            tells: false,
        });
        let news = known.state != SourceState::Online;
        if news {
            (known.state, known.since) = (SourceState::Online, at());
            known.reason.clear();
        }
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn source(&self, source: &str, is: SourceState, reason: &str, since: String) {
        let mut state = self.lock();
        let known = state.sources.entry(source.to_owned()).or_insert(Source {
            state: is,
            reason: String::new(),
            since: String::new(),
            heard_ms: None,
            messages: 0,
            tells: true,
        });
        known.tells = true;
        if known.state != is || known.since.is_empty() {
            known.since = since;
        }
        known.state = is;
        reason.clone_into(&mut known.reason);
        drop(state);
        self.changed.notify_waiters();
    }

    /// A sensor that is none any more.
    pub(super) fn forget(&self, source: &str) {
        self.lock().sources.remove(source);
        self.changed.notify_waiters();
    }

    /// Nobody speaks any more.
    pub(super) fn all_offline(&self, reason: &str, since: &str) {
        let mut state = self.lock();
        for source in state.sources.values_mut() {
            source.state = SourceState::Offline;
            reason.clone_into(&mut source.reason);
            since.clone_into(&mut source.since);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn sources(&self) -> BTreeMap<String, Source> {
        self.lock().sources.clone()
    }

    /// Counts what was lost; the first of a reason is told in the log.
    pub(super) fn lose(&self, why: &str, times: u64) {
        let mut state = self.lock();
        let known = state.losses.len();
        let why: String = why.chars().take(200).collect();
        let why = if known >= LOSSES_MAX && !state.losses.contains_key(&why) {
            "other reasons".to_owned()
        } else {
            why
        };
        let count = state.losses.entry(why.clone()).or_insert(0);
        let first = *count == 0;
        *count += times;
        drop(state);
        if first {
            tracing::warn!("lost: {why}");
        }
    }

    pub(super) fn inferred(&self, timings: Timings) {
        self.lock().inference = timings;
    }

    /// Prometheus text exposition format 0.0.4.
    pub(super) fn metrics(&self, outbox: &OutboxGauges) -> String {
        let mut out = Metrics::default();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        out.one("basketd_up", "gauge", "1 while the daemon runs.", 1.0);
        let ready = f64::from(u8::from(self.is_ready()));
        out.one(
            "basketd_ready",
            "gauge",
            "1 where sensors are taken and events kept.",
            ready,
        );
        let report = self.uplink.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = !report.trouble.is_empty() || !self.reasons().is_empty();
        drop(report);
        let degraded = f64::from(u8::from(wrong));
        out.one(
            "basketd_degraded",
            "gauge",
            "1 where something is wrong; /readyz says what.",
            degraded,
        );
        let time = of(&counts.engine_time_us) as f64 / 1e6;
        out.one(
            "basketd_engine_time_seconds",
            "gauge",
            "The engine's time, seconds since 1970.",
            time,
        );
        for (name, kind, help, value) in [
            (
                "basketd_inputs_total",
                "counter",
                "Inputs that the engine was given.",
                of(&counts.inputs),
            ),
            (
                "basketd_timers_total",
                "counter",
                "Deadlines of the engine that fired.",
                of(&counts.timers),
            ),
            (
                "basketd_events_total",
                "counter",
                "Events that the engine made.",
                of(&counts.events),
            ),
            (
                "basketd_inputs_waiting",
                "gauge",
                "Inputs taken in one turn of the sequencer.",
                of(&counts.waiting_inputs),
            ),
            (
                "basketd_open_visits",
                "gauge",
                "Visits without a receipt.",
                of(&counts.open_visits),
            ),
            (
                "basketd_engine_nanoseconds_total",
                "counter",
                "Time spent in the engine.",
                of(&counts.engine_nanos),
            ),
            (
                "basketd_journal_bytes",
                "gauge",
                "Size of the journal.",
                of(&counts.journal_bytes),
            ),
            (
                "basketd_journal_files",
                "gauge",
                "Files of the journal.",
                of(&counts.journal_files),
            ),
            (
                "basketd_snapshot_bytes",
                "gauge",
                "Size of the last frozen engine.",
                of(&counts.snapshot_bytes),
            ),
            (
                "basketd_commands_total",
                "counter",
                "Commands carried out.",
                of(&counts.commands),
            ),
            (
                "basketd_commands_refused_total",
                "counter",
                "Commands refused.",
                of(&counts.commands_refused),
            ),
            (
                "basketd_frames_skipped_total",
                "counter",
                "Frames of live cameras that a newer one overtook.",
                of(&counts.frames_skipped),
            ),
            (
                "basketd_outbox_events",
                "gauge",
                "Events that wait for the backend.",
                outbox.unconfirmed(),
            ),
            (
                "basketd_outbox_bytes",
                "gauge",
                "Bytes of events that wait for the backend.",
                outbox.waiting_bytes,
            ),
            (
                "basketd_outbox_committed",
                "gauge",
                "The last event that is on disk.",
                outbox.committed,
            ),
            (
                "basketd_outbox_confirmed",
                "gauge",
                "The last event that the backend has confirmed.",
                outbox.confirmed,
            ),
            (
                "basketd_outbox_commits_total",
                "counter",
                "Transactions of the outbox.",
                outbox.commits,
            ),
            (
                "basketd_traffic_bytes",
                "gauge",
                "Bytes of traffic and interest not sent.",
                outbox.traffic_bytes,
            ),
            (
                "basketd_traffic_dropped_total",
                "counter",
                "Traffic and interest events dropped for space or age.",
                outbox.traffic_dropped,
            ),
        ] {
            out.one(name, kind, help, value as f64);
        }
        self.uplink_metrics(&mut out);
        self.source_metrics(&mut out);
        out.0
    }

    fn uplink_metrics(&self, out: &mut Metrics) {
        let report = self
            .uplink
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let connected = u64::from(report.connected);
        for (name, kind, help, value) in [
            (
                "basketd_mqtt_connected",
                "gauge",
                "1 while the broker is connected.",
                connected,
            ),
            (
                "basketd_mqtt_connects_total",
                "counter",
                "Connections made.",
                report.connects,
            ),
            (
                "basketd_mqtt_published_total",
                "counter",
                "Events handed to the broker, repeats among them.",
                report.published,
            ),
            (
                "basketd_mqtt_resent_total",
                "counter",
                "Times that all unconfirmed events were sent again.",
                report.resent,
            ),
            (
                "basketd_mqtt_refused_total",
                "counter",
                "Events that the broker refused.",
                report.refused,
            ),
        ] {
            out.one(name, kind, help, value as f64);
        }
    }

    fn source_metrics(&self, out: &mut Metrics) {
        let state = self.lock();
        let now = self.clock.millis();
        out.head(
            "basketd_source_age_seconds",
            "gauge",
            "Time since a sensor's last word.",
        );
        for (name, source) in &state.sources {
            if let Some(heard) = source.heard_ms {
                let age = now.saturating_sub(heard) as f64 / 1e3;
                out.of("basketd_source_age_seconds", "source", name, age);
            }
        }
        out.head("basketd_source_up", "gauge", "1 while a sensor is online.");
        for (name, source) in &state.sources {
            let up = f64::from(u8::from(source.state == SourceState::Online));
            out.of("basketd_source_up", "source", name, up);
        }
        out.head(
            "basketd_source_messages_total",
            "counter",
            "Messages of a sensor.",
        );
        for (name, source) in &state.sources {
            out.of(
                "basketd_source_messages_total",
                "source",
                name,
                source.messages as f64,
            );
        }
        out.head("basketd_lost_total", "counter", "What was lost, by reason.");
        for (why, count) in &state.losses {
            out.of("basketd_lost_total", "reason", why, *count as f64);
        }
        let (frames, seconds) = (state.inference.frames, state.inference.run_ns as f64 / 1e9);
        out.one(
            "basketd_inference_frames_total",
            "counter",
            "Frames that models looked at.",
            frames as f64,
        );
        out.one(
            "basketd_inference_seconds_total",
            "counter",
            "Time that models took.",
            seconds,
        );
    }
}

/// What the outbox tells.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OutboxGauges {
    pub(super) committed: u64,
    pub(super) confirmed: u64,
    pub(super) waiting_bytes: u64,
    pub(super) traffic_bytes: u64,
    pub(super) traffic_dropped: u64,
    pub(super) commits: u64,
}

impl OutboxGauges {
    fn unconfirmed(&self) -> u64 {
        self.committed.saturating_sub(self.confirmed)
    }
}

#[derive(Default)]
struct Metrics(String);

impl Metrics {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string never fails.
        write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        writeln!(self.0, "{name} {value}").ok();
    }

    fn of(&mut self, name: &str, label: &str, of: &str, value: f64) {
        let of = of
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        writeln!(self.0, "{name}{{{label}=\"{of}\"}} {value}").ok();
    }
}
