//! MQTT 5: one connection, from its CONNECT to its end. All use of `rumqttc` is here.
//!
//! A [`Connection`] is never reconnected. What `rumqttc` 0.25 keeps beyond a connection loses
//! messages: queued ones vanish when the broker has no session, a packet-id collision survives
//! the reconnect, and the order of what is sent again is that of packet ids. So nothing of it
//! outlives the connection, and whoever publishes sends again from its own store.
//!
//! Its `poll` must not be dropped half-way either: a task of its own polls, and nothing else does.
//! Publishes leave in the order in which they were handed over, and each is told by its packet id
//! before its PUBACK comes, which is how a PUBACK finds its publish.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, DisconnectReasonCode, LastWill, LastWillProperties, PubAckReason,
    PublishProperties, SubscribeReasonCode,
};
use rumqttc::v5::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming as Packet, MqttOptions, StateError,
};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{mpsc, oneshot};

use super::secret::Secret;

/// Publishes that wait for their PUBACK, at most; brokers may allow fewer.
const WINDOW_MAX: u16 = 128;
/// Packet ids left free below the broker's limit: for subscriptions, which take some, too.
const WINDOW_SLACK: usize = 4;
/// The largest packet taken in; `rumqttc`'s own limit of 10 KiB ends the connection.
const PACKET_MAX: u32 = 1 << 20;
/// Messages that have come in and wait for their reader; then the broker waits.
const ARRIVED_MAX: usize = 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT_S: u64 = 8;

/// Where to connect to and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub login: Option<(String, Secret)>,
    pub tls: Option<Tls>,
    /// What the broker says of us when we are gone without a word.
    pub will: Option<Message>,
    /// For how many seconds the broker keeps what it has for us while we are away.
    pub session_s: Option<u32>,
}

/// A TLS client, ready to use.
#[derive(Clone)]
pub struct Tls(Arc<rustls::ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Of PEM texts: the authorities that are trusted (the system's where there are none), and the
    /// client's own certificate chain with its key. The error says which of them is wrong.
    pub fn new(ca: Option<&[u8]>, client: Option<(&[u8], &[u8])>) -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        match ca {
            Some(pem) => {
                for certificate in certificates(pem, "ca_file")? {
                    let added = roots.add(certificate);
                    added.map_err(|error| format!("`ca_file`: {error}"))?;
                }
            }
            None => {
                let native = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(native.certs);
                if roots.is_empty() {
                    let why = "the system has no certificates of authorities; name a `ca_file`";
                    return Err(why.to_owned());
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(chain, "cert_file")?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|error| format!("`key_file`: no private key in PEM: {error}"))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| format!("`cert_file` and `key_file`: {error}"))?
            }
        };
        Ok(Self(Arc::new(config)))
    }
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("`{what}`: no certificate in PEM")),
        Err(error) => Err(format!("`{what}`: {error}")),
    }
}

/// A message to publish at QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retained: bool,
    pub content_type: Option<&'static str>,
    /// Echoed in an answer.
    pub correlation: Option<Vec<u8>>,
    /// A user property: name and value.
    pub property: Option<(String, String)>,
}

impl Message {
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            retained: false,
            content_type: None,
            correlation: None,
            property: None,
        }
    }
}

/// What comes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The broker has answered for the publish of this token.
    Acked {
        token: u64,
        outcome: Outcome,
    },
    Message(Arrived),
    /// The end; nothing comes after it.
    Closed(Closed),
}

/// A message of a topic subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    pub topic: String,
    pub payload: Vec<u8>,
    /// Whether it was kept for whoever subscribes, and not published just now.
    pub retained: bool,
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
    pub properties: Vec<(String, String)>,
}

/// What the broker says of a publish (MQTT 5, section 3.4.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Taken,
    /// Nobody is subscribed to its topic (reason code 0x10): it reached no one.
    NoSubscriber,
    Refused(String),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Closed {
    pub why: String,
    /// Another client has connected with the same client id (reason code 0x8E).
    pub taken_over: bool,
}

