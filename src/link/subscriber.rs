//! Topics that sensors publish on: one connection to the broker for all of them, made again for
//! ever, and each topic's messages to whoever asked for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::backoff::Backoff;
use super::mqtt::{Connection, Incoming, Options};
use super::stopped;
use crate::clock;
use crate::units::Timestamp;

/// What whoever asked for a topic hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Subscribed: from now on every message is heard.
    Connected,
    Message {
        arrived_at: Timestamp,
        payload: Arc<[u8]>,
    },
    /// So many messages found no room.
    Lost(u64),
    /// Nothing is heard from now on, and why.
    Disconnected(String),
}

/// Messages that wait for whoever asked for them.
const WAITING: usize = 256;

/// A topic and its listener.
#[derive(Debug)]
struct Listener {
    topic: String,
    tell: mpsc::Sender<Heard>,
    lost: u64,
}

/// Collects who listens to what, then runs.
#[derive(Debug, Default)]
pub struct Subscriber {
    listeners: Vec<Listener>,
}

impl Subscriber {
    /// What is heard of a topic; several may listen to one.
    pub fn listen(&mut self, topic: &str) -> mpsc::Receiver<Heard> {
        let (tell, heard) = mpsc::channel(WAITING);
        self.listeners.push(Listener {
            topic: topic.to_owned(),
            tell,
            lost: 0,
        });
        heard
    }

    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Tells all that there is no broker, once.
    pub async fn without(mut self, why: &str) {
        self.tell_all(&Heard::Disconnected(why.to_owned())).await;
    }

    /// Runs until told to stop.
    pub async fn run(mut self, options: Options, mut stop: watch::Receiver<bool>) {
        let mut topics: Vec<String> = self.listeners.iter().map(|l| l.topic.clone()).collect();
        topics.sort();
        topics.dedup();
        let mut backoff = Backoff::default();
        loop {
            let opened = tokio::select! {
                opened = Connection::open(&options, &topics) => opened,
                () = stopped(&mut stop) => return,
            };
            let why = match opened {
                Ok(connection) => {
                    self.tell_all(&Heard::Connected).await;
                    backoff.reset();
                    match self.serve(connection, &mut stop).await {
                        Some(why) => why,
                        None => return,
                    }
                }
                Err(closed) => closed.why,
            };
            self.tell_all(&Heard::Disconnected(why)).await;
            tokio::select! {
                () = tokio::time::sleep(backoff.wait()) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// Hands messages on until the connection ends, and says why it did; `None` where told to stop.
    async fn serve(
        &mut self,
        mut connection: Connection,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<String> {
        loop {
            let incoming = tokio::select! {
                incoming = connection.recv() => incoming,
                () = stopped(stop) => {
                    connection.close().await;
                    return None;
                }
            };
            match incoming {
                // What a broker has kept was so at another time.
                Incoming::Message(arrived) if !arrived.retained => {
                    self.message(&arrived.topic, arrived.payload.into());
                }
                Incoming::Message(_) | Incoming::Acked { .. } => {}
                Incoming::Closed(closed) => return Some(closed.why),
            }
        }
    }

    fn message(&mut self, topic: &str, payload: Arc<[u8]>) {
        let arrived_at = clock::wall();
        for listener in self.listeners.iter_mut().filter(|l| l.topic == topic) {
            listener.message(arrived_at, Arc::clone(&payload));
        }
    }

    /// States are never dropped; a listener that does not listen for a second is gone.
    async fn tell_all(&mut self, heard: &Heard) {
        for listener in &self.listeners {
            let told = listener
                .tell
                .send_timeout(heard.clone(), Duration::from_secs(1));
            told.await.ok();
        }
    }
}

impl Listener {
    fn message(&mut self, arrived_at: Timestamp, payload: Arc<[u8]>) {
        if self.lost > 0 {
            if self.tell.try_send(Heard::Lost(self.lost)).is_err() {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        let heard = Heard::Message {
            arrived_at,
            payload,
        };
        if let Err(TrySendError::Full(_)) = self.tell.try_send(heard) {
            self.lost += 1;
        }
    }
}
