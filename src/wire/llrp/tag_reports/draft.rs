//! Tag reports as drafts: what a reader that does not exist sends, in tests, benches and simulations.

use super::{Epc, ImpinjData, TagReportData};
use crate::wire::llrp::draft::Draft;
use crate::wire::llrp::value::{BitArray, Value};

impl TagReportData<'_> {
    /// The parameter as a draft, for readers that do not exist. `parameters` is not in it.
    pub fn draft(&self) -> Draft {
        fn single(
            name: &'static str,
            field: &'static str,
            value: Option<impl Into<Value>>,
        ) -> Option<Draft> {
            value.map(|value| Draft::new(name).set(field, value))
        }
        let same = |name, value: Option<u16>| single(name, name, value);
        let us = |name, value: Option<u64>| single(name, "Microseconds", value);
        Draft::new("TagReportData")
            .with_all(self.epc.map(Epc::draft))
            .with_all(single("ROSpecID", "ROSpecID", self.rospec_id))
            .with_all(same("SpecIndex", self.spec_index))
            .with_all(same(
                "InventoryParameterSpecID",
                self.inventory_parameter_spec_id,
            ))
            .with_all(same("AntennaID", self.antenna_id))
            .with_all(single("PeakRSSI", "PeakRSSI", self.peak_rssi_dbm))
            .with_all(same("ChannelIndex", self.channel_index))
            .with_all(us("FirstSeenTimestampUTC", self.first_seen_utc_us))
            .with_all(us("FirstSeenTimestampUptime", self.first_seen_uptime_us))
            .with_all(us("LastSeenTimestampUTC", self.last_seen_utc_us))
            .with_all(us("LastSeenTimestampUptime", self.last_seen_uptime_us))
            .with_all(single("TagSeenCount", "TagCount", self.tag_seen_count))
            .with_all(single("C1G2_PC", "PC_Bits", self.pc_bits))
            .with_all(single("C1G2_CRC", "CRC", self.crc))
            .with_all(single("C1G2_XPCW1", "XPC_W1", self.xpc_w1))
            .with_all(single("C1G2_XPCW2", "XPC_W2", self.xpc_w2))
            .with_all(single("AccessSpecID", "AccessSpecID", self.access_spec_id))
            .with_all(self.impinj.drafts())
    }
}

impl Epc<'_> {
    /// EPC_96 where it is that long, as readers do, else EPCData.
    fn draft(self) -> Draft {
        if self.bits == 96 {
            return Draft::new("EPC_96").set("EPC", self.bytes);
        }
        let draft = Draft::new("EPCData");
        match BitArray::new(self.bits, self.bytes) {
            Some(bits) => draft.set("EPC", bits),
            // Left unset, so that encoding tells what is wrong.
            None => draft,
        }
    }
}

impl ImpinjData<'_> {
    fn drafts(&self) -> impl Iterator<Item = Draft> {
        let tid = self.serialized_tid.map(|tid| {
            let words: Vec<u16> = tid.iter().collect();
            Draft::new("ImpinjSerializedTID").set("TID", words)
        });
        let phase = self.rf_phase_angle;
        let phase = phase.map(|p| Draft::new("ImpinjRFPhaseAngle").set("PhaseAngle", p));
        let rssi = self.peak_rssi_cdbm;
        let rssi = rssi.map(|r| Draft::new("ImpinjPeakRSSI").set("RSSI", r));
        let doppler = self.rf_doppler_frequency;
        let doppler =
            doppler.map(|d| Draft::new("ImpinjRFDopplerFrequency").set("DopplerFrequency", d));
        let power = self.tx_power_cdbm;
        let power = power.map(|p| Draft::new("ImpinjTxPower").set("TxPower", p));
        [tid, phase, rssi, doppler, power].into_iter().flatten()
    }
}
