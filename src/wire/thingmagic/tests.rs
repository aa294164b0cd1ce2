//! Frames that others have published, and properties of any bytes.

use proptest::prelude::*;

use super::*;
use crate::wire::framing::{Damage, Splitter};

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

fn command(command: Command<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&mut out);
    out
}

/// A response as a module would send it.
fn response(opcode: u8, status: u16, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xFF, data.len() as u8, opcode];
    frame.extend(status.to_be_bytes());
    frame.extend(data);
    let crc = crc(&frame[1..]);
    frame.extend(crc.to_be_bytes());
    frame
}

fn frames(bytes: &[u8]) -> (Vec<Vec<u8>>, Damage) {
    let mut splitter = Splitter::<ResponseFraming>::default();
    splitter.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = splitter.next_frame() {
        frames.push(frame.to_vec());
    }
    (frames, splitter.damage())
}

fn parse(frame: &[u8]) -> Result<Response<'_>, Malformed> {
    Response::parse(Frame::parse(frame).unwrap())
}

/// In the comments of SparkFun's library.
const PUBLISHED_TAG: &str = "FF28220000 10001B01FF01 01 C4 11 0E1640 00000127 0000 05 0000 0F
    0080 3000 000000000000000000001545 E94A 561D";

#[test]
fn checksums_are_those_of_published_frames() {
    for frame in [
        "FF00031D0C",
        // A write (SparkFun), and two starts by the maker's own Universal Reader Assistant.
        "FF0A2403E8000000000003 00EE589D",
        "FF152F000001220000050C22881005 1B03E800C800570100C9DA",
        PUBLISHED_TAG,
    ] {
        let frame = bytes(frame);
        let (body, sum) = frame[1..].split_last_chunk::<2>().unwrap();
        assert_eq!(crc(body), u16::from_be_bytes(*sum), "{frame:02X?}");
    }
}

#[test]
fn commands_are_the_published_bytes() {
    assert_eq!(command(Command::Version), bytes("FF00031D0C"));
    let start = command(Command::Start);
    assert_eq!(
        start[..19],
        bytes("FF102F000001220000050722 10001B03E8007F")
    );
    assert_eq!(command(Command::Stop)[..6], bytes("FF032F000002"));
    assert_eq!(
        command(Command::SetBaud(115_200))[..7],
        bytes("FF04060001C200")
    );
    assert_eq!(
        command(Command::SearchList(&[1, 2]))[..8],
        bytes("FF059102 0101 0202")
    );
    let power = |port, power_cdbm| PortPower { port, power_cdbm };
    let powers = [power(1, 2700), power(2, -5)];
    assert_eq!(
        command(Command::PortPowers(&powers))[..14],
        bytes("FF0B9103 010A8C0A8C 02FFFBFFFB")
    );
    assert_eq!(
        command(Command::SetOption { key: 12, value: 0 })[..6],
        bytes("FF039A010C00")
    );
}

#[test]
fn a_list_that_does_not_fit_is_cut() {
    let ports = vec![7; 1000];
    let message = command(Command::SearchList(&ports));
    assert_eq!(message.len(), 255);
    assert_eq!(message[1], 250);
}

#[test]
fn the_published_tag_is_read_by_its_flags() {
    let frame = bytes(PUBLISHED_TAG);
    let (all, damage) = frames(&frame);
    assert_eq!((all.len(), damage), (1, Damage::default()));
    let Ok(Response::Tag(tag)) = parse(&frame) else {
        panic!("{:?}", parse(&frame));
    };
    let expected = Tag {
        epc: &bytes("000000000000000000001545"),
        pc: 0x3000,
        count: Some(1),
        rssi_dbm: Some(-60),
        port: Some(1),
        frequency_khz: Some(923_200),
        in_cycle_ms: Some(295),
        phase_deg: Some(0),
        data: &[],
    };
    assert_eq!(tag, expected);
}

#[test]
fn other_flags_move_the_parts() {
    let epc = bytes("E2004704576064 26E301010E");
    let mut data = bytes("10 001B 0006 01 C6 21 0080 3400");
    data.extend(&epc);
    data.extend([0xC4, 0xBB]);
    let frame = response(0x22, 0, &data);
    let Ok(Response::Tag(tag)) = parse(&frame) else {
        panic!("{:?}", parse(&frame));
    };
    assert_eq!(
        (tag.epc, tag.port, tag.rssi_dbm),
        (&epc[..], Some(2), Some(-58))
    );
    assert_eq!((tag.frequency_khz, tag.in_cycle_ms), (None, None));
    // Two words of extended control before the EPC.
    let data = bytes("10 001B 0000 01 0050 3200 8001 0000 ABCD 1234");
    let frame = response(0x22, 0, &data);
    let Ok(Response::Tag(tag)) = parse(&frame) else {
        panic!("{:?}", parse(&frame));
    };
    assert_eq!(tag.epc, [0xAB, 0xCD]);
}

