//! RO_ACCESS_REPORT, byte by byte (LLRP 1.0.1 clauses 16.2.7.3 and 16.2.7.5).

/// One read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) epc: Vec<u8>,
    pub(super) antenna: u16,
    pub(super) rssi_cdbm: i32,
    /// From 1.
    pub(super) channel: u16,
    /// 4096 are a whole turn.
    pub(super) phase: u16,
    /// Sixteenths of a hertz.
    pub(super) doppler: i16,
    /// By the reader's clock.
    pub(super) first_us: u64,
    pub(super) last_us: u64,
    pub(super) count: u16,
}

/// What a report tells of each read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) rospec_id: Option<u32>,
    pub(super) spec_index: bool,
    pub(super) inventory_id: bool,
    pub(super) antenna: bool,
    pub(super) channel: bool,
    pub(super) rssi: bool,
    pub(super) first_seen: bool,
    pub(super) last_seen: bool,
    pub(super) count: bool,
    /// Stamps count from the reader's start.
    pub(super) uptime: bool,
    pub(super) phase: bool,
    pub(super) fine_rssi: bool,
    pub(super) doppler: bool,
}

const IMPINJ: u32 = 25882;

/// A whole message.
pub(super) fn message(
    id: u32,
    version: u8,
    content: Content,
    reads: &[Read],
    omits: bool,
) -> Vec<u8> {
    let mut out = vec![version << 2, 61, 0, 0, 0, 0];
    out.extend(id.to_be_bytes());
    let mut last = None;
    for read in reads {
        tag(&mut out, content, read, last.filter(|_| omits));
        last = Some(read);
    }
    let length = (out.len() as u32).to_be_bytes();
    out[2..6].copy_from_slice(&length);
    out
}

/// TagReportData. With `last`, what is the same there is left out.
fn tag(out: &mut Vec<u8>, content: Content, read: &Read, last: Option<&Read>) {
    let start = out.len();
    out.extend([0, 240, 0, 0]);
    epc(out, &read.epc);
    if let Some(id) = content.rospec_id {
        tv(out, 9, &id.to_be_bytes());
    }
    if content.spec_index {
        tv(out, 14, &1_u16.to_be_bytes());
    }
    if content.inventory_id {
        tv(out, 10, &1_u16.to_be_bytes());
    }
    let differs = |part: fn(&Read) -> i64| last.is_none_or(|last| part(last) != part(read));
    if content.antenna && differs(|r| r.antenna.into()) {
        tv(out, 1, &read.antenna.to_be_bytes());
    }
    if content.rssi && differs(|r| dbm(r).into()) {
        tv(out, 6, &dbm(read).to_be_bytes());
    }
    if content.channel && differs(|r| r.channel.into()) {
        tv(out, 7, &read.channel.to_be_bytes());
    }
    let uptime = u8::from(content.uptime);
    if content.first_seen && differs(|r| r.first_us.cast_signed()) {
        tv(out, 2 + uptime, &read.first_us.to_be_bytes());
    }
    if content.last_seen && differs(|r| r.last_us.cast_signed()) {
        tv(out, 4 + uptime, &read.last_us.to_be_bytes());
    }
    if content.count && differs(|r| r.count.into()) {
        tv(out, 8, &read.count.to_be_bytes());
    }
    if content.phase {
        impinj(out, 56, read.phase);
    }
    if content.fine_rssi {
        impinj(out, 57, read.rssi_cdbm as u16);
    }
    if content.doppler {
        impinj(out, 68, read.doppler.cast_unsigned());
    }
    close(out, start);
}

/// The standard's, in whole dBm.
fn dbm(read: &Read) -> i8 {
    let dbm = read.rssi_cdbm.div_euclid(100);
    dbm.clamp(i8::MIN.into(), i8::MAX.into()) as i8
}

fn epc(out: &mut Vec<u8>, epc: &[u8]) {
    if epc.len() == 12 {
        tv(out, 13, epc);
        return;
    }
    let start = out.len();
    out.extend([0, 241, 0, 0]);
    out.extend((epc.len() as u16 * 8).to_be_bytes());
    out.extend_from_slice(epc);
    close(out, start);
}

