//! Puts what the models saw into a stream of messages at the frames' own places. It looks ahead in
//! the stream to keep all workers busy; what comes out, and in which order, does not depend on
//! when they are done.

use std::collections::VecDeque;

use super::detector::{Found, FrameError};
use super::pool::{Frame, Inferred, Pool};
use super::timings::Timings;

/// Messages that wait behind a frame, at most; at the rates of the busiest shop a few seconds.
const MOST_WAITING: usize = 65_536;

/// Push messages in, with their frame where a model has to look at one; pop after each push until
/// `None`, so that no more wait than have to; drain at the end.
#[derive(Debug)]
pub struct FrameRunner<T> {
    pool: Pool,
    waiting: VecDeque<(T, bool)>,
    /// Answers that had to be taken to make room for a frame, oldest first.
    answered: VecDeque<Inferred>,
}

/// A message, and what came of its frame where it had one.
pub type Out<T> = (T, Option<Result<Found, FrameError>>);

impl<T> FrameRunner<T> {
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            waiting: VecDeque::new(),
            answered: VecDeque::new(),
        }
    }

    /// Appends a message; waits where the workers have no room for its frame.
    pub fn push(&mut self, message: T, frame: Option<Frame>) {
        self.waiting.push_back((message, frame.is_some()));
        let mut rest = frame;
        while let Some(frame) = rest.take() {
            let camera = frame.camera;
            if let Err(refused) = self.pool.submit(frame) {
                match self.pool.recv() {
                    Some(answer) => {
                        self.answered.push_back(answer);
                        rest = Some(refused);
                    }
                    None => self.answered.push_back(Inferred::lost(camera)),
                }
            }
        }
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
            outcome = Some(self.answer(wait)?);
        }
        let (message, _) = self.waiting.pop_front()?;
        Some((message, outcome))
    }

    fn answer(&mut self, wait: bool) -> Option<Result<Found, FrameError>> {
        if let Some(answer) = self.answered.pop_front() {
            return Some(answer.outcome);
        }
        match self.pool.try_recv() {
            Some(answer) => Some(answer.outcome),
            None if wait => {
                let answer = self.pool.recv();
                // Without workers there will be no answer, and the messages go on without it.
                Some(answer.map_or(Err(FrameError::Panicked), |answer| answer.outcome))
            }
            None => None,
        }
    }

    pub fn timings(&self) -> Timings {
        self.pool.timings()
    }
}
