//! What the engine makes of every scene of the simulator, by the sensors that a shop has: simulated,
//! replayed and compared with what a receipt ought to say.
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
    let shows = shows(only.as_deref(), seeds);
    let (cells, faults) = play_all(&shows, only.is_some());
    let table = table(&cells);
    if only.is_some() || seeds != SEEDS {
        println!("{table}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    if only.is_none() && seeds == SEEDS {
        insta::assert_snapshot!("table", table);
    }
}

/// What is played here in memory is what files and the program give.
#[test]
fn files_give_the_same_events() {
    let job = Job {
        scene: "two-at-one-shelf",
        sensors: Sensors::All,
        seed: 1,
    };
    assert_eq!(play::events(&job, &play::show(&job)), play::by_files(&job));
}

/// A scene as it is simulated once, and the shops that look at it.
struct Show {
    by: Job,
    jobs: Vec<Job>,
}

/// The longest first. Shops in which people are seen look at the same people and goods; without
/// floor cameras everyone shows a token on the way out, which is another story.
fn shows(only: Option<&str>, seeds: u64) -> Vec<Show> {
    let mut shows = Vec::new();
    for scene in sim::scenes().filter(|s| only.is_none_or(|only| s.name == only)) {
        // Thirty people cost as much as many other scenes.
        let seeds = if scene.name == "crowd" { 1 } else { seeds };
        for seed in 1..=seeds {
            for by in [Sensors::All, Sensors::Rfid] {
                let alike = |s: &Sensors| (*s == Sensors::Rfid) == (by == Sensors::Rfid);
                let sets = COLUMNS.map(|c| c.0).into_iter().filter(alike);
                let job = |sensors| Job {
                    scene: scene.name,
                    sensors,
                    seed,
                };
                let jobs = sets
                    .filter(|s| scene.sensors.contains(s))
                    .map(job)
                    .collect();
                shows.push(Show { by: job(by), jobs });
            }
        }
    }
    shows.retain(|show| !show.jobs.is_empty());
    shows.sort_by_key(|show| (show.by.scene != "crowd", show.by.sensors != Sensors::All));
    shows
}

type Cells = BTreeMap<(&'static str, usize), Cell>;

/// All on all processors; and what must never be, in the shows' order.
fn play_all(shows: &[Show], tell: bool) -> (Cells, Vec<String>) {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(show) = shows.get(n) else { break };
            let shown = play::show(&show.by);
            for (k, job) in show.jobs.iter().enumerate() {
                let played = catch_unwind(AssertUnwindSafe(|| play::play(job, &shown)));
                done.lock().unwrap().insert((n, k), played.ok());
            }
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
    for ((n, k), played) in done.into_inner().unwrap() {
        let job = &shows[n].jobs[k];
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
