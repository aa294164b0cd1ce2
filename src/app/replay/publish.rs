//! A replay's events to a broker, as a store of its own: `<id>-replay`, with a journal id of its
//! own, so that a backend can be tried with yesterday.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Notify, mpsc, watch};

use crate::app::{broker, journal_id};
use crate::link::mqtt::Options;
use crate::store::{Confirm, Mqtt, Store};
use crate::uplink::{self, Feed, Report, Sending, Topics, Uplink};
use crate::wire::delivery::{State, Status};
use crate::wire::event::Origin;
use crate::wire::topic;

pub(super) struct Publisher {
    origin: Origin,
    options: Options,
    timeout: Duration,
}

impl Publisher {
    /// Looks at the broker's settings before anything is replayed.
    pub(super) fn new(
        store: &Store,
        mqtt: Option<&Mqtt>,
        folder: &Path,
        timeout_s: u64,
    ) -> anyhow::Result<Self> {
        let mqtt = mqtt.context("--publish: the store file has no [mqtt]")?;
        let origin = Origin {
            store: format!("{}-replay", store.id),
            journal: journal_id::new_id(),
        };
        let options = broker::options(mqtt, folder, &origin.store)?;
        let timeout = Duration::from_secs(timeout_s);
        Ok(Self {
            origin,
            options,
            timeout,
        })
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// Sends all, and returns when the broker has taken each.
    pub(super) fn publish(self, events: Vec<Sending>) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        runtime.block_on(self.send(events))
    }

    async fn send(mut self, events: Vec<Sending>) -> anyhow::Result<()> {
        let all = events.len() as u64;
        let taken = Arc::new(AtomicU64::new(0));
        let report: Arc<Mutex<Report>> = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let status = topic::status(&self.origin.store);
        self.options.will = Some(broker::will(status.clone(), state(State::Offline)));
        let online = BTreeMap::from([(status.clone(), state(State::Online))]);
        // Both ends stay: nobody asks a replay for anything.
        let (_standing, standing) = watch::channel(online);
        let (commands, _asked) = mpsc::channel(1);
        let (_answers, answers) = mpsc::channel(1);
        let (_resend, resend) = mpsc::channel(1);
        let uplink = Uplink {
            feed: Memory {
                events,
                taken: Arc::clone(&taken),
            },
            // Whoever listens to a replay need not confirm it.
            confirm: Confirm::Puback,
            options: self.options,
            topics: Topics {
                ack: None,
                commands: None,
                status,
            },
            journal: self.origin.journal,
            store: self.origin.store.clone(),
            parse_ack: crate::app::run::parse_ack,
            standing,
            commands,
            answers,
            wake: Arc::new(Notify::new()),
            report: Arc::clone(&report),
            resend,
        };
        let sent = tokio::spawn(uplink::run(uplink, stopped));
        let (mut before, mut quiet) = (0, Duration::ZERO);
        while before < all && quiet < self.timeout {
            tokio::time::sleep(LOOK).await;
            let now = taken.load(Ordering::Acquire);
            quiet = if now > before {
                Duration::ZERO
            } else {
                quiet + LOOK
            };
            before = now;
        }
        let in_time = before >= all;
        stop.send_replace(true);
        sent.await?;
        let taken = taken.load(Ordering::Acquire);
        if !in_time {
            let report = report.lock().unwrap_or_else(PoisonError::into_inner);
            let why = if report.refusal.is_empty() {
                &report.trouble
            } else {
                &report.refusal
            };
            let store = &self.origin.store;
            anyhow::bail!("published {taken} of {all} events as `{store}`: {why}");
        }
        crate::app::print_err(&format!(
            "published  {taken} events as `{}`",
            self.origin.store
        ));
        Ok(())
    }
}

fn state(state: State) -> String {
    let status = Status {
        state,
        reasons: Vec::new(),
    };
    serde_json::to_string(&status).expect("plain structs are JSON")
}

/// How often it is looked at how far the broker is.
const LOOK: Duration = Duration::from_millis(20);

/// Events that need not outlive the program.
struct Memory {
    /// By `n`, from 1.
    events: Vec<Sending>,
    taken: Arc<AtomicU64>,
}

impl Feed for Memory {
    fn after(&mut self, n: u64, limit: usize) -> Result<Vec<Sending>, String> {
        let from = usize::try_from(n).unwrap_or(usize::MAX);
        let rest = self.events.get(from..).unwrap_or_default();
        Ok(rest.iter().take(limit).cloned().collect())
    }

    fn committed(&self) -> u64 {
        self.events.len() as u64
    }

    fn confirmed(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    fn confirm(&mut self, n: u64) {
        self.taken.fetch_max(n, Ordering::AcqRel);
    }

    fn traffic(&mut self, _limit: usize) -> Result<Vec<Sending>, String> {
        Ok(Vec::new())
    }

    fn traffic_sent(&mut self, _n: u64) {}
}
