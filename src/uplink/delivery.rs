//! What to send next, and what is done: a value, with time as milliseconds of any clock.
//!
//! A PUBACK says that the broker has an event in memory. With [`Confirm::Backend`] it only makes
//! room for the next; an event is done when the backend's watermark has passed it. Whatever was
//! sent and is not confirmed is sent again, in order, from the oldest: after a reconnect, and when
//! the watermark stands still. With [`Confirm::Puback`] the contiguous prefix of PUBACKs is the
//! watermark.

use std::collections::BTreeSet;

use crate::store::Confirm;

/// What the broker said of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    /// It has it, and nobody to give it to.
    NoSubscriber,
    Refused,
}

/// Events sent beyond the watermark, at most: what is sent again when the backend is silent.
const CREDIT: u64 = 4096;
/// How long the watermark may stand still before everything beyond it is sent again; doubled each
/// time in vain.
const PATIENCE_MS: u64 = 3_000;
const PATIENCE_MAX_MS: u64 = 60_000;
/// How long to wait where nobody listens, or the broker refuses an event.
const PAUSE_MS: u64 = 2_000;

#[derive(Debug)]
pub(super) struct Delivery {
    confirm: Confirm,
    confirmed: u64,
    /// The last event handed to the connection.
    sent: u64,
    /// Acknowledged by the broker beyond the watermark, where that is what counts.
    taken: BTreeSet<u64>,
    patience_ms: u64,
    progress_at: u64,
    paused_until: u64,
    /// After a pause one event tries the way before others follow.
    probing: bool,
    resent: u64,
    /// When the backend last said that it has less than it had.
    lowered_at: Option<u64>,
}

impl Delivery {
    pub(super) fn new(confirm: Confirm, confirmed: u64) -> Self {
        Self {
            confirm,
            confirmed,
            sent: confirmed,
            taken: BTreeSet::new(),
            patience_ms: PATIENCE_MS,
            progress_at: 0,
            paused_until: 0,
            probing: false,
            resent: 0,
            lowered_at: None,
        }
    }

    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// How often everything unconfirmed was sent again.
    pub(super) fn resent(&self) -> u64 {
        self.resent
    }

    /// A new connection: what was under way is not.
    pub(super) fn on_connected(&mut self, now: u64) {
        self.rewind();
        self.progress_at = now;
        self.patience_ms = PATIENCE_MS;
        self.paused_until = 0;
        self.probing = false;
    }

    /// How many events after [`Delivery::sent`] may be sent now.
    pub(super) fn allowance(&self, now: u64) -> u64 {
        if now < self.paused_until {
            return 0;
        }
        let credit = if self.probing { 1 } else { CREDIT };
        (self.confirmed + credit).saturating_sub(self.sent)
    }

    pub(super) fn on_sent(&mut self, n: u64, now: u64) {
        if self.sent == self.confirmed {
            // Patience begins with the first that has to be confirmed.
            self.progress_at = now;
        }
        self.sent = self.sent.max(n);
    }

    pub(super) fn on_answer(&mut self, n: u64, answer: Answer, now: u64) {
        match answer {
            Answer::Taken => {
                self.probing = false;
                if self.confirm == Confirm::Puback && n > self.confirmed {
                    self.taken.insert(n);
                    while self.taken.remove(&(self.confirmed + 1)) {
                        self.confirmed += 1;
                        self.on_progress(now);
                    }
                }
            }
            Answer::NoSubscriber | Answer::Refused if n > self.confirmed => {
                // Answers of what was under way before the pause change nothing.
                if now >= self.paused_until {
                    self.rewind();
                    self.paused_until = now + PAUSE_MS;
                    self.probing = true;
                }
            }
            Answer::NoSubscriber | Answer::Refused => {}
        }
    }

    /// The backend has everything through `n`.
    pub(super) fn on_watermark(&mut self, n: u64, now: u64) {
        if self.confirm == Confirm::Backend && n > self.confirmed {
            self.confirmed = n;
            self.sent = self.sent.max(n);
            self.probing = false;
            self.paused_until = 0;
            self.on_progress(now);
        }
    }

    /// Whether a watermark below ours is to be believed: then the backend has lost what it had, and
    /// gets it again. Not more often than patience allows: two backends would pull to and fro.
    pub(super) fn on_lower_watermark(&mut self, n: u64, now: u64) -> bool {
        let lower = self.confirm == Confirm::Backend && n < self.confirmed;
        if !lower || self.lowered_at.is_some_and(|at| now - at < PATIENCE_MAX_MS) {
            return false;
        }
        self.lowered_at = Some(now);
        self.resend(n + 1, now);
        true
    }

    /// Sends again from `from`, because the backend asks for it.
    pub(super) fn resend(&mut self, from: u64, now: u64) {
        self.confirmed = self.confirmed.min(from.saturating_sub(1));
        self.taken.clear();
        self.rewind();
        self.progress_at = now;
    }

    /// Call now and then, and when [`Delivery::deadline`] has come.
    pub(super) fn on_time(&mut self, now: u64) {
        if now >= self.paused_until {
            self.paused_until = 0;
        }
        if self.stalled_at().is_some_and(|at| now >= at) {
            self.rewind();
            self.resent += 1;
            self.progress_at = now;
            self.patience_ms = (self.patience_ms * 2).min(PATIENCE_MAX_MS);
        }
    }

