//! The world: people act on stock, time goes by in steps of 10 ms. What happens here is the truth;
//! sensors only look.

mod deeds;
mod hands;
mod walk;

use crate::sim::effects::Effects;
use crate::sim::people::floor::Floor;
use crate::sim::people::plan::{self, Arrival};
use crate::sim::people::{Person, Step};
use crate::sim::random::Random;
use crate::sim::shop::Shop;
use crate::sim::space::at;
use crate::sim::stock::{Brought, Stock, What};
use crate::units::Point;

/// Seconds a step.
pub(in crate::sim) const DT: f64 = 0.01;

pub(in crate::sim) struct World {
    pub shop: Shop,
    pub floor: Floor,
    pub stock: Stock,
    pub people: Vec<Person>,
    pub visits: Vec<Visit>,
    /// Weight resting on each plate, grams.
    pub loads: Vec<f64>,
    /// Force of hands on each plate in this step, grams.
    pub presses: Vec<f64>,
    /// What doors and helpers did in this step.
    pub occurrences: Vec<Occurrence>,
    pub now: f64,
    effects: Effects,
    arrivals: std::collections::VecDeque<Arrival>,
    random: Random,
}

#[derive(Debug, Default)]
pub(in crate::sim) struct Visit {
    pub token: Option<String>,
    pub member: Option<String>,
    pub presented: bool,
    pub staff: bool,
    /// However right its receipt is, a person must look at it.
    pub review: bool,
    pub people: Vec<usize>,
    pub left_at: Option<f64>,
    pub events: Vec<Event>,
    pub handovers: Vec<Handover>,
    /// Units carried out, or consumed inside.
    pub bought: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(in crate::sim) struct Event {
    pub at: f64,
    pub good: usize,
    pub shelf: (usize, usize),
    pub taken: bool,
}

#[derive(Debug, Clone)]
pub(in crate::sim) struct Handover {
    pub at: f64,
    pub good: usize,
    pub to: usize,
}

#[derive(Debug, Clone)]
pub(in crate::sim) enum Occurrence {
    /// Somebody goes through a door.
    Pass(usize),
    /// A visit was let in.
    Admitted(usize, usize),
    /// A visit showed its token at the way out.
    Presented(usize, usize),
    Command(&'static str, String, String),
    /// The scene's incident of this number begins.
    Signal(usize),
}

/// A facing (fixture, level, number) that is full when the shop opens, and how many tags that work
/// each of its units bears.
pub(in crate::sim) type Tagged = ((usize, usize, usize), usize);

impl World {
    pub(in crate::sim) fn new(
        seed: u64,
        shop: Shop,
        arrivals: Vec<Arrival>,
        tagged: &[Tagged],
        effects: &Effects,
    ) -> Self {
        let mut stock = Stock::open(seed, &shop, effects);
        for (place, tags) in tagged {
            stock.prepare(&shop, *place, *tags, effects);
        }
        let mut loads = vec![0.0; shop.plates.len()];
        for unit in &stock.units {
            for (plate, share) in &unit.bearers {
                loads[*plate] += share * unit.weight_g;
            }
        }
        Self {
            floor: Floor::new(&shop),
            presses: vec![0.0; shop.plates.len()],
            stock,
            shop,
            people: Vec::new(),
            visits: Vec::new(),
            loads,
            occurrences: Vec::new(),
            now: 0.0,
            effects: effects.clone(),
            arrivals: arrivals.into(),
            random: Random::stream(seed, "world"),
        }
    }

    /// Nobody is inside and nobody will come.
    pub(in crate::sim) fn is_over(&self) -> bool {
        self.arrivals.is_empty() && self.people.iter().all(|p| !p.present)
    }

    pub(in crate::sim) fn step(&mut self) {
        self.now += DT;
        self.occurrences.clear();
        self.presses.iter_mut().for_each(|p| *p = 0.0);
        while self.arrivals.front().is_some_and(|a| a.at <= self.now) {
            let Some(arrival) = self.arrivals.pop_front() else {
                break;
            };
            self.arrive(arrival);
        }
        for p in 0..self.people.len() {
            if self.people[p].present && self.people[p].starts <= self.now {
                self.act(p);
            }
        }
    }

    fn arrive(&mut self, mut arrival: Arrival) {
        let visit = self.visits.len();
        let door = self.shop.entry;
        let lane = self.shop.lane.filter(|_| arrival.by_lane);
        let mut people = Vec::new();
        for (n, steps) in std::mem::take(&mut arrival.people).into_iter().enumerate() {
            let place = if arrival.from_back {
                self.shop
                    .staff_zone()
                    .map_or(at(0.0, 0.0), crate::sim::shop::Zone::middle)
            } else {
                self.shop.doors[door].outside
            };
            let r = &mut self.random;
            let position = at(place.x + 0.1 * r.normal(), place.y);
            let starts = self.now + 0.35 + n as f64 * r.range(0.7, 1.3);
            let mut person = Person::new(visit, position, steps, starts, r);
            person.passed_in = arrival.from_back;
            person.exit = lane.unwrap_or(self.shop.exit);
            person.foil = r.chance(self.effects.foil) || arrival.foil;
            let foreign = r.chance(self.effects.foreign);
            let mut brings = std::mem::take(&mut arrival.brings);
            if !arrival.staff && foreign {
                brings.push(Brought::Foreign);
            } else if !arrival.staff && r.chance(self.effects.bought_before) {
                brings.push(Brought::BoughtBefore);
            }
            for each in brings {
                self.bring(self.people.len(), each);
            }
            if !arrival.from_back {
                person
                    .steps
                    .push_front(Step::Go(self.shop.doors[door].inside, 0.35));
            }
            people.push(self.people.len());
            self.people.push(person);
        }
        if !arrival.from_back {
            self.occurrences.push(Occurrence::Pass(door));
            if arrival.token.is_some() {
                self.occurrences.push(Occurrence::Admitted(door, visit));
            }
        }
        self.visits.push(Visit {
            token: arrival.token,
            member: arrival.member,
            presented: arrival.presented,
            staff: arrival.staff,
            review: arrival.review,
            people,
            ..Visit::default()
        });
    }

