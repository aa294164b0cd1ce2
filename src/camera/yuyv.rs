//! Packed 4:2:2 as USB cameras give it (Y, U, Y, V), to red, green and blue (ITU-R BT.601, limited
//! range): for pictures that are given out, and no others.

use image::RgbImage;

/// `stride` is bytes from one row to the next; `None` where the bytes are too few.
pub(super) fn to_rgb(bytes: &[u8], stride: usize, width: usize, height: usize) -> Option<RgbImage> {
    let mut rgb = blank(width, height)?;
    for (row, out) in rgb.chunks_exact_mut(width * 3).enumerate() {
        let line = line(bytes, row.checked_mul(stride)?, width / 2 * 4)?;
        for (out, quad) in out.chunks_exact_mut(6).zip(line.chunks_exact(4)) {
            let colour = Colour::new(quad[1], quad[3]);
            out[..3].copy_from_slice(&colour.rgb(quad[0]));
            out[3..].copy_from_slice(&colour.rgb(quad[2]));
        }
    }
    RgbImage::from_raw(width as u32, height as u32, rgb)
}

fn blank(width: usize, height: usize) -> Option<Vec<u8>> {
    let pixels = width.checked_mul(height).filter(|pixels| *pixels > 0)?;
    if pixels as u64 > super::PIXELS_MAX {
        return None;
    }
    Some(vec![0; pixels * 3])
}

fn line(plane: &[u8], begin: usize, len: usize) -> Option<&[u8]> {
    plane.get(begin..begin.checked_add(len)?)
}

/// What two neighbours' colour adds to their brightness; fractions of 65536.
#[derive(Clone, Copy)]
struct Colour {
    red: i32,
    green: i32,
    blue: i32,
}

impl Colour {
    #[inline]
    fn new(u: u8, v: u8) -> Self {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        Self {
            red: 104_597 * v,
            green: -25_675 * u - 53_279 * v,
            blue: 132_201 * u,
        }
    }

    #[inline]
    fn rgb(self, y: u8) -> [u8; 3] {
        let y = 76_309 * (i32::from(y) - 16) + 32_768;
        let clamp = |value: i32| (value >> 16).clamp(0, 255) as u8;
        [
            clamp(y + self.red),
            clamp(y + self.green),
            clamp(y + self.blue),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_come_out() {
        // BT.601: white, black, red, blue.
        for (yuv, rgb) in [
            ([235, 128, 128], [255, 255, 255]),
            ([16, 128, 128], [0, 0, 0]),
            ([81, 90, 240], [254, 0, 0]),
            ([41, 240, 110], [0, 0, 255]),
        ] {
            let [y, u, v] = yuv;
            let image = to_rgb(&[y, u, y, v, y, u, y, v], 4, 2, 2).unwrap();
            for pixel in image.pixels() {
                let off = pixel.0.iter().zip(rgb).map(|(a, b): (_, u8)| a.abs_diff(b));
                assert!(off.max() <= Some(2), "{yuv:?}: {pixel:?}");
            }
        }
    }

    #[test]
    fn too_few_bytes_are_no_picture() {
        assert_eq!(to_rgb(&[0; 15], 4, 2, 4), None);
        assert_eq!(to_rgb(&[0; 16], usize::MAX, 2, 4), None);
        assert_eq!(to_rgb(&[], 0, 0, 0), None);
    }
}
