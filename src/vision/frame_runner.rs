//! Puts what the models saw into a stream of messages at the frames' own places. It looks ahead in
//! the stream to keep all workers busy; what comes out, and in which order, does not depend on
//! when they are done.

use std::collections::VecDeque;

use super::detector::{Found, FrameError};
use super::pool::{Frame, Pool};
use super::timings::Timings;

/// Messages that wait behind a frame, at most; at the rates of the busiest shop a few seconds.
const MOST_WAITING: usize = 65_536;

/// Push messages in, with their frame where a model has to look at one; pop after each push until
/// `None`, and drain at the end.
#[derive(Debug)]
pub struct FrameRunner<T> {
    pool: Pool,
    waiting: VecDeque<(T, bool)>,
}

/// A message, and what came of its frame where it had one.
pub type Out<T> = (T, Option<Result<Found, FrameError>>);

impl<T> FrameRunner<T> {
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            waiting: VecDeque::new(),
        }
    }

    /// Appends a message. Whoever pops after each push will not see it wait.
    pub fn push(&mut self, message: T, frame: Option<Frame>) {
        let has_frame = frame.is_some();
        if let Some(frame) = frame {
            let accepted = self.pool.submit(frame);
            debug_assert!(accepted.is_ok(), "pop makes room before each push");
        }
        self.waiting.push_back((message, has_frame));
    }

    /// The next message in the order of the pushes; `None` where the workers should be given more
    /// first.
    pub fn pop(&mut self) -> Option<Out<T>> {
        let full = self.pool.outstanding() >= self.pool.capacity();
        let wait = full || self.waiting.len() >= MOST_WAITING;
        self.next(wait)
    }

    /// The next message, waited for; `None` where none is left.
    pub fn drain(&mut self) -> Option<Out<T>> {
        self.next(true)
    }

    fn next(&mut self, wait: bool) -> Option<Out<T>> {
        let (_, has_frame) = self.waiting.front()?;
        let mut outcome = None;
        if *has_frame {
            let pool = &mut self.pool;
            let inferred = if wait { pool.recv() } else { pool.try_recv() }?;
            outcome = Some(inferred.outcome);
        }
        let (message, _) = self.waiting.pop_front()?;
        Some((message, outcome))
    }

    pub fn timings(&self) -> Timings {
        self.pool.timings()
    }
}
