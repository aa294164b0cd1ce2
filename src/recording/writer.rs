//! Writing a recording: profile `basketd`, chunks compressed with zstd.
//!
//! A channel is declared once, in the chunk of its first message, and again where damage to that
//! chunk does not reach: in the summary of a finished file, and at a flush after it in metadata
//! `basketd.channels`, outside of chunks, for files whose writer is killed.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use mcap::records::MessageHeader;
use mcap::write::{Metadata, WriteOptions};
use mcap::{Attachment, McapResult, Writer};

use super::declared::{Declaration, Declared};

/// A recording being written. Nothing is whole before [`RecordingWriter::finish`], but what was
/// flushed survives a cut.
pub struct RecordingWriter<W: Write + Seek> {
    writer: Writer<W>,
    /// By topic, schema and encoding.
    channels: BTreeMap<[String; 3], u16>,
    declared: Declared,
    sequence: u32,
}

impl<W: Write + Seek> RecordingWriter<W> {
    /// `metadata` becomes the record `basketd`: `version`, `store`, `journal`, ….
    pub fn new(out: W, metadata: &BTreeMap<String, String>) -> McapResult<Self> {
        let options = WriteOptions::new()
            .profile("basketd")
            .library("basketd")
            // A chunk goes out in one piece when it is whole: nothing before it is touched again.
            .disable_seeking(true)
            // Chunks are small, and threads of their own for each would cost more than they save.
            .compression_threads(0);
        let mut writer = options.create(out)?;
        writer.write_metadata(&Metadata {
            name: "basketd".into(),
            metadata: metadata.clone(),
        })?;
        Ok(Self {
            writer,
            channels: BTreeMap::new(),
            declared: Declared::default(),
            sequence: 0,
        })
    }

    /// Writes a JSON message of the schema that the contract gives its topic. Times are
    /// nanoseconds since 1970.
    pub fn json(
        &mut self,
        topic: &str,
        schema: &str,
        log_time: u64,
        publish_time: u64,
        payload: &[u8],
    ) -> McapResult<()> {
        let text = format!("{{\"title\": \"{schema}\", \"type\": \"object\"}}");
        let channel = self.channel(topic, schema, "jsonschema", "json", text.as_bytes())?;
        self.write(channel, log_time, publish_time, payload)
    }

    /// Writes a message of any kind.
    pub fn raw(
        &mut self,
        topic: &str,
        schema: (&str, &str),
        encoding: &str,
        times: (u64, u64),
        payload: &[u8],
    ) -> McapResult<()> {
        self.message(topic, (schema.0, schema.1, ""), encoding, times, payload)
    }

    /// The same with the schema's text: name, encoding, text.
    pub fn message(
        &mut self,
        topic: &str,
        schema: (&str, &str, &str),
        encoding: &str,
        times: (u64, u64),
        payload: &[u8],
    ) -> McapResult<()> {
        let channel = self.channel(topic, schema.0, schema.1, encoding, schema.2.as_bytes())?;
        self.write(channel, times.0, times.1, payload)
    }

    fn channel(
        &mut self,
        topic: &str,
        schema: &str,
        schema_encoding: &str,
        encoding: &str,
        text: &[u8],
    ) -> McapResult<u16> {
        let key = [topic, schema, encoding].map(str::to_owned);
        if let Some(channel) = self.channels.get(&key) {
            return Ok(*channel);
        }
        let schema_id = self.writer.add_schema(schema, schema_encoding, text)?;
        let channel = self
            .writer
            .add_channel(schema_id, topic, encoding, &BTreeMap::new())?;
        self.channels.insert(key, channel);
        let (topic, schema) = (topic.to_owned(), schema.to_owned());
        let declaration = Declaration {
            topic,
            schema,
            schema_id,
            encoding: encoding.to_owned(),
        };
        self.declared.add(channel, declaration);
        Ok(channel)
    }

    fn write(
        &mut self,
        channel_id: u16,
        log_time: u64,
        publish_time: u64,
        payload: &[u8],
    ) -> McapResult<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let header = MessageHeader {
            channel_id,
            sequence: self.sequence,
            log_time,
            publish_time,
        };
        self.writer.write_to_known_channel(&header, payload)
    }

    /// Puts bytes of any kind into the file, outside its chunks.
    pub fn attach(&mut self, name: &str, log_time: u64, data: &[u8]) -> McapResult<()> {
        self.writer.attach(&Attachment {
            log_time,
            create_time: log_time,
            name: name.to_owned(),
            media_type: "application/octet-stream".to_owned(),
            data: data.into(),
        })
    }

    /// Ends the chunk: what stands before is whole for whoever reads the file after a cut.
    pub fn flush(&mut self) -> McapResult<()> {
        if let Some(metadata) = self.declared.untold() {
            self.writer.write_metadata(&metadata)?;
        }
        self.writer.flush()
    }

    /// Writes index and end mark.
    pub fn finish(mut self) -> McapResult<W> {
        self.writer.finish()?;
        Ok(self.writer.into_inner())
    }
}
