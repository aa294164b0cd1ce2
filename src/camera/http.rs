//! Cameras over HTTP: Motion JPEG as one endless answer, or a snapshot that is asked for again and
//! again. Pictures pass as they are, after a look at their markers.
//!
//! Redirects are followed a few times; user and password go to no other host than the one that was
//! configured, and never from `https` to `http`.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, http::Response};
use url::Url;

use super::login::Login;
use super::source::{Loss, Pixels, Source, Trouble, View, WAIT};
use super::{Config, PICTURE_MAX};
use crate::clock::{self, Monotonic};
use crate::wire::jpeg;
use crate::wire::multipart::Multipart;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);
const REDIRECTS_MAX: usize = 3;
const CHUNK: usize = 32 * 1024;
/// Pictures in a row that are none.
const BAD_MAX: u32 = 20;

/// Asks for `url` and finds out by the answer what kind of camera it is.
pub(super) fn open(url: &str, config: &Config) -> Result<Box<dyn Source>, Trouble> {
    let mut client = Client::new(url, config)?;
    let response = client.get()?;
    let content_type = header(&response, "content-type");
    let kind = content_type.split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    match kind.as_str() {
        "image/jpeg" | "image/jpg" => {
            let interval = Duration::from_secs_f64(1.0 / config.fps());
            let mut snapshots = Snapshots::new(client, interval);
            snapshots.next = Some(snapshot(response)?);
            Ok(Box::new(snapshots))
        }
        kind if kind.starts_with("multipart/") => {
            let parser = Multipart::new(&content_type, PICTURE_MAX)
                .map_err(|error| Trouble::refused(error.to_string()))?;
            Ok(Box::new(Stream::new(parser, response.into_body())))
        }
        _ => Err(Trouble::refused(format!(
            "it answers with `{content_type}`, not with Motion JPEG (multipart/x-mixed-replace) or \
             a JPEG: look for the address of its MJPEG stream or snapshot in its manual"
        ))),
    }
}

/// One endless answer.
struct Stream {
    parser: Multipart,
    reader: ureq::BodyReader<'static>,
    chunk: Vec<u8>,
    bad: Bad,
}

/// One answer a picture.
struct Snapshots {
    client: Client,
    interval_ms: u64,
    clock: Monotonic,
    due_ms: u64,
    next: Option<Vec<u8>>,
    bad: Bad,
}

/// Pictures that are none, since the last that was one.
#[derive(Default)]
struct Bad {
    row: u32,
    lost: u64,
    why: String,
}

impl Stream {
    fn new(parser: Multipart, body: Body) -> Self {
        Self {
            parser,
            reader: body.into_reader(),
            chunk: vec![0; CHUNK],
            bad: Bad::default(),
        }
    }
}

