//! Which tags are read, when and how strongly.

use super::report::Read;
use crate::sim::random::Random;

/// A tag before an antenna.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// 1 to 62 bytes.
    pub epc: Vec<u8>,
    pub antenna: u16,
    /// Hundredths of dBm, on average.
    pub rssi_cdbm: i32,
    /// Standard deviation of that, hundredths of a dB.
    pub noise_cdb: u32,
}

/// Reads all tags in turn, at a rate.
#[derive(Debug)]
pub(super) struct Air {
    pub(super) tags: Vec<Tag>,
    pub(super) reads_per_s: f64,
    random: Random,
    next: usize,
    /// Parts of a read that are due.
    due: f64,
}

/// No more reads at once, whatever the rate and however long nobody asked.
const AT_ONCE: f64 = 10_000.0;

impl Air {
    pub(super) fn new(tags: Vec<Tag>, reads_per_s: f64, seed: u64) -> Self {
        Self {
            tags,
            reads_per_s,
            random: Random::stream(seed, "air"),
            next: 0,
            due: 0.0,
        }
    }

    /// The reads of the last `elapsed_us` at antennas that `listens` to, stamped `now_us`.
    pub(super) fn read(
        &mut self,
        elapsed_us: u64,
        now_us: u64,
        channels: usize,
        listens: impl Fn(u16) -> bool,
    ) -> Vec<Read> {
        let elapsed_s = elapsed_us as f64 / 1e6;
        self.due = (self.due + self.reads_per_s * elapsed_s).min(AT_ONCE);
        let heard: Vec<usize> = (0..self.tags.len())
            .filter(|i| listens(self.tags[*i].antenna))
            .collect();
        let mut reads = Vec::new();
        while self.due >= 1.0 && !heard.is_empty() {
            self.due -= 1.0;
            self.next = (self.next + 1) % heard.len();
            reads.push(self.one(heard[self.next], now_us, channels));
        }
        if heard.is_empty() {
            self.due = 0.0;
        }
        reads
    }

    /// Reads these tags once.
    pub(super) fn once(
        &mut self,
        tags: &[Tag],
        now_us: u64,
        channels: usize,
        listens: impl Fn(u16) -> bool,
    ) -> Vec<Read> {
        let heard = tags.iter().filter(|tag| listens(tag.antenna));
        let reads = heard.map(|tag| read(&mut self.random, tag, now_us, channels));
        reads.collect()
    }

    fn one(&mut self, tag: usize, now_us: u64, channels: usize) -> Read {
        read(&mut self.random, &self.tags[tag], now_us, channels)
    }
}

fn read(random: &mut Random, tag: &Tag, now_us: u64, channels: usize) -> Read {
    let noise = random.normal() * f64::from(tag.noise_cdb);
    let last = channels.max(1) as u64;
    Read {
        epc: tag.epc.clone(),
        antenna: tag.antenna,
        rssi_cdbm: tag.rssi_cdbm + noise as i32,
        channel: random.int(1, last) as u16,
        phase: (random.next() % 4096) as u16,
        doppler: random.range(-160.0, 160.0) as i16,
        first_us: now_us,
        last_us: now_us,
        count: 1,
    }
}
