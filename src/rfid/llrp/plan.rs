//! What the reader is asked to do: a ROSpec out of what the store file wants and what the reader
//! can; and what is given up, one thing after another, where it refuses.

use super::Config;
use super::capabilities::{Capabilities, Channel, Found, IMPINJ};
use super::connection::Refusal;
use crate::wire::llrp::{Draft, commands};

/// The one ROSpec.
pub(super) const ROSPEC: u32 = 1;
/// Tags expected at once: what Gen2's Q starts from; readers adapt it.
const POPULATION: u16 = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) antennas: Vec<Antenna>,
    session: Option<u8>,
    rf_mode: Option<u16>,
    impinj: bool,
    report_every: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Antenna {
    pub(super) id: u16,
    power: Option<Power>,
}

/// Indices into the reader's tables, and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Power {
    index: u16,
    cdbm: i16,
    channel: Channel,
}

/// What can be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    RfMode,
    Impinj,
    Session,
    Power,
}

/// The least first: what the reader sets by itself best.
const DETAILS: [Detail; 4] = [
    Detail::RfMode,
    Detail::Impinj,
    Detail::Session,
    Detail::Power,
];

impl Plan {
    /// The plan, and what of the wishes cannot be, in words.
    pub(super) fn new(config: &Config, can: &Capabilities, found: &Found) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let antennas = antennas(config, can, found, &mut notes);
        let mut rf_mode = config.rf_mode;
        if let Some(mode) = rf_mode
            && !can.modes.is_empty()
            && !can.modes.contains(&u32::from(mode))
        {
            notes.push(format!(
                "it has no RF mode {mode}, only {}; its own choice is used",
                list(&can.modes)
            ));
            rf_mode = None;
        }
        let plan = Self {
            antennas,
            session: Some(config.session & 3),
            rf_mode,
            impinj: can.vendor == IMPINJ,
            report_every: config.report_every.max(1),
        };
        (plan, notes)
    }

    /// Gives up one detail: the one that the reader names, else the least. What it was, in words;
    /// None where nothing is left to give up.
    pub(super) fn concede(&mut self, refusal: &Refusal) -> Option<String> {
        let named = DETAILS.into_iter().filter(|detail| {
            // Many readers name it in their text alone.
            let names =
                |name: &&str| refusal.culprits.contains(name) || refusal.status.contains(*name);
            detail.names().iter().any(names)
        });
        let mut candidates = named.chain(DETAILS);
        candidates.find_map(|detail| self.give_up(detail))
    }

    fn give_up(&mut self, detail: Detail) -> Option<String> {
        match detail {
            Detail::RfMode => self.rf_mode.take().map(|mode| format!("RF mode {mode}")),
            Detail::Session => self.session.take().map(|s| format!("session {s}")),
            Detail::Impinj => {
                let had = std::mem::take(&mut self.impinj);
                had.then(|| "Impinj's phase, fine RSSI and Doppler".to_owned())
            }
            Detail::Power => {
                let had = self.antennas.iter_mut();
                let had = had.filter_map(|antenna| antenna.power.take()).count();
                (had > 0).then(|| "the antennas' power".to_owned())
            }
        }
    }

    /// Whether reads wait at the reader until a report is full.
    pub(super) fn gathers(&self) -> bool {
        self.report_every > 1
    }

    pub(super) fn has(&self, antenna: u16) -> bool {
        self.antennas.iter().any(|a| a.id == antenna)
    }

    /// Impinj's own parameters are not asked for.
    pub(super) fn without_impinj(&mut self) {
        self.impinj = false;
    }

    pub(super) fn wants_impinj(&self) -> bool {
        self.impinj
    }

    /// kHz by ChannelIndex - 1.
    pub(super) fn channels(&self, can: &Capabilities) -> Vec<u32> {
        let power = self.antennas.iter().find_map(|antenna| antenna.power);
        can.channels(power.map_or(0, |power| power.channel.hop_table))
    }

    /// `antenna 1 at 30.00 dBm, antenna 2, session 1`
    pub(super) fn text(&self) -> String {
        let antenna = |a: &Antenna| match a.power {
            Some(power) => format!("antenna {} at {} dBm", a.id, dbm(power.cdbm)),
            None => format!("antenna {}", a.id),
        };
        let mut parts: Vec<_> = self.antennas.iter().map(antenna).collect();
        parts.extend(self.session.map(|session| format!("session {session}")));
        parts.extend(self.rf_mode.map(|mode| format!("RF mode {mode}")));
        parts.join(", ")
    }

    /// ADD_ROSPEC: started and stopped by hand.
    pub(super) fn add(&self) -> Draft {
        let boundary = Draft::new("ROBoundarySpec")
            .with(Draft::new("ROSpecStartTrigger").set("ROSpecStartTriggerType", "Null"))
            .with(
                Draft::new("ROSpecStopTrigger")
                    .set("ROSpecStopTriggerType", "Null")
                    .set("DurationTriggerValue", 0_u32),
            );
        let rospec = Draft::new("ROSpec")
            .set("ROSpecID", ROSPEC)
            .set("Priority", 0_u8)
            .set("CurrentState", "Disabled")
            .with(boundary)
            .with(self.ai_spec())
            .with(self.report_spec());
        Draft::new("ADD_ROSPEC").with(rospec)
    }

    /// Never ends by itself: what an AISpec's end does to its ROSpec differs among readers, and with
    /// some it is a gap in reading. What waits for a full report is fetched (GET_REPORT) instead.
    fn ai_spec(&self) -> Draft {
        let stop = Draft::new("AISpecStopTrigger")
            .set("AISpecStopTriggerType", "Null")
            .set("DurationTrigger", 0_u32);
        let ids: Vec<u16> = self.antennas.iter().map(|antenna| antenna.id).collect();
        let inventory = Draft::new("InventoryParameterSpec")
            .set("InventoryParameterSpecID", 1_u16)
            .set("ProtocolID", "EPCGlobalClass1Gen2")
            .with_all(self.antennas.iter().filter_map(|a| self.configuration(a)));
        Draft::new("AISpec")
            .set("AntennaIDs", ids)
            .with(stop)
            .with(inventory)
    }

    /// None where everything is the reader's own choice.
    fn configuration(&self, antenna: &Antenna) -> Option<Draft> {
        let command = self.inventory_command();
        if command.is_none() && antenna.power.is_none() {
            return None;
        }
        let transmitter = antenna.power.map(|power| {
            Draft::new("RFTransmitter")
                .set("HopTableID", power.channel.hop_table)
                .set("ChannelIndex", power.channel.index)
                .set("TransmitPower", power.index)
        });
        let configuration = Draft::new("AntennaConfiguration")
            .set("AntennaID", antenna.id)
            .with_all(transmitter)
            .with_all(command);
        Some(configuration)
    }

    fn inventory_command(&self) -> Option<Draft> {
        if self.session.is_none() && self.rf_mode.is_none() {
            return None;
        }
        let mode = self.rf_mode.map(|mode| {
            Draft::new("C1G2RFControl")
                .set("ModeIndex", mode)
                .set("Tari", 0_u16)
        });
        let singulation = self.session.map(|session| {
            Draft::new("C1G2SingulationControl")
                .set("Session", session)
                .set("TagPopulation", POPULATION)
                .set("TagTransitTime", 0_u32)
        });
        let command = Draft::new("C1G2InventoryCommand")
            .set("TagInventoryStateAware", false)
            .with_all(mode)
            .with_all(singulation);
        Some(command)
    }

    fn report_spec(&self) -> Draft {
        Draft::new("ROReportSpec")
            .set(
                "ROReportTrigger",
                "Upon_N_Tags_Or_End_Of_AISpec_Or_End_Of_RFSurveySpec",
            )
            .set("N", self.report_every)
            .with(content())
            .with_all(self.impinj.then(impinj_content))
    }
}

