//! Cameras over RTSP (`retina`): H.264 or JPEG over RTP, within the connection or over UDP.
//!
//! A task reads the network, so that nothing waits for the decoder; the camera's thread decodes.
//! Between them is a queue of access units. Where the decoder is too slow for the stream, the queue
//! is cut at a key frame, and what was cut is a loss like any other.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use futures_util::StreamExt as _;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions, Stream,
    TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, VideoFrame};
use retina::rtcp::{ReceivedCompoundPacket, TypedPacketRef};
use tokio::task::JoinHandle;
use url::Url;

use super::capture_time::CaptureTime;
use super::h264::H264;
use super::source::{Loss, Pixels, Source, Trouble, View, WAIT};
use super::supervisor::Stop;
use super::{Config, Transport};
use crate::clock;
use crate::units::{TimeDelta, Timestamp};
use crate::wire::jpeg;

/// From connecting to the answer to PLAY.
const PLAY_TIMEOUT: Duration = Duration::from_secs(8);
/// Access units that wait for the decoder: two seconds, about.
const QUEUE: usize = 64;

pub(super) struct Rtsp {
    items: Receiver<Item>,
    network: JoinHandle<()>,
    codec: Codec,
    time: CaptureTime,
    transport: Transport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    H264,
    Jpeg,
}

enum Codec {
    H264(Box<H264>),
    Jpeg,
}

/// What the network task tells.
enum Item {
    Unit(Unit),
    /// A sender report: the stream's time, the camera's clock.
    Report(TimeDelta, Timestamp),
    Over(Trouble),
}

struct Unit {
    bytes: Vec<u8>,
    time: TimeDelta,
    arrival: Timestamp,
    /// Packets before it that were lost on the network, and access units cut from the queue.
    lost: u64,
    cut: u64,
}

impl Rtsp {
    pub(super) fn open(url: &str, config: &Config, stop: &mut Stop) -> Result<Self, Trouble> {
        // The timer must be made within the runtime.
        let played = async { tokio::time::timeout(PLAY_TIMEOUT, play(url, config)).await };
        let played = stop.block_on(played);
        let played = played.ok_or_else(|| Trouble::broken("stopped"))?;
        let (demuxed, encoding) = played.unwrap_or_else(|_| {
            let s = PLAY_TIMEOUT.as_secs();
            Err(Trouble::unreachable(format!(
                "no answer in {s} s: is it powered, in this network, and RTSP switched on?"
            )))
        })?;
        let (tell, items) = sync_channel(QUEUE);
        Ok(Self {
            items,
            network: stop.handle().spawn(
                Network {
                    tell,
                    lost: 0,
                    cut: 0,
                }
                .run(demuxed),
            ),
            codec: match encoding {
                Encoding::H264 => Codec::H264(Box::default()),
                Encoding::Jpeg => Codec::Jpeg,
            },
            time: CaptureTime::default(),
            transport: config.transport,
        })
    }

    fn unit(&mut self, unit: Unit, eye: &mut dyn FnMut(View<'_>)) -> Result<u64, Trouble> {
        self.time.arrived(unit.time, unit.arrival);
        let (clock, arrival) = (&self.time, unit.arrival);
        let captured_at = |time| clock.at(time).unwrap_or(arrival);
        match &mut self.codec {
            Codec::Jpeg => {
                let lost = unit.cut + u64::from(unit.lost > 0);
                let Ok(picture) = jpeg::check(&unit.bytes) else {
                    return Ok(lost + 1);
                };
                eye(View {
                    captured_at: captured_at(unit.time),
                    pixels: Pixels::Jpeg(&jpeg::with_tables(&picture, &unit.bytes)),
                    fresh: true,
                });
                Ok(lost)
            }
            Codec::H264(h264) => {
                let mut lost = 0;
                if unit.lost > 0 || unit.cut > 0 {
                    // Lost packets belong to one picture at the least.
                    lost = unit.cut.max(1);
                    h264.broke();
                }
                h264.unit(&unit.bytes, unit.time, &mut |yuv, time, key| {
                    eye(View {
                        captured_at: captured_at(time),
                        pixels: Pixels::Yuv(yuv),
                        fresh: key,
                    });
                })?;
                Ok(lost + h264.take_lost())
            }
        }
    }
}

impl Source for Rtsp {
    fn look(&mut self, eye: &mut dyn FnMut(View<'_>)) -> Result<Option<Loss>, Trouble> {
        let pictures = match self.items.recv_timeout(WAIT) {
            Ok(Item::Unit(unit)) => self.unit(unit, eye)?,
            Ok(Item::Report(time, wall)) => {
                self.time.report(time, wall);
                0
            }
            Ok(Item::Over(trouble)) => return Err(trouble),
            Err(RecvTimeoutError::Timeout) => 0,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Trouble::broken(
                    "its stream broke the RTSP client (see the log)",
                ));
            }
        };
        let reason = "parts of its stream were lost; skipped to the next key frame".to_owned();
        Ok((pictures > 0).then_some(Loss { pictures, reason }))
    }

