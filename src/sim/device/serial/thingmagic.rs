//! A ThingMagic module as MercuryAPI's sources describe what it does.

use super::{Device, Outgoing};
use crate::wire::thingmagic::crc;

/// A tag before an antenna.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimTag {
    pub epc: Vec<u8>,
    pub port: u8,
    pub rssi_dbm: i8,
    /// The least power at which the tag answers, hundredths of dBm.
    pub needs_cdbm: i16,
}

impl SimTag {
    pub fn new(epc: impl Into<Vec<u8>>, port: u8) -> Self {
        Self {
            epc: epc.into(),
            port,
            rssi_dbm: -55,
            needs_cdbm: 0,
        }
    }
}

/// What a module is made as.
#[derive(Debug, Clone)]
pub struct Made {
    pub hardware: [u8; 4],
    pub regions: Vec<u8>,
    pub ports: u8,
    /// Hundredths of dBm.
    pub power_min: i16,
    pub power_max: i16,
    /// The speed after power-on.
    pub baud: u32,
    pub has_port_powers: bool,
}

impl Made {
    pub fn m6e() -> Self {
        Self {
            hardware: [0x18, 0, 0, 1],
            regions: vec![1, 8, 4, 255],
            ports: 4,
            power_min: 500,
            power_max: 3150,
            baud: 115_200,
            has_port_powers: true,
        }
    }

    pub fn m6e_nano() -> Self {
        Self {
            hardware: [0x30, 0, 0, 2],
            regions: vec![13, 14, 8, 255],
            ports: 1,
            power_min: 0,
            power_max: 2700,
            has_port_powers: false,
            ..Self::m6e()
        }
    }
}

/// A continuous read.
#[derive(Debug, Clone)]
struct Reading {
    metadata: u16,
    search_flags: u16,
    cycle_ms: u64,
    cycle_began_ms: u64,
    next_tag_ms: u64,
    next_tag: usize,
}

#[derive(Debug, Clone)]
pub struct ThingMagic {
    pub made: Made,
    pub tags: Vec<SimTag>,
    /// Reads a second over all tags.
    pub rate: u64,
    pub is_hot: bool,
    /// A port whose antenna reflects.
    pub bad_port: Option<u8>,
    /// Nothing comes out any more.
    pub is_mute: bool,
    /// An order to stop is heard at the end of a cycle alone.
    pub stops_late: bool,
    /// So many signs of life are lost on the way.
    pub lost_signs: u32,
    /// What the line picks up when somebody opens it.
    pub noise: Vec<u8>,
    /// The boot loader runs after power-on.
    pub has_boot_loader: bool,
    /// Powers as they were set, by port.
    pub powers: Vec<(u8, i16)>,
    baud: u32,
    /// Once what waits has gone out.
    baud_next: Option<u32>,
    boot_loader_runs: bool,
    region: u8,
    has_protocol: bool,
    search_list: Vec<u8>,
    power: i16,
    reading: Option<Reading>,
    /// When an order to stop is carried out.
    stop_ms: Option<u64>,
    incoming: Vec<u8>,
    incoming_ms: u64,
    outgoing: Outgoing,
}

/// A pause this long ends a command that has not come whole.
const GAP_MS: u64 = 50;
/// How long a command takes.
const WORK_MS: u64 = 3;

impl ThingMagic {
    pub fn new(made: Made, tags: Vec<SimTag>) -> Self {
        Self {
            tags,
            rate: 100,
            is_hot: false,
            bad_port: None,
            is_mute: false,
            stops_late: false,
            lost_signs: 0,
            noise: Vec::new(),
            has_boot_loader: false,
            powers: Vec::new(),
            baud: made.baud,
            baud_next: None,
            boot_loader_runs: false,
            region: 0,
            has_protocol: false,
            search_list: vec![1],
            power: made.power_max,
            reading: None,
            stop_ms: None,
            incoming: Vec::new(),
            incoming_ms: 0,
            outgoing: Outgoing::default(),
            made,
        }
    }

    /// Already reading when somebody opens it: autonomous read, or a host that died.
    pub fn streaming(mut self) -> Self {
        self.region = self.made.regions.first().copied().unwrap_or(1);
        self.has_protocol = true;
        self.search_list = (1..=self.made.ports).collect();
        self.start(0, 0x00FF, 0x001B, 1000);
        self
    }

