//! What the sequencer is given, by whom and how.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use crate::app::load::Loaded;
use crate::link::outlet::{Outlet, Refused, Told};
use crate::units::Timestamp;
use crate::wire::delivery::Reply;

/// Inputs that wait for the sequencer, at most: at the rates of a busy shop some seconds. Sensors
/// that find it full wait; what they lose meanwhile they count.
const WAITING_MAX: usize = 4096;

/// Readings of live sensors that wait, at most, however many come in one message: tens of
/// milliseconds of the engine's work, so that what comes last is not old when it is taken.
const READINGS_MAX: usize = 16_384;

/// One thing for the sequencer to put in order.
#[derive(Debug)]
pub(super) enum Given {
    Sensed(Sensed),
    /// What a live sensor tells, and the room that it takes.
    Told(Arc<Topic>, Told, Room),
    /// A sensor that is read no longer, by the name that states have.
    Parted(String),
    /// A gate's or door's event whose caller waits until it is on disk.
    Event(Sensed, oneshot::Sender<Result<(), String>>),
    Command(Asked),
    /// Another store file, read and found right; the answer says what became of it.
    Reload(Box<Loaded>, oneshot::Sender<Result<String, String>>),
    /// A recording that was played has ended: time goes on by the clock.
    TapeEnded,
    /// Close what must be closed, commit, and end.
    Stop,
}

/// What a sensor said, as a recording holds it.
#[derive(Debug, Clone)]
pub(super) struct Sensed {
    pub(super) topic: Arc<Topic>,
    /// The engine's time where a recording gives it; else the clock's.
    pub(super) at: Option<Timestamp>,
    pub(super) captured_at: Timestamp,
    pub(super) payload: Vec<u8>,
}

/// A topic as recordings declare it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Topic {
    pub(super) topic: String,
    pub(super) schema: String,
    pub(super) schema_encoding: String,
    pub(super) encoding: String,
    /// As states and gaps name it: `rfid/r1` of `/rfid/r1`, `camera/cam1` of `/camera/cam1/image`.
    pub(super) source: String,
}

impl Topic {
    pub(super) fn json(topic: &str, schema: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            schema: schema.to_owned(),
            schema_encoding: "jsonschema".to_owned(),
            encoding: "json".to_owned(),
            source: source(topic),
        }
    }

    /// A camera's frames.
    pub(super) fn image(camera: &str) -> Self {
        let topic = format!("/camera/{camera}/image");
        Self {
            source: source(&topic),
            topic,
            schema: "foxglove.CompressedImage".to_owned(),
            schema_encoding: "protobuf".to_owned(),
            encoding: "protobuf".to_owned(),
        }
    }
}

pub(super) fn source(topic: &str) -> String {
    let mut parts = topic.split('/').skip(1);
    let (kind, id) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    format!("{kind}/{id}")
}

/// A command with the way back of its answer.
#[derive(Debug)]
pub(super) struct Asked {
    /// JSON with the field `command`.
    pub(super) payload: Vec<u8>,
    /// Called once the command is on disk, or refused.
    pub(super) answer: oneshot::Sender<Reply>,
}

/// The way in, for as many givers as there are.
#[derive(Debug, Clone)]
pub(super) struct Inlet {
    give: SyncSender<Given>,
    /// Readings of live sensors that wait.
    waiting: Arc<AtomicUsize>,
}

/// The room that readings take while they wait.
#[derive(Debug)]
pub(super) struct Room {
    waiting: Arc<AtomicUsize>,
    readings: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.readings, Ordering::Relaxed);
    }
}

/// The sequencer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Inlet {
    pub(super) fn new() -> (Self, Receiver<Given>) {
        let (give, take) = sync_channel(WAITING_MAX);
        let waiting = Arc::default();
        (Self { give, waiting }, take)
    }

    /// Gives, and waits for room; threads only, no tasks.
    pub(super) fn give(&self, given: Given) -> Result<(), Gone> {
        self.give.send(given).map_err(|_gone| Gone)
    }

    /// Gives without waiting; hands back what finds no room.
    pub(super) fn try_give(&self, given: Given) -> Result<(), Option<Given>> {
        match self.give.try_send(given) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(given)) => Err(Some(given)),
            Err(TrySendError::Disconnected(_)) => Err(None),
        }
    }

    /// Room for what is told; one message always finds some where nothing waits.
    fn room(&self, told: &Told) -> Option<Room> {
        let readings = match told {
            Told::Readings(readings) => readings.len(),
            Told::State { .. } | Told::Lost { .. } => 0,
        };
        let before = self.waiting.fetch_add(readings, Ordering::Relaxed);
        let room = Room {
            waiting: Arc::clone(&self.waiting),
            readings,
        };
        let fits = before == 0 || before + readings <= READINGS_MAX;
        fits.then_some(room)
    }

    /// A live sensor's way in.
    pub(super) fn outlet(&self, topic: Topic) -> Outlet {
        let (inlet, topic) = (self.clone(), Arc::new(topic));
        let take = move |told| {
            let Some(room) = inlet.room(&told) else {
                return Err(Refused::Full(told));
            };
            let given = Given::Told(Arc::clone(&topic), told, room);
            inlet.try_give(given).map_err(|back| match back {
                Some(Given::Told(_, told, _)) => Refused::Full(told),
                _ => Refused::Gone,
            })
        };
        Outlet::new(Arc::new(take))
    }
}
