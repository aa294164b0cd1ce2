//! What a client sends, and the simple answers of a reader, as [`Draft`]s:
//!
//! ```
//! use basketd::wire::llrp::{Version, commands};
//!
//! let inventory = commands::Inventory::new(1).antennas(&[1, 2]);
//! let bytes = commands::add_rospec(&inventory).encode(Version::V1_0_1, 42)?;
//! # Ok::<(), basketd::wire::llrp::DraftError>(())
//! ```
//!
//! A draft may be added to before it is encoded, and what it holds is checked then.

use super::draft::Draft;
use super::message::Version;

/// GET_SUPPORTED_VERSION, of LLRP 1.1. A 1.0.1 reader answers with ERROR_MESSAGE,
/// M_UnsupportedVersion or M_UnsupportedMessage.
pub fn get_supported_version() -> Draft {
    Draft::new("GET_SUPPORTED_VERSION")
}

pub fn set_protocol_version(version: Version) -> Draft {
    Draft::new("SET_PROTOCOL_VERSION").set("ProtocolVersion", version as u8)
}

/// All capabilities.
pub fn get_reader_capabilities() -> Draft {
    Draft::new("GET_READER_CAPABILITIES").set("RequestedData", "All")
}

/// All configuration of all antennas and ports. Impinj's own is asked for by
/// `.with(ImpinjRequestedData)`.
pub fn get_reader_config() -> Draft {
    Draft::new("GET_READER_CONFIG")
        .set("AntennaID", 0_u16)
        .set("RequestedData", "All")
        .set("GPIPortNum", 0_u16)
        .set("GPOPortNum", 0_u16)
}

/// Changes what is added to it; with `reset` everything else goes to the factory's settings, and
/// every ROSpec and AccessSpec is deleted.
pub fn set_reader_config(reset: bool) -> Draft {
    Draft::new("SET_READER_CONFIG").set("ResetToFactoryDefault", reset)
}

/// For [`set_reader_config`]: the reader sends KEEPALIVE each `period_ms`; 0 for never.
pub fn keepalive_spec(period_ms: u32) -> Draft {
    let trigger = if period_ms == 0 { "Null" } else { "Periodic" };
    Draft::new("KeepaliveSpec")
        .set("KeepaliveTriggerType", trigger)
        .set("PeriodicTriggerValue", period_ms)
}

/// For [`set_reader_config`]: which events the reader tells, by entries of NotificationEventType
/// (`Antenna_Event`, `Reader_Exception_Event` …).
pub fn event_notifications(events: &[(&str, bool)]) -> Draft {
    let state = |(event, on): &(&str, bool)| {
        Draft::new("EventNotificationState")
            .set("EventType", *event)
            .set("NotificationState", *on)
    };
    Draft::new("ReaderEventNotificationSpec").with_all(events.iter().map(state))
}

/// For [`set_reader_config`]: whether a reader holds events and reports after a reconnection until
/// ENABLE_EVENTS_AND_REPORTS.
pub fn hold_events_and_reports(hold: bool) -> Draft {
    Draft::new("EventsAndReports").set("HoldEventsAndReportsUponReconnect", hold)
}

/// `id` 0 means all, here and below.
pub fn delete_rospec(id: u32) -> Draft {
    Draft::new("DELETE_ROSPEC").set("ROSpecID", id)
}

pub fn enable_rospec(id: u32) -> Draft {
    Draft::new("ENABLE_ROSPEC").set("ROSpecID", id)
}

pub fn disable_rospec(id: u32) -> Draft {
    Draft::new("DISABLE_ROSPEC").set("ROSpecID", id)
}

/// One ROSpec: 0 is not allowed.
pub fn start_rospec(id: u32) -> Draft {
    Draft::new("START_ROSPEC").set("ROSpecID", id)
}

pub fn stop_rospec(id: u32) -> Draft {
    Draft::new("STOP_ROSPEC").set("ROSpecID", id)
}

pub fn delete_accessspec(id: u32) -> Draft {
    Draft::new("DELETE_ACCESSSPEC").set("AccessSpecID", id)
}

/// Asks for reports that the reader has gathered.
pub fn get_report() -> Draft {
    Draft::new("GET_REPORT")
}

pub fn enable_events_and_reports() -> Draft {
    Draft::new("ENABLE_EVENTS_AND_REPORTS")
}

pub fn keepalive() -> Draft {
    Draft::new("KEEPALIVE")
}

