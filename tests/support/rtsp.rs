//! A real RTSP server (`tests/trials/rtsp_server.py`), its bar codes, and a network that loses
//! packets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use image::RgbImage;

const PYTHON: &str = "/usr/bin/python3";
const CAN_SERVE: &str = "import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(Gst.ElementFactory.find(name) for name in ['x264enc', 'rtph264pay', 'jpegenc'])";

/// Whether the machine has what the server needs; says so where not.
pub(crate) fn available() -> bool {
    let tried = Command::new(PYTHON)
        .args(["-c", CAN_SERVE])
        .stderr(Stdio::null())
        .status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        println!(
            "skipped: no gst-rtsp-server (gir1.2-gst-rtsp-server-1.0 and GStreamer's plugins)"
        );
    }
    can
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(port: u16, arguments: &[&str]) -> Self {
        let mut child = Command::new(PYTHON)
            .arg("tests/trials/rtsp_server.py")
            .args(["--port", &port.to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "listening");
        Self { child, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/test", self.port)
    }

    /// As a power cut: SIGKILL.
    pub(crate) fn kill(&mut self) {
        // It is gone already, or now.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    pub(crate) fn change_size(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::USR1).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The counter of a picture; `Err` where any of its bands is damaged.
pub(crate) fn counter(image: &RgbImage) -> Result<u32, String> {
    let (width, height) = image.dimensions();
    let bands: Vec<_> = (0..4)
        .map(|band| {
            let y = height / 4 * band + height / 16;
            let bar = width / 24;
            let mut code = 0_u32;
            for bit in 0..24 {
                let bright = image.get_pixel(bit * bar + bar / 2, y).0[1] > 120;
                code |= u32::from(bright) << bit;
            }
            let counter = code >> 4;
            let mix = counter ^ counter >> 4 ^ counter >> 8 ^ counter >> 12 ^ counter >> 16;
            ((mix & 15 ^ 10) == code & 15).then_some(counter)
        })
        .collect();
    match bands.as_slice() {
        [Some(first), rest @ ..] if rest.iter().all(|band| *band == Some(*first)) => Ok(*first),
        _ => Err(format!("bands {bands:?}")),
    }
}

/// Stands between a camera and us: passes RTSP on and changes its UDP ports to its own, so that
/// packets go through it, of which it loses some.
pub(crate) struct LossyNetwork {
    address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) lost: AtomicU64,
    pub(crate) passed: AtomicU64,
    over: AtomicBool,
}

/// Two UDP ports, the first even (RFC 3550, section 11): RTP, RTCP.
type Pair = [Arc<UdpSocket>; 2];

impl LossyNetwork {
    /// Loses `per_mille` of the packets of RTP.
    pub(crate) fn start(server: u16, per_mille: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let network = Self {
            address: listener.local_addr().unwrap(),
            counts: Arc::default(),
        };
        let counts = network.counts.clone();
        spawn("network", move || {
            for client in listener.incoming().flatten() {
                if counts.over.load(Ordering::Relaxed) {
                    return;
                }
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                connect(client, server, &counts, per_mille);
            }
        });
        network
    }

    pub(crate) fn url(&self) -> String {
        format!("rtsp://{}/test", self.address)
    }
}

/// One connection: packets from the server go through ports of ours.
fn connect(client: TcpStream, server: TcpStream, counts: &Arc<Counts>, per_mille: u64) {
    let (from_server, to_client) = (pair(), pair());
    let port = |pair: &Pair| pair[0].local_addr().unwrap().port();
    let (request_port, response_port) = (port(&from_server), port(&to_client));
    // What the client asked for, once it has.
    let wanted = Arc::new(AtomicU16::new(0));
    for (half, (from, to)) in from_server.into_iter().zip(to_client).enumerate() {
        let (counts, wanted) = (counts.clone(), wanted.clone());
        let per_mille = if half == 0 { per_mille } else { 0 };
        spawn("packets", move || {
            packets(&from, per_mille, &counts, |packet| {
                let port = wanted.load(Ordering::Relaxed) + half as u16;
                to.send_to(packet, ("127.0.0.1", port)).ok();
            });
        });
    }
    let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let asked = wanted.clone();
    spawn("requests", move || {
        pass_on(up.0, up.1, |head| match port_of(head, "client_port=") {
            Some(port) => {
                asked.store(port, Ordering::Relaxed);
                with_ports(head, "client_port=", request_port)
            }
            None => head.to_owned(),
        });
    });
    spawn("responses", move || {
        pass_on(server, client, |head| match port_of(head, "server_port=") {
            Some(_) => {
                let head = with_ports(head, "client_port=", wanted.load(Ordering::Relaxed));
                with_ports(&head, "server_port=", response_port)
            }
            None => head.to_owned(),
        });
    });
}

fn packets(from: &UdpSocket, per_mille: u64, counts: &Counts, pass: impl Fn(&[u8])) {
    let mut chance = 7_u64;
    let mut packet = [0; 2048];
    while !counts.over.load(Ordering::Relaxed) {
        let Ok(count) = from.recv(&mut packet) else {
            continue;
        };
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        if (chance >> 33) % 1000 < per_mille {
            counts.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            counts.passed.fetch_add(1, Ordering::Relaxed);
            pass(&packet[..count]);
        }
    }
}

impl Drop for LossyNetwork {
    fn drop(&mut self) {
        self.counts.over.store(true, Ordering::Relaxed);
        // So that it comes back from its accept.
        TcpStream::connect(self.address).ok();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .unwrap();
}

fn pair() -> Pair {
    loop {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port % 2 == 1 {
            continue;
        }
        if let Ok(second) = UdpSocket::bind(("127.0.0.1", port + 1)) {
            return [first, second].map(|socket| {
                let time = Some(std::time::Duration::from_millis(200));
                socket.set_read_timeout(time).unwrap();
                Arc::new(socket)
            });
        }
    }
}

/// Passes RTSP messages on, their heads changed.
fn pass_on(from: TcpStream, mut to: TcpStream, change: impl Fn(&str) -> String) {
    let mut from = BufReader::new(from);
    while let Some((head, body)) = message(&mut from) {
        let message = [change(&head).as_bytes(), &body].concat();
        if to.write_all(&message).is_err() {
            return;
        }
    }
    to.shutdown(std::net::Shutdown::Both).ok();
}

fn message(from: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn port_of(head: &str, name: &str) -> Option<u16> {
    let (_, rest) = head.split_once(name)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn with_ports(head: &str, name: &str, port: u16) -> String {
    let Some((before, rest)) = head.split_once(name) else {
        return head.to_owned();
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
    format!("{before}{name}{port}-{}{rest}", port + 1)
}
