//! The talk with one reader: find its speed, set it, ask and ask again.

use std::collections::{BTreeSet, VecDeque};

use super::Config;
use crate::link::outlet::Readings;
use crate::link::pipe::Moment;
use crate::link::supervise::{Action, Session};
use crate::observation::SourceState;
use crate::wire::framing::Splitter;
use crate::wire::tag_report::TagReport;
use crate::wire::uhfreader18::{
    Command, Family, Frame, Info, Inventory, ResponseFraming, SCAN_STEP_MS, Status, opcode,
};

/// Speeds at which a reader is looked for; makers set the first.
const BAUDS: [u32; 5] = [57_600, 115_200, 38_400, 19_200, 9600];
const INFO_MS: u64 = 500;
const SETTING_MS: u64 = 1000;
/// Beyond the scan time, for the answer's way.
const ANSWER_MS: u64 = 1000;
/// A line that pauses this long in a frame has lost the rest of it.
const PAUSE_MS: u64 = 100;
/// A question is asked so often before the reader is given up.
const TRIES: u32 = 3;
/// The shortest scan time that the readers take.
const SCAN_TIME_MIN: u8 = 3;
/// Readers of type 18 tell no strength: the middle of what readers tell, from which nobody concludes
/// a place.
const NO_RSSI_CDBM: i32 = -6500;
/// Readers of the family 288 tell a strength without a unit. Taken as dBm above this, which gives
/// what other readers tell of tags near and far; only differences within one reader mean anything.
const STRENGTH_ZERO_DBM: i32 = -129;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Info,
    Setting(Command),
    Inventory,
}

#[derive(Debug)]
pub(super) struct Talk {
    config: Config,
    splitter: Splitter<ResponseFraming>,
    actions: VecDeque<Action>,
    phase: Phase,
    phase_end_ms: u64,
    bytes_ms: u64,
    baud: usize,
    tries: u32,
    settings: VecDeque<Command>,
    info: Option<Info>,
    family: Family,
    ports: Vec<u8>,
    /// Which of the ports is asked.
    at: usize,
    /// Ports whose antennas the reader complains of.
    faulty: BTreeSet<u8>,
    /// More tags than the reader holds, in this inventory.
    is_full: bool,
    told: Option<String>,
    told_corrupt: u64,
    /// Whether a reader that reports by itself was told to wait for questions.
    was_hushed: bool,
}

impl Talk {
    pub(super) fn begin(config: Config, now: Moment) -> Self {
        let mut ports = config.ports.clone();
        if ports.is_empty() {
            ports.push(1);
        }
        let mut talk = Self {
            config,
            splitter: Splitter::default(),
            actions: VecDeque::new(),
            phase: Phase::Info,
            phase_end_ms: 0,
            bytes_ms: now.ms,
            baud: 0,
            tries: 0,
            settings: VecDeque::new(),
            info: None,
            family: Family::Type18,
            ports,
            at: 0,
            faulty: BTreeSet::new(),
            is_full: false,
            told: None,
            told_corrupt: 0,
            was_hushed: false,
        };
        talk.at_speed(0, now);
        talk
    }

    fn at_speed(&mut self, baud: usize, now: Moment) {
        self.baud = baud;
        self.tries = 0;
        self.splitter.clear();
        self.actions.push_back(Action::SetBaud(BAUDS[baud]));
        self.was_hushed = false;
        self.ask_info(now);
    }

    fn ask_info(&mut self, now: Moment) {
        self.send(Command::Info);
        self.enter(Phase::Info, INFO_MS, now);
    }

    fn enter(&mut self, phase: Phase, lasts_ms: u64, now: Moment) {
        self.tries += 1;
        self.phase = phase;
        self.phase_end_ms = now.ms + lasts_ms;
    }

    fn send(&mut self, command: Command) {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        self.actions.push_back(Action::Write(bytes));
    }

    fn end(&mut self, reason: impl Into<String>) {
        self.actions.push_back(Action::End(reason.into()));
    }

    fn scan_time(&self) -> u8 {
        self.config.scan_time.max(SCAN_TIME_MIN)
    }