#[test]
fn what_a_module_says_has_a_type() {
    let told = |opcode, status, data: &str| {
        let frame = response(opcode, status, &bytes(data));
        format!("{:?}", parse(&frame))
    };
    assert_eq!(told(0x22, 0x0400, ""), "Ok(KeepAlive)");
    assert_eq!(told(0x22, 0, ""), "Ok(KeepAlive)");
    assert_eq!(
        told(0x22, 0x0504, ""),
        "Ok(Fault { opcode: 34, fault: Fault(1284) })"
    );
    assert!(told(0x22, 0, "00 011B 02 8200 8200 01 F6").contains("temperature_c: Some(-10)"));
    assert!(told(0x22, 0, "00 003B 02 0008 02 02").contains("port: Some(2)"));
    assert_eq!(told(0x22, 0, "10 001B 007F 00 0000"), "Ok(Ended)");
    assert_eq!(told(0x2F, 0, "01 22 0000"), "Ok(Started)");
    assert_eq!(told(0x2F, 0, "02 0000"), "Ok(Stopped)");
    assert_eq!(told(0x72, 0, "2B"), "Ok(Temperature(43))");
    assert!(told(0x62, 0, "01 09C4 0C1C 01F4").contains("set: 2500, max: 3100, min: 500"));
    assert!(told(0x97, 0x0105, "").contains("Fault"));
    assert!(told(0x03, 0, "12").contains("Err"));
    let version = response(
        0x03,
        0,
        &bytes("12121300 30000002 20160603 01070011 00000010"),
    );
    let Ok(Response::Version(version)) = parse(&version) else {
        panic!("no version");
    };
    assert_eq!(version.to_string(), "M6e Nano, firmware 01.07.00.11");
    assert_eq!(Model::Unknown(0x44).to_string(), "a module of hardware 44");
    assert_eq!(Fault(0x0505).to_string(), "high return loss (fault 0505)");
}

#[test]
fn frames_are_found_behind_garbage_and_damage() {
    let tag = bytes(PUBLISHED_TAG);
    let alive = response(0x22, 0x0400, &[]);
    let mut damaged = tag.clone();
    damaged[20] ^= 1;
    let stream = [
        &[0x00, 0xFF, 0xFF, 0x02][..],
        &tag,
        &damaged,
        &alive,
        &tag[..9],
        &alive,
        &tag,
    ]
    .concat();
    let (found, damage) = frames(&stream);
    assert_eq!(found, [tag.clone(), alive.clone(), alive, tag.clone()]);
    assert!(damage.corrupt >= 2, "{damage:?}");
    let whole: usize = found.iter().map(Vec::len).sum();
    assert_eq!(damage.skipped as usize + whole, stream.len());
}

#[test]
fn a_quiet_line_ends_what_only_looked_like_a_frame() {
    let alive = response(0x22, 0x0400, &[]);
    let mut splitter = Splitter::<ResponseFraming>::default();
    splitter.push(&[0xFF, 0xF0]);
    splitter.push(&alive);
    assert_eq!(splitter.next_frame(), None);
    while splitter.is_waiting() && splitter.next_frame().is_none() {
        splitter.give_up();
    }
    assert_eq!(splitter.damage().skipped, 2);
}

#[test]
fn regions_have_names() {
    for name in Region::names() {
        let region = Region::from_name(name).unwrap();
        assert_eq!(Region::from_name(&region.to_string()), Some(region));
        assert_eq!(Region::from_code(region.code()), region);
    }
    assert_eq!(Region::from_name("eu").map(Region::code), Some(8));
    assert_eq!(Region::from_name("atlantis"), None);
}

prop_compose! {
    fn any_response()(
        opcode in prop_oneof![Just(0x22_u8), any::<u8>()],
        status in prop_oneof![3 => Just(0_u16), 1 => any::<u16>()],
        data in proptest::collection::vec(any::<u8>(), 0..=248),
    ) -> Vec<u8> {
        response(opcode, status, &data)
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (found, damage) = frames(&bytes);
        for frame in &found {
            drop(parse(frame).map(|response| format!("{response:?}")));
        }
        let whole: usize = found.iter().map(Vec::len).sum();
        prop_assert!(damage.skipped as usize + whole <= bytes.len());
    }

    #[test]
    fn any_sound_frame_is_survived(frame in any_response()) {
        drop(parse(&frame).map(|response| format!("{response:?}")));
        prop_assert_eq!(frames(&frame).0, [frame]);
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
        prop_assert_eq!((found, splitter.damage()), frames(&stream));
    }

    #[test]
    fn a_flipped_bit_is_never_accepted(frame in any_response(), bit in 0_usize..2040) {
        let mut damaged = frame.clone();
        let bit = bit % (damaged.len() * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (found, _) = frames(&damaged);
        // A frame can begin inside by chance; the damaged one itself is not among them.
        prop_assert!(found.iter().all(|found| *found != damaged && *found != frame));
    }

    #[test]
    fn commands_say_their_length_and_are_sound(
        powers in proptest::collection::vec((any::<u8>(), any::<i16>()), 0..80),
    ) {
        let powers: Vec<_> = powers
            .into_iter()
            .map(|(port, power_cdbm)| PortPower { port, power_cdbm })
            .collect();
        let message = command(Command::PortPowers(&powers));
        prop_assert_eq!(usize::from(message[1]) + 5, message.len());
        let (body, sum) = message[1..].split_last_chunk::<2>().unwrap();
        prop_assert_eq!(crc(body), u16::from_be_bytes(*sum));
    }
}
