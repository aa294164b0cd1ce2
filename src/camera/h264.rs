//! H.264 to pictures (`openh264`, a C++ library): what it is given is looked at first, and nothing
//! that was decoded from damaged data is shown.
//!
//! After any loss or error the decoder is thrown away, and pictures are skipped until the next IDR
//! (ITU-T H.264, 3.69): what lies between would be smeared. Only parameter sets and slices of
//! supported kinds reach the decoder, in whole access units, of sizes that are checked before.
//!
//! B-frames leave the decoder in another order than they go in, and later. Where the stream says
//! that it has none, or has shown none for a while, pictures are taken out at once; else when the
//! decoder knows their order.

use std::collections::BTreeSet;

use h264_reader::nal::sps::{ChromaFormat, FrameMbsFlags, PicOrderCntType, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};
use openh264::OpenH264API;
use openh264::decoder::{DecodeOptions, DecodedYUV, Decoder, DecoderConfig, Flush};

use super::source::Trouble;
use super::{PICTURE_MAX, PIXELS_MAX};
use crate::units::TimeDelta;

/// Access units in a row without a B-frame, from key frame to key frame, after which none is
/// expected.
const ORDERED_MIN: u32 = 25;
/// Pictures within the decoder, at most (A.3.1: a decoded picture buffer has 16).
const PENDING_MAX: usize = 32;
/// Key frames in a row that give no picture.
const FAILED_MAX: u32 = 5;

/// Takes a picture, its time in the stream, and whether it is a key frame.
pub(super) type Show<'a> = dyn FnMut(&DecodedYUV<'_>, TimeDelta, bool) + 'a;

#[derive(Default)]
pub(super) struct H264 {
    /// None: waits for a key frame.
    decoder: Option<Decoder>,
    order: Order,
    sps: Vec<u8>,
    /// Times of access units within the decoder, and whether they are key frames.
    pending: BTreeSet<(TimeDelta, bool)>,
    /// Access units skipped or spoilt since [`H264::take_lost`].
    lost: u64,
    failed: u32,
    why: String,
    clean: Vec<u8>,
}

/// What is known of the order in which pictures leave the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nothing; so many access units had no B-frame.
    Unknown(u32),
    /// None has shown itself.
    Plain,
    /// The stream promises it.
    Promised,
    /// There are B-frames.
    Reordered,
}

impl Default for Order {
    fn default() -> Self {
        Self::Unknown(0)
    }
}

impl Order {
    fn at_once(self) -> bool {
        matches!(self, Self::Plain | Self::Promised)
    }
}

impl H264 {
    /// Something before the next access unit was lost.
    pub(super) fn broke(&mut self) {
        self.lost += self.pending.len() as u64;
        self.decoder = None;
        self.pending.clear();
    }

    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Whether a loss is over: pictures come again.
    pub(super) fn is_whole(&self) -> bool {
        self.decoder.is_some()
    }

    /// Decodes one access unit (Annex B) of this time in the stream.
    pub(super) fn unit(
        &mut self,
        bytes: &[u8],
        time: TimeDelta,
        show: &mut Show<'_>,
    ) -> Result<(), Trouble> {
        let Some(unit) = self.admit(bytes)? else {
            self.broke();
            self.lost += 1;
            return Ok(());
        };
        if !unit.pictures {
            return Ok(());
        }
        self.learn_order(&unit, show);
        if self.decoder.is_none() {
            if !unit.key {
                self.lost += 1;
                return Ok(());
            }
            self.decoder = Some(new_decoder()?);
        }
        self.pending.insert((time, unit.key));
        if self.decode(show) {
            self.failed = 0;
            return Ok(());
        }
        self.broke();
        self.failed += u32::from(unit.key);
        if self.failed >= FAILED_MAX {
            let reason = format!("its H.264 cannot be decoded: {}", self.why);
            return Err(Trouble::broken(reason));
        }
        Ok(())
    }

