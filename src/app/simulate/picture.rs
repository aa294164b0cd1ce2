//! A picture of what a camera's model saw: boxes on grey, for cameras of which only detections were
//! recorded.

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Seen {
    width: f64,
    height: f64,
    detections: Vec<Box>,
}

#[derive(Deserialize)]
struct Box {
    class: String,
    #[serde(rename = "box")]
    bbox: [f64; 4],
}

/// A JPEG with the noise of a sensor, another one for each number; `None` where the message is none of
/// detections.
pub(super) fn drawn(width: u32, height: u32, number: u64, message: &[u8]) -> Option<Vec<u8>> {
    let seen: Seen = serde_json::from_slice(message).ok()?;
    let mut chance = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut picture = RgbImage::from_fn(width, height, |x, y| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        // Tiles, so that no two places look the same to a motion gate.
        let bright = 120 + ((x / 16 + y / 16) % 2) as u8 * 30 + (chance & 3) as u8;
        Rgb([bright; 3])
    });
    let scale = [
        f64::from(width) / seen.width,
        f64::from(height) / seen.height,
    ];
    for one in &seen.detections {
        let colour = match one.class.as_str() {
            "person" => [40, 60, 160],
            "hand" => [220, 170, 140],
            _ => [60, 160, 60],
        };
        fill(&mut picture, one.bbox, scale, Rgb(colour));
    }
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 80);
    picture.write_with_encoder(encoder).ok()?;
    Some(bytes)
}

fn fill(picture: &mut RgbImage, [x0, y0, x1, y1]: [f64; 4], scale: [f64; 2], colour: Rgb<u8>) {
    let (width, height) = picture.dimensions();
    let at = |value: f64, scale: f64, most: u32| (value * scale).clamp(0.0, f64::from(most)) as u32;
    for y in at(y0, scale[1], height)..at(y1, scale[1], height) {
        for x in at(x0, scale[0], width)..at(x1, scale[0], width) {
            picture.put_pixel(x, y, colour);
        }
    }
}
