//! The state as it was when the last run ended, however it ended: the youngest snapshot that can
//! be read and that the outbox reaches up to, and all that the journal holds after it.
//!
//! | found | done |
//! | --- | --- |
//! | snapshot and tail | thawed, replayed: the same events with the same `n`; those that the outbox lacks are appended |
//! | a tail that is torn | read up to its last whole record: nothing after it was told to anybody |
//! | a newest file whose snapshot is damaged | the file before it, and both tails |
//! | a database that is new or was set aside | the oldest snapshot that the journal has: the events since are made anew |
//! | snapshots of another version, or no journal | a new engine that goes on counting; visits that were open are closed under review from their events |
//! | another layout in the store file | the old engine closes what is open under review and hands over |

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::kept::Kept;
use super::{pending, rows};
use crate::app::routes::Routes;
use crate::basket::succession::PastVisit;
use crate::engine::succession::Past;
use crate::engine::{Engine, Input, Output};
use crate::gs1::Gtin;
use crate::outbox::{OpenVisit, Reader, Row};
use crate::recording::journal::{self, Beginning, JournalFile};
use crate::recording::{self, Message};
use crate::store::Store;
use crate::units::Timestamp;
use crate::wire::event::Origin;
use crate::wire::message::{Decoded, decode};

/// What a run begins with.
pub(super) struct Recovered {
    pub(super) engine: Engine,
    /// The time of the last input; `None` where there was none.
    pub(super) last_at: Option<Timestamp>,
    /// The number of the journal's next file.
    pub(super) number: u64,
    /// Events that the outbox lacks.
    pub(super) rows: Vec<Row>,
    /// Inputs replayed.
    pub(super) inputs: u64,
    /// Whether the engine is another than the journal's inputs lead to.
    pub(super) resync: bool,
    /// What had to be given up, for the log and the status.
    pub(super) notes: Vec<String>,
}

/// Where to look, and as what.
pub(super) struct Place<'a> {
    pub(super) store: &'a Arc<Store>,
    /// Of the store file that counts now.
    pub(super) inputs_sha256: &'a str,
    pub(super) kept: &'a Kept,
    pub(super) folder: &'a Path,
    pub(super) origin: &'a Origin,
    pub(super) reader: &'a Reader,
    pub(super) now: Timestamp,
}

/// A file of the journal whose engine can be thawed.
struct Start {
    engine: Engine,
    store: Arc<Store>,
    pending: Vec<Row>,
    /// Its place among the files.
    place: usize,
}

pub(super) fn recover(place: &Place<'_>) -> anyhow::Result<Recovered> {
    let files = journal::files(place.folder)?;
    let number = files.last().map_or(1, |file| file.number + 1);
    // What was confirmed was made, whether or not its row is kept still.
    let confirmed = place.reader.meta("confirmed")?.and_then(|n| n.parse().ok());
    let last_n = place.reader.last_n()?.max(confirmed.unwrap_or(0));
    let mut notes = Vec::new();
    let recovered = match start(place, &files, last_n, &mut notes) {
        Some(start) => match replayed(place, &files, start, last_n, &mut notes) {
            Some(recovered) => Recovered { notes, ..recovered },
            None => resumed(place, number, last_n, notes)?,
        },
        None if files.is_empty() && last_n == 0 => Recovered {
            engine: Engine::new(Arc::clone(place.store)),
            last_at: None,
            number,
            rows: Vec::new(),
            inputs: 0,
            resync: false,
            notes,
        },
        None => resumed(place, number, last_n, notes)?,
    };
    Ok(Recovered {
        number,
        ..recovered
    })
}

/// The youngest file that can be thawed and before which the outbox lacks nothing; else the oldest
/// that can be thawed.
fn start(
    place: &Place<'_>,
    files: &[JournalFile],
    last_n: u64,
    notes: &mut Vec<String>,
) -> Option<Start> {
    let mut oldest = None;
    for (i, file) in files.iter().enumerate().rev() {
        match thaw(place, file) {
            Ok((engine, store, pending)) => {
                let made = engine.numbers().0 - 1;
                let first = pending.first().map_or(made, |row| row.n.saturating_sub(1));
                let start = Start {
                    engine,
                    store,
                    pending,
                    place: i,
                };
                if last_n >= first {
                    return Some(start);
                }
                oldest = Some(start);
            }
            Err(why) => {
                let path = file.path.display();
                notes.push(format!("{path}: its snapshot is not used: {why}"));
            }
        }
    }
    if let Some(start) = &oldest {
        let from = start.engine.numbers().0;
        notes.push(format!(
            "the outbox ends at event {last_n} and the journal begins at {from}: events between \
             are lost to the outbox"
        ));
    }
    oldest
}

