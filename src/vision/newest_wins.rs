//! Slots between cameras and workers that hold one frame each: a newer one takes the place of the
//! one that nobody came for, which the caller gets back to count.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// One slot a camera. Takers are served round-robin, so that a fast camera starves no other.
#[derive(Debug)]
pub struct NewestWins<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    slots: Vec<Option<T>>,
    /// Slots whose last value is still in work: a camera's frames are looked at one after another.
    busy: Vec<bool>,
    /// The slot to look at first.
    turn: usize,
    closed: bool,
}

impl<T> NewestWins<T> {
    pub fn new(slots: usize) -> Self {
        Self {
            state: Mutex::new(State {
                slots: std::iter::repeat_with(|| None).take(slots).collect(),
                busy: vec![false; slots],
                turn: 0,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Puts a value into a slot. What comes back is lost: the older value, or this one where the
    /// slots are closed or there is no such slot.
    pub fn put(&self, slot: usize, value: T) -> Option<T> {
        let mut state = self.lock();
        if state.closed {
            return Some(value);
        }
        let Some(place) = state.slots.get_mut(slot) else {
            return Some(value);
        };
        let lost = place.replace(value);
        drop(state);
        self.changed.notify_one();
        lost
    }

    /// The next value and its slot, which gives no other before [`NewestWins::done`]; waits for one.
    /// `None` once closed.
    pub fn take(&self) -> Option<(usize, T)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(taken) = state.take() {
                return Some(taken);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The work on a slot's last value is over.
    pub fn done(&self, slot: usize) {
        let mut state = self.lock();
        if let Some(busy) = state.busy.get_mut(slot) {
            *busy = false;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Drops what is in the slots and sends everybody home who waits.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.slots.clear();
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing that is done under the lock can be left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Option<(usize, T)> {
        let count = self.slots.len();
        let full = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|slot| self.slots[*slot].is_some() && !self.busy[*slot])?;
        self.turn = full + 1;
        self.busy[full] = true;
        Some((full, self.slots[full].take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_newest_wins_and_the_older_comes_back() {
        let slots = NewestWins::new(2);
        assert_eq!(slots.put(0, 'a'), None);
        assert_eq!(slots.put(0, 'b'), Some('a'));
        assert_eq!(slots.put(7, 'x'), Some('x'));
        assert_eq!(slots.take(), Some((0, 'b')));
        assert_eq!(slots.put(0, 'c'), None);
        assert_eq!(slots.put(1, 'd'), None);
        // The first is in work.
        assert_eq!(slots.take(), Some((1, 'd')));
        slots.done(0);
        assert_eq!(slots.take(), Some((0, 'c')));
    }

    #[test]
    fn a_fast_camera_starves_no_other() {
        let slots = NewestWins::new(3);
        for slot in 0..3 {
            slots.put(slot, 0);
        }
        let mut order = Vec::new();
        for _ in 0..3 {
            let (slot, _) = slots.take().unwrap();
            slots.put(0, 1);
            order.push(slot);
            slots.done(slot);
        }
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn closing_wakes_whoever_waits() {
        let slots = Arc::new(NewestWins::<u8>::new(1));
        let waiting = Arc::clone(&slots);
        let worker = std::thread::Builder::new().name("taker".into());
        let worker = worker.spawn(move || waiting.take()).unwrap();
        slots.close();
        assert_eq!(worker.join().unwrap(), None);
        assert_eq!(slots.put(0, 1), Some(1));
    }
}
