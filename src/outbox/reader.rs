//! Reading what the writer has committed, on a connection of its own.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::schema;

/// An event as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    pub n: u64,
    pub topic: String,
    pub retained: bool,
    pub body: String,
}

/// A visit that was opened and has no receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenVisit {
    pub id: String,
    pub token: Option<String>,
    /// Microseconds since 1970.
    pub opened_at_us: i64,
    /// Its events so far, in order.
    pub bodies: Vec<String>,
}

/// A reader; each thread has one of its own.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
}

impl Reader {
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let db = schema::open_reader(path)?;
        Ok(Self { db })
    }

    /// The next events after `n`, at most `limit`, in order.
    pub fn after(&self, n: u64, limit: usize) -> rusqlite::Result<Vec<Queued>> {
        let text = "select n, topic, retained, body from event where n > ?1 order by n limit ?2";
        let mut statement = self.db.prepare_cached(text)?;
        let rows = statement.query_map(params![signed(n), signed(limit as u64)], |row| {
            Ok(Queued {
                n: unsigned(row.get(0)?),
                topic: row.get(1)?,
                retained: row.get(2)?,
                body: row.get(3)?,
            })
        })?;
        rows.collect()
    }

    /// The oldest of those that may be dropped.
    pub fn traffic(&self, limit: usize) -> rusqlite::Result<Vec<Queued>> {
        let text = "select n, topic, body from traffic order by n limit ?1";
        let mut statement = self.db.prepare_cached(text)?;
        let rows = statement.query_map([signed(limit as u64)], |row| {
            Ok(Queued {
                n: unsigned(row.get(0)?),
                topic: row.get(1)?,
                retained: false,
                body: row.get(2)?,
            })
        })?;
        rows.collect()
    }

    /// The last event's `n`; 0 where there is none.
    pub fn last_n(&self) -> rusqlite::Result<u64> {
        let last: Option<i64> = self
            .db
            .query_row("select max(n) from event", [], |row| row.get(0))?;
        Ok(last.map_or(0, unsigned))
    }

    /// The time of the last event, microseconds since 1970.
    pub fn last_at_us(&self) -> rusqlite::Result<i64> {
        let text = "select coalesce((select at from event order by n desc limit 1), 0)";
        self.db.query_row(text, [], |row| row.get(0))
    }

    /// The first event's `n` that is kept still.
    pub fn first_n(&self) -> rusqlite::Result<Option<u64>> {
        let first: Option<i64> = self
            .db
            .query_row("select min(n) from event", [], |row| row.get(0))?;
        Ok(first.map(unsigned))
    }

    /// The highest number of a visit so far; 0 where there was none.
    pub fn last_visit(&self) -> rusqlite::Result<u64> {
        let text = "select max(cast(substr(id, 3) as integer)) from visit";
        let last: Option<i64> = self.db.query_row(text, [], |row| row.get(0))?;
        Ok(last.map_or(0, unsigned))
    }

    /// Visits without a receipt, oldest first. Staff get none, so they are left out.
    pub fn open_visits(&self) -> rusqlite::Result<Vec<OpenVisit>> {
        let text = "select id, token, coalesce(opened_at, 0) from visit where closed_n is null \
                    order by id";
        let mut statement = self.db.prepare_cached(text)?;
        let visits = statement.query_map([], |row| {
            Ok(OpenVisit {
                id: row.get(0)?,
                token: row.get(1)?,
                opened_at_us: row.get(2)?,
                bodies: Vec::new(),
            })
        })?;
        let mut all = visits.collect::<rusqlite::Result<Vec<_>>>()?;
        for visit in &mut all {
            let text = "select body from event where visit = ?1 order by n";
            let mut statement = self.db.prepare_cached(text)?;
            let bodies = statement.query_map([&visit.id], |row| row.get(0))?;
            visit.bodies = bodies.collect::<rusqlite::Result<_>>()?;
        }
        Ok(all)
    }

    pub fn meta(&self, key: &str) -> rusqlite::Result<Option<String>> {
        let text = "select value from meta where key = ?1";
        let mut statement = self.db.prepare_cached(text)?;
        statement.query_row([key], |row| row.get(0)).optional()
    }
}

/// SQLite's integers are signed; `n` never comes near their end.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
