//! What sensors say, put into the order: readings decoded and given on, how sensors are, what of them
//! was lost.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{CANNOT_WRITE, Sequencer};
use crate::app::run::given::{Sensed, Topic};
use crate::engine::Input;
use crate::link::outlet::{Readings, Told};
use crate::observation::{SourceReport, SourceState};
use crate::units::Timestamp;
use crate::wire::encode;
use crate::wire::message::{Decoded, Route, capture_time, decode, route};

impl Sequencer {
    pub(super) fn sensed(&mut self, sensed: &Sensed) {
        match sensed.at {
            Some(at) => self.now = self.now.max(at),
            None => self.advance(),
        }
        let topic = &sensed.topic;
        let route = self.route(topic);
        match self.reading(topic, &route, sensed.captured_at, &sensed.payload) {
            Ok(true) => self.heard(topic, 1),
            Ok(false) => {}
            Err(why) => self.health.lose(&why, 1),
        }
    }

    fn route(&mut self, topic: &Arc<Topic>) -> Arc<Route> {
        if let Some(found) = self.routes.get(topic) {
            return Arc::clone(found);
        }
        let found = route(&self.store, &topic.topic, &topic.schema, &topic.encoding);
        let found = Arc::new(found);
        self.routes.insert(Arc::clone(topic), Arc::clone(&found));
        found
    }

    /// Takes one message at the present time; `false` where it is nothing for the engine. The error
    /// says what was lost with it.
    fn reading(
        &mut self,
        topic: &Topic,
        route: &Route,
        captured_at: Timestamp,
        payload: &[u8],
    ) -> Result<bool, String> {
        let at = self.now;
        match route {
            Route::Ignored(why) | Route::NotInStore(why) => return Err(why.clone()),
            // Another journal's deadlines are not this engine's.
            Route::Timer => return Ok(false),
            _ => {}
        }
        let sensed_at = captured_at;
        let captured_at = capture_time(at, sensed_at).unwrap_or(at);
        let decoded = decode(&self.store, route, captured_at, payload);
        let input = match decoded.map_err(|why| format!("{}: {why}", topic.topic))? {
            Decoded::Input(input) => input,
            Decoded::Partly(input, lost) => {
                for (n, why) in lost {
                    self.health.lose(&format!("{}: {why}", topic.topic), n);
                }
                input
            }
            Decoded::Image(_) => {
                if self.settings.state.keep_frames {
                    self.journal_it(topic, (at, sensed_at), payload);
                }
                return Ok(false);
            }
        };
        self.give(topic, (at, captured_at), payload, input);
        Ok(true)
    }

    /// What a live sensor tells.
    pub(super) fn told(&mut self, topic: &Arc<Topic>, told: Told) {
        let source = topic.source.clone();
        match told {
            Told::Readings(readings) => self.readings(topic, &readings),
            Told::State { state, reason } => {
                self.states.want(source, state, reason);
                self.tell_states();
            }
            Told::Lost { lost, reason } => {
                self.advance();
                self.source(SourceReport::Gap {
                    source,
                    lost,
                    reason,
                });
            }
        }
    }

    fn readings(&mut self, topic: &Arc<Topic>, readings: &Readings) {
        self.advance();
        let route = self.route(topic);
        let mut taken = 0;
        for (captured_at, payload) in readings.iter() {
            match self.reading(topic, &route, captured_at, payload) {
                Ok(_) if self.broken.is_none() => taken += 1,
                Ok(_) => break,
                Err(why) => self.health.lose(&why, 1),
            }
        }
        if let Some(broken) = &mut self.broken {
            let rest = readings.len() as u64 - taken;
            *broken.lost.entry(topic.source.clone()).or_insert(0) += rest;
        }
        self.heard(topic, taken);
    }

    /// An event whose caller waits.
    pub(super) fn event(&mut self, sensed: &Sensed, answer: oneshot::Sender<Result<(), String>>) {
        self.advance();
        let route = self.route(&sensed.topic);
        let taken = self.reading(&sensed.topic, &route, sensed.captured_at, &sensed.payload);
        let refused = match taken {
            Err(why) => Some(why),
            Ok(_) if self.broken.is_some() => Some(CANNOT_WRITE.to_owned()),
            Ok(_) => None,
        };
        // Whoever asked may have gone.
        if let Some(why) = refused {
            drop(answer.send(Err(why)));
            return;
        }
        self.heard(&sensed.topic, 1);
        self.then.push(Box::new(move || drop(answer.send(Ok(())))));
    }

    fn heard(&self, topic: &Topic, messages: u64) {
        let sensor = !matches!(topic.topic.as_str(), "/command" | "/source" | "/gap");
        if sensor && messages > 0 {
            let at = self.now;
            self.health
                .heard(&topic.source, messages, &|| at.to_string());
        }
    }

    /// Tells how live sensors are, as far as it may be told by now.
    pub(super) fn tell_states(&mut self) {
        while let Some((source, state, reason)) = self.states.next(self.watch.millis()) {
            self.advance();
            self.source(SourceReport::State {
                source,
                state,
                reason,
            });
            if self.broken.is_some() {
                return;
            }
        }
    }

    /// A sensor that is read no longer is not away: nobody would ever say that it is back.
    pub(super) fn parted(&mut self, source: &str) {
        self.states.forget(source);
        self.advance();
        self.source(SourceReport::State {
            source: source.to_owned(),
            state: SourceState::Online,
            reason: "the store file names no source for it any more".to_owned(),
        });
        self.health.forget(source);
    }

    pub(super) fn source(&mut self, report: SourceReport) {
        let at = self.now;
        let (topic, schema) = match &report {
            SourceReport::State {
                source,
                state,
                reason,
            } => {
                match state {
                    SourceState::Online if reason.is_empty() => tracing::info!(source, "online"),
                    SourceState::Online => tracing::info!(source, "online: {reason}"),
                    SourceState::Degraded => tracing::warn!(source, "degraded: {reason}"),
                    SourceState::Offline => tracing::warn!(source, "offline: {reason}"),
                }
                self.health.source(source, *state, reason, at.to_string());
                ("/source", "basketd.SourceState")
            }
            SourceReport::Gap {
                source,
                lost,
                reason,
            } => {
                self.health.lose(&format!("{source}: {reason}"), *lost);
                ("/gap", "basketd.SourceGap")
            }
        };
        let bytes = encode::source(&report);
        let topic = Topic::json(topic, schema);
        self.give(&topic, (at, at), &bytes, Input::Source(report));
    }
}