fn impinj(out: &mut Vec<u8>, subtype: u32, value: u16) {
    out.extend([0x03, 0xFF, 0, 14]);
    out.extend(IMPINJ.to_be_bytes());
    out.extend(subtype.to_be_bytes());
    out.extend(value.to_be_bytes());
}

fn tv(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    out.push(0x80 | number);
    out.extend_from_slice(value);
}

fn close(out: &mut [u8], start: usize) {
    let length = (out.len() - start) as u16;
    out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A message's head, bytes.
const HEAD: usize = 10;

/// Reports made before, for rates at which making them would be what is measured. Only their
/// times are written when they are sent.
#[derive(Debug, Clone)]
pub struct Feed {
    messages: Vec<Made>,
    /// None for as many as the client takes.
    pub(super) reads_per_s: Option<f64>,
    next: usize,
}

#[derive(Debug, Clone)]
struct Made {
    bytes: Vec<u8>,
    reads: u64,
    /// Where times stand.
    stamps: Vec<usize>,
}

impl Feed {
    /// `messages` reports of `each` tags; antennas 1 to 4, EPCs of 96 bits. `impinj` adds phase,
    /// fine RSSI and Doppler. Without a rate, as fast as they are taken.
    pub fn new(messages: u32, each: u32, impinj: bool, reads_per_s: Option<f64>) -> Self {
        let content = Content {
            antenna: true,
            channel: true,
            rssi: true,
            first_seen: true,
            last_seen: true,
            count: true,
            phase: impinj,
            fine_rssi: impinj,
            doppler: impinj,
            ..Content::default()
        };
        let one = |m: u32| {
            let reads: Vec<_> = (0..each).map(|n| read(m * each + n)).collect();
            let bytes = message(m + 1, 1, content, &reads, false);
            Made {
                stamps: stamps(&bytes, each as usize),
                reads: u64::from(each),
                bytes,
            }
        };
        Self {
            messages: (0..messages).map(one).collect(),
            reads_per_s,
            next: 0,
        }
    }

    /// The same with EPCs counted from `first`: tags of another reader.
    pub fn beginning_at(mut self, first: u32) -> Self {
        for (n, made) in self.messages.iter_mut().enumerate() {
            let each = made.reads as u32;
            let length = (made.bytes.len() - HEAD) / each.max(1) as usize;
            for i in 0..each {
                // A parameter's head, then the type of a 96-bit EPC: its last four bytes count.
                let at = HEAD + i as usize * length + 4 + 1 + 8;
                let number = first + n as u32 * each + i;
                made.bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
            }
        }
        self
    }

    /// The next message, with its times, and how many reads it has.
    pub(super) fn next(&mut self, now_us: u64) -> (&[u8], u64) {
        let count = self.messages.len();
        let Some(made) = self.messages.get_mut(self.next) else {
            return (&[], 0);
        };
        self.next = (self.next + 1) % count;
        for at in &made.stamps {
            made.bytes[*at..*at + 8].copy_from_slice(&now_us.to_be_bytes());
        }
        (&made.bytes, made.reads)
    }
}

fn read(n: u32) -> Read {
    let mut epc = vec![0x30, 0x20, 0x4E, 0xD9, 0x49, 0x63, 0x34, 0, 0, 0, 0, 0];
    epc[8..].copy_from_slice(&n.to_be_bytes());
    Read {
        epc,
        antenna: (n % 4) as u16 + 1,
        rssi_cdbm: -4500 - (n % 2500) as i32,
        channel: (n % 4) as u16 + 1,
        phase: (n * 37 % 4096) as u16,
        doppler: (n % 200) as i16 - 100,
        first_us: 0,
        last_us: 0,
        count: 1,
    }
}

/// Every report of a feed has the same length and the same places.
fn stamps(bytes: &[u8], each: usize) -> Vec<usize> {
    let length = (bytes.len() - 10) / each.max(1);
    // Head 4, EPC 13, antenna 3, RSSI 2, channel 3; then two types with 8 bytes each.
    let places = |n: usize| [10 + n * length + 26, 10 + n * length + 35];
    (0..each).flat_map(places).collect()
}
