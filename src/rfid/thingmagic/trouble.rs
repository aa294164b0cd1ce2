//! What a reading module suffers from, and when it is over.

use std::collections::BTreeMap;

use super::Config;
use crate::wire::thingmagic::{Fault, StatusReport};

/// A fault that is not told again for so long is over.
const OVER_MS: u64 = 3000;
/// A port whose tags were heard in that time has a sound antenna.
const HEARD_MS: u64 = 10_000;

#[derive(Debug)]
pub(super) struct Troubles {
    ports: Vec<u16>,
    /// When a port's tags were last heard.
    heard_ms: BTreeMap<u16, u64>,
    /// What the module last complained of, and when.
    fault: Option<(Fault, u64)>,
    temperature_c: Option<i8>,
    /// What was told last.
    told: Option<String>,
    text: Option<String>,
}

impl Troubles {
    pub(super) fn new(config: &Config) -> Self {
        let ports = config.ports.iter().map(|antenna| antenna.port.into());
        Self {
            ports: ports.collect(),
            heard_ms: BTreeMap::new(),
            fault: None,
            temperature_c: None,
            told: None,
            text: None,
        }
    }

    pub(super) fn on_tag(&mut self, now_ms: u64, port: u16) {
        self.heard_ms.insert(port, now_ms);
        self.on_alive(now_ms);
    }

    pub(super) fn on_alive(&mut self, now_ms: u64) {
        let over = |(_, last_ms): (Fault, u64)| now_ms >= last_ms + OVER_MS;
        if self.fault.is_some_and(over) {
            self.fault = None;
            self.text = None;
        }
    }

    pub(super) fn on_status(&mut self, status: StatusReport) {
        self.temperature_c = status.temperature_c.or(self.temperature_c);
    }

    pub(super) fn on_fault(&mut self, now_ms: u64, fault: Fault) {
        let is_new = self.fault.is_none_or(|(known, _)| known != fault);
        self.fault = Some((fault, now_ms));
        if is_new {
            self.text = Some(self.describe(fault, now_ms));
        }
    }

    fn describe(&self, fault: Fault, now_ms: u64) -> String {
        match fault {
            Fault::TOO_HOT => {
                let told = self
                    .temperature_c
                    .map_or_else(String::new, |celsius| format!(" at {celsius} °C"));
                format!(
                    "{fault}{told}: it rests and reads little or nothing; let it cool, and look at \
                     its ventilation, its mounting and its power"
                )
            }
            Fault::HIGH_RETURN_LOSS | Fault::NO_ANTENNA => format!(
                "{fault}: look at the antenna and its cable of {}: loose, cut, or of the wrong kind",
                self.suspects(now_ms)
            ),
            Fault::BUFFER_FULL => format!("{fault}: more tags than it can hold"),
            _ => fault.to_string(),
        }
    }

    /// The module does not say which port it means: those that no tag was heard on, else all.
    fn suspects(&self, now_ms: u64) -> String {
        let heard = |port: &&u16| {
            self.heard_ms
                .get(port)
                .is_some_and(|last_ms| now_ms < last_ms + HEARD_MS)
        };
        let silent: Vec<&u16> = self.ports.iter().filter(|port| !heard(port)).collect();
        let all: Vec<&u16> = self.ports.iter().collect();
        let suspects = if silent.is_empty() { all } else { silent };
        let names: Vec<String> = suspects.iter().map(ToString::to_string).collect();
        match &names[..] {
            [] => "port 1".to_owned(),
            [one] => format!("port {one}"),
            several => format!("ports {}", several.join(", ")),
        }
    }

    /// What to tell, where it is another than was told: a trouble, or that there is none.
    pub(super) fn news(&mut self) -> Option<Option<String>> {
        if self.text == self.told {
            return None;
        }
        self.told.clone_from(&self.text);
        Some(self.text.clone())
    }
}
