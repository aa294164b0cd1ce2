//! Frames that came from real UHFReader18 and UHFReader288 readers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::path::Path;

use basketd::wire::framing::Splitter;
use basketd::wire::uhfreader18::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter_map(|c| char::from(c).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn frames(bytes: &[u8]) -> (Vec<Vec<u8>>, u64) {
    let mut splitter = Splitter::<ResponseFraming>::default();
    splitter.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = splitter.next_frame() {
        frames.push(frame.to_vec());
    }
    (frames, splitter.damage().corrupt)
}

/// `tests/` of wabson/chafon-rfid, which took them from readers.
#[test]
fn frames_of_real_readers_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/captures/readers/uhfreader18-frames.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no ../shared");
        return;
    };
    let captured: serde_json::Value = serde_json::from_str(&text).unwrap();
    let inventory = |family, name: &str, expected: &[(Option<u8>, &str, Option<u8>)]| {
        let key = match family {
            Family::Type18 => "uhfreader18",
            Family::Type288 => "uhfreader288",
        };
        let frame = bytes(captured[key][name].as_str().unwrap());
        assert_eq!(frames(&frame), (vec![frame.clone()], 0), "{name}");
        let inventory = Inventory::parse(family, Frame::parse(&frame).unwrap()).unwrap();
        let read: Vec<_> = inventory
            .tags
            .iter()
            .map(|tag| (inventory.port, tag.epc.to_vec(), tag.strength))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(port, epc, strength)| (*port, bytes(epc), *strength))
            .collect();
        assert_eq!(read, expected, "{name}");
    };
    let [first, second] = ["000000000000000000000313", "000000000000000000000314"];
    let family = Family::Type288;
    inventory(family, "tags_ant1", &[(Some(1), first, Some(0x6B))]);
    let other = "3039606303C74380001A0559";
    inventory(family, "tags_ant1_b", &[(Some(1), other, Some(0x40))]);
    let third = "49440000000000000A000334";
    inventory(family, "tags_ant3", &[(Some(3), third, Some(0x64))]);
    inventory(
        family,
        "tags_short_epc",
        &[(Some(1), "00323038", Some(0x6D))],
    );
    inventory(family, "no_tags", &[]);
    let two = [(Some(1), first, Some(0x6B)), (Some(1), second, Some(0x6C))];
    inventory(family, "two_tags", &two);
    let family = Family::Type18;
    inventory(family, "one", &[(None, first, None)]);
    inventory(family, "one_b", &[(None, third, None)]);
    inventory(family, "two", &[(None, first, None), (None, second, None)]);

    let frame = bytes(captured["info"].as_str().unwrap());
    let info = Info::parse(Frame::parse(&frame).unwrap()).unwrap();
    assert_eq!(info.to_string(), "UHFReader288M, firmware 0.22");
    assert_eq!(info.family(), Some(Family::Type288));
    assert_eq!(
        (info.band.to_string(), info.power, info.scan_time),
        ("eu".into(), 30, 10)
    );

    let frame = bytes(captured["bad_checksum"].as_str().unwrap());
    let (found, corrupt) = frames(&frame);
    assert!(found.is_empty() && corrupt >= 1, "{found:?} {corrupt}");
}
