//! The backend's database: events as they came, how far each store's are without a hole, and the
//! receipts that follow from them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::Value;

use crate::wire::delivery::Ack;

const SCHEMA: &str = "
    create table if not exists event(
        store text not null, journal text not null, n integer not null,
        type text not null, body text not null,
        primary key(store, journal, n)) strict, without rowid;
    create table if not exists watermark(
        store text not null, journal text not null, through integer not null,
        primary key(store, journal)) strict, without rowid;
    create table if not exists receipt(
        store text not null, visit text not null, token text, total text not null,
        currency text, decision text not null, lines text not null, adjusted integer not null,
        primary key(store, visit)) strict, without rowid;
    create table if not exists conflict(
        store text not null, journal text not null, n integer not null, body text not null) strict;";

/// An event with what the ledger files it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    store: String,
    journal: String,
    n: u64,
    kind: String,
    body: String,
}

impl Envelope {
    /// Reads a CloudEvent; `None` for the series that may have holes.
    pub(super) fn read(body: String) -> Result<Option<Self>, String> {
        let event: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        let text = |key: &str| event[key].as_str().ok_or(format!("no `{key}`"));
        let (journal, number) = text("id")?.split_once('/').ok_or("an `id` without `/`")?;
        if number.starts_with('t') {
            return Ok(None);
        }
        let n: i64 = number
            .parse()
            .map_err(|error| format!("`id` ends in `{number}`: {error}"))?;
        let n = u64::try_from(n)
            .ok()
            .filter(|n| *n > 0)
            .ok_or("an `n` below 1")?;
        let store = text("source")?.strip_prefix("/stores/");
        Ok(Some(Self {
            store: store.ok_or("a `source` of another kind")?.to_owned(),
            journal: journal.to_owned(),
            n,
            kind: text("type")?.to_owned(),
            body,
        }))
    }
}

/// What came of some events.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Receipts that are new or changed, as text.
    pub(super) receipts: Vec<String>,
    /// How far the stores are that sent something.
    pub(super) watermarks: Vec<(String, Ack)>,
    /// Ids that came with two bodies.
    pub(super) conflicts: Vec<String>,
}

pub(super) struct Ledger {
    db: Connection,
}

