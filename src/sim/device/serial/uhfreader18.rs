//! A UHFReader18 or UHFReader288 as their makers' protocol documents describe what they do.

use super::{Device, Outgoing};
use crate::wire::uhfreader18::crc;

/// A tag before an antenna.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimTag {
    pub epc: Vec<u8>,
    pub port: u8,
    pub strength: u8,
}

impl SimTag {
    pub fn new(epc: impl Into<Vec<u8>>, port: u8) -> Self {
        Self {
            epc: epc.into(),
            port,
            strength: 0x4A,
        }
    }
}

#[derive(Debug, Clone)]
pub struct UhfReader {
    /// The maker's number for the model: 09 is type 18, 0C is a 288.
    pub kind: u8,
    pub tags: Vec<SimTag>,
    pub bad_port: Option<u8>,
    pub is_mute: bool,
    /// Reports by itself until it is told to wait.
    pub reports_alone: bool,
    pub baud: u32,
    /// Highest channel, lowest channel, with the band's number.
    pub band: [u8; 2],
    pub power: u8,
    pub scan_time: u8,
    /// How often something was written to its flash memory.
    pub writes: u32,
    next_report_ms: u64,
    incoming: Vec<u8>,
    incoming_ms: u64,
    outgoing: Outgoing,
}

/// Tags in one frame.
const IN_FRAME: usize = 4;
/// A pause this long ends a command that has not come whole.
const GAP_MS: u64 = 50;
const WORK_MS: u64 = 5;
const ROUND_MS: u64 = 40;
const TAG_MS: u64 = 5;
const POWER_MAX: u8 = 30;

impl UhfReader {
    pub fn new(kind: u8, tags: Vec<SimTag>) -> Self {
        Self {
            kind,
            tags,
            bad_port: None,
            is_mute: false,
            reports_alone: false,
            baud: 57_600,
            band: [0x4E, 0x00],
            power: 30,
            scan_time: 10,
            writes: 0,
            next_report_ms: 0,
            incoming: Vec::new(),
            incoming_ms: 0,
            outgoing: Outgoing::default(),
        }
    }

    fn is_288(&self) -> bool {
        !matches!(self.kind, 0x03 | 0x08 | 0x09)
    }

