//! How fast events become durable, and how soon the broker has them; each beside what SQLite and
//! mosquitto do by themselves, in the same run. `cargo bench --bench delivery [-- FOLDER]`, FOLDER on
//! the disk that is asked about.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints what it measured by a real clock"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use basketd::link::mqtt::{Connection, Incoming, Message, Options};
use basketd::outbox::{Batch, Limits, Outbox, Reader, Row};
use basketd::store::Confirm;
use basketd::uplink::{self, Feed, Sending, Topics, Uplink, Watermark};
use tokio::sync::{Notify, mpsc, watch};

const LIMITS: Limits = Limits {
    event_days: 90,
    traffic_days: 7,
    traffic_bytes: 1 << 30,
};

fn body(n: u64) -> String {
    format!("{{\"id\":\"j/{n}\",\"pad\":\"{}\"}}", "x".repeat(470))
}

fn row(n: u64) -> Row {
    Row {
        n,
        at_us: 0,
        kind: "basketd.item.taken".to_owned(),
        visit: Some(format!("v-{:06}", n / 5)),
        topic: format!("basketd/v1/s/visit/v-{:06}", n / 5),
        retained: false,
        body: body(n),
        change: None,
    }
}

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let folder = match args.first() {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    flushes(folder.path());
    for round in 0..3 {
        let bare = bare_sqlite(&folder.path().join(format!("bare-{round}.db")));
        let ours = durable(&folder.path().join(format!("ours-{round}")));
        println!(
            "durable      outbox {ours:>8.0} events/s, bare SQLite (100 a commit) {bare:>8.0} rows/s, ratio {:.2}",
            ours / bare
        );
    }
    let Some((_broker, port)) = broker(folder.path()) else {
        println!("no mosquitto: nothing is published");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for round in 0..3 {
        let bare = runtime.block_on(bare_puback(port));
        let ours = runtime.block_on(to_puback(
            port,
            &folder.path().join(format!("puback-{round}")),
        ));
        println!(
            "to PUBACK    {}",
            percentiles("engine's output, journal, outbox, broker", ours)
        );
        println!("             {}", percentiles("broker alone", bare));
    }
}

/// What the disk does by itself.
fn flushes(folder: &Path) {
    let mut file = File::create(folder.join("flush")).unwrap();
    let mut took: Vec<f64> = (0..200)
        .map(|_| {
            file.write_all(&[1; 500]).unwrap();
            let begin = Instant::now();
            file.sync_data().unwrap();
            begin.elapsed().as_secs_f64()
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!(
        "fdatasync    p50 {:.2} ms, p99 {:.2} ms",
        took[100] * 1e3,
        took[197] * 1e3
    );
}

fn bare_sqlite(path: &Path) -> f64 {
    let mut db = rusqlite::Connection::open(path).unwrap();
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.execute_batch("create table event(n integer primary key, body text not null) strict")
        .unwrap();
    let begin = Instant::now();
    let all = 50_000_u64;
    for first in (1..=all).step_by(100) {
        let transaction = db.transaction().unwrap();
        let mut insert = transaction
            .prepare_cached("insert into event values(?1, ?2)")
            .unwrap();
        for n in first..first + 100 {
            insert.execute((n as i64, body(n))).unwrap();
        }
        drop(insert);
        transaction.commit().unwrap();
    }
    all as f64 / begin.elapsed().as_secs_f64()
}

/// Batches of five events, each after its bytes of journal, as fast as they are taken.
fn durable(folder: &Path) -> f64 {
    std::fs::create_dir(folder).unwrap();
    let outbox = Outbox::open(&folder.join("outbox.db"), "s", "j", LIMITS, || {}).unwrap();
    let journal = Arc::new(File::create(folder.join("journal")).unwrap());
    let begin = Instant::now();
    let all = 100_000_u64;
    for first in (1..=all).step_by(5) {
        (&*journal).write_all(&[7; 2_000]).unwrap();
        outbox.write(Batch {
            events: (first..first + 5).map(row).collect(),
            journal: Some(Arc::clone(&journal)),
            ..Batch::default()
        });
    }
    assert!(outbox.barrier(Duration::from_secs(60)));
    all as f64 / begin.elapsed().as_secs_f64()
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn broker(folder: &Path) -> Option<(Killed, u16)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let conf = folder.join("m.conf");
    std::fs::write(
        &conf,
        format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"),
    )
    .unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let child = Command::new("mosquitto")
        .env("PATH", format!("{path}:/usr/sbin"))
        .arg("-c")
        .arg(&conf)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let child = Killed(child);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    Some((child, port))
}

fn options(port: u16, id: &str) -> Options {
    Options {
        host: "127.0.0.1".to_owned(),
        port,
        client_id: id.to_owned(),
        login: None,
        tls: None,
        will: None,
        session_s: None,
    }
}

const PACED: u64 = 500;
const EVERY: Duration = Duration::from_millis(20);

async fn bare_puback(port: u16) -> Vec<f64> {
    let listener = Connection::open(&options(port, "listener"), &["#".to_owned()])
        .await
        .unwrap();
    let mut connection = Connection::open(&options(port, "bare"), &[]).await.unwrap();
    let mut took = Vec::new();
    let mut tick = tokio::time::interval(EVERY);
    for n in 1..=PACED {
        tick.tick().await;
        let begin = Instant::now();
        assert!(connection.publish(n, Message::new("basketd/v1/s/visit/v", body(n))));
        while !matches!(connection.recv().await, Incoming::Acked { .. }) {}
        took.push(begin.elapsed().as_secs_f64());
    }
    drop(listener);
    took
}

/// The outbox with the times at which the broker took each event.
struct Timed {
    outbox: Arc<Outbox>,
    reader: Reader,
    taken: Arc<Mutex<BTreeMap<u64, Instant>>>,
}

impl Feed for Timed {
    fn after(&mut self, n: u64, limit: usize) -> Result<Vec<Sending>, String> {
        let found = self
            .reader
            .after(n, limit)
            .map_err(|error| error.to_string())?;
        let each = found.into_iter().map(|q| Sending {
            n: q.n,
            topic: q.topic,
            retained: q.retained,
            body: q.body,
        });
        Ok(each.collect())
    }

    fn committed(&self) -> u64 {
        self.outbox.committed()
    }

    fn confirmed(&self) -> u64 {
        self.outbox.confirmed()
    }

    fn confirm(&mut self, n: u64) {
        self.taken.lock().unwrap().insert(n, Instant::now());
        self.outbox.confirm(n);
    }

    fn traffic(&mut self, _limit: usize) -> Result<Vec<Sending>, String> {
        Ok(Vec::new())
    }

    fn traffic_sent(&mut self, _n: u64) {}
}

fn no_ack(_: &[u8]) -> Result<Watermark, String> {
    Err("none is wanted".to_owned())
}

async fn to_puback(port: u16, folder: &Path) -> Vec<f64> {
    std::fs::create_dir(folder).unwrap();
    let listener = Connection::open(&options(port, "listener"), &["#".to_owned()])
        .await
        .unwrap();
    let wake = Arc::new(Notify::new());
    let woken = Arc::clone(&wake);
    let path = folder.join("outbox.db");
    let outbox = Outbox::open(&path, "s", "j", LIMITS, move || woken.notify_one()).unwrap();
    let outbox = Arc::new(outbox);
    let taken: Arc<Mutex<BTreeMap<u64, Instant>>> = Arc::default();
    let (stop, stopped) = watch::channel(false);
    let (_standing, standing) = watch::channel(BTreeMap::new());
    let (commands, _asked) = mpsc::channel(1);
    let (_answers, answers) = mpsc::channel(1);
    let (_resend, resend) = mpsc::channel(1);
    let uplink = Uplink {
        feed: Timed {
            outbox: Arc::clone(&outbox),
            reader: Reader::open(&path).unwrap(),
            taken: Arc::clone(&taken),
        },
        confirm: Confirm::Puback,
        options: options(port, "ours"),
        topics: Topics {
            ack: None,
            commands: None,
            status: "basketd/v1/s/status".to_owned(),
        },
        journal: "j".to_owned(),
        store: "s".to_owned(),
        parse_ack: no_ack,
        standing,
        commands,
        answers,
        wake,
        report: Arc::default(),
        resend,
    };
    let sent = tokio::spawn(uplink::run(uplink, stopped));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let journal = Arc::new(File::create(folder.join("journal")).unwrap());
    let mut begun = Vec::new();
    let mut tick = tokio::time::interval(EVERY);
    for n in 1..=PACED {
        tick.tick().await;
        begun.push(Instant::now());
        (&*journal).write_all(&[7; 2_000]).unwrap();
        outbox.write(Batch {
            events: vec![row(n)],
            journal: Some(Arc::clone(&journal)),
            ..Batch::default()
        });
    }
    while outbox.confirmed() < PACED {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send_replace(true);
    sent.await.unwrap();
    drop(listener);
    let taken = taken.lock().unwrap();
    let of = |n: u64| taken.range(n..).next().map(|(_, at)| *at).unwrap();
    begun
        .iter()
        .zip(1..)
        .map(|(begin, n)| (of(n) - *begin).as_secs_f64())
        .collect()
}

fn percentiles(what: &str, mut took: Vec<f64>) -> String {
    took.sort_by(f64::total_cmp);
    let at = |p: usize| took[(took.len() - 1) * p / 100] * 1e3;
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms at 50 events/s: {what}",
        at(50),
        at(99),
        at(100)
    )
}
