//! Where a JPEG ends, how large it is, and whether it is whole, without decoding it (ITU-T T.81,
//! annex B).
//!
//! Cameras cut pictures off, leave tables out and send streams without lengths. A walk over the
//! markers finds all three at the cost of one pass over the bytes; what lies in the picture is not
//! looked at.

use std::borrow::Cow;

/// Start and end of image (table B.1).
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DHT: u8 = 0xC4;

/// How far a walk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// The bytes end before the picture does.
    More,
    /// The picture ends before this offset.
    End(usize),
    /// No JPEG: no marker at this offset where one must be.
    Broken(usize),
}

/// A walk over one JPEG whose bytes arrive bit by bit; each byte is looked at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    at: usize,
    begun: bool,
    in_scan: bool,
    size: Option<(u16, u16)>,
    scans: u32,
    has_tables: bool,
    /// Where the first frame header stands.
    frame_at: usize,
}

/// What a whole JPEG says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jpeg {
    /// Pixels; neither is zero.
    pub width: u16,
    pub height: u16,
    /// Bytes from start to end of image.
    pub len: usize,
    has_tables: bool,
    frame_at: usize,
}

impl Jpeg {
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// Why bytes are no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JpegError {
    #[error("no JPEG: {0}")]
    NoJpeg(String),
    #[error("a JPEG that is cut off after {0} bytes")]
    CutOff(usize),
    #[error("a JPEG without a picture in it")]
    Empty,
}

impl Walk {
    /// Goes on with `bytes`, which begin with the picture and hold at least what they held before.
    pub fn advance(&mut self, bytes: &[u8]) -> Walked {
        loop {
            let step = match (self.begun, self.in_scan) {
                (false, _) => self.start(bytes),
                (true, true) => self.scan(bytes),
                (true, false) => self.marker(bytes),
            };
            if let Some(walked) = step {
                return walked;
            }
        }
    }

    fn start(&mut self, bytes: &[u8]) -> Option<Walked> {
        match bytes {
            [0xFF, SOI, ..] => {
                self.begun = true;
                self.at = 2;
                None
            }
            [] | [0xFF] => Some(Walked::More),
            _ => Some(Walked::Broken(0)),
        }
    }

    /// Entropy-coded data: ends at a marker other than RST (B.1.1.5).
    fn scan(&mut self, bytes: &[u8]) -> Option<Walked> {
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(skip) = rest.iter().position(|byte| *byte == 0xFF) else {
                self.at = self.at.max(bytes.len());
                return Some(Walked::More);
            };
            match rest.get(skip + 1) {
                None => {
                    self.at += skip;
                    return Some(Walked::More);
                }
                Some(0x00 | 0xD0..=0xD7) => self.at += skip + 2,
                Some(0xFF) => self.at += skip + 1,
                Some(_) => {
                    self.at += skip;
                    self.in_scan = false;
                    return None;
                }
            }
        }
    }

    /// A marker with its segment; fill bytes may stand before it (B.1.1.2).
    fn marker(&mut self, bytes: &[u8]) -> Option<Walked> {
        let rest = bytes.get(self.at..).unwrap_or_default();
        match rest {
            [] | [0xFF] => return Some(Walked::More),
            [0xFF, 0xFF, ..] => {
                self.at += 1;
                return None;
            }
            [0xFF, EOI, ..] => return Some(Walked::End(self.at + 2)),
            [0xFF, 0x01 | 0xD0..=0xD7, ..] => {
                self.at += 2;
                return None;
            }
            [0xFF, 0x00 | SOI, ..] => return Some(Walked::Broken(self.at)),
            [0xFF, _, ..] => {}
            _ => return Some(Walked::Broken(self.at)),
        }
        let [_, code, high, low, ..] = *rest else {
            return Some(Walked::More);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len < 2 {
            return Some(Walked::Broken(self.at));
        }
        let Some(segment) = rest.get(4..2 + len) else {
            return Some(Walked::More);
        };
        self.segment(code, segment);
        self.at += 2 + len;
        None
    }

    fn segment(&mut self, code: u8, segment: &[u8]) {
        match code {
            DHT => self.has_tables = true,
            SOS => {
                self.in_scan = true;
                self.scans += 1;
            }
            // SOF; the rest of the range is DHT, JPG and DAC.
            0xC0..=0xCF if !matches!(code, 0xC8 | 0xCC) => {
                if let [_, h1, h0, w1, w0, ..] = *segment {
                    let size = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
                    self.size = Some(size);
                    self.frame_at = self.at;
                }
            }
            _ => {}
        }
    }

    fn whole(&self, len: usize) -> Result<Jpeg, JpegError> {
        match self.size {
            Some((width, height)) if width > 0 && height > 0 && self.scans > 0 => Ok(Jpeg {
                width,
                height,
                len,
                has_tables: self.has_tables,
                frame_at: self.frame_at,
            }),
            _ => Err(JpegError::Empty),
        }
    }
}

