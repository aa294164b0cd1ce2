//! The reader's sockets: one client, the others turned away, and what is wrong with the line.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep, sleep_until};

use super::air::Air;
use super::demands::Fault;
use super::device::Device;
use super::report::Feed;
use super::{Clock, Order, ReaderSetup, Seen, answers};
use crate::clock::{self, Monotonic};
use crate::link::stopped;
use crate::wire::llrp::{Draft, Framer, Message};

/// How often the air is listened to.
const TICK: Duration = Duration::from_millis(5);
/// Of a line that dribbles.
const DRIP: usize = 7;
/// A feed's reports that go out together.
const FED: usize = 64 << 10;
/// The longest time that is read after a pause, so that a slow client is not drowned.
const ELAPSED_MAX_US: u64 = 100_000;

struct Client {
    stream: TcpStream,
    framer: Framer,
    chunk: Vec<u8>,
}

struct Server {
    device: Device,
    air: Air,
    feed: Option<Feed>,
    client: Option<Client>,
    seen: watch::Sender<Seen>,
    clock: Monotonic,
    set_us: i64,
    last_tick_us: u64,
    /// Reads of a feed that are due.
    due: f64,
    next_keepalive: Option<Instant>,
    turns_away: bool,
    busy: bool,
    silent: bool,
    dribbles: bool,
}

pub(super) async fn serve(
    mut setup: ReaderSetup,
    mut orders: mpsc::Receiver<Order>,
    seen: watch::Sender<Seen>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let tags = std::mem::take(&mut setup.tags);
    let mut server = Server {
        air: Air::new(tags, setup.reads_per_s, setup.seed),
        feed: setup.feed.take(),
        device: Device::new(setup),
        client: None,
        seen,
        clock: Monotonic::start(),
        set_us: 0,
        last_tick_us: 0,
        due: 0.0,
        next_keepalive: None,
        turns_away: false,
        busy: false,
        silent: false,
        dribbles: false,
    };
    server.look();
    let mut tick = interval(TICK);
    loop {
        let silent = server.silent;
        let unpaced = server.feeds_unpaced();
        tokio::select! {
            () = stopped(&mut stop) => return,
            Some(order) = orders.recv() => server.obey(order).await,
            accepted = listener.accept(), if !silent => {
                if let Ok((stream, _)) = accepted {
                    server.accept(stream).await;
                }
            }
            read = heard(&mut server.client), if !silent => server.heard(read).await,
            () = keepalive(server.next_keepalive), if !silent => server.keepalive().await,
            _ = tick.tick(), if !silent && !unpaced => server.tick().await,
            () = std::future::ready(()), if !silent && unpaced => server.pour().await,
        }
    }
}

async fn heard(client: &mut Option<Client>) -> std::io::Result<usize> {
    match client {
        Some(client) => client.stream.read(&mut client.chunk).await,
        None => std::future::pending().await,
    }
}

async fn keepalive(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}

impl Server {
    /// The reader's own time in microseconds.
    fn now_us(&self) -> u64 {
        let elapsed = i64::try_from(self.clock.nanos() / 1000).unwrap_or(i64::MAX);
        let drift = elapsed / 1000 * i64::from(self.device.setup.drift_ppm) / 1000;
        let base = match self.device.setup.clock {
            Clock::Utc { ahead_us } => clock::wall().as_micros() + ahead_us,
            Clock::Uptime { since_us } => since_us.cast_signed() + elapsed,
        };
        u64::try_from(base + drift + self.set_us).unwrap_or(0)
    }

    async fn accept(&mut self, stream: TcpStream) {
        if self.turns_away {
            return;
        }
        if self.busy || self.client.is_some() {
            let held = "Failed_A_Client_Initiated_Connection_Already_Exists";
            self.turn_away(stream, held).await;
            return;
        }
        stream.set_nodelay(true).ok();
        self.client = Some(Client {
            stream,
            framer: Framer::default(),
            chunk: vec![0; 16 << 10],
        });
        self.seen.send_modify(|seen| seen.connections += 1);
        self.device.connect();
        self.keep_alive();
        if self.device.setup.left_running {
            self.tick().await;
        }
        let now = self.now_us();
        self.device.notify(now, answers::attempt("Success"));
        self.look();
        self.flush().await;
    }