impl Source for Stream {
    fn look(&mut self, eye: &mut dyn FnMut(View<'_>)) -> Result<Option<Loss>, Trouble> {
        let count = match self.reader.read(&mut self.chunk) {
            Ok(0) => return Err(Trouble::broken("the camera ended its stream")),
            Ok(count) => count,
            Err(error) => return Err(read_trouble(&error)),
        };
        let bytes = self.chunk.get(..count).unwrap_or_default();
        let bad = &mut self.bad;
        let pushed = self
            .parser
            .push(bytes, &mut |part| bad.show(&part.body, eye));
        pushed.map_err(|error| Trouble::broken(error.to_string()))?;
        if self.parser.ended() {
            return Err(Trouble::broken("the camera ended its stream"));
        }
        self.bad.loss()
    }
}

impl Snapshots {
    fn new(client: Client, interval: Duration) -> Self {
        Self {
            client,
            interval_ms: interval.as_millis() as u64,
            clock: Monotonic::start(),
            due_ms: 0,
            next: None,
            bad: Bad::default(),
        }
    }
}

impl Source for Snapshots {
    fn look(&mut self, eye: &mut dyn FnMut(View<'_>)) -> Result<Option<Loss>, Trouble> {
        let now = self.clock.millis();
        if now < self.due_ms {
            let wait = Duration::from_millis(self.due_ms - now);
            std::thread::sleep(wait.min(WAIT));
            return Ok(None);
        }
        // From the due time, so that the rate is the one asked for; from now where it cannot be had.
        self.due_ms = (self.due_ms + self.interval_ms).max(now);
        let bytes = match self.next.take() {
            Some(bytes) => bytes,
            None => snapshot(self.client.get()?)?,
        };
        self.bad.show(&bytes, eye);
        self.bad.loss()
    }
}

impl Bad {
    fn show(&mut self, bytes: &[u8], eye: &mut dyn FnMut(View<'_>)) {
        match jpeg::check(bytes) {
            Ok(picture) if picture.pixels() > super::PIXELS_MAX => {
                self.count(format!("a JPEG of {} x {}", picture.width, picture.height));
            }
            Ok(picture) => {
                self.row = 0;
                eye(View {
                    captured_at: clock::wall(),
                    pixels: Pixels::Jpeg(&jpeg::with_tables(&picture, bytes)),
                    fresh: true,
                });
            }
            Err(error) => self.count(error.to_string()),
        }
    }

    fn count(&mut self, why: String) {
        self.row += 1;
        self.lost += 1;
        self.why = why;
    }

    fn loss(&mut self) -> Result<Option<Loss>, Trouble> {
        if self.row >= BAD_MAX {
            let why = &self.why;
            let reason = format!("{BAD_MAX} pictures in a row are none: {why}");
            return Err(Trouble::broken(reason));
        }
        let pictures = std::mem::take(&mut self.lost);
        let reason = || format!("it sent {}", self.why);
        Ok((pictures > 0).then(|| Loss {
            pictures,
            reason: reason(),
        }))
    }
}

/// A whole snapshot; a camera that gives it byte by byte is not waited for.
fn snapshot(response: Response<Body>) -> Result<Vec<u8>, Trouble> {
    let clock = Monotonic::start();
    let mut reader = response.into_body().into_reader();
    let (mut whole, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    loop {
        let count = reader.read(&mut chunk).map_err(|e| read_trouble(&e))?;
        if count == 0 {
            return Ok(whole);
        }
        whole.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if whole.len() > PICTURE_MAX {
            let reason = format!("its snapshot is larger than {PICTURE_MAX} bytes");
            return Err(Trouble::refused(reason));
        }
        if u128::from(clock.millis()) > SNAPSHOT_TIMEOUT.as_millis() {
            let s = SNAPSHOT_TIMEOUT.as_secs();
            return Err(Trouble::broken(format!(
                "its snapshot is not whole after {s} s"
            )));
        }
    }
}

/// Asks, answers questions for a password, follows redirects.
struct Client {
    agent: Agent,
    home: Url,
    url: Url,
    login: Option<Login>,
}

impl Client {
    fn new(url: &str, config: &Config) -> Result<Self, Trouble> {
        let url =
            Url::parse(url).map_err(|error| Trouble::refused(format!("no address: {error}")))?;
        let login = config.login.clone();
        Ok(Self {
            agent: agent(&url, config)?,
            home: url.clone(),
            url,
            login: login.map(|(user, password)| Login::new(user, password)),
        })
    }

    fn get(&mut self) -> Result<Response<Body>, Trouble> {
        let (mut asked, mut redirected) = (0, 0);
        loop {
            let response = self.ask()?;
            match response.status().as_u16() {
                200 => return Ok(response),
                401 if asked < 2 => {
                    asked += 1;
                    self.answer(&response, asked)?;
                }
                301 | 302 | 303 | 307 | 308 if redirected < REDIRECTS_MAX => {
                    redirected += 1;
                    self.follow(&header(&response, "location"))?;
                }
                status => return Err(self.refusal(status)),
            }
        }
    }

    fn ask(&mut self) -> Result<Response<Body>, Trouble> {
        let mut request = self.agent.get(self.url.as_str());
        let known = self.may_log_in();
        if let Some(login) = self.login.as_mut().filter(|_| known) {
            let path = match self.url.query() {
                Some(query) => format!("{}?{query}", self.url.path()),
                None => self.url.path().to_owned(),
            };
            if let Some(answer) = login.answer(&path) {
                let answer = answer.map_err(|error| {
                    Trouble::refused(format!("its question for a login has no answer: {error}"))
                })?;
                request = request.header("Authorization", answer);
            }
        }
        request.call().map_err(|error| trouble(&error))
    }

    fn may_log_in(&self) -> bool {
        let safe = self.home.scheme() != "https" || self.url.scheme() == "https";
        let place = |url: &Url| {
            let host = url.host_str().map(str::to_owned);
            (host, url.port_or_known_default())
        };
        // The same host under TLS may have another port.
        let same_host = self.home.host_str() == self.url.host_str();
        let to_tls = self.home.scheme() == "http" && self.url.scheme() == "https";
        safe && same_host && (to_tls || place(&self.home) == place(&self.url))
    }

    fn answer(&mut self, response: &Response<Body>, asked: u32) -> Result<(), Trouble> {
        let question = header(response, "www-authenticate");
        if !self.may_log_in() {
            return Err(Trouble::refused(format!(
                "it leads to {}, which asks for a login: set that address",
                bare(&self.url)
            )));
        }
        let Some(login) = &mut self.login else {
            let why = "it asks for a login: set `username` and `password_file`";
            return Err(Trouble::login(why));
        };
        let stale = question.to_ascii_lowercase().contains("stale=true");
        if asked > 1 && !stale {
            let user = login.user();
            return Err(Trouble::login(format!(
                "it does not take the user `{user}` with this password"
            )));
        }
        login.asked(&question).map_err(Trouble::refused)
    }

    fn follow(&mut self, location: &str) -> Result<(), Trouble> {
        let next = self.url.join(location);
        let next = next
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(next) = next else {
            let why = "it leads to an address that is none of HTTP";
            return Err(Trouble::refused(why));
        };
        self.url = next;
        Ok(())
    }

    fn refusal(&mut self, status: u16) -> Trouble {
        // What was redirected is asked from its beginning the next time.
        self.url = self.home.clone();
        match status {
            401 => Trouble::login("it takes no login that was tried (401)"),
            403 => Trouble::refused("it forbids it (403): the user lacks the right to watch"),
            404 => Trouble::refused("it knows no such path (404): see its manual"),
            300..=399 => Trouble::refused(format!("it leads round in circles ({status})")),
            500.. => Trouble::broken(format!("it fails ({status}): too many viewers, perhaps")),
            _ => Trouble::refused(format!("it answers with status {status}")),
        }
    }
}

/// Without what a query may hold.
fn bare(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// A header's values, joined as RFC 9110, section 5.3 allows; empty where there is none.
fn header(response: &Response<Body>, name: &str) -> String {
    let values = response.headers().get_all(name).iter();
    let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    values.join(", ")
}

fn agent(url: &Url, config: &Config) -> Result<Agent, Trouble> {
    let builder = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent("basketd")
        .proxy(None)
        .timeout_resolve(Some(ANSWER_TIMEOUT))
        .timeout_connect(Some(ANSWER_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_per_write(Some(ANSWER_TIMEOUT))
        .timeout_per_read(Some(config.limits.silence));
    let builder = match url.scheme() {
        "https" => builder.tls_config(tls(config.ca.as_deref())?),
        _ => builder,
    };
    Ok(builder.build().new_agent())
}

fn tls(ca: Option<&[u8]>) -> Result<TlsConfig, Trouble> {
    let roots = match ca {
        Some(pem) => vec![Certificate::from_pem(pem).map_err(|error| {
            Trouble::refused(format!("`ca_file` holds no certificate in PEM: {error}"))
        })?],
        None => {
            let native = rustls_native_certs::load_native_certs().certs;
            let owned = native
                .iter()
                .map(|der| Certificate::from_der(der).to_owned());
            owned.collect()
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

fn read_trouble(error: &std::io::Error) -> Trouble {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(error) => trouble(error),
        None => Trouble::broken(format!("its stream broke off: {error}")),
    }
}

fn trouble(error: &ureq::Error) -> Trouble {
    let text = error.to_string();
    if text.contains("certificate") || text.contains("Certificate") {
        return Trouble::refused(format!(
            "its certificate is not accepted ({text}): name its authority's in `ca_file`, and write \
             the address with the name that stands in it"
        ));
    }
    match error {
        ureq::Error::HostNotFound => Trouble::unreachable("its name is not known (DNS)"),
        ureq::Error::Timeout(_) => Trouble::unreachable(format!(
            "no answer ({text}): is it powered, and in this network?"
        )),
        ureq::Error::Io(io) => match io.kind() {
            std::io::ErrorKind::ConnectionRefused => Trouble::unreachable(
                "it refuses the connection: is the port right, is it still starting?",
            ),
            std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
                Trouble::unreachable(format!("no way there ({io}): look at cable and network"))
            }
            _ => Trouble::broken(format!("the connection broke off: {io}")),
        },
        _ => Trouble::broken(text),
    }
}
