//! The one thread that writes: takes what waits, syncs the journal that it follows from, commits,
//! and tells who waits for that. What cannot be written is kept and tried again.
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::handle::{Job, Limits, Shared, Then, Trouble};
use super::schema;
use super::{Change, Row};

/// Events in one transaction, at most: 50 ms on a slow disk.
const TRANSACTION_MAX: usize = 4096;
/// How long the writer waits before it tries again what failed.
const RETRY: Duration = Duration::from_millis(500);
/// A watermark is written with the next events, or after this long without any: a lost one is told
/// again by the backend.
const WATERMARK: Duration = Duration::from_secs(1);
/// Rows removed in one transaction.
const TEND_ROWS: i64 = 2000;

pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) db: Connection,
    pub(super) limits: Limits,
    pub(super) shared: Arc<Shared>,
    pub(super) changed: Box<dyn Fn() + Send>,
    pub(super) watermark_written: u64,
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
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
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
