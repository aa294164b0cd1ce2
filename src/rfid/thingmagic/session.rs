//! The talk with one module: find its speed, stop what it does, set it up, listen.

use std::collections::VecDeque;

use super::Config;
use super::setup::{Setup, Step, Verdict};
use super::trouble::Troubles;
use crate::link::outlet::Readings;
use crate::link::pipe::Moment;
use crate::link::supervise::{Action, Session};
use crate::observation::SourceState;
use crate::units::{TimeDelta, Timestamp};
use crate::wire::framing::Splitter;
use crate::wire::tag_report::TagReport;
use crate::wire::thingmagic::{Command, Frame, Response, ResponseFraming, Tag, opcode};

/// Speeds at which a module is looked for: as makers set them, then as others leave them.
const BAUDS: [u32; 7] = [115_200, 9600, 921_600, 57_600, 38_400, 19_200, 230_400];
/// A module that reads hears an order to stop at the end of its cycle, a second at most.
const QUIETEN_MS: u64 = 1100;
const VERSION_MS: u64 = 400;
/// A module that is heard at a speed is asked so often there.
const TRIES: u32 = 4;
/// A line that pauses this long in a frame has lost the rest of it.
const PAUSE_MS: u64 = 100;
/// A read told later than this after it happened has a wrong stamp.
const LATE_MAX_MS: u64 = 10_000;
const NO_RSSI_CDBM: i32 = -6500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It was told to stop; what it still says is not for us.
    Quieten,
    /// It was asked who it is.
    Version,
    Setup(Step),
    Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Forget,
    Tell,
}

#[derive(Debug)]
pub(super) struct Talk {
    config: Config,
    splitter: Splitter<ResponseFraming>,
    actions: VecDeque<Action>,
    phase: Phase,
    /// When the phase has lasted long enough.
    phase_end_ms: u64,
    /// The last bytes of any kind.
    bytes_ms: u64,
    baud: usize,
    tries: u32,
    /// Whether anything sensible was heard at this speed.
    heard_here: bool,
    setup: Setup,
    troubles: Troubles,
    /// When the module last said that a cycle ended: its reads count from there.
    cycle_ms: u64,
    /// The latest time in this cycle that a read told.
    in_cycle_ms: u64,
    /// Damaged frames that were told already, or that are of before the read.
    told_corrupt: u64,
    malformed: u64,
    /// Whether damage is to be told, or what was so far forgotten.
    damage: Option<Damage>,
    readings: Readings,
}

impl Talk {
    pub(super) fn begin(config: Config, now: Moment) -> Self {
        let mut talk = Self {
            setup: Setup::new(&config),
            troubles: Troubles::new(&config),
            config,
            splitter: Splitter::default(),
            actions: VecDeque::new(),
            phase: Phase::Quieten,
            phase_end_ms: 0,
            bytes_ms: now.ms,
            baud: 0,
            tries: 0,
            heard_here: false,
            cycle_ms: now.ms,
            in_cycle_ms: 0,
            told_corrupt: 0,
            malformed: 0,
            damage: None,
            readings: Readings::default(),
        };
        talk.at_speed(0, now);
        talk
    }

    fn at_speed(&mut self, baud: usize, now: Moment) {
        self.baud = baud;
        self.tries = 0;
        self.heard_here = false;
        self.splitter.clear();
        self.actions.push_back(Action::SetBaud(BAUDS[baud]));
        self.quieten(now);
    }

    fn quieten(&mut self, now: Moment) {
        self.tries += 1;
        self.send(Command::Stop);
        self.enter(Phase::Quieten, QUIETEN_MS, now);
    }

    fn ask_version(&mut self, now: Moment) {
        self.send(Command::Version);
        self.enter(Phase::Version, VERSION_MS, now);
    }

    fn enter(&mut self, phase: Phase, lasts_ms: u64, now: Moment) {
        self.phase = phase;
        self.phase_end_ms = now.ms.saturating_add(lasts_ms);
    }