impl Detail {
    /// What a reader's error names if it is about this.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::RfMode => &["C1G2RFControl", "ModeIndex"],
            Self::Impinj => &["Custom", "Impinj"],
            Self::Session => &["C1G2SingulationControl", "Session"],
            Self::Power => &[
                "RFTransmitter",
                "TransmitPower",
                "HopTableID",
                "ChannelIndex",
            ],
        }
    }
}

/// Those that are asked for and are there, with the nearest power.
fn antennas(
    config: &Config,
    can: &Capabilities,
    found: &Found,
    notes: &mut Vec<String>,
) -> Vec<Antenna> {
    let all = (1..=can.antennas).map(|id| (id, None));
    let asked: Vec<(u16, Option<i16>)> = match config.antennas.is_empty() {
        true => all.collect(),
        false => config
            .antennas
            .iter()
            .map(|(id, power)| (*id, *power))
            .collect(),
    };
    let exists = |id: u16| id >= 1 && (can.antennas == 0 || id <= can.antennas);
    let missing = asked.iter().filter(|(id, _)| !exists(*id));
    let missing: Vec<u16> = missing.map(|(id, _)| *id).collect();
    if !missing.is_empty() {
        notes.push(format!(
            "it has no antenna {}; it has {}",
            list(&missing),
            can.antennas
        ));
    }
    let there = asked.into_iter().filter(|(id, _)| exists(*id));
    there
        .map(|(id, asked)| {
            let power = power(id, asked, can, found);
            notes.extend(power_note(id, asked, power));
            Antenna { id, power }
        })
        .collect()
}

