//! The way to the backend: events from the outbox in order, the box's and its sensors' states as
//! retained messages, commands in and their answers out. It owns what is under way, and nothing
//! that must survive: after any failure it begins again from the watermark.

mod delivery;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use self::delivery::{Answer, Delivery};
use crate::clock::Monotonic;
use crate::link::mqtt::{Arrived, Closed, Connection, Incoming, Message, Options, Outcome};
use crate::store::Confirm;

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    pub n: u64,
    pub topic: String,
    pub retained: bool,
    pub body: String,
}

/// Where events come from, and where it is noted what is done. Calls may take as long as a read
/// from disk.
pub trait Feed: Send + 'static {
    /// The next events after `n`, at most `limit`, in order.
    fn after(&mut self, n: u64, limit: usize) -> Result<Vec<Sending>, String>;
    /// The last event that may be sent.
    fn committed(&self) -> u64;
    fn confirmed(&self) -> u64;
    fn confirm(&mut self, n: u64);
    /// The oldest events that may be dropped.
    fn traffic(&mut self, limit: usize) -> Result<Vec<Sending>, String>;
    /// Dropped once the broker has them.
    fn traffic_sent(&mut self, n: u64);
}

/// Topics and names; where the texts come from is not the uplink's matter.
#[derive(Debug, Clone)]
pub struct Topics {
    /// The backend's watermark; `None` where none is wanted.
    pub ack: Option<String>,
    /// What commands come by, as a filter; `None` where none are taken.
    pub commands: Option<String>,
    /// The box's own status: another box that speaks there has the same id.
    pub status: String,
}

/// A command as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub topic: String,
    pub payload: Vec<u8>,
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
}

/// What the backend says that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    pub journal: String,
    pub through: u64,
}

/// How it goes, for status and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub connected: bool,
    pub connects: u64,
    /// Why there is no connection, or what is wrong with this one; empty where all is well.
    pub trouble: String,
    pub confirmed: u64,
    pub sent: u64,
    /// Events handed to the broker, repeats among them.
    pub published: u64,
    /// How often everything unconfirmed was sent again for want of a watermark.
    pub resent: u64,
    pub refused: u64,
    /// Why, the last time.
    pub refusal: String,
}

/// What the uplink is made of.
pub struct Uplink<F> {
    pub feed: F,
    pub confirm: Confirm,
    pub options: Options,
    pub topics: Topics,
    pub journal: String,
    pub store: String,
    /// Reads the payload of an ack.
    pub parse_ack: fn(&[u8]) -> Result<Watermark, String>,
    /// Retained messages by topic, as they should stand.
    pub standing: watch::Receiver<BTreeMap<String, String>>,
    pub commands: mpsc::Sender<Asked>,
    /// Answers, by whoever carries out commands.
    pub answers: mpsc::Receiver<Message>,
    /// Wakes it when something was committed.
    pub wake: Arc<Notify>,
    pub report: Arc<Mutex<Report>>,
    /// From which event on to send again.
    pub resend: mpsc::Receiver<u64>,
}

const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// Events read from the outbox at a time.
const READ: usize = 512;
const BACKOFF_MIN_MS: u64 = 200;
const BACKOFF_MAX_MS: u64 = 15_000;
/// Two boxes of one store id throw each other out in turn; slower, so that people see it.
const TAKEN_OVER_MS: u64 = 30_000;
/// Names the journal in a status message, so that a box knows its own.
const JOURNAL: &str = "journal";
/// Another box's status counts where ours was cut off no longer ago than this; before that it may
/// have been the one that this box replaces.
const CUT_OFF_MS: u64 = 60_000;
/// A connection that held so long was a good one.
const GOOD_MS: u64 = 10_000;

/// What a PUBACK is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Event(u64),
    Traffic(u64),
    Other,
}

impl Token {
    fn code(self) -> u64 {
        match self {
            Self::Event(n) => n << 2,
            Self::Traffic(n) => (n << 2) | 1,
            Self::Other => 2,
        }
    }

    fn of(code: u64) -> Self {
        match code & 3 {
            0 => Self::Event(code >> 2),
            1 => Self::Traffic(code >> 2),
            _ => Self::Other,
        }
    }
}

