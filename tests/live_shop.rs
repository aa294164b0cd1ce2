//! A busy shop over its real protocols: eight readers of four antennas with 300 tags each, four
//! cameras, twenty scales, all on loopback and at their own rates. Nothing may be lost, and a tag's
//! report must reach the engine at once.
//!
//! `TRIALS=long cargo test --release --test live_shop -- --nocapture` runs for ten minutes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

mod support;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use basketd::link::mqtt::{Connection, Incoming, Message, Options};
use basketd::sim::device::llrp::{Control, Feed, Reader, ReaderSetup};
use basketd::sim::device::mjpeg;
use support::shop::{Shop, has, wait_for};
use tokio::runtime::Runtime;
use tokio::sync::watch;

const READERS: u32 = 8;
/// Of each reader: four antennas with 300 tags each.
const TAGS: u32 = 1200;
const READS_PER_S: f64 = 400.0;
const CAMERAS: u32 = 4;
const SCALES: u32 = 20;
const WEIGHTS_PER_S: u32 = 10;
const SOON: Duration = Duration::from_secs(30);

fn seconds() -> u64 {
    let long = std::env::var("TRIALS").is_ok_and(|trials| trials == "long");
    if long { 600 } else { 12 }
}

/// Devices that speak until they are dropped.
struct Devices {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    readers: Vec<(SocketAddr, Control)>,
    cameras: Vec<mjpeg::Camera>,
}

impl Devices {
    fn start(broker: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = watch::channel(false);
        let mut readers = Vec::new();
        for n in 0..READERS {
            let feed = Feed::new(TAGS, 1, true, Some(READS_PER_S)).beginning_at(n * 100_000);
            let setup = ReaderSetup {
                impinj: true,
                feed: Some(feed),
                ..ReaderSetup::default()
            };
            let started = Reader::start(setup, "127.0.0.1:0", stopped.clone());
            readers.push(runtime.block_on(started).unwrap());
        }
        let camera = |_| mjpeg::Camera::start(mjpeg::Options::default()).unwrap();
        runtime.spawn(scales(broker, stopped));
        Self {
            runtime,
            stop,
            readers,
            cameras: (0..CAMERAS).map(camera).collect(),
        }
    }

    fn reads(&self) -> u64 {
        self.readers
            .iter()
            .map(|(_, control)| control.seen().reads)
            .sum()
    }
}

/// Twenty load cells on one board.
async fn scales(broker: u16, stop: watch::Receiver<bool>) {
    let options = Options {
        host: "127.0.0.1".to_owned(),
        port: broker,
        client_id: "board".to_owned(),
        login: None,
        tls: None,
        will: None,
        session_s: None,
    };
    let mut connection = Connection::open(&options, &[]).await.unwrap();
    // One after another: a broker takes some twenty messages at once of a client.
    let period = Duration::from_micros(1_000_000 / u64::from(WEIGHTS_PER_S * SCALES));
    let mut tick = tokio::time::interval(period);
    let mut turn = 0_u32;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            incoming = connection.recv() => match incoming {
                Incoming::Closed(_) => return,
                _ => continue,
            },
        }
        if *stop.borrow() {
            return;
        }
        turn += 1;
        let noise = f64::from(turn * 7 % 9) / 10.0;
        let payload = format!("{{\"load\": {{\"value\": {}}}}}", 1500.0 + noise);
        let topic = format!("plates/{}", turn % SCALES);
        connection.publish(0, Message::new(topic, payload));
    }
}

