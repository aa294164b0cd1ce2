//! Days that do not exist, many of them: receipts against the truth for each set of sensors, how
//! far the engine's own certainty can be trusted, and a naive solver on the same days, which says
//! how hard they are.
//!
//! The short form asserts floors; the long form prints all and asserts the bars:
//!
//! ```text
//! TRIALS=long cargo test --release --test days -- --nocapture
//! ```
//!
//! | variable | means |
//! | --- | --- |
//! | `DAYS_VISITS` | visits of each column and noise in the long form, 2000 by default |
//! | `DAYS_ONLY` | columns and noises, with commas between: `all-nominal,rfid` |
//! | `DAYS_SEED` | the first day's seed |
//! | `DAYS_SHOP` | `kiosk` or `hall` alone |
//! | `DAYS_CROWD` | so many times as many people inside, 1 by default |
//! | `DAYS_STORE` | a file of tables such as `[fusion]` that every store file ends with |
//! | `DAYS_NAIVE` | `0` leaves the naive solver out |
//! | `DAYS_FOLDER` | a folder of recordings in place of the samples |
//! | `DAYS_WAITS` | `0` leaves out the curve of accuracy against waiting |

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and prints its tables"
)]

mod bars;
mod day;
mod naive;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use day::{Also, Column, Plan, Played};
use table::Row;

/// Visits of one long day; seeds differ by day.
const DAY_VISITS: usize = 18;
/// Scalings of the waiting times whose gain is looked at.
const WAITS: [f64; 5] = [0.25, 0.5, 0.75, 1.0, 1.5];

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn number(name: &str, default: u64) -> u64 {
    var(name).map_or(default, |text| {
        let parsed = text.parse();
        parsed.unwrap_or_else(|_| panic!("{name}: found {text}; expected a whole number"))
    })
}

fn is_long() -> bool {
    var("TRIALS").is_some_and(|text| text == "long")
}

/// Whether a column at a noise is asked for.
fn wanted(column: Column, harsh: bool) -> bool {
    let name = day::name(column, harsh);
    var("DAYS_ONLY").is_none_or(|only| {
        let mut asked = only.split(',');
        asked.any(|one| name == one || column.name() == one)
    })
}

fn also() -> Also {
    let store = var("DAYS_STORE").map(|path| std::fs::read_to_string(path).unwrap());
    Also {
        naive: var("DAYS_NAIVE").is_none_or(|text| text != "0"),
        waits: Vec::new(),
        store: store.unwrap_or_default(),
    }
}

/// The days of one column: half of the visits in kiosks, half in halls.
fn plans(column: Column, harsh: bool, kiosks: &[usize], halls: &[usize]) -> Vec<Plan> {
    let seed = number("DAYS_SEED", 1);
    let shop = var("DAYS_SHOP");
    let crowd = var("DAYS_CROWD").map_or(1.0, |text| text.parse().unwrap());
    let days = kiosks.iter().map(|n| (true, *n));
    let days = days.chain(halls.iter().map(|n| (false, *n)));
    let days = days.filter(|(kiosk, _)| {
        let name = if *kiosk { "kiosk" } else { "hall" };
        shop.as_deref().is_none_or(|shop| shop == name)
    });
    let numbered = days.enumerate();
    numbered
        .map(|(i, (kiosk, visits))| Plan {
            column,
            harsh,
            kiosk,
            seed: seed + i as u64,
            visits,
            crowd: crowd
                * if kiosk {
                    day::KIOSK_CROWD
                } else {
                    day::HALL_CROWD
                },
        })
        .collect()
}

