//! The outbox as others hold it: batches go in, and what is on disk shows.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Row;
use super::schema::{self, OpenError};
use super::writer::Writer;

/// Batches that wait for the writer; then the engine waits for it.
const WAITING_MAX: usize = 256;

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Trouble {
    /// What was written to the journal's file may be lost: only a new file helps.
    pub journal: bool,
    pub why: String,
}

/// Called once what it waits for is on disk.
pub type Then = Box<dyn FnOnce() + Send>;

/// What is committed together.
#[derive(Default)]
pub struct Batch {
    pub events: Vec<Row>,
    /// Those that may be dropped when space runs out.
    pub traffic: Vec<Row>,
    /// The journal's file, flushed: it must be on disk before the events are.
    pub journal: Option<Arc<File>>,
    pub then: Vec<Then>,
}

/// How much is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Confirmed events are the history: they are removed after so many days.
    pub event_days: u64,
    /// Traffic and interest that could not be sent are dropped after so many days or bytes.
    pub traffic_days: u64,
    pub traffic_bytes: u64,
}

/// What the writer is given.
pub(super) enum Job {
    Write(Batch),
    Confirm(u64),
    TrafficSent(u64),
    /// The journal has a new file that holds all that was not committed.
    Replaced(Arc<File>),
    Tend {
        now_us: i64,
    },
    Barrier(SyncSender<()>),
    Stop,
}

/// What others see of the writer while it works.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) committed: AtomicU64,
    pub(super) confirmed: AtomicU64,
    /// Bytes of events that the backend has not confirmed.
    pub(super) waiting_bytes: AtomicU64,
    pub(super) traffic_bytes: AtomicU64,
    pub(super) traffic_dropped: AtomicU64,
    pub(super) commits: AtomicU64,
    /// Why nothing can be written at present.
    pub(super) trouble: Mutex<Option<Trouble>>,
}

/// The outbox, open for writing.
pub struct Outbox {
    path: PathBuf,
    journal: String,
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// Opens or makes the database of a store. `journal` is the id that a new one gets; one that is
    /// there keeps its own. `changed` is called after each commit and whenever trouble begins or ends.
    pub fn open(
        path: &Path,
        store: &str,
        journal: &str,
        limits: Limits,
        changed: impl Fn() + Send + 'static,
    ) -> Result<Self, OpenError> {
        let db = schema::open(path)?;
        let told = |error| OpenError::Sqlite {
            path: path.display().to_string(),
            error,
        };
        let known = schema::meta(&db, "journal").map_err(told)?;
        let journal = known.unwrap_or_else(|| journal.to_owned());
        schema::set_meta(&db, "journal", &journal).map_err(told)?;
        let of_store = schema::meta(&db, "store").map_err(told)?;
        if let Some(found) = of_store.filter(|found| found != store) {
            return Err(OpenError::OtherStore {
                path: path.display().to_string(),
                found,
                wanted: store.to_owned(),
            });
        }
        schema::set_meta(&db, "store", store).map_err(told)?;
        schema::set_meta(&db, "closed", "0").map_err(told)?;
        let confirmed = schema::meta(&db, "confirmed").map_err(told)?;
        let confirmed = confirmed.and_then(|n| n.parse().ok()).unwrap_or(0);
        let number = |text: &str| -> Result<u64, OpenError> {
            let found: i64 = db.query_row(text, [], |row| row.get(0)).map_err(told)?;
            Ok(u64::try_from(found).unwrap_or(0))
        };
        let waiting =
            format!("select coalesce(sum(length(body)), 0) from event where n > {confirmed}");
        let shared = Arc::new(Shared {
            committed: AtomicU64::new(number("select coalesce(max(n), 0) from event")?),
            confirmed: AtomicU64::new(confirmed),
            waiting_bytes: AtomicU64::new(number(&waiting)?),
            traffic_bytes: AtomicU64::new(number(
                "select coalesce(sum(length(body)), 0) from traffic",
            )?),
            traffic_dropped: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            trouble: Mutex::new(None),
        });
        let (jobs, queue) = sync_channel(WAITING_MAX);
        let writer = Writer {
            path: path.to_owned(),
            db,
            limits,
            shared: Arc::clone(&shared),
            changed: Box::new(changed),
            watermark_written: confirmed,
        };
        let thread = std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || writer.run(&queue))
            .expect("the system has threads to give at start");
        Ok(Self {
            path: path.to_owned(),
            journal,
            jobs,
            shared,
            thread: Some(thread),
        })
    }

    /// The id of the journal that the events belong to.
    pub fn journal(&self) -> &str {
        &self.journal
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands a batch over; waits where the writer is behind. Batches are committed in order.
    pub fn write(&self, batch: Batch) {
        self.give(Job::Write(batch));
    }

    /// Whether a batch can be handed over without waiting is not known; this tells whether the
    /// writer has stopped for want of space or a broken disk.
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock_trouble().clone()
    }

    /// The backend has everything through `n`.
    pub fn confirm(&self, n: u64) {
        if n > self.confirmed() {
            self.give(Job::Confirm(n));
        }
    }

    /// Traffic through `n` was taken by the broker.
    pub fn traffic_sent(&self, n: u64) {
        self.give(Job::TrafficSent(n));
    }

    /// After trouble: a new journal file holds all that is not committed, and is on disk.
    pub fn replaced(&self, journal: Arc<File>) {
        self.give(Job::Replaced(journal));
    }

    /// Removes what is past its limits.
    pub fn tend(&self, now_us: i64) {
        self.give(Job::Tend { now_us });
    }

    /// Waits until all that was handed over is committed; `false` where that takes longer than
    /// `patience`.
    pub fn barrier(&self, patience: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        self.give(Job::Barrier(done));
        wait.recv_timeout(patience).is_ok()
    }

    /// The last event's `n` that is on disk.
    pub fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::Acquire)
    }

    pub fn confirmed(&self) -> u64 {
        self.shared.confirmed.load(Ordering::Acquire)
    }

    /// Bytes of events that wait for the backend.
    pub fn waiting_bytes(&self) -> u64 {
        self.shared.waiting_bytes.load(Ordering::Acquire)
    }

    pub fn traffic_bytes(&self) -> u64 {
        self.shared.traffic_bytes.load(Ordering::Acquire)
    }

    pub fn traffic_dropped(&self) -> u64 {
        self.shared.traffic_dropped.load(Ordering::Acquire)
    }

    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Acquire)
    }

    fn give(&self, job: Job) {
        // The thread ends only with the outbox.
        self.jobs.send(job).ok();
    }

    fn lock_trouble(&self) -> std::sync::MutexGuard<'_, Option<Trouble>> {
        let trouble = self.shared.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.give(Job::Stop);
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the outbox's thread had panicked");
        }
    }
}
