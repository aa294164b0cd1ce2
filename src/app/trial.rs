//! A recording played through the engine in this process, for whoever measures rather than watches:
//! messages decoded once, played as often as one likes with one store or another.
//!
//! Frames without detections are not looked at here: no model runs.

use std::path::Path;
use std::sync::Arc;

use super::routes::Routes;
use crate::engine::{Engine, Input, Output};
use crate::recording::{self, Message, RecordingError};
use crate::store::Store;
use crate::units::Timestamp;
use crate::wire::event::{Origin, encode};
use crate::wire::message::{Decoded, Route, capture_time, decode};

/// What the engine is given of a recording, in its order.
#[derive(Debug, Clone)]
pub struct Tape {
    inputs: Vec<(Timestamp, Input)>,
    journal: String,
    timers_journaled: bool,
    /// Messages that are nothing to the engine.
    pub ignored: u64,
}

impl Tape {
    /// Decodes a recording for a store.
    pub fn read(store: &Store, path: &Path) -> Result<Self, RecordingError> {
        let paths = [path.to_owned()];
        let facts = recording::facts(&paths)?;
        let mut tape = Self {
            inputs: Vec::new(),
            journal: facts.journal(),
            timers_journaled: facts.timers_journaled(),
            ignored: 0,
        };
        let mut routes = Routes::default();
        recording::read(&paths, &facts, |message| {
            tape.take(store, &mut routes, message);
        })?;
        Ok(tape)
    }

    fn take(&mut self, store: &Store, routes: &mut Routes, message: &Message<'_>) {
        let at = Timestamp::from_nanos(message.log_time);
        let published = Timestamp::from_nanos(message.publish_time);
        let captured_at = capture_time(at, published).unwrap_or(at);
        let decoded = match routes.of(store, message.channel) {
            Route::Ignored(_) | Route::NotInStore(_) => None,
            known => decode(store, known, captured_at, message.payload).ok(),
        };
        match decoded {
            Some(Decoded::Input(input) | Decoded::Partly(input, _)) => {
                self.inputs.push((at, input));
            }
            Some(Decoded::Image(_)) | None => self.ignored += 1,
        }
    }

    /// Lets the engine's own deadlines fire where those of another run were recorded.
    pub fn free_timers(&mut self) {
        self.timers_journaled = false;
        self.inputs
            .retain(|(_, input)| !matches!(input, Input::Timeout(_)));
    }

    /// How many inputs there are.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// From the first input to the last, seconds.
    pub fn length_s(&self) -> f64 {
        let ends = self.inputs.first().zip(self.inputs.last());
        ends.map_or(0.0, |(first, last)| last.0.secs_since(first.0))
    }

    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The events that the engine makes of it, a line each.
    pub fn play(&self, store: &Arc<Store>) -> String {
        let mut engine = Engine::new(Arc::clone(store));
        let origin = Origin {
            store: store.id.clone(),
            journal: self.journal.clone(),
        };
        let mut lines = String::new();
        let mut drain = |engine: &mut Engine| {
            while let Some(output) = engine.poll_output() {
                if let Output::Event(event) = output {
                    lines.push_str(&encode(store, &origin, &event));
                    lines.push('\n');
                }
            }
        };
        for (at, input) in &self.inputs {
            while let Some((due, why)) = engine
                .poll_timeout()
                .filter(|(due, _)| !self.timers_journaled && due <= at)
            {
                engine.handle(due, Input::Timeout(why));
                drain(&mut engine);
            }
            engine.handle(*at, input.clone());
            drain(&mut engine);
        }
        lines
    }
}
