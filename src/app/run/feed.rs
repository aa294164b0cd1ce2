//! The outbox as the uplink sees it.

use std::sync::Arc;

use crate::outbox::{Outbox, Queued, Reader};
use crate::uplink::{Feed, Sending};

pub(super) struct OutboxFeed {
    outbox: Arc<Outbox>,
    reader: Reader,
    /// Before the first event that there is.
    before_first: u64,
}

impl OutboxFeed {
    pub(super) fn new(outbox: Arc<Outbox>) -> anyhow::Result<Self> {
        let reader = Reader::open(outbox.path())?;
        let before_first = reader.first_n()?.map_or(0, |first| first.saturating_sub(1));
        Ok(Self {
            outbox,
            reader,
            before_first,
        })
    }
}

fn sending(queued: Vec<Queued>) -> Vec<Sending> {
    let each = |queued: Queued| Sending {
        n: queued.n,
        topic: queued.topic,
        retained: queued.retained,
        body: queued.body,
    };
    queued.into_iter().map(each).collect()
}

impl Feed for OutboxFeed {
    fn after(&mut self, n: u64, limit: usize) -> Result<Vec<Sending>, String> {
        let found = self.reader.after(n, limit);
        found.map(sending).map_err(|error| error.to_string())
    }

    fn committed(&self) -> u64 {
        self.outbox.committed()
    }

    fn confirmed(&self) -> u64 {
        self.outbox.confirmed().max(self.before_first)
    }

    fn confirm(&mut self, n: u64) {
        self.outbox.confirm(n);
    }

    fn traffic(&mut self, limit: usize) -> Result<Vec<Sending>, String> {
        if self.outbox.traffic_bytes() == 0 {
            return Ok(Vec::new());
        }
        let found = self.reader.traffic(limit);
        found.map(sending).map_err(|error| error.to_string())
    }

    fn traffic_sent(&mut self, n: u64) {
        self.outbox.traffic_sent(n);
    }
}
