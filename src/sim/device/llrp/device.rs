//! The reader as a value: a request goes in, bytes come out. Its configuration and its ROSpecs
//! outlive a connection, as they do in a real one.

use std::collections::{BTreeMap, BTreeSet};

use super::demands::{self, Fault};
use super::report::{self, Read};
use super::rospec::{Rospec, State};
use super::{ReaderSetup, Reading, Refuses, answers};
use crate::wire::llrp::{Draft, Element, Message, Version};

#[derive(Debug)]
pub(super) struct Device {
    pub(super) setup: ReaderSetup,
    pub(super) rospecs: BTreeMap<u32, Rospec>,
    pub(super) accessspecs: BTreeSet<u32>,
    pub(super) disconnected: BTreeSet<u16>,
    pub(super) keepalive_ms: u32,
    /// Reports and events wait for ENABLE_EVENTS_AND_REPORTS when a client comes.
    holds: bool,
    holding: bool,
    /// Events that the client wants, by NotificationEventType.
    events: BTreeSet<u64>,
    /// Impinj's parameters are taken, for this connection.
    extensions: bool,
    version: Version,
    last_id: u32,
    pub(super) refused: Vec<String>,
    out: Vec<u8>,
}

impl Device {
    pub(super) fn new(setup: ReaderSetup) -> Self {
        let mut device = Self {
            holds: setup.holds,
            holding: false,
            rospecs: BTreeMap::new(),
            accessspecs: BTreeSet::new(),
            disconnected: BTreeSet::new(),
            keepalive_ms: 0,
            events: BTreeSet::new(),
            extensions: false,
            version: setup.version,
            last_id: 0,
            refused: Vec::new(),
            out: Vec::new(),
            setup,
        };
        if device.setup.left_running {
            device.leave_running();
        }
        device
    }

    /// What another client may leave behind.
    fn leave_running(&mut self) {
        let inventory = crate::wire::llrp::commands::Inventory::new(77);
        if let Ok(element) = inventory.rospec().element() {
            let mut rospec = Rospec::new(&element, self.setup.antennas, self.uptime());
            rospec.begin(0);
            self.rospecs.insert(77, rospec);
            self.accessspecs.insert(5);
        }
    }

    /// A client has come.
    pub(super) fn connect(&mut self) {
        self.extensions = false;
        self.holding = self.holds;
        self.version = self.setup.version;
    }

    /// What is to be sent.
    pub(super) fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Does what a message asks; false where the connection is to be closed.
    pub(super) fn hear(&mut self, message: &Message, now_us: u64) -> bool {
        let name = message.name();
        match name {
            "KEEPALIVE_ACK" => return true,
            "ENABLE_EVENTS_AND_REPORTS" => {
                self.holding = false;
                return true;
            }
            _ => {}
        }
        let response = message.body.definition().and_then(|d| d.response);
        let Some(response) = response else {
            let fault = Fault::new("M_UnsupportedMessage", format!("no request: {name}"));
            self.refuse(message.id, "ERROR_MESSAGE", &fault);
            return true;
        };
        let answered = self
            .speaks(message)
            .map_err(|fault| ("ERROR_MESSAGE", fault))
            .and_then(|()| {
                // A report has no place for a status.
                let refusal = match response {
                    "RO_ACCESS_REPORT" => "ERROR_MESSAGE",
                    response => response,
                };
                self.answer(message, response, now_us)
                    .map_err(|fault| (refusal, fault))
            });
        match answered {
            Ok(Some(answer)) => self.say(message.id, &answer),
            Ok(None) => {}
            Err((response, fault)) => self.refuse(message.id, response, &fault),
        }
        self.start_immediate(now_us);
        name != "CLOSE_CONNECTION"
    }

    fn speaks(&self, message: &Message) -> Result<(), Fault> {
        let asks = message.name() == "GET_SUPPORTED_VERSION";
        if message.version == self.version || (asks && self.setup.version == Version::V1_1) {
            return Ok(());
        }
        let text = format!("version {} is not spoken here", message.version as u8);
        Err(Fault::new("M_UnsupportedVersion", text))
    }

