//! `foxglove.CompressedImage` in protobuf: a picture in a recording. Fields: 1 `timestamp`
//! (`google.protobuf.Timestamp`: 1 seconds, 2 nanos), 2 `data`, 3 `format`, 4 `frame_id`.

use crate::units::Timestamp;

/// A JPEG of a camera, as recordings hold it.
pub fn jpeg(camera: &str, captured_at: Timestamp, picture: &[u8]) -> Vec<u8> {
    let micros = captured_at.as_micros();
    let mut time = Vec::new();
    time.push(0x08);
    varint(&mut time, micros.div_euclid(1_000_000).unsigned_abs());
    time.push(0x10);
    varint(
        &mut time,
        micros.rem_euclid(1_000_000).unsigned_abs() * 1000,
    );
    let mut out = Vec::with_capacity(picture.len() + 64);
    field(&mut out, 1, &time);
    field(&mut out, 2, picture);
    field(&mut out, 3, b"jpeg");
    field(&mut out, 4, camera.as_bytes());
    out
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::decode_image;

    #[test]
    fn a_picture_survives() {
        let picture = vec![0xFF; 300];
        let at = Timestamp::from_micros(1_772_442_000_123_456);
        let bytes = jpeg("cam1", at, &picture);
        assert_eq!(decode_image(&bytes), Ok(&picture[..]));
        assert!(bytes.ends_with(b"\x1a\x04jpeg\x22\x04cam1"));
    }
}