/// One connection. Dropping it ends it without a DISCONNECT: the broker then publishes the will.
#[derive(Debug)]
pub struct Connection {
    client: AsyncClient,
    arrived: mpsc::Receiver<Incoming>,
    window: Arc<Mutex<Window>>,
    driver: tokio::task::JoinHandle<()>,
}

/// The publishes that wait for their PUBACK, oldest first.
#[derive(Debug, Default)]
struct Window {
    limit: usize,
    /// Handed over and not sent: their packet ids are not known.
    handed: VecDeque<u64>,
    by_id: BTreeMap<u16, u64>,
    /// By age, and whether acknowledged: packet ids come round, so that none younger than `limit`
    /// may be used while an older one is open.
    order: VecDeque<(u64, bool)>,
}

impl Window {
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.order.len())
    }

    fn hand(&mut self, token: u64) {
        self.handed.push_back(token);
        self.order.push_back((token, false));
    }

    fn sent(&mut self, id: u16) {
        if let Some(token) = self.handed.pop_front() {
            self.by_id.insert(id, token);
        }
    }

    fn acked(&mut self, id: u16) -> Option<u64> {
        let token = self.by_id.remove(&id)?;
        let open = self.order.iter_mut().find(|(t, done)| *t == token && !done);
        if let Some(entry) = open {
            entry.1 = true;
        }
        while self.order.front().is_some_and(|(_, done)| *done) {
            self.order.pop_front();
        }
        Some(token)
    }
}

impl Connection {
    /// Connects, and subscribes to `filters`; an error says what to look at.
    pub async fn open(options: &Options, filters: &[String]) -> Result<Self, Closed> {
        let (client, events) = AsyncClient::new(mqtt_options(options), usize::from(WINDOW_MAX) * 2);
        let (tell, arrived) = mpsc::channel(ARRIVED_MAX);
        let (ready, connected) = oneshot::channel();
        let window = Arc::new(Mutex::new(Window::default()));
        let driver = Driver {
            client: client.clone(),
            filters: filters.to_vec(),
            window: Arc::clone(&window),
            tell,
            ready: Some(ready),
            place: format!("{}:{}", options.host, options.port),
            client_id: options.client_id.clone(),
        };
        let driver = tokio::spawn(driver.drive(events));
        let gone = || Closed {
            why: "the connection's task has ended".to_owned(),
            taken_over: false,
        };
        let patience = Duration::from_secs(CONNECT_TIMEOUT_S * 2);
        let connected = match tokio::time::timeout(patience, connected).await {
            Ok(connected) => connected.unwrap_or_else(|_| Err(gone())),
            Err(_) => {
                driver.abort();
                let place = format!("{}:{}", options.host, options.port);
                Err(plain(&format!("{place} does not answer the subscription")))
            }
        };
        match connected {
            Ok(()) => Ok(Self {
                client,
                arrived,
                window,
                driver,
            }),
            Err(closed) => Err(closed),
        }
    }

    /// How many messages can be published before a PUBACK must come.
    pub fn room(&self) -> usize {
        lock(&self.window).room()
    }

    /// Hands a message over; `false` where there is no room, or the connection has ended. The
    /// token comes back with its PUBACK.
    pub fn publish(&self, token: u64, message: Message) -> bool {
        let mut window = lock(&self.window);
        if window.room() == 0 {
            return false;
        }
        let properties = PublishProperties {
            content_type: message.content_type.map(str::to_owned),
            correlation_data: message.correlation.map(Into::into),
            payload_format_indicator: Some(1),
            user_properties: message.property.into_iter().collect(),
            ..PublishProperties::default()
        };
        let sent = self.client.try_publish_with_properties(
            message.topic,
            QoS::AtLeastOnce,
            message.retained,
            message.payload,
            properties,
        );
        // Under the lock still: the driver looks for the token when the packet is written.
        if sent.is_ok() {
            window.hand(token);
        }
        sent.is_ok()
    }

    /// What comes next; may be dropped and called again without a loss.
    pub async fn recv(&mut self) -> Incoming {
        self.arrived.recv().await.unwrap_or_else(|| {
            Incoming::Closed(Closed {
                why: "the connection has ended".to_owned(),
                taken_over: false,
            })
        })
    }