    fn hint(&self) -> &'static str {
        match self.transport {
            Transport::Tcp => "",
            Transport::Udp => " (a firewall may stop UDP: try `transport = \"tcp\"`)",
        }
    }
}

impl Drop for Rtsp {
    fn drop(&mut self) {
        // Its connection is closed on the runtime, with a TEARDOWN.
        self.network.abort();
    }
}

/// DESCRIBE, SETUP, PLAY.
async fn play(url: &str, config: &Config) -> Result<(Demuxed, Encoding), Trouble> {
    let url = Url::parse(url).map_err(|error| Trouble::refused(format!("no address: {error}")))?;
    let creds = config.login.as_ref().map(|(user, password)| Credentials {
        username: user.clone(),
        password: password.reveal().to_owned(),
    });
    let user = config.login.as_ref().map(|(user, _)| user.as_str());
    let explain = |error: &retina::Error| trouble(error, user);
    let options = SessionOptions::default()
        .creds(creds)
        .user_agent("basketd".to_owned());
    let mut session = Session::describe(url, options)
        .await
        .map_err(|e| explain(&e))?;
    let (stream, encoding) = choose(session.streams())?;
    let transport = match config.transport {
        Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
        Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
    };
    let setup = SetupOptions::default()
        .transport(transport)
        .frame_format(FrameFormat::SIMPLE);
    session
        .setup(stream, setup)
        .await
        .map_err(|e| explain(&e))?;
    let playing = session.play(PlayOptions::default()).await;
    let demuxed = playing
        .and_then(Session::demuxed)
        .map_err(|e| explain(&e))?;
    Ok((demuxed, encoding))
}

/// The first stream of pictures that can be decoded. The error says what there is.
fn choose(streams: &[Stream]) -> Result<(usize, Encoding), Trouble> {
    let videos = || {
        streams
            .iter()
            .enumerate()
            .filter(|(_, s)| s.media() == "video")
    };
    let found = videos().find_map(|(at, stream)| match stream.encoding_name() {
        "h264" => Some((at, Encoding::H264)),
        "jpeg" => Some((at, Encoding::Jpeg)),
        _ => None,
    });
    found.ok_or_else(|| {
        let names: Vec<_> = videos()
            .map(|(_, s)| s.encoding_name().to_ascii_uppercase())
            .collect();
        Trouble::refused(match names.as_slice() {
            [] => "it offers no video here: look for the path of its stream".to_owned(),
            names => format!(
                "it offers {}, and H.264 is needed: set its video encoding to H.264, or use a \
                 substream that has it",
                names.join(" and ")
            ),
        })
    })
}

/// Reads the network until it ends or nobody listens.
struct Network {
    tell: SyncSender<Item>,
    lost: u64,
    /// Access units cut since the last that was told; while it is not zero, a key frame is waited
    /// for.
    cut: u64,
}

