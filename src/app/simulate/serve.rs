//! `basketd simulate serve`: a recording's sensors as devices at their real protocols, for whoever has
//! no hardware. Readers speak LLRP over TCP, cameras Motion JPEG over HTTP, scales, gates and doors
//! MQTT; the store file that is written names their addresses. What the daemon then hears is what
//! was recorded, at the times at which it was.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::addresses::{Addresses, quoted, rewritten};
use super::picture;
use crate::app::load::{Loaded, load};
use crate::clock::Monotonic;
use crate::link::backoff::Backoff;
use crate::link::mqtt::{Connection, Incoming, Message, Options};
use crate::recording;
use crate::sim::device::llrp::{Control, Order, Reader, ReaderSetup, Tag};
use crate::sim::device::mjpeg;
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The recording whose sensors are served; several files in order are one.
    #[arg(long, num_args = 1.., required = true)]
    play: Vec<PathBuf>,
    /// Its store file.
    #[arg(long)]
    store: PathBuf,
    /// A folder; the store file for the daemon is written to it.
    #[arg(long)]
    out: PathBuf,
    /// The broker that scales, gates and doors publish on, and the daemon's own.
    #[arg(long, default_value = "mqtt://127.0.0.1")]
    mqtt: String,
    /// The address that readers and cameras listen at.
    #[arg(long, default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Readers listen at this port and those that follow it, cameras after them.
    #[arg(long, default_value_t = 5084)]
    port: u16,
    /// How often the recording is played.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Begins once every reader has its client, and not at once.
    #[arg(long)]
    wait: bool,
    /// Writes over a store file that is in the folder already.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let loaded = load(&args.store)?;
    let broker = crate::store::file::broker(&args.mqtt);
    let (tls, host, port) = broker.context("`--mqtt`: expected mqtt://<host>[:<port>]")?;
    ensure!(!tls, "`--mqtt`: a simulated shop speaks no TLS");
    let options = Options {
        host,
        port,
        client_id: format!("{}-devices", loaded.store.id),
        login: None,
        tls: None,
        will: None,
        session_s: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, &loaded, options))
}

/// So far behind the recording, its doors and its cameras tell different stories.
const LATE: Duration = Duration::from_secs(2);

/// What is on the tape, in the order of its times.
#[derive(Debug)]
struct Played {
    /// After the tape's beginning.
    after: Duration,
    number: u64,
    topic: String,
    payload: Vec<u8>,
}

async fn serve(args: &Args, loaded: &Loaded, options: Options) -> anyhow::Result<()> {
    let facts = recording::facts(&args.play)?;
    let (stop, stopped) = watch::channel(false);
    let mut devices = Devices::start(args, &loaded.store, &facts, stopped.clone()).await?;
    write_store(args, loaded, &devices.addresses)?;
    let (publish, published) = mpsc::channel(1024);
    let publisher = tokio::spawn(publisher(options, published, stopped));
    if args.wait {
        crate::app::print_err("waiting until every reader has its client");
        devices.wait().await;
    }
    crate::app::print_err("the recording is played");
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    for _ in 0..args.repeat {
        let (tell, mut played) = mpsc::channel(4096);
        let (paths, facts) = (args.play.clone(), facts.clone());
        let reading = std::thread::Builder::new().name("tape".into());
        let reading = reading.spawn(move || read(&paths, &facts, &tell))?;
        let watch = Monotonic::start();
        let mut late = false;
        while let Some(next) = played.recv().await {
            let wait = next
                .after
                .saturating_sub(Duration::from_nanos(watch.nanos()));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = &mut interrupted => return Ok(()),
            }
            let behind = Duration::from_nanos(watch.nanos()).saturating_sub(next.after);
            if behind > LATE && !late {
                late = true;
                crate::app::print_err(
                    "this machine is too slow: the devices fall behind the recording",
                );
            }
            devices.say(&loaded.store, &next, &publish).await;
        }
        let read = reading.join();
        read.map_err(|_panic| anyhow::anyhow!("the tape's thread had panicked"))??;
    }
    crate::app::print_err("the recording is over; the devices are switched off");
    drop(publish);
    // What waits is published first.
    tokio::time::timeout(Duration::from_secs(2), publisher)
        .await
        .ok();
    stop.send_replace(true);
    Ok(())
}

