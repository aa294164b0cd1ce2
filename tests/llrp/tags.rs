//! Tags as a client wants them: units, Impinj's own, and what a reader leaves out.

use basketd::wire::llrp::{
    Carry, Draft, Epc, ImpinjData, TagReportData, Version, Words, tag_reports,
};

fn report(reports: &[TagReportData<'_>]) -> Vec<u8> {
    let reports = reports.iter().map(TagReportData::draft);
    let draft = Draft::new("RO_ACCESS_REPORT").with_all(reports);
    draft.encode(Version::V1_0_1, 1).unwrap()
}

#[test]
fn an_impinj_reader_tells_more() {
    let tid = [0xE2, 0x80, 0x11, 0x60];
    let impinj = ImpinjData {
        serialized_tid: Words::of_bytes(&tid),
        rf_phase_angle: Some(1024),
        peak_rssi_cdbm: Some(-5237),
        rf_doppler_frequency: Some(-24),
        tx_power_cdbm: Some(3000),
    };
    let sent = TagReportData {
        epc: Some(Epc::of_bytes(&[1, 2])),
        peak_rssi_dbm: Some(-52),
        impinj,
        ..TagReportData::default()
    };
    let bytes = report(&[sent]);
    let read = tag_reports(&bytes).next().unwrap().unwrap();
    assert_eq!(read.impinj, impinj);
    assert_eq!(read.rssi_cdbm(), Some(-5237));
    assert_eq!(read.phase_cdeg(), Some(9_000));
    assert_eq!(read.doppler_chz(), Some(-150));
    let plain = TagReportData {
        impinj: ImpinjData::default(),
        ..sent
    };
    assert_eq!(plain.rssi_cdbm(), Some(-5200));
}

/// The second report of a reader that tells only what changed; the third begins after a change of
/// what it tells.
#[test]
fn absent_means_as_before() {
    let first = TagReportData {
        epc: Some(Epc::of_bytes(&[1, 2])),
        rospec_id: Some(7),
        antenna_id: Some(2),
        peak_rssi_dbm: Some(-60),
        first_seen_utc_us: Some(5),
        last_seen_uptime_us: Some(9),
        access_spec_id: Some(3),
        pc_bits: Some(0x3000),
        ..TagReportData::default()
    };
    let second = TagReportData {
        epc: Some(Epc::of_bytes(&[3, 4])),
        peak_rssi_dbm: Some(-61),
        first_seen_uptime_us: Some(6),
        ..TagReportData::default()
    };
    let mut carry = Carry::default();
    let (mut a, mut b) = (first, second);
    carry.fill(&mut a);
    assert_eq!(a, first);
    carry.fill(&mut b);
    let filled = TagReportData {
        rospec_id: Some(7),
        antenna_id: Some(2),
        last_seen_uptime_us: Some(9),
        ..second
    };
    assert_eq!(b, filled);
    carry.clear();
    let mut c = second;
    carry.fill(&mut c);
    assert_eq!(c, second);
}

/// One tag a message or 50,000: each byte is looked at once.
#[test]
fn a_report_of_many_tags_is_read_whole() {
    let ids: Vec<[u8; 12]> = (0..50_000_u32)
        .map(|n| {
            let mut epc = [0; 12];
            epc[8..].copy_from_slice(&n.to_be_bytes());
            epc
        })
        .collect();
    let reports: Vec<_> = ids
        .iter()
        .map(|id| TagReportData {
            epc: Some(Epc::of_bytes(id)),
            ..TagReportData::default()
        })
        .collect();
    let bytes = report(&reports);
    let read = tag_reports(&bytes).map(|r| r.unwrap().epc.unwrap().bytes);
    assert!(read.eq(ids.iter().map(|id| &id[..])));
}