    fn answer(
        &mut self,
        message: &Message,
        response: &str,
        now_us: u64,
    ) -> Result<Option<Draft>, Fault> {
        demands::manners(message)?;
        demands::extensions(&message.body, self.extensions)?;
        let id = |field: &str| {
            let id = message.field(field).and_then(|id| id.as_u64());
            id.unwrap_or(0) as u32
        };
        match message.name() {
            "GET_READER_CAPABILITIES" => {
                return Ok(Some(answers::capabilities(&self.setup, response)));
            }
            "GET_READER_CONFIG" => return Ok(Some(self.config(response))),
            "SET_READER_CONFIG" => self.configure(message)?,
            "ADD_ROSPEC" => self.add(message)?,
            "DELETE_ROSPEC" => self.each(id("ROSpecID"), Self::delete)?,
            "ENABLE_ROSPEC" => self.each(id("ROSpecID"), Self::enable)?,
            "DISABLE_ROSPEC" => self.each(id("ROSpecID"), Self::disable)?,
            "START_ROSPEC" => self.start(id("ROSpecID"), now_us)?,
            "STOP_ROSPEC" => self.stop(id("ROSpecID"), now_us)?,
            "DELETE_ACCESSSPEC" => self.accessspecs.clear(),
            "IMPINJ_ENABLE_EXTENSIONS" => self.enable_extensions()?,
            "GET_REPORT" => return self.get_report(message.id),
            "GET_SUPPORTED_VERSION" => {
                let version = self.setup.version as u8;
                let answer = answers::success(response)
                    .set("CurrentVersion", self.version as u8)
                    .set("SupportedVersion", version);
                return Ok(Some(answer));
            }
            "SET_PROTOCOL_VERSION" | "CLOSE_CONNECTION" => {}
            other => {
                let text = format!("{other} cannot be done here");
                return Err(Fault::new("M_UnsupportedMessage", text));
            }
        }
        Ok(Some(answers::success(response)))
    }

    fn config(&self, response: &str) -> Draft {
        answers::config(
            &self.setup,
            &self.disconnected,
            self.holds,
            self.keepalive_ms,
            response,
        )
    }

    fn configure(&mut self, message: &Message) -> Result<(), Fault> {
        if message.param("EventsAndReports").is_some()
            && self.setup.refuses.contains(&Refuses::Holding)
        {
            let text = "EventsAndReports: this reader cannot hold";
            return Err(Fault::new("M_UnsupportedParameter", text));
        }
        for antenna in message.params("AntennaConfiguration") {
            demands::antenna_configuration(antenna, &self.setup)?;
        }
        if message
            .field("ResetToFactoryDefault")
            .and_then(|f| f.as_bool())
            == Some(true)
        {
            self.rospecs.clear();
            self.accessspecs.clear();
            self.events.clear();
            self.keepalive_ms = 0;
        }
        if let Some(spec) = message.param("KeepaliveSpec") {
            let on = spec.entry("KeepaliveTriggerType") == Some("Periodic");
            let period = spec.number("PeriodicTriggerValue").unwrap_or(0) as u32;
            self.keepalive_ms = if on { period } else { 0 };
        }
        if let Some(hold) = message.param("EventsAndReports") {
            self.holds = hold.number("HoldEventsAndReportsUponReconnect") == Some(1);
        }
        if let Some(spec) = message.param("ReaderEventNotificationSpec") {
            self.choose_events(spec);
        }
        Ok(())
    }

    fn choose_events(&mut self, spec: &Element) {
        for state in spec.params("EventNotificationState") {
            let event = state.number("EventType").unwrap_or(0);
            if state.number("NotificationState") == Some(1) {
                self.events.insert(event);
            } else {
                self.events.remove(&event);
            }
        }
    }

    fn add(&mut self, message: &Message) -> Result<(), Fault> {
        let missing = || Fault::new("M_MissingParameter", "no ROSpec");
        let element = message.param("ROSpec").ok_or_else(missing)?;
        demands::rospec(element, &self.setup)?;
        let id = element.number("ROSpecID").unwrap_or(0) as u32;
        if !self.rospecs.is_empty() {
            // MaxNumROSpecs is 1.
            let text = "no room for another ROSpec";
            return Err(Fault::new("M_FieldError", text));
        }
        let rospec = Rospec::new(element, self.setup.antennas, self.uptime());
        self.rospecs.insert(id, rospec);
        Ok(())
    }

    /// Does something to one ROSpec, or with 0 to all.
    fn each(&mut self, id: u32, act: fn(&mut Self, u32)) -> Result<(), Fault> {
        if id != 0 && !self.rospecs.contains_key(&id) {
            return Err(unknown(id));
        }
        let ids: Vec<u32> = self.rospecs.keys().copied().collect();
        for one in ids.into_iter().filter(|one| id == 0 || *one == id) {
            act(self, one);
        }
        Ok(())
    }

    fn delete(&mut self, id: u32) {
        self.rospecs.remove(&id);
    }

    fn enable(&mut self, id: u32) {
        if let Some(rospec) = self.rospecs.get_mut(&id)
            && rospec.state == State::Disabled
        {
            rospec.state = State::Inactive;
        }
    }

    fn disable(&mut self, id: u32) {
        if let Some(rospec) = self.rospecs.get_mut(&id) {
            rospec.state = State::Disabled;
        }
    }

    fn start(&mut self, id: u32, now_us: u64) -> Result<(), Fault> {
        let rospec = self.rospecs.get_mut(&id).ok_or_else(|| unknown(id))?;
        if rospec.state != State::Inactive {
            let text = format!("ROSpec {id} is {}", rospec.state.name());
            return Err(Fault::new("M_FieldError", text));
        }
        rospec.begin(now_us);
        self.tell(2, now_us, answers::rospec(id, "Start_Of_ROSpec"));
        Ok(())
    }

