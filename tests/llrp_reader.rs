//! Stories of an LLRP reader and its client, over real sockets: what is read, what is told when
//! something is wrong, and how it comes back.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails by panicking"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use basketd::clock;
use basketd::link::outlet::{Outlet, Refused, Told};
use basketd::observation::SourceState;
use basketd::rfid::llrp::{Config, run};
use basketd::sim::device::llrp::{Clock, Control, Order, Reader, ReaderSetup, Refuses, Seen, Tag};
use basketd::units::Timestamp;
use basketd::wire::llrp::Version;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain: {what}"),
    }
}

/// A client under test, and what it tells.
struct Client {
    told: mpsc::Receiver<Told>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    log: Vec<Told>,
}

impl Client {
    fn start(config: Config) -> Self {
        let (tell, told) = mpsc::channel(4096);
        let outlet = Outlet::new(Arc::new(move |told| {
            tell.try_send(told).map_err(|error| match error {
                mpsc::error::TrySendError::Full(told) => Refused::Full(told),
                mpsc::error::TrySendError::Closed(_) => Refused::Gone,
            })
        }));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(config, outlet, stopped));
        Self {
            told,
            stop,
            task,
            log: Vec::new(),
        }
    }

    async fn next(&mut self) -> Told {
        let told = self.told.recv().await.expect("the client goes on");
        if !matches!(told, Told::Readings(_)) {
            self.log.push(told.clone());
        }
        told
    }

    /// Waits for a state whose reason has these words.
    async fn state(&mut self, wanted: SourceState, words: &str) -> String {
        let what = format!("{wanted:?} with `{words}`");
        let log = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Told::State { state, reason } = self.next().await
                    && state == wanted
                    && reason.contains(words)
                {
                    return reason;
                }
            }
        });
        let found = log.await;
        found.unwrap_or_else(|_| panic!("waited in vain: {what}; told was {:#?}", self.log))
    }

    /// The next reads, at least so many.
    async fn reads(&mut self, count: usize) -> Vec<(Timestamp, Value)> {
        let mut reads = Vec::new();
        in_time("reads", async {
            while reads.len() < count {
                if let Told::Readings(readings) = self.next().await {
                    let each = readings.iter();
                    reads
                        .extend(each.map(|(at, json)| (at, serde_json::from_slice(json).unwrap())));
                }
            }
        })
        .await;
        reads
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        in_time("the client's end", self.task).await.unwrap();
    }
}

fn config(at: SocketAddr) -> Config {
    Config {
        host: at.ip().to_string(),
        port: at.port(),
        antennas: BTreeMap::from([(1, None), (2, Some(2310))]),
        session: 1,
        rf_mode: None,
        report_every: 1,
        keepalive_s: 1,
    }
}

fn tag(n: u8, antenna: u16) -> Tag {
    Tag {
        epc: vec![0x30, 0x20, 0x4E, 0xD9, 0x49, 0x63, 0x34, 0, 0, 0, 0, n],
        antenna,
        rssi_cdbm: -5025,
        noise_cdb: 150,
    }
}

fn setup() -> ReaderSetup {
    ReaderSetup {
        tags: vec![tag(1, 1), tag(2, 2), tag(3, 3)],
        ..ReaderSetup::default()
    }
}

/// A simulated reader; it ends with the sender.
async fn reader(setup: ReaderSetup) -> (SocketAddr, Control, watch::Sender<bool>) {
    let (stop, stopped) = watch::channel(false);
    let (at, control) = Reader::start(setup, "127.0.0.1:0", stopped).await.unwrap();
    (at, control, stop)
}

async fn until(control: &mut Control, what: &str, so: impl FnMut(&Seen) -> bool) -> Seen {
    in_time(what, control.until(so))
        .await
        .expect("the reader goes on")
}

fn antennas(reads: &[(Timestamp, Value)]) -> Vec<u64> {
    let mut antennas: Vec<u64> = reads
        .iter()
        .map(|(_, read)| read["antenna"].as_u64().unwrap())
        .collect();
    antennas.sort_unstable();
    antennas.dedup();
    antennas
}

