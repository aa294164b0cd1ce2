//! What a recording holds, found in one pass before it is played.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mcap::records::Record;

use super::records::records;
use super::{Notices, Read, RecordingError, read_file};

/// What the files say of themselves, all together.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub files: Vec<FileFacts>,
    /// By topic.
    pub topics: BTreeMap<String, Topic>,
    pub messages: u64,
    pub first: Option<u64>,
    pub last: Option<u64>,
    pub metadata: BTreeMap<String, String>,
    pub attachments: Vec<(String, u64)>,
    pub notices: Notices,
    /// Where messages are missing that a damaged chunk held: the log time of the last before.
    pub holes: Vec<u64>,
}

/// One file.
#[derive(Debug, Clone, Default)]
pub struct FileFacts {
    /// Whether its log times never decrease.
    pub ordered: bool,
    /// All payloads together.
    pub bytes: u64,
    /// The latest log time, nanoseconds.
    pub last: u64,
}

/// One topic. Times are nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Topic {
    pub schemas: BTreeSet<(String, String)>,
    pub messages: u64,
    pub bytes: u64,
    pub first: u64,
    pub last: u64,
    /// The longest times without a message: length and begin, longest first, three at most.
    pub gaps: Vec<(u64, u64)>,
}

impl Facts {
    pub fn journal(&self) -> String {
        self.metadata
            .get("journal")
            .filter(|j| !j.is_empty())
            .map_or("replay".into(), Clone::clone)
    }

    pub fn timers_journaled(&self) -> bool {
        self.metadata
            .get("timers")
            .is_some_and(|t| t == "journaled")
    }
}

/// Reads all files once.
pub fn facts(paths: &[PathBuf]) -> Result<Facts, RecordingError> {
    let mut facts = Facts::default();
    for path in paths {
        file_facts(path, &mut facts)?;
    }
    Ok(facts)
}

fn file_facts(path: &Path, facts: &mut Facts) -> Result<(), RecordingError> {
    let mut file = FileFacts {
        ordered: true,
        ..FileFacts::default()
    };
    let mut file_first: Option<u64> = None;
    let mut channels = super::Channels::default();
    let mut latest = 0;
    let mut notices = Notices::new();
    let (topics, messages) = (&mut facts.topics, &mut facts.messages);
    let (first, last) = (&mut facts.first, &mut facts.last);
    let holes = &mut facts.holes;
    read_file(path, &mut channels, &mut notices, &mut |read| {
        let Read::Message(m) = read else {
            // What is missing at the very beginning nobody has begun to miss.
            holes.extend(file_first.map(|_| latest));
            return;
        };
        file.ordered &= m.log_time >= latest;
        latest = latest.max(m.log_time);
        file.bytes += m.payload.len() as u64;
        *messages += 1;
        file_first = Some(file_first.map_or(m.log_time, |f| f.min(m.log_time)));
        *first = Some(first.map_or(m.log_time, |f| f.min(m.log_time)));
        *last = Some(last.map_or(m.log_time, |l| l.max(m.log_time)));
        if !topics.contains_key(&m.channel.topic) {
            topics.insert(m.channel.topic.clone(), Topic::default());
        }
        if let Some(topic) = topics.get_mut(&m.channel.topic) {
            topic.note(m);
        }
    })?;
    let before = facts.files.last().map(|file| file.last);
    if file_first.is_some_and(|first| before.is_some_and(|before| first < before)) {
        let what = format!(
            "{}: begins before the file that it follows ends",
            path.display()
        );
        *notices.entry(what).or_insert(0) += 1;
    }
    file.last = latest;
    if !file.ordered {
        let what = format!(
            "{}: log times run back; its messages are sorted",
            path.display()
        );
        *notices.entry(what).or_insert(0) += 1;
    }
    facts.files.push(file);
    facts.notices.append(&mut notices);
    let mut ignored = Notices::new();
    records(path, &mut ignored, &mut |record| match record {
        Record::Metadata(m) if m.name == "basketd" => facts.metadata.extend(m.metadata),
        Record::Attachment { header, data, .. } => {
            facts.attachments.push((header.name, data.len() as u64));
        }
        _ => {}
    })
}

impl Topic {
    fn note(&mut self, m: &super::Message<'_>) {
        if self.messages == 0 {
            (self.first, self.last) = (m.log_time, m.log_time);
        }
        let known = self
            .schemas
            .iter()
            .any(|(s, e)| *s == m.channel.schema && *e == m.channel.encoding);
        if !known {
            self.schemas
                .insert((m.channel.schema.clone(), m.channel.encoding.clone()));
        }
        self.messages += 1;
        self.bytes += m.payload.len() as u64;
        let gap = m.log_time.saturating_sub(self.last);
        if self.gaps.last().is_none_or(|(shortest, _)| gap > *shortest) || self.gaps.len() < 3 {
            self.gaps.push((gap, self.last));
            self.gaps.sort_by(|a, b| b.cmp(a));
            self.gaps.truncate(3);
        }
        self.first = self.first.min(m.log_time);
        self.last = self.last.max(m.log_time);
    }

    /// Messages a second over the topic's span.
    pub fn rate(&self) -> f64 {
        let span = (self.last - self.first) as f64 / 1e9;
        if span > 0.0 {
            (self.messages - 1) as f64 / span
        } else {
            0.0
        }
    }
}
