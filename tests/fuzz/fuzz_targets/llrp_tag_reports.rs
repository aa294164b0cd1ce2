//! Tags of a report: the fast way tells what the tree holds.

#![no_main]

use basketd::wire::llrp::{Carry, Message, tag_reports};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let length = u32::try_from(body.len() + 10).expect("short");
    let head = [&[0x04, 61][..], &length.to_be_bytes(), &[0, 0, 0, 1]].concat();
    let bytes = [&head[..], body].concat();
    let mut carry = Carry::default();
    let (mut read, mut refused) = (0, 0);
    for report in tag_reports(&bytes) {
        match report {
            Ok(mut report) => {
                carry.fill(&mut report);
                let _ = (
                    report.rssi_cdbm(),
                    report.phase_cdeg(),
                    report.doppler_chz(),
                );
                assert!(report.op_results().count() <= bytes.len());
                read += 1;
            }
            Err(error) => {
                assert!(error.offset <= bytes.len());
                refused += 1;
            }
        }
    }
    if let Ok(message) = Message::decode(&bytes) {
        let unparsed = message.param("Unparsed").is_some();
        assert!(refused == usize::from(unparsed), "{refused}");
        assert_eq!(read, message.params("TagReportData").count());
        let trees = message.params("TagReportData");
        for (report, tree) in tag_reports(&bytes).filter_map(Result::ok).zip(trees) {
            let antenna = tree.params("AntennaID").last();
            let antenna = antenna.and_then(|p| p.number("AntennaID"));
            assert_eq!(report.antenna_id.map(u64::from), antenna);
        }
    }
});
