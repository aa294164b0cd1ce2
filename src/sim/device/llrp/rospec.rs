//! A ROSpec as the reader understands it, and one that is active: what has been read and waits for
//! its report (LLRP 1.0.1 clauses 10.2 and 13.2.1).

use super::Reading;
use super::report::{Content, Read};
use crate::wire::llrp::Element;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Disabled,
    Inactive,
    Active,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Inactive => "Inactive",
            Self::Active => "Active",
        }
    }
}

/// When an AISpec ends, and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Never,
    AfterMs(u64),
    Tags { count: usize, or_after_ms: u64 },
}

#[derive(Debug, Clone)]
pub(super) struct Rospec {
    pub(super) state: State,
    pub(super) immediate: bool,
    pub(super) reading: Reading,
    content: Content,
    /// Reports at the end of an AISpec too.
    at_ai_end: bool,
    /// Reports come by themselves.
    reports: bool,
    ai_end: End,
    /// For reports, when it is active.
    pending: Vec<Read>,
    ai_since_us: u64,
    ai_reads: usize,
}

impl Rospec {
    /// Out of a ROSpec parameter that has been found right. `antennas` is how many there are.
    pub(super) fn new(element: &Element, antennas: u16, uptime: bool) -> Self {
        let start = element
            .param("ROBoundarySpec")
            .and_then(|b| b.param("ROSpecStartTrigger"));
        let start = start.and_then(|s| s.entry("ROSpecStartTriggerType"));
        let report = element.param("ROReportSpec");
        let trigger = report.and_then(|r| r.entry("ROReportTrigger"));
        let id = element.number("ROSpecID").unwrap_or(0) as u32;
        let mut reading = reading(element, antennas);
        reading.tags_per_report = report.and_then(|r| r.number("N")).unwrap_or(0) as u16;
        Self {
            state: State::Disabled,
            immediate: start == Some("Immediate"),
            content: content(report, id, uptime),
            at_ai_end: trigger == Some("Upon_N_Tags_Or_End_Of_AISpec_Or_End_Of_RFSurveySpec"),
            reports: trigger.is_some_and(|t| t != "None"),
            ai_end: ai_end(element),
            reading,
            pending: Vec::new(),
            ai_since_us: 0,
            ai_reads: 0,
        }
    }

    pub(super) fn begin(&mut self, now_us: u64) {
        self.state = State::Active;
        self.ai_since_us = now_us;
        self.ai_reads = 0;
        self.pending.clear();
    }

    pub(super) fn content(&self) -> Content {
        self.content
    }

    /// Takes reads; gives those of each report that is due.
    pub(super) fn take(&mut self, reads: Vec<Read>, now_us: u64) -> Vec<Vec<Read>> {
        let mut due = Vec::new();
        for read in reads {
            self.pending.push(read);
            self.ai_reads += 1;
            let full = usize::from(self.reading.tags_per_report);
            if self.reports && full > 0 && self.pending.len() >= full {
                due.push(std::mem::take(&mut self.pending));
            }
            if matches!(self.ai_end, End::Tags { count, .. } if self.ai_reads >= count) {
                due.extend(self.end_ai(now_us));
            }
        }
        let age_ms = now_us.saturating_sub(self.ai_since_us) / 1000;
        match self.ai_end {
            End::AfterMs(ms)
            | End::Tags {
                or_after_ms: ms, ..
            } if ms > 0 && age_ms >= ms => {
                due.extend(self.end_ai(now_us));
            }
            _ => {}
        }
        due
    }

    /// What waits for a report, for GET_REPORT and for the ROSpec's end.
    pub(super) fn flush(&mut self) -> Vec<Read> {
        std::mem::take(&mut self.pending)
    }

    /// The next AISpec begins at once.
    fn end_ai(&mut self, now_us: u64) -> Option<Vec<Read>> {
        self.ai_since_us = now_us;
        self.ai_reads = 0;
        (self.at_ai_end && !self.pending.is_empty()).then(|| std::mem::take(&mut self.pending))
    }
}

fn reading(element: &Element, antennas: u16) -> Reading {
    let mut reading = Reading::default();
    for ai in element.params("AISpec") {
        let ids = ai.field("AntennaIDs").and_then(|ids| ids.as_words());
        match ids.unwrap_or(&[]) {
            [0] => reading.antennas.extend(1..=antennas),
            some => reading.antennas.extend(some),
        }
        let inventories = ai.params("InventoryParameterSpec");
        for antenna in inventories.flat_map(|i| i.params("AntennaConfiguration")) {
            antenna_settings(antenna, &mut reading);
        }
    }
    let report = element.param("ROReportSpec");
    reading.impinj = report.is_some_and(|r| r.param("ImpinjTagReportContentSelector").is_some());
    reading
}

fn antenna_settings(antenna: &Element, reading: &mut Reading) {
    let id = antenna.number("AntennaID").unwrap_or(0) as u16;
    if let Some(transmitter) = antenna.param("RFTransmitter") {
        let power = transmitter.number("TransmitPower").unwrap_or(0) as u16;
        reading.power.push((id, power));
    }
    let command = antenna.param("C1G2InventoryCommand");
    let control = command.and_then(|c| c.param("C1G2SingulationControl"));
    let session = control.and_then(|c| c.number("Session"));
    reading.session = session.map(|s| s as u8).or(reading.session);
    let mode = command.and_then(|c| c.param("C1G2RFControl"));
    let mode = mode.and_then(|m| m.number("ModeIndex"));
    reading.rf_mode = mode.map(|m| m as u16).or(reading.rf_mode);
}

fn ai_end(element: &Element) -> End {
    let stop = element
        .param("AISpec")
        .and_then(|ai| ai.param("AISpecStopTrigger"));
    let Some(stop) = stop else {
        return End::Never;
    };
    match stop.entry("AISpecStopTriggerType") {
        Some("Duration") => End::AfterMs(stop.number("DurationTrigger").unwrap_or(0)),
        Some("Tag_Observation") => {
            let tags = stop.param("TagObservationTrigger");
            let number = |name| tags.and_then(|t| t.number(name)).unwrap_or(0);
            End::Tags {
                count: (number("NumberOfTags") as usize).max(1),
                or_after_ms: number("Timeout"),
            }
        }
        _ => End::Never,
    }
}

/// Without a selector everything standard is told.
fn content(report: Option<&Element>, rospec: u32, uptime: bool) -> Content {
    let selector = report.and_then(|r| r.param("TagReportContentSelector"));
    let on = |name| selector.is_none_or(|s| s.number(name) == Some(1));
    let own = report.and_then(|r| r.param("ImpinjTagReportContentSelector"));
    let own = |name, field| {
        let switch = own.and_then(|own| own.param(name));
        switch.and_then(|switch| switch.entry(field)) == Some("Enabled")
    };
    Content {
        rospec_id: on("EnableROSpecID").then_some(rospec),
        spec_index: on("EnableSpecIndex"),
        inventory_id: on("EnableInventoryParameterSpecID"),
        antenna: on("EnableAntennaID"),
        channel: on("EnableChannelIndex"),
        rssi: on("EnablePeakRSSI"),
        first_seen: on("EnableFirstSeenTimestamp"),
        last_seen: on("EnableLastSeenTimestamp"),
        count: on("EnableTagSeenCount"),
        uptime,
        phase: own("ImpinjEnableRFPhaseAngle", "RFPhaseAngleMode"),
        fine_rssi: own("ImpinjEnablePeakRSSI", "PeakRSSIMode"),
        doppler: own("ImpinjEnableRFDopplerFrequency", "RFDopplerFrequencyMode"),
    }
}
