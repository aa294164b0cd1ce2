//! A camera's JPEG or PNG into the numbers that a network wants, in buffers that are used again.

use std::io::Cursor;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{ColorType, DynamicImage, ImageDecoder as _, ImageReader, RgbImage};
use serde::Deserialize;

use super::families::Size;

/// The largest picture that a camera can have meant, pixels a side and bytes in all: a file of a
/// few kilobytes can ask for gigabytes.
const MOST_PIXELS_A_SIDE: u32 = 8192;
const MOST_BYTES: u64 = 128 << 20;

/// What is around a letterboxed picture; the grey that YOLOX was trained with.
const FILL: u8 = 114;

/// How a picture is made to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Its shape kept, at the top left.
    Letterbox,
    /// Its shape lost.
    Stretch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    Rgb,
    Bgr,
}

/// What a network wants to be given: `(x * scale - mean) / std` of each channel, NCHW.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    pub size: Size,
    pub resize: Resize,
    pub channels: Channels,
    pub scale: f32,
    /// In the order of `channels`, as `std`.
    pub mean: [f32; 3],
    /// Never zero.
    pub std: [f32; 3],
}

/// The way from the network's pixels back to the picture's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct InputGeometry {
    /// The picture, pixels.
    pub frame: Size,
    /// Network pixels for a pixel of the picture.
    pub scale: [f32; 2],
}

/// Why a picture could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("failed to read the picture: {0}")]
    Image(#[from] image::ImageError),
    #[error("failed to read the picture: {0}")]
    Header(#[from] std::io::Error),
    #[error("the picture is cut off: a JPEG without its end mark")]
    CutOff,
    #[error("failed to resize the picture: {0}")]
    Resize(String),
}

/// Pixels of the last picture and of its resized form, RGB.
#[derive(Debug)]
pub(super) struct Prepare {
    spec: InputSpec,
    resizer: Resizer,
    pixels: Vec<u8>,
    resized: Vec<u8>,
    input: Vec<f32>,
    /// What of `input` the last picture covered; the rest is fill.
    covered: Option<Size>,
}

impl Prepare {
    pub(super) fn new(spec: InputSpec) -> Self {
        let pixels = spec.size.width * spec.size.height;
        let mut new = Self {
            resizer: Resizer::new(),
            pixels: Vec::new(),
            resized: Vec::new(),
            input: vec![0.0; 3 * pixels],
            covered: None,
            spec,
        };
        new.fill();
        new
    }

    /// The network's input: before the first picture, plain grey.
    pub(super) fn input(&self) -> &[f32] {
        &self.input
    }

    /// Decodes a picture; the first step.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Result<Size, PictureError> {
        // The decoder fills what is missing with grey, which looks like an empty shelf.
        if is_cut_jpeg(bytes) {
            return Err(PictureError::CutOff);
        }
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(MOST_PIXELS_A_SIDE);
        limits.max_image_height = Some(MOST_PIXELS_A_SIDE);
        limits.max_alloc = Some(MOST_BYTES);
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        reader.limits(limits.clone());
        let decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        limits.check_dimensions(width, height)?;
        limits.reserve(decoder.total_bytes())?;
        if decoder.color_type() == ColorType::Rgb8 {
            self.pixels.resize(3 * width as usize * height as usize, 0);
            decoder.read_image(&mut self.pixels)?;
        } else {
            self.pixels = DynamicImage::from_decoder(decoder)?.into_rgb8().into_raw();
        }
        Ok(Size {
            width: width as usize,
            height: height as usize,
        })
    }

    /// Takes a picture that is decoded already; the first step.
    pub(super) fn take_rgb(&mut self, picture: &RgbImage) -> Size {
        self.pixels.clear();
        self.pixels.extend_from_slice(picture.as_raw());
        let (width, height) = picture.dimensions();
        Size {
            width: width as usize,
            height: height as usize,
        }
    }

    /// Resizes and normalises the picture that was decoded last; the second step.
    pub(super) fn normalise(&mut self, frame: Size) -> Result<InputGeometry, PictureError> {
        let (size, scale) = fitted(&self.spec, frame);
        self.resize(frame, size)?;
        if self.covered != Some(size) {
            self.fill();
            self.covered = Some(size);
        }
        self.write_planes(size);
        Ok(InputGeometry { frame, scale })
    }

    fn resize(&mut self, from: Size, to: Size) -> Result<(), PictureError> {
        let failed = |error: &dyn std::fmt::Display| PictureError::Resize(error.to_string());
        self.resized.resize(3 * to.width * to.height, 0);
        let (w, h) = (from.width as u32, from.height as u32);
        let source = ImageRef::new(w, h, &self.pixels, PixelType::U8x3).map_err(|e| failed(&e))?;
        let (w, h) = (to.width as u32, to.height as u32);
        let mut target = Image::from_slice_u8(w, h, &mut self.resized, PixelType::U8x3)
            .map_err(|e| failed(&e))?;
        // Without a low-pass filter, as in the training pipelines of all families here.
        let bilinear = ResizeAlg::Interpolation(FilterType::Bilinear);
        self.resizer
            .resize(
                &source,
                &mut target,
                &ResizeOptions::new().resize_alg(bilinear),
            )
            .map_err(|e| failed(&e))
    }

    /// Pixel by pixel RGB at the top left of plane by plane input.
    fn write_planes(&mut self, size: Size) {
        let plane = self.spec.size.width * self.spec.size.height;
        for (position, values) in self.input.chunks_exact_mut(plane).enumerate() {
            let (factor, offset) = affine(&self.spec, position);
            let source = match self.spec.channels {
                Channels::Rgb => position,
                Channels::Bgr => 2 - position,
            };
            let rows = values.chunks_exact_mut(self.spec.size.width);
            for (row, pixels) in rows.zip(self.resized.chunks_exact(3 * size.width)) {
                for (value, pixel) in row.iter_mut().zip(pixels.as_chunks::<3>().0) {
                    *value = f32::from(pixel[source]) * factor + offset;
                }
            }
        }
    }

    fn fill(&mut self) {
        let plane = self.spec.size.width * self.spec.size.height;
        for (position, values) in self.input.chunks_exact_mut(plane).enumerate() {
            let (factor, offset) = affine(&self.spec, position);
            values.fill(f32::from(FILL) * factor + offset);
        }
    }
}

