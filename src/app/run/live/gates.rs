//! Calls of gates over HTTP: who may, and that each is on disk before it is answered. A turnstile
//! that hears no answer calls again; the key that it gives makes that harmless.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::app::run::given::{Given, Inlet, Sensed, Topic};
use crate::clock;
use crate::console::{Answer, Call};
use crate::gate;
use crate::link::secret::Secret;

/// Keys remembered for each gate.
const KEYS_MAX: usize = 1_000;
/// A call is on disk within so long, or its caller should try again.
const PATIENCE: Duration = Duration::from_secs(5);

/// A gate that may be called.
pub(super) struct Gate {
    secret: Secret,
    topic: Arc<Topic>,
    /// Keys of calls that were taken, oldest first.
    keys: VecDeque<String>,
}

impl Gate {
    pub(super) fn new(id: &str, secret: Secret) -> Self {
        Self {
            secret,
            topic: Arc::new(Topic::json(&format!("/gate/{id}"), "basketd.GateEvent")),
            keys: VecDeque::new(),
        }
    }
}

/// Answers calls one after another until nobody calls any more.
pub(super) async fn answer(
    mut gates: BTreeMap<String, Gate>,
    inlet: Inlet,
    calls: &mut mpsc::Receiver<Call>,
) {
    while let Some(call) = calls.recv().await {
        let answer = match gates.get_mut(&call.gate) {
            Some(gate) if call.bearer.as_ref().is_some_and(|b| b.is(&gate.secret)) => {
                taken(gate, &inlet, call.key, &call.body).await
            }
            _ => Answer::Forbidden,
        };
        // Whoever called may have gone.
        call.answer.send(answer).ok();
    }
}

async fn taken(gate: &mut Gate, inlet: &Inlet, key: Option<String>, body: &[u8]) -> Answer {
    if key.as_ref().is_some_and(|key| gate.keys.contains(key)) {
        return Answer::Taken;
    }
    let payload = match gate::event(body) {
        Ok(payload) => payload,
        Err(why) => return Answer::Refused(why),
    };
    let (told, done) = oneshot::channel();
    let sensed = Sensed {
        topic: Arc::clone(&gate.topic),
        at: None,
        captured_at: clock::wall(),
        payload,
    };
    if inlet.try_give(Given::Event(sensed, told)).is_err() {
        return Answer::Unavailable("the box is busy or going down; try again".to_owned());
    }
    // Not before it is known what became of it may it be tried again under the same key.
    match tokio::time::timeout(PATIENCE, done).await {
        Ok(Ok(Ok(()))) => {
            gate.keys.extend(key);
            if gate.keys.len() > KEYS_MAX {
                gate.keys.pop_front();
            }
            Answer::Taken
        }
        Ok(Ok(Err(why))) => Answer::Unavailable(why),
        Ok(Err(_)) => Answer::Unavailable("the box is going down".to_owned()),
        Err(_) => Answer::Unavailable("not on disk in time; try again".to_owned()),
    }
}
