//! What stands retained at the broker: the box's status and each sensor's.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::health::Health;
use crate::link::mqtt::Message;
use crate::wire::delivery::{SourceStatus, State, Status};
use crate::wire::topic;

#[derive(Debug, Clone)]
pub(super) struct Standing {
    store: String,
    health: Arc<Health>,
    publish: Arc<watch::Sender<BTreeMap<String, String>>>,
}

/// The uplink's own troubles change without notice; they are looked at so often.
const LOOK: Duration = Duration::from_secs(1);

impl Standing {
    pub(super) fn new(
        store: &str,
        health: Arc<Health>,
    ) -> (Self, watch::Receiver<BTreeMap<String, String>>) {
        let (publish, published) = watch::channel(BTreeMap::new());
        let standing = Self {
            store: store.to_owned(),
            health,
            publish: Arc::new(publish),
        };
        standing.look();
        (standing, published)
    }

    /// What the broker says of a box that is gone.
    pub(super) fn will(&self) -> Message {
        let gone = Status {
            state: State::Offline,
            reasons: Vec::new(),
        };
        crate::app::broker::will(topic::status(&self.store), json(&gone))
    }

    /// Follows what changes.
    pub(super) async fn run(self) {
        let changed = Arc::clone(&self.health.changed);
        loop {
            // A change between the look and the wait is seen at the next look.
            tokio::time::timeout(LOOK, changed.notified()).await.ok();
            self.look();
        }
    }

    fn look(&self) {
        let (mut all, mut gone) = (BTreeMap::new(), Vec::new());
        let mut reasons = self.health.reasons();
        let report = self.health.uplink.lock();
        let report = report.unwrap_or_else(PoisonError::into_inner).clone();
        if report.connected && !report.trouble.is_empty() {
            reasons.push(format!("broker: {}", report.trouble));
        }
        let state = if reasons.is_empty() {
            State::Online
        } else {
            State::Degraded
        };
        let status = Status { state, reasons };
        all.insert(topic::status(&self.store), json(&status));
        for (name, known) in self.health.sources() {
            let status = SourceStatus {
                state: known.state.into(),
                reason: known.reason,
                since: known.since,
            };
            all.insert(topic::source(&self.store, &name), json(&status));
        }
        self.publish.send_if_modified(|before| {
            // An empty message takes what is retained away (MQTT 5, 3.3.1.3).
            for topic in before.keys().filter(|topic| !all.contains_key(*topic)) {
                gone.push(topic.clone());
            }
            all.extend(gone.drain(..).map(|topic| (topic, String::new())));
            let news = *before != all;
            if news {
                *before = all;
            }
            news
        });
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain structs are JSON")
}
