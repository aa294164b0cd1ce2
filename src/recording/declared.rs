//! Channels as a file declares them, and where else than in its chunks: metadata
//! `basketd.channels` holds, by the channel's id in decimal, a JSON object with its `topic`,
//! `schema`, `schema_id` and `encoding`; the summary of a finished file repeats the records.
//!
//! What a chunk declares counts before both: its sum was checked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use mcap::records;
use mcap::sans_io::summary_reader::{SummaryReadEvent, SummaryReader, SummaryReaderOptions};
use serde::{Deserialize, Serialize};

use super::RECORD_MAX;

/// Name of the metadata record.
const CHANNELS: &str = "basketd.channels";

/// A channel with what its schema is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Declaration {
    pub(super) topic: String,
    pub(super) schema: String,
    pub(super) schema_id: u16,
    pub(super) encoding: String,
}

/// What a writer has declared.
#[derive(Debug, Default)]
pub(super) struct Declared {
    channels: BTreeMap<u16, Declaration>,
    /// How many of them the last metadata record held.
    told: usize,
}

impl Declared {
    pub(super) fn add(&mut self, id: u16, channel: Declaration) {
        self.channels.insert(id, channel);
    }

    /// All channels, where there are some that no metadata record holds yet.
    pub(super) fn untold(&mut self) -> Option<records::Metadata> {
        if self.told == self.channels.len() {
            return None;
        }
        self.told = self.channels.len();
        let text = |channel| serde_json::to_string(channel).expect("names are plain values");
        let channels = self.channels.iter();
        Some(records::Metadata {
            name: CHANNELS.to_owned(),
            metadata: channels.map(|(id, c)| (id.to_string(), text(c))).collect(),
        })
    }
}

/// The channels of one file as a reader comes to know them, by the file's own ids.
#[derive(Debug, Default)]
pub(super) struct Known {
    schemas: BTreeMap<u16, String>,
    channels: BTreeMap<u16, Declaration>,
}

impl Known {
    /// What the summary says, as far as there is one that can be read.
    pub(super) fn of_summary(path: &Path) -> Self {
        let Some(summary) = summary(path) else {
            return Self::default();
        };
        let schemas = summary.schemas.into_iter();
        let channels = summary.channels.into_iter();
        Self {
            schemas: schemas.map(|(id, s)| (id, s.name.clone())).collect(),
            channels: channels.map(|(id, c)| (id, repeated(&c))).collect(),
        }
    }

    pub(super) fn on_schema(&mut self, header: records::SchemaHeader) {
        self.schemas.insert(header.id, header.name);
    }

    pub(super) fn on_channel(&mut self, channel: records::Channel) {
        let schema = self.schemas.get(&channel.schema_id);
        let declaration = Declaration {
            topic: channel.topic,
            schema: schema.cloned().unwrap_or_default(),
            schema_id: channel.schema_id,
            encoding: channel.message_encoding,
        };
        self.channels.insert(channel.id, declaration);
    }

    /// Takes from a metadata record what is not known yet; other records than
    /// `basketd.channels` say nothing of channels.
    pub(super) fn on_metadata(&mut self, metadata: &records::Metadata) {
        if metadata.name != CHANNELS {
            return;
        }
        for (id, text) in &metadata.metadata {
            let channel = serde_json::from_str::<Declaration>(text).ok();
            let Some((id, channel)) = id.parse().ok().zip(channel) else {
                continue;
            };
            let schema = channel.schema.clone();
            self.schemas.entry(channel.schema_id).or_insert(schema);
            self.channels.entry(id).or_insert(channel);
        }
    }

    pub(super) fn channel(&self, id: u16) -> Option<&Declaration> {
        self.channels.get(&id)
    }
}

fn repeated(channel: &mcap::Channel<'_>) -> Declaration {
    let schema = channel.schema.as_ref();
    Declaration {
        topic: channel.topic.clone(),
        schema: schema.map_or(String::new(), |schema| schema.name.clone()),
        schema_id: schema.map_or(0, |schema| schema.id),
        encoding: channel.message_encoding.clone(),
    }
}

/// `None` where the file has none, as one that is being written, or where it is damaged.
fn summary(path: &Path) -> Option<mcap::Summary> {
    let mut file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    let options = SummaryReaderOptions::default()
        .with_file_size(bytes)
        .with_record_length_limit(RECORD_MAX);
    let mut reader = SummaryReader::new_with_options(options);
    while let Some(event) = reader.next_event() {
        match event.ok()? {
            SummaryReadEvent::ReadRequest(wanted) => {
                let read = file.read(reader.insert(wanted)).ok()?;
                reader.notify_read(read);
            }
            SummaryReadEvent::SeekRequest(to) => reader.notify_seeked(file.seek(to).ok()?),
        }
    }
    reader.finish()
}