    fn send(&mut self, command: Command<'_>) {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        self.actions.push_back(Action::Write(bytes));
    }

    fn end(&mut self, reason: impl Into<String>) {
        self.actions.push_back(Action::End(reason.into()));
    }

    fn state(&mut self, state: SourceState, reason: String) {
        self.actions.push_back(Action::State(state, reason));
    }

    /// Takes all whole frames.
    fn drain(&mut self, now: Moment) {
        let mut splitter = std::mem::take(&mut self.splitter);
        while let Some(frame) = splitter.next_frame().and_then(Frame::parse) {
            self.heard_here = true;
            match Response::parse(frame) {
                Ok(response) => self.on_response(now, frame, response),
                Err(error) => {
                    tracing::debug!(%error, opcode = frame.opcode, "a message of no known form");
                    self.malformed += 1;
                }
            }
        }
        self.splitter = splitter;
        match self.damage.take() {
            Some(Damage::Forget) => self.forget_damage(),
            Some(Damage::Tell) => self.tell_damage(),
            None => {}
        }
        if !self.readings.is_empty() {
            let readings = std::mem::take(&mut self.readings);
            self.actions.push_back(Action::Readings(readings));
        }
    }

    fn on_response(&mut self, now: Moment, frame: Frame<'_>, response: Response<'_>) {
        match self.phase {
            Phase::Quieten if frame.opcode == opcode::MULTI_PROTOCOL => self.ask_version(now),
            Phase::Version if frame.opcode == opcode::VERSION => self.on_version(now, response),
            Phase::Setup(step) if frame.opcode == step.opcode() => {
                self.on_answer(now, step, response);
            }
            Phase::Reading => self.on_stream(now, response),
            // The end of a stream that was stopped, an answer that came too late.
            _ => {}
        }
    }

    fn on_version(&mut self, now: Moment, response: Response<'_>) {
        if let Response::Version(version) = response {
            self.setup.begin(version, BAUDS[self.baud]);
            self.next_step(now);
        }
    }

    fn on_answer(&mut self, now: Moment, step: Step, response: Response<'_>) {
        match self.setup.on_answer(step, response) {
            Verdict::Next => self.next_step(now),
            Verdict::NextAt(baud) => {
                self.actions.push_back(Action::SetBaud(baud));
                self.next_step(now);
            }
            Verdict::Wrong(reason) => self.end(reason),
            Verdict::Other => {}
        }
    }

    fn next_step(&mut self, now: Moment) {
        match self.setup.next_step() {
            Some(step) => {
                self.tries = 0;
                self.ask(step, now);
            }
            None => {
                self.on_cycle(now.ms);
                self.damage = Some(Damage::Forget);
                self.enter(Phase::Reading, self.silence_ms(), now);
                let reason = self.setup.summary();
                self.state(SourceState::Online, reason);
            }
        }
    }

    fn ask(&mut self, step: Step, now: Moment) {
        self.tries += 1;
        let mut bytes = Vec::new();
        self.setup.encode(step, &mut bytes);
        self.actions.push_back(Action::Write(bytes));
        self.enter(Phase::Setup(step), step.patience_ms(), now);
    }

    fn silence_ms(&self) -> u64 {
        u64::try_from(self.config.silence.as_millis()).unwrap_or(u64::MAX)
    }

    fn on_stream(&mut self, now: Moment, response: Response<'_>) {
        self.phase_end_ms = now.ms.saturating_add(self.silence_ms());
        match response {
            Response::Tag(tag) => {
                let port = self.port_of(&tag);
                self.troubles.on_tag(now.ms, port);
                let captured_at = self.captured_at(now, &tag);
                self.readings
                    .push(captured_at, |out| report(&tag, port).write(out));
            }
            Response::KeepAlive => {
                self.on_cycle(now.ms);
                self.damage = self.damage.or(Some(Damage::Tell));
                self.troubles.on_alive(now.ms);
            }
            Response::Status(status) => self.troubles.on_status(status),
            Response::Fault { fault, .. } if fault.is_fatal() => {
                return self.end(format!("the module has failed: {fault}"));
            }
            Response::Fault { fault, .. } => self.troubles.on_fault(now.ms, fault),
            Response::Ended | Response::Stopped => return self.end("it has stopped reading"),
            Response::Version(_) => return self.end("it has started anew"),
            _ => {}
        }
        self.tell_troubles();
    }

