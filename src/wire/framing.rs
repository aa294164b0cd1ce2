//! Frames out of a stream of bytes that may begin anywhere and hold anything.
//!
//! A [`Splitter`] finds frames by their length and checksum. Where neither fits it leaves one byte
//! out and looks again, so that no frame is lost behind garbage; a frame whose checksum is wrong is
//! counted and never given. The same bytes give the same frames however they are cut.

use core::marker::PhantomData;

/// What a protocol's frames look like.
pub trait Framing {
    /// How long the frame is that begins at the first of these bytes; there is at least one.
    fn length(head: &[u8]) -> Length;
    /// Whether the checksum of a whole frame is right.
    fn is_sound(frame: &[u8]) -> bool;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// No frame begins here.
    None,
    /// More bytes are needed to tell.
    Unknown,
    /// So many bytes, checksum included.
    Known(usize),
}

/// What a stream has had besides frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Frames whose checksum was wrong, and what looked like such.
    pub corrupt: u64,
    /// Bytes that belong to no frame.
    pub skipped: u64,
}

#[derive(Debug)]
pub struct Splitter<F> {
    bytes: Vec<u8>,
    /// Bytes before this one are dealt with.
    head: usize,
    damage: Damage,
    framing: PhantomData<F>,
}

impl<F> Default for Splitter<F> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            head: 0,
            damage: Damage::default(),
            framing: PhantomData,
        }
    }
}

impl<F: Framing> Splitter<F> {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.head);
        self.head = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame; none where more bytes are needed.
    pub fn next_frame(&mut self) -> Option<&[u8]> {
        loop {
            let rest = self.bytes.get(self.head..).unwrap_or_default();
            if rest.is_empty() {
                return None;
            }
            let length = match F::length(rest) {
                Length::Unknown => return None,
                Length::None => 0,
                Length::Known(length) if length > rest.len() => return None,
                Length::Known(length) => length,
            };
            match rest.get(..length) {
                Some(frame) if length > 0 && F::is_sound(frame) => {
                    let begin = self.head;
                    self.head += length;
                    return self.bytes.get(begin..self.head);
                }
                _ => {
                    self.damage.corrupt += u64::from(length > 0);
                    self.skip();
                }
            }
        }
    }

    /// Whether the begin of a frame waits for its rest.
    pub fn is_waiting(&self) -> bool {
        self.head < self.bytes.len()
    }

    /// The line has gone quiet in what looked like a frame: it was none. What follows its first byte
    /// is looked at again.
    pub fn give_up(&mut self) {
        if self.is_waiting() {
            self.skip();
        }
    }

    /// Forgets what waits: bytes of another speed, or of before a reset.
    pub fn clear(&mut self) {
        self.damage.skipped += (self.bytes.len() - self.head) as u64;
        self.bytes.clear();
        self.head = 0;
    }

    pub fn damage(&self) -> Damage {
        self.damage
    }

    fn skip(&mut self) {
        self.head += 1;
        self.damage.skipped += 1;
    }
}
