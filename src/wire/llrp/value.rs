//! The value of one field, as the wire has it: nothing is rounded, and bits beyond a count stay.

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Whole numbers, flags (0 and 1), entries of enumerations.
    Unsigned(u64),
    Signed(i64),
    Bits(BitArray),
    /// Bytes, text that is not UTF-8, and numbers of 8 bits each.
    Bytes(Box<[u8]>),
    /// Numbers of 16 bits each, or words of a tag's memory.
    Words(Box<[u16]>),
    /// Numbers of 32 bits each.
    DoubleWords(Box<[u32]>),
    Text(Box<str>),
}

/// A count of bits, and the bytes that hold them, the highest bit first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitArray {
    count: u16,
    bytes: Box<[u8]>,
}

impl BitArray {
    /// None where the bytes are more or fewer than `count` bits need. Bits after the last one are
    /// kept: some readers set them.
    pub fn new(count: u16, bytes: impl Into<Box<[u8]>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() == usize::from(count).div_ceil(8)).then_some(Self { count, bytes })
    }

    /// Whole bytes; None beyond 8,191 of them.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(u16::try_from(bytes.len() * 8).ok()?, bytes)
    }

    pub fn count(&self) -> u16 {
        self.count
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Value {
    /// A number that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Unsigned(value) => i64::try_from(*value).ok(),
            Self::Signed(value) => Some(*value),
            _ => None,
        }
    }

    /// A flag of one bit.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Unsigned(value @ 0..=1) => Some(*value == 1),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes, also those of text and of bit arrays.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Text(text) => Some(text.as_bytes()),
            Self::Bits(bits) => Some(bits.bytes()),
            _ => None,
        }
    }

    pub fn as_words(&self) -> Option<&[u16]> {
        match self {
            Self::Words(words) => Some(words),
            _ => None,
        }
    }

    pub fn as_double_words(&self) -> Option<&[u32]> {
        match self {
            Self::DoubleWords(numbers) => Some(numbers),
            _ => None,
        }
    }

    pub fn as_bits(&self) -> Option<&BitArray> {
        match self {
            Self::Bits(bits) => Some(bits),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Unsigned, u8 => Unsigned, u16 => Unsigned, u32 => Unsigned, u64 => Unsigned,
    i8 => Signed, i16 => Signed, i32 => Signed, i64 => Signed,
    &str => Text, String => Text, BitArray => Bits,
    &[u8] => Bytes, Vec<u8> => Bytes, &[u16] => Words, Vec<u16> => Words,
    &[u32] => DoubleWords, Vec<u32> => DoubleWords,
}