/// Whether `bytes` begin with a whole JPEG; bytes after its end do not count.
pub fn check(bytes: &[u8]) -> Result<Jpeg, JpegError> {
    let mut walk = Walk::default();
    match walk.advance(bytes) {
        Walked::End(end) => walk.whole(end),
        Walked::More if bytes.is_empty() => Err(JpegError::NoJpeg("no bytes".to_owned())),
        Walked::More => Err(JpegError::CutOff(bytes.len())),
        Walked::Broken(0) => {
            let head: Vec<_> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
            let what = format!("it begins with {}, not with ff d8", head.join(" "));
            Err(JpegError::NoJpeg(what))
        }
        Walked::Broken(at) => Err(JpegError::NoJpeg(format!("no marker at byte {at}"))),
    }
}

/// The picture alone, with the Huffman tables that USB cameras leave out of Motion JPEG (USB Video
/// Class 1.5, Motion-JPEG payload) put in; decoders that see one picture at a time need them.
pub fn with_tables<'a>(jpeg: &Jpeg, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    let bytes = bytes.get(..jpeg.len).unwrap_or(bytes);
    if jpeg.has_tables {
        return Cow::Borrowed(bytes);
    }
    let (before, after) = bytes.split_at(jpeg.frame_at.min(bytes.len()));
    let mut whole = Vec::with_capacity(bytes.len() + 420);
    whole.extend_from_slice(before);
    for (class, counts, values) in [
        (0x00, &DC_COUNTS_LUMA, DC_VALUES.as_slice()),
        (0x01, &DC_COUNTS_CHROMA, DC_VALUES.as_slice()),
        (0x10, &AC_COUNTS_LUMA, AC_VALUES_LUMA.as_slice()),
        (0x11, &AC_COUNTS_CHROMA, AC_VALUES_CHROMA.as_slice()),
    ] {
        let len = u16::try_from(2 + 1 + counts.len() + values.len()).unwrap_or(u16::MAX);
        whole.extend_from_slice(&[0xFF, DHT]);
        whole.extend_from_slice(&len.to_be_bytes());
        whole.push(class);
        whole.extend_from_slice(counts);
        whole.extend_from_slice(values);
    }
    whole.extend_from_slice(after);
    Cow::Owned(whole)
}

/// The typical tables of T.81, K.3.3: codes by length, then values by code.
const DC_COUNTS_LUMA: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_COUNTS_CHROMA: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const AC_COUNTS_LUMA: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
const AC_COUNTS_CHROMA: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119];
#[rustfmt::skip]
const AC_VALUES_LUMA: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7,
    0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5,
    0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
    0xF9, 0xFA,
];
#[rustfmt::skip]
const AC_VALUES_CHROMA: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0,
    0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26,
    0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5,
    0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
    0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
    0xF9, 0xFA,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(width: u32, height: u32) -> Vec<u8> {
        let image = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        image
            .write_to(&mut bytes, image::ImageFormat::Jpeg)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_whole_picture_tells_its_size_and_its_end() {
        let mut bytes = picture(64, 48);
        let len = bytes.len();
        bytes.extend_from_slice(b"\r\n--next");
        let jpeg = check(&bytes).unwrap();
        assert_eq!((jpeg.width, jpeg.height, jpeg.len), (64, 48, len));
        assert_eq!(*with_tables(&jpeg, &bytes), bytes[..len]);
    }

    #[test]
    fn what_is_no_whole_picture_is_refused() {
        let bytes = picture(16, 16);
        for cut in 1..bytes.len() {
            assert_eq!(check(&bytes[..cut]), Err(JpegError::CutOff(cut)));
        }
        assert!(matches!(check(b"<html>"), Err(JpegError::NoJpeg(_))));
        assert_eq!(check(&[0xFF, SOI, 0xFF, EOI]), Err(JpegError::Empty));
    }

    #[test]
    fn tables_that_are_left_out_are_put_in() {
        let whole = picture(64, 48);
        let mut bare = whole.clone();
        while let Some(at) = bare.windows(2).position(|pair| pair == [0xFF, DHT]) {
            let len = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
            bare.drain(at..at + 2 + len);
        }
        assert!(bare.len() < whole.len());
        let jpeg = check(&bare).unwrap();
        let mended = with_tables(&jpeg, &bare).into_owned();
        let decode = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
        assert_eq!(decode(&mended), decode(&whole));
    }

    proptest! {
        #[test]
        fn the_end_is_the_same_in_any_pieces(cuts in prop::collection::vec(0_usize..2000, 0..8)) {
            let mut bytes = picture(24, 24);
            let len = bytes.len();
            bytes.extend_from_slice(b"junk");
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % bytes.len()).collect();
            cuts.sort_unstable();
            let mut walk = Walk::default();
            for cut in cuts {
                let walked = walk.advance(&bytes[..cut]);
                let expected = if cut < len { Walked::More } else { Walked::End(len) };
                prop_assert_eq!(walked, expected);
                if cut >= len {
                    return Ok(());
                }
            }
            prop_assert_eq!(walk.advance(&bytes), Walked::End(len));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = bytes;
            check(&bytes).ok();
            bytes.splice(0..0, [0xFF, SOI, 0xFF]);
            if let Ok(jpeg) = check(&bytes) {
                with_tables(&jpeg, &bytes);
            }
        }
    }
}