    fn stop(&mut self, id: u32, now_us: u64) -> Result<(), Fault> {
        let rospec = self.rospecs.get(&id).ok_or_else(|| unknown(id))?;
        if rospec.state == State::Active {
            self.end(id, now_us);
        }
        Ok(())
    }

    /// The ROSpec becomes inactive, and its last report is sent.
    pub(super) fn end(&mut self, id: u32, now_us: u64) {
        let Some(rospec) = self.rospecs.get_mut(&id) else {
            return;
        };
        rospec.state = State::Inactive;
        let (rest, content) = (rospec.flush(), rospec.content());
        if !rest.is_empty() {
            self.report(content, &rest);
        }
        self.tell(2, now_us, answers::rospec(id, "End_Of_ROSpec"));
    }

    fn start_immediate(&mut self, now_us: u64) {
        let waits = |r: &Rospec| r.immediate && r.state == State::Inactive;
        for rospec in self.rospecs.values_mut().filter(|r| waits(r)) {
            rospec.begin(now_us);
        }
    }

    fn enable_extensions(&mut self) -> Result<(), Fault> {
        if !self.setup.impinj || self.setup.refuses.contains(&Refuses::ImpinjExtensions) {
            let text = "no such extensions";
            return Err(Fault::new("M_UnsupportedMessage", text));
        }
        self.extensions = true;
        Ok(())
    }

    /// Answers with a report, an empty one where nothing waits.
    fn get_report(&mut self, id: u32) -> Result<Option<Draft>, Fault> {
        if self.setup.refuses.contains(&Refuses::GetReport) {
            let text = "GET_REPORT cannot be done here";
            return Err(Fault::new("M_UnsupportedMessage", text));
        }
        let omits = self.setup.omits;
        let version = self.version as u8;
        let active = self.active();
        let (rest, content) = active.map_or_else(Default::default, |rospec| {
            (rospec.flush(), rospec.content())
        });
        let bytes = report::message(id, version, content, &rest, omits);
        self.out.extend(bytes);
        Ok(None)
    }

    pub(super) fn active(&mut self) -> Option<&mut Rospec> {
        let active = |r: &&mut Rospec| r.state == State::Active;
        self.rospecs.values_mut().find(active)
    }

    pub(super) fn active_id(&self) -> Option<u32> {
        let active = self.rospecs.iter().find(|(_, r)| r.state == State::Active);
        active.map(|(id, _)| *id)
    }

    pub(super) fn reading(&self) -> Option<Reading> {
        Some(self.rospecs.get(&self.active_id()?)?.reading.clone())
    }

    /// Reads that were made; gives how many reports and reads are sent.
    pub(super) fn read(&mut self, reads: Vec<Read>, now_us: u64) -> (u64, u64) {
        let Some(rospec) = self.active() else {
            return (0, 0);
        };
        let (due, content) = (rospec.take(reads, now_us), rospec.content());
        let counts = (due.len() as u64, due.iter().map(|r| r.len() as u64).sum());
        for reads in due {
            self.report(content, &reads);
        }
        counts
    }

    fn report(&mut self, content: report::Content, reads: &[Read]) {
        if self.holding {
            return;
        }
        let id = self.new_id();
        let (version, omits) = (self.version as u8, self.setup.omits);
        self.out
            .extend(report::message(id, version, content, reads, omits));
    }

    /// An event, if the client wants such events.
    pub(super) fn tell(&mut self, kind: u64, now_us: u64, event: Draft) {
        if self.events.contains(&kind) && !self.holding {
            self.notify(now_us, event);
        }
    }

    /// An event that nobody can choose.
    pub(super) fn notify(&mut self, now_us: u64, event: Draft) {
        let id = self.new_id();
        let notification = answers::notification(&self.setup, now_us, event);
        self.say(id, &notification);
    }

    pub(super) fn keepalive(&mut self) {
        let id = self.new_id();
        self.say(id, &Draft::new("KEEPALIVE"));
    }

    pub(super) fn refuse(&mut self, id: u32, response: &str, fault: &Fault) {
        self.refused.push(fault.text().to_owned());
        self.say(id, &fault.answer(response));
    }

    fn say(&mut self, id: u32, draft: &Draft) {
        match draft.encode(self.version, id) {
            Ok(bytes) => self.out.extend(bytes),
            // A request's answer that the table does not have: the request's name is its own.
            Err(error) => tracing::error!(%error, "a simulated reader cannot say it"),
        }
    }

    fn uptime(&self) -> bool {
        matches!(self.setup.clock, super::Clock::Uptime { .. })
    }

    fn new_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }
}

fn unknown(id: u32) -> Fault {
    Fault::new("M_FieldError", format!("no ROSpec {id}"))
}
