//! What a reader says of itself: capabilities (LLRP 1.0.1 clause 9.2), configuration (12.2), events
//! (13.2.6).

use std::collections::BTreeSet;

use super::{Clock, ReaderSetup};
use crate::wire::llrp::Draft;

const IMPINJ: u32 = 25882;
const ZEBRA: u32 = 161;

pub(super) fn success(name: &str) -> Draft {
    let status = Draft::new("LLRPStatus")
        .set("StatusCode", "M_Success")
        .set("ErrorDescription", "");
    Draft::new(name).with(status)
}

pub(super) fn capabilities(setup: &ReaderSetup, name: &str) -> Draft {
    success(name)
        .with(general(setup))
        .with(llrp())
        .with(regulatory(setup))
        .with(
            Draft::new("C1G2LLRPCapabilities")
                .set("CanSupportBlockErase", false)
                .set("CanSupportBlockWrite", true)
                .set("CanSupportBlockPermalock", false)
                .set("CanSupportTagRecommissioning", false)
                .set("CanSupportUMIMethod2", false)
                .set("CanSupportXPC", false)
                .set("MaxNumSelectFiltersPerQuery", 2_u16),
        )
}

fn general(setup: &ReaderSetup) -> Draft {
    let protocol = |antenna: u16| {
        Draft::new("PerAntennaAirProtocol")
            .set("AntennaID", antenna)
            .set("ProtocolID", vec![1_u8])
    };
    Draft::new("GeneralDeviceCapabilities")
        .set("MaxNumberOfAntennaSupported", setup.antennas)
        .set("CanSetAntennaProperties", false)
        .set(
            "HasUTCClockCapability",
            matches!(setup.clock, Clock::Utc { .. }),
        )
        .set(
            "DeviceManufacturerName",
            if setup.impinj { IMPINJ } else { ZEBRA },
        )
        .set("ModelName", if setup.impinj { 2_001_002_u32 } else { 96 })
        .set("ReaderFirmwareVersion", &*setup.firmware)
        .with(
            Draft::new("ReceiveSensitivityTableEntry")
                .set("Index", 1_u16)
                .set("ReceiveSensitivityValue", 0_i16),
        )
        .with(
            Draft::new("GPIOCapabilities")
                .set("NumGPIs", 4_u16)
                .set("NumGPOs", 4_u16),
        )
        .with_all((1..=setup.antennas).map(protocol))
}

fn llrp() -> Draft {
    Draft::new("LLRPCapabilities")
        .set("CanDoRFSurvey", false)
        .set("CanReportBufferFillWarning", true)
        .set("SupportsClientRequestOpSpec", false)
        .set("CanDoTagInventoryStateAwareSingulation", false)
        .set("SupportsEventAndReportHolding", true)
        .set("MaxNumPriorityLevelsSupported", 1_u8)
        .set("ClientRequestOpSpecTimeout", 0_u16)
        .set("MaxNumROSpecs", 1_u32)
        .set("MaxNumSpecsPerROSpec", 32_u32)
        .set("MaxNumInventoryParameterSpecsPerAISpec", 1_u32)
        .set("MaxNumAccessSpecs", 1508_u32)
        .set("MaxNumOpSpecsPerAccessSpec", 8_u32)
}