fn thaw(place: &Place<'_>, file: &JournalFile) -> Result<(Engine, Arc<Store>, Vec<Row>), String> {
    let begins = journal::beginning(&file.path).map_err(|error| error.to_string())?;
    let Beginning {
        metadata,
        snapshot,
        pending,
    } = begins;
    let of = |key: &str| metadata.get(key).map_or("", String::as_str);
    if of("journal") != place.origin.journal {
        return Err(format!("of another journal, `{}`", of("journal")));
    }
    let snapshot = snapshot.ok_or("none is there")?;
    let sha256 = of("inputs_sha256");
    let store = if sha256 == place.inputs_sha256 {
        Arc::clone(place.store)
    } else {
        // Where it was not kept the present one may do: its layout decides.
        let kept = place.kept.store(sha256);
        kept.unwrap_or_else(|| Arc::clone(place.store))
    };
    let engine = Engine::thaw(Arc::clone(&store), &snapshot).map_err(|error| error.to_string())?;
    Ok((engine, store, pending::decode(&pending)?))
}

/// `None` where the journal does not lead to where the outbox is: its tail is gone, or a file between
/// cannot be thawed.
fn replayed(
    place: &Place<'_>,
    files: &[JournalFile],
    start: Start,
    last_n: u64,
    notes: &mut Vec<String>,
) -> Option<Recovered> {
    let mut replay = Replay {
        engine: start.engine,
        store: start.store,
        origin: place.origin,
        last_n,
        rows: start
            .pending
            .into_iter()
            .filter(|row| row.n > last_n)
            .collect(),
        inputs: 0,
        last_at: None,
        routes: Routes::default(),
    };
    replay.last_at = replay.engine.now();
    for (i, file) in files.iter().enumerate().skip(start.place) {
        if i > start.place {
            let follows = file.number == files[i - 1].number + 1;
            if let Err(why) = replay.next_file(place, file, follows) {
                notes.push(format!("{}: {why}", file.path.display()));
                return None;
            }
        }
        replay.routes.clear();
        let read = recording::stream(&file.path, &mut |message| replay.take(message));
        match read {
            Ok(notices) => {
                for (what, times) in notices {
                    tracing::info!(times, "the journal: {what}");
                }
            }
            Err(error) => notes.push(error.to_string()),
        }
    }
    let made = replay.engine.numbers().0 - 1;
    if made < last_n {
        notes.push(format!(
            "the journal ends at event {made} and the outbox at {last_n}: the journal's end is lost"
        ));
        return None;
    }
    let resync = !Arc::ptr_eq(&replay.store, place.store);
    let Replay {
        mut engine,
        store,
        mut rows,
        inputs,
        last_at,
        ..
    } = replay;
    if !Arc::ptr_eq(&store, place.store) && engine.reload(Arc::clone(place.store)).is_err() {
        notes.push("the store file has another layout: visits that were open are closed".into());
        let at = last_at.map_or(place.now, |last| last.max(place.now));
        let (fresh, events) = engine.hand_over(at, Arc::clone(place.store));
        let made = events.iter().filter(|event| event.n > last_n);
        rows.extend(made.map(|event| rows::row(&store, place.origin, event)));
        engine = fresh;
    }
    Some(Recovered {
        engine,
        last_at,
        number: 0,
        rows,
        inputs,
        resync,
        notes: Vec::new(),
    })
}

/// Gives the journal to the engine.
struct Replay<'a> {
    engine: Engine,
    store: Arc<Store>,
    origin: &'a Origin,
    last_n: u64,
    rows: Vec<Row>,
    inputs: u64,
    last_at: Option<Timestamp>,
    routes: Routes,
}

