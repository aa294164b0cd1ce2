//! Small scenes of what is hard, each with a name: who stands where, reaches when, and gives what
//! to whom. Where and what is drawn by the seed; what is reached for stands there, soundly tagged,
//! so that a scene is hard for the reason it is named for.
//!
//! The numbers in the modules' tables are those of a list of fifty situations that a shop without
//! tills has to get right. Not among the scenes: 17 (a helper picks an online order), 36 (one of a
//! case pack), 37 (weighed goods), 38 and 39 (prices), 48 (age checks), which are not about who
//! carries what; 43 (no broker for an hour) and 44 (the daemon is killed), which are the daemon's:
//! `tests/chaos.rs` and `tests/journal.rs` play them.

mod acts;
mod groups;
mod links;
mod staff;
mod tags;

use std::collections::VecDeque;

use super::plan::{Arrival, before};
use super::{Act, Back, Step};
use crate::sim::Sensors;
use crate::sim::incident::Incident;
use crate::sim::random::Random;
use crate::sim::shop::goods::Kind;
use crate::sim::shop::{Premises, Shop};
use crate::sim::stock::Carry;
use crate::sim::world::Tagged;

/// One scene.
pub(in crate::sim) struct Scene {
    pub name: &'static str,
    pub shows: &'static str,
    /// The sensors with which it can be judged at all.
    pub sensors: &'static [Sensors],
    pub premises: Premises,
    script: fn(&mut Stage<'_>),
}

/// Who comes, and what befalls goods and sensors.
#[derive(Debug, Default)]
pub(in crate::sim) struct Play {
    pub arrivals: Vec<Arrival>,
    pub tagged: Vec<Tagged>,
    /// By the number in [`Step::Signal`].
    pub incidents: Vec<Incident>,
}

impl Play {
    pub(in crate::sim) fn of(arrivals: Vec<Arrival>) -> Self {
        Self {
            arrivals,
            ..Self::default()
        }
    }
}

/// All scenes, by theme.
pub(in crate::sim) fn all() -> impl Iterator<Item = &'static Scene> {
    let themes: [&'static [Scene]; 5] = [
        acts::SCENES,
        groups::SCENES,
        staff::SCENES,
        tags::SCENES,
        links::SCENES,
    ];
    themes.into_iter().flatten()
}

use Sensors::{All, Rfid, RfidFloor, ScaleFloor, Vision};

/// Nobody needs to be seen.
const ANY: &[Sensors] = &[Rfid, ScaleFloor, Vision, RfidFloor, All];
/// People need to be told apart.
const SEEN: &[Sensors] = &[ScaleFloor, Vision, RfidFloor, All];
/// It is about tags.
const TAGS: &[Sensors] = &[Rfid, RfidFloor, All];
/// No tag tells of it.
const UNTAGGED: &[Sensors] = &[ScaleFloor, Vision, All];

const PLAIN: Premises = Premises {
    lane: false,
    room: false,
    stack: false,
};

/// Seconds a metre of those who walk slowly.
const SLOW_S: f64 = 1.7;
/// The shop is empty before.
const FIRST_S: f64 = 9.0;

impl Scene {
    pub(in crate::sim) fn play(&self, seed: u64, shop: &Shop) -> Play {
        let mut stage = Stage {
            shop,
            random: Random::stream(seed, "scene"),
            play: Play::default(),
        };
        (self.script)(&mut stage);
        let mut play = stage.play;
        play.arrivals.sort_by(|a, b| a.at.total_cmp(&b.at));
        if !shop.is_followed() {
            for arrival in &mut play.arrivals {
                arrival.presented = arrival.token.is_some();
            }
        }
        play
    }
}

/// Fixture, level, facing.
type Where = (usize, usize, usize);
type Steps = VecDeque<Step>;

/// One shop, one seed, places to act at.
struct Stage<'s> {
    shop: &'s Shop,
    random: Random,
    play: Play,
}