    /// Loses its settings, as after a brown-out.
    pub fn reset(&mut self) {
        self.baud = self.made.baud;
        self.boot_loader_runs = self.has_boot_loader;
        self.region = 0;
        self.has_protocol = false;
        self.search_list = vec![1];
        self.powers.clear();
        self.power = self.made.power_max;
        self.reading = None;
        self.stop_ms = None;
        self.incoming.clear();
        self.outgoing.clear();
    }

    pub fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    fn start(&mut self, now_ms: u64, metadata: u16, search_flags: u16, cycle_ms: u64) {
        self.reading = Some(Reading {
            metadata,
            search_flags,
            cycle_ms: cycle_ms.max(1),
            cycle_began_ms: now_ms,
            next_tag_ms: now_ms,
            next_tag: 0,
        });
    }

    /// Commands are found by their header; what is not one is dropped.
    fn next_command(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let begin = self.incoming.iter().position(|byte| *byte == 0xFF);
            self.incoming.drain(..begin.unwrap_or(self.incoming.len()));
            let length = usize::from(*self.incoming.get(1)?) + 5;
            if self.incoming.len() < length {
                return None;
            }
            let sum = u16::from_be_bytes([self.incoming[length - 2], self.incoming[length - 1]]);
            if crc(&self.incoming[1..length - 2]) == sum {
                let message: Vec<u8> = self.incoming.drain(..length).collect();
                return Some((message[2], message[3..length - 2].to_vec()));
            }
            self.incoming.remove(0);
        }
    }

    fn answer(&mut self, now_ms: u64, opcode: u8, status: u16, data: &[u8]) {
        self.outgoing
            .push(now_ms + WORK_MS, message(opcode, status, data));
    }

    fn command(&mut self, now_ms: u64, opcode: u8, data: &[u8]) {
        // A module that reads hears the order to stop alone.
        if self.reading.is_some() && (opcode, data) != (0x2F, &[0, 0, 2]) {
            return;
        }
        if let Some(reading) = self.reading.as_ref().filter(|_| self.stops_late) {
            self.stop_ms = Some(reading.cycle_began_ms + reading.cycle_ms);
            return;
        }
        if self.boot_loader_runs && !matches!(opcode, 0x03 | 0x04 | 0x06 | 0x0C) {
            return self.answer(now_ms, opcode, 0x0101, &[]);
        }
        let result = self.carry_out(now_ms, opcode, data);
        match result {
            Ok(answer) => self.answer(now_ms, opcode, 0, &answer),
            Err(fault) => self.answer(now_ms, opcode, fault, &[]),
        }
        if let (0x06, [a, b, c, d]) = (opcode, data) {
            // The answer goes out at the old speed.
            self.baud_next = Some(u32::from_be_bytes([*a, *b, *c, *d]));
        }
    }

    fn carry_out(&mut self, now_ms: u64, opcode: u8, data: &[u8]) -> Result<Vec<u8>, u16> {
        match (opcode, data) {
            (0x03, []) => Ok(self.version()),
            (0x0C, []) => Ok(vec![if self.boot_loader_runs { 0x11 } else { 0x12 }]),
            (0x04, []) => {
                self.boot_loader_runs = false;
                Ok(self.version())
            }
            (0x06, [_, _, _, _]) => Ok(vec![]),
            (0x67, []) => Ok(vec![self.region]),
            (0x71, []) => Ok(self.made.regions.clone()),
            (0x97, [region]) if self.made.regions.contains(region) => {
                self.region = *region;
                Ok(vec![])
            }
            (0x62, [1]) => {
                let words = [self.power, self.made.power_max, self.made.power_min];
                let words = words.iter().flat_map(|word| word.to_be_bytes());
                Ok([1].into_iter().chain(words).collect())
            }
            (0x92, [high, low]) => {
                self.power = self.checked_power(i16::from_be_bytes([*high, *low]))?;
                Ok(vec![])
            }
            (0x91, [2, pairs @ ..]) => self.set_search_list(pairs),
            (0x91, [3, powers @ ..]) if self.made.has_port_powers => self.set_powers(powers),
            (0x91, [3, ..]) => Err(0x0109),
            (0x93, [0, 5]) => {
                self.has_protocol = true;
                Ok(vec![])
            }
            (0x9A, [1, _, _]) => Ok(data[..2].to_vec()),
            (0x72, []) => Ok(vec![40]),
            (0x2F, [_, _, 2]) => {
                self.reading = None;
                Ok(vec![2, 0, 0])
            }
            (0x2F, [0, 0, 1, 0x22, 0, 0, 5, length, rest @ ..])
                if usize::from(*length) + 1 == rest.len() =>
            {
                self.read_on(now_ms, rest)
            }
            (0x03..=0x0C | 0x2F | 0x62..=0x9A, _) => Err(0x0105),
            _ => Err(0x0101),
        }
    }

    fn version(&self) -> Vec<u8> {
        let boot_loader = [0x12, 0x12, 0x13, 0x00];
        let date = [0x20, 0x16, 0x06, 0x03];
        let firmware = [0x01, 0x07, 0x00, 0x11];
        let protocols = [0, 0, 0, 0x10];
        [boot_loader, self.made.hardware, date, firmware, protocols].concat()
    }

    fn checked_power(&self, power: i16) -> Result<i16, u16> {
        match power {
            power if power > self.made.power_max => Err(0x0103),
            power if power < self.made.power_min => Err(0x0106),
            power => Ok(power),
        }
    }

    fn set_search_list(&mut self, pairs: &[u8]) -> Result<Vec<u8>, u16> {
        let (pairs, []) = pairs.as_chunks::<2>() else {
            return Err(0x0100);
        };
        let is_there = |port: &u8| (1..=self.made.ports).contains(port);
        if pairs.is_empty() || !pairs.as_flattened().iter().all(is_there) {
            return Err(0x0105);
        }
        self.search_list = pairs.iter().map(|[sends, _]| *sends).collect();
        Ok(vec![])
    }

    fn set_powers(&mut self, powers: &[u8]) -> Result<Vec<u8>, u16> {
        let (powers, []) = powers.as_chunks::<5>() else {
            return Err(0x0100);
        };
        for [port, read_high, read_low, _, _] in powers {
            let power = self.checked_power(i16::from_be_bytes([*read_high, *read_low]))?;
            self.powers.retain(|(known, _)| known != port);
            self.powers.push((*port, power));
        }
        Ok(vec![])
    }

    fn read_on(&mut self, now_ms: u64, command: &[u8]) -> Result<Vec<u8>, u16> {
        if self.region == 0 {
            return Err(0x0500);
        }
        if !self.has_protocol {
            return Err(0x0401);
        }
        let [0x22, 0x10, flags @ .., cycle_high, cycle_low, high, low] = command else {
            return Err(0x0105);
        };
        let [flags_high, flags_low] = flags else {
            return Err(0x0100);
        };
        let cycle_ms = u16::from_be_bytes([*cycle_high, *cycle_low]);
        let metadata = u16::from_be_bytes([*high, *low]);
        let search_flags = u16::from_be_bytes([*flags_high, *flags_low]);
        self.start(now_ms + WORK_MS, metadata, search_flags, cycle_ms.into());
        Ok(vec![1, 0x22, 0, 0])
    }

    fn power_of(&self, port: u8) -> i16 {
        let own = self.powers.iter().find(|(known, _)| *known == port);
        own.map_or(self.power, |(_, power)| *power)
    }

    /// The next tag that is heard; the antennas take turns with the tags.
    fn next_heard(&self, from: usize) -> Option<usize> {
        let count = self.tags.len();
        let heard = |tag: &SimTag| {
            self.search_list.contains(&tag.port)
                && self.bad_port != Some(tag.port)
                && self.power_of(tag.port) >= tag.needs_cdbm
        };
        (0..count)
            .map(|step| (from + step) % count)
            .find(|index| heard(&self.tags[*index]))
    }

    /// What reading gives until now.
    fn read(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        let mut reading = self.reading.take()?;
        let message = self.read_step(now_ms, &mut reading);
        self.reading = Some(reading);
        message
    }

    fn read_step(&self, now_ms: u64, reading: &mut Reading) -> Option<Vec<u8>> {
        let cycle_end_ms = reading.cycle_began_ms + reading.cycle_ms;
        if now_ms >= cycle_end_ms && reading.next_tag_ms >= cycle_end_ms {
            reading.cycle_began_ms = cycle_end_ms;
            let bad = self
                .bad_port
                .is_some_and(|port| self.search_list.contains(&port));
            let status = match (self.is_hot, bad) {
                (true, _) => 0x0504,
                (false, true) => 0x0505,
                (false, false) => 0x0400,
            };
            return Some(message(0x22, status, &[]));
        }
        if now_ms < reading.next_tag_ms {
            return None;
        }
        let stamp_ms = reading.next_tag_ms - reading.cycle_began_ms;
        let heard = self.next_heard(reading.next_tag).filter(|_| !self.is_hot);
        let Some(index) = heard else {
            reading.next_tag_ms = cycle_end_ms;
            return self.read_step(now_ms, reading);
        };
        reading.next_tag = index + 1;
        reading.next_tag_ms += (1000 / self.rate.max(1)).max(1);
        Some(tag_message(&self.tags[index], reading, stamp_ms as u32))
    }
}

