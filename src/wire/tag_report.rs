//! One report of a tag as a reader's protocol gives it, and its message in a recording
//! (`basketd.TagRead`): written without a detour, since readers say this thousands of times a
//! second.

/// What a reader tells of one tag; whole numbers, so that its text has no more digits than the
/// reader gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagReport<'a> {
    /// 1 to 62 bytes; a length that is not of whole bytes is filled with zero bits.
    pub epc: &'a [u8],
    /// The reader's port, from 1.
    pub antenna: u16,
    /// Hundredths of dBm.
    pub rssi_cdbm: i32,
    /// Reads merged in this report, at least 1.
    pub count: u32,
    /// Hundredths of a degree.
    pub phase_cdeg: Option<u32>,
    pub frequency_khz: Option<u32>,
    /// The chip's own identity.
    pub tid: Option<&'a [u8]>,
    /// Hundredths of Hz.
    pub doppler_chz: Option<i32>,
}

impl<'a> TagReport<'a> {
    pub fn new(epc: &'a [u8], antenna: u16, rssi_cdbm: i32) -> Self {
        Self {
            epc,
            antenna,
            rssi_cdbm,
            count: 1,
            phase_cdeg: None,
            frequency_khz: None,
            tid: None,
            doppler_chz: None,
        }
    }

    /// Appends the message's JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"epc":""#);
        hex(out, self.epc);
        out.extend_from_slice(br#"","antenna":"#);
        number(out, u64::from(self.antenna));
        out.extend_from_slice(br#","rssi_dbm":"#);
        hundredths(out, i64::from(self.rssi_cdbm));
        if self.count != 1 {
            out.extend_from_slice(br#","count":"#);
            number(out, u64::from(self.count));
        }
        if let Some(phase) = self.phase_cdeg {
            out.extend_from_slice(br#","phase_deg":"#);
            hundredths(out, i64::from(phase));
        }
        if let Some(frequency) = self.frequency_khz {
            out.extend_from_slice(br#","frequency_khz":"#);
            number(out, u64::from(frequency));
        }
        if let Some(tid) = self.tid {
            out.extend_from_slice(br#","tid":""#);
            hex(out, tid);
            out.push(b'"');
        }
        if let Some(doppler) = self.doppler_chz {
            out.extend_from_slice(br#","doppler_hz":"#);
            hundredths(out, i64::from(doppler));
        }
        out.push(b'}');
    }
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn hundredths(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let size = value.unsigned_abs();
    number(out, size / 100);
    let rest = (size % 100) as u8;
    if rest != 0 {
        out.push(b'.');
        out.push(b'0' + rest / 10);
        if !rest.is_multiple_of(10) {
            out.push(b'0' + rest % 10);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(report: &TagReport<'_>) -> String {
        let mut out = Vec::new();
        report.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_was_told_stands_there() {
        let mut report = TagReport::new(&[0x30, 0xAB], 4, -5430);
        assert_eq!(
            text(&report),
            r#"{"epc":"30AB","antenna":4,"rssi_dbm":-54.3}"#
        );
        report.count = 7;
        report.phase_cdeg = Some(18_005);
        report.frequency_khz = Some(866_300);
        report.tid = Some(&[0xE2]);
        report.doppler_chz = Some(-9);
        let rest = r#","count":7,"phase_deg":180.05,"frequency_khz":866300,"tid":"E2","doppler_hz":-0.09}"#;
        assert!(text(&report).ends_with(rest), "{}", text(&report));
    }

    proptest! {
        #[test]
        fn numbers_are_what_json_readers_read(cdbm in any::<i32>(), n in any::<u64>()) {
            let mut out = Vec::new();
            hundredths(&mut out, i64::from(cdbm));
            let read: f64 = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, f64::from(cdbm) / 100.0);
            out.clear();
            number(&mut out, n);
            prop_assert_eq!(serde_json::from_slice::<u64>(&out).unwrap(), n);
        }
    }
}