fn store(shop: &Shop, devices: &Devices) -> String {
    let mut text = String::from(
        "[store]\nid = \"busy\"\ncatalog = \"catalog.csv\"\n\
         [[zone]]\nid = \"door\"\nkinds = [\"entry\", \"exit\"]\npolygon = [[0, 0], [1, 0], [1, 1], [0, 1]]\n\
         [[gate]]\nid = \"door\"\nzone = \"door\"\n",
    );
    for g in 0..READERS {
        let y = 3 + g;
        writeln!(
            text,
            "[[gondola]]\nid = \"g{g}\"\nfront = [[0, {y}], [2, {y}]]"
        )
        .unwrap();
        for s in 0..4 {
            writeln!(
                text,
                "[[gondola.shelf]]\nid = \"g{g}-s{s}\"\nfacings = [{{ gtin = \"2000000010014\", from = 0, to = 1 }}]"
            )
            .unwrap();
        }
    }
    for scale in 0..SCALES {
        let (g, s) = (scale / 4, scale % 4);
        writeln!(
            text,
            "[[scale]]\nid = \"p{scale}\"\nshelf = \"g{g}-s{s}\"\nfrom = 0\nto = 2\n\
             source = \"mqtt:plates/{scale}\"\npath = \"load.value\""
        )
        .unwrap();
    }
    for (g, (address, _)) in devices.readers.iter().enumerate() {
        writeln!(
            text,
            "[[reader]]\nid = \"r{g}\"\nsource = \"llrp://{address}\"\nantennas = ["
        )
        .unwrap();
        for port in 1..=4 {
            writeln!(
                text,
                "  {{ port = {port}, shelf = \"g{g}-s{}\" }},",
                port - 1
            )
            .unwrap();
        }
        text.push_str("]\n");
    }
    for (n, camera) in devices.cameras.iter().enumerate() {
        writeln!(
            text,
            "[[camera]]\nid = \"cam{n}\"\nsource = \"{}\"\nview = \"floor\"\nwidth = 320\nheight = 240\n\
             floor_from_image = [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]\nmotion_gate = false",
            camera.stream_url()
        )
        .unwrap();
    }
    format!("{text}{}", shop.settings("", "puback"))
}

/// What the journal has of the tags: how many, and how long each took from the reader's stamp on.
fn delays_us(shop: &Shop) -> Vec<u64> {
    let mut delays = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(shop.path("state/journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        basketd::recording::stream(&file, &mut |message| {
            assert_ne!(
                message.channel.topic,
                "/gap",
                "{:?}",
                String::from_utf8_lossy(message.payload)
            );
            if message.channel.topic.starts_with("/rfid/") {
                delays.push(message.log_time.saturating_sub(message.publish_time) / 1000);
            }
        })
        .unwrap();
    }
    delays.sort_unstable();
    delays
}

