//! What the supervisor asks of every kind of camera, and what a camera's pictures look like before
//! anybody decides whether they are given out.

use std::time::Duration;

use image::RgbImage;
use openh264::decoder::DecodedYUV;
use openh264::formats::YUVSource as _;

use super::luma::Luma;
use super::yuyv;
use super::{PIXELS_MAX, Picture};
use crate::units::Timestamp;

/// How long a source may wait for pictures before it comes back, so that `stop` is seen.
pub(super) const WAIT: Duration = Duration::from_millis(200);

/// An open camera. Dropping it closes it.
pub(super) trait Source {
    /// Waits a little for pictures, and shows each that comes.
    fn look(&mut self, eye: &mut dyn FnMut(View<'_>)) -> Result<Option<Loss>, Trouble>;

    /// What to look at where it is open and gives nothing; follows the reason.
    fn hint(&self) -> &'static str {
        ""
    }
}

/// One picture, borrowed from whoever has it.
pub(super) struct View<'a> {
    pub captured_at: Timestamp,
    pub pixels: Pixels<'a>,
    /// Whether the sensor's own noise is in it. It is not in pictures that repeat parts of earlier
    /// ones, nor in files.
    pub fresh: bool,
}

pub(super) enum Pixels<'a> {
    /// Whole, with its tables.
    Jpeg(&'a [u8]),
    /// 4:2:0, as the decoder holds it.
    Yuv(&'a DecodedYUV<'a>),
    Yuyv {
        bytes: &'a [u8],
        stride: usize,
        width: usize,
        height: usize,
    },
}

/// Pictures that were lost on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    pub pictures: u64,
    pub reason: String,
}

/// Why a camera gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub kind: Kind,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody answers: trying again is cheap.
    Unreachable,
    /// It answered, and then no more or nonsense.
    Broken,
    /// It answers, and will not give: a person must change something.
    Refused,
    /// It does not take user and password. Cameras lock out for half an hour who tries a wrong one
    /// some seven times.
    Login,
}

impl Kind {
    /// The shortest and the longest wait before the next attempt.
    pub(super) fn patience(self) -> (Duration, Duration) {
        let (least, most) = match self {
            Self::Unreachable => (250, 2_000),
            Self::Broken => (250, 5_000),
            Self::Refused => (250, 30_000),
            Self::Login => (15_000, 300_000),
        };
        (Duration::from_millis(least), Duration::from_millis(most))
    }
}

impl Trouble {
    pub(super) fn unreachable(reason: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, reason)
    }

    pub(super) fn broken(reason: impl Into<String>) -> Self {
        Self::new(Kind::Broken, reason)
    }

    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::new(Kind::Refused, reason)
    }

    pub(super) fn login(reason: impl Into<String>) -> Self {
        Self::new(Kind::Login, reason)
    }

    fn new(kind: Kind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { kind, reason }
    }
}

impl Pixels<'_> {
    /// The picture to give out; `None` where its bytes are too few.
    pub(super) fn picture(&self) -> Option<Picture> {
        match self {
            Self::Jpeg(bytes) => Some(Picture::Jpeg(bytes.to_vec())),
            Self::Yuv(yuv) => rgb_of(yuv).map(Picture::Rgb),
            Self::Yuyv {
                bytes,
                stride,
                width,
                height,
            } => yuyv::to_rgb(bytes, *stride, *width, *height).map(Picture::Rgb),
        }
    }

    /// Its brightness; `None` where it cannot be decoded.
    pub(super) fn luma(&self) -> Option<Luma> {
        match self {
            Self::Jpeg(bytes) => Luma::of_rgb(&decode(bytes)?),
            Self::Yuv(yuv) => {
                let (width, height) = yuv.dimensions();
                Luma::of_plane(yuv.y(), yuv.strides().0, width, height)
            }
            Self::Yuyv {
                bytes,
                stride,
                width,
                height,
            } => Luma::of_yuyv(bytes, *stride, *width, *height),
        }
    }

    /// Equal for pictures that are equal to the last bit.
    pub(super) fn fingerprint(&self) -> u64 {
        match self {
            Self::Jpeg(bytes) | Self::Yuyv { bytes, .. } => fingerprint(0, bytes),
            Self::Yuv(yuv) => {
                let (width, height) = yuv.dimensions();
                let rows = yuv.y().chunks(yuv.strides().0.max(1)).take(height);
                rows.fold(0, |mark, row| {
                    fingerprint(mark, row.get(..width).unwrap_or(row))
                })
            }
        }
    }
}

fn rgb_of(yuv: &DecodedYUV<'_>) -> Option<RgbImage> {
    let (width, height) = yuv.dimensions();
    if width == 0 || height == 0 || (width * height) as u64 > PIXELS_MAX {
        return None;
    }
    let mut rgb = vec![0; width * height * 3];
    yuv.write_rgb8(&mut rgb);
    RgbImage::from_raw(width as u32, height as u32, rgb)
}

fn decode(bytes: &[u8]) -> Option<RgbImage> {
    let mut reader =
        image::ImageReader::with_format(std::io::Cursor::new(bytes), image::ImageFormat::Jpeg);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(PIXELS_MAX * 4);
    reader.limits(limits);
    Some(reader.decode().ok()?.into_rgb8())
}

/// Eight bytes at a time: no hash against an attacker, who could send a still picture anyway.
fn fingerprint(mark: u64, bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut mark = mark ^ bytes.len() as u64;
    for word in words {
        mark = (mark.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
    }
    rest.iter().fold(mark, |mark, byte| {
        (mark.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(FACTOR)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_changes_the_fingerprint() {
        let mut bytes = vec![7_u8; 1003];
        let before = Pixels::Jpeg(&bytes).fingerprint();
        assert_eq!(Pixels::Jpeg(&bytes.clone()).fingerprint(), before);
        for at in [0, 500, 1002] {
            bytes[at] ^= 1;
            assert_ne!(Pixels::Jpeg(&bytes).fingerprint(), before);
            bytes[at] ^= 1;
        }
    }
}
