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
