//! A ThingMagic module's line: the frames do not depend on how the bytes are cut, and whatever a
//! sound frame says can be told.

#![no_main]

use basketd::wire::framing::Splitter;
use basketd::wire::thingmagic::{Frame, Response, ResponseFraming, crc};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    // The checksum of one frame is put right, so that the fuzzer need not find it.
    let mut sound = bytes.to_vec();
    if let [0xFF, length, ..] = sound[..] {
        let end = usize::from(length) + 5;
        if sound.len() >= end + 2 {
            let sum = crc(&sound[1..end]).to_be_bytes();
            sound[end..end + 2].copy_from_slice(&sum);
        }
    }
    for stream in [bytes, &sound] {
        let cut = stream.chunks(usize::from(*cut).max(1));
        let (whole, pieces) = (frames([stream]), frames(cut));
        assert_eq!(whole, pieces);
        for frame in whole {
            let frame = Frame::parse(&frame).expect("a splitter gives whole frames");
            if let Ok(Response::Tag(tag)) = Response::parse(frame) {
                assert!((1..=62).contains(&tag.epc.len()));
                assert!(tag.port.is_none_or(|port| (1..=16).contains(&port)));
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
