//! The one thread that writes: takes what waits, syncs the journal that it follows from, commits,
//! and tells who waits for that. What cannot be written is kept and tried again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::schema::{self, OpenError};
use super::{Change, Row};

/// Batches that wait for the writer; then the engine waits for it.
const WAITING_MAX: usize = 256;
/// Events in one transaction, at most: 50 ms on a slow disk.
const TRANSACTION_MAX: usize = 4096;
/// How long the writer waits before it tries again what failed.
const RETRY: Duration = Duration::from_millis(500);
/// A watermark is written with the next events, or after this long without any: a lost one is told
/// again by the backend.
const WATERMARK: Duration = Duration::from_secs(1);
/// Rows removed in one transaction.
const TEND_ROWS: i64 = 2000;

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

enum Job {
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
struct Shared {
    committed: AtomicU64,
    confirmed: AtomicU64,
    /// Bytes of events that the backend has not confirmed.
    waiting_bytes: AtomicU64,
    traffic_bytes: AtomicU64,
    traffic_dropped: AtomicU64,
    commits: AtomicU64,
    /// Why nothing can be written at present.
    trouble: Mutex<Option<Trouble>>,
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

struct Writer {
    path: PathBuf,
    db: Connection,
    limits: Limits,
    shared: Arc<Shared>,
    changed: Box<dyn Fn() + Send>,
    watermark_written: u64,
}

/// What one transaction takes.
#[derive(Default)]
struct Work {
    events: Vec<Row>,
    traffic: Vec<Row>,
    traffic_sent: Option<u64>,
    journals: Vec<Arc<File>>,
    then: Vec<Then>,
    barriers: Vec<SyncSender<()>>,
    tend: Option<i64>,
    stop: bool,
}

impl Work {
    fn rows(&self) -> usize {
        self.events.len() + self.traffic.len()
    }

    fn has_rows(&self) -> bool {
        self.rows() > 0 || self.traffic_sent.is_some() || self.tend.is_some()
    }
}

/// Why a commit failed, and whether the same may be tried again.
enum Failed {
    /// What was written to the journal may be lost, whatever a second sync says (a failed one
    /// forgets the pages): only a new file helps.
    Journal(std::io::Error),
    Database(rusqlite::Error),
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut work = Work::default();
        loop {
            match jobs.recv_timeout(WATERMARK) {
                Ok(job) => self.take(&mut work, job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => work.stop = true,
            }
            while work.rows() < TRANSACTION_MAX && !work.stop {
                let Ok(job) = jobs.try_recv() else { break };
                self.take(&mut work, job);
            }
            if !self.finish(&mut work, jobs) {
                break;
            }
            let stop = work.stop;
            work = Work::default();
            if stop {
                break;
            }
        }
        self.close();
    }

    fn take(&self, work: &mut Work, job: Job) {
        match job {
            Job::Write(batch) => {
                work.events.extend(batch.events);
                work.traffic.extend(batch.traffic);
                work.then.extend(batch.then);
                if let Some(file) = batch.journal {
                    // One file's later bytes include its earlier ones.
                    if work
                        .journals
                        .last()
                        .is_none_or(|last| !Arc::ptr_eq(last, &file))
                    {
                        work.journals.push(file);
                    }
                }
            }
            Job::Confirm(n) => self.confirm(n),
            Job::TrafficSent(n) => work.traffic_sent = work.traffic_sent.max(Some(n)),
            Job::Replaced(_) => {}
            Job::Tend { now_us } => work.tend = Some(now_us),
            Job::Barrier(done) => work.barriers.push(done),
            Job::Stop => work.stop = true,
        }
    }

    /// The watermark counts at once; it is written with what comes next.
    fn confirm(&self, n: u64) {
        let before = self.shared.confirmed.fetch_max(n, Ordering::AcqRel);
        if n <= before {
            return;
        }
        let text = "select coalesce(sum(length(body)), 0) from event where n > ?1 and n <= ?2";
        let bytes = self.db.prepare_cached(text).and_then(|mut statement| {
            statement.query_row(params![before as i64, n as i64], |row| row.get::<_, i64>(0))
        });
        let bytes = u64::try_from(bytes.unwrap_or(0)).unwrap_or(0);
        let waiting = self.shared.waiting_bytes.load(Ordering::Acquire);
        let left = waiting.saturating_sub(bytes);
        self.shared.waiting_bytes.store(left, Ordering::Release);
    }