    /// What has come already.
    pub fn try_recv(&mut self) -> Option<Incoming> {
        self.arrived.try_recv().ok()
    }

    /// Takes leave, so that the broker does not publish the will.
    pub async fn close(mut self) {
        if self.client.try_disconnect().is_err() {
            return;
        }
        let ended = async { while !matches!(self.recv().await, Incoming::Closed(_)) {} };
        // A broker that does not hang up is hung up on.
        drop(tokio::time::timeout(Duration::from_secs(1), ended).await);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn lock(window: &Mutex<Window>) -> std::sync::MutexGuard<'_, Window> {
    window.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Polls one event loop until its connection ends.
struct Driver {
    client: AsyncClient,
    filters: Vec<String>,
    window: Arc<Mutex<Window>>,
    tell: mpsc::Sender<Incoming>,
    ready: Option<oneshot::Sender<Result<(), Closed>>>,
    place: String,
    client_id: String,
}

impl Driver {
    async fn drive(mut self, mut events: EventLoop) {
        let closed = loop {
            match events.poll().await {
                Ok(event) => {
                    if let Err(closed) = self.on_event(event).await {
                        break closed;
                    }
                }
                Err(error) => break self.closed(&error),
            }
        };
        match self.ready.take() {
            // Whoever waited for the connection may have gone.
            Some(ready) => drop(ready.send(Err(closed))),
            None => drop(self.tell.send(Incoming::Closed(closed)).await),
        }
    }

    async fn on_event(&mut self, event: Event) -> Result<(), Closed> {
        let told = match event {
            Event::Incoming(Packet::ConnAck(connack)) => {
                let allowed = connack.properties.and_then(|p| p.receive_max);
                let limit = allowed.unwrap_or(WINDOW_MAX).min(WINDOW_MAX);
                lock(&self.window).limit = usize::from(limit).saturating_sub(WINDOW_SLACK).max(1);
                if self.filters.is_empty() {
                    self.is_ready();
                } else {
                    let filters = self.filters.iter().map(|filter| {
                        rumqttc::v5::mqttbytes::v5::Filter::new(filter.clone(), QoS::AtLeastOnce)
                    });
                    let asked = self.client.try_subscribe_many(filters);
                    asked.map_err(|_full| plain("the request queue is full at the start"))?;
                }
                return Ok(());
            }
            Event::Incoming(Packet::SubAck(suback)) => {
                let pairs = self.filters.iter().zip(&suback.return_codes);
                let mut refused =
                    pairs.filter(|(_, code)| !matches!(code, SubscribeReasonCode::Success(_)));
                if let Some((filter, code)) = refused.next() {
                    let why = format!(
                        "the broker at {} does not let `{}` subscribe to {filter}: {code:?}; look at \
                         its access control list",
                        self.place, self.client_id
                    );
                    return Err(plain(&why));
                }
                self.is_ready();
                return Ok(());
            }
            Event::Outgoing(Outgoing::Publish(id)) if id != 0 => {
                lock(&self.window).sent(id);
                return Ok(());
            }
            Event::Incoming(Packet::PubAck(ack)) => {
                let Some(token) = lock(&self.window).acked(ack.pkid) else {
                    return Ok(());
                };
                let outcome = match ack.reason {
                    PubAckReason::Success => Outcome::Taken,
                    PubAckReason::NoMatchingSubscribers => Outcome::NoSubscriber,
                    other => Outcome::Refused(format!("{other:?}")),
                };
                Incoming::Acked { token, outcome }
            }
            Event::Incoming(Packet::Publish(publish)) => {
                let properties = publish.properties.unwrap_or_default();
                Incoming::Message(Arrived {
                    topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                    payload: publish.payload.to_vec(),
                    retained: publish.retain,
                    response_topic: properties.response_topic,
                    correlation: properties.correlation_data.map(|data| data.to_vec()),
                    properties: properties.user_properties,
                })
            }
            // The window is far below the broker's limit; if it happens the connection cannot be
            // trusted any more.
            Event::Outgoing(Outgoing::AwaitAck(_)) => {
                return Err(plain("two publishes with one packet id"));
            }
            _ => return Ok(()),
        };
        self.tell
            .send(told)
            .await
            .map_err(|_gone| plain("nobody listens any more"))
    }

    fn is_ready(&mut self) {
        if let Some(ready) = self.ready.take() {
            drop(ready.send(Ok(())));
        }
    }

    fn closed(&self, error: &ConnectionError) -> Closed {
        let place = &self.place;
        if let ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) = error
        {
            let taken_over = *reason_code == DisconnectReasonCode::SessionTakenOver;
            let why = if taken_over {
                format!(
                    "another client has connected to {place} as `{}`",
                    self.client_id
                )
            } else {
                format!("the broker at {place} has closed the connection: {reason_code:?}")
            };
            return Closed { why, taken_over };
        }
        plain(&match error {
            ConnectionError::ConnectionRefused(code) => match code {
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                    format!(
                        "the broker at {place} refuses `{}`: {code:?}; look at `username`, \
                     `password_file` and the certificate",
                        self.client_id
                    )
                }
                code => format!("the broker at {place} refuses the connection: {code:?}"),
            },
            ConnectionError::Timeout(_) => {
                format!("no answer from {place} within {CONNECT_TIMEOUT_S} s")
            }
            ConnectionError::Tls(error) => format!("{place}: {error}"),
            ConnectionError::Io(error) => format!("{place}: {error}"),
            ConnectionError::MqttState(StateError::ConnectionAborted) => {
                format!("the broker at {place} has hung up")
            }
            other => format!("{place}: {other}"),
        })
    }
}