impl Replay<'_> {
    /// Goes on with the next file, or thaws there where the file before may lack something.
    fn next_file(
        &mut self,
        place: &Place<'_>,
        file: &JournalFile,
        follows: bool,
    ) -> Result<(), String> {
        let begins = journal::beginning(&file.path).map_err(|error| error.to_string())?;
        if follows && !begins.is_resync() {
            return Ok(());
        }
        let (engine, store, pending) = thaw(place, file)?;
        (self.engine, self.store) = (engine, store);
        let known = self.rows.last().map_or(self.last_n, |row| row.n);
        let unknown = pending.into_iter().filter(|row| row.n > known);
        self.rows.extend(unknown);
        Ok(())
    }

    fn take(&mut self, message: &Message<'_>) {
        let at = Timestamp::from_nanos(message.log_time);
        let captured_at = Timestamp::from_nanos(message.publish_time);
        let known = self.routes.of(&self.store, message.channel);
        let input = match decode(&self.store, known, captured_at, message.payload) {
            Ok(Decoded::Input(input) | Decoded::Partly(input, _)) => input,
            Ok(Decoded::Image(_)) | Err(_) => return,
        };
        self.handle(at, input);
    }

    fn handle(&mut self, at: Timestamp, input: Input) {
        self.inputs += 1;
        self.last_at = Some(at);
        self.engine.handle(at, input);
        while let Some(output) = self.engine.poll_output() {
            if let Output::Event(event) = output
                && event.n > self.last_n
            {
                self.rows.push(rows::row(&self.store, self.origin, &event));
            }
        }
    }
}

/// Open visits older than this are staff, who get no receipt, or long gone.
const OPEN_FOR: i64 = 86_400_000_000;

/// A new engine that goes on where the outbox ends.
fn resumed(
    place: &Place<'_>,
    number: u64,
    last_n: u64,
    mut notes: Vec<String>,
) -> anyhow::Result<Recovered> {
    notes.push(format!(
        "no snapshot can be read: the engine begins anew after event {last_n}; visits that were \
         open are closed under review"
    ));
    // A tape may have run ahead of the clock.
    let last_at = Timestamp::from_micros(place.reader.last_at_us()?);
    let now = place.now.max(last_at);
    let since = now.as_micros() - OPEN_FOR;
    let open = place.reader.open_visits()?;
    let open = open.iter().filter(|visit| visit.opened_at_us > since);
    let past = Past {
        next_n: last_n + 1,
        next_visit: place.reader.last_visit()? + 1,
        open: open.filter_map(past_visit).collect(),
    };
    let mut engine = Engine::resume(Arc::clone(place.store), past);
    engine.close_past(now);
    let mut made = Vec::new();
    while let Some(output) = engine.poll_output() {
        if let Output::Event(event) = output {
            made.push(rows::row(place.store, place.origin, &event));
        }
    }
    Ok(Recovered {
        engine,
        last_at: Some(last_at),
        number,
        rows: made,
        inputs: 0,
        resync: true,
        notes,
    })
}

/// A visit as its events tell it; `None` where they do not.
fn past_visit(open: &OpenVisit) -> Option<PastVisit> {
    let number = open.id.strip_prefix("v-")?.parse().ok()?;
    let mut past = PastVisit {
        visit: crate::ids::VisitId(number),
        token: open.token.clone(),
        member: None,
        entered_at: Timestamp::from_micros(open.opened_at_us),
        sequence: 0,
        lines: Vec::new(),
    };
    let mut lines: BTreeMap<Gtin, (i64, u64)> = BTreeMap::new();
    for body in &open.bodies {
        let event: serde_json::Value = serde_json::from_str(body).ok()?;
        let sequence = event["sequence"].as_u64().unwrap_or(0);
        past.sequence = past.sequence.max(sequence);
        let data = &event["data"];
        let text = |key: &str| data[key].as_str().map(str::to_owned);
        let sign = match event["type"].as_str()? {
            "basketd.visit.opened" => {
                past.member = text("member");
                continue;
            }
            "basketd.item.taken" => 1,
            "basketd.item.returned" => -1,
            _ => continue,
        };
        let gtin: Gtin = data["gtin"].as_str()?.parse().ok()?;
        let quantity = data["quantity"].as_i64().unwrap_or(0);
        let price = data["unit_price"].as_str().unwrap_or("");
        let line = lines.entry(gtin).or_insert((0, 0));
        line.0 += sign * quantity;
        // A price is digits and a point, in the currency's decimals.
        let digits: String = price.chars().filter(char::is_ascii_digit).collect();
        line.1 = digits.parse().unwrap_or(line.1);
    }
    let left = lines.into_iter();
    past.lines = left
        .map(|(gtin, (quantity, price))| (gtin, quantity, price))
        .collect();
    Some(past)
}