/// Reads the tape as fast as it is played.
fn read(
    paths: &[PathBuf],
    facts: &recording::Facts,
    tell: &mpsc::Sender<Played>,
) -> Result<(), recording::RecordingError> {
    let first = facts.first.unwrap_or(0);
    let (mut open, mut number) = (true, 0);
    recording::read(paths, facts, |message| {
        number += 1;
        // Whoever plays may have gone.
        open = open
            && tell
                .blocking_send(Played {
                    after: Duration::from_nanos(message.log_time.saturating_sub(first)),
                    number,
                    topic: message.channel.topic.clone(),
                    payload: message.payload.to_vec(),
                })
                .is_ok();
    })?;
    Ok(())
}

/// Everything that speaks.
struct Devices {
    addresses: Addresses,
    readers: BTreeMap<String, Control>,
    cameras: BTreeMap<String, mjpeg::Camera>,
    /// Whether a camera's frames are on the tape, or have to be drawn.
    has_frames: BTreeMap<String, bool>,
}

impl Devices {
    async fn start(
        args: &Args,
        store: &Store,
        facts: &recording::Facts,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let mut devices = Self {
            addresses: Addresses::new(),
            readers: BTreeMap::new(),
            cameras: BTreeMap::new(),
            has_frames: BTreeMap::new(),
        };
        let mut port = args.port;
        for reader in &store.readers {
            let address = SocketAddr::new(args.listen, port);
            port += 1;
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("reader {}: {address}", reader.id))?;
            let (device, control) = Reader::new(setup(reader));
            tokio::spawn(device.serve(listener, stop.clone()));
            devices.readers.insert(reader.id.clone(), control);
            devices.source("reader", &reader.id, &format!("llrp://{address}"));
        }
        for camera in &store.cameras {
            let address = SocketAddr::new(args.listen, port);
            port += 1;
            let options = mjpeg::Options {
                address,
                width: camera.width,
                height: camera.height,
                ..mjpeg::Options::default()
            };
            let device = mjpeg::Camera::start(options);
            let device = device.with_context(|| format!("camera {}: {address}", camera.id))?;
            devices.source("camera", &camera.id, &device.stream_url());
            devices.cameras.insert(camera.id.clone(), device);
            let image = format!("/camera/{}/image", camera.id);
            let has_frames = facts.topics.contains_key(&image);
            devices.has_frames.insert(camera.id.clone(), has_frames);
        }
        for (kind, ids) in [
            (
                "scale",
                store.scales.iter().map(|s| &s.id).collect::<Vec<_>>(),
            ),
            ("gate", store.gates.iter().map(|g| &g.id).collect()),
        ] {
            for id in ids {
                let topic = mqtt_topic(&store.id, kind, id);
                devices.source(kind, id, &format!("mqtt:{topic}"));
            }
        }
        for gondola in &store.gondolas {
            let topic = mqtt_topic(&store.id, "door", &gondola.id);
            let keys = vec![("door", quoted(&format!("mqtt:{topic}")))];
            if facts.topics.contains_key(&format!("/door/{}", gondola.id)) {
                devices
                    .addresses
                    .insert(("gondola", gondola.id.clone()), keys);
            }
        }
        Ok(devices)
    }

    fn source(&mut self, kind: &'static str, id: &str, address: &str) {
        let keys = vec![("source", quoted(address))];
        self.addresses.insert((kind, id.to_owned()), keys);
    }

    /// Waits until every reader reads.
    async fn wait(&mut self) {
        for control in self.readers.values_mut() {
            control.until(|seen| seen.reading.is_some()).await;
        }
    }

    /// Lets the device of a message say it.
    async fn say(&self, store: &Store, played: &Played, publish: &mpsc::Sender<Message>) {
        let mut parts = played.topic.split('/').skip(1);
        let (kind, id, tail) = (parts.next(), parts.next().unwrap_or(""), parts.next());
        match (kind, tail) {
            (Some("rfid"), None) => {
                if let (Some(reader), Some(tag)) = (self.readers.get(id), tag(&played.payload)) {
                    reader.order(Order::Reads(vec![tag])).await;
                }
            }
            (Some(kind @ ("scale" | "gate" | "door")), None) => {
                let topic = mqtt_topic(&store.id, kind, id);
                // Without a broker nobody hears it, and time goes on.
                publish
                    .try_send(Message::new(topic, played.payload.clone()))
                    .ok();
            }
            (Some("camera"), Some(kind)) => self.show(store, id, kind, played),
            _ => {}
        }
    }

    fn show(&self, store: &Store, id: &str, kind: &str, played: &Played) {
        let (Some(device), Some(camera)) = (self.cameras.get(id), store.camera_by_id(id)) else {
            return;
        };
        let has_frames = self.has_frames.get(id).copied().unwrap_or(false);
        let camera = &store.cameras[camera.index()];
        let picture = match kind {
            "image" => crate::wire::message::decode_image(&played.payload)
                .ok()
                .map(<[u8]>::to_vec),
            "detections" if !has_frames => {
                picture::drawn(camera.width, camera.height, played.number, &played.payload)
            }
            _ => None,
        };
        if let Some(picture) = picture {
            device.show(picture);
        }
    }
}