/// Runs until `stop` says so: then it takes leave of the broker.
pub async fn run<F: Feed>(mut uplink: Uplink<F>, mut stop: watch::Receiver<bool>) {
    if let Some(will) = &mut uplink.options.will {
        will.property = Some((JOURNAL.to_owned(), uplink.journal.clone()));
    }
    let clock = Monotonic::start();
    let confirmed = uplink.feed.confirmed();
    let delivery = Delivery::new(uplink.confirm, confirmed);
    let mut session = Session {
        uplink,
        delivery,
        clock,
        read: Vec::new(),
        published: BTreeMap::new(),
        answers: Vec::new(),
        traffic_under_way: 0,
        strange_journal: false,
        cut_off_at: None,
        twin: None,
    };
    let mut backoff = BACKOFF_MIN_MS;
    while !*stop.borrow() {
        let began = session.clock.millis();
        let closed = session.connection(&mut stop).await;
        let Some(closed) = closed else { return };
        session.told(|report| {
            report.connected = false;
            report.trouble.clone_from(&closed.why);
        });
        session.cut_off_at = Some(session.clock.millis());
        if session.clock.millis() - began > GOOD_MS {
            backoff = BACKOFF_MIN_MS;
        }
        let wait = session.wait_after(&closed, backoff);
        let pause = tokio::time::sleep(Duration::from_millis(wait));
        tokio::select! {
            () = pause => {}
            _ = stop.changed() => {}
        }
        backoff = (backoff * 2).min(BACKOFF_MAX_MS);
    }
}

struct Session<F> {
    uplink: Uplink<F>,
    delivery: Delivery,
    clock: Monotonic,
    /// Events read ahead, the next one last.
    read: Vec<Sending>,
    /// Retained messages as this connection has published them.
    published: BTreeMap<String, String>,
    answers: Vec<Message>,
    traffic_under_way: u64,
    /// Whether a watermark of another journal was told already.
    strange_journal: bool,
    /// When the last connection ended.
    cut_off_at: Option<u64>,
    /// When another box of this id was heard during this connection.
    twin: Option<u64>,
}