    /// The stream's end: what is still within the decoder.
    pub(super) fn finish(&mut self, show: &mut Show<'_>) {
        let rest = self.decoder.as_mut().map(Decoder::flush_remaining);
        for yuv in rest.and_then(Result::ok).unwrap_or_default() {
            if let Some((time, key)) = self.pending.pop_first() {
                show(&yuv, time, key);
            }
        }
        self.pending.clear();
    }

    fn decode(&mut self, show: &mut Show<'_>) -> bool {
        let Some(decoder) = &mut self.decoder else {
            return false;
        };
        let flush = match self.order.at_once() {
            true => Flush::Flush,
            false => Flush::NoFlush,
        };
        let options = DecodeOptions::new().flush_after_decode(flush);
        match decoder.decode_with_options(&self.clean, options) {
            Ok(Some(yuv)) => {
                if let Some((time, key)) = self.pending.pop_first() {
                    show(&yuv, time, key);
                }
            }
            Ok(None) => {}
            Err(error) => {
                self.why = error.to_string();
                return false;
            }
        }
        self.pending.len() <= PENDING_MAX
    }

    /// B-frames show themselves by their slices' type (7.4.3).
    fn learn_order(&mut self, unit: &Admitted, show: &mut Show<'_>) {
        self.order = match self.order {
            Order::Plain if unit.bidirectional => {
                // Pictures have left in the wrong order already.
                self.broke();
                Order::Reordered
            }
            Order::Unknown(_) if unit.bidirectional => Order::Reordered,
            Order::Unknown(count) if unit.key && count >= ORDERED_MIN => {
                self.finish(show);
                Order::Plain
            }
            Order::Unknown(count) => Order::Unknown(count.saturating_add(1)),
            order => order,
        };
    }

    /// Copies what the decoder may see; `None` where the access unit is damaged.
    fn admit(&mut self, bytes: &[u8]) -> Result<Option<Admitted>, Trouble> {
        self.clean.clear();
        let mut unit = Admitted::default();
        if bytes.len() > PICTURE_MAX {
            return Ok(None);
        }
        for nal in nals(bytes) {
            let Some(header) = nal.first() else {
                continue;
            };
            // 7.4.1: the first bit is zero.
            if header & 0x80 != 0 {
                return Ok(None);
            }
            match header & 0x1F {
                kind @ (1 | 5) => {
                    unit.pictures = true;
                    unit.key |= kind == 5;
                    unit.bidirectional |= slice_type(nal).is_some_and(|kind| kind % 5 == 1);
                }
                7 if nal != self.sps => {
                    let Some(order) = check_sps(nal)? else {
                        return Ok(None);
                    };
                    self.order = order;
                    // Another size, perhaps: the decoder begins anew.
                    self.lost += self.pending.len() as u64;
                    self.decoder = None;
                    self.pending.clear();
                    self.sps = nal.to_vec();
                }
                7 | 8 => {}
                2..=4 => {
                    let why = "it partitions its data (Extended profile): set profile Main or High";
                    return Err(Trouble::refused(why));
                }
                _ => continue,
            }
            self.clean.extend_from_slice(&[0, 0, 0, 1]);
            self.clean.extend_from_slice(nal);
        }
        Ok(Some(unit))
    }
}

#[derive(Debug, Default)]
struct Admitted {
    pictures: bool,
    key: bool,
    bidirectional: bool,
}

/// The C++ library is told to hide no errors; it prints none either.
fn new_decoder() -> Result<Decoder, Trouble> {
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    Decoder::with_api_config(OpenH264API::from_source(), config)
        .map_err(|error| Trouble::broken(format!("no decoder: {error}")))
}