/// Whether bytes begin as a JPEG and have no end-of-image marker; no other two bytes of the
/// picture itself look like one (ITU-T T.81, B.1.1.5). Padding may follow it.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let begins = bytes.starts_with(&[0xFF, 0xD8]);
    begins && !bytes.windows(2).rev().any(|pair| pair == [0xFF, 0xD9])
}

/// A channel's normalisation as one multiplication and one addition.
fn affine(spec: &InputSpec, position: usize) -> (f32, f32) {
    let (mean, std) = (spec.mean[position], spec.std[position]);
    (spec.scale / std, -mean / std)
}

/// The size that a picture is resized to, and network pixels for each of its own.
fn fitted(spec: &InputSpec, frame: Size) -> (Size, [f32; 2]) {
    let across = spec.size.width as f32 / frame.width.max(1) as f32;
    let down = spec.size.height as f32 / frame.height.max(1) as f32;
    if spec.resize == Resize::Stretch {
        return (spec.size, [across, down]);
    }
    let scale = across.min(down);
    let side = |pixels: usize, most: usize| ((pixels as f32 * scale) as usize).clamp(1, most);
    let size = Size {
        width: side(frame.width, spec.size.width),
        height: side(frame.height, spec.size.height),
    };
    (size, [scale, scale])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(resize: Resize, channels: Channels) -> InputSpec {
        InputSpec {
            size: Size {
                width: 8,
                height: 8,
            },
            resize,
            channels,
            scale: 1.0,
            mean: [1.0, 2.0, 3.0],
            std: [2.0, 1.0, 1.0],
        }
    }

    fn png(picture: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }

    fn plain(width: u32, height: u32) -> Vec<u8> {
        png(&DynamicImage::ImageRgb8(RgbImage::from_pixel(
            width,
            height,
            image::Rgb([10, 20, 30]),
        )))
    }

    #[test]
    fn letterbox_is_top_left_on_grey_in_the_channels_asked_for() {
        let mut prepare = Prepare::new(spec(Resize::Letterbox, Channels::Bgr));
        let frame = prepare.decode(&plain(32, 16)).unwrap();
        let geometry = prepare.normalise(frame).unwrap();
        assert_eq!(geometry.scale, [0.25, 0.25]);
        let input = prepare.input();
        // Blue first, (30 - 1) / 2 in the picture and (114 - 1) / 2 below it.
        assert_eq!(
            (input[0], input[8 * 4 - 1], input[8 * 4]),
            (14.5, 14.5, 56.5)
        );
        assert_eq!((input[64], input[128]), (18.0, 7.0));
    }

    #[test]
    fn a_taller_picture_leaves_nothing_of_a_wider_one() {
        let mut prepare = Prepare::new(spec(Resize::Letterbox, Channels::Rgb));
        for (width, height) in [(32, 16), (16, 32)] {
            let frame = prepare.decode(&plain(width, height)).unwrap();
            prepare.normalise(frame).unwrap();
        }
        let first_row = &prepare.input()[..8];
        assert_eq!(first_row, [4.5, 4.5, 4.5, 4.5, 56.5, 56.5, 56.5, 56.5]);
    }

    #[test]
    fn stretch_fills_the_input() {
        let mut prepare = Prepare::new(spec(Resize::Stretch, Channels::Rgb));
        let frame = prepare.decode(&plain(32, 16)).unwrap();
        let geometry = prepare.normalise(frame).unwrap();
        assert_eq!(geometry.scale, [0.25, 0.5]);
        assert!(prepare.input()[..64].iter().all(|v| *v == 4.5));
    }

    #[test]
    fn grey_and_transparent_pictures_are_read() {
        let mut prepare = Prepare::new(spec(Resize::Stretch, Channels::Rgb));
        for picture in [
            DynamicImage::ImageLuma8(image::GrayImage::from_pixel(4, 4, image::Luma([10]))),
            DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(
                4,
                4,
                image::Rgba([10, 0, 0, 0]),
            )),
        ] {
            let frame = prepare.decode(&png(&picture)).unwrap();
            prepare.normalise(frame).unwrap();
            assert_eq!(prepare.input()[0], 4.5);
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let mut prepare = Prepare::new(spec(Resize::Stretch, Channels::Rgb));
        for size in [(9000, 1), (1, 9000)] {
            let error = prepare.decode(&plain(size.0, size.1)).unwrap_err();
            assert!(
                matches!(error, PictureError::Image(image::ImageError::Limits(_))),
                "{error}"
            );
        }
        // 8192 x 8192 as its header claims; the pixels are not there.
        let mut bytes = plain(1, 1);
        bytes[16..24].copy_from_slice(&[0, 0, 32, 0, 0, 0, 32, 0]);
        assert!(prepare.decode(&bytes).is_err());
        assert!(prepare.pixels.is_empty());
        assert!(prepare.decode(b"no picture").is_err());
    }
}
