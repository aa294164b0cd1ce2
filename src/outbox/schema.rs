//! The database file: opening, versions, and what each version added.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

/// The version that this program writes.
pub const SCHEMA_VERSION: i64 = 2;
const APPLICATION_ID: i64 = 0x6273_6b74;

/// What each version adds to the one before, from version 1.
const STEPS: [&str; SCHEMA_VERSION as usize] = [
    "create table event(
        n integer primary key, at integer not null, type text not null, visit text,
        topic text not null, retained integer not null, body text not null) strict;
     create index event_of_visit on event(visit, n) where visit is not null;
     create table traffic(
        n integer primary key, at integer not null, topic text not null, body text not null) strict;
     create table meta(key text primary key, value text not null) strict, without rowid;",
    // History of visits: what the console lists, and which are open.
    "create table visit(
        id text primary key, opened_n integer, opened_at integer, token text,
        closed_n integer, closed_at integer, review integer, total text) strict, without rowid;
     create index visit_open on visit(id) where closed_n is null;
     insert into visit(id, opened_n, opened_at)
        select visit, n, at from event where type = 'basketd.visit.opened';
     insert into visit(id, closed_n, closed_at, review, total)
        select visit, max(n), at, body ->> '$.data.decision' = 'review', body ->> '$.data.total'
        from event where type in ('basketd.basket.closed', 'basketd.basket.adjusted') group by visit
        on conflict(id) do update set closed_n = excluded.closed_n, closed_at = excluded.closed_at,
           review = excluded.review, total = excluded.total;",
];

/// Why an outbox cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{path}: written by a newer basketd (schema {found}; this program knows {SCHEMA_VERSION}); \
         install that version again, or move the file away to lose the events in it"
    )]
    Newer { path: String, found: i64 },
    #[error("{path}: the database is damaged: {why}")]
    Damaged { path: String, why: String },
    #[error("{path}: not a database of basketd")]
    Foreign { path: String },
    #[error(
        "{path}: the state of store `{found}`; this store file is of `{wanted}`: give it a state \
         folder of its own"
    )]
    OtherStore {
        path: String,
        found: String,
        wanted: String,
    },
    #[error("{path}: {error}")]
    Sqlite {
        path: String,
        error: rusqlite::Error,
    },
}

impl OpenError {
    /// Whether only a person can help, by another program or another folder.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Newer { .. } | Self::Foreign { .. } | Self::OtherStore { .. }
        )
    }
}

/// Opens for writing; makes or migrates the schema. A database that was not closed is checked
/// whole.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let shown = path.display().to_string();
    let told = |error: rusqlite::Error| classify(&shown, error);
    let mut db = Connection::open(path).map_err(told)?;
    settings(&db).map_err(told)?;
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(told)?;
    let application: i64 = db
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(told)?;
    let tables: i64 = db
        .query_row("select count(*) from sqlite_master", [], |row| row.get(0))
        .map_err(told)?;
    if application != APPLICATION_ID && (tables > 0 || version > 0) {
        return Err(OpenError::Foreign { path: shown });
    }
    if version > SCHEMA_VERSION {
        let found = version;
        return Err(OpenError::Newer { path: shown, found });
    }
    migrate(&mut db, version).map_err(told)?;
    check(&db, &shown)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)
        .map_err(told)?;
    Ok(db)
}

fn settings(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(5))?;
    // Before the first table is made: rows that are deleted give their space back in small steps.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    Ok(())
}

/// The steps that a file lacks, all or none.
fn migrate(db: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(version).unwrap_or(0);
    if done == STEPS.len() {
        return Ok(());
    }
    let transaction = db.transaction()?;
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// A file that was closed is believed; another is read through.
fn check(db: &Connection, shown: &str) -> Result<(), OpenError> {
    let told = |error: rusqlite::Error| classify(shown, error);
    let clean = meta(db, "closed").map_err(told)?;
    if clean.as_deref() == Some("1") {
        return Ok(());
    }
    let found: String = db
        .query_row("pragma quick_check(1)", [], |row| row.get(0))
        .map_err(told)?;
    if found == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged {
        path: shown.to_owned(),
        why: found,
    })
}

/// Opens for reading what another connection writes.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(5))?;
    Ok(db)
}

pub(super) fn meta(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("select value from meta where key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

pub(super) fn set_meta(db: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "insert into meta(key, value) values(?1, ?2) on conflict(key) do update set value = ?2",
    )?
    .execute([key, value])?;
    Ok(())
}

fn classify(path: &str, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            let why = error.to_string();
            OpenError::Damaged { path, why }
        }
        _ => OpenError::Sqlite { path, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    /// A database as version 1 wrote it keeps its events, and its visits get their history.
    #[test]
    fn version_1_becomes_the_present_one() {
        let folder = folder();
        let path = folder.path().join("outbox.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(STEPS[0]).unwrap();
        db.pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        for (n, kind, data) in [
            (1, "basketd.visit.opened", "{}"),
            (2, "basketd.visit.opened", "{}"),
            (
                3,
                "basketd.basket.closed",
                r#"{"decision":"review","total":"6.50"}"#,
            ),
        ] {
            let visit = if n == 2 { "v-000002" } else { "v-000001" };
            let body = format!(r#"{{"data":{data}}}"#);
            let row = (n, n * 10, kind, visit, "t", 0, body);
            db.execute("insert into event values(?1,?2,?3,?4,?5,?6,?7)", row)
                .unwrap();
        }
        drop(db);
        let db = open(&path).unwrap();
        let rows: Vec<(String, Option<i64>, Option<String>)> = db
            .prepare("select id, closed_n, total from visit order by id")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let first = ("v-000001".to_owned(), Some(3), Some("6.50".to_owned()));
        assert_eq!(rows, [first, ("v-000002".to_owned(), None, None)]);
    }

    #[test]
    fn a_newer_one_a_foreign_one_and_a_damaged_one_are_told_apart() {
        let folder = folder();
        let path = folder.path().join("outbox.db");
        drop(open(&path).unwrap());
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        drop(db);
        assert!(matches!(
            open(&path),
            Err(OpenError::Newer { found: 99, .. })
        ));
        std::fs::write(
            &path,
            b"no database at all, and long enough to be read as one",
        )
        .unwrap();
        assert!(matches!(open(&path), Err(OpenError::Damaged { .. })));
        let other = folder.path().join("other.db");
        Connection::open(&other)
            .unwrap()
            .execute_batch("create table a(b)")
            .unwrap();
        assert!(matches!(open(&other), Err(OpenError::Foreign { .. })));
    }

    #[test]
    fn a_page_of_rubbish_is_found_when_the_file_was_not_closed() {
        let folder = folder();
        let path = folder.path().join("outbox.db");
        let db = open(&path).unwrap();
        for n in 0..2000 {
            let row = (n, 0, "k", "v", "t", 0, "x".repeat(300));
            db.execute("insert into event values(?1,?2,?3,?4,?5,?6,?7)", row)
                .unwrap();
        }
        db.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))
            .unwrap();
        drop(db);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(open(&path), Err(OpenError::Damaged { .. })));
    }
}