/// What a sequence parameter set promises; `None` where it is damaged, an error where the camera
/// must be set otherwise.
fn check_sps(nal: &[u8]) -> Result<Option<Order>, Trouble> {
    let Ok(rbsp) = decode_nal(nal) else {
        return Ok(None);
    };
    let Ok(sps) = SeqParameterSet::from_bits(BitReader::new(&*rbsp)) else {
        return Ok(None);
    };
    let profile = u8::from(sps.profile_idc);
    if !matches!(profile, 66 | 77 | 100) {
        return Err(Trouble::refused(format!(
            "its H.264 profile ({profile}) is not supported: set Baseline, Main or High"
        )));
    }
    let chroma = &sps.chroma_info;
    if chroma.chroma_format != ChromaFormat::YUV420
        || chroma.bit_depth_luma_minus8 != 0
        || chroma.bit_depth_chroma_minus8 != 0
    {
        let why = "its H.264 is not 4:2:0 with 8 bits: set profile Main or High";
        return Err(Trouble::refused(why));
    }
    if sps.frame_mbs_flags != FrameMbsFlags::Frames {
        let why = "its H.264 is interlaced: set it to progressive";
        return Err(Trouble::refused(why));
    }
    let blocks = u64::from(sps.pic_width_in_mbs_minus1).saturating_add(1)
        * u64::from(sps.pic_height_in_map_units_minus1)
            .saturating_add(1)
            .min(1 << 20);
    if blocks > PIXELS_MAX / 256 {
        let why = "its pictures are larger than 8K: set a smaller resolution";
        return Err(Trouble::refused(why));
    }
    let restrictions = sps.vui_parameters.as_ref();
    let restrictions = restrictions.and_then(|vui| vui.bitstream_restrictions.as_ref());
    // Baseline has no B-frames (A.2.1); order count type 2 excludes reordering (8.2.1.3).
    let promised = profile == 66
        || matches!(sps.pic_order_cnt, PicOrderCntType::TypeTwo)
        || restrictions.is_some_and(|r| r.max_num_reorder_frames == 0);
    Ok(Some(match promised {
        true => Order::Promised,
        false => Order::Unknown(0),
    }))
}

/// The NAL units of a byte stream (annex B), without start codes and trailing zeros.
pub(super) fn nals(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(bytes);
    std::iter::from_fn(move || {
        let current = rest?;
        let end = find_start_code(current);
        let nal = current.get(..end.unwrap_or(current.len()))?;
        rest = end.and_then(|end| after_start_code(current.get(end..)?));
        let zeros = nal.iter().rev().take_while(|byte| **byte == 0).count();
        nal.get(..nal.len() - zeros)
    })
    .filter(|nal| !nal.is_empty())
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(find_start_code(bytes)? + 3..)
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().skip(2).position(|byte| *byte <= 1)?;
        match bytes.get(at..at + 3)? {
            [0, 0, 1] => return Some(at),
            _ => at += 1,
        }
    }
}