/// The answer to KEEPALIVE; it has the id of its KEEPALIVE.
pub fn keepalive_ack() -> Draft {
    Draft::new("KEEPALIVE_ACK")
}

pub fn close_connection() -> Draft {
    Draft::new("CLOSE_CONNECTION")
}

/// Without it an Impinj reader refuses Impinj's parameters.
pub fn impinj_enable_extensions() -> Draft {
    Draft::new("IMPINJ_ENABLE_EXTENSIONS")
}

pub fn add_rospec(inventory: &Inventory) -> Draft {
    Draft::new("ADD_ROSPEC").with(inventory.rospec())
}

/// A reader's answer of this name, as `ADD_ROSPEC_RESPONSE` or `ERROR_MESSAGE`. `code` is an entry
/// of StatusCode, as `M_Success`.
pub fn response(name: &str, code: &str, description: &str) -> Draft {
    let status = Draft::new("LLRPStatus")
        .set("StatusCode", code)
        .set("ErrorDescription", description);
    Draft::new(name).with(status)
}

/// A reader's event, as `Draft::new("ConnectionAttemptEvent").set("Status", "Success")`.
/// `utc_us` are microseconds since 1970.
pub fn reader_event(utc_us: u64, event: Draft) -> Draft {
    let data = Draft::new("ReaderEventNotificationData")
        .with(Draft::new("UTCTimestamp").set("Microseconds", utc_us))
        .with(event);
    Draft::new("READER_EVENT_NOTIFICATION").with(data)
}

/// A ROSpec that reads tags until it is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Not 0.
    pub rospec_id: u32,
    /// From 1; none means all.
    pub antennas: Vec<u16>,
    /// Begins when it is enabled, and else when START_ROSPEC comes.
    pub immediate: bool,
    /// A report after so many tags; 0 reports only at the end.
    pub tags_per_report: u16,
    /// What a report tells, by fields of TagReportContentSelector.
    pub content: Vec<&'static str>,
    /// PC bits and CRC with each EPC.
    pub pc_and_crc: bool,
    /// How the antennas send; 0 stands for each antenna that has no own entry.
    pub transmit: Vec<(u16, Transmit)>,
    /// ModeIdentifier of the capabilities' C1G2UHFRFModeTable.
    pub mode: Option<u16>,
    /// Gen2 session 0 to 3.
    pub session: u8,
    /// Tags expected in the field.
    pub population: u16,
    pub impinj: Option<Impinj>,
}

/// Indices into tables of the reader's capabilities, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    pub hop_table: u16,
    /// Of the FixedFrequencyTable; 0 where the region hops.
    pub channel: u16,
    /// Of the TransmitPowerLevelTable.
    pub power: u16,
}

/// What Impinj readers tell and do beyond the standard; needs [`impinj_enable_extensions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Impinj {
    /// An entry of ImpinjInventorySearchType.
    pub search_mode: Option<&'static str>,
    /// The chip's own identity with each read.
    pub serialized_tid: bool,
    pub phase: bool,
    /// RSSI in hundredths of dBm.
    pub peak_rssi: bool,
    pub doppler: bool,
}

impl Inventory {
    /// All antennas, each tag at once, with antenna, RSSI, channel, times and count; the reader's
    /// own power and mode, session 1.
    pub fn new(rospec_id: u32) -> Self {
        Self {
            rospec_id,
            antennas: Vec::new(),
            immediate: true,
            tags_per_report: 1,
            content: vec![
                "EnableROSpecID",
                "EnableAntennaID",
                "EnableChannelIndex",
                "EnablePeakRSSI",
                "EnableFirstSeenTimestamp",
                "EnableLastSeenTimestamp",
                "EnableTagSeenCount",
            ],
            pc_and_crc: false,
            transmit: Vec::new(),
            mode: None,
            session: 1,
            population: 32,
            impinj: None,
        }
    }

    #[must_use]
    pub fn antennas(mut self, antennas: &[u16]) -> Self {
        self.antennas = antennas.to_vec();
        self
    }

    #[must_use]
    pub fn impinj(mut self, impinj: Impinj) -> Self {
        self.impinj = Some(impinj);
        self
    }

    /// The ROSpec parameter.
    pub fn rospec(&self) -> Draft {
        Draft::new("ROSpec")
            .set("ROSpecID", self.rospec_id)
            .set("Priority", 0_u8)
            .set("CurrentState", "Disabled")
            .with(self.boundary())
            .with(self.ai_spec())
            .with(self.report_spec())
    }