    /// Command and data; what has a wrong sum is dropped whole, as the host will ask again.
    fn next_command(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let length = usize::from(*self.incoming.first()?) + 1;
            if length < 5 {
                self.incoming.remove(0);
                continue;
            }
            if self.incoming.len() < length {
                return None;
            }
            let message: Vec<u8> = self.incoming.drain(..length).collect();
            let (body, sum) = message.split_at(length - 2);
            if crc(body).to_le_bytes() == *sum {
                return Some((message[2], message[3..length - 2].to_vec()));
            }
        }
    }

    fn answer(&mut self, due_ms: u64, opcode: u8, status: u8, data: &[u8]) {
        self.outgoing.push(due_ms, message(opcode, status, data));
    }

    fn command(&mut self, now_ms: u64, opcode: u8, data: &[u8]) {
        let due_ms = now_ms + WORK_MS;
        match (opcode, data) {
            (0x21, []) => {
                let [high, low] = self.band;
                let info = [0, 0x16, self.kind, 3, high, low, self.power, self.scan_time];
                self.answer(due_ms, opcode, 0, &info);
            }
            (0x01, _) => self.inventory(now_ms, data),
            (0x22, [high, low]) => {
                self.band = [*high, *low];
                self.written(due_ms, opcode);
            }
            (0x2F, [power]) if *power <= POWER_MAX => {
                self.power = *power;
                self.written(due_ms, opcode);
            }
            (0x25, [time]) if *time >= 3 => {
                self.scan_time = *time;
                self.written(due_ms, opcode);
            }
            (0x76, [0]) if self.is_288() => {
                self.reports_alone = false;
                self.written(due_ms, opcode);
            }
            (0x22 | 0x25 | 0x2F | 0x76, _) => self.answer(due_ms, opcode, 0xFF, &[]),
            _ => self.answer(due_ms, opcode, 0xFE, &[]),
        }
    }

    fn written(&mut self, due_ms: u64, opcode: u8) {
        self.writes += 1;
        self.answer(due_ms, opcode, 0, &[]);
    }

    fn inventory(&mut self, now_ms: u64, data: &[u8]) {
        let port = match (self.is_288(), data) {
            (false, []) => 1,
            (true, [_, _, _, _, _, _, _, antenna, _]) => (antenna & 0x7F) + 1,
            _ => return self.answer(now_ms + WORK_MS, 0x01, 0xFD, &[]),
        };
        if self.bad_port == Some(port) {
            return self.answer(now_ms + WORK_MS, 0x01, 0xF8, &[]);
        }
        let here = self.tags.iter().filter(|tag| tag.port == port).cloned();
        let tags: Vec<SimTag> = here.collect();
        let frames: Vec<&[SimTag]> = tags.chunks(IN_FRAME).collect();
        let mut due_ms = now_ms + ROUND_MS;
        if frames.is_empty() {
            return self.no_tags(due_ms, port);
        }
        for (index, frame) in frames.iter().enumerate() {
            due_ms += TAG_MS * frame.len() as u64;
            let is_last = index + 1 == frames.len();
            let status = if is_last { 1 } else { 3 };
            let data = self.tag_list(port, frame);
            self.answer(due_ms, 0x01, status, &data);
        }
    }

    fn no_tags(&mut self, due_ms: u64, port: u8) {
        if self.is_288() {
            self.answer(due_ms, 0x01, 1, &[1 << (port - 1), 0]);
        } else {
            self.answer(due_ms, 0x01, 0xFB, &[]);
        }
    }

    fn tag_list(&self, port: u8, tags: &[SimTag]) -> Vec<u8> {
        let mut data = Vec::new();
        if self.is_288() {
            data.push(1 << (port - 1));
        }
        data.push(tags.len() as u8);
        for tag in tags {
            data.push(tag.epc.len() as u8);
            data.extend(&tag.epc);
            if self.is_288() {
                data.push(tag.strength);
            }
        }
        data
    }
}

fn message(opcode: u8, status: u8, data: &[u8]) -> Vec<u8> {
    let mut message = vec![data.len() as u8 + 5, 0, opcode, status];
    message.extend_from_slice(data);
    let sum = crc(&message);
    message.extend(sum.to_le_bytes());
    message
}

impl Device for UhfReader {
    fn receive(&mut self, now_ms: u64, bytes: &[u8]) {
        if self.is_mute {
            return;
        }
        if now_ms > self.incoming_ms + GAP_MS {
            self.incoming.clear();
        }
        self.incoming_ms = now_ms;
        self.incoming.extend_from_slice(bytes);
        while let Some((opcode, data)) = self.next_command() {
            self.command(now_ms, opcode, &data);
        }
    }

    fn transmit(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        if self.is_mute {
            return None;
        }
        if let Some(answer) = self.outgoing.pop(now_ms) {
            return Some(answer);
        }
        if !self.reports_alone || now_ms < self.next_report_ms {
            return None;
        }
        self.next_report_ms = now_ms + 100;
        let tag = self.tags.first()?;
        let data = [&[1, 1, tag.epc.len() as u8][..], &tag.epc, &[tag.strength]].concat();
        Some(message(0xEE, 0, &data))
    }

    fn next_ms(&self) -> Option<u64> {
        let report = self.reports_alone.then_some(self.next_report_ms);
        let next = self.outgoing.next_ms().into_iter().chain(report).min();
        next.filter(|_| !self.is_mute)
    }

    fn baud(&self) -> Option<u32> {
        Some(self.baud)
    }

    /// Settings survive; what it was about to say does not.
    fn power_on(&mut self, _: u64) {
        self.incoming.clear();
        self.outgoing.clear();
    }
}
