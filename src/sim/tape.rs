//! The recording: messages leave in the order in which they reach the box, whatever the order
//! in which they were sensed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::incident::Incident;
use super::random::Random;

/// A message as it reaches the box.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'t> {
    pub topic: &'t str,
    pub schema: &'static str,
    /// Nanoseconds since 1970.
    pub log_time: u64,
    pub publish_time: u64,
    /// JSON.
    pub payload: &'t [u8],
}

/// Over a bad link: shares of messages that come late and twice, and by how much, seconds. A
/// retransmission over TCP takes 0.2 s at least; MQTT at QoS 1 sends again after a reconnect.
const LATE: f64 = 0.2;
const LATE_S: f64 = 0.3;
const TWICE: f64 = 0.1;
const TWICE_S: f64 = 0.5;

/// A message under way: when it arrives, a counter that breaks ties, when it was sensed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    log_time: u64,
    number: u64,
    publish_time: u64,
    topic: usize,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Topic {
    name: String,
    schema: &'static str,
    /// The source's clock runs ahead by so much.
    ahead_s: f64,
}

/// What is under way to the box.
pub(super) struct Tape {
    /// Nanoseconds since 1970 at the simulated second 0.
    epoch: u64,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    topics: Vec<Topic>,
    clocks: Random,
    clock_s: f64,
    /// Clocks that are off by so much more, by source.
    ahead_s: BTreeMap<String, f64>,
    /// Chance that messages come twice or late.
    bad_link: Option<Random>,
    /// Sources that are off, and until when.
    off: BTreeMap<String, f64>,
    numbers: BTreeMap<String, usize>,
    number: u64,
}

impl Tape {
    /// `clock_s` is the spread of the clocks of cameras and readers; of `incidents` those count
    /// that befall clocks and links.
    pub(super) fn new(epoch: u64, (seed, clock_s): (u64, f64), incidents: &[Incident]) -> Self {
        let ahead = incidents.iter().filter_map(|incident| match incident {
            Incident::Clock { source, ahead_s } => Some((source.clone(), *ahead_s)),
            _ => None,
        });
        let repeated = incidents.contains(&Incident::Repeated);
        Self {
            epoch,
            under_way: BinaryHeap::new(),
            topics: Vec::new(),
            clocks: Random::stream(seed, "clocks"),
            clock_s,
            ahead_s: ahead.collect(),
            bad_link: repeated.then(|| Random::stream(seed, "bad link")),
            off: BTreeMap::new(),
            numbers: BTreeMap::new(),
            number: 0,
        }
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
        if self
            .off
            .iter()
            .any(|(source, until)| sensed < *until && is_of(topic, source))
        {
            return;
        }
        let sensor = ["/rfid", "/scale", "/camera"];
        let mut arrivals = vec![arrives];
        if let Some(r) = &mut self.bad_link
            && sensor.iter().any(|kind| topic.starts_with(kind))
        {
            if r.chance(LATE) {
                arrivals[0] += r.range(0.0, LATE_S);
            }
            if r.chance(TWICE) {
                arrivals.push(arrives + r.range(0.0, TWICE_S));
            }
        }
        let topic = self.topic(topic, schema);
        let time = |s: f64| self.epoch + (s * 1e6).round().max(0.0) as u64 * 1000;
        for arrives in arrivals {
            self.number += 1;
            self.under_way.push(Reverse(UnderWay {
                log_time: time(arrives),
                number: self.number,
                publish_time: time(sensed + self.topics[topic].ahead_s),
                topic,
                payload: json.clone().into_bytes(),
            }));
        }
    }

    fn topic(&mut self, name: &str, schema: &'static str) -> usize {
        if let Some(n) = self.numbers.get(name) {
            return *n;
        }
        let own = name.starts_with("/camera") || name.starts_with("/rfid");
        let ahead_s = if own {
            self.clock_s * self.clocks.normal()
        } else {
            0.0
        };
        let off = self.ahead_s.iter().find(|(source, _)| is_of(name, source));
        let ahead_s = ahead_s + off.map_or(0.0, |(_, ahead)| *ahead);
        self.topics.push(Topic {
            name: name.to_owned(),
            schema,
            ahead_s,
        });
        self.numbers.insert(name.to_owned(), self.topics.len() - 1);
        self.topics.len() - 1
    }

    /// Nothing comes from a source (`camera/cam1`) until then.
    pub(super) fn mute(&mut self, source: String, until: f64) {
        self.off.insert(source, until);
    }

    /// Gives all that arrived until `now`. Nothing may be sent later that arrives before.
    pub(super) fn advance<E>(
        &mut self,
        now: f64,
        each: &mut impl FnMut(&Sent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let until = self.epoch + (now * 1e6).max(0.0) as u64 * 1000;
        while self.under_way.peek().is_some_and(|m| m.0.log_time <= until) {
            let Some(Reverse(m)) = self.under_way.pop() else {
                break;
            };
            let topic = &self.topics[m.topic];
            each(&Sent {
                topic: &topic.name,
                schema: topic.schema,
                log_time: m.log_time,
                publish_time: m.publish_time,
                payload: &m.payload,
            })?;
        }
        Ok(())
    }
}

/// Whether a topic is one of a source's.
fn is_of(topic: &str, source: &str) -> bool {
    let rest = topic.strip_prefix('/').and_then(|t| t.strip_prefix(source));
    rest.is_some_and(|r| r.is_empty() || r.starts_with('/'))
}
