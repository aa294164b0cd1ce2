//! What a reader can, out of GET_READER_CAPABILITIES_RESPONSE (LLRP 1.0.1 clause 9.1.2), and how it
//! is set at present, out of GET_READER_CONFIG_RESPONSE (12.1.2). A part that a reader leaves out
//! is empty here.

use std::collections::{BTreeMap, BTreeSet};

use crate::wire::llrp::{Element, Message};

/// IANA private enterprise number.
pub(super) const IMPINJ: u32 = 25882;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// IANA private enterprise number.
    pub(super) vendor: u32,
    pub(super) model: u32,
    pub(super) firmware: String,
    /// Its ports are 1 to this; 0 where it does not say.
    pub(super) antennas: u16,
    /// Index and hundredths of dBm.
    pub(super) powers: Vec<(u16, i16)>,
    /// ModeIdentifiers.
    pub(super) modes: BTreeSet<u32>,
    pub(super) hopping: bool,
    /// By HopTableID, kHz by ChannelIndex - 1.
    pub(super) hop_tables: BTreeMap<u16, Vec<u32>>,
    pub(super) fixed: Vec<u32>,
}

impl Capabilities {
    pub(super) fn of(response: &Message) -> Self {
        let mut found = Self::default();
        if let Some(general) = response.param("GeneralDeviceCapabilities") {
            found.vendor = whole(general, "DeviceManufacturerName");
            found.model = whole(general, "ModelName");
            found.antennas = whole(general, "MaxNumberOfAntennaSupported");
            let firmware = general.field("ReaderFirmwareVersion");
            let firmware = firmware.and_then(|text| text.as_str()).unwrap_or("");
            firmware.trim().clone_into(&mut found.firmware);
        }
        let regulatory = response.param("RegulatoryCapabilities");
        if let Some(band) = regulatory.and_then(|r| r.param("UHFBandCapabilities")) {
            found.band(band);
        }
        found
    }

    fn band(&mut self, band: &Element) {
        let power = |entry: &Element| {
            let cdbm = entry.field("TransmitPowerValue")?.as_i64()?;
            Some((whole(entry, "Index"), i16::try_from(cdbm).ok()?))
        };
        let powers = band.params("TransmitPowerLevelTableEntry");
        self.powers = powers.filter_map(power).collect();
        for table in band.params("C1G2UHFRFModeTable") {
            let entries = table.params("C1G2UHFRFModeTableEntry");
            self.modes
                .extend(entries.map(|entry| whole::<u32>(entry, "ModeIdentifier")));
        }
        let Some(frequencies) = band.param("FrequencyInformation") else {
            return;
        };
        self.hopping = frequencies.number("Hopping") == Some(1);
        let tables = frequencies.params("FrequencyHopTable");
        self.hop_tables = tables.map(|t| (whole(t, "HopTableID"), khz(t))).collect();
        self.fixed = frequencies
            .param("FixedFrequencyTable")
            .map_or_else(Vec::new, khz);
    }

    /// The highest level that is not above what is asked; the highest of all where nothing is
    /// asked, and the lowest where all are above. None where the reader tells no levels.
    pub(super) fn power(&self, asked: Option<i16>) -> Option<(u16, i16)> {
        let level = |(_, cdbm): &(u16, i16)| *cdbm;
        let fits = |(_, cdbm): &(u16, i16)| asked.is_none_or(|asked| *cdbm <= asked);
        let best = self.powers.iter().copied().filter(fits).max_by_key(level);
        best.or_else(|| self.powers.iter().copied().min_by_key(level))
    }

    /// The first of its hop tables.
    pub(super) fn hop_table(&self) -> Option<u16> {
        self.hop_tables.keys().next().copied()
    }

    /// kHz by ChannelIndex - 1 of what is hopped through, or of what is stayed on.
    pub(super) fn channels(&self, hop_table: u16) -> Vec<u32> {
        let table = self.hop_tables.get(&hop_table);
        let table = table.or_else(|| self.hop_tables.values().next());
        match table {
            Some(table) if self.hopping => table.clone(),
            _ => self.fixed.clone(),
        }
    }

    /// `Impinj, model 2001002, firmware 5.14.0.240`
    pub(super) fn name(&self) -> String {
        let vendor = match self.vendor {
            IMPINJ => "Impinj".to_owned(),
            161 => "Zebra or Motorola".to_owned(),
            other => format!("vendor {other} (IANA)"),
        };
        format!("{vendor}, model {}, firmware {}", self.model, self.firmware)
    }
}

/// How an antenna sends, in indices of the capabilities' tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) hop_table: u16,
    /// 0 where the region hops.
    pub(super) index: u16,
}

/// How the reader was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) channels: BTreeMap<u16, Channel>,
    /// Antennas of which it says that none is connected.
    pub(super) unconnected: BTreeSet<u16>,
    /// Reports and events wait until they are enabled.
    pub(super) holds: bool,
}

impl Found {
    pub(super) fn of(response: &Message) -> Self {
        let mut found = Self::default();
        for antenna in response.params("AntennaConfiguration") {
            if let Some(transmitter) = antenna.param("RFTransmitter") {
                let channel = Channel {
                    hop_table: whole(transmitter, "HopTableID"),
                    index: whole(transmitter, "ChannelIndex"),
                };
                found.channels.insert(whole(antenna, "AntennaID"), channel);
            }
        }
        let unconnected = |p: &&Element| p.number("AntennaConnected") == Some(0);
        let properties = response.params("AntennaProperties").filter(unconnected);
        found.unconnected = properties.map(|p| whole(p, "AntennaID")).collect();
        let holding = response.param("EventsAndReports");
        let holding = holding.and_then(|h| h.number("HoldEventsAndReportsUponReconnect"));
        found.holds = holding == Some(1);
        found
    }
}

/// 0 where it is not there or does not fit.
fn whole<T: TryFrom<u64> + Default>(element: &Element, field: &str) -> T {
    let number = element.number(field).unwrap_or(0);
    T::try_from(number).unwrap_or_default()
}

fn khz(table: &Element) -> Vec<u32> {
    let list = table.field("Frequency");
    let list = list.and_then(|value| value.as_double_words());
    list.unwrap_or(&[]).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(powers: &[(u16, i16)]) -> Capabilities {
        Capabilities {
            powers: powers.to_vec(),
            ..Capabilities::default()
        }
    }

    #[test]
    fn power_is_never_above_what_is_asked_unless_nothing_is_below() {
        // Some readers count downwards.
        let reader = with(&[(1, 3000), (2, 2550), (3, 1000)]);
        assert_eq!(reader.power(None), Some((1, 3000)));
        assert_eq!(reader.power(Some(3150)), Some((1, 3000)));
        assert_eq!(reader.power(Some(2999)), Some((2, 2550)));
        assert_eq!(reader.power(Some(1000)), Some((3, 1000)));
        assert_eq!(reader.power(Some(0)), Some((3, 1000)));
        assert_eq!(with(&[]).power(Some(3000)), None);
    }
}
