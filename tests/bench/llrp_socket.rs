//! From a socket to the daemon: reads a second that the LLRP client takes of a reader that sends
//! as fast as it can, JSON included. The reader has a thread of its own; reports were made before.
//!
//! `cargo bench --bench llrp_socket`, and `… -- serve 5084 100` for a reader alone, with 100 tags in
//! each report, to which other clients can be connected for comparison; with 0, one that reads three
//! tags as a reader does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and prints its figures"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use basketd::clock::Stopwatch;
use basketd::link::outlet::{Outlet, Told};
use basketd::rfid::llrp::{Config, run};
use basketd::sim::device::llrp::{Feed, Reader, ReaderSetup, Tag};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

/// Reads of one measurement.
const READS: u64 = 3_000_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "serve") {
        let number = |n: usize, other| args.get(at + n).map_or(other, |arg| arg.parse().unwrap());
        let address = format!("127.0.0.1:{}", number(1, 5084));
        let each = number(2, 100);
        println!("a reader with {each} tags in each report at {address}");
        let setup = match each {
            0 => few_tags(),
            each => setup(each, false, None),
        };
        runtime().block_on(serve(setup, &address, |_| {}));
        return;
    }
    println!("reads/s (best of 3), {READS} reads each, one core for the client");
    for (name, each, impinj) in [
        ("100 tags a report", 100, false),
        ("100 tags a report, phase, fine RSSI, Doppler", 100, true),
        ("1 tag a report", 1, false),
    ] {
        let best = (0..3).map(|_| flat_out(each, impinj)).max().unwrap();
        println!("{best:>10}  {name}");
    }
    let (taken, seconds) = paced();
    println!(
        "8 readers at 400 reads/s: {taken} reads in {seconds:.1} s, {:.0}/s",
        taken as f64 / seconds
    );
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn setup(each: u32, impinj: bool, reads_per_s: Option<f64>) -> ReaderSetup {
    ReaderSetup {
        impinj,
        feed: Some(Feed::new(10_000 / each.max(1), each, impinj, reads_per_s)),
        ..ReaderSetup::default()
    }
}

fn few_tags() -> ReaderSetup {
    let tag = |antenna: u16| Tag {
        epc: vec![0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, antenna as u8],
        antenna,
        rssi_cdbm: -5000,
        noise_cdb: 200,
    };
    ReaderSetup {
        impinj: true,
        tags: (1..=3).map(tag).collect(),
        ..ReaderSetup::default()
    }
}

/// Serves for ever.
async fn serve(setup: ReaderSetup, address: &str, told: impl FnOnce(SocketAddr)) {
    let (_stop, stopped) = watch::channel(false);
    let (at, _control) = Reader::start(setup, address, stopped).await.unwrap();
    told(at);
    std::future::pending().await
}

/// Readers in a thread of their own, until the process ends.
fn readers(count: usize, setup: &ReaderSetup) -> Vec<SocketAddr> {
    let (tell, told) = std::sync::mpsc::sync_channel(count);
    let setups = vec![setup.clone(); count];
    let serve_all = move || {
        runtime().block_on(async {
            let readers = setups.into_iter().map(|setup| {
                let tell = tell.clone();
                tokio::spawn(serve(setup, "127.0.0.1:0", move |at| {
                    tell.send(at).unwrap()
                }))
            });
            let readers: Vec<_> = readers.collect();
            for reader in readers {
                reader.await.unwrap();
            }
        });
    };
    let thread = thread::Builder::new().name("readers".to_owned());
    thread.spawn(serve_all).unwrap();
    (0..count).map(|_| told.recv().unwrap()).collect()
}

fn config(at: SocketAddr) -> Config {
    Config {
        host: at.ip().to_string(),
        port: at.port(),
        antennas: (1..=4).map(|port| (port, None)).collect::<BTreeMap<_, _>>(),
        session: 1,
        rf_mode: None,
        report_every: 1,
        keepalive_s: 5,
    }
}

fn flat_out(each: u32, impinj: bool) -> u64 {
    let at = readers(1, &setup(each, impinj, None))[0];
    let (stop, stopped) = watch::channel(false);
    let taken = AtomicU64::new(0);
    let begun: std::sync::OnceLock<Stopwatch> = std::sync::OnceLock::new();
    let done: Arc<std::sync::OnceLock<u64>> = Arc::default();
    let tell = Arc::clone(&done);
    let outlet = Outlet::new(Arc::new(move |told| {
        if let Told::Readings(readings) = told {
            let watch = begun.get_or_init(Stopwatch::start);
            let before = taken.fetch_add(readings.len() as u64, Ordering::Relaxed);
            if before + readings.len() as u64 >= READS && tell.set(watch.nanos()).is_ok() {
                stop.send_replace(true);
            }
        }
        Ok(())
    }));
    runtime().block_on(run(config(at), outlet, stopped));
    READS * 1_000_000_000 / done.get().copied().unwrap()
}

/// The rates of a shop: none may be lost.
fn paced() -> (u64, f64) {
    let ats = readers(8, &setup(1, false, Some(400.0)));
    let taken = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    let nanos = runtime().block_on(async {
        let (stop, stopped) = watch::channel(false);
        let (lost, mut losses) = mpsc::channel(1);
        let clients = ats.into_iter().map(|at| {
            let (taken, ended, lost) = (Arc::clone(&taken), Arc::clone(&ended), lost.clone());
            let outlet = Outlet::new(Arc::new(move |told| {
                match told {
                    Told::Readings(readings) if !ended.load(Ordering::Relaxed) => {
                        taken.fetch_add(readings.len() as u64, Ordering::Relaxed);
                    }
                    Told::Lost { .. } => drop(lost.try_send(told)),
                    _ => {}
                }
                Ok(())
            }));
            tokio::spawn(run(config(at), outlet, stopped.clone()))
        });
        let clients: Vec<_> = clients.collect();
        let watch = Stopwatch::start();
        tokio::time::sleep(Duration::from_secs(5)).await;
        ended.store(true, Ordering::Relaxed);
        let nanos = watch.nanos();
        assert!(losses.try_recv().is_err(), "reads were lost");
        stop.send_replace(true);
        for client in clients {
            client.await.unwrap();
        }
        nanos
    });
    (taken.load(Ordering::Relaxed), nanos as f64 / 1e9)
}
