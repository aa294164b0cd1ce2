//! Brightness of a picture at a size at which noise has averaged out: what the motion gate and the
//! watch over black pictures look at.

use image::RgbImage;

/// Rows of a small picture, about.
const HEIGHT: usize = 100;

/// A small grey picture: each pixel is the mean of a square of the camera's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Luma {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

impl Luma {
    /// Of a plane of bytes, row by row; `None` where the bytes are too few.
    pub fn of_plane(plane: &[u8], stride: usize, width: usize, height: usize) -> Option<Self> {
        if width == 0 || stride < width || plane.len() < stride.checked_mul(height)? {
            return None;
        }
        Self::shrink(width, height, |y, sums| {
            let row = plane
                .get(y * stride..y * stride + width)
                .unwrap_or_default();
            for (sum, pixel) in sums.iter_mut().zip(row) {
                *sum += u16::from(*pixel);
            }
        })
    }

    /// The green counts twice, which is near enough.
    pub fn of_rgb(image: &RgbImage) -> Option<Self> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let bytes = image.as_raw();
        Self::shrink(width, height, |y, sums| {
            let row = bytes.get(y * width * 3..(y + 1) * width * 3);
            let row = row.unwrap_or_default().chunks_exact(3);
            for (sum, rgb) in sums.iter_mut().zip(row) {
                *sum += (u16::from(rgb[0]) + 2 * u16::from(rgb[1]) + u16::from(rgb[2])) / 4;
            }
        })
    }

    /// Of packed 4:2:2: Y, U, Y, V.
    pub fn of_yuyv(bytes: &[u8], stride: usize, width: usize, height: usize) -> Option<Self> {
        if width == 0 || stride < width * 2 || bytes.len() < stride.checked_mul(height)? {
            return None;
        }
        Self::shrink(width, height, |y, sums| {
            let row = bytes.get(y * stride..y * stride + width * 2);
            let row = row.unwrap_or_default().chunks_exact(2);
            for (sum, pair) in sums.iter_mut().zip(row) {
                *sum += u16::from(pair[0]);
            }
        })
    }

    /// `add` adds a row's brightness to the sums by column.
    fn shrink(width: usize, height: usize, add: impl Fn(usize, &mut [u16])) -> Option<Self> {
        // 257 rows of 255 fit a u16; pictures are refused long before.
        let side = (height / HEIGHT).clamp(1, 257);
        let (small_width, small_height) = (width / side, height / side);
        if small_width == 0 || small_height == 0 {
            return None;
        }
        let mut pixels = Vec::with_capacity(small_width * small_height);
        let mut sums = vec![0_u16; width];
        let area = u32::try_from(side * side).ok()?;
        for row in 0..small_height {
            sums.fill(0);
            for y in row * side..(row + 1) * side {
                add(y, &mut sums);
            }
            pixels.extend(sums.chunks_exact(side).take(small_width).map(|square| {
                let sum: u32 = square.iter().map(|sum| u32::from(*sum)).sum();
                (sum / area) as u8
            }));
        }
        Some(Self {
            width: small_width,
            height: small_height,
            pixels,
        })
    }

    /// The brightness below which this share of the pixels lies, in thousandths.
    pub(super) fn quantile(&self, thousandths: usize) -> u8 {
        let mut counts = [0_usize; 256];
        for pixel in &self.pixels {
            counts[usize::from(*pixel)] += 1;
        }
        let wanted = self.pixels.len() * thousandths / 1000;
        let mut below = 0;
        for (value, count) in (0..=u8::MAX).zip(counts) {
            below += count;
            if below > wanted {
                return value;
            }
        }
        u8::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_scene_is_the_same_in_every_layout() {
        let bright = |x: usize, y: usize| ((x / 8 + y / 8) * 7 % 256) as u8;
        let (width, height) = (64_usize, 208_usize);
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let grey: Vec<u8> = pixels.map(|(x, y)| bright(x, y)).collect();
        let plane = Luma::of_plane(&grey, width, width, height).unwrap();
        let rgb = RgbImage::from_raw(64, 208, grey.iter().flat_map(|g| [*g; 3]).collect());
        assert_eq!(Luma::of_rgb(&rgb.unwrap()).unwrap(), plane);
        let yuyv: Vec<u8> = grey.iter().flat_map(|g| [*g, 128]).collect();
        assert_eq!(
            Luma::of_yuyv(&yuyv, width * 2, width, height).unwrap(),
            plane
        );
        assert_eq!((plane.width, plane.height), (32, 104));
        assert_eq!(plane.pixels[0], bright(0, 0));
    }

    #[test]
    fn too_few_bytes_are_no_picture() {
        assert_eq!(Luma::of_plane(&[0; 99], 10, 10, 10), None);
        assert_eq!(Luma::of_plane(&[0; 100], 9, 10, 10), None);
        assert_eq!(Luma::of_yuyv(&[0; 100], 10, 10, 10), None);
        assert_eq!(Luma::of_plane(&[], 0, 0, 0), None);
        assert!(Luma::of_plane(&[7; 100], 10, 10, 10).is_some());
    }
}