    /// Commits, however long that takes; `false` where it was told to stop with work undone.
    fn finish(&mut self, work: &mut Work, jobs: &Receiver<Job>) -> bool {
        let mut needs_new_journal = false;
        loop {
            let failed = if needs_new_journal {
                None
            } else {
                match self.commit(work) {
                    Ok(()) => {
                        self.set_trouble(None);
                        self.announce(work);
                        return true;
                    }
                    Err(failed) => Some(failed),
                }
            };
            match failed {
                Some(Failed::Journal(error)) => {
                    needs_new_journal = true;
                    self.set_trouble(Some(Trouble {
                        journal: true,
                        why: format!("the journal cannot be synced: {error}"),
                    }));
                }
                Some(Failed::Database(error)) => {
                    let path = self.path.display();
                    self.set_trouble(Some(Trouble {
                        journal: false,
                        why: format!("{path} cannot be written: {error}"),
                    }));
                    self.reopen();
                }
                None => {}
            }
            if work.stop {
                return false;
            }
            match jobs.recv_timeout(RETRY) {
                Ok(Job::Replaced(file)) => {
                    needs_new_journal = false;
                    work.journals = vec![file];
                }
                Ok(job) => self.take(work, job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => work.stop = true,
            }
        }
    }

    fn commit(&mut self, work: &mut Work) -> Result<(), Failed> {
        for file in &work.journals {
            file.sync_data().map_err(Failed::Journal)?;
        }
        // Synced once is enough, whatever the database says.
        work.journals.clear();
        let confirmed = self.shared.confirmed.load(Ordering::Acquire);
        if !work.has_rows() && confirmed == self.watermark_written {
            return Ok(());
        }
        let waiting = self.transact(work, confirmed).map_err(Failed::Database)?;
        self.watermark_written = confirmed;
        if let Some(last) = work.events.last() {
            self.shared.committed.fetch_max(last.n, Ordering::AcqRel);
        }
        let bytes = |rows: &[Row]| rows.iter().map(|row| row.body.len() as u64).sum::<u64>();
        self.shared
            .waiting_bytes
            .fetch_add(waiting, Ordering::AcqRel);
        self.shared
            .traffic_bytes
            .fetch_add(bytes(&work.traffic), Ordering::AcqRel);
        // What must not be lost is on disk; tidying up can wait for its next turn.
        let tended = match work.tend {
            Some(now_us) => self.tend(now_us, confirmed),
            None if work.traffic_sent.is_some() => self.count_traffic(),
            None => Ok(()),
        };
        if let Err(error) = tended {
            tracing::warn!("{}: not tidied up: {error}", self.path.display());
        }
        Ok(())
    }

    /// Gives the bytes of events that were not there before and wait for the backend.
    fn transact(&mut self, work: &Work, confirmed: u64) -> rusqlite::Result<u64> {
        let transaction = self.db.transaction()?;
        let mut waiting = 0;
        {
            let mut insert = transaction.prepare_cached(
                "insert into event(n, at, type, visit, topic, retained, body)
                 values(?1, ?2, ?3, ?4, ?5, ?6, ?7) on conflict(n) do nothing",
            )?;
            for row in &work.events {
                let n = row.n as i64;
                let made = insert.execute(params![
                    n,
                    row.at_us,
                    row.kind,
                    row.visit,
                    row.topic,
                    row.retained,
                    row.body
                ])?;
                if made > 0 && row.n > confirmed {
                    waiting += row.body.len() as u64;
                }
                note_visit(&transaction, row)?;
            }
            let mut insert = transaction.prepare_cached(
                "insert into traffic(n, at, topic, body) values(?1, ?2, ?3, ?4)
                 on conflict(n) do nothing",
            )?;
            for row in &work.traffic {
                insert.execute(params![row.n as i64, row.at_us, row.topic, row.body])?;
            }
            if let Some(n) = work.traffic_sent {
                transaction.execute("delete from traffic where n <= ?1", [n as i64])?;
            }
            schema::set_meta(&transaction, "confirmed", &confirmed.to_string())?;
        }
        transaction.commit()?;
        self.shared.commits.fetch_add(1, Ordering::AcqRel);
        Ok(waiting)
    }

    /// Removes confirmed events past their days, and traffic past its days or bytes, in small
    /// steps.
    fn tend(&mut self, now_us: i64, confirmed: u64) -> rusqlite::Result<()> {
        let days = |days: u64| now_us.saturating_sub((days as i64).saturating_mul(86_400_000_000));
        let old = days(self.limits.event_days);
        // The oldest rows alone are looked at: times rise with `n`.
        let removed = self.db.execute(
            // The last one stays, whatever its age: counting goes on from it.
            "delete from event where at < ?2 and n < (select max(n) from event) and n in
               (select n from event where n <= ?1 order by n limit ?3)",
            params![confirmed as i64, old, TEND_ROWS],
        )?;
        if removed > 0 {
            self.db.execute(
                "delete from visit where closed_at < ?1 and closed_n <= ?2
                   and closed_n < (select max(closed_n) from visit)",
                params![old, confirmed as i64],
            )?;
        }
        let mut dropped = self.db.execute(
            "delete from traffic where at < ?1",
            [days(self.limits.traffic_days)],
        )?;
        self.count_traffic()?;
        if self.shared.traffic_bytes.load(Ordering::Acquire) > self.limits.traffic_bytes {
            // Counted from the youngest: all that lies beyond the limit goes.
            dropped += self.db.execute(
                "delete from traffic where n <= (select max(n) from
                   (select n, sum(length(body)) over (order by n desc) as kept from traffic)
                 where kept > ?1)",
                [i64::try_from(self.limits.traffic_bytes).unwrap_or(i64::MAX)],
            )?;
            self.count_traffic()?;
        }
        self.shared
            .traffic_dropped
            .fetch_add(dropped as u64, Ordering::AcqRel);
        if removed + dropped > 0 {
            self.db.execute_batch("pragma incremental_vacuum(2000)")?;
        }
        Ok(())
    }

