//! Recorded sensor files (MCAP): reading and writing.

use std::path::Path;

/// One message of a recording.
#[derive(Debug, Clone)]
pub struct Message {
    pub log_time: u64,
    pub publish_time: u64,
    pub topic: std::sync::Arc<str>,
    pub payload: Vec<u8>,
}

/// All messages of a file in order.
pub fn read(path: &Path, mut each: impl FnMut(Message)) -> anyhow::Result<()> {
    let bytes = std::fs::read(path)?;
    for message in mcap::MessageStream::new(&bytes)? {
        let message = message?;
        each(Message {
            log_time: message.log_time,
            publish_time: message.publish_time,
            topic: message.channel.topic.as_str().into(),
            payload: message.data.into_owned(),
        });
    }
    Ok(())
}
