//! Frames of real readers, and properties of any bytes.

use proptest::prelude::*;

use super::*;
use crate::wire::framing::Splitter;

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

fn command(command: Command) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&mut out);
    out
}

/// A response as a reader would send it.
fn response(opcode: u8, status: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![data.len() as u8 + 5, 0, opcode, status];
    frame.extend(data);
    let crc = crc(&frame);
    frame.extend(crc.to_le_bytes());
    frame
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

#[test]
fn the_checksum_is_the_catalogued_one() {
    // The check value of CRC-16/MCRF4XX in the catalogue of parametrised CRC algorithms.
    assert_eq!(crc(b"123456789"), 0x6F91);
}

#[test]
fn commands_are_the_documented_bytes() {
    assert_eq!(command(Command::Inventory18)[..3], bytes("04FF01"));
    let inventory = Command::Inventory288 {
        port: 2,
        scan_time: 3,
    };
    assert_eq!(
        command(inventory)[..12],
        bytes("0DFF01 06 00 01 0000 00 00 81 03")
    );
    assert_eq!(command(Command::SetPower(26))[..4], bytes("05FF2F1A"));
    let eu = Band::from_name("eu").unwrap();
    assert_eq!(command(Command::SetBand(eu))[..5], bytes("06FF22 4E00"));
}

#[test]
fn answers_that_contradict_themselves_are_refused() {
    let refused = |family, data: &str| {
        let frame = response(opcode::INVENTORY, 3, &bytes(data));
        Inventory::parse(family, Frame::parse(&frame).unwrap())
            .unwrap_err()
            .0
    };
    assert_eq!(
        refused(Family::Type288, "03 01 01 AA 40"),
        "an antenna that is not one bit"
    );
    assert_eq!(
        refused(Family::Type288, "01 01 01 AA"),
        "a tag without its strength"
    );
    assert_eq!(refused(Family::Type18, "02 01 AA"), "fewer tags than told");
    assert_eq!(
        refused(Family::Type18, "01 09 AA"),
        "an EPC that is cut off"
    );
    assert_eq!(
        refused(Family::Type18, "01 00"),
        "an EPC of no or of too many bytes"
    );
    assert_eq!(
        refused(Family::Type18, "01 01 AA BB"),
        "more bytes than the tags that were told"
    );
}

#[test]
fn bands_go_there_and_back() {
    for name in Band::names() {
        let band = Band::from_name(name).unwrap();
        assert_eq!(Band::from_bytes(band.bytes()), band);
        assert_eq!(band.to_string(), name);
    }
    assert_eq!(Band::from_name("open"), None);
}

prop_compose! {
    fn any_response()(
        opcode in prop_oneof![Just(opcode::INVENTORY), Just(opcode::INFO), any::<u8>()],
        status in any::<u8>(),
        data in proptest::collection::vec(any::<u8>(), 0..=250),
    ) -> Vec<u8> {
        response(opcode, status, &data)
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for frame in frames(&bytes).0 {
            let frame = Frame::parse(&frame).unwrap();
            for family in [Family::Type18, Family::Type288] {
                drop(Inventory::parse(family, frame));
            }
            drop(Info::parse(frame).map(|info| info.to_string()));
        }
    }

    #[test]
    fn any_answer_is_survived(data in proptest::collection::vec(any::<u8>(), 0..=250)) {
        let frame = response(opcode::INVENTORY, 1, &data);
        let frame = Frame::parse(&frame).unwrap();
        for family in [Family::Type18, Family::Type288] {
            if let Ok(inventory) = Inventory::parse(family, frame) {
                let read: usize = inventory.tags.iter().map(|tag| tag.epc.len()).sum();
                prop_assert!(read <= data.len());
            }
        }
        drop(Info::parse(frame).map(|info| info.to_string()));
    }

    #[test]
    fn tags_go_there_and_back(
        tags in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 1..=62), any::<u8>()), 0..4),
        port in 1_u8..=8,
    ) {
        prop_assume!(tags.iter().map(|(epc, _)| epc.len() + 2).sum::<usize>() <= 248);
        let mut data = vec![1 << (port - 1), tags.len() as u8];
        for (epc, strength) in &tags {
            data.push(epc.len() as u8);
            data.extend(epc);
            data.push(*strength);
        }
        let frame = response(opcode::INVENTORY, 1, &data);
        let read = Inventory::parse(Family::Type288, Frame::parse(&frame).unwrap()).unwrap();
        prop_assert_eq!(read.port, Some(port));
        let read: Vec<_> = read.tags.iter().map(|tag| (tag.epc.to_vec(), tag.strength.unwrap())).collect();
        prop_assert_eq!(read, tags);
    }

    #[test]
    fn frames_do_not_depend_on_the_cuts(
        parts in proptest::collection::vec(
            prop_oneof![any_response(), proptest::collection::vec(any::<u8>(), 0..40)], 0..6),
        cut in 1_usize..40,
    ) {
        let stream = parts.concat();
        let mut splitter = Splitter::<ResponseFraming>::default();
        let mut found = Vec::new();
        for piece in stream.chunks(cut) {
            splitter.push(piece);
            while let Some(frame) = splitter.next_frame() {
                found.push(frame.to_vec());
            }
        }
        prop_assert_eq!((found, splitter.damage().corrupt), frames(&stream));
    }

    #[test]
    fn a_flipped_bit_is_never_accepted(frame in any_response(), bit in 0_usize..2048) {
        let mut damaged = frame.clone();
        let bit = bit % (damaged.len() * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (found, _) = frames(&damaged);
        prop_assert!(found.iter().all(|found| *found != damaged && *found != frame));
    }
}
