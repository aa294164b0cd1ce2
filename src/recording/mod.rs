//! Recorded sensor files (MCAP): reading and writing.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// One message of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub log_time: u64,
    pub publish_time: u64,
    pub topic: &'a str,
    pub payload: &'a [u8],
}

/// What a recording says of itself.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub topics: BTreeSet<String>,
    pub journal: String,
    pub store: Option<String>,
    pub store_sha256: Option<String>,
    pub timers_journaled: bool,
}

pub fn facts(paths: &[PathBuf]) -> anyhow::Result<Facts> {
    let mut facts = Facts {
        journal: "replay".into(),
        ..Facts::default()
    };
    for path in paths {
        let bytes = std::fs::read(path)?;
        if let Some(summary) = mcap::Summary::read(&bytes)? {
            facts
                .topics
                .extend(summary.channels.values().map(|c| c.topic.clone()));
            for index in &summary.metadata_indexes {
                let record = mcap::read::metadata(&bytes, index)?;
                if let Some(journal) = record.metadata.get("journal") {
                    facts.journal = journal.clone();
                }
            }
        }
    }
    Ok(facts)
}

/// All messages of the files in order.
pub fn read(paths: &[PathBuf], mut each: impl FnMut(&Message<'_>)) -> anyhow::Result<()> {
    for path in paths {
        let bytes = std::fs::read(path)?;
        for message in mcap::MessageStream::new(&bytes)? {
            let message = message?;
            each(&Message {
                log_time: message.log_time,
                publish_time: message.publish_time,
                topic: &message.channel.topic,
                payload: &message.data,
            });
        }
    }
    Ok(())
}