    fn act(&mut self, p: usize) {
        self.walk(p);
        self.doors(p);
        if self.people[p].reach.is_some() {
            self.stretch(p);
            return;
        }
        let person = &mut self.people[p];
        if person.wait > 0.0 {
            person.wait -= DT;
            return;
        }
        if !person.way.is_empty() || person.held_by.is_some() {
            return;
        }
        let Some(step) = person.steps.pop_front() else {
            return;
        };
        self.begin(p, step);
    }

    fn begin(&mut self, p: usize, step: Step) {
        match step {
            Step::Go(to, _) => {
                let way = self.floor.way(self.people[p].position, to);
                self.people[p].way = way.into();
            }
            Step::Face(to) => self.people[p].heading = direction(self.people[p].position, to),
            Step::Stand(seconds) => self.people[p].wait = seconds,
            Step::Until(then) => self.people[p].wait = then - self.now,
            Step::Reach(f, l, along, act) => self.people[p].reach = self.reach(p, f, l, along, act),
            Step::Stow(carry) => self.stow(p, carry),
            Step::Wander => {
                let to = plan::somewhere(&mut self.random, &self.shop);
                let look = self.random.range(0.5, 3.0);
                self.next(p, [Step::Go(to, 0.2), Step::Stand(look)]);
            }
            Step::Return(to) => self.plan_return(p, to),
            Step::Consume => self.consume(p),
            Step::TearTag(f, l, along) => self.tear_tag(p, (f, l), along),
            Step::Abandon => self.abandon(p),
            Step::Change => {
                let person = &mut self.people[p];
                // Without the coat, or with one.
                person.radius += if person.radius > 0.215 { -0.03 } else { 0.03 };
            }
            Step::Signal(n) => self.occurrences.push(Occurrence::Signal(n)),
            Step::HandOver => self.hand_over(p),
            Step::Command(what, f, l, by) => {
                let shelf = self.shop.level(f, l).id.clone();
                self.occurrences.push(Occurrence::Command(what, shelf, by));
            }
            Step::Leave => self.leave(p, false),
            Step::LeaveAlone => self.leave(p, true),
            Step::Out => self.out(p),
            Step::Vanish => self.vanish(p),
        }
    }

    fn next<const N: usize>(&mut self, p: usize, steps: [Step; N]) {
        for step in steps.into_iter().rev() {
            self.people[p].steps.push_front(step);
        }
    }

    fn leave(&mut self, p: usize, alone: bool) {
        let visit = self.people[p].visit;
        self.people[p].done = true;
        if let (true, Some(back)) = (self.visits[visit].staff, self.shop.staff_zone()) {
            let place = back.middle();
            self.next(p, [Step::Go(place, 0.3), Step::Vanish]);
            return;
        }
        let party = &self.visits[visit].people;
        let waiting = !alone && party.iter().any(|o| !self.people[*o].done);
        let exit = self.people[p].exit;
        let door = &self.shop.doors[exit];
        let wait = at(
            door.inside.x + self.random.range(-0.4, 0.4),
            door.inside.y + self.random.range(0.0, 0.3),
        );
        if waiting {
            // Looks around near the way out until the others come.
            self.next(p, [Step::Go(wait, 0.4), Step::Stand(1.0), Step::Leave]);
            return;
        }
        let inner = self.shop.zone_of(exit).middle();
        self.next(
            p,
            [Step::Go(door.inside, 0.3), Step::Go(inner, 0.3), Step::Out],
        );
    }

    fn out(&mut self, p: usize) {
        let (door, visit) = (self.people[p].exit, self.people[p].visit);
        self.occurrences.push(Occurrence::Pass(door));
        let v = &mut self.visits[visit];
        if v.presented {
            v.presented = false;
            self.occurrences.push(Occurrence::Presented(door, visit));
        }
        let outside = self.shop.doors[door].outside;
        self.next(p, [Step::Stand(0.2), Step::Go(outside, 0.3), Step::Vanish]);
    }

    fn vanish(&mut self, p: usize) {
        self.people[p].present = false;
        let visit = self.people[p].visit;
        for unit in self.stock.held(p) {
            self.stock.leave(unit);
            let u = &self.stock.units[unit];
            if !u.brought && u.what == What::Whole {
                self.visits[visit].bought.push(unit);
            }
        }
    }
}

fn direction(from: Point, to: Point) -> Point {
    unit(at(to.x - from.x, to.y - from.y))
}

fn unit(p: Point) -> Point {
    let l = (p.x * p.x + p.y * p.y).sqrt().max(1e-6);
    at(p.x / l, p.y / l)
}
