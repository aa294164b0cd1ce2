//! Recorded pictures in a camera's place: an MP4 with H.264, JPEGs one after another in a file, or
//! a folder of them. Played for ever; an MP4 at its own pace, the others at the frame-rate cap.
//!
//! A file is its owner's and not a camera's: it is read whole or in parts as it is needed, but
//! what it says of itself is checked like all else.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use re_mp4::{Mp4, StsdBoxContent, TrackKind};

use super::h264::H264;
use super::source::{Loss, Pixels, Source, Trouble, View, WAIT};
use super::{Config, PICTURE_MAX};
use crate::clock::{self, Monotonic};
use crate::units::TimeDelta;
use crate::wire::jpeg::{self, Walk, Walked};

const READ: usize = 64 * 1024;

pub(super) fn open(path: &Path, config: &Config) -> Result<Box<dyn Source>, Trouble> {
    let pace = Pacer::new(config.fps());
    if path.is_dir() {
        return Ok(Box::new(Folder::open(path, pace)?));
    }
    let mut file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut head = [0; 12];
    let count = file.read(&mut head).map_err(|error| unreadable(&error))?;
    file.rewind().map_err(|error| unreadable(&error))?;
    match head.get(..count) {
        Some([0xFF, 0xD8, ..]) => Ok(Box::new(Pictures::new(file, pace))),
        Some([_, _, _, _, b'f', b't', b'y', b'p', ..]) => Ok(Box::new(Video::open(file)?)),
        _ => Err(Trouble::refused(
            "neither an MP4 nor JPEGs one after another, nor a folder of JPEGs",
        )),
    }
}

fn unreadable(error: &std::io::Error) -> Trouble {
    Trouble::refused(format!("cannot be read: {error}"))
}

/// When the next picture is due.
struct Pacer {
    clock: Monotonic,
    interval_us: u64,
    due_us: u64,
}

impl Pacer {
    fn new(fps: f64) -> Self {
        Self {
            clock: Monotonic::start(),
            interval_us: (1e6 / fps) as u64,
            due_us: 0,
        }
    }

    /// Waits a little; whether it is time.
    fn wait(&self) -> bool {
        let now = self.clock.nanos() / 1000;
        let wait = Duration::from_micros(self.due_us.saturating_sub(now));
        std::thread::sleep(wait.min(WAIT));
        wait <= WAIT
    }

    fn shown(&mut self) {
        let now = self.clock.nanos() / 1000;
        self.due_us = (self.due_us + self.interval_us).max(now);
    }
}

fn show(bytes: &[u8], eye: &mut dyn FnMut(View<'_>)) -> Result<(), jpeg::JpegError> {
    let picture = jpeg::check(bytes)?;
    eye(View {
        captured_at: clock::wall(),
        pixels: Pixels::Jpeg(&jpeg::with_tables(&picture, bytes)),
        fresh: false,
    });
    Ok(())
}

/// A folder of JPEGs in the order of their names.
struct Folder {
    paths: Vec<PathBuf>,
    next: usize,
    pace: Pacer,
}

impl Folder {
    fn open(folder: &Path, pace: Pacer) -> Result<Self, Trouble> {
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(&error))?;
        let mut paths: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let extension = path.extension().map(|e| e.to_ascii_lowercase());
                extension.is_some_and(|e| e == "jpg" || e == "jpeg")
            })
            .collect();
        paths.sort();
        if paths.is_empty() {
            return Err(Trouble::refused("no *.jpg or *.jpeg in this folder"));
        }
        Ok(Self {
            paths,
            next: 0,
            pace,
        })
    }
}

