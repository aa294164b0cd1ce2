//! A network camera over HTTP: Motion JPEG at `/stream`, a snapshot at `/snapshot`. It can ask for
//! a login (digest with SHA-256, RFC 7616), freeze, go black, change its size, fall silent and die.
//!
//! Pictures are drawn and encoded before it starts, each with noise of its own, as a sensor's are.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Error, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use sha2::{Digest as _, Sha256};

const REALM: &str = "basketd camera";
/// Connections at once; a camera has no more either.
const CONNECTIONS_MAX: usize = 16;
const REQUEST_MAX: u64 = 16 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);
const BOUNDARY: &str = "picture";
/// Pictures that are drawn before it starts.
const DRAWN: usize = 20;

#[derive(Debug, Clone)]
pub struct Options {
    pub address: SocketAddr,
    pub fps: f64,
    pub width: u32,
    pub height: u32,
    /// User and password that are asked for.
    pub login: Option<(String, String)>,
    /// Whether parts tell their Content-Length.
    pub lengths: bool,
    /// Pictures to show instead of drawn ones: JPEGs.
    pub pictures: Vec<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            fps: 10.0,
            width: 320,
            height: 240,
            login: None,
            lengths: true,
            pictures: Vec::new(),
        }
    }
}

/// A running camera; dropping it switches it off.
#[derive(Debug)]
pub struct Camera {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    reels: Mutex<Reels>,
    /// Set by [`Camera::die`].
    off: AtomicBool,
    frozen: AtomicBool,
    black: AtomicBool,
    silent: AtomicBool,
    connections: AtomicUsize,
    served: AtomicUsize,
    refused: AtomicUsize,
}

#[derive(Debug)]
struct Reels {
    pictures: Vec<Vec<u8>>,
    black: Vec<Vec<u8>>,
}

