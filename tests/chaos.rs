//! Nothing is lost, whatever dies: broker, backend and daemon are killed at random moments while
//! the daemon makes events as fast as it can. Short by default; `TRIALS=long` is the whole trial.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says what it skipped, and kills real processes by a real clock"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::shop::{Shop, has, number, wait_for};

fn long() -> bool {
    std::env::var("TRIALS").is_ok_and(|trials| trials == "long")
}

/// A small generator; its seed is told, so that a failure can be played again, as far as the
/// machine lets it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn seed() -> u64 {
    let given = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    println!("SEED={seed}");
    seed
}

#[test]
fn nothing_is_lost_while_everything_is_killed() {
    if !has("mosquitto") {
        return;
    }
    let (kills, events) = if long() { (12, 20_000) } else { (3, 5_000) };
    let shop = Shop::new();
    let tape = support::busy::shop(&shop.folder, &shop.settings("", "backend"), 3_000);
    let tape = tape.to_str().unwrap();
    let play = ["--play", tape, "--speed", "max", "--repeat", "1000000"];
    let mut dice = Dice(seed());
    let mut broker = shop.broker();
    let mut backend = shop.backend();
    let mut daemon = shop.daemon(&play);
    shop.wait_ready();
    let mut killed = [0_u32; 3];
    let begin = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(50 + dice.below(400)));
        let made = number(&shop.outbox(), "select max(n) from event").unwrap_or(0);
        if killed.iter().all(|n| *n >= kills) && made >= events {
            break;
        }
        let victim = dice.below(3) as usize;
        killed[victim] += 1;
        match victim {
            0 => {
                broker.kill();
                broker = shop.broker();
            }
            1 => {
                backend.kill();
                backend = shop.backend();
            }
            _ => {
                daemon.kill();
                daemon = shop.daemon(&play);
            }
        }
        assert!(
            begin.elapsed() < Duration::from_secs(300),
            "no progress: {killed:?}, {made} events"
        );
    }
    println!(
        "{:?} s, killed broker, backend, daemon: {killed:?}",
        begin.elapsed().as_secs()
    );
    if daemon.is_running() {
        let (code, took) = daemon.terminate();
        assert_eq!(code, Some(0), "{}", daemon.told());
        println!("stopped in {took:?}");
    }
    // Nobody is left in the shop who cannot leave it.
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    close_open_visits(&shop);
    let caught_up = Instant::now();
    let outbox = shop.outbox();
    let last = number(&outbox, "select max(n) from event").unwrap();
    wait_for(
        "the backend has everything",
        Duration::from_secs(180),
        || number(&shop.receipts(), "select max(through) from watermark") >= Some(last),
    );
    println!(
        "{last} events, all there {:?} after the last kill",
        caught_up.elapsed()
    );
    let (code, took) = daemon.terminate();
    assert_eq!(code, Some(0), "{}", daemon.told());
    assert!(took < Duration::from_secs(5), "{took:?}");
    check(&shop);
}

/// Closes by command what the kills left open: whoever was in the shop when the tape began anew.
fn close_open_visits(shop: &Shop) {
    let outbox = shop.outbox();
    let text = "select id from visit where closed_n is null order by id";
    let open: Vec<String> = outbox
        .prepare(text)
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    println!("{} visits closed by command", open.len());
    for visit in &open {
        let done = std::process::Command::new("mosquitto_pub")
            .args([
                "-V",
                "mqttv5",
                "-q",
                "1",
                "-p",
                &shop.broker_port.to_string(),
            ])
            .args(["-t", "basketd/v1/busy-1/cmd/visit.close"])
            .args(["-m", &format!(r#"{{"visit": "{visit}", "by": "s-1"}}"#)])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    wait_for("no visit is open", Duration::from_secs(60), || {
        number(&outbox, "select count(*) from visit where closed_n is null") == Some(0)
    });
}

/// The backend against the box, event by event.
fn check(shop: &Shop) {
    let outbox = shop.outbox();
    let last = number(&outbox, "select max(n) from event").unwrap();
    let receipts = shop.receipts();
    assert_eq!(
        number(&receipts, "select count(*) from event"),
        Some(last),
        "a hole, or more"
    );
    assert_eq!(
        number(&receipts, "select count(distinct journal) from event"),
        Some(1)
    );
    assert_eq!(
        number(&receipts, "select count(*) from conflict"),
        Some(0),
        "an id with two bodies"
    );
    receipts
        .execute(
            "attach ?1 as box",
            [shop.path("state/outbox.db").to_str().unwrap()],
        )
        .unwrap();
    let joined = "from box.event ours join main.event theirs on ours.n = theirs.n";
    let differ = format!("select count(*) {joined} where ours.body != theirs.body");
    assert_eq!(number(&receipts, &differ), Some(0));
    assert_eq!(
        number(&receipts, &format!("select count(*) {joined}")),
        Some(last)
    );
    let mut opened: BTreeMap<String, u32> = BTreeMap::new();
    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    let mut closed: BTreeMap<String, u32> = BTreeMap::new();
    let mut statement = receipts
        .prepare("select type, body from event order by n")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (kind, body): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
        let event: serde_json::Value = serde_json::from_str(&body).unwrap();
        let visit = event["data"]["visit"].as_str().unwrap_or("").to_owned();
        if let Some(sequence) = event["sequence"].as_u64() {
            let before = sequences.insert(visit.clone(), sequence).unwrap_or(0);
            assert_eq!(sequence, before + 1, "{body}");
        }
        match kind.as_str() {
            "basketd.visit.opened" => *opened.entry(visit).or_default() += 1,
            "basketd.basket.closed" => *closed.entry(visit).or_default() += 1,
            _ => {}
        }
    }
    assert!(opened.len() > 100);
    assert_eq!(
        opened, closed,
        "each visit was opened once and has one basket"
    );
    println!("{} visits, each with one basket", opened.len());
}