    async fn turn_away(&mut self, mut stream: TcpStream, why: &str) {
        let setup = &self.device.setup;
        let refusal = answers::notification(setup, self.now_us(), answers::attempt(why));
        if let Ok(bytes) = refusal.encode(setup.version, 1) {
            stream.write_all(&bytes).await.ok();
        }
        if self.client.is_some() {
            let (now, event) = (
                self.now_us(),
                answers::attempt("Another_Connection_Attempted"),
            );
            self.device.notify(now, event);
            self.flush().await;
        }
    }

    async fn heard(&mut self, read: std::io::Result<usize>) {
        let Some(client) = &mut self.client else {
            return;
        };
        let length = match read {
            Ok(length) if length > 0 => length,
            _ => return self.hang_up(),
        };
        let bytes = &client.chunk[..length];
        client.framer.push(bytes);
        let mut messages = Vec::new();
        let broken = loop {
            match client.framer.pop() {
                Ok(Some(bytes)) => messages.push(Message::decode(bytes)),
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        let mut stays = true;
        for message in messages {
            stays &= self.message(message);
        }
        if let Some(error) = broken {
            self.device
                .refuse(0, "ERROR_MESSAGE", &Fault::new("M_ParameterError", error));
            stays = false;
        }
        self.look();
        self.flush().await;
        if !stays {
            self.hang_up();
        }
    }

    /// False where the connection is to be closed.
    fn message(&mut self, message: Result<Message, crate::wire::llrp::DecodeError>) -> bool {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                let fault = Fault::new("M_ParameterError", error.to_string());
                self.device.refuse(0, "ERROR_MESSAGE", &fault);
                return true;
            }
        };
        let name = message.name();
        let now = self.now_us();
        let stays = self.device.hear(&message, now);
        self.seen.send_modify(|seen| match name {
            "KEEPALIVE_ACK" => seen.keepalive_acks += 1,
            name => seen.requests.push(name),
        });
        if name == "SET_READER_CONFIG" {
            self.keep_alive();
        }
        stays
    }

    /// From now on by the period that is set.
    fn keep_alive(&mut self) {
        let period = Duration::from_millis(self.device.keepalive_ms.into());
        let on = self.client.is_some() && !period.is_zero();
        self.next_keepalive = on.then(|| Instant::now() + period);
    }

    async fn keepalive(&mut self) {
        self.device.keepalive();
        self.keep_alive();
        self.flush().await;
    }

    async fn tick(&mut self) {
        let now = self.clock.nanos() / 1000;
        let elapsed = (now - self.last_tick_us).min(ELAPSED_MAX_US);
        self.last_tick_us = now;
        if self.client.is_none() || self.device.active_id().is_none() {
            return;
        }
        if self.feed.is_some() {
            return self.feed_paced(elapsed).await;
        }
        let now = self.now_us();
        let channels = self.device.setup.channels_khz.len();
        let listens = self.listening();
        let listens = |id: u16| listens.contains(&id);
        let reads = self.air.read(elapsed, now, channels, listens);
        let counts = self.device.read(reads, now);
        self.count(counts);
        self.flush().await;
    }

    /// The antennas at which tags are read.
    fn listening(&self) -> BTreeSet<u16> {
        let reading = self.device.reading().unwrap_or_default();
        let gone = &self.device.disconnected;
        let antennas = reading.antennas.into_iter();
        antennas.filter(|id| !gone.contains(id)).collect()
    }

    fn feeds_unpaced(&self) -> bool {
        let unpaced = self.feed.as_ref().is_some_and(|f| f.reads_per_s.is_none());
        unpaced && self.client.is_some() && self.device.active_id().is_some()
    }

    async fn feed_paced(&mut self, elapsed_us: u64) {
        let now = self.now_us();
        let Some(feed) = &mut self.feed else {
            return;
        };
        self.due += feed.reads_per_s.unwrap_or(0.0) * elapsed_us as f64 / 1e6;
        let (mut bytes, mut counts) = (Vec::new(), (0, 0));
        while self.due >= 1.0 {
            let (message, reads) = feed.next(now);
            bytes.extend_from_slice(message);
            self.due -= reads.max(1) as f64;
            counts = (counts.0 + 1, counts.1 + reads);
        }
        self.count(counts);
        self.write(&bytes).await;
    }

