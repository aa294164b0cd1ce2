//! Recorded sensor files (MCAP): what they hold, and their messages in the order of `log_time`.
//!
//! A file cut short is read up to its last whole record; a chunk that is damaged is left out;
//! both are told and counted. What such a chunk declared is taken from the file's summary, or from
//! the metadata that our own writer puts beside its chunks. Memory is bounded by the largest chunk,
//! except for a file whose messages are not in order: it is sorted in memory, up to [`SORTED_MAX`]
//! bytes.

mod declared;
mod facts;
pub mod journal;
mod records;
pub mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mcap::records::Record;

use self::declared::{Declaration, Known};
pub use self::facts::{Facts, Topic, facts};
use self::records::{HOLE, records};

/// The longest record that is read, bytes: a chunk with some seconds of frames is far below.
pub const RECORD_MAX: usize = 512 << 20;
/// Messages of a file that is out of order are sorted in memory up to so many bytes.
pub const SORTED_MAX: u64 = 4 << 30;

/// One message of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Nanoseconds since 1970.
    pub log_time: u64,
    pub publish_time: u64,
    pub channel: &'a Channel,
    pub payload: &'a [u8],
}

/// A topic as a file declares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Channel {
    /// Counted through a reading, the same for the same topic, schema and encoding.
    pub number: usize,
    pub topic: String,
    pub schema: String,
    pub encoding: String,
}

/// Why a recording cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("{path}: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("{0}: the file is empty")]
    Empty(String),
    #[error("{0}: not an MCAP file: its first bytes are not the magic of one")]
    NotMcap(String),
    #[error(
        "{path}: its messages are out of order, and {bytes} bytes are too many to sort in memory \
         (limit {SORTED_MAX}); sort the file first"
    )]
    TooLargeToSort { path: String, bytes: u64 },
}

/// What was lost of a recording or is odd about it, by what and how often.
pub type Notices = BTreeMap<String, u64>;

/// Gives all messages of the files, file after file, each in the order of `log_time` (messages of
/// one time in the order of the file). `facts` must be those of the same files.
pub fn read(
    paths: &[PathBuf],
    facts: &Facts,
    mut each: impl FnMut(&Message<'_>),
) -> Result<Notices, RecordingError> {
    read_parts(paths, facts, |part| {
        if let Part::Message(message) = part {
            each(message);
        }
    })
}

/// What reading several files gives.
#[derive(Debug)]
pub enum Part<'a> {
    /// The messages of this file follow.
    File(&'a Path),
    Message(&'a Message<'a>),
}

/// The same, and where each file begins.
pub fn read_parts(
    paths: &[PathBuf],
    facts: &Facts,
    mut each: impl FnMut(Part<'_>),
) -> Result<Notices, RecordingError> {
    let mut notices = Notices::new();
    let mut channels = Channels::default();
    for (path, file) in paths.iter().zip(&facts.files) {
        each(Part::File(path));
        let mut message = |read: Read<'_>| {
            if let Read::Message(m) = read {
                each(Part::Message(m));
            }
        };
        if file.ordered {
            read_file(path, &mut channels, &mut notices, &mut message)?;
        } else {
            read_sorted(path, file.bytes, &mut channels, &mut notices, &mut message)?;
        }
    }
    Ok(notices)
}

/// Gives all messages of one file in the file's own order, which in a journal is that of time.
pub fn stream(path: &Path, each: &mut dyn FnMut(&Message<'_>)) -> Result<Notices, RecordingError> {
    let mut notices = Notices::new();
    let mut channels = Channels::default();
    read_file(path, &mut channels, &mut notices, &mut |read| {
        if let Read::Message(m) = read {
            each(m);
        }
    })?;
    Ok(notices)
}

fn read_sorted(
    path: &Path,
    bytes: u64,
    channels: &mut Channels,
    notices: &mut Notices,
    each: &mut impl FnMut(Read<'_>),
) -> Result<(), RecordingError> {
    if bytes > SORTED_MAX {
        return Err(RecordingError::TooLargeToSort {
            path: path.display().to_string(),
            bytes,
        });
    }
    let mut all: Vec<(u64, u64, usize, Vec<u8>)> = Vec::new();
    read_file(path, channels, notices, &mut |read: Read<'_>| {
        let Read::Message(m) = read else { return };
        all.push((
            m.log_time,
            m.publish_time,
            m.channel.number,
            m.payload.to_vec(),
        ));
    })?;
    // Stable: messages of one time keep the order of the file.
    all.sort_by_key(|(log_time, ..)| *log_time);
    for (log_time, publish_time, number, payload) in &all {
        let Some(channel) = channels.known.get(*number) else {
            continue;
        };
        each(Read::Message(&Message {
            log_time: *log_time,
            publish_time: *publish_time,
            channel,
            payload,
        }));
    }
    Ok(())
}

/// Channels of all files read so far.
#[derive(Debug, Default)]
struct Channels {
    known: Vec<Channel>,
    /// Where they are, by topic, schema and encoding.
    numbers: BTreeMap<[String; 3], usize>,
}

impl Channels {
    fn number(&mut self, declared: &Declaration) -> usize {
        let parts = [&declared.topic, &declared.schema, &declared.encoding];
        let key = parts.map(String::clone);
        *self.numbers.entry(key).or_insert_with_key(|key| {
            let number = self.known.len();
            let [topic, schema, encoding] = key.clone();
            self.known.push(Channel {
                number,
                topic,
                schema,
                encoding,
            });
            number
        })
    }
}

/// What comes of a file.
enum Read<'a> {
    Message(&'a Message<'a>),
    /// Messages are missing here: what held them is damaged.
    Hole,
}

fn read_file(
    path: &Path,
    channels: &mut Channels,
    notices: &mut Notices,
    each: &mut impl FnMut(Read<'_>),
) -> Result<(), RecordingError> {
    let mut known = Known::of_summary(path);
    let mut numbers: BTreeMap<u16, usize> = BTreeMap::new();
    let mut orphans = 0;
    records(path, notices, &mut |record| match record {
        Record::Schema { header, .. } => known.on_schema(header),
        Record::Channel(channel) => {
            numbers.remove(&channel.id);
            known.on_channel(channel);
        }
        Record::Metadata(metadata) => known.on_metadata(&metadata),
        Record::Message { header, data } => {
            let id = header.channel_id;
            let number = numbers.get(&id).copied().or_else(|| {
                let number = channels.number(known.channel(id)?);
                numbers.insert(id, number);
                Some(number)
            });
            match number.and_then(|number| channels.known.get(number)) {
                Some(channel) => each(Read::Message(&Message {
                    log_time: header.log_time,
                    publish_time: header.publish_time,
                    channel,
                    payload: &data,
                })),
                None => orphans += 1,
            }
        }
        Record::Unknown { opcode: HOLE, .. } => each(Read::Hole),
        _ => {}
    })?;
    if orphans > 0 {
        let what = format!(
            "{}: messages of a channel that the file does not declare",
            path.display()
        );
        *notices.entry(what).or_insert(0) += orphans;
    }
    Ok(())
}
