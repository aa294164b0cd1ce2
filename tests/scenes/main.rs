//! What the engine makes of every scene of the simulator, by the sensors that a shop has: simulated,
//! recorded, replayed and compared with what a receipt ought to say.
//!
//! The table is one snapshot, which a person looks through: a row a scene, a column a set of
//! sensors, a cell like `2/2 exact, 1 settled, 0 wrong settled`, counted over the visits of all
//! seeds; `against review` are receipts that were settled where a person must look, however right
//! they are. After a change of the engine or the simulator
//!
//! ```sh
//! INSTA_UPDATE=always cargo test --release --test scenes
//! ```
//!
//! writes it anew, and the difference is what is reviewed. What must hold whatever the table says
//! is asserted besides ([`judge::faults`]). `SCENE=name` plays one scene, and prints instead of
//! comparing; `SEEDS=9` plays more seeds.
//!
//! Of the fifty situations, 43 (no broker for an hour) is in `tests/chaos.rs`, 44 (the daemon is
//! killed) in `tests/journal.rs` and `tests/chaos.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it was asked for"
)]

mod judge;
mod play;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use basketd::sim::{self, Sensors};

use self::judge::Cell;
use self::play::Job;

const COLUMNS: [(Sensors, &str); 5] = [
    (Sensors::Rfid, "RFID"),
    (Sensors::ScaleFloor, "scales + floor"),
    (Sensors::Vision, "shelf + floor"),
    (Sensors::RfidFloor, "RFID + floor"),
    (Sensors::All, "all"),
];
const SEEDS: u64 = 2;

#[test]
fn receipts_of_all_scenes() {
    let only = std::env::var("SCENE").ok();
    let seeds = std::env::var("SEEDS").map_or(SEEDS, |n| n.parse().unwrap());
    let jobs = jobs(only.as_deref(), seeds);
    let (cells, faults) = play_all(&jobs, only.is_some());
    let table = table(&cells);
    if only.is_some() || seeds != SEEDS {
        println!("{table}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    if only.is_none() && seeds == SEEDS {
        insta::assert_snapshot!("table", table);
    }
}

/// The longest first.
fn jobs(only: Option<&str>, seeds: u64) -> Vec<Job> {
    let mut jobs = Vec::new();
    for scene in sim::scenes().filter(|s| only.is_none_or(|only| s.name == only)) {
        // Thirty people cost as much as all other scenes together.
        let seeds = if scene.name == "crowd" { 1 } else { seeds };
        for (sensors, _) in COLUMNS {
            if scene.sensors.contains(&sensors) {
                jobs.extend((1..=seeds).map(|seed| Job {
                    scene: scene.name,
                    sensors,
                    seed,
                }));
            }
        }
    }
    jobs.sort_by_key(|job| (job.scene != "crowd", job.sensors != Sensors::All));
    jobs
}

type Cells = BTreeMap<(&'static str, usize), Cell>;

/// All jobs on all processors; what must never be, in the jobs' order.
fn play_all(jobs: &[Job], tell: bool) -> (Cells, Vec<String>) {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((n, job)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, jobs.get(n)?)))
        {
            let played = catch_unwind(AssertUnwindSafe(|| play::play(job)));
            done.lock().unwrap().insert(n, played.ok());
        }
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for n in 0..workers {
            let named = std::thread::Builder::new().name(format!("scenes-{n}"));
            named.spawn_scoped(scope, work).unwrap();
        }
    });
    let (mut cells, mut faults) = (Cells::new(), Vec::new());
    for (n, played) in done.into_inner().unwrap() {
        let job = &jobs[n];
        let column = COLUMNS.iter().position(|c| c.0 == job.sensors).unwrap();
        let Some(played) = played else {
            faults.push(format!("{job:?}: panicked"));
            continue;
        };
        if tell {
            println!("{job:?}\n{played:#?}");
        }
        cells.entry((job.scene, column)).or_default().count(&played);
        let found = judge::faults(job, &played);
        faults.extend(found.iter().map(|fault| format!("{job:?}: {fault}")));
    }
    (cells, faults)
}

fn table(cells: &Cells) -> String {
    let mut rows = vec![
        ["scene".to_owned()]
            .into_iter()
            .chain(COLUMNS.map(|c| c.1.to_owned()))
            .collect::<Vec<String>>(),
    ];
    let mut sums = [Cell::default(); COLUMNS.len()];
    for scene in sim::scenes() {
        let of = |n: usize| cells.get(&(scene.name, n));
        if (0..COLUMNS.len()).all(|n| of(n).is_none()) {
            continue;
        }
        let mut row = vec![scene.name.to_owned()];
        for (n, sum) in sums.iter_mut().enumerate() {
            row.push(of(n).map_or("-".to_owned(), Cell::to_string));
            of(n).into_iter().for_each(|cell| sum.add(cell));
        }
        rows.push(row);
    }
    let all = sums.iter().map(Cell::to_string);
    rows.push(["all".to_owned()].into_iter().chain(all).collect());
    let wide: Vec<usize> = (0..=COLUMNS.len())
        .map(|n| rows.iter().map(|r| r[n].len()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&wide).map(|(c, w)| format!("{c:<w$}"));
        let text = cells.collect::<Vec<String>>().join(" | ");
        text.trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<String>>().join("\n")
}