    fn boundary(&self) -> Draft {
        let start = if self.immediate { "Immediate" } else { "Null" };
        let start = Draft::new("ROSpecStartTrigger").set("ROSpecStartTriggerType", start);
        let stop = Draft::new("ROSpecStopTrigger")
            .set("ROSpecStopTriggerType", "Null")
            .set("DurationTriggerValue", 0_u32);
        Draft::new("ROBoundarySpec").with(start).with(stop)
    }

    fn ai_spec(&self) -> Draft {
        let antennas = match &*self.antennas {
            [] => vec![0],
            some => some.to_vec(),
        };
        let stop = Draft::new("AISpecStopTrigger")
            .set("AISpecStopTriggerType", "Null")
            .set("DurationTrigger", 0_u32);
        let inventory = Draft::new("InventoryParameterSpec")
            .set("InventoryParameterSpecID", 1_u16)
            .set("ProtocolID", "EPCGlobalClass1Gen2")
            .with_all(self.antenna_configurations());
        Draft::new("AISpec")
            .set("AntennaIDs", antennas)
            .with(stop)
            .with(inventory)
    }

    fn antenna_configurations(&self) -> Vec<Draft> {
        let configuration = |antenna: u16, transmit: Option<Transmit>| {
            let transmit = transmit.map(|t| {
                Draft::new("RFTransmitter")
                    .set("HopTableID", t.hop_table)
                    .set("ChannelIndex", t.channel)
                    .set("TransmitPower", t.power)
            });
            Draft::new("AntennaConfiguration")
                .set("AntennaID", antenna)
                .with_all(transmit)
                .with(self.inventory_command())
        };
        match &*self.transmit {
            [] => vec![configuration(0, None)],
            some => some
                .iter()
                .map(|(a, t)| configuration(*a, Some(*t)))
                .collect(),
        }
    }

    fn inventory_command(&self) -> Draft {
        let mode = self.mode.map(|mode| {
            Draft::new("C1G2RFControl")
                .set("ModeIndex", mode)
                .set("Tari", 0_u16)
        });
        let singulation = Draft::new("C1G2SingulationControl")
            .set("Session", self.session)
            .set("TagPopulation", self.population)
            .set("TagTransitTime", 0_u32);
        let search = self.impinj.and_then(|impinj| impinj.search_mode);
        let search = search
            .map(|mode| Draft::new("ImpinjInventorySearchMode").set("InventorySearchMode", mode));
        Draft::new("C1G2InventoryCommand")
            .set("TagInventoryStateAware", false)
            .with_all(mode)
            .with(singulation)
            .with_all(search)
    }

    fn report_spec(&self) -> Draft {
        Draft::new("ROReportSpec")
            .set("ROReportTrigger", "Upon_N_Tags_Or_End_Of_ROSpec")
            .set("N", self.tags_per_report)
            .with(self.content())
            .with_all(self.impinj.map(Impinj::content))
    }

    fn content(&self) -> Draft {
        let memory = Draft::new("C1G2EPCMemorySelector")
            .set("EnableCRC", self.pc_and_crc)
            .set("EnablePCBits", self.pc_and_crc)
            .set("EnableXPCBits", false);
        let selector = Draft::new("TagReportContentSelector").with(memory);
        CONTENT.iter().fold(selector, |selector, field| {
            selector.set(*field, self.content.contains(field))
        })
    }
}

/// The fields of TagReportContentSelector.
const CONTENT: [&str; 10] = [
    "EnableROSpecID",
    "EnableSpecIndex",
    "EnableInventoryParameterSpecID",
    "EnableAntennaID",
    "EnableChannelIndex",
    "EnablePeakRSSI",
    "EnableFirstSeenTimestamp",
    "EnableLastSeenTimestamp",
    "EnableTagSeenCount",
    "EnableAccessSpecID",
];