    /// As much as the client takes.
    async fn pour(&mut self) {
        let now = self.now_us();
        let Some(feed) = &mut self.feed else {
            return;
        };
        let (mut bytes, mut counts) = (Vec::with_capacity(FED * 2), (0, 0));
        while bytes.len() < FED {
            let (message, reads) = feed.next(now);
            if message.is_empty() {
                break;
            }
            bytes.extend_from_slice(message);
            counts = (counts.0 + 1, counts.1 + reads);
        }
        self.count(counts);
        self.write(&bytes).await;
    }

    fn count(&self, (reports, reads): (u64, u64)) {
        if reports > 0 {
            self.seen.send_modify(|seen| {
                seen.reports += reports;
                seen.reads += reads;
            });
        }
    }

    async fn flush(&mut self) {
        let bytes = self.device.take_out();
        self.write(&bytes).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        let Some(client) = &mut self.client else {
            return;
        };
        let written = if self.dribbles {
            dribble(&mut client.stream, bytes).await
        } else {
            client.stream.write_all(bytes).await
        };
        if written.is_err() {
            self.hang_up();
        }
    }

    fn hang_up(&mut self) {
        self.client = None;
        self.next_keepalive = None;
        self.look();
    }

    async fn obey(&mut self, order: Order) {
        let now = self.now_us();
        match order {
            Order::Tags(tags) => self.air.tags = tags,
            Order::Rate(rate) => self.air.reads_per_s = rate,
            Order::Reads(tags) => {
                let channels = self.device.setup.channels_khz.len();
                let listens = self.listening();
                let reads = self
                    .air
                    .once(&tags, now, channels, |id| listens.contains(&id));
                let counts = self.device.read(reads, now);
                self.count(counts);
            }
            Order::TurnAway(on) => self.turns_away = on,
            Order::Busy(on) => self.busy = on,
            Order::Silence(on) => self.silence(on),
            Order::Dribble(on) => self.dribbles = on,
            Order::Antenna { id, connected } => {
                match connected {
                    true => self.device.disconnected.remove(&id),
                    false => self.device.disconnected.insert(id),
                };
                self.device.tell(8, now, answers::antenna(id, connected));
            }
            Order::Exception(text) => {
                let event = Draft::new("ReaderExceptionEvent").set("Message", text);
                self.device.tell(4, now, event);
            }
            Order::BufferFills(percent) => {
                let event = Draft::new("ReportBufferLevelWarningEvent");
                let event = event.set("ReportBufferPercentageFull", percent);
                self.device.tell(3, now, event);
            }
            Order::BufferOverflows => {
                let event = Draft::new("ReportBufferOverflowErrorEvent");
                self.device.notify(now, event);
            }
            Order::EndRospec => {
                if let Some(id) = self.device.active_id() {
                    self.device.end(id, now);
                }
            }
            Order::SetClock { by_us } => self.set_us += by_us,
            Order::Garbage(bytes) => self.write(&bytes).await,
            Order::Close => {
                self.device.notify(now, Draft::new("ConnectionCloseEvent"));
                self.flush().await;
                self.hang_up();
            }
            Order::Reset => {
                if let Some(client) = &self.client {
                    client.stream.set_zero_linger().ok();
                }
                self.hang_up();
            }
        }
        self.look();
        if !self.silent {
            self.flush().await;
        }
    }

    /// A reader that comes back to life knows nothing of its connection.
    fn silence(&mut self, on: bool) {
        self.silent = on;
        if !on {
            self.hang_up();
        }
    }

    /// What can be seen from outside.
    fn look(&mut self) {
        let device = &mut self.device;
        let refused = std::mem::take(&mut device.refused);
        let rospecs = device.rospecs.iter();
        let rospecs = rospecs.map(|(id, r)| (*id, r.state.name())).collect();
        let reading = device.reading();
        let (accessspecs, connected) = (device.accessspecs.len(), self.client.is_some());
        self.seen.send_modify(|seen| {
            seen.refused.extend(refused);
            seen.rospecs = rospecs;
            seen.reading = reading;
            seen.accessspecs = accessspecs;
            seen.connected = connected;
        });
    }
}

async fn dribble(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for drip in bytes.chunks(DRIP) {
        stream.write_all(drip).await?;
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
