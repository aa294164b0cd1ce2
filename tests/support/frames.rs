//! Frames of the sample recordings beside the repository.
#![expect(clippy::print_stdout, reason = "says what is skipped")]

use std::path::PathBuf;

/// A path in the folder of shared material; `None`, with a printed line, where there is none.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if shared.is_dir() {
        Some(shared.join(path))
    } else {
        println!("skipped: no ../shared");
        None
    }
}

/// Every `step`th frame of a camera, `count` of them.
pub(crate) fn frames(
    recording: &str,
    camera: &str,
    step: usize,
    count: usize,
) -> Option<Vec<Vec<u8>>> {
    let bytes = std::fs::read(shared("recordings")?.join(recording).join("recording.mcap"))
        .expect("the recording is there");
    let topic = format!("/camera/{camera}/image");
    let messages = mcap::MessageStream::new(&bytes)
        .expect("it is MCAP")
        .map(|message| message.expect("it is whole"));
    let frames = messages.filter(|message| message.channel.topic == topic);
    let frames = frames.step_by(step).take(count);
    Some(frames.map(|frame| picture(&frame.data).to_vec()).collect())
}

/// The field `data` (2) of a foxglove.CompressedImage.
fn picture(mut message: &[u8]) -> &[u8] {
    loop {
        let key = varint(&mut message);
        assert_eq!(key & 7, 2, "all its fields are length-delimited");
        let length = varint(&mut message) as usize;
        let (field, rest) = message.split_at(length);
        if key >> 3 == 2 {
            return field;
        }
        message = rest;
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().expect("messages are whole");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}