impl Impinj {
    fn content(self) -> Draft {
        let switch =
            |on: bool, name: &str, field: &str| on.then(|| Draft::new(name).set(field, "Enabled"));
        Draft::new("ImpinjTagReportContentSelector")
            .with_all(switch(
                self.serialized_tid,
                "ImpinjEnableSerializedTID",
                "SerializedTIDMode",
            ))
            .with_all(switch(
                self.phase,
                "ImpinjEnableRFPhaseAngle",
                "RFPhaseAngleMode",
            ))
            .with_all(switch(
                self.peak_rssi,
                "ImpinjEnablePeakRSSI",
                "PeakRSSIMode",
            ))
            .with_all(switch(
                self.doppler,
                "ImpinjEnableRFDopplerFrequency",
                "RFDopplerFrequencyMode",
            ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::llrp::{Message, check};

    #[test]
    fn all_that_a_client_sends_is_as_the_standard_wants_it() {
        let transmit = Transmit {
            hop_table: 1,
            channel: 0,
            power: 81,
        };
        let mut inventory = Inventory::new(1).antennas(&[1, 2]).impinj(Impinj {
            search_mode: Some("Dual_Target"),
            serialized_tid: true,
            phase: true,
            peak_rssi: true,
            doppler: true,
        });
        inventory.transmit = vec![(1, transmit), (2, transmit)];
        inventory.mode = Some(1002);
        let config = set_reader_config(false)
            .with(hold_events_and_reports(true))
            .with(keepalive_spec(10_000))
            .with(event_notifications(&[("Antenna_Event", true)]));
        let connected = Draft::new("ConnectionAttemptEvent").set("Status", "Success");
        let all = [
            get_supported_version(),
            set_protocol_version(Version::V1_1),
            get_reader_capabilities(),
            get_reader_config(),
            config,
            set_reader_config(true),
            add_rospec(&inventory),
            add_rospec(&Inventory::new(7)),
            enable_rospec(1),
            start_rospec(1),
            stop_rospec(1),
            disable_rospec(1),
            delete_rospec(0),
            delete_accessspec(0),
            enable_events_and_reports(),
            get_report(),
            keepalive(),
            keepalive_ack(),
            close_connection(),
            impinj_enable_extensions(),
            response("ADD_ROSPEC_RESPONSE", "M_FieldError", "no such antenna"),
            reader_event(1, connected),
        ];
        for draft in all {
            let bytes = draft.encode(Version::V1_1, 5).unwrap();
            let message = Message::decode(&bytes).unwrap();
            assert_eq!(message.id, 5);
            assert_eq!(check::problems(&message.body), []);
            assert_eq!(message.encode().unwrap(), bytes);
        }
    }

    /// The bytes that an Impinj reader wants: type 1023, PEN 25882, subtype 21, 32 reserved bits.
    #[test]
    fn impinj_extensions() {
        let bytes = impinj_enable_extensions().encode(Version::V1_0_1, 3);
        let wanted = [
            0x07, 0xFF, 0, 0, 0, 19, 0, 0, 0, 3, 0, 0, 0x65, 0x1A, 21, 0, 0, 0, 0,
        ];
        assert_eq!(bytes.unwrap(), wanted);
    }

    #[test]
    fn a_refusal_says_what_the_table_has() {
        let refused = |draft: Draft| draft.encode(Version::V1_0_1, 1).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                refused(Draft::new("ADD_ROSPEK")),
                refused(Draft::new("ADD_ROSPEC")),
                refused(Draft::new("ROSpecID").set("ROSpecID", 1_u8)),
                refused(Draft::new("START_ROSPEC")),
                refused(Draft::new("START_ROSPEC").set("Id", 1_u8)),
                refused(start_rospec(1).set("ROSpecID", 1_u32)),
                refused(Draft::new("START_ROSPEC").set("ROSpecID", 1_u64 << 32)),
                refused(Draft::new("GET_READER_CAPABILITIES").set("RequestedData", "Alll")),
                refused(start_rospec(1).with(keepalive_spec(1))),
                refused(set_reader_config(true).with_all([keepalive_spec(1), keepalive_spec(2)])),
            ]
            .join("\n"),
            @r#"
        LLRP has no message or parameter ADD_ROSPEK
        ADD_ROSPEC has no ROSpec
        ROSpecID is a parameter and no message
        START_ROSPEC: field ROSpecID is not set
        START_ROSPEC has no field Id; it has ROSpecID
        START_ROSPEC: field ROSpecID is set twice
        START_ROSPEC: field ROSpecID cannot be 4294967296; it is a number of 32 bits
        GET_READER_CAPABILITIES: field RequestedData cannot be "Alll"; it is one of All, General_Device_Capabilities, LLRP_Capabilities, Regulatory_Capabilities, LLRP_Air_Protocol_Capabilities, or its number
        KeepaliveSpec has no place in START_ROSPEC
        SET_READER_CONFIG has 2 of KeepaliveSpec, and may have one
        "#
        );
    }
}