/// Plays all days, one on each core at a time, and gives what came of them in their order.
fn play_all(plans: &[Plan], also: impl Fn(&Plan) -> Also + Sync) -> Vec<Played> {
    let next = Mutex::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        for worker in 0..workers {
            let (next, done, also) = (&next, &done, &also);
            let work = move || loop {
                let i = {
                    let mut next = next.lock().unwrap();
                    *next += 1;
                    *next - 1
                };
                let Some(plan) = plans.get(i) else { return };
                let played = day::play(plan, &also(plan));
                let mut done = done.lock().unwrap();
                done.insert(i, played);
                if is_long() {
                    eprintln!("{} of {} days", done.len(), plans.len());
                }
            };
            let thread = std::thread::Builder::new().name(format!("days-{worker}"));
            thread.spawn_scoped(scope, work).unwrap();
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

fn rows(plans: &[Plan], also: impl Fn(&Plan) -> Also + Sync) -> Vec<Row> {
    let played = play_all(plans, also);
    let mut by_name: Vec<(String, Vec<Played>)> = Vec::new();
    for (plan, played) in plans.iter().zip(played) {
        let name = plan.name();
        match by_name.iter_mut().find(|(known, _)| *known == name) {
            Some((_, days)) => days.push(played),
            None => by_name.push((name, vec![played])),
        }
    }
    let rows = by_name.into_iter();
    rows.map(|(name, days)| Row::new(name, days)).collect()
}

/// Prints all tables, and gives what is wrong with the engine's own certainty.
fn print(rows: &[Row]) -> Vec<String> {
    println!("{}", table::HEAD);
    for row in rows {
        println!("{}", table::line(row));
    }
    let days = || rows.iter().flat_map(|r| &r.days);
    let lines: Vec<_> = days().flat_map(|d| d.lines.clone()).collect();
    let (text, mut faults) = table::reliability("lines", &lines);
    println!("{text}");
    let baskets: Vec<_> = days().flat_map(|d| d.baskets.clone()).collect();
    if !baskets.is_empty() {
        let (text, more) = table::reliability("receipts", &baskets);
        println!("{text}");
        faults.extend(more);
    }
    for text in rows.iter().filter_map(table::waits) {
        println!("{text}");
    }
    faults
}

#[test]
fn receipts_of_a_few_days_are_above_the_floors() {
    if is_long() {
        return;
    }
    let mut plans_all = Vec::new();
    for harsh in [false, true] {
        for column in Column::EACH.into_iter().filter(|c| wanted(*c, harsh)) {
            // A harsh hall is left to the long form: it takes as long as all kiosks together.
            let halls: &[usize] = if harsh { &[] } else { &[6] };
            plans_all.extend(plans(column, harsh, &[10], halls));
        }
    }
    let also = also();
    let rows = rows(&plans_all, |_| also.clone());
    print(&rows);
    let faults: Vec<String> = rows
        .iter()
        .flat_map(|row| bars::below_floor(&row.name, &row.all))
        .collect();
    assert!(faults.is_empty(), "below the floor:\n{}", faults.join("\n"));
}

#[test]
fn receipts_of_many_days_meet_the_bars() {
    if !is_long() {
        println!("skipped: TRIALS is not long");
        return;
    }
    let visits = number("DAYS_VISITS", 2000) as usize;
    let days = visits.div_ceil(2 * DAY_VISITS);
    let each = vec![DAY_VISITS; days];
    let base = also();
    let curve = var("DAYS_WAITS").is_none_or(|text| text != "0");
    let mut all = Vec::new();
    for harsh in [false, true] {
        for column in Column::EACH.into_iter().filter(|c| wanted(*c, harsh)) {
            let mut also = base.clone();
            if curve && !harsh && matches!(column, Column::All | Column::RfidFloor) {
                also.waits = WAITS.to_vec();
            }
            all.extend(rows(&plans(column, harsh, &each, &each), |_| also.clone()));
            // What is done is known, should the rest be stopped.
            eprintln!(
                "{}\n{}",
                table::HEAD,
                all.last().map(table::line).unwrap_or_default()
            );
        }
    }
    let rows = all;
    let mut faults = print(&rows);
    for row in &rows {
        faults.extend(bars::missed(&row.name, &row.all));
    }
    assert!(faults.is_empty(), "bars missed:\n{}", faults.join("\n"));
}

/// The sample recordings, where they are, with detections or no camera at all.
#[test]
fn sample_recordings_are_scored_beside_the_naive_solver() {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    let folder = var("DAYS_FOLDER").map_or(samples, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no ../shared");
        return;
    };
    let mut folders: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    folders.sort();
    folders.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let pictures = name.starts_with("bottles") || name.starts_with("nanostore");
        path.is_dir() && !pictures
    });
    let also = also();
    let mut rows = Vec::new();
    for path in &folders {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let played = day::measure(&day::open(path, &also), &also);
        // The name's first part is long, and its last two say what matters.
        let shown: String = name.chars().take(34).collect();
        rows.push(Row::new(shown, vec![played]));
    }
    println!(
        "{:<36} visits  engine F1  exact  settled  wrong  naive F1",
        "recording"
    );
    let all = rows.iter().flat_map(|r| r.days.clone()).collect();
    rows.push(Row::new("together".to_owned(), all));
    for row in &rows {
        let f1 = |s: Option<f64>| s.map_or("-".to_owned(), |f1| format!("{f1:.4}"));
        println!(
            "{:<36} {:>6}  {:>9}  {:>5}  {:>7}  {:>5}  {:>8}",
            row.name,
            row.all.visits,
            f1(row.all.f1),
            row.all.exact,
            row.all.settled,
            row.all.settled_wrong,
            f1(row.naive().and_then(|n| n.f1)),
        );
    }
}
