//! The records of one file, one after another, whatever state the file is in.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use std::path::Path;

use mcap::records::{Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::{Notices, RECORD_MAX, RecordingError};

/// What is given in place of records that are left out; the format leaves this number to its users.
pub(super) const HOLE: u8 = 0xff;

/// Opcode and length before each record.
const RECORD_HEAD: u64 = 9;
const MAGIC: u64 = 8;

/// Gives every record of the data section, those in chunks one by one. Damage is noted: the
/// chunk that it is in is left out, and what is cut off at the end is read as far as it is whole.
pub(super) fn records(
    path: &Path,
    notices: &mut Notices,
    each: &mut dyn FnMut(Record<'_>),
) -> Result<(), RecordingError> {
    records_while(path, notices, &mut |record| {
        each(record);
        true
    })
}

/// The same until `each` has had enough and says `false`; the rest of a chunk is given still.
pub(super) fn records_while(
    path: &Path,
    notices: &mut Notices,
    each: &mut dyn FnMut(Record<'_>) -> bool,
) -> Result<(), RecordingError> {
    let enough = std::cell::Cell::new(false);
    let each = &mut |record: Record<'_>| {
        if !each(record) {
            enough.set(true);
        }
    };
    let shown = path.display().to_string();
    let io = |error| RecordingError::Io {
        path: shown.clone(),
        error,
    };
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(io)?);
    check_magic(&mut file, &shown)?;
    let mut reader = LinearReader::new_with_options(
        LinearReaderOptions::default()
            .with_skip_start_magic(true)
            .with_skip_end_magic(true)
            .with_emit_chunks(true)
            .with_record_length_limit(RECORD_MAX),
    );
    let mut offset = MAGIC;
    let mut ended = false;
    let damage = loop {
        if enough.get() {
            return Ok(());
        }
        match reader.next_event() {
            None => break None,
            Some(Ok(LinearReadEvent::ReadRequest(wanted))) => {
                let read = read_some(&mut file, reader.insert(wanted)).map_err(io)?;
                reader.notify_read(read);
            }
            Some(Ok(LinearReadEvent::Record { opcode, data })) => {
                if opcode == op::CHUNK {
                    chunk(data, offset, &shown, notices, each);
                } else if !ended {
                    ended = opcode == op::DATA_END;
                    match mcap::parse_record(opcode, data) {
                        Ok(record) => each(record),
                        Err(e) => note(notices, format!("{shown}: record at byte {offset}: {e}")),
                    }
                }
                offset += RECORD_HEAD + data.len() as u64;
            }
            Some(Err(e)) => break Some(e.to_string()),
        }
    };
    if !ended {
        let why = damage.unwrap_or_else(|| {
            "the file ends without its end mark: it is being written, or its writer was killed"
                .to_owned()
        });
        let told = salvage(&mut file, offset, each);
        note(
            notices,
            format!(
                "{shown}: cut off or damaged at byte {offset}: {why}; read up to the last whole record ({told} of the last chunk)"
            ),
        );
    }
    Ok(())
}

fn check_magic(file: &mut BufReader<File>, shown: &str) -> Result<(), RecordingError> {
    let io = |error| RecordingError::Io {
        path: shown.to_owned(),
        error,
    };
    let mut magic = [0; MAGIC as usize];
    let mut filled = 0;
    while let Some(rest) = magic.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_some(file, rest).map_err(io)? {
            0 => break,
            n => filled += n,
        }
    }
    if filled == 0 {
        return Err(RecordingError::Empty(shown.to_owned()));
    }
    if magic != *mcap::MAGIC {
        return Err(RecordingError::NotMcap(shown.to_owned()));
    }
    Ok(())
}

fn chunk(
    data: &[u8],
    offset: u64,
    shown: &str,
    notices: &mut Notices,
    each: &mut dyn FnMut(Record<'_>),
) {
    let hole = || Record::Unknown {
        opcode: HOLE,
        data: std::borrow::Cow::Borrowed(&[]),
    };
    let mut lose = |why: String, each: &mut dyn FnMut(Record<'_>)| {
        each(hole());
        note(
            notices,
            format!("{shown}: damaged chunk at byte {offset}, left out: {why}"),
        );
    };
    let header = match mcap::parse_record(op::CHUNK, data) {
        Ok(Record::Chunk { header, .. }) => header,
        Ok(_) => return,
        Err(e) => return lose(e.to_string(), each),
    };
    if header.uncompressed_size > RECORD_MAX as u64 {
        let why = format!(
            "{} bytes uncompressed; {RECORD_MAX} are read",
            header.uncompressed_size
        );
        return lose(why, each);
    }
    // The sum is checked before any record is given: a damaged number looks like any other.
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(RECORD_MAX);
    let length = (data.len() as u64).to_le_bytes();
    let mut whole = (&[op::CHUNK][..]).chain(&length[..]).chain(data);
    let (told, damage) = linear(options, &mut whole, each);
    match damage {
        Some(why) if told == 0 => lose(why, each),
        Some(why) => {
            each(hole());
            note(
                notices,
                format!(
                    "{shown}: damaged chunk at byte {offset}, {told} records of it are read: {why}"
                ),
            );
        }
        None => {}
    }
}

/// Gives the records of a stretch of a file; their number, and the first fault among them.
fn linear(
    options: LinearReaderOptions,
    from: &mut impl Read,
    each: &mut dyn FnMut(Record<'_>),
) -> (u64, Option<String>) {
    let mut reader = LinearReader::new_with_options(options);
    let (mut told, mut fault) = (0, None);
    while let Some(event) = reader.next_event() {
        let failed = match event {
            Ok(LinearReadEvent::ReadRequest(wanted)) => {
                match read_some(from, reader.insert(wanted)) {
                    Ok(read) => {
                        reader.notify_read(read);
                        continue;
                    }
                    Err(e) => e.to_string(),
                }
            }
            Ok(LinearReadEvent::Record { opcode, data }) => {
                match mcap::parse_record(opcode, data) {
                    Ok(record) => {
                        told += 1;
                        each(record);
                    }
                    // Its neighbours are whole.
                    Err(e) => fault = fault.or(Some(e.to_string())),
                }
                continue;
            }
            Err(e) => e.to_string(),
        };
        return (told, fault.or(Some(failed)));
    }
    (told, fault)
}

/// The whole records of a chunk whose end is missing; their number.
fn salvage(file: &mut BufReader<File>, offset: u64, each: &mut dyn FnMut(Record<'_>)) -> u64 {
    if file.seek(SeekFrom::Start(offset)).is_err() {
        return 0;
    }
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_validate_chunk_crcs(false)
        .with_record_length_limit(RECORD_MAX);
    linear(options, file, each).0
}

fn read_some(file: &mut impl Read, into: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match file.read(into) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn note(notices: &mut Notices, what: String) {
    *notices.entry(what).or_insert(0) += 1;
}
