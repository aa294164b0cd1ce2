//! The recording: messages leave in the order in which they reach the box, whatever the order
//! in which they were sensed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{Seek, Write};

use mcap::McapResult;

use crate::recording::writer::RecordingWriter;

/// A message under way: when it arrives, a counter that breaks ties, when it was sensed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    log_time: u64,
    number: u64,
    publish_time: u64,
    topic: usize,
    payload: Vec<u8>,
}

pub(super) struct Tape<W: Write + Seek> {
    writer: RecordingWriter<W>,
    /// Nanoseconds since 1970 at the simulated second 0.
    epoch: u64,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    topics: Vec<(String, &'static str)>,
    numbers: BTreeMap<String, usize>,
    number: u64,
}

impl<W: Write + Seek> Tape<W> {
    pub(super) fn new(out: W, epoch: u64, metadata: &BTreeMap<String, String>) -> McapResult<Self> {
        Ok(Self {
            writer: RecordingWriter::new(out, metadata)?,
            epoch,
            under_way: BinaryHeap::new(),
            topics: Vec::new(),
            numbers: BTreeMap::new(),
            number: 0,
        })
    }

    /// A message sensed at `sensed` that arrives at `arrives`, in simulated seconds.
    pub(super) fn send(
        &mut self,
        topic: &str,
        schema: &'static str,
        sensed: f64,
        arrives: f64,
        json: String,
    ) {
        let topic = match self.numbers.get(topic) {
            Some(n) => *n,
            None => {
                self.topics.push((topic.to_owned(), schema));
                self.numbers.insert(topic.to_owned(), self.topics.len() - 1);
                self.topics.len() - 1
            }
        };
        self.number += 1;
        let time = |s: f64| self.epoch + (s * 1e6).round().max(0.0) as u64 * 1000;
        self.under_way.push(Reverse(UnderWay {
            log_time: time(arrives),
            number: self.number,
            publish_time: time(sensed),
            topic,
            payload: json.into_bytes(),
        }));
    }

    /// Writes all that arrived until `now`. Nothing may be sent later that arrives before.
    pub(super) fn advance(&mut self, now: f64) -> McapResult<()> {
        let until = self.epoch + (now * 1e6).max(0.0) as u64 * 1000;
        while self.under_way.peek().is_some_and(|m| m.0.log_time <= until) {
            let Some(Reverse(m)) = self.under_way.pop() else {
                break;
            };
            let (topic, schema) = &self.topics[m.topic];
            self.writer
                .json(topic, schema, m.log_time, m.publish_time, &m.payload)?;
        }
        Ok(())
    }

    /// Writes the rest and ends the file.
    pub(super) fn finish(mut self) -> McapResult<W> {
        self.advance(1e9)?;
        self.writer.finish()
    }
}