impl Source for Folder {
    fn look(&mut self, eye: &mut dyn FnMut(View<'_>)) -> Result<Option<Loss>, Trouble> {
        if !self.pace.wait() {
            return Ok(None);
        }
        self.pace.shown();
        let Some(path) = self.paths.get(self.next % self.paths.len().max(1)) else {
            return Ok(None);
        };
        self.next += 1;
        let mut bytes = Vec::new();
        let name = path.display();
        if !path.is_file() {
            let why = format!("{name} is no file");
            return Err(Trouble::refused(why));
        }
        File::open(path)
            .and_then(|file| file.take(PICTURE_MAX as u64).read_to_end(&mut bytes))
            .map_err(|error| Trouble::refused(format!("{name} cannot be read: {error}")))?;
        Ok(show(&bytes, eye).err().map(|error| Loss {
            pictures: 1,
            reason: format!("{name}: {error}"),
        }))
    }
}

/// JPEGs one after another.
struct Pictures {
    file: File,
    held: Vec<u8>,
    walk: Walk,
    /// Since the file's beginning.
    shown: u64,
    pace: Pacer,
}

impl Pictures {
    fn new(file: File, pace: Pacer) -> Self {
        Self {
            file,
            held: Vec::new(),
            walk: Walk::default(),
            shown: 0,
            pace,
        }
    }

    /// Reads on; false at the end.
    fn read(&mut self) -> Result<bool, Trouble> {
        if self.held.len() > PICTURE_MAX {
            let reason = format!("a picture in it is larger than {PICTURE_MAX} bytes");
            return Err(Trouble::refused(reason));
        }
        let begin = self.held.len();
        self.held.resize(begin + READ, 0);
        let room = self.held.get_mut(begin..).unwrap_or_default();
        let count = self.file.read(room).map_err(|error| unreadable(&error))?;
        self.held.truncate(begin + count);
        Ok(count > 0)
    }

    fn again(&mut self) -> Result<(), Trouble> {
        if self.shown == 0 {
            return Err(Trouble::refused("no whole JPEG in it"));
        }
        self.shown = 0;
        self.held.clear();
        self.walk = Walk::default();
        self.file.rewind().map_err(|error| unreadable(&error))
    }
}

impl Source for Pictures {
    fn look(&mut self, eye: &mut dyn FnMut(View<'_>)) -> Result<Option<Loss>, Trouble> {
        if !self.pace.wait() {
            return Ok(None);
        }
        loop {
            let end = match self.walk.advance(&self.held) {
                Walked::End(end) => end,
                Walked::More if self.read()? => continue,
                // What is cut off or no JPEG at the end is not shown.
                Walked::More | Walked::Broken(_) => {
                    self.again()?;
                    return Ok(None);
                }
            };
            self.walk = Walk::default();
            let shown = show(self.held.get(..end).unwrap_or_default(), eye);
            self.held.drain(..end);
            self.shown += 1;
            self.pace.shown();
            return Ok(shown.err().map(|error| Loss {
                pictures: 1,
                reason: error.to_string(),
            }));
        }
    }
}

/// The first H.264 track of an MP4.
struct Video {
    file: File,
    samples: Vec<Sample>,
    /// Parameter sets as a byte stream, before each key frame.
    parameters: Vec<u8>,
    length_size: usize,
    next: usize,
    clock: Monotonic,
    /// When this round began.
    began_us: u64,
    decoder: H264,
}

struct Sample {
    offset: u64,
    size: usize,
    decode_us: u64,
    shown: TimeDelta,
    key: bool,
}

impl Video {
    fn open(file: File) -> Result<Self, Trouble> {
        let size = file.metadata().map_err(|error| unreadable(&error))?.len();
        let reader = BufReader::new(file.try_clone().map_err(|error| unreadable(&error))?);
        // The library panics over some tables that contradict each other.
        let read = std::panic::catch_unwind(move || Mp4::read(reader, size));
        let mp4 = match read {
            Ok(Ok(mp4)) => mp4,
            Ok(Err(error)) => return Err(Trouble::refused(format!("no MP4: {error}"))),
            Err(_) => return Err(Trouble::refused("no MP4: its tables contradict each other")),
        };
        let video = |track: &&re_mp4::Track| track.kind == Some(TrackKind::Video);
        let Some(track) = mp4.tracks().values().find(video) else {
            return Err(Trouble::refused("an MP4 without video"));
        };
        let StsdBoxContent::Avc1(avc1) = &track.trak(&mp4).mdia.minf.stbl.stsd.contents else {
            let why = "an MP4 whose video is not H.264: convert it (ffmpeg -c:v libx264)";
            return Err(Trouble::refused(why));
        };
        let avcc = &avc1.avcc;
        let mut parameters = Vec::new();
        let sets = avcc.sequence_parameter_sets.iter();
        for nal in sets.chain(&avcc.picture_parameter_sets) {
            parameters.extend_from_slice(&[0, 0, 0, 1]);
            parameters.extend_from_slice(&nal.bytes);
        }
        let samples: Vec<_> = track.samples.iter().map(Sample::new).collect();
        if samples.is_empty() {
            return Err(Trouble::refused("an MP4 without pictures"));
        }
        Ok(Self {
            file,
            samples,
            parameters,
            length_size: usize::from(avcc.length_size_minus_one & 3) + 1,
            next: 0,
            clock: Monotonic::start(),
            began_us: 0,
            decoder: H264::default(),
        })
    }