#[tokio::test]
async fn it_reads_as_it_is_told_to_and_leaves_nothing_behind() {
    let (at, mut control, _stop) = reader(setup()).await;
    let mut client = Client::start(config(at));
    let text = client.state(SourceState::Online, "").await;
    assert_eq!(
        text,
        "Zebra or Motorola, model 96, firmware 1.2.3: antenna 1 at 30.00 dBm, antenna 2 at \
         23.00 dBm, session 1"
    );
    let reads = client.reads(40).await;
    assert_eq!(antennas(&reads), [1, 2]);
    for (_, read) in &reads {
        let rssi = read["rssi_dbm"].as_f64().unwrap();
        assert!(
            (-60.0..-40.0).contains(&rssi) && rssi.fract() == 0.0,
            "{read}"
        );
        let khz = read["frequency_khz"].as_u64().unwrap();
        assert!(
            [865_700, 866_300, 866_900, 867_500].contains(&khz),
            "{read}"
        );
        assert!(
            read["epc"]
                .as_str()
                .unwrap()
                .starts_with("30204ED94963340000000")
        );
    }
    let seen = control.seen();
    let reading = seen.reading.unwrap();
    assert_eq!(reading.antennas, [1, 2]);
    // 30 dBm is the last of the table's 81 levels; 23.10 dBm is between the 53rd and the 54th.
    assert_eq!(reading.power, [(1, 81), (2, 53)]);
    assert_eq!((reading.session, reading.rf_mode), (Some(1), None));
    assert_eq!(reading.tags_per_report, 1);
    assert_eq!(seen.refused, [""; 0]);
    // It keeps answering to signs of life.
    until(&mut control, "keepalives", |seen| seen.keepalive_acks >= 2).await;
    client.stop().await;
    let seen = until(&mut control, "the client is gone", |seen| !seen.connected).await;
    assert_eq!(seen.rospecs, []);
    let last = ["STOP_ROSPEC", "DELETE_ROSPEC", "CLOSE_CONNECTION"];
    assert!(seen.requests.ends_with(&last), "{:?}", seen.requests);
}

#[tokio::test]
async fn an_impinj_reader_tells_more() {
    let impinj = ReaderSetup {
        impinj: true,
        hopping: true,
        channels_khz: (0..50).map(|n| 902_750 + n * 500).collect(),
        ..setup()
    };
    let (at, control, _stop) = reader(impinj).await;
    let mut wanted = config(at);
    wanted.rf_mode = Some(1002);
    let mut client = Client::start(wanted);
    client
        .state(SourceState::Online, "Impinj, model 2001002")
        .await;
    let reads = client.reads(20).await;
    for (_, read) in &reads {
        assert!((0.0..360.0).contains(&read["phase_deg"].as_f64().unwrap()));
        assert!((-10.0..=10.0).contains(&read["doppler_hz"].as_f64().unwrap()));
        assert!((902_750..=927_250).contains(&read["frequency_khz"].as_u64().unwrap()));
    }
    // Hundredths of dBm.
    let fine = |read: &Value| read["rssi_dbm"].as_f64().unwrap().fract() != 0.0;
    assert!(reads.iter().any(|(_, read)| fine(read)));
    let seen = control.seen();
    assert!(seen.reading.clone().unwrap().impinj);
    assert_eq!(seen.reading.unwrap().rf_mode, Some(1002));
    assert_eq!(seen.refused, [""; 0]);
    client.stop().await;
}

#[tokio::test]
async fn a_reader_that_falls_silent_is_offline_and_comes_back() {
    let (at, control, _stop) = reader(setup()).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    client.reads(3).await;
    control.order(Order::Silence(true)).await;
    let reason = client.state(SourceState::Offline, "no word for 2 s").await;
    assert!(reason.starts_with(&format!("{at}: ")), "{reason}");
    control.order(Order::Silence(false)).await;
    client.state(SourceState::Online, "").await;
    client.reads(3).await;
    client.stop().await;
}

#[tokio::test]
async fn a_reader_without_tags_is_online() {
    let quiet = ReaderSetup {
        tags: Vec::new(),
        ..setup()
    };
    let (at, mut control, _stop) = reader(quiet).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    until(&mut control, "signs of life", |s| s.keepalive_acks >= 4).await;
    assert_eq!(control.seen().connections, 1);
    assert!(client.told.try_recv().is_err(), "nothing else is told");
    client.stop().await;
}

#[tokio::test]
async fn a_reader_that_is_switched_off_and_on() {
    let (at, _, stop) = reader(setup()).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    stop.send_replace(true);
    client
        .state(SourceState::Offline, "closed the connection")
        .await;
    client
        .state(SourceState::Offline, "nothing listens at this port")
        .await;
    let (_stop, stopped) = watch::channel(false);
    let again = Reader::start(setup(), &at.to_string(), stopped).await;
    let (_, control) = again.unwrap();
    client.state(SourceState::Online, "").await;
    client.reads(3).await;
    assert_eq!(control.seen().connections, 1);
    client.stop().await;
}