    /// When something is to be done although nothing comes in.
    pub(super) fn deadline(&self) -> Option<u64> {
        let paused = (self.paused_until > 0).then_some(self.paused_until);
        [paused, self.stalled_at()].into_iter().flatten().min()
    }

    fn stalled_at(&self) -> Option<u64> {
        (self.sent > self.confirmed).then_some(self.progress_at + self.patience_ms)
    }

    fn on_progress(&mut self, now: u64) {
        self.progress_at = now;
        self.patience_ms = PATIENCE_MS;
    }

    fn rewind(&mut self) {
        self.sent = self.confirmed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(delivery: &mut Delivery, count: u64, now: u64) -> Vec<u64> {
        let n = delivery.allowance(now).min(count);
        let from = delivery.sent() + 1;
        let sent: Vec<u64> = (from..from + n).collect();
        for n in &sent {
            delivery.on_sent(*n, now);
        }
        sent
    }

    #[test]
    fn a_puback_is_not_the_end_where_the_backend_confirms() {
        let mut delivery = Delivery::new(Confirm::Backend, 10);
        delivery.on_connected(0);
        assert_eq!(send(&mut delivery, 3, 0), [11, 12, 13]);
        for n in 11..=13 {
            delivery.on_answer(n, Answer::Taken, 1);
        }
        assert_eq!(delivery.confirmed(), 10);
        delivery.on_watermark(12, 2);
        assert_eq!(delivery.confirmed(), 12);
        // The broker forgot 13: it is sent again once patience is over, and not before.
        delivery.on_time(PATIENCE_MS);
        assert_eq!(delivery.sent(), 13);
        delivery.on_time(2 + PATIENCE_MS);
        assert_eq!(send(&mut delivery, 1, 2 + PATIENCE_MS), [13]);
        delivery.on_watermark(13, 4_000);
        assert_eq!(delivery.deadline(), None);
    }

    #[test]
    fn a_silent_backend_is_told_ever_more_rarely_and_never_more_than_the_credit() {
        let mut delivery = Delivery::new(Confirm::Backend, 0);
        delivery.on_connected(0);
        assert_eq!(send(&mut delivery, 1_000_000, 0).len() as u64, CREDIT);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..6 {
            let due = delivery.deadline().unwrap();
            waits.push(due - now);
            now = due;
            delivery.on_time(now);
            assert_eq!(send(&mut delivery, 1_000_000, now).len() as u64, CREDIT);
        }
        assert_eq!(waits, [3_000, 6_000, 12_000, 24_000, 48_000, 60_000]);
        assert_eq!(delivery.resent(), 6);
    }

    #[test]
    fn by_puback_the_contiguous_prefix_counts() {
        let mut delivery = Delivery::new(Confirm::Puback, 0);
        delivery.on_connected(0);
        send(&mut delivery, 4, 0);
        delivery.on_answer(2, Answer::Taken, 1);
        delivery.on_answer(1, Answer::Taken, 1);
        delivery.on_answer(4, Answer::Taken, 1);
        assert_eq!(delivery.confirmed(), 2);
        delivery.on_watermark(4, 2);
        assert_eq!(delivery.confirmed(), 2, "a watermark is not what counts");
        delivery.on_connected(5);
        assert_eq!(send(&mut delivery, 2, 5), [3, 4]);
        delivery.on_answer(3, Answer::Taken, 6);
        assert_eq!(delivery.confirmed(), 4, "4 was taken before");
    }

    #[test]
    fn where_nobody_listens_one_event_at_a_time_tries_the_way() {
        for confirm in [Confirm::Backend, Confirm::Puback] {
            let mut delivery = Delivery::new(confirm, 0);
            delivery.on_connected(0);
            send(&mut delivery, 10, 0);
            delivery.on_answer(1, Answer::NoSubscriber, 5);
            delivery.on_answer(2, Answer::NoSubscriber, 6);
            assert_eq!(delivery.confirmed(), 0);
            assert_eq!(delivery.allowance(6), 0);
            let due = delivery.deadline().unwrap();
            assert_eq!(send(&mut delivery, 10, due), [1]);
            delivery.on_answer(1, Answer::Taken, due + 1);
            assert!(delivery.allowance(due + 1) > 100);
        }
    }

    #[test]
    fn a_lower_watermark_is_believed_once_in_a_while() {
        let mut delivery = Delivery::new(Confirm::Backend, 100);
        delivery.on_connected(0);
        assert!(delivery.on_lower_watermark(40, 1));
        assert_eq!(send(&mut delivery, 2, 1), [41, 42]);
        delivery.on_watermark(100, 2);
        assert!(
            !delivery.on_lower_watermark(40, 3),
            "another backend, or an old message"
        );
        assert_eq!(delivery.confirmed(), 100);
        assert!(delivery.on_lower_watermark(40, 1 + PATIENCE_MAX_MS));
    }

    #[test]
    fn a_backend_that_lost_its_receipts_gets_them_again() {
        let mut delivery = Delivery::new(Confirm::Backend, 100);
        delivery.on_connected(0);
        delivery.resend(41, 0);
        assert_eq!(send(&mut delivery, 2, 0), [41, 42]);
    }
}
