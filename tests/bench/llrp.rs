//! LLRP reports a second: tags out of RO_ACCESS_REPORTs of 1, 100 and 68,000 tags (3.5 MB), plain
//! (51 bytes a tag) and with three of Impinj's parameters, and the same as trees. Run with
//! `cargo bench --bench llrp`. `LLRP_BENCH_DUMP=DIR` writes the messages there for other codecs.

use basketd::wire::llrp::{
    Draft, Epc, Framer, ImpinjData, Message, TagReportData, Version, Words, tag_reports,
};
use divan::counter::{BytesCount, ItemsCount};

/// Tags in a message; each bench reads about as many tags.
const TAGS: [u32; 3] = [1, 100, 68_000];
const WHOLE: u32 = 68_000;

fn main() {
    if let Some(folder) = std::env::var_os("LLRP_BENCH_DUMP") {
        let folder = std::path::PathBuf::from(folder);
        for (name, impinj) in [("plain", false), ("impinj", true)] {
            for tags in TAGS {
                let bytes = messages(tags, impinj).concat();
                let path = folder.join(format!("{name}_{tags}.bin"));
                std::fs::write(path, bytes).expect("the folder can be written to");
            }
        }
    }
    divan::main();
}

fn draft(tag: u32, impinj: bool) -> Draft {
    let mut epc = [0x30, 0x08, 0x33, 0xB2, 0xDD, 0xD9, 0x01, 0x40, 0, 0, 0, 0];
    epc[8..].copy_from_slice(&tag.to_be_bytes());
    let at = 1_594_174_805_140_192 + u64::from(tag);
    let tid = [0xE2, 0x80, 0x11, 0x60, 0x60, 0, 2, 5, 1, 2, 3, 4];
    let mut report = TagReportData {
        epc: Some(Epc::of_bytes(&epc)),
        rospec_id: Some(1),
        antenna_id: Some((tag % 4) as u16 + 1),
        peak_rssi_dbm: Some(-40 - (tag % 30) as i8),
        channel_index: Some((tag % 50) as u16),
        first_seen_utc_us: Some(at),
        last_seen_utc_us: Some(at + 900),
        tag_seen_count: Some(3),
        ..TagReportData::default()
    };
    if impinj {
        report.impinj = ImpinjData {
            serialized_tid: Words::of_bytes(&tid),
            rf_phase_angle: Some((tag % 4096) as u16),
            peak_rssi_cdbm: Some(-5230),
            ..ImpinjData::default()
        };
    }
    report.draft()
}

/// `WHOLE` reports in messages of `tags` each.
fn messages(tags: u32, impinj: bool) -> Vec<Vec<u8>> {
    let message = |n: u32| {
        let reports = (n * tags..(n + 1) * tags).map(|tag| draft(tag, impinj));
        let draft = Draft::new("RO_ACCESS_REPORT").with_all(reports);
        draft
            .encode(Version::V1_0_1, n)
            .expect("a report as the standard wants it")
    };
    (0..WHOLE / tags).map(message).collect()
}

fn count(messages: &[Vec<u8>]) -> u64 {
    let mut sum = 0;
    for message in messages {
        for report in tag_reports(message) {
            let report = report.expect("well-formed");
            sum +=
                u64::from(report.antenna_id.unwrap_or(0)) + u64::from(report.rssi_cdbm().is_some());
            divan::black_box(&report);
        }
    }
    sum
}

fn tags(bencher: divan::Bencher<'_, '_>, tags: u32, impinj: bool) {
    let messages = messages(tags, impinj);
    let read = WHOLE / tags * tags;
    let bytes: usize = messages.iter().map(Vec::len).sum();
    bencher
        .counter(ItemsCount::new(read))
        .counter(BytesCount::new(bytes))
        .bench(|| count(&messages));
}

#[divan::bench(args = TAGS)]
fn tag_reports_plain(bencher: divan::Bencher<'_, '_>, n: u32) {
    tags(bencher, n, false);
}

#[divan::bench(args = TAGS)]
fn tag_reports_impinj(bencher: divan::Bencher<'_, '_>, n: u32) {
    tags(bencher, n, true);
}

/// From a stream in pieces of a network read.
#[divan::bench(args = TAGS)]
fn framed_tag_reports_plain(bencher: divan::Bencher<'_, '_>, n: u32) {
    let stream = messages(n, false).concat();
    bencher
        .counter(ItemsCount::new(WHOLE / n * n))
        .counter(BytesCount::new(stream.len()))
        .bench(|| {
            let mut framer = Framer::default();
            let mut read = 0;
            for piece in stream.chunks(16 << 10) {
                framer.push(piece);
                while let Some(message) = framer.pop().expect("in step") {
                    read += tag_reports(message).filter(Result::is_ok).count();
                }
            }
            read
        });
}

#[divan::bench(args = TAGS)]
fn decode_to_tree(bencher: divan::Bencher<'_, '_>, n: u32) {
    let messages = messages(n, false);
    bencher.counter(ItemsCount::new(WHOLE / n * n)).bench(|| {
        for message in &messages {
            divan::black_box(Message::decode(message).expect("well-formed"));
        }
    });
}

#[divan::bench(args = TAGS)]
fn encode_from_tree(bencher: divan::Bencher<'_, '_>, n: u32) {
    let decode = |bytes: &Vec<u8>| Message::decode(bytes).expect("well-formed");
    let trees: Vec<Message> = messages(n, false).iter().map(decode).collect();
    let mut out = Vec::new();
    bencher
        .counter(ItemsCount::new(WHOLE / n * n))
        .bench_local(|| {
            for tree in &trees {
                out.clear();
                tree.encode_into(&mut out).expect("it was decoded");
                divan::black_box(&out);
            }
        });
}