#[tokio::test]
async fn what_another_client_left_running_is_cleared_away() {
    let left = ReaderSetup {
        left_running: true,
        ..setup()
    };
    let (at, control, _stop) = reader(left).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    let reads = client.reads(40).await;
    assert_eq!(antennas(&reads), [1, 2], "antenna 3 was the other's");
    let seen = control.seen();
    assert_eq!((seen.rospecs, seen.accessspecs), (vec![(1, "Active")], 0));
    client.stop().await;
}

#[tokio::test]
async fn a_reader_that_holds_what_it_has_until_it_is_asked() {
    let holding = ReaderSetup {
        holds: true,
        ..setup()
    };
    let (at, control, _stop) = reader(holding).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    client.reads(5).await;
    assert_eq!(control.seen().refused, [""; 0]);
    client.stop().await;
}

#[tokio::test]
async fn two_boxes_at_one_reader() {
    let (at, _control, _stop) = reader(setup()).await;
    let mut first = Client::start(config(at));
    first.state(SourceState::Online, "").await;
    let mut second = Client::start(config(at));
    let reason = second
        .state(SourceState::Offline, "another client holds this reader")
        .await;
    assert!(reason.contains("second box or a vendor tool"), "{reason}");
    // The first hears of it, and reads on.
    first
        .state(SourceState::Degraded, "another client tried to connect")
        .await;
    first.reads(5).await;
    first.stop().await;
    second.state(SourceState::Online, "").await;
    second.stop().await;
}

#[tokio::test]
async fn a_reader_that_turns_connections_away() {
    let (at, control, _stop) = reader(setup()).await;
    control.order(Order::TurnAway(true)).await;
    let mut client = Client::start(config(at));
    client
        .state(SourceState::Offline, "closed at once, without a word")
        .await;
    control.order(Order::TurnAway(false)).await;
    control.order(Order::Busy(true)).await;
    client
        .state(SourceState::Offline, "another client holds this reader")
        .await;
    control.order(Order::Busy(false)).await;
    client.state(SourceState::Online, "").await;
    // It closes while it reads, politely and not.
    control.order(Order::Close).await;
    client
        .state(SourceState::Offline, "the reader closed the connection")
        .await;
    client.state(SourceState::Online, "").await;
    control.order(Order::Reset).await;
    client
        .state(SourceState::Offline, "the reader closed the connection")
        .await;
    client.state(SourceState::Online, "").await;
    client.stop().await;
}

#[tokio::test]
async fn what_a_reader_refuses_is_told_and_the_rest_is_done() {
    let stubborn = ReaderSetup {
        impinj: true,
        refuses: vec![
            Refuses::RfMode,
            Refuses::Session,
            Refuses::Power,
            Refuses::ImpinjExtensions,
            Refuses::Holding,
        ],
        ..setup()
    };
    let (at, control, _stop) = reader(stubborn).await;
    let mut wanted = config(at);
    wanted.rf_mode = Some(2);
    let mut client = Client::start(wanted);
    let reason = client.state(SourceState::Degraded, "").await;
    for words in [
        "it refuses Impinj's extensions (IMPINJ_ENABLE_EXTENSIONS: M_UnsupportedMessage",
        "it refuses RF mode 2 (ADD_ROSPEC: M_ParameterError (100), \"mode 2 is not supported here\"",
        "in C1G2RFControl: P_FieldError (201), field 0: A_OutOfRange (301)",
        "it refuses session 1 (ADD_ROSPEC: M_FieldError (101), \"C1G2SingulationControl: Session",
        "it refuses the antennas' power (ADD_ROSPEC: M_ParameterError (100)",
    ] {
        assert!(reason.contains(words), "{words} in {reason}");
    }
    assert_eq!(antennas(&client.reads(20).await), [1, 2]);
    let reading = control.seen().reading.unwrap();
    assert_eq!((reading.session, reading.rf_mode), (None, None));
    assert_eq!(reading.power, []);
    client.stop().await;
}

