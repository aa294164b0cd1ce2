//! What is known of each pair of people, in order of their tracks. There are many pairs and every
//! frame looks at them all: one walk through the list does it.

use serde::{Deserialize, Serialize};

use crate::ids::TrackId;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pairs<T>(Vec<((TrackId, TrackId), T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Pairs<T> {
    /// Looks at each pair of some people, who are in order, by their places among them; a pair not
    /// known before is `fresh`.
    pub(super) fn each(
        &mut self,
        people: &[TrackId],
        fresh: T,
        mut look: impl FnMut(usize, usize, &mut T),
    ) {
        let mut new = Vec::new();
        let mut place = 0;
        for (i, a) in people.iter().enumerate() {
            for (j, b) in people.iter().enumerate().skip(i + 1) {
                let pair = (*a, *b);
                while self.0.get(place).is_some_and(|(p, _)| *p < pair) {
                    place += 1;
                }
                match self.0.get_mut(place).filter(|(p, _)| *p == pair) {
                    Some((_, known)) => look(i, j, known),
                    None => {
                        let mut known = fresh;
                        look(i, j, &mut known);
                        new.push((pair, known));
                    }
                }
            }
        }
        if !new.is_empty() {
            self.0.extend(new);
            self.0.sort_by_key(|(pair, _)| *pair);
        }
    }

    /// Forgets the pairs of all but some people.
    pub(super) fn retain(&mut self, is: impl Fn(TrackId) -> bool) {
        self.0.retain(|((a, b), _)| is(*a) && is(*b));
    }
}
