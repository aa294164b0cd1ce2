//! `basketd inspect CAPTURE`: LLRP messages back to back, as a proxy or `tcpflow` writes them, each
//! with what it says and whether it encodes to the bytes that it came from.
//!
//! One message is held at a time. A malformed one is told, and the next follows by its length; where
//! a length cannot be trusted the rest of the file is not looked at.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

use crate::wire::llrp::{
    DecodeError, Element, FrameError, Framer, Header, Message, Version, check, frame,
};

/// Longer than any message of a reader; what is longer is told and passed over.
const LIMIT: u32 = 64 << 20;

/// Whether a file begins with LLRP messages, whatever its name.
pub(super) fn is_capture(path: &Path) -> bool {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1 << 16).read_to_end(&mut begin));
    read.is_ok() && frame::looks_like_messages(&begin)
}

pub(super) fn run(path: &Path, as_json: bool) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    let file = File::open(path).with_context(shown)?;
    let mut told = Told {
        out: BufWriter::new(io::stdout().lock()),
        as_json,
        totals: Totals::default(),
    };
    told.head();
    read(file, &mut told).with_context(shown)?;
    told.totals();
    told.totals.verdict().with_context(shown)
}

fn read(mut file: impl Read, told: &mut Told<impl Write>) -> io::Result<()> {
    let mut framer = Framer::new(LIMIT);
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            told.end(&framer);
            return Ok(());
        }
        framer.push(&piece[..length]);
        told.totals.bytes += length as u64;
        if !messages(&mut framer, told) {
            return Ok(());
        }
    }
}

/// Tells the whole messages; false where the stream is out of step.
fn messages(framer: &mut Framer, told: &mut Told<impl Write>) -> bool {
    loop {
        let offset = framer.offset();
        match framer.pop() {
            Ok(Some(bytes)) => told.message(offset, bytes),
            Ok(None) => return true,
            Err(refused) => {
                let goes_on = framer.skip_refused(&refused);
                told.refused(offset, &refused, goes_on);
                if !goes_on {
                    return false;
                }
            }
        }
    }
}

/// A message as JSON.
#[derive(Serialize)]
struct Line<'a> {
    offset: u64,
    r#type: &'static str,
    number: u16,
    id: u32,
    /// 1 is LLRP 1.0.1, 2 is 1.1.
    version: u8,
    bytes: usize,
    reencoded_equal: bool,
    fields: &'a Element,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

#[derive(Default)]
struct Totals {
    messages: u64,
    bytes: u64,
    equal: u64,
    errors: u64,
    first_error: Option<u64>,
    truncated: bool,
    by_type: BTreeMap<&'static str, u64>,
}

impl Totals {
    fn error(&mut self, offset: u64) {
        self.errors += 1;
        self.first_error.get_or_insert(offset);
    }

    fn verdict(&self) -> anyhow::Result<()> {
        let Some(first) = self.first_error else {
            return Ok(());
        };
        let cut = if self.truncated {
            ", and the file ends within one"
        } else {
            ""
        };
        let Self {
            errors, messages, ..
        } = self;
        anyhow::bail!(
            "{errors} of {messages} messages are malformed, the first at byte {first}{cut}"
        )
    }
}

/// Writes lines and counts. Whoever reads them may have gone: that is no error.
struct Told<W: Write> {
    out: W,
    as_json: bool,
    totals: Totals,
}

impl<W: Write> Told<W> {
    fn line(&mut self, line: impl std::fmt::Display) {
        drop(writeln!(self.out, "{line}"));
    }

    fn head(&mut self) {
        if !self.as_json {
            self.line("    offset  version          id    bytes  message");
        }
    }

    fn message(&mut self, offset: u64, bytes: &[u8]) {
        self.totals.messages += 1;
        match Message::decode(bytes) {
            Ok(message) => self.decoded(offset, bytes, &message),
            Err(error) => self.malformed(offset, bytes, &error),
        }
    }

    fn decoded(&mut self, offset: u64, bytes: &[u8], message: &Message) {
        let equal = message.encode().is_ok_and(|again| again == bytes);
        self.totals.equal += u64::from(equal);
        *self.totals.by_type.entry(message.name()).or_default() += 1;
        if !equal {
            self.totals.error(offset);
        }
        let problems = check::problems(&message.body);
        if !self.as_json {
            let details = details(message, equal, &problems);
            self.row(offset, message.version, message.id, bytes.len(), &details);
            return;
        }
        let line = Line {
            offset,
            r#type: message.name(),
            number: message.number(),
            id: message.id,
            version: message.version as u8,
            bytes: bytes.len(),
            reencoded_equal: equal,
            fields: &message.body,
            problems: problems.iter().map(ToString::to_string).collect(),
        };
        // Whoever reads may have gone.
        drop(serde_json::to_writer(&mut self.out, &line));
        self.line("");
    }

