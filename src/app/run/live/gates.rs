//! Calls of gates over HTTP: who may, and that each is on disk before it is answered. A turnstile
//! that hears no answer calls again; the key that it gives makes that harmless.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::app::run::given::{Given, Inlet, Sensed, Topic};
use crate::clock;
use crate::console::{Answer, Call};
use crate::gate;
use crate::link::secret::Secret;

/// Keys remembered, of all gates together.
const KEYS_MAX: usize = 4_000;
/// A call is on disk within so long, or its caller should try again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of an event.
type Done = oneshot::Receiver<Result<(), String>>;

/// The keys of calls that were taken or are under way, oldest first, by gate and key.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Arc<Mutex<VecDeque<Known>>>);

#[derive(Debug)]
struct Known {
    gate: String,
    key: String,
    /// Where it is not known yet what became of it.
    under_way: Option<Done>,
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out what is known of a call with this key.
    fn find(&self, gate: &str, key: &str) -> Option<Known> {
        let mut known = self.lock();
        let place = known.iter().position(|k| k.gate == gate && k.key == key)?;
        known.remove(place)
    }

    fn keep(&self, gate: &str, key: Option<String>, under_way: Option<Done>) {
        let Some(key) = key else { return };
        let mut known = self.lock();
        known.push_back(Known {
            gate: gate.to_owned(),
            key,
            under_way,
        });
        if known.len() > KEYS_MAX {
            known.pop_front();
        }
    }
}

/// A gate that may be called.
pub(super) struct Gate {
    id: String,
    secret: Secret,
    topic: Arc<Topic>,
}

impl Gate {
    pub(super) fn new(id: &str, secret: Secret) -> Self {
        Self {
            id: id.to_owned(),
            secret,
            topic: Arc::new(Topic::json(&format!("/gate/{id}"), "basketd.GateEvent")),
        }
    }
}

/// Answers calls one after another until nobody calls any more.
pub(super) async fn answer(
    gates: BTreeMap<String, Gate>,
    taken: Taken,
    inlet: Inlet,
    calls: &mut mpsc::Receiver<Call>,
) {
    while let Some(call) = calls.recv().await {
        let answer = match gates.get(&call.gate) {
            Some(gate) if call.bearer.as_ref().is_some_and(|b| b.is(&gate.secret)) => {
                take(gate, &taken, &inlet, call.key, &call.body).await
            }
            _ => Answer::Forbidden,
        };
        // Whoever called may have gone.
        call.answer.send(answer).ok();
    }
}

async fn take(
    gate: &Gate,
    taken: &Taken,
    inlet: &Inlet,
    key: Option<String>,
    body: &[u8],
) -> Answer {
    let known = key.as_ref().and_then(|key| taken.find(&gate.id, key));
    let done = match known {
        // It is there already.
        Some(Known {
            under_way: None, ..
        }) => {
            taken.keep(&gate.id, key, None);
            return Answer::Taken;
        }
        Some(Known {
            under_way: Some(done),
            ..
        }) => done,
        None => match give(gate, inlet, body) {
            Ok(done) => done,
            Err(answer) => return answer,
        },
    };
    outcome(gate, taken, key, done).await
}

/// Hands an event over.
fn give(gate: &Gate, inlet: &Inlet, body: &[u8]) -> Result<Done, Answer> {
    let payload = gate::event(body).map_err(Answer::Refused)?;
    let (told, done) = oneshot::channel();
    let sensed = Sensed {
        topic: Arc::clone(&gate.topic),
        at: None,
        captured_at: clock::wall(),
        payload,
    };
    match inlet.try_give(Given::Event(sensed, told)) {
        Ok(()) => Ok(done),
        Err(_full_or_gone) => {
            let why = "the box is busy or going down; try again";
            Err(Answer::Unavailable(why.to_owned()))
        }
    }
}

/// Waits for what becomes of an event. Where that takes too long, the next call with its key goes on
/// waiting for the same.
async fn outcome(gate: &Gate, taken: &Taken, key: Option<String>, mut done: Done) -> Answer {
    match tokio::time::timeout(PATIENCE, &mut done).await {
        Ok(Ok(Ok(()))) => {
            taken.keep(&gate.id, key, None);
            Answer::Taken
        }
        Ok(Ok(Err(why))) => Answer::Unavailable(why),
        Ok(Err(_)) => Answer::Unavailable("the box is going down".to_owned()),
        Err(_) => {
            taken.keep(&gate.id, key, Some(done));
            Answer::Unavailable("not on disk in time; try again with the same key".to_owned())
        }
    }
}
