//! Writes seeds into `corpus/`, made by the project's own encoders.

use std::path::Path;

use basketd::sim::device::serial::Device;
use basketd::sim::device::serial::hid_scale::{DESCRIPTOR, Scale};
use basketd::sim::device::serial::thingmagic::{self, Made, ThingMagic};
use basketd::sim::device::serial::uhfreader18::{self, UhfReader};
use basketd::wire::llrp::{
    Draft, Epc, ImpinjData, TagReportData, Version, Words,
    commands::{self, Impinj, Inventory},
};
use basketd::wire::uhfreader18::Command;

fn main() -> std::io::Result<()> {
    let messages: Vec<Vec<u8>> = llrp()
        .iter()
        .map(|draft| {
            draft
                .encode(Version::V1_0_1, 7)
                .expect("as the standard wants it")
        })
        .collect();
    for (n, message) in messages.iter().enumerate() {
        seed("llrp_message", n, message)?;
    }
    seed("llrp_stream", 0, &[&[9][..], &messages.concat()].concat())?;
    for (n, report) in reports().iter().enumerate() {
        let draft = Draft::new("RO_ACCESS_REPORT").with(report.draft());
        let bytes = draft.encode(Version::V1_0_1, 1).expect("a report");
        seed("llrp_tag_reports", n, &bytes[10..])?;
        seed("llrp_message", 100 + n, &bytes)?;
    }
    readers()
}

/// What devices on serial lines say, behind a byte that tells how it is cut.
fn readers() -> std::io::Result<()> {
    let epc = [0x30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    let mut module =
        ThingMagic::new(Made::m6e(), vec![thingmagic::SimTag::new(epc, 2)]).streaming();
    seed("thingmagic", 0, &said(&mut module, 7, 2000))?;
    for kind in [0x09, 0x0C] {
        let mut reader = UhfReader::new(kind, vec![uhfreader18::SimTag::new(epc, 1)]);
        for command in [Command::Info, inventory(kind)] {
            let mut bytes = Vec::new();
            command.encode(&mut bytes);
            reader.receive(0, &bytes);
        }
        seed("uhfreader18", kind.into(), &said(&mut reader, 5, 1000))?;
    }
    let report = Scale::new().transmit(0).expect("a report is due");
    let all = [&[DESCRIPTOR.len() as u8], DESCRIPTOR, &report].concat();
    seed("hid_scale", 0, &all)
}

fn inventory(kind: u8) -> Command {
    match kind {
        0x09 => Command::Inventory18,
        _ => Command::Inventory288 {
            port: 1,
            scan_time: 3,
        },
    }
}

fn said(device: &mut impl Device, cut: u8, until_ms: u64) -> Vec<u8> {
    let mut bytes = vec![cut];
    for ms in (0..until_ms).step_by(100) {
        bytes.extend(device.transmit(ms).unwrap_or_default());
    }
    bytes
}

fn seed(target: &str, n: usize, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("seed-{n}")), bytes)
}

fn llrp() -> Vec<Draft> {
    let impinj = Impinj {
        search_mode: Some("Dual_Target"),
        serialized_tid: true,
        phase: true,
        peak_rssi: true,
        doppler: true,
    };
    let connected = Draft::new("ConnectionAttemptEvent").set("Status", "Success");
    vec![
        commands::get_reader_capabilities(),
        commands::get_reader_config(),
        commands::set_reader_config(false).with(commands::keepalive_spec(10_000)),
        commands::add_rospec(&Inventory::new(1).antennas(&[1, 2]).impinj(impinj)),
        commands::response("ERROR_MESSAGE", "M_FieldError", "no such antenna"),
        commands::reader_event(1, connected),
        commands::impinj_enable_extensions(),
        commands::keepalive(),
    ]
}

fn reports() -> Vec<TagReportData<'static>> {
    let plain = TagReportData {
        epc: Some(Epc::of_bytes(&[0x30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])),
        antenna_id: Some(1),
        peak_rssi_dbm: Some(-50),
        ..TagReportData::default()
    };
    let impinj = ImpinjData {
        serialized_tid: Words::of_bytes(&[0xE2, 0x80, 0x11, 0x60]),
        rf_phase_angle: Some(512),
        peak_rssi_cdbm: Some(-5012),
        rf_doppler_frequency: Some(-3),
        tx_power_cdbm: Some(3000),
    };
    let odd = Epc {
        bits: 11,
        bytes: &[0xAB, 0xE0],
    };
    vec![
        plain,
        TagReportData { impinj, ..plain },
        TagReportData {
            epc: Some(odd),
            rospec_id: Some(1),
            first_seen_utc_us: Some(1),
            last_seen_uptime_us: Some(2),
            tag_seen_count: Some(3),
            access_spec_id: Some(4),
            pc_bits: Some(5),
            crc: Some(6),
            ..plain
        },
    ]
}
