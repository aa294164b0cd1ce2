//! What access operations on a tag came to (LLRP 1.0.1 clause 15.2.1.5.5), read when asked for.

use crate::wire::llrp::decode::split_tlv;

/// Words of a tag's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// None where the bytes are odd in number.
    pub fn of_bytes(bytes: &'a [u8]) -> Option<Self> {
        bytes.len().is_multiple_of(2).then_some(Self(bytes))
    }

    /// After a count of words.
    #[inline]
    pub(super) fn counted(data: &'a [u8]) -> Option<Self> {
        let (count, rest) = data.split_first_chunk()?;
        let bytes = usize::from(u16::from_be_bytes(*count)) * 2;
        rest.get(..bytes).map(Self)
    }

    /// The memory as it is, the first byte first.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn iter(self) -> impl Iterator<Item = u16> + use<'a> {
        let (words, _) = self.0.as_chunks();
        words.iter().map(|word| u16::from_be_bytes(*word))
    }
}

/// The operation that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Kill,
    Lock,
    BlockErase,
    BlockWrite,
    Recommission,
    BlockPermalock,
    GetBlockPermalockStatus,
}

/// What one operation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpResult<'a> {
    pub operation: Operation,
    /// 0 is success; the others are entries of the operation's own enumeration, such as
    /// C1G2ReadResultType.
    pub result: u8,
    pub op_spec_id: u16,
    /// What was read; of a permalock status its words.
    pub words: Words<'a>,
    /// Of writes.
    pub words_written: u16,
}

/// See [`TagReportData::op_results`](super::TagReportData::op_results). Results that are cut short
/// are left out.
#[derive(Debug, Clone)]
pub struct OpResults<'a>(&'a [u8]);

impl<'a> OpResults<'a> {
    pub(super) fn new(parameters: &'a [u8]) -> Self {
        Self(parameters)
    }
}

impl<'a> Iterator for OpResults<'a> {
    type Item = OpResult<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(first) = self.0.first() {
            if first & 0x80 != 0 {
                self.0 = after_tv(self.0)?;
                continue;
            }
            let (number, body, rest) = split_tlv(self.0).ok()?;
            self.0 = rest;
            if let Some(result) = read(number, body) {
                return Some(result);
            }
        }
        None
    }
}

/// What comes after a parameter without a length; None where nobody knows, or it is cut.
pub(super) fn after_tv(bytes: &[u8]) -> Option<&[u8]> {
    let size = match bytes.first()? & 0x7F {
        2..=5 => 9,
        9 | 16 | 18 => 5,
        6 => 2,
        13 => 13,
        1 | 7 | 8 | 10 | 11 | 12 | 14 | 15 | 17 | 19 | 20 => 3,
        _ => return None,
    };
    bytes.get(size..)
}

fn read(number: u16, body: &[u8]) -> Option<OpResult<'_>> {
    let operation = match number {
        349 => Operation::Read,
        350 => Operation::Write,
        351 => Operation::Kill,
        352 => Operation::Lock,
        353 => Operation::BlockErase,
        354 => Operation::BlockWrite,
        360 => Operation::Recommission,
        361 => Operation::BlockPermalock,
        362 => Operation::GetBlockPermalockStatus,
        _ => return None,
    };
    let ([result, i0, i1], rest) = body.split_first_chunk()?;
    let words = match operation {
        Operation::Read | Operation::GetBlockPermalockStatus => Words::counted(rest)?,
        _ => Words::default(),
    };
    let words_written = match operation {
        Operation::Write | Operation::BlockWrite => u16::from_be_bytes(*rest.first_chunk()?),
        _ => 0,
    };
    Some(OpResult {
        operation,
        result: *result,
        op_spec_id: u16::from_be_bytes([*i0, *i1]),
        words,
        words_written,
    })
}