impl Ledger {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open(path)?;
            db.busy_timeout(Duration::from_secs(5))?;
            db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
            db.pragma_update(None, "synchronous", "FULL")?;
            db.execute_batch(SCHEMA)?;
            Ok(db)
        };
        let db = open().with_context(|| path.display().to_string())?;
        Ok(Self { db })
    }

    /// How far each store is, by journal.
    pub(super) fn watermarks(&self) -> anyhow::Result<Vec<(String, Ack)>> {
        let text = "select store, journal, through from watermark";
        let mut statement = self.db.prepare(text)?;
        let rows = statement.query_map([], |row| {
            let through: i64 = row.get(2)?;
            let ack = Ack {
                journal: row.get(1)?,
                through: u64::try_from(through).unwrap_or(0),
            };
            Ok((row.get(0)?, ack))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What this database has of a journal, where it is less than `ack` says.
    pub(super) fn lower_than(
        &self,
        store: &str,
        ack: &Ack,
    ) -> anyhow::Result<Option<(String, Ack)>> {
        let text = "select through from watermark where store = ?1 and journal = ?2";
        let known = self
            .db
            .query_row(text, [store, &ack.journal], |row| row.get::<_, i64>(0));
        let through = u64::try_from(known.optional()?.unwrap_or(0)).unwrap_or(0);
        if through >= ack.through {
            return Ok(None);
        }
        tracing::error!(
            "store {store}: {} was confirmed, and this database has {through}: the rest is asked for \
             again",
            ack.through
        );
        let journal = ack.journal.clone();
        Ok(Some((store.to_owned(), Ack { journal, through })))
    }

    /// Stores events and applies what has no hole before it, in one transaction.
    pub(super) fn take(&mut self, events: &[Envelope]) -> anyhow::Result<Applied> {
        let mut applied = Applied::default();
        let transaction = self.db.transaction()?;
        let mut journals: BTreeSet<(&str, &str)> = BTreeSet::new();
        for event in events {
            journals.insert((&event.store, &event.journal));
            if !file(&transaction, event)? {
                applied
                    .conflicts
                    .push(format!("{}/{}", event.journal, event.n));
            }
        }
        for (store, journal) in journals {
            let through = advance(&transaction, store, journal, &mut applied.receipts)?;
            let journal = journal.to_owned();
            let ack = Ack { journal, through };
            applied.watermarks.push((store.to_owned(), ack));
        }
        transaction.commit()?;
        Ok(applied)
    }
}

/// Files an event; `false` where another of its id is there.
fn file(db: &Transaction<'_>, event: &Envelope) -> rusqlite::Result<bool> {
    let key = params![
        event.store,
        event.journal,
        event.n as i64,
        event.kind,
        event.body
    ];
    let text = "insert into event values(?1, ?2, ?3, ?4, ?5) on conflict do nothing";
    if db.prepare_cached(text)?.execute(key)? == 1 {
        return Ok(true);
    }
    let text = "select body from event where store = ?1 and journal = ?2 and n = ?3";
    let key = params![event.store, event.journal, event.n as i64];
    let known: String = db.prepare_cached(text)?.query_row(key, |row| row.get(0))?;
    if known == event.body {
        return Ok(true);
    }
    let key = params![event.store, event.journal, event.n as i64, event.body];
    db.execute("insert into conflict values(?1, ?2, ?3, ?4)", key)?;
    Ok(false)
}

/// Applies events from the watermark on, up to the first hole; gives the new watermark.
fn advance(
    db: &Transaction<'_>,
    store: &str,
    journal: &str,
    receipts: &mut Vec<String>,
) -> anyhow::Result<u64> {
    let text = "select through from watermark where store = ?1 and journal = ?2";
    let known = db
        .prepare_cached(text)?
        .query_row([store, journal], |row| row.get(0));
    let before: i64 = known.optional()?.unwrap_or(0);
    let mut through = before;
    let text = "select n, type, body from event
                where store = ?1 and journal = ?2 and n > ?3 order by n";
    let mut statement = db.prepare_cached(text)?;
    let mut rows = statement.query(params![store, journal, before])?;
    while let Some(row) = rows.next()? {
        let n: i64 = row.get(0)?;
        if n != through + 1 {
            break;
        }
        let (kind, body): (String, String) = (row.get(1)?, row.get(2)?);
        receipts.extend(apply(db, store, &kind, &body)?);
        through = n;
    }
    if through > before {
        let text = "insert into watermark values(?1, ?2, ?3)
                    on conflict do update set through = excluded.through";
        db.prepare_cached(text)?
            .execute(params![store, journal, through])?;
    }
    Ok(u64::try_from(through).unwrap_or(0))
}

/// What an event does to the receipts; gives a receipt's text where it is new or changed.
fn apply(
    db: &Transaction<'_>,
    store: &str,
    kind: &str,
    body: &str,
) -> anyhow::Result<Option<String>> {
    let adjusted = match kind {
        "basketd.basket.closed" => false,
        "basketd.basket.adjusted" => true,
        _ => return Ok(None),
    };
    let event: Value = serde_json::from_str(body)?;
    let data = &event["data"];
    let of = |key: &str| data[key].as_str();
    let Some(visit) = of("visit") else {
        return Ok(None);
    };
    let text = "insert into receipt values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                on conflict do update set total = excluded.total, decision = excluded.decision,
                lines = excluded.lines, adjusted = receipt.adjusted + 1";
    let (total, decision) = (
        of("total").unwrap_or(""),
        of("decision").unwrap_or("review"),
    );
    let lines = data["lines"].to_string();
    db.prepare_cached(text)?.execute(params![
        store,
        visit,
        of("token"),
        total,
        of("currency"),
        decision,
        lines,
        i64::from(adjusted)
    ])?;
    Ok(Some(receipt(store, visit, data, adjusted)))
}

fn receipt(store: &str, visit: &str, data: &Value, adjusted: bool) -> String {
    let of = |key: &str| data[key].as_str().unwrap_or("");
    let who = data["token"]
        .as_str()
        .unwrap_or(if adjusted { "" } else { "anonymous" });
    let again = if adjusted { "adjusted " } else { "" };
    let mut out = format!("{store} {visit} {who} {again}{}", of("decision"));
    for line in data["lines"].as_array().into_iter().flatten() {
        let of = |key: &str| line[key].as_str().unwrap_or("");
        let quantity = line["quantity"].as_u64().unwrap_or(0);
        // Writing to a string never fails.
        write!(
            out,
            "\n    {quantity:>3} x {}  {:<40} {:>9}",
            of("gtin"),
            of("name"),
            of("unit_price")
        )
        .ok();
    }
    write!(out, "\n    total {:>57} {}", of("total"), of("currency")).ok();
    for reason in data["reasons"].as_array().into_iter().flatten() {
        write!(out, "\n    because {}", reason.as_str().unwrap_or("")).ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u64, kind: &str, data: &str) -> Envelope {
        let body =
            format!(r#"{{"id":"j/{n}","source":"/stores/s","type":"{kind}","data":{data}}}"#);
        Envelope::read(body).unwrap().unwrap()
    }

    fn closed(n: u64, visit: &str, total: &str) -> Envelope {
        let data = format!(
            r#"{{"visit":"{visit}","token":"q","total":"{total}","decision":"settle","lines":[]}}"#
        );
        event(n, "basketd.basket.closed", &data)
    }

    #[test]
    fn what_comes_late_holds_back_what_came_early() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db");
        let mut ledger = Ledger::open(&path).unwrap();
        let opened = event(1, "basketd.visit.opened", "{}");
        let early = ledger.take(&[closed(3, "v-2", "2.00"), opened]).unwrap();
        assert_eq!(early.watermarks[0].1.through, 1);
        assert!(early.receipts.is_empty());
        let late = ledger.take(&[closed(2, "v-1", "1.00")]).unwrap();
        assert_eq!(late.watermarks[0].1.through, 3);
        assert_eq!(late.receipts.len(), 2);
        // Repeats change nothing and are confirmed anew.
        let again = ledger.take(&[closed(2, "v-1", "1.00")]).unwrap();
        assert_eq!(again.watermarks[0].1.through, 3);
        assert!(again.receipts.is_empty() && again.conflicts.is_empty());
        let other = ledger.take(&[closed(2, "v-1", "9.00")]).unwrap();
        assert_eq!(other.conflicts, ["j/2"]);
        drop(ledger);
        let marks = Ledger::open(&path).unwrap().watermarks().unwrap();
        assert_eq!(marks.len(), 1);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"id":"j/x"}"#,
            r#"{"id":"j/0","source":"/stores/s","type":"t"}"#,
        ] {
            assert!(Envelope::read(text.to_owned()).is_err(), "{text}");
        }
        let traffic = r#"{"id":"j/t7","source":"/stores/s","type":"t"}"#;
        assert_eq!(Envelope::read(traffic.to_owned()), Ok(None));
    }
}