impl<F: Feed> Session<F> {
    /// One connection from beginning to end; `None` where it was told to stop.
    async fn connection(&mut self, stop: &mut watch::Receiver<bool>) -> Option<Closed> {
        let topics = &self.uplink.topics;
        let wanted = topics.ack.iter().chain(&topics.commands);
        let filters: Vec<String> = wanted.chain([&topics.status]).cloned().collect();
        let opened = tokio::select! {
            opened = Connection::open(&self.uplink.options, &filters) => opened,
            _ = stop.changed() => return None,
        };
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(closed) => return Some(closed),
        };
        let place = format!("{}:{}", self.uplink.options.host, self.uplink.options.port);
        tracing::info!(broker = %place, "connected");
        self.on_connected();
        loop {
            self.fill(&connection);
            let wait = self.wait();
            let wake = Arc::clone(&self.uplink.wake);
            tokio::select! {
                biased;
                incoming = connection.recv() => {
                    if let Incoming::Closed(closed) = self.on_incoming(incoming) {
                        return Some(closed);
                    }
                }
                _ = stop.changed() => {
                    self.leave(connection).await;
                    return None;
                }
                Some(answer) = self.uplink.answers.recv(), if self.answers.is_empty() => {
                    self.answers.push(answer);
                }
                Some(from) = self.uplink.resend.recv() => {
                    self.read.clear();
                    self.delivery.resend(from, self.clock.millis());
                }
                changed = self.uplink.standing.changed() => {
                    if changed.is_err() {
                        self.leave(connection).await;
                        return None;
                    }
                }
                () = wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn on_connected(&mut self) {
        self.read.clear();
        self.published.clear();
        self.traffic_under_way = 0;
        self.twin = None;
        self.delivery.on_connected(self.clock.millis());
        self.told(|report| {
            report.connected = true;
            report.connects += 1;
            report.trouble.clear();
        });
    }

    /// Says that the box is going, and takes leave.
    async fn leave(&mut self, connection: Connection) {
        if let Some(will) = self.uplink.options.will.clone() {
            connection.publish(Token::Other.code(), will);
        }
        connection.close().await;
        self.told(|report| report.connected = false);
    }

    fn wait(&self) -> Duration {
        let now = self.clock.millis();
        let due = self.delivery.deadline().map(|at| at.saturating_sub(now));
        Duration::from_millis(due.unwrap_or(1_000).clamp(1, 1_000))
    }

    /// Hands over as much as the window takes: states first, then answers, events, traffic.
    fn fill(&mut self, connection: &Connection) {
        let now = self.clock.millis();
        let resent = self.delivery.resent();
        self.delivery.on_time(now);
        if self.delivery.resent() > resent {
            self.read.clear();
            let (sent, confirmed) = (self.delivery.sent(), self.uplink.feed.committed());
            tracing::warn!(
                from = sent + 1,
                through = confirmed,
                "the backend is silent; sending again"
            );
        }
        if self.twin.is_some_and(|heard| now - heard > CUT_OFF_MS) {
            // Undisturbed for so long: the other one is gone.
            self.twin = None;
            tracing::info!("no other box of this store id is heard any more");
            self.told(|report| report.trouble.clear());
        }
        self.fill_standing(connection);
        while let Some(answer) = self.answers.pop() {
            if !connection.publish(Token::Other.code(), answer.clone()) {
                self.answers.push(answer);
                return;
            }
        }
        self.fill_events(connection, now);
        self.fill_traffic(connection);
        let (confirmed, sent, resent) = (
            self.delivery.confirmed(),
            self.delivery.sent(),
            self.delivery.resent(),
        );
        self.told(|report| {
            report.confirmed = confirmed;
            report.sent = sent;
            report.resent = resent;
        });
    }

    fn fill_standing(&mut self, connection: &Connection) {
        let standing = self.uplink.standing.borrow_and_update().clone();
        for (topic, text) in standing {
            if self.published.get(&topic) == Some(&text) {
                continue;
            }
            let mut message = Message::new(topic.clone(), text.clone());
            message.retained = true;
            message.content_type = Some("application/json");
            message.property = Some((JOURNAL.to_owned(), self.uplink.journal.clone()));
            if !connection.publish(Token::Other.code(), message) {
                return;
            }
            self.published.insert(topic, text);
        }
    }

    fn fill_events(&mut self, connection: &Connection, now: u64) {
        let mut handed = 0;
        while connection.room() > 0 && self.delivery.allowance(now) > 0 {
            if self.read.is_empty() && !self.read_ahead() {
                break;
            }
            let Some(next) = self.read.pop() else { break };
            let n = next.n;
            let mut message = Message::new(next.topic, next.body);
            message.retained = next.retained;
            message.content_type = Some(CONTENT_TYPE);
            if !connection.publish(Token::Event(n).code(), message) {
                self.read.clear();
                break;
            }
            self.delivery.on_sent(n, now);
            handed += 1;
        }
        if handed > 0 {
            self.told(|report| report.published += handed);
        }
    }

    /// Reads the next events; `false` where there are none.
    fn read_ahead(&mut self) -> bool {
        let sent = self.delivery.sent();
        if self.uplink.feed.committed() <= sent {
            return false;
        }
        let feed = &mut self.uplink.feed;
        match blocking(|| feed.after(sent, READ)) {
            Ok(mut some) => {
                some.reverse();
                self.read = some;
                !self.read.is_empty()
            }
            Err(why) => {
                tracing::error!("the outbox cannot be read: {why}");
                false
            }
        }
    }

    fn fill_traffic(&mut self, connection: &Connection) {
        if self.traffic_under_way > 0 || connection.room() < 2 || !self.read.is_empty() {
            return;
        }
        let feed = &mut self.uplink.feed;
        let some = blocking(|| feed.traffic(connection.room() - 1)).unwrap_or_default();
        for next in some {
            let mut message = Message::new(next.topic, next.body);
            message.content_type = Some(CONTENT_TYPE);
            if connection.publish(Token::Traffic(next.n).code(), message) {
                self.traffic_under_way += 1;
            }
        }
    }

    fn on_incoming(&mut self, incoming: Incoming) -> Incoming {
        match &incoming {
            Incoming::Acked { token, outcome } => self.on_acked(Token::of(*token), outcome),
            Incoming::Message(arrived) => self.on_message(arrived),
            Incoming::Closed(_) => {}
        }
        incoming
    }

    fn on_acked(&mut self, token: Token, outcome: &Outcome) {
        let now = self.clock.millis();
        match token {
            Token::Event(n) => {
                let answer = match outcome {
                    Outcome::Taken => Answer::Taken,
                    Outcome::NoSubscriber => Answer::NoSubscriber,
                    Outcome::Refused(_) => Answer::Refused,
                };
                let (sent, confirmed) = (self.delivery.sent(), self.delivery.confirmed());
                self.delivery.on_answer(n, answer, now);
                if self.delivery.sent() < sent {
                    self.read.clear();
                }
                if self.delivery.confirmed() > confirmed {
                    let (feed, n) = (&mut self.uplink.feed, self.delivery.confirmed());
                    blocking(|| feed.confirm(n));
                }
                self.tell_answer(n, outcome);
            }
            Token::Traffic(n) => {
                self.traffic_under_way = self.traffic_under_way.saturating_sub(1);
                self.uplink.feed.traffic_sent(n);
            }
            Token::Other => {}
        }
    }

    fn tell_answer(&mut self, n: u64, outcome: &Outcome) {
        let trouble = match outcome {
            Outcome::Taken => String::new(),
            Outcome::NoSubscriber => "no backend is subscribed to this store's events".to_owned(),
            Outcome::Refused(why) => {
                format!("the broker refuses event {n}: {why}; look at its access control list")
            }
        };
        let refused = u64::from(matches!(outcome, Outcome::Refused(_)));
        let mut news = false;
        self.told(|report| {
            report.refused += refused;
            if refused > 0 {
                report.refusal.clone_from(&trouble);
            }
            // A change worth a line: a refusal begins or ends.
            news = report.trouble.is_empty() != trouble.is_empty();
            if news {
                report.trouble.clone_from(&trouble);
            }
        });
        if news && !trouble.is_empty() {
            tracing::warn!("{trouble}");
        }
    }

    fn on_message(&mut self, arrived: &Arrived) {
        if self.uplink.topics.ack.as_deref() == Some(arrived.topic.as_str()) {
            self.on_ack(&arrived.payload);
            return;
        }
        if arrived.topic == self.uplink.topics.status {
            self.on_status(arrived);
            return;
        }
        if arrived.retained {
            tracing::warn!(
                topic = arrived.topic,
                "a retained command is ignored: commands are for now"
            );
            return;
        }
        let asked = Asked {
            topic: arrived.topic.clone(),
            payload: arrived.payload.clone(),
            response_topic: arrived.response_topic.clone(),
            correlation: arrived.correlation.clone(),
        };
        if self.uplink.commands.try_send(asked).is_err() {
            tracing::warn!(
                topic = arrived.topic,
                "a command is dropped: too many at once"
            );
        }
    }

    /// Brokers cut off whom another client replaces, and few of them say why: a status that this box
    /// did not publish does.
    fn on_status(&mut self, arrived: &Arrived) {
        let named = arrived.properties.iter().find(|(name, _)| name == JOURNAL);
        let strange = named.is_some_and(|(_, journal)| *journal != self.uplink.journal);
        let now = self.clock.millis();
        let cut_off = self.cut_off_at.is_some_and(|at| now - at < CUT_OFF_MS);
        if strange && cut_off && self.twin.is_none() {
            self.twin = Some(now);
            self.tell_twin("another box has published its status");
        }
    }

    fn tell_twin(&self, sign: &str) {
        let store = &self.uplink.store;
        tracing::error!(
            "two boxes use store id `{store}`: {sign}; each throws the other out until one of \
             them gets an id of its own"
        );
        self.told(|report| report.trouble = format!("two boxes use store id `{store}`"));
    }

    fn on_ack(&mut self, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let Watermark { journal, through } = match (self.uplink.parse_ack)(payload) {
            Ok(watermark) => watermark,
            Err(why) => {
                tracing::warn!("an ack of the backend is ignored: {why}");
                return;
            }
        };
        if journal != self.uplink.journal {
            if !self.strange_journal {
                let ours = &self.uplink.journal;
                tracing::warn!(
                    "the backend confirms journal `{journal}`; this box writes `{ours}`: ignored"
                );
            }
            self.strange_journal = true;
            return;
        }
        let committed = self.uplink.feed.committed();
        if through > committed {
            let why = format!(
                "the backend has confirmed event {through} and this box has made {committed}: its \
                 state is an older copy; events up to {through} would be taken for repeats"
            );
            // Told once: whoever can publish acks must not fill the log. It confirms nothing.
            let mut news = false;
            self.told(|report| {
                news = report.trouble != why;
                report.trouble.clone_from(&why);
            });
            if news {
                tracing::error!("{why}");
            }
            return;
        }
        let now = self.clock.millis();
        if self.delivery.on_lower_watermark(through, now) {
            tracing::error!(
                through,
                "the backend has lost events that it had confirmed; they are sent again"
            );
            self.read.clear();
            return;
        }
        self.delivery.on_watermark(through, now);
        if self.read.last().is_some_and(|next| next.n <= through) {
            self.read.clear();
        }
        let feed = &mut self.uplink.feed;
        blocking(|| feed.confirm(through));
    }

    fn wait_after(&self, closed: &Closed, backoff: u64) -> u64 {
        if closed.taken_over && self.twin.is_none() {
            self.tell_twin(&closed.why);
        }
        if closed.taken_over || self.twin.is_some() {
            tracing::warn!(retry_ms = TAKEN_OVER_MS, "not connected: {}", closed.why);
            return TAKEN_OVER_MS;
        }
        tracing::warn!(retry_ms = backoff, "not connected: {}", closed.why);
        // Jitter: boxes that lost one broker together do not come back together.
        backoff / 2 + self.clock.nanos() % (backoff / 2 + 1)
    }

    fn told(&self, change: impl FnOnce(&mut Report)) {
        let report = self.uplink.report.lock();
        change(&mut report.unwrap_or_else(PoisonError::into_inner));
    }
}

/// A read from disk, without holding up the other tasks of this thread.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