/// Processor time of a process so far, seconds.
fn cpu_s(id: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields = text.rsplit(')').next().unwrap().split_whitespace();
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .map(|t| t.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

#[test]
fn a_busy_shop_loses_nothing() {
    if !has("mosquitto") {
        return;
    }
    let shop = Shop::new();
    let _broker = shop.broker();
    let devices = Devices::start(shop.broker_port);
    std::fs::write(shop.path("store.toml"), store(&shop, &devices)).unwrap();
    let catalog = "gtin,name,price,weight_g\n2000000010014,Crisps,1.90,101\n";
    std::fs::write(shop.path("catalog.csv"), catalog).unwrap();
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    let up = |name: String| {
        let metric = format!("basketd_source_up{{source=\"{name}\"}}");
        wait_for(&name, SOON, || shop.metric(&metric) == Some(1.0));
    };
    (0..READERS).for_each(|n| up(format!("rfid/r{n}")));
    (0..CAMERAS).for_each(|n| up(format!("camera/cam{n}")));
    (0..SCALES).for_each(|n| up(format!("scale/p{n}")));
    let (cpu, reads) = (cpu_s(daemon.child.id()), devices.reads());
    let watch = basketd::clock::Stopwatch::start();
    std::thread::park_timeout(Duration::from_secs(seconds()));
    let s = watch.nanos() as f64 / 1e9;
    let cores = (cpu_s(daemon.child.id()) - cpu) / s;
    let (_, metrics) = shop.page("/metrics").unwrap();
    let lost: Vec<&str> = metrics
        .lines()
        .filter(|l| l.starts_with("basketd_lost_total"))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(daemon.is_running());
    let read = devices.reads() - reads;
    let resident = daemon.resident_kib() / 1024;
    let (code, _) = daemon.terminate();
    assert_eq!(code, Some(0));
    let delays = delays_us(&shop);
    let told = devices.reads();
    devices.stop.send_replace(true);
    devices.runtime.shutdown_timeout(Duration::from_secs(1));
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    println!(
        "{s:.0} s: {:.0} reads/s, {cores:.2} cores, {resident} MiB; report to engine p50 {:.2} ms, p99 {:.2} ms, \
         most {:.1} ms; {} reads in the journal of {told} told",
        read as f64 / s,
        at(0.5),
        at(0.99),
        at(1.0),
        delays.len()
    );
    // What was on its way when the daemon ended was not taken in.
    assert!(
        delays.len() as u64 + 2000 >= told,
        "{} of {told}",
        delays.len()
    );
}

/// A reader that can be unplugged and plugged in again where it was.
struct Plug {
    at: SocketAddr,
    stop: Option<watch::Sender<bool>>,
}

impl Plug {
    fn new() -> Self {
        Self {
            at: SocketAddr::from(([127, 0, 0, 1], support::shop::free_port())),
            stop: None,
        }
    }

    fn plug_in(&mut self, runtime: &Runtime, n: u32) {
        let (stop, stopped) = watch::channel(false);
        let feed = Feed::new(40, 1, false, Some(50.0)).beginning_at(n * 1000);
        let setup = ReaderSetup {
            feed: Some(feed),
            ..ReaderSetup::default()
        };
        let at = self.at.to_string();
        let started = Reader::start(setup, &at, stopped);
        runtime.block_on(started).unwrap();
        self.stop = Some(stop);
    }

    fn pull(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send_replace(true);
        }
    }
}

fn eye(at: SocketAddr) -> mjpeg::Camera {
    let address = at;
    mjpeg::Camera::start(mjpeg::Options {
        address,
        ..mjpeg::Options::default()
    })
    .unwrap()
}

#[test]
fn everything_is_unplugged_and_back_in_turn_and_all_at_once() {
    if !has("mosquitto") {
        return;
    }
    let shop = Shop::new();
    let mut broker = shop.broker();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut plugs = [Plug::new(), Plug::new()];
    let places: Vec<SocketAddr> = (0..2)
        .map(|_| SocketAddr::from(([127, 0, 0, 1], support::shop::free_port())))
        .collect();
    let mut cameras: Vec<Option<mjpeg::Camera>> = places.iter().map(|at| Some(eye(*at))).collect();
    for (n, plug) in plugs.iter_mut().enumerate() {
        plug.plug_in(&runtime, n as u32);
    }
    let mut text = String::from(
        "[store]\nid = \"corner\"\ncatalog = \"catalog.csv\"\n\
         [[zone]]\nid = \"door\"\nkinds = [\"entry\", \"exit\"]\npolygon = [[0, 0], [1, 0], [1, 1], [0, 1]]\n\
         [[gate]]\nid = \"door\"\nzone = \"door\"\n[[gondola]]\nid = \"g1\"\nfront = [[0, 3], [2, 3]]\n\
         [[gondola.shelf]]\nid = \"s1\"\nfacings = []\n[[scale]]\nid = \"p1\"\nshelf = \"s1\"\nfrom = 0\n\
         to = 2\nsource = \"mqtt:plates/0\"\npath = \"load.value\"\n",
    );
    for (n, plug) in plugs.iter().enumerate() {
        writeln!(
            text,
            "[[reader]]\nid = \"r{n}\"\nsource = \"llrp://{}\"\nantennas = [{{ port = 1, shelf = \"s1\" }}, \
             {{ port = 2, shelf = \"s1\" }}, {{ port = 3, shelf = \"s1\" }}, {{ port = 4, shelf = \"s1\" }}]",
            plug.at
        )
        .unwrap();
    }
    for (n, at) in places.iter().enumerate() {
        writeln!(
            text,
            "[[camera]]\nid = \"cam{n}\"\nsource = \"http://{at}/stream\"\nview = \"floor\"\nwidth = 320\n\
             height = 240\nfloor_from_image = [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]"
        )
        .unwrap();
    }
    let settings = shop.settings("", "puback");
    std::fs::write(shop.path("store.toml"), format!("{text}{settings}")).unwrap();
    std::fs::write(shop.path("catalog.csv"), "gtin,name,price,weight_g\n").unwrap();
    let (_stop_board, stopped) = watch::channel(false);
    runtime.spawn(scales(shop.broker_port, stopped.clone()));
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    let is = |name: &str, up: bool| {
        let metric = format!("basketd_source_up{{source=\"{name}\"}}");
        let wanted = f64::from(u8::from(up));
        wait_for(&format!("{name} {up}"), SOON, || {
            shop.metric(&metric) == Some(wanted)
        });
    };
    let all = [
        "rfid/r0",
        "rfid/r1",
        "camera/cam0",
        "camera/cam1",
        "scale/p1",
    ];
    all.iter().for_each(|name| is(name, true));
    // In turn: the others do not notice.
    for n in 0..2 {
        plugs[n].pull();
        is(&format!("rfid/r{n}"), false);
        is(&format!("rfid/r{}", 1 - n), true);
        plugs[n].plug_in(&runtime, n as u32);
        is(&format!("rfid/r{n}"), true);
        cameras[n].take().unwrap().die();
        is(&format!("camera/cam{n}"), false);
        is(&format!("camera/cam{}", 1 - n), true);
        cameras[n] = Some(eye(places[n]));
        is(&format!("camera/cam{n}"), true);
    }
    // All at once, the broker among them.
    broker.kill();
    plugs.iter_mut().for_each(Plug::pull);
    cameras.clear();
    all.iter().for_each(|name| is(name, false));
    let (code, ready) = shop.page("/readyz").unwrap();
    assert_eq!(code, 200);
    for name in all {
        assert!(ready.contains(&format!("{name} is offline: ")), "{ready}");
    }
    let _broker = shop.broker();
    runtime.spawn(scales(shop.broker_port, stopped));
    for (n, plug) in plugs.iter_mut().enumerate() {
        plug.plug_in(&runtime, n as u32);
    }
    let _cameras: Vec<mjpeg::Camera> = places.iter().map(|at| eye(*at)).collect();
    all.iter().for_each(|name| is(name, true));
    assert!(daemon.is_running());
    let (code, _) = daemon.terminate();
    assert_eq!(code, Some(0));
    runtime.shutdown_timeout(Duration::from_secs(1));
}

/// What the journal has of tags, and what it has of losses.
fn taken_and_lost(shop: &Shop) -> (u64, u64) {
    let (mut taken, mut lost) = (0, 0);
    for entry in std::fs::read_dir(shop.path("state/journal")).unwrap() {
        basketd::recording::stream(&entry.unwrap().path(), &mut |message| match message
            .channel
            .topic
            .as_str()
        {
            "/rfid/r0" => taken += 1,
            "/gap" => {
                let gap: serde_json::Value = serde_json::from_slice(message.payload).unwrap();
                lost += gap["lost"].as_u64().unwrap();
            }
            _ => {}
        })
        .unwrap();
    }
    (taken, lost)
}

#[test]
fn a_flood_is_taken_in_or_counted() {
    let shop = Shop::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (stop, stopped) = watch::channel(false);
    let setup = ReaderSetup {
        feed: Some(Feed::new(12, 100, false, None)),
        ..ReaderSetup::default()
    };
    let (at, control) = runtime
        .block_on(Reader::start(setup, "127.0.0.1:0", stopped))
        .unwrap();
    let mut text = String::from(
        "[store]\nid = \"flood\"\ncatalog = \"catalog.csv\"\n[state]\ndir = \"state\"\n[[zone]]\nid = \"door\"\n\
         kinds = [\"entry\", \"exit\"]\npolygon = [[0, 0], [1, 0], [1, 1], [0, 1]]\n[[gondola]]\nid = \"g1\"\n\
         front = [[0, 3], [2, 3]]\n[[gondola.shelf]]\nid = \"s1\"\nfacings = []\n",
    );
    let ports = (1..=4).map(|port| format!("{{ port = {port}, shelf = \"s1\" }}"));
    let ports: Vec<String> = ports.collect();
    writeln!(
        text,
        "[[reader]]\nid = \"r0\"\nsource = \"llrp://{at}\"\nantennas = [{}]\n[console]\nlisten = \"127.0.0.1:{}\"",
        ports.join(", "),
        shop.console_port
    )
    .unwrap();
    std::fs::write(shop.path("store.toml"), text).unwrap();
    std::fs::write(shop.path("catalog.csv"), "gtin,name,price,weight_g\n").unwrap();
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    let inputs = || shop.metric("basketd_inputs_total").unwrap_or(0.0);
    wait_for("reads", SOON, || inputs() > 10_000.0);
    let (before, watch) = (inputs(), basketd::clock::Stopwatch::start());
    std::thread::park_timeout(Duration::from_secs(3));
    let rate = (inputs() - before) / (watch.nanos() as f64 / 1e9);
    let resident = daemon.resident_kib() / 1024;
    let (code, _) = daemon.terminate();
    assert_eq!(code, Some(0), "{}", daemon.told());
    let told = control.seen().reads;
    stop.send_replace(true);
    runtime.shutdown_timeout(Duration::from_secs(1));
    let (taken, lost) = taken_and_lost(&shop);
    println!(
        "{rate:.0} reads/s from the socket to the engine, {resident} MiB; {taken} taken, {lost} counted as lost, {told} told"
    );
    // What lay in the sockets when the daemon ended is nobody's.
    let on_the_way = 200_000;
    assert!(taken + lost <= told && taken + lost + on_the_way >= told);
}

/// Somebody in blue on the left half, or nobody, as the project's own model sees it.
fn picture(somebody: bool) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(320, 240, |x, y| {
        let inside = somebody && (80..120).contains(&x) && (60..180).contains(&y);
        if inside {
            image::Rgb([0, 0, 255])
        } else {
            image::Rgb([0, (x % 7 + y % 5) as u8, 0])
        }
    });
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
    picture.write_with_encoder(encoder).unwrap();
    bytes
}