impl Network {
    async fn run(mut self, mut demuxed: Demuxed) {
        loop {
            let told = match demuxed.next().await {
                Some(Ok(CodecItem::VideoFrame(frame))) => self.frame(frame),
                Some(Ok(CodecItem::Rtcp(packet))) => self.report(&packet),
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => return self.over(trouble(&error, None)).await,
                None => {
                    return self
                        .over(Trouble::broken("the camera ended its stream"))
                        .await;
                }
            };
            if told.is_err() {
                return;
            }
        }
    }

    fn frame(&mut self, frame: VideoFrame) -> Result<(), Deaf> {
        self.lost += u64::from(frame.loss());
        if self.cut > 0 && !frame.is_random_access_point() {
            self.cut += 1;
            return Ok(());
        }
        let unit = Unit {
            time: micros(frame.timestamp()),
            arrival: clock::wall(),
            lost: self.lost,
            cut: self.cut,
            bytes: frame.into_data(),
        };
        match self.tell.try_send(Item::Unit(unit)) {
            Ok(()) => (self.lost, self.cut) = (0, 0),
            Err(TrySendError::Full(_)) => self.cut += 1,
            Err(TrySendError::Disconnected(_)) => return Err(Deaf),
        }
        Ok(())
    }

    fn report(&self, packet: &ReceivedCompoundPacket) -> Result<(), Deaf> {
        let Some(time) = packet.rtp_timestamp() else {
            return Ok(());
        };
        let reports = packet
            .pkts()
            .filter_map(|packet| packet.as_typed().ok().flatten());
        for report in reports {
            let TypedPacketRef::SenderReport(report) = report else {
                continue;
            };
            let report = Item::Report(micros(time), wall(report.ntp_timestamp()));
            if let Err(TrySendError::Disconnected(_)) = self.tell.try_send(report) {
                return Err(Deaf);
            }
        }
        Ok(())
    }

    /// The end must arrive; the queue empties meanwhile, or nobody listens any more.
    async fn over(&self, trouble: Trouble) {
        let mut item = Item::Over(trouble);
        while let Err(TrySendError::Full(refused)) = self.tell.try_send(item) {
            item = refused;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Nobody listens any more.
struct Deaf;

/// Time in the stream.
fn micros(timestamp: retina::Timestamp) -> TimeDelta {
    let rate = i128::from(timestamp.clock_rate().get());
    let us = i128::from(timestamp.elapsed()) * 1_000_000 / rate;
    TimeDelta::from_micros(i64::try_from(us).unwrap_or(0))
}

/// NTP counts from 1900, in fractions of 2^32 (RFC 5905, section 6).
fn wall(ntp: retina::NtpTimestamp) -> Timestamp {
    let since_1970 = i128::from(ntp.0) - i128::from(retina::UNIX_EPOCH.0);
    let us = (since_1970 * 1_000_000) >> 32;
    Timestamp::from_micros(i64::try_from(us).unwrap_or(0))
}

/// The library's first line names method and status; the rest is for its authors.
fn trouble(error: &retina::Error, user: Option<&str>) -> Trouble {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    match (error.status_code(), user) {
        (Some(401), Some(user)) => Trouble::login(format!(
            "it does not take the user `{user}` with this password (401)"
        )),
        (Some(401), None) => {
            Trouble::login("it asks for a login: set `username` and `password_file` (401)")
        }
        (Some(403), _) => {
            Trouble::refused("it forbids it (403): the user lacks the right to watch")
        }
        (Some(404), _) => Trouble::refused("it knows no such path (404): see its manual"),
        (Some(461), _) => {
            Trouble::refused("it does not know this transport (461): set the other, tcp or udp")
        }
        (Some(453 | 500..=599), _) => {
            Trouble::broken(format!("it fails, too many viewers perhaps: {line}"))
        }
        (Some(_), _) => Trouble::refused(line.to_owned()),
        (None, _) if text.starts_with("Unable to connect") => Trouble::unreachable(format!(
            "{line}: is it powered, in this network, and RTSP switched on?"
        )),
        (None, _) => Trouble::broken(format!("the connection broke off: {line}")),
    }
}