/// `slice_type` of a slice header (7.3.3), whose first two fields are unsigned Exp-Golomb codes
/// (9.1); `None` where there are too few bits.
fn slice_type(nal: &[u8]) -> Option<u32> {
    let mut word = [0; 8];
    let head = nal.get(1..nal.len().min(9))?;
    word.get_mut(..head.len())?.copy_from_slice(head);
    let mut bits = u64::from_be_bytes(word);
    let mut code = || {
        let zeros = bits.leading_zeros();
        if zeros > 15 {
            return None;
        }
        let value = bits >> (63 - 2 * zeros);
        bits <<= 2 * zeros + 1;
        u32::try_from(value).ok()?.checked_sub(1)
    };
    code()?;
    code()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openh264::encoder::Encoder;
    use openh264::formats::{YUVBuffer, YUVSource as _};
    use proptest::prelude::*;

    /// So many access units, a key frame each `key`; something moves.
    fn stream(count: usize, key: usize) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new().unwrap();
        let (width, height) = (96, 64);
        let unit = |n: usize| {
            if n.is_multiple_of(key) {
                encoder.force_intra_frame();
            }
            let mut yuv = vec![128; width * height * 3 / 2];
            for (at, byte) in yuv.iter_mut().take(width * height).enumerate() {
                *byte = (at * 3 + n * 17 + at / width * 5) as u8;
            }
            encoder
                .encode(&YUVBuffer::from_vec(yuv, width, height))
                .unwrap()
                .to_vec()
        };
        (0..count).map(unit).collect()
    }

    /// The times of what is shown of these units; a unit that is none was lost.
    fn shown(h264: &mut H264, units: &[Option<Vec<u8>>]) -> Vec<i64> {
        let mut times = Vec::new();
        for (n, unit) in units.iter().enumerate() {
            match unit {
                None => h264.broke(),
                Some(unit) => {
                    let time = TimeDelta::from_micros(n as i64);
                    let mut show = |yuv: &DecodedYUV<'_>, time: TimeDelta, _| {
                        assert_eq!(yuv.dimensions(), (96, 64));
                        times.push(time.as_micros());
                    };
                    h264.unit(unit, time, &mut show).unwrap();
                }
            }
        }
        times
    }

    #[test]
    fn pictures_come_out_at_once_where_none_is_reordered() {
        let units: Vec<_> = stream(12, 5).into_iter().map(Some).collect();
        let mut h264 = H264::default();
        assert_eq!(shown(&mut h264, &units), (0..12).collect::<Vec<_>>());
        assert_eq!(h264.take_lost(), 0);
    }

    #[test]
    fn after_a_loss_nothing_is_shown_until_the_next_key_frame() {
        let mut units: Vec<_> = stream(20, 5).into_iter().map(Some).collect();
        units[6] = None;
        units[14] = None;
        let mut h264 = H264::default();
        let expected: Vec<_> = (0..6).chain(10..14).chain(15..20).collect();
        assert_eq!(shown(&mut h264, &units), expected);
        assert_eq!(h264.take_lost(), 3, "skipped, besides what was lost");
        // One that begins in the middle.
        assert_eq!(
            shown(&mut H264::default(), &units[7..]),
            [3, 4, 5, 6, 8, 9, 10, 11, 12]
        );
    }

    #[test]
    fn a_stream_that_promises_nothing_is_trusted_after_a_while() {
        // As Main, which may have B-frames; the encoder's promise in the VUI is beyond its sets.
        let mut units = stream(80, 10);
        let mut h264 = H264::default();
        let mut late = Vec::new();
        for (n, unit) in units.iter_mut().enumerate() {
            let time = TimeDelta::from_micros(n as i64);
            let mut last = None;
            if n == 1 {
                h264.order = Order::Unknown(0);
            }
            h264.unit(unit, time, &mut |_, time, _| last = Some(time.as_micros()))
                .unwrap();
            late.push(last.map(|last| n as i64 - last));
        }
        assert!(late[1..].iter().all(|late| late.is_some()), "{late:?}");
        assert_eq!(h264.order, Order::Plain);
        assert_eq!(late[79], Some(0));
    }

    #[test]
    fn what_a_person_must_change_is_said() {
        let sps = stream(1, 1)
            .iter()
            .flat_map(|unit| nals(unit))
            .find(|nal| nal[0] & 31 == 7)
            .map(<[u8]>::to_vec)
            .unwrap();
        assert_eq!(check_sps(&sps).unwrap(), Some(Order::Promised));
        for (profile, told) in [
            (88, "profile (88)"),
            (110, "not 4:2:0"),
            (244, "profile (244)"),
        ] {
            let mut other = sps.clone();
            other[1] = profile;
            let refused = check_sps(&other);
            // Another profile has other fields behind it, and may be no set at all.
            assert!(!matches!(refused, Ok(Some(_))), "{told}: {refused:?}");
        }
    }

    #[test]
    fn units_are_taken_apart() {
        let bytes = [9, 0, 0, 1, 7, 8, 0, 0, 0, 1, 5, 0, 0, 0, 0, 1, 0, 0, 1, 6];
        let found: Vec<_> = nals(&bytes).collect();
        assert_eq!(found, [&[7, 8][..], &[5], &[6]]);
        assert_eq!(nals(&[0, 0]).count(), 0);
        // first_mb 0, then types 5 (P), 6 (B), 7 (I).
        for (byte, kind) in [(0b1001_1000, 5), (0b1001_1100, 6), (0b1000_1000, 7)] {
            assert_eq!(slice_type(&[0x41, byte, 0]), Some(kind));
        }
        assert_eq!(slice_type(&[0x41]), None);
        assert_eq!(slice_type(&[0x41, 0, 0, 0]), None);
    }

    /// Tears at a recording (Annex B, its access units delimited): `BASKETD_H264=shop.h264`, and
    /// `BASKETD_ROUNDS` rounds (100).
    #[test]
    fn damaged_recordings_break_nothing() {
        let Some(path) = std::env::var_os("BASKETD_H264") else {
            println!("skipped: BASKETD_H264 names no recording");
            return;
        };
        let bytes = std::fs::read(path).unwrap();
        let rounds = std::env::var("BASKETD_ROUNDS").ok();
        let rounds = rounds.and_then(|text| text.parse().ok()).unwrap_or(100);
        let mut units: Vec<Vec<u8>> = Vec::new();
        for nal in nals(&bytes) {
            if nal[0] & 31 == 9 || units.is_empty() {
                units.push(Vec::new());
            }
            let unit = units.last_mut().unwrap();
            unit.extend([0, 0, 0, 1]);
            unit.extend(nal);
        }
        let mut chance = 1_u64;
        let mut random = |below: usize| {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (chance >> 33) as usize % below.max(1)
        };
        let (mut pictures, mut refused) = (0, 0);
        for _ in 0..rounds {
            let mut h264 = H264::default();
            for (n, unit) in units.iter().enumerate() {
                let mut unit = unit.clone();
                // Some whole, some with a few flips near the beginning or anywhere, some cut.
                for _ in 0..random(4) * random(2) {
                    let reach = if random(2) == 0 { 40 } else { unit.len() };
                    let at = random(reach.min(unit.len()));
                    unit[at] ^= 1 << random(8);
                }
                if random(20) == 0 {
                    unit.truncate(random(unit.len()));
                }
                let time = TimeDelta::from_micros(n as i64);
                let told = h264.unit(&unit, time, &mut |yuv, _, _| {
                    let mut rgb = vec![0; yuv.rgb8_len()];
                    yuv.write_rgb8(&mut rgb);
                    pictures += 1;
                });
                refused += u32::from(told.is_err());
            }
        }
        println!(
            "{} units, {pictures} pictures, {refused} refusals",
            units.len() * rounds
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damaged_streams_break_nothing(
            flips in prop::collection::vec((0_usize..12, any::<prop::sample::Index>(), 0_u8..8), 1..12),
            cut in prop::option::of((0_usize..12, any::<prop::sample::Index>())),
        ) {
            let mut units = stream(12, 4);
            for (unit, at, bit) in flips {
                let at = at.index(units[unit].len());
                units[unit][at] ^= 1 << bit;
            }
            if let Some((unit, at)) = cut {
                let at = at.index(units[unit].len());
                units[unit].truncate(at);
            }
            let mut h264 = H264::default();
            for (n, unit) in units.iter().enumerate() {
                let time = TimeDelta::from_micros(n as i64);
                // A refusal is as good as a picture.
                h264.unit(unit, time, &mut |yuv, _, _| {
                    assert!(yuv.dimensions().0 > 0);
                })
                .ok();
            }
        }

        #[test]
        fn nonsense_breaks_nothing(bytes in prop::collection::vec(0_u8..9, 0..200), kind in 0_u8..32) {
            let mut h264 = H264::default();
            let unit = [&[0, 0, 1, kind][..], &bytes].concat();
            h264.unit(&unit, TimeDelta::ZERO, &mut |_, _, _| ()).ok();
        }
    }
}