fn regulatory(setup: &ReaderSetup) -> Draft {
    let power = |(at, cdbm): (usize, &i16)| {
        Draft::new("TransmitPowerLevelTableEntry")
            .set("Index", at as u16 + 1)
            .set("TransmitPowerValue", *cdbm)
    };
    let mode = |id: &u32| {
        Draft::new("C1G2UHFRFModeTableEntry")
            .set("ModeIdentifier", *id)
            .set("DRValue", "DRV_64_3")
            .set("EPCHAGTCConformance", false)
            .set("MValue", "MV_4")
            .set("ForwardLinkModulation", "PR_ASK")
            .set("SpectralMaskIndicator", "DI")
            .set("BDRValue", 320_000_u32)
            .set("PIEValue", 2000_u32)
            .set("MinTariValue", 20_000_u32)
            .set("MaxTariValue", 20_000_u32)
            .set("StepTariValue", 0_u32)
    };
    let band = Draft::new("UHFBandCapabilities")
        .with_all(setup.power_cdbm.iter().enumerate().map(power))
        .with(frequencies(setup))
        .with(Draft::new("C1G2UHFRFModeTable").with_all(setup.rf_modes.iter().map(mode)));
    Draft::new("RegulatoryCapabilities")
        .set("CountryCode", 276_u16)
        .set("CommunicationsStandard", "ETSI_302_208")
        .with(band)
}

fn frequencies(setup: &ReaderSetup) -> Draft {
    let list = Draft::new(if setup.hopping {
        "FrequencyHopTable"
    } else {
        "FixedFrequencyTable"
    });
    let list = list.set("Frequency", setup.channels_khz.clone());
    let list = match setup.hopping {
        true => list.set("HopTableID", 1_u8),
        false => list,
    };
    Draft::new("FrequencyInformation")
        .set("Hopping", setup.hopping)
        .with(list)
}

/// How the reader is set.
pub(super) fn config(
    setup: &ReaderSetup,
    disconnected: &BTreeSet<u16>,
    holds: bool,
    keepalive_ms: u32,
    name: &str,
) -> Draft {
    let properties = |id: u16| {
        Draft::new("AntennaProperties")
            .set("AntennaConnected", !disconnected.contains(&id))
            .set("AntennaID", id)
            .set("AntennaGain", 0_i16)
    };
    let channel = u16::from(!setup.hopping);
    let configuration = |id: u16| {
        let transmitter = Draft::new("RFTransmitter")
            .set("HopTableID", u16::from(setup.hopping))
            .set("ChannelIndex", channel)
            .set("TransmitPower", setup.power_cdbm.len() as u16);
        Draft::new("AntennaConfiguration")
            .set("AntennaID", id)
            .with(Draft::new("RFReceiver").set("ReceiverSensitivity", 1_u16))
            .with(transmitter)
    };
    let trigger = if keepalive_ms == 0 {
        "Null"
    } else {
        "Periodic"
    };
    success(name)
        .with_all((1..=setup.antennas).map(properties))
        .with_all((1..=setup.antennas).map(configuration))
        .with(
            Draft::new("KeepaliveSpec")
                .set("KeepaliveTriggerType", trigger)
                .set("PeriodicTriggerValue", keepalive_ms),
        )
        .with(Draft::new("EventsAndReports").set("HoldEventsAndReportsUponReconnect", holds))
}

/// READER_EVENT_NOTIFICATION.
pub(super) fn notification(setup: &ReaderSetup, now_us: u64, event: Draft) -> Draft {
    let stamp = match setup.clock {
        Clock::Utc { .. } => "UTCTimestamp",
        Clock::Uptime { .. } => "Uptime",
    };
    let data = Draft::new("ReaderEventNotificationData")
        .with(Draft::new(stamp).set("Microseconds", now_us))
        .with(event);
    Draft::new("READER_EVENT_NOTIFICATION").with(data)
}

pub(super) fn attempt(status: &str) -> Draft {
    Draft::new("ConnectionAttemptEvent").set("Status", status)
}

pub(super) fn antenna(id: u16, connected: bool) -> Draft {
    let event = match connected {
        true => "Antenna_Connected",
        false => "Antenna_Disconnected",
    };
    Draft::new("AntennaEvent")
        .set("EventType", event)
        .set("AntennaID", id)
}

pub(super) fn rospec(id: u32, event: &str) -> Draft {
    Draft::new("ROSpecEvent")
        .set("EventType", event)
        .set("ROSpecID", id)
        .set("PreemptingROSpecID", 0_u32)
}