fn setup(reader: &crate::store::Reader) -> ReaderSetup {
    ReaderSetup {
        antennas: reader.antennas.keys().copied().max().unwrap_or(1),
        impinj: true,
        reads_per_s: 0.0,
        ..ReaderSetup::default()
    }
}

fn mqtt_topic(store: &str, kind: &str, id: &str) -> String {
    format!("devices/{store}/{kind}/{id}")
}

/// A recorded read, as a tag before its antenna.
fn tag(payload: &[u8]) -> Option<Tag> {
    #[derive(serde::Deserialize)]
    struct Read {
        epc: crate::gs1::Epc,
        antenna: u16,
        rssi_dbm: f64,
    }
    let read: Read = serde_json::from_slice(payload).ok()?;
    Some(Tag {
        epc: read.epc.as_bytes().to_vec(),
        antenna: read.antenna,
        rssi_cdbm: (read.rssi_dbm * 100.0).round() as i32,
        noise_cdb: 0,
    })
}

fn write_store(args: &Args, loaded: &Loaded, addresses: &Addresses) -> anyhow::Result<()> {
    let path = args.out.join("store.toml");
    let shown = path.display().to_string();
    ensure!(
        args.force || !path.exists(),
        "{shown} exists already; give another folder, or --force to write over it"
    );
    std::fs::create_dir_all(&args.out).with_context(|| shown.clone())?;
    let mut text = rewritten(&loaded.inputs.text, addresses).map_err(anyhow::Error::msg)?;
    if loaded.settings.mqtt.is_none() {
        text.push_str(&format!("\n[mqtt]\nurl = {}\n", quoted(&args.mqtt)));
    }
    if loaded.settings.state.dir.is_none() {
        // The daemon's state is this shop's, wherever it is started.
        match text.find("[state]") {
            Some(at) => text.insert_str(at + 7, "\ndir = \"state\""),
            None => text.push_str("\n[state]\ndir = \"state\"\n"),
        }
    }
    std::fs::write(&path, text).with_context(|| shown.clone())?;
    for (name, text) in &loaded.inputs.files {
        let path = args
            .out
            .join(Path::new(name).file_name().unwrap_or_default());
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    crate::app::print(&format!("basketd run --store {shown}"));
    Ok(())
}

/// Publishes what comes, over connection after connection.
async fn publisher(
    options: Options,
    mut messages: mpsc::Receiver<Message>,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::default();
    let mut next = None;
    loop {
        match Connection::open(&options, &[]).await {
            Ok(connection) => {
                backoff.reset();
                if publish_on(connection, &mut messages, &mut next).await {
                    return;
                }
            }
            Err(closed) => crate::app::print_err(&format!("the broker: {closed}")),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.wait()) => {}
            () = crate::link::stopped(&mut stop) => return,
        }
    }
}

/// `true` where there is nothing more to publish.
async fn publish_on(
    mut connection: Connection,
    messages: &mut mpsc::Receiver<Message>,
    next: &mut Option<Message>,
) -> bool {
    loop {
        while let Some(message) = next.take() {
            if !connection.publish(0, message.clone()) {
                *next = Some(message);
                break;
            }
            *next = messages.try_recv().ok();
        }
        tokio::select! {
            message = messages.recv(), if next.is_none() => match message {
                Some(message) => *next = Some(message),
                None => {
                    connection.close().await;
                    return true;
                }
            },
            incoming = connection.recv() => if matches!(incoming, Incoming::Closed(_)) {
                return false;
            },
        }
    }
}