fn plain(why: &str) -> Closed {
    Closed {
        why: why.to_owned(),
        taken_over: false,
    }
}

fn mqtt_options(options: &Options) -> MqttOptions {
    let mut mqtt = MqttOptions::new(&options.client_id, &options.host, options.port);
    mqtt.set_keep_alive(KEEP_ALIVE)
        .set_connection_timeout(CONNECT_TIMEOUT_S)
        .set_clean_start(options.session_s.is_none())
        .set_session_expiry_interval(options.session_s)
        .set_max_packet_size(Some(PACKET_MAX))
        .set_outgoing_inflight_upper_limit(WINDOW_MAX);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT_S);
    mqtt.set_network_options(network);
    if let Some((username, password)) = &options.login {
        mqtt.set_credentials(username, password.reveal());
    }
    if let Some(Tls(config)) = &options.tls {
        let config = TlsConfiguration::Rustls(Arc::clone(config));
        mqtt.set_transport(Transport::tls_with_config(config));
    }
    if let Some(will) = &options.will {
        let properties = LastWillProperties {
            delay_interval: None,
            payload_format_indicator: Some(1),
            message_expiry_interval: None,
            content_type: will.content_type.map(str::to_owned),
            response_topic: None,
            correlation_data: None,
            user_properties: will.property.iter().cloned().collect(),
        };
        mqtt.set_last_will(LastWill::new(
            &will.topic,
            will.payload.clone(),
            QoS::AtLeastOnce,
            will.retained,
            Some(properties),
        ));
    }
    mqtt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_puback_finds_its_publish_and_makes_room_in_order_of_age() {
        let mut window = Window {
            limit: 3,
            ..Window::default()
        };
        for token in [7, 8, 9] {
            window.hand(token);
        }
        assert_eq!(window.room(), 0);
        for id in [1, 2, 3] {
            window.sent(id);
        }
        assert_eq!(window.acked(2), Some(8));
        assert_eq!(window.room(), 0, "packet id 1 is open still");
        assert_eq!(window.acked(2), None);
        assert_eq!(window.acked(1), Some(7));
        assert_eq!(window.room(), 2);
        window.hand(8);
        window.sent(1);
        assert_eq!(window.acked(1), Some(8), "the same event sent again");
        assert_eq!(window.room(), 1, "9 is older, and open");
    }

    #[test]
    fn wrong_certificates_are_named() {
        assert!(Tls::new(Some(b"no"), None).unwrap_err().contains("ca_file"));
    }
}