    /// The next sample as a byte stream; `None` where the file holds none there.
    fn read(&mut self, at: usize) -> Option<(Vec<u8>, TimeDelta)> {
        let sample = self.samples.get(at)?;
        if sample.size > PICTURE_MAX {
            return None;
        }
        self.file.seek(SeekFrom::Start(sample.offset)).ok()?;
        let mut bytes = Vec::new();
        let file = (&mut self.file).take(sample.size as u64);
        BufReader::new(file).read_to_end(&mut bytes).ok()?;
        let mut stream = Vec::with_capacity(bytes.len() + 64);
        if sample.key {
            stream.extend_from_slice(&self.parameters);
        }
        byte_stream(&bytes, self.length_size, &mut stream)?;
        Some((stream, sample.shown))
    }

    fn again(&mut self, eye: &mut dyn FnMut(View<'_>)) {
        self.decoder.finish(&mut |yuv, _, _| eye(view(yuv)));
        self.decoder.broke();
        self.decoder.take_lost();
        self.next = 0;
        self.began_us = self.clock.nanos() / 1000;
    }
}

impl Sample {
    fn new(sample: &re_mp4::Sample) -> Self {
        let us = |time: i64| {
            let us = i128::from(time) * 1_000_000 / i128::from(sample.timescale.max(1));
            i64::try_from(us).unwrap_or(0)
        };
        Self {
            offset: sample.offset,
            size: usize::try_from(sample.size).unwrap_or(usize::MAX),
            decode_us: u64::try_from(us(sample.decode_timestamp)).unwrap_or(0),
            shown: TimeDelta::from_micros(us(sample.composition_timestamp)),
            key: sample.is_sync,
        }
    }
}

impl Source for Video {
    fn look(&mut self, eye: &mut dyn FnMut(View<'_>)) -> Result<Option<Loss>, Trouble> {
        let Some(sample) = self.samples.get(self.next) else {
            self.again(eye);
            return Ok(None);
        };
        let now = self.clock.nanos() / 1000;
        let due = Duration::from_micros((self.began_us + sample.decode_us).saturating_sub(now));
        std::thread::sleep(due.min(WAIT));
        if due > WAIT {
            return Ok(None);
        }
        let read = self.read(self.next);
        self.next += 1;
        match read {
            Some((bytes, time)) => {
                self.decoder
                    .unit(&bytes, time, &mut |yuv, _, _| eye(view(yuv)))?;
            }
            None => self.decoder.broke(),
        }
        let pictures = self.decoder.take_lost() + u64::from(!self.decoder.is_whole());
        let reason = "pictures of the file cannot be decoded".to_owned();
        Ok((pictures > 0).then_some(Loss { pictures, reason }))
    }
}

fn view<'a>(yuv: &'a openh264::decoder::DecodedYUV<'a>) -> View<'a> {
    View {
        captured_at: clock::wall(),
        pixels: Pixels::Yuv(yuv),
        fresh: false,
    }
}

/// NAL units with their lengths (ISO/IEC 14496-15, 5.3.3) as a byte stream; `None` where a length
/// leads beyond the sample.
fn byte_stream(sample: &[u8], length_size: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut rest = sample;
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(length_size)?;
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let (nal, after) = after.split_at_checked(length)?;
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(nal);
        rest = after;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_become_start_codes_and_are_checked() {
        let mut out = Vec::new();
        byte_stream(&[0, 2, 7, 8, 0, 1, 9], 2, &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 1, 7, 8, 0, 0, 0, 1, 9]);
        for bad in [&[0][..], &[0, 3, 1], &[0xFF, 0xFF]] {
            assert_eq!(byte_stream(bad, 2, &mut out), None);
        }
    }
}
