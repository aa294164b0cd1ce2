//! Small scenes of what is hard, each with a name: who stands where, reaches when, and gives what
//! to whom. Where and what is drawn by the seed.

use std::collections::VecDeque;

use super::plan::{Arrival, before, helper};
use super::{Act, Step};
use crate::sim::random::Random;
use crate::sim::shop::Shop;
use crate::sim::stock::Carry;

/// All scenes, with what they show.
pub(in crate::sim) const SCENES: [(&str, &str); 14] = [
    ("take-one", "takes one item and leaves"),
    ("take-two-at-once", "two of a kind in one hand"),
    ("touch-three-take-one", "touches three, takes one"),
    ("put-back", "puts an item back where it was"),
    ("wrong-shelf", "leaves an item on another shelf"),
    (
        "two-at-one-shelf",
        "two shoppers reach the same shelf within a second",
    ),
    (
        "reach-across",
        "takes from in front of somebody who only looks",
    ),
    ("hand-over", "gives an item to another visit"),
    ("party", "three with one token take in different places"),
    (
        "tail-gater",
        "somebody without a token on the heels of another",
    ),
    ("pocket", "an item goes into a pocket"),
    ("turn-back", "turns round at the door and puts back"),
    ("re-entry", "leaves and comes again with the same token"),
    (
        "restock-beside",
        "a helper fills up beside a shopper who takes",
    ),
];

/// One shop, one seed, places to act at.
struct Stage<'s> {
    shop: &'s Shop,
    random: Random,
}

/// `None` for a name that is not known.
pub(in crate::sim) fn scene(seed: u64, shop: &Shop, name: &str) -> Option<Vec<Arrival>> {
    let mut s = Stage {
        shop,
        random: Random::stream(seed, "scene"),
    };
    let (a, b) = (s.facing(), s.facing());
    let mut first = s.start(a);
    let mut others = Vec::new();
    match name {
        "take-one" => s.take(&mut first, a, 1),
        "take-two-at-once" => s.take(&mut first, a, 2),
        "touch-three-take-one" => {
            for _ in 0..3 {
                first.push_back(s.reach(a, Act::Touch));
                first.push_back(Step::Stand(0.7));
            }
            s.take(&mut first, a, 1);
        }
        "put-back" | "wrong-shelf" | "turn-back" => {
            s.take(&mut first, a, 1);
            if name == "turn-back" {
                first.push_back(Step::Stow(Carry::Basket));
                let door = shop.doors[shop.exit].inside;
                first.extend([Step::Go(door, 0.3), Step::Stand(1.5)]);
            }
            let wrong = name == "wrong-shelf";
            first.push_back(Step::Return { wrong });
        }
        "two-at-one-shelf" => {
            let beside = s.beside(a);
            s.take(&mut first, a, 1);
            others.push(s.and_then(2.0, beside, |s, steps| s.take(steps, beside, 1)));
        }
        "reach-across" => {
            first.push_back(Step::Stand(9.0));
            others.push(s.and_then(2.5, a, |s, steps| s.take(steps, a, 1)));
        }
        "hand-over" => {
            let beside = s.beside(a);
            s.take(&mut first, a, 1);
            first.extend([Step::Stand(2.0), Step::HandOver, Step::Stand(1.0)]);
            others.push(s.and_then(1.5, beside, |_, steps| {
                steps.push_back(Step::Stand(16.0));
            }));
        }
        "party" => s.take(&mut first, a, 1),
        "tail-gater" => {
            s.take(&mut first, a, 1);
            let mut close = s.and_then(1.3, b, |s, steps| s.take(steps, b, 1));
            close.token = None;
            others.push(close);
        }
        "pocket" => {
            s.take(&mut first, a, 1);
            first.push_back(Step::Stow(Carry::Pocket));
        }
        "re-entry" => {
            s.take(&mut first, a, 1);
            others.push(s.and_then(50.0, b, |s, steps| s.take(steps, b, 1)));
        }
        "restock-beside" => {
            s.take(&mut first, a, 1);
            let beside = s.beside(a);
            others.push(helper(&mut s.random, shop, beside, 8.0));
        }
        _ => return None,
    }
    first.push_back(Step::Leave);
    let mut main = s.visit(9.0, first);
    if name == "party" {
        for facing in [b, s.beside(a)] {
            let mut steps = s.start(facing);
            s.take(&mut steps, facing, 1);
            steps.push_back(Step::Leave);
            main.people.push(steps);
        }
    }
    if name == "re-entry" {
        for other in &mut others {
            other.token.clone_from(&main.token);
        }
    }
    others.push(main);
    others.sort_by(|a, b| a.at.total_cmp(&b.at));
    Some(others)
}

/// Fixture, level, facing.
type Where = (usize, usize, usize);

impl Stage<'_> {
    fn facing(&mut self) -> Where {
        let f = self.random.index(self.shop.fixtures.len());
        let levels = &self.shop.fixtures[f].levels;
        let l = self.random.index(levels.len());
        (f, l, self.random.index(levels[l].facings.len()))
    }

    /// Another facing of the same shelf, next to it.
    fn beside(&self, (f, l, n): Where) -> Where {
        let count = self.shop.level(f, l).facings.len();
        (
            f,
            l,
            if n + 1 < count {
                n + 1
            } else {
                n.saturating_sub(1)
            },
        )
    }

    fn along(&self, (f, l, n): Where) -> f64 {
        let facing = &self.shop.level(f, l).facings[n];
        (facing.from + facing.to) / 2.0
    }

    /// In front of a facing, looking at it.
    fn start(&mut self, place: Where) -> VecDeque<Step> {
        let along = self.along(place);
        let spot = before(&mut self.random, self.shop, place.0, along);
        let face = self.shop.fixtures[place.0].spot(along, 0.0);
        let pause = self.random.range(1.0, 2.0);
        VecDeque::from([Step::Go(spot, 0.12), Step::Face(face), Step::Stand(pause)])
    }

    fn reach(&self, place: Where, act: Act) -> Step {
        Step::Reach(place.0, place.1, self.along(place), act)
    }

    fn take(&mut self, steps: &mut VecDeque<Step>, place: Where, count: u32) {
        steps.push_back(self.reach(place, Act::Take(place.2, count)));
        steps.push_back(Step::Stand(self.random.range(0.8, 1.8)));
    }

    /// Another visit, so much later.
    fn and_then(
        &mut self,
        later: f64,
        place: Where,
        act: impl FnOnce(&mut Self, &mut VecDeque<Step>),
    ) -> Arrival {
        let mut steps = self.start(place);
        act(self, &mut steps);
        steps.push_back(Step::Leave);
        self.visit(9.0 + later, steps)
    }

    fn visit(&mut self, at: f64, steps: VecDeque<Step>) -> Arrival {
        Arrival {
            at,
            token: Some(format!("q-{}", self.random.int(1000, 99_999))),
            member: None,
            presented: false,
            staff: false,
            from_back: false,
            people: vec![steps],
        }
    }
}
