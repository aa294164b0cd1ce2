//! The journal: everything that the engine is given, in recordings that follow one another, each
//! beginning with the frozen engine. It is the write-ahead log of the outbox.
//!
//! A file is named by its number, `00000042.mcap`. Metadata `basketd` as the contract has it, with
//! `timers = journaled` and `file`, its number; `resync = true` where the file before may lack
//! inputs that the engine had (a full disk, a failed sync): whoever replays several files thaws
//! there. Attachments: `basketd.snapshot`, the frozen engine before the file's first message;
//! `basketd.pending`, events that the engine had made by then and that were not in the outbox.
//!
//! A file of a run that was killed ends without an index, and is read up to its last whole record.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mcap::records::Record;

use super::records::records_while;
use super::writer::RecordingWriter;
use super::{Notices, RecordingError};

pub const SNAPSHOT: &str = "basketd.snapshot";
pub const PENDING: &str = "basketd.pending";

/// What a file says of itself at its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub store: String,
    /// Of the store file.
    pub store_sha256: String,
    /// Of the store file with its catalogue and tag list.
    pub inputs_sha256: String,
    /// The journal's id.
    pub journal: String,
    /// Whether the file before may lack what the engine was given.
    pub resync: bool,
}

/// One file of a journal, being written.
pub struct Journal {
    writer: RecordingWriter<BufWriter<Counted>>,
    file: Arc<File>,
    pub number: u64,
    pub path: PathBuf,
    pub messages: u64,
    written: Arc<AtomicU64>,
    /// Messages since the last flush.
    unflushed: u64,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Counts what goes through.
struct Counted {
    file: Arc<File>,
    written: Arc<AtomicU64>,
}

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = (&*self.file).write(bytes)?;
        self.written.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.file).flush()
    }
}

impl io::Seek for Counted {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        (&*self.file).seek(to)
    }
}

impl Journal {
    /// Makes the next file and its beginning, and puts both on disk: a crash after it finds the
    /// file whole, one before it finds the file before.
    pub fn begin(
        folder: &Path,
        number: u64,
        head: &Head,
        at_ns: u64,
        snapshot: &[u8],
        pending: &[u8],
    ) -> io::Result<Self> {
        let path = folder.join(format!("{number:08}.mcap"));
        let making = folder.join(format!("{number:08}.mcap.new"));
        let file = Arc::new(File::create(&making)?);
        let written = Arc::default();
        let counted = Counted {
            file: Arc::clone(&file),
            written: Arc::clone(&written),
        };
        let metadata = [
            ("version", "1".to_owned()),
            ("store", head.store.clone()),
            ("store_sha256", head.store_sha256.clone()),
            ("inputs_sha256", head.inputs_sha256.clone()),
            ("journal", head.journal.clone()),
            ("timers", "journaled".to_owned()),
            ("file", number.to_string()),
            ("resync", head.resync.to_string()),
        ];
        let metadata: BTreeMap<String, String> = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let out = BufWriter::with_capacity(256 << 10, counted);
        let writer = RecordingWriter::new(out, &metadata).map_err(io_error)?;
        let mut journal = Self {
            writer,
            file,
            number,
            path,
            messages: 0,
            written,
            unflushed: 0,
        };
        let begun = journal.begin_with(&making, at_ns, snapshot, pending);
        if begun.is_err() {
            // Half a beginning is worth nothing; what cannot be removed is overwritten next time.
            drop(fs::remove_file(&making));
        }
        begun.map(|()| journal)
    }

    fn begin_with(
        &mut self,
        making: &Path,
        at_ns: u64,
        snapshot: &[u8],
        pending: &[u8],
    ) -> io::Result<()> {
        let attached = self.writer.attach(SNAPSHOT, at_ns, snapshot);
        attached.map_err(io_error)?;
        if !pending.is_empty() {
            let attached = self.writer.attach(PENDING, at_ns, pending);
            attached.map_err(io_error)?;
        }
        self.flush()?.sync_all()?;
        fs::rename(making, &self.path)?;
        sync_folder(self.path.parent().unwrap_or(Path::new(".")))
    }