fn power(id: u16, asked: Option<i16>, can: &Capabilities, found: &Found) -> Option<Power> {
    let (index, cdbm) = can.power(asked)?;
    let first = || Channel {
        hop_table: can.hop_table().filter(|_| can.hopping).unwrap_or(0),
        index: u16::from(!can.hopping),
    };
    Some(Power {
        index,
        cdbm,
        channel: found.channels.get(&id).copied().unwrap_or_else(first),
    })
}

fn power_note(id: u16, asked: Option<i16>, power: Option<Power>) -> Option<String> {
    let asked = asked?;
    match power {
        None => Some(format!(
            "antenna {id}: it tells no power levels, so that {} dBm cannot be set",
            dbm(asked)
        )),
        Some(power) if power.cdbm > asked => Some(format!(
            "antenna {id}: {} dBm is below its lowest power, {} dBm",
            dbm(asked),
            dbm(power.cdbm)
        )),
        Some(_) => None,
    }
}

fn content() -> Draft {
    let on = [
        ("EnableROSpecID", false),
        ("EnableSpecIndex", false),
        ("EnableInventoryParameterSpecID", false),
        ("EnableAntennaID", true),
        ("EnableChannelIndex", true),
        ("EnablePeakRSSI", true),
        ("EnableFirstSeenTimestamp", true),
        ("EnableLastSeenTimestamp", true),
        ("EnableTagSeenCount", true),
        ("EnableAccessSpecID", false),
    ];
    let selector = Draft::new("TagReportContentSelector");
    on.iter()
        .fold(selector, |selector, (field, on)| selector.set(*field, *on))
}

/// Phase, RSSI in hundredths of dBm, Doppler.
fn impinj_content() -> Draft {
    let on = |name: &str, field: &str| Draft::new(name).set(field, "Enabled");
    Draft::new("ImpinjTagReportContentSelector")
        .with(on("ImpinjEnableRFPhaseAngle", "RFPhaseAngleMode"))
        .with(on("ImpinjEnablePeakRSSI", "PeakRSSIMode"))
        .with(on(
            "ImpinjEnableRFDopplerFrequency",
            "RFDopplerFrequencyMode",
        ))
}

/// ENABLE, START, STOP, DELETE of the one ROSpec.
pub(super) fn enable() -> Draft {
    commands::enable_rospec(ROSPEC)
}

pub(super) fn start() -> Draft {
    commands::start_rospec(ROSPEC)
}

pub(super) fn stop() -> Draft {
    commands::stop_rospec(ROSPEC)
}

pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

fn dbm(cdbm: i16) -> String {
    format!("{:.2}", f64::from(cdbm) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn plan() -> Plan {
        let config = Config {
            host: String::new(),
            port: 5084,
            antennas: BTreeMap::from([(1, Some(2000)), (3, None)]),
            session: 2,
            rf_mode: Some(7),
            report_every: 1,
            keepalive_s: 5,
        };
        let can = Capabilities {
            vendor: IMPINJ,
            antennas: 4,
            powers: vec![(1, 1000), (2, 3000)],
            ..Capabilities::default()
        };
        Plan::new(&config, &can, &Found::default()).0
    }

    fn refusal(culprits: &[&'static str], status: &str) -> Refusal {
        Refusal {
            request: "ADD_ROSPEC",
            status: status.to_owned(),
            culprits: culprits.to_vec(),
            code: 100,
        }
    }

    #[test]
    fn what_the_reader_names_is_given_up_first() {
        let mut plan = plan();
        let named = refusal(&["AISpec", "C1G2SingulationControl"], "");
        assert_eq!(plan.concede(&named).unwrap(), "session 2");
        // As Intermec's say it, in their text alone.
        let said = refusal(&[], "RFTransmitter parameter, invalid HopTableID (1)");
        assert_eq!(plan.concede(&said).unwrap(), "the antennas' power");
        assert_eq!(plan.concede(&said).unwrap(), "RF mode 7");
        assert_eq!(
            plan.concede(&said).unwrap(),
            "Impinj's phase, fine RSSI and Doppler"
        );
        assert_eq!(plan.concede(&said), None);
        assert_eq!(plan.text(), "antenna 1, antenna 3");
    }

    #[test]
    fn every_plan_is_as_the_standard_wants_it() {
        use crate::wire::llrp::{Message, Version, check};
        let mut plan = plan();
        loop {
            let bytes = plan.add().encode(Version::V1_0_1, 1).unwrap();
            let message = Message::decode(&bytes).unwrap();
            assert_eq!(check::problems(&message.body), []);
            if plan.concede(&refusal(&[], "")).is_none() {
                return;
            }
        }
    }
}