    fn count_traffic(&self) -> rusqlite::Result<()> {
        let text = "select coalesce(sum(length(body)), 0) from traffic";
        let bytes: i64 = self.db.query_row(text, [], |row| row.get(0))?;
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.shared.traffic_bytes.store(bytes, Ordering::Release);
        Ok(())
    }

    fn announce(&self, work: &mut Work) {
        for then in work.then.drain(..) {
            then();
        }
        for barrier in work.barriers.drain(..) {
            // Whoever waited may have lost patience.
            barrier.send(()).ok();
        }
        (self.changed)();
    }

    fn set_trouble(&self, trouble: Option<Trouble>) {
        let mut known = self
            .shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *known == trouble {
            return;
        }
        match &trouble {
            Some(why) => tracing::error!("events wait to be written: {why}"),
            None => tracing::warn!("events are written again"),
        }
        *known = trouble;
        drop(known);
        (self.changed)();
    }

    /// A connection that has met a broken disk may hold on to what it thinks is there.
    fn reopen(&mut self) {
        match schema::open(&self.path) {
            Ok(db) => self.db = db,
            Err(error) => tracing::debug!("{error}"),
        }
    }

    fn close(&self) {
        let confirmed = self.shared.confirmed.load(Ordering::Acquire).to_string();
        let closed = schema::set_meta(&self.db, "confirmed", &confirmed)
            .and_then(|()| schema::set_meta(&self.db, "closed", "1"));
        if let Err(error) = closed {
            tracing::warn!("{}: not closed cleanly: {error}", self.path.display());
        }
    }
}

fn note_visit(db: &Connection, row: &Row) -> rusqlite::Result<()> {
    let (Some(visit), Some(change)) = (&row.visit, &row.change) else {
        return Ok(());
    };
    let n = row.n as i64;
    match change {
        Change::Opened { token } => db
            .prepare_cached(
                "insert into visit(id, opened_n, opened_at, token) values(?1, ?2, ?3, ?4)
                 on conflict(id) do nothing",
            )?
            .execute(params![visit, n, row.at_us, token])?,
        Change::Closed { review, total } => db
            .prepare_cached(
                "insert into visit(id, closed_n, closed_at, review, total)
                 values(?1, ?2, ?3, ?4, ?5) on conflict(id) do update set
                 closed_n = ?2, closed_at = ?3, review = ?4, total = ?5
                 where closed_n is null or closed_n < ?2",
            )?
            .execute(params![visit, n, row.at_us, review, total])?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Reader;

    const DAY_US: i64 = 86_400_000_000;
    const LIMITS: Limits = Limits {
        event_days: 90,
        traffic_days: 7,
        traffic_bytes: 1_000,
    };

    fn row(n: u64, at_us: i64) -> Row {
        Row {
            n,
            at_us,
            kind: "basketd.visit.opened".to_owned(),
            visit: Some(format!("v-{n:06}")),
            topic: "t".to_owned(),
            retained: false,
            body: "x".repeat(100),
            change: Some(Change::Opened { token: None }),
        }
    }

    fn rows(numbers: std::ops::RangeInclusive<u64>, at_us: i64) -> Vec<Row> {
        numbers.map(|n| row(n, at_us)).collect()
    }

    fn settled(outbox: &Outbox) {
        assert!(outbox.barrier(Duration::from_secs(10)));
    }

    #[test]
    fn what_is_written_twice_is_there_once_and_survives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let open = || Outbox::open(&path, "s", "j1", LIMITS, || {}).unwrap();
        let outbox = open();
        for events in [rows(1..=3, 0), rows(2..=5, 0)] {
            outbox.write(Batch {
                events,
                ..Batch::default()
            });
        }
        settled(&outbox);
        assert_eq!((outbox.committed(), outbox.waiting_bytes()), (5, 500));
        outbox.confirm(2);
        settled(&outbox);
        drop(outbox);
        let outbox = Outbox::open(&path, "s", "other", LIMITS, || {}).unwrap();
        assert_eq!(outbox.journal(), "j1", "a database keeps its journal's id");
        let known = (
            outbox.committed(),
            outbox.confirmed(),
            outbox.waiting_bytes(),
        );
        assert_eq!(known, (5, 2, 300));
        let reader = Reader::open(&path).unwrap();
        let after: Vec<u64> = reader.after(3, 10).unwrap().iter().map(|q| q.n).collect();
        assert_eq!(after, [4, 5]);
        let other = Outbox::open(&path, "s-2", "j", LIMITS, || {});
        assert!(matches!(other, Err(OpenError::OtherStore { .. })));
    }

    #[test]
    fn history_goes_by_age_when_it_is_confirmed_and_traffic_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let outbox = Outbox::open(&path, "s", "j", LIMITS, || {}).unwrap();
        outbox.write(Batch {
            events: rows(1..=10, 0),
            // Twenty of a hundred bytes, where ten may stay.
            traffic: rows(1..=20, 100 * DAY_US),
            ..Batch::default()
        });
        settled(&outbox);
        outbox.confirm(6);
        outbox.tend(100 * DAY_US);
        settled(&outbox);
        let reader = Reader::open(&path).unwrap();
        assert_eq!(
            reader.first_n().unwrap(),
            Some(7),
            "what is not confirmed stays"
        );
        assert_eq!(reader.last_n().unwrap(), 10);
        assert!(
            outbox.traffic_bytes() <= 1_000,
            "{}",
            outbox.traffic_bytes()
        );
        assert_eq!(
            outbox.traffic_dropped(),
            10,
            "the oldest, as many as it takes"
        );
        // Traffic that the broker has is done.
        outbox.write(Batch {
            traffic: rows(21..=23, 100 * DAY_US),
            ..Batch::default()
        });
        settled(&outbox);
        outbox.traffic_sent(22);
        settled(&outbox);
        let left: Vec<u64> = reader.traffic(9).unwrap().iter().map(|q| q.n).collect();
        assert_eq!(left, [23]);
    }
}