    fn malformed(&mut self, offset: u64, bytes: &[u8], error: &DecodeError) {
        self.totals.error(offset);
        let Ok(header) = Header::read(bytes) else {
            return;
        };
        let name = name(header.number);
        *self.totals.by_type.entry(name).or_default() += 1;
        if self.as_json {
            self.line(json!({
                "offset": offset,
                "type": name,
                "number": header.number,
                "id": header.id,
                "version": header.version as u8,
                "bytes": bytes.len(),
                "error": error.to_string(),
                "error_offset": offset + error.offset as u64,
            }));
        } else {
            let details = format!("{name}  MALFORMED: {error}");
            self.row(offset, header.version, header.id, bytes.len(), &details);
        }
    }

    fn refused(&mut self, offset: u64, refused: &FrameError, goes_on: bool) {
        self.totals.messages += 1;
        self.totals.error(offset);
        let rest = if goes_on {
            ""
        } else {
            "; the rest of the file is not looked at"
        };
        self.trouble(offset, &format!("{refused}{rest}"));
    }

    /// What is left when the file ends.
    fn end(&mut self, framer: &Framer) {
        let waiting = framer.waiting();
        let wants = match Header::read(waiting) {
            _ if framer.left_to_skip() > 0 => format!("{} more bytes", framer.left_to_skip()),
            _ if waiting.is_empty() => return,
            Ok(header) => format!("{} bytes of {}", header.length, name(header.number)),
            Err(_) => "a header of 10 bytes".to_owned(),
        };
        let offset = framer.offset();
        self.totals.truncated = true;
        self.totals.messages += u64::from(!waiting.is_empty());
        self.totals.error(offset);
        let there = waiting.len();
        self.trouble(
            offset,
            &format!("the file ends: {wants} are wanted, and {there} are there"),
        );
    }

    fn trouble(&mut self, offset: u64, error: &str) {
        if self.as_json {
            self.line(json!({"offset": offset, "error": error, "error_offset": offset}));
        } else {
            self.line(format!("{offset:>10}  {error}"));
        }
    }

    fn row(&mut self, offset: u64, version: Version, id: u32, bytes: usize, details: &str) {
        let version = match version {
            Version::V1_0_1 => "1.0.1",
            Version::V1_1 => "1.1",
        };
        self.line(format!(
            "{offset:>10}  {version:<7}  {id:>10}  {bytes:>7}  {details}"
        ));
    }

    fn totals(&mut self) {
        let Totals {
            messages,
            bytes,
            equal,
            errors,
            truncated,
            ..
        } = self.totals;
        if self.as_json {
            let by_type = json!(self.totals.by_type);
            self.line(json!({
                "messages": messages, "bytes": bytes, "equal": equal, "errors": errors,
                "truncated": truncated, "by_type": by_type,
            }));
        } else {
            let counted = |(name, n): (&&str, &u64)| format!("{n:>10}  {name}");
            let rows: Vec<_> = self.totals.by_type.iter().map(counted).collect();
            self.line("");
            rows.iter().for_each(|row| self.line(row));
            self.line(format!(
                "{messages} messages, {bytes} bytes; {equal} encode to the same bytes, {errors} errors"
            ));
        }
        drop(self.out.flush());
    }
}

fn name(number: u16) -> &'static str {
    crate::wire::llrp::Definition::message(number).map_or("Unknown", |d| d.name)
}

/// The message's name, and what a technician looks for first.
fn details(message: &Message, equal: bool, problems: &[check::Problem]) -> String {
    let mut words = vec![message.name().to_owned()];
    if message.name() == "Unknown" {
        words.push(format!("type {}", message.number()));
    }
    if let Some(status) = message.status() {
        words.push(status.to_string());
    }
    let tags = message.params("TagReportData").count();
    if tags > 0 {
        words.push(format!("{tags} tag(s)"));
    }
    let events = message.params("ReaderEventNotificationData");
    let events = events.flat_map(|data| data.parameters());
    words.extend(
        events
            .filter(|event| event.name().ends_with("Event"))
            .map(|event| event.name().to_owned()),
    );
    if let Some(spec) = message.body.number("ROSpecID") {
        words.push(format!("ROSpec {spec}"));
    }
    if !equal {
        words.push("ENCODES TO OTHER BYTES".to_owned());
    }
    words.extend(problems.iter().map(|problem| format!("({problem})")));
    words.join("  ")
}