#[tokio::test]
async fn wishes_that_the_reader_has_no_means_for() {
    let (at, control, _stop) = reader(setup()).await;
    let mut wanted = config(at);
    wanted.antennas = BTreeMap::from([(2, Some(500)), (5, None), (9, None)]);
    wanted.rf_mode = Some(77);
    let mut client = Client::start(wanted.clone());
    let reason = client.state(SourceState::Degraded, "").await;
    let expected = "it has no antenna 5, 9; it has 4; antenna 2: 5.00 dBm is below its lowest power, \
                    10.00 dBm; it has no RF mode 77, only 0, 1, 2, 3, 1002; its own choice is used";
    assert_eq!(reason, expected);
    assert_eq!(control.seen().reading.unwrap().power, [(2, 1)]);
    client.stop().await;
    wanted.antennas = BTreeMap::from([(5, None), (9, None)]);
    let mut client = Client::start(wanted);
    let none = "it has no antenna of those that are asked for: 5, 9";
    client.state(SourceState::Offline, none).await;
    client.stop().await;
}

#[tokio::test]
async fn a_cable_that_comes_off_and_on() {
    let (at, control, _stop) = reader(setup()).await;
    // One of its antennas is off from the beginning.
    let off = |id, connected| Order::Antenna { id, connected };
    control.order(off(1, false)).await;
    control.order(off(4, false)).await;
    let mut client = Client::start(config(at));
    let one = "antenna 1 disconnected; look at its cable";
    client.state(SourceState::Degraded, one).await;
    assert_eq!(antennas(&client.reads(10).await), [2]);
    control.order(off(2, false)).await;
    client
        .state(SourceState::Degraded, "antenna 1, 2 disconnected")
        .await;
    control.order(off(1, true)).await;
    client
        .state(SourceState::Degraded, "antenna 2 disconnected")
        .await;
    control.order(off(2, true)).await;
    client.state(SourceState::Online, "").await;
    client.stop().await;
}

#[tokio::test]
async fn what_a_reader_complains_of_is_passed_on() {
    let (at, mut control, _stop) = reader(setup()).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    control.order(Order::Exception("too hot".to_owned())).await;
    client
        .state(SourceState::Degraded, "it tells of a fault: \"too hot\"")
        .await;
    control.order(Order::BufferFills(90)).await;
    client
        .state(SourceState::Degraded, "report buffer is 90 % full")
        .await;
    control.order(Order::BufferOverflows).await;
    client
        .state(SourceState::Degraded, "report buffer overflowed")
        .await;
    let lost = |told: &Told| matches!(told, Told::Lost { lost: 1, .. });
    assert!(client.log.iter().any(lost), "{:?}", client.log);
    // Somebody ends its ROSpec; it reads on.
    control.order(Order::EndRospec).await;
    client
        .state(
            SourceState::Degraded,
            "its ROSpec had ended, and was started anew",
        )
        .await;
    client.reads(5).await;
    let active = |seen: &Seen| seen.rospecs == [(1, "Active")];
    until(&mut control, "a ROSpec that is active", active).await;
    client.stop().await;
}

#[tokio::test]
async fn garbage_in_the_stream() {
    let (at, control, _stop) = reader(setup()).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    // A report that is whole and says nothing that is LLRP, then the stream out of step.
    let mut report = vec![4, 61, 0, 0, 0, 20, 0, 0, 0, 1];
    report.extend([0, 240, 0, 10, 0, 241, 0, 99, 1, 2]);
    control.order(Order::Garbage(report)).await;
    in_time("the loss", async {
        while !matches!(client.next().await, Told::Lost { lost: 1, .. }) {}
    })
    .await;
    client.reads(3).await;
    control.order(Order::Garbage(vec![0xFF; 99])).await;
    client.state(SourceState::Offline, "this is no LLRP").await;
    client.state(SourceState::Online, "").await;
    client.stop().await;
}

#[tokio::test]
async fn a_line_that_dribbles() {
    let (at, control, _stop) = reader(setup()).await;
    control.order(Order::Dribble(true)).await;
    control.order(Order::Rate(20.0)).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    assert_eq!(antennas(&client.reads(10).await), [1, 2]);
    client.stop().await;
}

/// Reads of a reader with this clock, and when the box had them.
async fn timed(clock: Clock, omits: bool) -> Vec<(i64, i64)> {
    let timed = ReaderSetup {
        clock,
        drift_ppm: 40,
        omits,
        reads_per_s: 200.0,
        ..setup()
    };
    let (at, _control, _stop) = reader(timed).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    let mut reads = Vec::new();
    while reads.len() < 100 {
        let batch = client.reads(1).await;
        let now = clock::wall();
        let each = batch
            .iter()
            .map(|(at, _)| (at.as_micros(), now.as_micros()));
        reads.extend(each);
    }
    client.stop().await;
    reads
}