impl Camera {
    /// Begins to listen; `Err` where the address is taken.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let listener = TcpListener::bind(options.address)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let reels = Reels::draw(&options, options.width, options.height);
        let shared = Arc::new(Shared {
            options,
            reels: Mutex::new(reels),
            off: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
            black: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        });
        let listen = {
            let shared = Arc::clone(&shared);
            move || shared.listen(&listener)
        };
        let name = format!("sim camera {}", address.port());
        let listening = std::thread::Builder::new().name(name).spawn(listen)?;
        Ok(Self {
            address,
            shared,
            listening: Some(listening),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn stream_url(&self) -> String {
        format!("http://{}/stream", self.address)
    }

    pub fn snapshot_url(&self) -> String {
        format!("http://{}/snapshot", self.address)
    }

    /// The same picture again and again, to the last bit.
    pub fn freeze(&self, frozen: bool) {
        self.shared.frozen.store(frozen, Ordering::Relaxed);
    }

    /// Somebody holds a hand before the lens; the sensor's noise remains.
    pub fn black(&self, black: bool) {
        self.shared.black.store(black, Ordering::Relaxed);
    }

    /// Connections stay open, and no picture comes.
    pub fn silence(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::Relaxed);
    }

    /// From now on pictures of another size.
    pub fn resize(&self, width: u32, height: u32) {
        let reels = Reels::draw(&self.shared.options, width, height);
        *self.shared.reels() = reels;
    }

    /// From now on this picture, a JPEG.
    pub fn show(&self, picture: Vec<u8>) {
        self.shared.reels().pictures = vec![picture];
    }

    /// Pictures sent so far, in all connections.
    pub fn served(&self) -> usize {
        self.shared.served.load(Ordering::Relaxed)
    }

    /// Requests refused for want of a login.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Its power is cut: the port closes, and every connection breaks off.
    pub fn die(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.off.store(true, Ordering::Relaxed);
        if let Some(listening) = self.listening.take()
            && listening.join().is_err()
        {
            tracing::error!("the simulated camera {} panicked", self.address);
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.end();
    }
}

impl Reels {
    fn draw(options: &Options, width: u32, height: u32) -> Self {
        let pictures = match options.pictures.as_slice() {
            [] => (0..DRAWN).map(|n| draw(width, height, n, false)).collect(),
            pictures => pictures.to_vec(),
        };
        let black = (0..DRAWN).map(|n| draw(width, height, n, true));
        Self {
            pictures,
            black: black.collect(),
        }
    }
}

/// Shelves, a floor, somebody who walks by, and noise.
fn draw(width: u32, height: u32, n: usize, black: bool) -> Vec<u8> {
    let mut chance = n as u32 * 7919 + 1;
    let person = width * n as u32 / DRAWN as u32;
    let image = RgbImage::from_fn(width.max(1), height.max(1), |x, y| {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (chance >> 28) as u8;
        let bright = match () {
            () if black => return Rgb([noise / 4; 3]),
            () if x.abs_diff(person) < width / 16 && y > height / 4 => [40, 50, 110],
            () if y > height * 3 / 4 => [110, 100, 90],
            () => [
                90 + (x / 12 % 5) as u8 * 25,
                120,
                80 + (y / 20 % 4) as u8 * 30,
            ],
        };
        Rgb(bright.map(|value: u8| value.saturating_add(noise)))
    });
    let mut bytes = Vec::new();
    if let Err(error) = JpegEncoder::new_with_quality(&mut bytes, 80).encode_image(&image) {
        tracing::error!(%error, "a picture of {width} x {height} cannot be encoded");
    }
    bytes
}

impl Shared {
    fn reels(&self) -> std::sync::MutexGuard<'_, Reels> {
        self.reels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        while !self.is_off() {
            match listener.accept() {
                Ok((stream, _)) => self.accept(stream),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn accept(self: &Arc<Self>, stream: TcpStream) {
        if self.connections.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
            return;
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(self);
        let serve = move || {
            if let Err(error) = shared.serve(&stream) {
                tracing::debug!(%error, "a viewer of the simulated camera is gone");
            }
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        };
        let spawned = std::thread::Builder::new()
            .name("sim viewer".to_owned())
            .spawn(serve);
        if spawned.is_err() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Requests of one connection, one after another.
    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        // So that it notices that it was switched off.
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = self.request(&mut reader)? {
            self.respond(&request, stream)?;
        }
        Ok(())
    }

    fn request(&self, reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Request>> {
        let mut text = Vec::new();
        loop {
            let read = reader.take(REQUEST_MAX).read_until(b'\n', &mut text);
            match read {
                _ if self.is_off() => return Ok(None),
                Ok(0) => return Ok(None),
                Ok(_) if text.ends_with(b"\r\n\r\n") => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Ok(Request::parse(&text));
                }
                Ok(_) if text.len() as u64 > REQUEST_MAX => {
                    return Err(Error::other("a request without end"));
                }
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn respond(&self, request: &Request, stream: &TcpStream) -> std::io::Result<()> {
        let mut stream = stream;
        if !self.may_watch(request) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let question = format!(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"{REALM}\", \
                 nonce=\"{}\", qop=\"auth\", algorithm=SHA-256\r\nContent-Length: 0\r\n\r\n",
                self.nonce()
            );
            return stream.write_all(question.as_bytes());
        }
        match request.path.as_str() {
            "/stream" => self.stream(stream),
            "/snapshot" => {
                let picture = self.picture(self.served.load(Ordering::Relaxed));
                self.served.fetch_add(1, Ordering::Relaxed);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                    picture.len()
                );
                while self.silent.load(Ordering::Relaxed) && !self.is_off() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                stream.write_all(head.as_bytes())?;
                stream.write_all(&picture)
            }
            _ => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        }
    }

    fn stream(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary={BOUNDARY}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let interval = Duration::from_secs_f64(1.0 / self.options.fps.clamp(0.1, 100.0));
        for n in 0.. {
            if self.is_off() {
                break;
            }
            std::thread::sleep(interval);
            if self.silent.load(Ordering::Relaxed) {
                continue;
            }
            let picture = self.picture(n);
            let mut part = format!("--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n");
            if self.options.lengths {
                part += &format!("Content-Length: {}\r\n", picture.len());
            }
            part += "\r\n";
            let part = [part.as_bytes(), &picture, b"\r\n"].concat();
            stream.write_all(&part)?;
            self.served.fetch_add(1, Ordering::Relaxed);
        }
        Err(Error::other("switched off"))
    }

    fn picture(&self, n: usize) -> Vec<u8> {
        let reels = self.reels();
        let reel = match self.black.load(Ordering::Relaxed) {
            true => &reels.black,
            false => &reels.pictures,
        };
        let n = if self.frozen.load(Ordering::Relaxed) {
            0
        } else {
            n
        };
        reel.get(n % reel.len().max(1)).cloned().unwrap_or_default()
    }

    /// One for its whole life; nobody attacks it.
    fn nonce(&self) -> String {
        sha256(REALM)
    }

    fn may_watch(&self, request: &Request) -> bool {
        let Some((user, password)) = &self.options.login else {
            return true;
        };
        let given = |name: &str| request.login.get(name).map_or("", String::as_str);
        // RFC 7616, section 3.4.1.
        let who = sha256(&format!("{user}:{REALM}:{password}"));
        let what = sha256(&format!("GET:{}", given("uri")));
        let expected = sha256(&format!(
            "{who}:{}:{}:{}:{}:{what}",
            self.nonce(),
            given("nc"),
            given("cnonce"),
            given("qop"),
        ));
        given("username") == user && given("response") == expected
    }
}

struct Request {
    path: String,
    /// Parameters of the Authorization.
    login: BTreeMap<String, String>,
}

impl Request {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let path = lines.next()?.strip_prefix("GET ")?.split(' ').next()?;
        let path = path.split('?').next()?.to_owned();
        let login = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            .and_then(|(_, value)| value.trim().strip_prefix("Digest "));
        let parameters = login.unwrap_or_default().split(',');
        let login = parameters
            .filter_map(|parameter| parameter.split_once('='))
            .map(|(name, value)| {
                (
                    name.trim().to_owned(),
                    value.trim().trim_matches('"').to_owned(),
                )
            });
        Some(Self {
            path,
            login: login.collect(),
        })
    }
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_timeout(error: &Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}