    fn port_of(&self, tag: &Tag<'_>) -> u16 {
        let first = self.config.ports.first().map_or(1, |antenna| antenna.port);
        tag.port.unwrap_or(first).into()
    }

    fn on_cycle(&mut self, began_ms: u64) {
        self.cycle_ms = began_ms;
        self.in_cycle_ms = 0;
    }

    /// The module counts from the end of its last cycle; what it cannot have meant is now.
    fn captured_at(&mut self, now: Moment, tag: &Tag<'_>) -> Timestamp {
        let Some(in_cycle_ms) = tag.in_cycle_ms.map(u64::from) else {
            return now.wall;
        };
        // It began to count anew, and what it said of that was lost on the line.
        if in_cycle_ms < self.in_cycle_ms {
            self.on_cycle(now.ms.saturating_sub(in_cycle_ms));
        }
        self.in_cycle_ms = in_cycle_ms;
        let since_cycle = now.ms.saturating_sub(self.cycle_ms);
        let late = since_cycle.saturating_sub(in_cycle_ms);
        let late = if late > LATE_MAX_MS { 0 } else { late };
        now.wall - TimeDelta::from_millis(late as i64)
    }

    fn tell_troubles(&mut self) {
        if let Some(trouble) = self.troubles.news() {
            match trouble {
                Some(reason) => self.state(SourceState::Degraded, reason),
                None => {
                    let reason = self.setup.summary();
                    self.state(SourceState::Online, reason);
                }
            }
        }
    }

    fn forget_damage(&mut self) {
        self.told_corrupt = self.splitter.damage().corrupt;
        self.malformed = 0;
    }

    /// Each damaged frame was a read or a sign of life.
    fn tell_damage(&mut self) {
        let lost = self.splitter.damage().corrupt - self.told_corrupt + self.malformed;
        if lost > 0 {
            let reason = "messages damaged on the line: look at the cable and its ground";
            self.actions
                .push_back(Action::Lost(lost, reason.to_owned()));
            self.forget_damage();
        }
    }

    fn on_phase_end(&mut self, now: Moment) {
        match self.phase {
            Phase::Quieten => self.ask_version(now),
            Phase::Version if self.heard_here && self.tries < TRIES => self.quieten(now),
            Phase::Version if self.baud + 1 < BAUDS.len() => self.at_speed(self.baud + 1, now),
            Phase::Version => {
                self.end(format!(
                    "no ThingMagic module answers at any of {BAUDS:?} bit/s: look at its power, its \
                     cable, and whether it is one"
                ));
            }
            Phase::Setup(step) if self.tries < 2 => self.ask(step, now),
            Phase::Setup(step) => self.end(format!("it does not answer when {step}")),
            Phase::Reading => {
                let ms = self.silence_ms();
                self.end(format!(
                    "it said nothing for {ms} ms, not even that it lives: look at its power and cable"
                ));
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

    fn on_stop(&mut self) {
        self.actions.clear();
        self.send(Command::Stop);
    }

    fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}

fn report<'a>(tag: &Tag<'a>, port: u16) -> TagReport<'a> {
    let rssi_cdbm = tag
        .rssi_dbm
        .map_or(NO_RSSI_CDBM, |dbm| i32::from(dbm) * 100);
    TagReport {
        count: tag.count.map_or(1, |count| u32::from(count).max(1)),
        phase_cdeg: tag.phase_deg.map(|degrees| u32::from(degrees) * 100),
        frequency_khz: tag.frequency_khz,
        ..TagReport::new(tag.epc, port, rssi_cdbm)
    }
}
