//! A scale behind MQTT: any board that publishes its weight as a number, or as JSON with the weight
//! somewhere in it.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::silence::Silence;
use crate::clock::Monotonic;
use crate::link::outlet::{Gone, Outlet, Readings};
use crate::link::stopped;
use crate::link::subscriber::Heard;
use crate::observation::SourceState;
use crate::store::ScaleLive;
use crate::units::Timestamp;
use crate::wire::encode;

/// The longest message, bytes: boards that say more than this of a weight say something else.
const MESSAGE_MAX: usize = 16 << 10;

/// What a message says, grams; the error says what it holds instead.
pub fn grams(format: &ScaleLive, message: &[u8]) -> Result<f64, String> {
    if message.len() > MESSAGE_MAX {
        return Err(format!("a message of {} bytes", message.len()));
    }
    let document: Value =
        serde_json::from_slice(message).map_err(|error| format!("no JSON: {error}"))?;
    let found = match &format.path {
        Some(path) => path
            .find(&document)
            .ok_or_else(|| format!("nothing at {path}"))?,
        None => document.get("grams").unwrap_or(&document),
    };
    let number = match found {
        Value::Number(number) => number.as_f64(),
        // Boards that format their numbers themselves.
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| number.is_finite() && number.abs() < 1e9);
    let number = number.ok_or_else(|| {
        let found: String = found.to_string().chars().take(40).collect();
        format!("{found} where a number was expected; look at the scale's `path`")
    })?;
    Ok(number * format.unit.grams())
}

/// Listens until told to stop.
pub async fn run(
    topic: String,
    format: ScaleLive,
    mut heard: mpsc::Receiver<Heard>,
    outlet: Outlet,
    mut stop: watch::Receiver<bool>,
) {
    let mut scale = Scale {
        topic,
        format,
        outlet,
        clock: Monotonic::start(),
        silence: Silence::default(),
        connected: false,
    };
    loop {
        let now = scale.clock.millis();
        let over = scale.silence.over_ms().filter(|_| scale.connected);
        let patience = over.map_or(u64::MAX / 2, |over| over.saturating_sub(now));
        let done = tokio::select! {
            heard = heard.recv() => match heard {
                Some(heard) => scale.on(heard).await,
                None => return,
            },
            () = tokio::time::sleep(Duration::from_millis(patience.min(3_600_000))) => scale.silent().await,
            () = stopped(&mut stop) => return,
        };
        if done.is_err() {
            return;
        }
    }
}

struct Scale {
    topic: String,
    format: ScaleLive,
    outlet: Outlet,
    clock: Monotonic,
    silence: Silence,
    connected: bool,
}

impl Scale {
    async fn on(&mut self, heard: Heard) -> Result<(), Gone> {
        match heard {
            Heard::Connected => {
                self.connected = true;
                self.silence.listening(self.clock.millis());
                Ok(())
            }
            Heard::Message {
                arrived_at,
                payload,
            } => self.message(arrived_at, &payload).await,
            Heard::Lost(lost) => self
                .outlet
                .lose(lost, "messages came faster than they were read"),
            Heard::Disconnected(why) => {
                self.connected = false;
                self.silence.interrupted();
                let why = format!("no broker to hear `{}` from: {why}", self.topic);
                self.outlet.state(SourceState::Offline, &why).await
            }
        }
    }

    async fn message(&mut self, arrived_at: Timestamp, payload: &[u8]) -> Result<(), Gone> {
        self.silence.heard(self.clock.millis());
        match grams(&self.format, payload) {
            Ok(grams) => {
                self.outlet.state(SourceState::Online, "").await?;
                let reading = Readings::one(arrived_at, encode::weight(grams));
                self.outlet.readings(reading).await
            }
            Err(why) => {
                let reason = format!("on `{}`: {why}", self.topic);
                self.outlet.state(SourceState::Degraded, &reason).await?;
                self.outlet.lose(1, "a message that tells no weight")
            }
        }
    }

    async fn silent(&mut self) -> Result<(), Gone> {
        if self
            .silence
            .over_ms()
            .is_none_or(|over| self.clock.millis() < over)
        {
            return Ok(());
        }
        let why = if self.silence.has_spoken() {
            format!(
                "nothing on `{}` any more; look at the board and its power",
                self.topic
            )
        } else {
            format!(
                "nothing has come on `{}` since it is listened to; look at the topic's spelling, the \
                 board and its power",
                self.topic
            )
        };
        self.silence.interrupted();
        self.outlet.state(SourceState::Offline, &why).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{JsonPath, MassUnit};

    #[test]
    fn weights_are_found_where_boards_put_them() {
        let plain = ScaleLive::default();
        let at = |path, unit| ScaleLive {
            path: JsonPath::parse(path),
            unit,
        };
        for (format, message, grams_expected) in [
            (&plain, "12.5", 12.5),
            (&plain, r#"{"grams": -3}"#, -3.0),
            (
                &at("HX711.Weight", MassUnit::Kilogram),
                r#"{"HX711": {"Weight": 0.25}}"#,
                250.0,
            ),
            (
                &at("cells[1]", MassUnit::Ounce),
                r#"{"cells": [0, "2"]}"#,
                56.699_046_25,
            ),
        ] {
            assert_eq!(
                grams(format, message.as_bytes()),
                Ok(grams_expected),
                "{message}"
            );
        }
        for message in ["", "[]", "NaN", "{\"grams\": null}", "1e400", "\"heavy\""] {
            assert!(grams(&plain, message.as_bytes()).is_err(), "{message}");
        }
        let deep = vec![b'['; MESSAGE_MAX];
        assert!(grams(&plain, &deep).is_err());
    }
}