fn message(opcode: u8, status: u16, data: &[u8]) -> Vec<u8> {
    let [status_high, status_low] = status.to_be_bytes();
    let mut message = vec![0xFF, data.len() as u8, opcode, status_high, status_low];
    message.extend_from_slice(data);
    let sum = crc(&message[1..]);
    message.extend(sum.to_be_bytes());
    message
}

/// Parts by the flags that were asked for, lowest first.
fn tag_message(tag: &SimTag, reading: &Reading, stamp_ms: u32) -> Vec<u8> {
    let mut data = vec![0x10];
    data.extend(reading.search_flags.to_be_bytes());
    data.extend(reading.metadata.to_be_bytes());
    data.push(1);
    let parts: [(u16, Vec<u8>); 9] = [
        (0x001, vec![1]),
        (0x002, tag.rssi_dbm.to_be_bytes().to_vec()),
        (0x004, vec![((tag.port & 15) << 4) | (tag.port & 15)]),
        (0x008, 865_700_u32.to_be_bytes()[1..].to_vec()),
        (0x010, stamp_ms.to_be_bytes().to_vec()),
        (0x020, vec![0, 90]),
        (0x040, vec![5]),
        (0x080, vec![0, 0]),
        (0x100, vec![0]),
    ];
    for (flag, part) in parts {
        if reading.metadata & flag != 0 {
            data.extend(part);
        }
    }
    // Control word, EPC, and the tag's own checksum, which nobody looks at.
    let words = tag.epc.len().div_ceil(2) as u16;
    let bits = (tag.epc.len() as u16 + 4) * 8;
    data.extend(bits.to_be_bytes());
    data.extend((words << 11).to_be_bytes());
    data.extend(&tag.epc);
    data.extend([0xBE, 0xEF]);
    message(0x22, 0, &data)
}

