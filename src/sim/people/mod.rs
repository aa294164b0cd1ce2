//! Shoppers: their plans, their bodies, and how they walk.

pub(super) mod floor;
pub(super) mod plan;
pub(super) mod scenes;

use std::collections::VecDeque;

use super::random::Random;
use super::space::{Vec3, at, vec3};
use super::stock::Carry;
use crate::units::Point;

/// What somebody does next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// To within so many metres.
    Go(Point, f64),
    Face(Point),
    Stand(f64),
    /// Stands until then.
    Until(f64),
    /// Fixture, level, place along the front.
    Reach(usize, usize, f64, Act),
    Stow(Carry),
    /// Walks to some place and looks.
    Wander,
    /// Takes something held back to some place.
    Return(Back),
    /// Gives something held to somebody of another visit near by.
    HandOver,
    /// A helper's note to the system about a shelf.
    Command(&'static str, usize, usize, String),
    /// Eats or drinks the newest item; the wrapper stays in the hand.
    Consume,
    /// Tears the newest item's tag off and leaves it on this shelf: fixture, level, place along.
    TearTag(usize, usize, f64),
    /// Puts the basket down on the floor, with all that was taken.
    Abandon,
    /// Puts other clothes on.
    Change,
    /// Now the scene's incident of this number begins.
    Signal(usize),
    /// To the way out, with the rest of the party.
    Leave,
    /// To the way out, whatever the party does.
    LeaveAlone,
    /// Through the door.
    Out,
    Vanish,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Act {
    Touch,
    /// From a facing, so many at once.
    Take(usize, u32),
    /// What stands loose nearest to there.
    PickUp,
    /// This unit, into this facing or loose.
    Put(usize, Option<usize>),
    /// A new unit into a facing.
    Fill(usize),
}

/// Where something is put back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Back {
    /// Where it belongs.
    Home,
    /// Where it does not, anywhere.
    Elsewhere,
    /// Loose on this shelf: fixture, level, place along.
    At(usize, usize, f64),
    /// There, too: something that the person came in with.
    BroughtAt(usize, usize, f64),
}

#[derive(Debug)]
pub(super) struct Person {
    pub visit: usize,
    /// The door by which it leaves, a place in the shop's.
    pub exit: usize,
    pub position: Point,
    pub velocity: Point,
    pub heading: Point,
    pub tall: f64,
    pub radius: f64,
    /// Metres a second.
    pub pace: f64,
    pub steps: VecDeque<Step>,
    /// Corners still to pass.
    pub way: VecDeque<Point>,
    /// Seconds left of standing.
    pub wait: f64,
    pub reach: Option<Reach>,
    /// Stands still for somebody who hands something over.
    pub held_by: Option<usize>,
    pub present: bool,
    /// Has stood at the way out, done with everything.
    pub done: bool,
    pub passed_out: bool,
    pub passed_in: bool,
    /// In a room where nothing looks.
    pub unseen: bool,
    /// Seconds without getting on.
    pub stuck: f64,
    /// Where held units were taken from: unit, fixture, level, facing.
    pub origins: Vec<(usize, usize, usize, usize)>,
    /// Its bag is lined with foil.
    pub foil: bool,
    /// How often it went after somebody to hand something over.
    pub asked: u32,
    /// Not before.
    pub starts: f64,
}

/// An arm on its way to a shelf and back.
#[derive(Debug)]
pub(super) struct Reach {
    pub fixture: usize,
    pub level: usize,
    pub along: f64,
    pub act: Act,
    pub t: f64,
    /// Times of arrival, grip, end of contact, and end.
    pub arrive: f64,
    pub grip: f64,
    pub lift_s: f64,
    pub end: f64,
    /// Units whose weight goes off or onto the shelf.
    pub moving: Vec<usize>,
    pub gripped: bool,
    pub noted: bool,
    /// Peak force of the hand on the shelf, grams; negative lifts.
    pub press_g: f64,
    pub target: Vec3,
}

impl Reach {
    /// How far the arm is stretched, 0 to 1.
    pub(super) fn extent(&self) -> f64 {
        let leave = self.grip + self.lift_s + 0.08;
        if self.t < self.arrive {
            self.t / self.arrive
        } else if self.t < leave {
            1.0
        } else {
            ((self.end - self.t) / (self.end - leave)).clamp(0.0, 1.0)
        }
    }

    /// Force on the shelf now, grams.
    pub(super) fn press(&self) -> f64 {
        let (from, to) = (self.arrive, self.grip + self.lift_s + 0.12);
        let share = (self.t - from) / (to - from);
        if (0.0..1.0).contains(&share) {
            self.press_g * libm::sin(std::f64::consts::PI * share)
        } else {
            0.0
        }
    }
}

impl Person {
    /// Somebody who begins to act at `starts`.
    pub(super) fn new(
        visit: usize,
        position: Point,
        steps: VecDeque<Step>,
        starts: f64,
        r: &mut Random,
    ) -> Self {
        Self {
            visit,
            exit: 0,
            position,
            velocity: at(0.0, 0.0),
            heading: at(0.0, 1.0),
            tall: r.range(1.52, 1.92),
            radius: r.range(0.18, 0.25),
            pace: (1.0 + 0.2 * r.normal()).clamp(0.6, 1.4),
            steps,
            way: [].into(),
            wait: 0.0,
            reach: None,
            held_by: None,
            present: true,
            done: false,
            passed_out: false,
            passed_in: false,
            unseen: false,
            stuck: 0.0,
            origins: Vec::new(),
            foil: false,
            asked: 0,
            starts,
        }
    }

    /// Inside the walls.
    pub(super) fn inside(&self) -> bool {
        self.present && self.passed_in && !self.passed_out
    }

    /// Inside the walls, where sensors are.
    pub(super) fn visible(&self) -> bool {
        self.inside() && !self.unseen
    }

    pub(super) fn right(&self) -> Point {
        at(self.heading.y, -self.heading.x)
    }

    /// Where the working hand is.
    pub(super) fn hand(&self) -> Vec3 {
        let rest = vec3(
            self.position.x + 0.28 * self.heading.x,
            self.position.y + 0.28 * self.heading.y,
            self.tall * 0.6,
        );
        self.reach
            .as_ref()
            .map_or(rest, |r| rest.lerp(r.target, r.extent()))
    }

    /// Where something carried is.
    pub(super) fn carried(&self, carry: Carry) -> Vec3 {
        let (side, front, z) = match carry {
            Carry::Hand => return self.hand(),
            Carry::Basket => (0.32, 0.08, 0.55),
            Carry::Bag | Carry::Crammed => (0.27, -0.05, 0.75),
            Carry::Pocket => (0.16, 0.08, 0.95),
        };
        let right = self.right();
        vec3(
            self.position.x + side * right.x + front * self.heading.x,
            self.position.y + side * right.y + front * self.heading.y,
            z,
        )
    }
}