impl Stage<'_> {
    /// Some facing; the scene finds it full.
    fn facing(&mut self) -> Where {
        let f = self.random.index(self.shop.fixtures.len());
        self.facing_of(f)
    }

    fn facing_of(&mut self, f: usize) -> Where {
        let l = self.random.index(self.shop.fixtures[f].levels.len());
        let n = self.random.index(self.shop.level(f, l).facings.len());
        self.full((f, l, n))
    }

    /// One of a good of these kinds, if there is any.
    fn facing_with(&mut self, kinds: &[Kind]) -> Where {
        for _ in 0..200 {
            let f = self.random.index(self.shop.fixtures.len());
            let l = self.random.index(self.shop.fixtures[f].levels.len());
            let facings = &self.shop.level(f, l).facings;
            let n = self.random.index(facings.len());
            if kinds.contains(&self.shop.goods[facings[n].good].kind) {
                return self.full((f, l, n));
            }
        }
        self.facing()
    }

    /// Another facing of the same shelf, next to it.
    fn beside(&mut self, (f, l, n): Where) -> Where {
        let count = self.shop.level(f, l).facings.len();
        let next = if n + 1 < count {
            n + 1
        } else {
            n.saturating_sub(1)
        };
        self.full((f, l, next))
    }

    fn full(&mut self, place: Where) -> Where {
        if !self.play.tagged.iter().any(|t| t.0 == place) {
            self.play.tagged.push((place, 1));
        }
        place
    }

    fn along(&self, (f, l, n): Where) -> f64 {
        let facing = &self.shop.level(f, l).facings[n];
        (facing.from + facing.to) / 2.0
    }

    /// In front of a facing, looking at it.
    fn start(&mut self, place: Where) -> Steps {
        let mut steps = Steps::new();
        self.go(&mut steps, place);
        steps
    }

    fn go(&mut self, steps: &mut Steps, place: Where) {
        let along = self.along(place);
        let spot = before(&mut self.random, self.shop, place.0, along);
        let face = self.shop.fixtures[place.0].spot(along, 0.0);
        let pause = self.random.range(1.0, 2.0);
        steps.extend([Step::Go(spot, 0.12), Step::Face(face), Step::Stand(pause)]);
    }

    fn reach(&self, place: Where, act: Act) -> Step {
        Step::Reach(place.0, place.1, self.along(place), act)
    }

    /// There, loose.
    fn at(&self, place: Where) -> Back {
        Back::At(place.0, place.1, self.along(place))
    }

    fn take(&mut self, steps: &mut Steps, place: Where, count: u32) {
        steps.push_back(self.reach(place, Act::Take(place.2, count)));
        steps.push_back(Step::Stand(self.random.range(0.8, 1.8)));
    }

    /// Somebody who takes one there and leaves.
    fn buys(&mut self, place: Where) -> Steps {
        let mut steps = self.start(place);
        self.take(&mut steps, place, 1);
        steps.push_back(Step::Stow(Carry::Basket));
        steps
    }

    /// A visit that comes so much later than the first can, and leaves after its steps.
    fn comes(&mut self, later: f64, mut steps: Steps) -> &mut Arrival {
        steps.push_back(Step::Leave);
        let arrival = Arrival {
            at: FIRST_S + later,
            token: Some(format!("q-{}", self.random.int(1000, 99_999))),
            people: vec![steps],
            ..Arrival::default()
        };
        self.play.arrivals.push(arrival);
        let last = self.play.arrivals.len() - 1;
        &mut self.play.arrivals[last]
    }

    /// When everybody who comes with the first is in front of a facing, however slow.
    fn reached(&self, place: Where) -> f64 {
        let from = self.shop.doors[self.shop.entry].inside;
        let to = self.shop.fixtures[place.0].spot(self.along(place), 0.5);
        FIRST_S + 7.0 + SLOW_S * ((to.x - from.x).abs() + (to.y - from.y).abs())
    }

    /// When somebody who takes there is gone, however slow.
    fn gone(&self, place: Where) -> f64 {
        let exit = self.shop.doors[self.shop.exit].inside;
        let from = self.shop.fixtures[place.0].spot(self.along(place), 0.5);
        self.reached(place) + 6.0 + SLOW_S * ((exit.x - from.x).abs() + (exit.y - from.y).abs())
    }

    /// The reader of a fixture, if there is one, as sources are named.
    fn reader_of(&self, place: Where) -> Option<String> {
        let name = format!("r-{}", self.shop.fixtures[place.0].id);
        let readers = &self.shop.readers;
        let own = readers.iter().find(|r| r.id == name);
        let reader = own.or_else(|| readers.first())?;
        Some(format!("rfid/{}", reader.id))
    }
}