    /// Appends a message; times are nanoseconds since 1970.
    pub fn write(
        &mut self,
        topic: &str,
        schema: (&str, &str, &str),
        encoding: &str,
        times: (u64, u64),
        payload: &[u8],
    ) -> io::Result<()> {
        self.messages += 1;
        self.unflushed += 1;
        self.writer
            .message(topic, schema, encoding, times, payload)
            .map_err(io_error)
    }

    /// Ends the chunk and hands all to the system; the file is for whoever syncs it.
    pub fn flush(&mut self) -> io::Result<Arc<File>> {
        self.writer.flush().map_err(io_error)?;
        self.unflushed = 0;
        Ok(Arc::clone(&self.file))
    }

    pub fn has_unflushed(&self) -> bool {
        self.unflushed > 0
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes the index, so that viewers can jump in the file.
    pub fn finish(self) -> io::Result<Arc<File>> {
        let file = Arc::clone(&self.file);
        let mut out = self.writer.finish().map_err(io_error)?;
        out.flush()?;
        Ok(file)
    }
}

fn io_error(error: mcap::McapError) -> io::Error {
    match error {
        mcap::McapError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// A name that was made or removed is on disk only when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file of a journal on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalFile {
    pub number: u64,
    pub path: PathBuf,
    pub bytes: u64,
    /// Seconds since 1970 at which it was last written.
    pub modified_s: u64,
}

/// The files of a journal by number; none where the folder is not there.
pub fn files(folder: &Path) -> io::Result<Vec<JournalFile>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let number = stem.and_then(|stem| stem.parse().ok());
        let (Some(number), Some("mcap")) = (number, path.extension().and_then(|e| e.to_str()))
        else {
            continue;
        };
        let about = fs::metadata(&path)?;
        let modified = about.modified()?.duration_since(std::time::UNIX_EPOCH);
        files.push(JournalFile {
            number,
            path,
            bytes: about.len(),
            modified_s: modified.map_or(0, |d| d.as_secs()),
        });
    }
    files.sort_by_key(|file| file.number);
    Ok(files)
}

/// Removes the oldest files beyond `bytes` in all or older than `before_s`; the newest
/// `keep` stay whatever they take. Gives what was removed.
pub fn prune(
    folder: &Path,
    bytes: u64,
    before_s: u64,
    keep: usize,
) -> io::Result<Vec<JournalFile>> {
    let files = files(folder)?;
    let mut total: u64 = files.iter().map(|file| file.bytes).sum();
    let mut removed = Vec::new();
    let removable = files.len().saturating_sub(keep);
    for file in files.into_iter().take(removable) {
        if total <= bytes && file.modified_s >= before_s {
            break;
        }
        fs::remove_file(&file.path)?;
        total -= file.bytes;
        removed.push(file);
    }
    Ok(removed)
}

/// How a file begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginning {
    pub metadata: BTreeMap<String, String>,
    pub snapshot: Option<Vec<u8>>,
    pub pending: Vec<u8>,
}

impl Beginning {
    /// Whether the engine before this file is not the one that the file before leads to.
    pub fn is_resync(&self) -> bool {
        self.metadata.get("resync").is_some_and(|r| r == "true")
    }

    /// Its number among the journal's files.
    pub fn file(&self) -> Option<u64> {
        self.metadata.get("file")?.parse().ok()
    }
}

/// Reads how a file begins, and nothing after it.
pub fn beginning(path: &Path) -> Result<Beginning, RecordingError> {
    let mut begins = Beginning::default();
    let mut notices = Notices::new();
    records_while(path, &mut notices, &mut |record| {
        match record {
            Record::Metadata(m) if m.name == "basketd" => begins.metadata = m.metadata,
            Record::Attachment { header, data, .. } if header.name == SNAPSHOT => {
                begins.snapshot = Some(data.into_owned());
            }
            Record::Attachment { header, data, .. } if header.name == PENDING => {
                begins.pending = data.into_owned();
            }
            Record::Channel(_) | Record::Message { .. } | Record::DataEnd(_) => return false,
            _ => {}
        }
        true
    })?;
    Ok(begins)
}