/// The boxes of people that the journal has of the camera, in the camera's pixels.
fn people(shop: &Shop) -> Vec<[f64; 4]> {
    let mut boxes = Vec::new();
    for entry in std::fs::read_dir(shop.path("state/journal")).unwrap() {
        let path = entry.unwrap().path();
        let read = basketd::recording::stream(&path, &mut |message| {
            if message.channel.topic != "/camera/cam0/detections" {
                return;
            }
            let seen: serde_json::Value = serde_json::from_slice(message.payload).unwrap();
            for one in seen["detections"].as_array().unwrap() {
                assert_eq!(one["class"], "person");
                boxes.push(serde_json::from_value(one["box"].clone()).unwrap());
            }
        });
        // The youngest file is being written.
        drop(read);
    }
    boxes
}

#[test]
fn a_model_looks_at_a_live_camera() {
    let shop = Shop::new();
    let camera = mjpeg::Camera::start(mjpeg::Options {
        pictures: vec![picture(false), picture(true)],
        ..mjpeg::Options::default()
    })
    .unwrap();
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let text = format!(
        "[store]\nid = \"eye\"\ncatalog = \"catalog.csv\"\nmodels = \"{}\"\n[state]\ndir = \"state\"\n\
         [[zone]]\nid = \"door\"\nkinds = [\"entry\", \"exit\"]\npolygon = [[0, 0], [1, 0], [1, 1], [0, 1]]\n\
         [[camera]]\nid = \"cam0\"\nsource = \"{}\"\nmodel = \"tiny\"\nview = \"floor\"\nwidth = 640\n\
         height = 480\nfloor_from_image = [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]\n\
         [console]\nlisten = \"127.0.0.1:{}\"\n",
        models.display(),
        camera.stream_url(),
        shop.console_port
    );
    std::fs::write(shop.path("store.toml"), text).unwrap();
    std::fs::write(
        shop.path("catalog.csv"),
        "gtin,name,price,weight_g\n00000000000017,Red,1.00,\n",
    )
    .unwrap();
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready_or_end(&mut daemon);
    if !daemon.is_running() {
        let told = daemon.told();
        assert!(told.contains("without tract"), "{told}");
        println!("skipped: no inference in this build");
        return;
    }
    wait_for("a person", SOON, || !people(&shop).is_empty());
    let (_, ready) = shop.page("/readyz").unwrap();
    assert!(!ready.contains("model"), "{ready}");
    let (code, _) = daemon.terminate();
    assert_eq!(code, Some(0));
    // The picture has half the camera's pixels a side: he stands at 160 to 240, 120 to 360. The model
    // sees in cells of 80, 160 and 320 pixels.
    let found = people(&shop);
    let meets =
        |[x0, y0, x1, y1]: &[f64; 4]| *x0 < 240.0 && *x1 > 160.0 && *y0 < 360.0 && *y1 > 120.0;
    assert!(found.iter().all(meets), "{found:?}");
    let exact = |[x0, _, x1, _]: &[f64; 4]| (x0 - 160.0).abs() < 1.0 && (x1 - 240.0).abs() < 1.0;
    assert!(found.iter().any(exact), "{found:?}");
}