    fn drain(&mut self, now: Moment) {
        let mut splitter = std::mem::take(&mut self.splitter);
        while let Some(frame) = splitter.next_frame().and_then(Frame::parse) {
            self.on_frame(now, frame);
        }
        self.splitter = splitter;
        if self.phase == Phase::Inventory {
            self.tell_damage();
        }
    }

    fn on_frame(&mut self, now: Moment, frame: Frame<'_>) {
        match self.phase {
            Phase::Info if frame.opcode == Command::Info.opcode() => {
                if let Ok(info) = Info::parse(frame) {
                    self.on_info(now, info);
                }
            }
            Phase::Setting(command) if frame.opcode == command.opcode() => {
                self.on_set(now, command, Status(frame.status));
            }
            Phase::Inventory if frame.opcode == Command::Inventory18.opcode() => {
                self.on_inventory(now, frame);
            }
            _ if frame.opcode == opcode::REPORT && !self.was_hushed => {
                self.was_hushed = true;
                self.send(Command::AnswerMode);
            }
            // An answer that came too late, a report that nobody asked for.
            _ => {}
        }
    }

    fn on_info(&mut self, now: Moment, info: Info) {
        let Some(family) = info.family() else {
            return self.end(format!("{info} is not known"));
        };
        self.info = Some(info);
        self.family = family;
        if family == Family::Type18 {
            self.ports.truncate(1);
        }
        if let Some(band) = self.config.band.filter(|band| *band != info.band) {
            self.settings.push_back(Command::SetBand(band));
        }
        if let Some(power) = self.config.power_dbm.filter(|power| *power != info.power) {
            self.settings.push_back(Command::SetPower(power));
        }
        if info.scan_time != self.scan_time() {
            self.settings
                .push_back(Command::SetScanTime(self.scan_time()));
        }
        self.next_setting(now);
    }

    fn next_setting(&mut self, now: Moment) {
        self.tries = 0;
        match self.settings.pop_front() {
            Some(command) => self.set(command, now),
            None => self.ask(now),
        }
    }

    fn set(&mut self, command: Command, now: Moment) {
        self.send(command);
        self.enter(Phase::Setting(command), SETTING_MS, now);
    }

    fn on_set(&mut self, now: Moment, command: Command, status: Status) {
        if status == Status::DONE {
            return self.next_setting(now);
        }
        self.end(match command {
            Command::SetBand(band) => format!("it does not have band {band}: {status}"),
            Command::SetPower(dbm) => format!("it does not have {dbm} dBm: {status}"),
            _ => format!("it refuses its scan time: {status}"),
        });
    }

    fn port(&self) -> u8 {
        self.ports.get(self.at).copied().unwrap_or(1)
    }

    /// One inventory on the port that is next.
    fn ask(&mut self, now: Moment) {
        let scan_time = self.scan_time();
        self.is_full = false;
        self.send(match self.family {
            Family::Type18 => Command::Inventory18,
            Family::Type288 => Command::Inventory288 {
                port: self.port(),
                scan_time,
            },
        });
        let lasts_ms = u64::from(scan_time) * SCAN_STEP_MS + ANSWER_MS;
        self.enter(Phase::Inventory, lasts_ms, now);
    }

    fn ask_next_port(&mut self, now: Moment) {
        self.tries = 0;
        self.at = (self.at + 1) % self.ports.len().max(1);
        self.tell_state();
        self.ask(now);
    }

    fn on_inventory(&mut self, now: Moment, frame: Frame<'_>) {
        let status = Status(frame.status);
        match status {
            Status::COMPLETE | Status::TIME_OVER | Status::MORE | Status::MEMORY_FULL => {
                self.faulty.remove(&self.port());
                self.is_full = status == Status::MEMORY_FULL;
                self.tell_tags(now, frame);
                if status == Status::MORE {
                    let lasts_ms = u64::from(self.scan_time()) * SCAN_STEP_MS + ANSWER_MS;
                    self.phase_end_ms = now.ms + lasts_ms;
                } else {
                    self.ask_next_port(now);
                }
            }
            Status::NO_TAG => {
                self.faulty.remove(&self.port());
                self.ask_next_port(now);
            }
            Status::ANTENNA => {
                self.faulty.insert(self.port());
                self.ask_next_port(now);
            }
            Status::STATISTICS => {}
            status => self.end(format!("it refuses to read: {status}")),
        }
    }