#[tokio::test]
async fn reads_are_timed_by_the_box_whatever_the_readers_clock_says() {
    let clocks = [
        Clock::Uptime {
            since_us: 86_400_000_000,
        },
        Clock::Uptime { since_us: 1 },
        Clock::Utc {
            ahead_us: 3_600_000_000,
        },
        Clock::Utc {
            ahead_us: -7_200_000_000,
        },
    ];
    for clock in clocks {
        let reads = timed(clock, false).await;
        // Never later than the box had it; the rest is what this machine's load makes of it.
        assert!(
            reads.iter().all(|(captured, had)| captured <= had),
            "{clock:?}"
        );
        let mut late: Vec<i64> = reads.iter().map(|(captured, had)| had - captured).collect();
        late.sort_unstable();
        assert!(late[late.len() / 2] < 20_000, "{clock:?}: {late:?}");
    }
}

#[tokio::test]
async fn what_is_left_out_is_as_before() {
    let omitting = ReaderSetup {
        omits: true,
        tags: vec![tag(1, 1), tag(2, 1), tag(3, 2)],
        reads_per_s: 500.0,
        ..setup()
    };
    let (at, control, _stop) = reader(omitting).await;
    let mut wanted = config(at);
    wanted.report_every = 10;
    let mut client = Client::start(wanted);
    client.state(SourceState::Online, "").await;
    for (_, read) in client.reads(100).await {
        let epc = read["epc"].as_str().unwrap();
        let antenna = if epc.ends_with("03") { 2 } else { 1 };
        assert_eq!(read["antenna"], antenna, "{read}");
        assert!(read["frequency_khz"].is_u64());
    }
    assert_eq!(control.seen().reading.unwrap().tags_per_report, 10);
    client.stop().await;
}

#[tokio::test]
async fn a_report_that_does_not_fill_is_fetched() {
    let slow = ReaderSetup {
        reads_per_s: 20.0,
        ..setup()
    };
    let (at, mut control, _stop) = reader(slow.clone()).await;
    let mut wanted = config(at);
    wanted.report_every = 1000;
    let mut client = Client::start(wanted.clone());
    client.state(SourceState::Online, "").await;
    client.reads(10).await;
    until(&mut control, "fetching", |s| {
        s.requests.ends_with(&["GET_REPORT"; 3])
    })
    .await;
    client.stop().await;
    // One that cannot be asked says so.
    let refusing = ReaderSetup {
        refuses: vec![Refuses::GetReport],
        ..slow
    };
    let (at, _control, _stop) = reader(refusing).await;
    wanted.port = at.port();
    let mut client = Client::start(wanted);
    client
        .state(SourceState::Degraded, "it refuses GET_REPORT")
        .await;
    client.stop().await;
}

#[tokio::test]
async fn a_reader_that_speaks_only_the_newer_version() {
    let newer = ReaderSetup {
        version: Version::V1_1,
        ..setup()
    };
    let (at, control, _stop) = reader(newer).await;
    let mut client = Client::start(config(at));
    client.state(SourceState::Online, "").await;
    client.reads(5).await;
    assert!(control.seen().requests.contains(&"SET_PROTOCOL_VERSION"));
    client.stop().await;
}

#[tokio::test]
async fn a_port_at_which_something_else_listens() {
    let web: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let ssh: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";
    let tls: &[u8] = &[0x15, 3, 1, 0, 2, 2, 10];
    // The first waits until it is asked, the others speak at once.
    for (banner, waits, words) in [
        (web, true, "this is no LLRP but HTTP: `HTTP/1.1 400 Bad"),
        (ssh, false, "this is no LLRP but SSH"),
        (tls, false, "this is no LLRP but TLS"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let mut client = Client::start(config(at));
        let (mut stream, _) = in_time("a connection", listener.accept()).await.unwrap();
        if waits {
            let mut asked = [0; 64];
            in_time("a request", stream.read(&mut asked)).await.unwrap();
        }
        stream.write_all(banner).await.unwrap();
        client.state(SourceState::Offline, words).await;
        client.stop().await;
    }
}

#[tokio::test]
async fn a_host_that_nobody_knows() {
    let mut wanted = config("127.0.0.1:1".parse().unwrap());
    wanted.host = "no-such-reader.invalid".to_owned();
    let mut client = Client::start(wanted);
    client
        .state(SourceState::Offline, "no device of this name")
        .await;
    client.stop().await;
}
