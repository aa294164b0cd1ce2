//! Long days: a broker that is away for one, and a box that runs through one. Short by default;
//! `TRIALS=long` takes richer recordings and minutes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says what it skipped and how long real processes took"
)]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::shop::{Process, Shop, has, number, wait_for};

/// Shoppers of the busy shop in a day: one every nine seconds.
const A_DAY: u32 = 9_600;

fn long() -> bool {
    std::env::var("TRIALS").is_ok_and(|trials| trials == "long")
}

#[test]
fn a_day_without_a_broker_is_made_up_for() {
    if !has("mosquitto") {
        return;
    }
    let shop = Shop::new();
    let tape = support::busy::shop(&shop.folder, &shop.settings("", "backend"), A_DAY);
    let days = if long() { "10" } else { "1" };
    let play = [
        "--play",
        tape.to_str().unwrap(),
        "--speed",
        "max",
        "--repeat",
        days,
    ];
    let daemon = shop.daemon(&play);
    shop.wait_ready();
    let made = || number(&shop.outbox(), "select max(n) from event").unwrap_or(0);
    let closed = "select count(*) from visit where closed_n is not null";
    let visits = i64::from(A_DAY) * days.parse::<i64>().unwrap();
    wait_for("the day is over", Duration::from_secs(300), || {
        number(&shop.outbox(), closed) >= Some(visits - 1)
    });
    let (events, before) = (made(), daemon.resident_kib());
    let _broker = shop.broker();
    let _backend = shop.backend();
    wait_for("the first is confirmed", Duration::from_secs(60), || {
        shop.metric("basketd_outbox_confirmed") > Some(0.0)
    });
    let (from, begin) = (
        shop.metric("basketd_outbox_confirmed").unwrap(),
        Instant::now(),
    );
    let mut most = before;
    wait_for("everything is confirmed", Duration::from_secs(300), || {
        most = most.max(daemon.resident_kib());
        shop.metric("basketd_outbox_events") == Some(0.0)
    });
    let took = begin.elapsed().as_secs_f64();
    let rate = (events as f64 - from) / took;
    println!(
        "{events} events in {took:.2} s after the broker was back: {rate:.0} events/s, stored by the backend; \
         resident {before} KiB before, {most} KiB at most while sending"
    );
    assert_eq!(
        number(&shop.receipts(), "select count(*) from event"),
        Some(events)
    );
    assert_eq!(shop.metric("basketd_mqtt_resent_total"), Some(0.0));
    // What is read ahead, and no more.
    assert!(
        most < before + 16_384,
        "{before} KiB before, {most} KiB while sending"
    );
}

/// A shop's folder with a recording's store file and catalogue, and this story's settings.
fn shop_of(folder: &Path, shop: &Shop) -> PathBuf {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "csv") {
            std::fs::copy(
                &path,
                shop.path(path.file_name().unwrap().to_str().unwrap()),
            )
            .unwrap();
        }
    }
    let text = std::fs::read_to_string(folder.join("store.toml")).unwrap();
    let settings = shop.settings("journal_bytes = 50000000", "backend");
    std::fs::write(shop.path("store.toml"), format!("{text}\n{settings}")).unwrap();
    folder.join("recording.mcap")
}

#[test]
fn memory_and_files_stay_bounded_through_a_day() {
    if !has("mosquitto") {
        return;
    }
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    let mut cases: Vec<(String, f64)> = vec![(
        String::new(),
        if long() { 10.0 * 86_400.0 } else { 86_400.0 },
    )];
    if long() {
        for name in ["cps-test-10_rfid-floor_nominal", "cps-test-2_all_nominal"] {
            if shared.join(name).is_dir() {
                cases.push((name.to_owned(), 86_400.0));
            } else {
                println!("skipped: no ../shared/recordings/{name}");
            }
        }
    }
    for (name, seconds) in cases {
        let shop = Shop::new();
        let tape = if name.is_empty() {
            let settings = shop.settings("journal_bytes = 50000000", "backend");
            support::busy::shop(&shop.folder, &settings, 400)
        } else {
            shop_of(&shared.join(&name), &shop)
        };
        let _broker = shop.broker();
        let _backend = shop.backend();
        // Fast, but so that the day can be watched.
        let speed = if name.is_empty() { "20000" } else { "max" };
        let play = [
            "--play",
            tape.to_str().unwrap(),
            "--speed",
            speed,
            "--repeat",
            "1000000",
        ];
        let daemon = shop.daemon(&play);
        shop.wait_ready();
        through(&shop, &daemon, &name, seconds);
    }
}

/// Watches a box through so many seconds of its own time.
fn through(shop: &Shop, daemon: &Process, name: &str, seconds: f64) {
    let clock = || shop.metric("basketd_engine_time_seconds");
    let mut began = 0.0;
    wait_for("the day begins", Duration::from_secs(20), || {
        began = clock().unwrap_or(0.0);
        began > 0.0
    });
    let mut samples: Vec<(f64, u64)> = Vec::new();
    let begin = Instant::now();
    wait_for("the day is over", Duration::from_secs(1_800), || {
        let at = clock().unwrap_or(began) - began;
        samples.push((at / 3600.0, daemon.resident_kib()));
        std::thread::sleep(Duration::from_millis(20));
        at >= seconds
    });
    // Half of the time it is below: how much waits at the moment of a look is chance.
    let usual = |from: f64, to: f64| {
        let within = samples.iter().filter(|(h, _)| (from..to).contains(h));
        let mut within: Vec<u64> = within.map(|(_, kib)| *kib).collect();
        within.sort_unstable();
        within.get(within.len() / 2).copied().unwrap_or(0)
    };
    // By parts of the day: what grows through all of them would not end.
    let hours = seconds / 3600.0;
    let parts: Vec<u64> = (0..4)
        .map(|i| usual(hours * f64::from(i) / 4.0, hours * f64::from(i + 1) / 4.0))
        .collect();
    let files = std::fs::read_dir(shop.path("state/journal"))
        .unwrap()
        .count();
    let events = number(&shop.outbox(), "select max(n) from event").unwrap();
    println!(
        "{}: {hours:.0} h of the shop in {:.0} s, {events} events, {files} files of journal; resident \
         after an hour {} KiB, by quarters of the day {parts:?} KiB",
        if name.is_empty() { "busy shop" } else { name },
        begin.elapsed().as_secs_f64(),
        usual(0.5, 1.5),
    );
    let journal: u64 = basketd::recording::journal::files(&shop.path("state/journal"))
        .unwrap()
        .iter()
        .map(|file| file.bytes)
        .sum();
    assert!(
        journal < 50_000_000 + 2 * (64 << 20),
        "{journal} bytes of journal"
    );
    let (second, last) = (parts[1] as f64, parts[3] as f64);
    assert!(
        last <= second * 1.10 + 2_048.0,
        "memory grows: {parts:?} KiB"
    );
}