    fn tell_tags(&mut self, now: Moment, frame: Frame<'_>) {
        let inventory = match Inventory::parse(self.family, frame) {
            Ok(inventory) => inventory,
            Err(error) => {
                self.actions
                    .push_back(Action::Lost(1, format!("an answer with {error}")));
                return;
            }
        };
        let port = inventory.port.unwrap_or(self.port());
        let mut readings = Readings::default();
        for tag in &inventory.tags {
            let strength = |strength: u8| (i32::from(strength) + STRENGTH_ZERO_DBM) * 100;
            let rssi_cdbm = tag.strength.map_or(NO_RSSI_CDBM, strength);
            let report = TagReport::new(tag.epc, port.into(), rssi_cdbm);
            readings.push(now.wall, |out| report.write(out));
        }
        if !readings.is_empty() {
            self.actions.push_back(Action::Readings(readings));
        }
    }

    fn tell_damage(&mut self) {
        let corrupt = self.splitter.damage().corrupt;
        if corrupt > self.told_corrupt {
            let reason = "messages damaged on the line: look at the cable and its ground";
            let lost = corrupt - self.told_corrupt;
            self.actions
                .push_back(Action::Lost(lost, reason.to_owned()));
            self.told_corrupt = corrupt;
        }
    }

    fn tell_state(&mut self) {
        let faulty: Vec<String> = self.faulty.iter().map(u8::to_string).collect();
        let trouble = if !faulty.is_empty() {
            Some(format!(
                "antenna error at port {}: look at the antenna and its cable",
                faulty.join(", ")
            ))
        } else if self.is_full {
            Some("more tags than it holds: some were not told".to_owned())
        } else {
            None
        };
        let state = match &trouble {
            Some(_) => SourceState::Degraded,
            None => SourceState::Online,
        };
        let name = self.info.map_or_else(String::new, |info| info.to_string());
        let text = trouble.unwrap_or(name);
        if self.told.as_ref() != Some(&text) {
            self.told = Some(text.clone());
            self.actions.push_back(Action::State(state, text));
        }
    }

    fn on_phase_end(&mut self, now: Moment) {
        match self.phase {
            Phase::Info if self.tries < 2 => self.ask_info(now),
            Phase::Info if self.baud + 1 < BAUDS.len() => self.at_speed(self.baud + 1, now),
            Phase::Info => self.end(format!(
                "no UHFReader answers at any of {BAUDS:?} bit/s: look at its power, its cable, and \
                 whether it is one"
            )),
            Phase::Setting(command) if self.tries < TRIES => self.set(command, now),
            Phase::Inventory if self.tries < TRIES => self.ask(now),
            Phase::Setting(_) | Phase::Inventory => {
                self.end("it does not answer any more: look at its power and cable");
            }
        }
    }
}

impl Session for Talk {
    fn on_bytes(&mut self, now: Moment, bytes: &[u8]) {
        self.bytes_ms = now.ms;
        self.splitter.push(bytes);
        self.drain(now);
    }

    fn on_time(&mut self, now: Moment) {
        if self.splitter.is_waiting() && now.ms >= self.bytes_ms + PAUSE_MS {
            while self.splitter.is_waiting() {
                self.splitter.give_up();
                self.drain(now);
            }
        }
        if now.ms >= self.phase_end_ms {
            self.on_phase_end(now);
        }
    }

    fn deadline_ms(&self) -> u64 {
        if self.splitter.is_waiting() {
            self.phase_end_ms.min(self.bytes_ms + PAUSE_MS)
        } else {
            self.phase_end_ms
        }
    }

    /// It waits for questions anyway.
    fn on_stop(&mut self) {
        self.actions.clear();
    }

    fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