impl Device for ThingMagic {
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
        if self.outgoing.next_ms().is_none() {
            self.baud = self.baud_next.take().unwrap_or(self.baud);
        }
        if self.stop_ms.take_if(|at| now_ms >= *at).is_some() {
            self.reading = None;
            return Some(message(0x2F, 0, &[2, 0, 0]));
        }
        let message = self.read(now_ms)?;
        let is_sign = matches!(message[..], [_, 0, 0x22, ..]);
        if is_sign && self.lost_signs > 0 {
            self.lost_signs -= 1;
            return self.transmit(now_ms);
        }
        Some(message)
    }

    fn next_ms(&self) -> Option<u64> {
        if self.is_mute {
            return None;
        }
        let read = self.reading.as_ref().map(|reading| {
            let cycle_end_ms = reading.cycle_began_ms + reading.cycle_ms;
            reading.next_tag_ms.min(cycle_end_ms)
        });
        self.outgoing.next_ms().into_iter().chain(read).min()
    }

    fn baud(&self) -> Option<u32> {
        Some(self.baud)
    }

    fn opened(&mut self, now_ms: u64) {
        if !self.noise.is_empty() {
            self.outgoing.push(now_ms, self.noise.clone());
        }
    }

    fn power_on(&mut self, _: u64) {
        self.reset();
    }
}
