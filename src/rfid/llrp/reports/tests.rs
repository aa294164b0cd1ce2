use std::collections::BTreeSet;

use super::*;
use crate::wire::llrp::{BitArray, Draft, Version};

const WALL: i64 = 1_700_000_000_000_000;

fn arrival(steady_us: i64) -> Arrival {
    Arrival {
        wall: Timestamp::from_micros(WALL + steady_us),
        steady_us,
    }
}

fn message(reports: impl IntoIterator<Item = Draft>) -> Vec<u8> {
    let report = Draft::new("RO_ACCESS_REPORT").with_all(reports);
    report.encode(Version::V1_0_1, 1).unwrap()
}

fn tag(epc: u8) -> Draft {
    let epc = Draft::new("EPC_96").set("EPC", vec![epc; 12]);
    Draft::new("TagReportData").with(epc)
}

fn antenna(id: u16) -> Draft {
    Draft::new("AntennaID").set("AntennaID", id)
}

fn rssi(dbm: i8) -> Draft {
    Draft::new("PeakRSSI").set("PeakRSSI", dbm)
}

fn uptime(us: u64) -> Draft {
    Draft::new("LastSeenTimestampUptime").set("Microseconds", us)
}

/// Microseconds after `WALL`, and the message.
fn take(reports: &mut Reports, message: &[u8], at: i64) -> Vec<(i64, String)> {
    let mut readings = Readings::default();
    reports.take(message, arrival(at), &mut readings).unwrap();
    let each = readings.iter().map(|(captured_at, json)| {
        let text = String::from_utf8(json.to_vec()).unwrap();
        (captured_at.as_micros() - WALL, text)
    });
    each.collect()
}

fn reports(antennas: &[u16]) -> Reports {
    Reports::new(antennas.to_vec(), vec![865_700, 866_300], BTreeSet::new())
}

#[test]
fn what_waited_at_the_reader_is_as_old_as_it_is() {
    let mut all = reports(&[1]);
    let seen = |at: u64| tag(1).with(antenna(1)).with(rssi(-50)).with(uptime(at));
    let report = message([seen(500_000), seen(900_000), seen(700_000)]);
    let told = take(&mut all, &report, 7_000_000);
    let at: Vec<_> = told.iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [6_600_000, 7_000_000, 6_800_000]);
    // Two minutes old: that is no read but a clock.
    all.learn(Stamp::Uptime(200_000_000), arrival(206_100_000));
    let told = take(&mut all, &message([seen(80_000_000)]), 206_200_000);
    assert_eq!(told[0].0, 206_200_000);
}

#[test]
fn epcs_of_any_length() {
    let mut all = reports(&[1]);
    let epc = |bits: u16, bytes: Vec<u8>| {
        let bits = BitArray::new(bits, bytes).unwrap();
        let data = Draft::new("EPCData").set("EPC", bits);
        Draft::new("TagReportData")
            .with(data)
            .with(antenna(1))
            .with(rssi(-50))
    };
    let report = message([
        epc(12, vec![0xAB, 0xCF]),
        epc(0, vec![]),
        epc(496, vec![0x11; 62]),
        epc(504, vec![0x22; 63]),
    ]);
    let told = take(&mut all, &report, 0);
    assert_eq!(told.len(), 2);
    assert!(told[0].1.starts_with(r#"{"epc":"ABC0","#), "{}", told[0].1);
    assert!(told[1].1.contains(&"11".repeat(62)));
}

#[test]
fn an_antenna_that_is_not_told_can_only_be_the_only_one() {
    let report = message([tag(1).with(rssi(-50))]);
    let told = take(&mut reports(&[3]), &report, 0);
    assert!(told[0].1.contains(r#""antenna":3"#), "{}", told[0].1);
    let mut two = reports(&[3, 4]);
    assert_eq!(take(&mut two, &report, 0), []);
    assert!(two.oddities.no_antenna);
    // One that nobody asked for.
    let report = message([tag(1).with(antenna(9)).with(rssi(-50))]);
    assert_eq!(take(&mut two, &report, 0), []);
    assert_eq!(two.oddities.unasked, BTreeSet::from([9]));
}

#[test]
fn a_reader_without_rssi() {
    let mut all = reports(&[1]);
    let told = take(&mut all, &message([tag(1).with(antenna(1))]), 0);
    assert!(told[0].1.contains(r#""rssi_dbm":-60"#), "{}", told[0].1);
    assert!(all.oddities.no_rssi);
}

#[test]
fn an_antenna_that_reads_is_connected_whatever_the_reader_says() {
    let mut all = Reports::new(vec![1, 2], vec![], BTreeSet::from([1, 2]));
    take(
        &mut all,
        &message([tag(1).with(antenna(2)).with(rssi(-50))]),
        0,
    );
    assert_eq!(all.unheard, BTreeSet::from([1]));
}
