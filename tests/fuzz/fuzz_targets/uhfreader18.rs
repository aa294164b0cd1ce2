//! A UHFReader's line: the frames do not depend on how the bytes are cut, and whatever a
//! sound frame says can be told.

#![no_main]

use basketd::wire::framing::Splitter;
use basketd::wire::uhfreader18::{Family, Frame, Info, Inventory, ResponseFraming, crc};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    // The checksum of one frame is put right, so that the fuzzer need not find it.
    let mut sound = bytes.to_vec();
    if let Some(length) = sound.first() {
        let end = usize::from(*length).saturating_sub(1);
        if sound.len() >= end + 2 && end > 0 {
            let sum = crc(&sound[..end]).to_le_bytes();
            sound[end..end + 2].copy_from_slice(&sum);
        }
    }
    for stream in [bytes, &sound] {
        let cut = stream.chunks(usize::from(*cut).max(1));
        let (whole, pieces) = (frames([stream]), frames(cut));
        assert_eq!(whole, pieces);
        for frame in whole {
            let frame = Frame::parse(&frame).expect("a splitter gives whole frames");
            for family in [Family::Type18, Family::Type288] {
                if let Ok(inventory) = Inventory::parse(family, frame) {
                    let read: usize = inventory.tags.iter().map(|tag| tag.epc.len() + 1).sum();
                    assert!(read <= frame.data.len());
                    assert!(inventory.port.is_none_or(|port| (1..=8).contains(&port)));
                }
            }
            if let Ok(info) = Info::parse(frame) {
                let _ = (info.to_string(), info.band.to_string());
                assert_eq!(info.band.bytes(), [frame.data[4], frame.data[5]]);
            }
        }
    }
});

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::<ResponseFraming>::default();
    let mut frames = Vec::new();
    for piece in pieces {
        splitter.push(piece);
        while let Some(frame) = splitter.next_frame() {
            frames.push(frame.to_vec());
        }
    }
    while splitter.is_waiting() {
        splitter.give_up();
        while let Some(frame) = splitter.next_frame() {
            frames.push(frame.to_vec());
        }
    }
    frames
}
