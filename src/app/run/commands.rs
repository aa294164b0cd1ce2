//! Commands from the broker to the sequencer, and their answers back.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::given::{Asked, Given, Inlet};
use super::health::Health;
use crate::link::mqtt::Message;
use crate::outbox::Outbox;
use crate::uplink;
use crate::wire::delivery::{Reply, SourceReport, State, StatusReport};
use crate::wire::topic;

/// How long an answer is waited for: the disk may be slow, not asleep.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest command, bytes.
const PAYLOAD_MAX: usize = 64 << 10;

pub(super) struct Commands {
    pub(super) store: String,
    pub(super) journal: String,
    pub(super) inlet: Inlet,
    pub(super) health: Arc<Health>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) answers: mpsc::Sender<Message>,
    pub(super) resend: mpsc::Sender<u64>,
}

impl Commands {
    /// Carries out what comes, one after another, until nobody asks any more.
    pub(super) async fn run(self, mut asked: mpsc::Receiver<uplink::Asked>) {
        while let Some(asked) = asked.recv().await {
            let reply = self.carry_out(&asked).await;
            if let Some(why) = &reply.reason {
                let refused = &self.health.counts.commands_refused;
                refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    topic = asked.topic,
                    "a command is refused: {}",
                    why.escape_debug()
                );
            }
            let Some(to) = &asked.response_topic else {
                continue;
            };
            if !self.may_answer(to) {
                tracing::warn!(
                    "a response topic that is not to be answered: {}",
                    to.escape_debug()
                );
                continue;
            }
            let text = serde_json::to_vec(&reply).expect("a reply is plain JSON");
            let mut message = Message::new(to.clone(), text);
            message.content_type = Some("application/json");
            message.correlation.clone_from(&asked.correlation);
            if self.answers.send(message).await.is_err() {
                return;
            }
        }
    }

    /// Brokers hang up on topics that are none of a client's, and the box's own are not for answers.
    fn may_answer(&self, to: &str) -> bool {
        let plain = !to.is_empty()
            && to.len() <= 200
            && to.split('/').count() <= 20
            && !to.starts_with('$')
            && !to.contains(['+', '#'])
            && !to.chars().any(char::is_control);
        let own = to.strip_prefix(&topic::prefix(&self.store));
        plain && own.is_none_or(|rest| rest.starts_with("/reply/"))
    }

    async fn carry_out(&self, asked: &uplink::Asked) -> Reply {
        let Some(name) = topic::command_name(&self.store, &asked.topic) else {
            return Reply::refused("not a command's topic".to_owned());
        };
        let payload = match with_name(name, &asked.payload) {
            Ok(payload) => payload,
            Err(why) => return Reply::refused(why),
        };
        if name == "status" {
            return Reply::status(self.status());
        }
        let from = match name {
            "resend" => match self.resend_from(&payload) {
                Ok(from) => Some(from),
                Err(why) => return Reply::refused(why),
            },
            _ => None,
        };
        let reply = self.ask(Value::Object(payload)).await;
        if let Some(from) = from.filter(|_| reply.ok) {
            // The uplink has gone only where the daemon ends.
            self.resend.send(from).await.ok();
        }
        reply
    }

    async fn ask(&self, payload: Value) -> Reply {
        let (answer, answered) = oneshot::channel();
        let payload = payload.to_string().into_bytes();
        let given = Given::Command(Asked { payload, answer });
        if self.inlet.try_give(given).is_err() {
            return Reply::refused("the box is too busy; try again".to_owned());
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Reply::refused("the box is going down".to_owned()),
            Err(_) => {
                Reply::refused("not on disk within 10 s; it may still be carried out".to_owned())
            }
        }
    }

    fn resend_from(&self, payload: &Map<String, Value>) -> Result<u64, String> {
        if let Some(journal) = payload.get("journal").and_then(Value::as_str)
            && journal != self.journal
        {
            return Err(format!("this box writes journal `{}`", self.journal));
        }
        let from = payload.get("from").and_then(Value::as_u64);
        let from = from.ok_or("`resend` without `from`, the first event's number")?;
        let last = self.outbox.committed();
        if from == 0 || from > last {
            return Err(format!("`from` {from}: the events are 1 to {last}"));
        }
        let reader = crate::outbox::Reader::open(self.outbox.path());
        let first = reader.and_then(|reader| reader.first_n());
        match first {
            Ok(Some(first)) if from < first => Err(format!(
                "`from` {from}: the first event that is kept is {first}"
            )),
            Ok(_) => Ok(from),
            Err(error) => Err(error.to_string()),
        }
    }

    fn status(&self) -> StatusReport {
        let reasons = self.health.reasons();
        let report = self.health.uplink.lock();
        let report = report.unwrap_or_else(PoisonError::into_inner).clone();
        let state = if reasons.is_empty() {
            State::Online
        } else {
            State::Degraded
        };
        let sources = self.health.sources().into_iter();
        StatusReport {
            store: self.store.clone(),
            journal: self.journal.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state,
            reasons,
            last_n: self.outbox.committed(),
            confirmed_n: report.confirmed.max(self.outbox.confirmed()),
            open_visits: self.health.counts.open_visits.load(Ordering::Relaxed),
            sources: sources
                .map(|(name, known)| SourceReport {
                    source: name,
                    state: known.state.into(),
                    reason: known.reason,
                })
                .collect(),
        }
    }
}

/// The payload's object, with the command's name as recordings have it.
fn with_name(name: &str, payload: &[u8]) -> Result<Map<String, Value>, String> {
    if payload.len() > PAYLOAD_MAX {
        return Err("a payload of more than 64 KiB".to_owned());
    }
    let mut object = if payload.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(payload) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err("the payload is no JSON object".to_owned()),
            Err(error) => return Err(format!("the payload is no JSON: {error}")),
        }
    };
    let named = object.insert("command".to_owned(), Value::String(name.to_owned()));
    match named {
        Some(other) if other != *name => Err(format!("`command` {other} on the topic of `{name}`")),
        _ => Ok(object),
    }
}
