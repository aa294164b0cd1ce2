//! The world: people act on stock, time goes by in steps of 10 ms. What happens here is the truth;
//! sensors only look.

use crate::units::Point;

use super::effects::Effects;
use super::people::floor::Floor;
use super::people::plan::{self, Arrival};
use super::people::{Act, Person, Reach, Step};
use super::random::Random;
use super::shop::Shop;
use super::space::{at, between};
use super::stock::{Carry, Place, Spot, Stock, shares, tag_place};

/// Seconds a step.
pub(super) const DT: f64 = 0.01;
/// Nearer than this people make way, metres.
const CROWDED: f64 = 0.6;

pub(super) struct World {
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
pub(super) struct Visit {
    pub token: Option<String>,
    pub member: Option<String>,
    pub presented: bool,
    pub staff: bool,
    pub people: Vec<usize>,
    pub left_at: Option<f64>,
    pub events: Vec<Event>,
    pub handovers: Vec<Handover>,
    /// Units carried out.
    pub bought: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub at: f64,
    pub good: usize,
    pub shelf: (usize, usize),
    pub taken: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Handover {
    pub at: f64,
    pub good: usize,
    pub to: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Occurrence {
    /// Somebody goes through a door.
    Pass(usize),
    /// A visit was let in.
    Admitted(usize, usize),
    /// A visit showed its token at the way out.
    Presented(usize, usize),
    Command(&'static str, String, String),
}

impl World {
    pub(super) fn new(seed: u64, shop: Shop, arrivals: Vec<Arrival>, effects: &Effects) -> Self {
        let stock = Stock::open(seed, &shop, effects);
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
    pub(super) fn is_over(&self) -> bool {
        self.arrivals.is_empty() && self.people.iter().all(|p| !p.present)
    }

    pub(super) fn step(&mut self) {
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

    fn arrive(&mut self, arrival: Arrival) {
        let visit = self.visits.len();
        let door = self.shop.entry;
        let mut people = Vec::new();
        for (n, steps) in arrival.people.into_iter().enumerate() {
            let place = if arrival.from_back {
                self.shop
                    .staff_zone()
                    .map_or(at(0.0, 0.0), super::shop::Zone::middle)
            } else {
                self.shop.doors[door].outside
            };
            let r = &mut self.random;
            let position = at(place.x + 0.1 * r.normal(), place.y);
            let starts = self.now + 0.35 + n as f64 * r.range(0.7, 1.3);
            let mut person = Person::new(visit, position, steps, starts, r);
            person.passed_in = arrival.from_back;
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
            Step::Reach(f, l, along, act) => self.people[p].reach = self.reach(p, f, l, along, act),
            Step::Stow(carry) => self.stow(p, carry),
            Step::Wander => {
                let to = plan::somewhere(&mut self.random, &self.shop);
                let look = self.random.range(0.5, 3.0);
                self.next(p, [Step::Go(to, 0.2), Step::Stand(look)]);
            }
            Step::Return { wrong } => self.plan_return(p, wrong),
            Step::HandOver => self.hand_over(p),
            Step::Command(what, f, l, by) => {
                let shelf = self.shop.level(f, l).id.clone();
                self.occurrences.push(Occurrence::Command(what, shelf, by));
            }
            Step::Leave => self.leave(p),
            Step::Out => self.out(p),
            Step::Vanish => self.vanish(p),
        }
    }

    fn next<const N: usize>(&mut self, p: usize, steps: [Step; N]) {
        for step in steps.into_iter().rev() {
            self.people[p].steps.push_front(step);
        }
    }

    /// Moves one person for a step: along the way, making way for others, never into fixtures.
    fn walk(&mut self, p: usize) {
        let me = &self.people[p];
        let here = me.position;
        let target = me.way.front().copied().filter(|_| me.held_by.is_none());
        let mut want = at(0.0, 0.0);
        if let Some(to) = target {
            let d = direction(here, to);
            let last = me.way.len() == 1;
            let pace = if last {
                me.pace.min(here.distance(to) * 2.5 + 0.12)
            } else {
                me.pace
            };
            want = at(d.x * pace, d.y * pace);
        }
        let push = self.pushed(p);
        let me = &mut self.people[p];
        let goal = at(want.x + push.x, want.y + push.y);
        let ease = DT / 0.25;
        me.velocity = between(me.velocity, goal, ease);
        let to = at(here.x + me.velocity.x * DT, here.y + me.velocity.y * DT);
        let free = |q: Point| self.floor.is_free(q) || !self.floor.is_free(here);
        let moved = [to, at(to.x, here.y), at(here.x, to.y)]
            .into_iter()
            .find(|q| free(*q));
        me.position = moved.unwrap_or(here);
        let speed = (me.velocity.x * me.velocity.x + me.velocity.y * me.velocity.y).sqrt();
        if speed > 0.25 && me.reach.is_none() {
            let d = at(me.velocity.x / speed, me.velocity.y / speed);
            me.heading = unit(between(me.heading, d, DT / 0.2));
        }
        self.corner(p, here);
    }

    fn corner(&mut self, p: usize, before: Point) {
        let me = &mut self.people[p];
        let Some(to) = me.way.front().copied() else {
            return;
        };
        let (left, last) = (me.position.distance(to), me.way.len() == 1);
        let gain = before.distance(to) - left;
        me.stuck = if gain < 0.05 * DT {
            me.stuck + DT
        } else {
            (me.stuck - DT).max(0.0)
        };
        let near = if last { 0.12 } else { 0.22 };
        // Somebody stands there already: it has to do from beside them.
        if left < near || (last && left < 0.75 && me.stuck > 1.0) {
            me.way.pop_front();
            me.stuck = 0.0;
        } else if me.stuck > 3.0 {
            let end = me.way.back().copied().unwrap_or(to);
            let way = self.floor.way(me.position, end);
            me.way = way.into();
            me.stuck = -self.random.range(0.0, 2.0);
            let side = self.random.range(-0.5, 0.5);
            me.velocity = at(me.velocity.x + side, me.velocity.y - side);
        }
    }

    fn pushed(&self, p: usize) -> Point {
        let me = &self.people[p];
        let mut push = at(0.0, 0.0);
        for (o, other) in self.people.iter().enumerate() {
            let d = me.position.distance(other.position);
            if o == p || !other.present || d > CROWDED || other.held_by == Some(p) {
                continue;
            }
            // Those who stand at a shelf give way less than those who walk.
            let firm = if me.way.is_empty() { 0.25 } else { 1.0 };
            let k = firm * 1.3 * (CROWDED - d) / CROWDED / d.max(0.05);
            push.x += k * (me.position.x - other.position.x);
            push.y += k * (me.position.y - other.position.y);
            // Pass on the right.
            let d = direction(me.position, other.position);
            push.x += 0.25 * firm * d.y;
            push.y -= 0.25 * firm * d.x;
        }
        push
    }

    fn doors(&mut self, p: usize) {
        let shop = &self.shop;
        let me = &mut self.people[p];
        if !me.passed_in {
            me.passed_in = me.position.y > shop.zone_of(shop.entry).low.y;
        }
        let edge = shop.zone_of(shop.exit).low.y;
        if me.done && !me.passed_out && me.position.y < edge {
            me.passed_out = true;
            let visit = me.visit;
            self.visits[visit].left_at = Some(self.now);
        }
    }

    fn leave(&mut self, p: usize) {
        let visit = self.people[p].visit;
        self.people[p].done = true;
        if let (true, Some(back)) = (self.visits[visit].staff, self.shop.staff_zone()) {
            let place = back.middle();
            self.next(p, [Step::Go(place, 0.3), Step::Vanish]);
            return;
        }
        let waiting = self.visits[visit]
            .people
            .iter()
            .any(|o| !self.people[*o].done);
        let door = &self.shop.doors[self.shop.exit];
        let wait = at(
            door.inside.x + self.random.range(-0.4, 0.4),
            door.inside.y + self.random.range(0.0, 0.3),
        );
        if waiting {
            // Looks around near the way out until the others come.
            self.next(p, [Step::Go(wait, 0.4), Step::Stand(1.0), Step::Leave]);
            return;
        }
        let inner = self.shop.zone_of(self.shop.exit).middle();
        self.next(
            p,
            [Step::Go(door.inside, 0.3), Step::Go(inner, 0.3), Step::Out],
        );
    }

    fn out(&mut self, p: usize) {
        let (door, visit) = (self.shop.exit, self.people[p].visit);
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
            self.visits[visit].bought.push(unit);
        }
    }

    fn stow(&mut self, p: usize, carry: Carry) {
        for unit in self.stock.held(p) {
            if self.stock.units[unit].place == Place::Held(p, Carry::Hand) {
                self.stock.hold(unit, p, carry);
            }
        }
    }

    /// Takes something held back: the newest, to its facing or to some other place.
    fn plan_return(&mut self, p: usize, wrong: bool) {
        let Some((unit, f, l, n)) = self.people[p].origins.last().copied() else {
            return;
        };
        let r = &mut self.random;
        let (f, l) = if wrong {
            let f = if r.chance(0.5) {
                f
            } else {
                r.index(self.shop.fixtures.len())
            };
            (f, r.index(self.shop.fixtures[f].levels.len()))
        } else {
            (f, l)
        };
        let facing = (!wrong && self.stock.room(&self.shop, f, l, n) > 0).then_some(n);
        let along = match facing {
            Some(n) => {
                let facing = &self.shop.level(f, l).facings[n];
                (facing.from + facing.to) / 2.0
            }
            None => r.range(0.15, self.shop.fixtures[f].length() - 0.15),
        };
        let spot = plan::before(r, &self.shop, f, along);
        let face = self.shop.fixtures[f].spot(along, 0.0);
        let put = Step::Reach(f, l, along, Act::Put(unit, facing));
        let pause = Step::Stand(self.random.range(0.2, 1.2));
        self.stock.hold(unit, p, Carry::Hand);
        self.next(p, [Step::Go(spot, 0.15), Step::Face(face), pause, put]);
    }

    /// Asks somebody of another visit near by to wait, goes there and gives the newest item.
    fn hand_over(&mut self, p: usize) {
        let here = self.people[p].position;
        let other = self.receiver(p);
        for person in &mut self.people {
            if person.held_by == Some(p) {
                person.held_by = None;
            }
        }
        let newest = self.people[p].origins.last().copied();
        let (Some(other), Some((unit, ..))) = (other, newest) else {
            return;
        };
        let there = self.people[other].position;
        let apart = here.distance(there);
        if apart <= 0.8 {
            self.give(p, other, unit);
        } else if self.people[p].asked < 3 {
            self.people[p].asked += 1;
            self.people[other].held_by = Some(p);
            let to = between(there, here, 0.6 / apart);
            self.next(p, [Step::Go(to, 0.15), Step::HandOver]);
        }
    }

    /// Who is near and free to be given something.
    fn receiver(&self, p: usize) -> Option<usize> {
        let me = &self.people[p];
        let near = |o: &usize| {
            let other = &self.people[*o];
            other.visible()
                && other.visit != me.visit
                && !self.visits[other.visit].staff
                && !other.done
                && other.position.distance(me.position) < 4.0
                && other.held_by.is_none_or(|by| by == p)
                && me.held_by.is_none()
        };
        let by = |o: &usize| self.people[*o].position.distance(me.position);
        let others = (0..self.people.len()).filter(near);
        others.min_by(|a, b| by(a).total_cmp(&by(b)))
    }

    fn give(&mut self, p: usize, other: usize, unit: usize) {
        self.people[other].held_by = None;
        self.people[other].wait = 0.8;
        self.people[p].wait = 0.8;
        self.people[p].heading = direction(self.people[p].position, self.people[other].position);
        self.people[other].heading =
            direction(self.people[other].position, self.people[p].position);
        if let Some(origin) = self.people[p].origins.pop() {
            // Received items stay: they go in front of the list, so that they are put back last.
            self.people[other].origins.insert(0, origin);
        }
        self.stock.hold(unit, other, Carry::Hand);
        let handover = Handover {
            at: self.now,
            good: self.stock.units[unit].good,
            to: self.people[other].visit,
        };
        let visit = self.people[p].visit;
        self.visits[visit].handovers.push(handover);
    }

    fn reach(&mut self, p: usize, f: usize, l: usize, along: f64, act: Act) -> Option<Reach> {
        let effects = &self.effects;
        let r = &mut self.random;
        let possible = match act {
            Act::Fill(n) => self.stock.room(&self.shop, f, l, n) > 0,
            Act::Put(unit, _) => {
                matches!(self.stock.units[unit].place, Place::Held(q, _) if q == p)
            }
            Act::Take(..) | Act::Touch => true,
        };
        if !possible {
            return None;
        }
        let arrive = r.range(0.35, 0.65);
        let grip = arrive + r.range(0.15, 0.45);
        let lift_s = r.range(0.12, 0.3);
        let press_g = if r.chance(effects.press_chance) {
            let sign = if r.chance(0.72) { 1.0 } else { -0.6 };
            sign * r.log_normal(effects.press_peak_g, 0.5)
        } else {
            0.0
        };
        let level = &self.shop.fixtures[f].levels[l];
        let depth = r.range(0.05, 0.2);
        let target = self.shop.fixtures[f].spot3(along, -depth, level.z + 0.1);
        Some(Reach {
            fixture: f,
            level: l,
            along,
            act,
            t: 0.0,
            arrive,
            grip,
            lift_s,
            end: grip + lift_s + 0.08 + r.range(0.35, 0.6),
            moving: Vec::new(),
            gripped: false,
            noted: false,
            press_g,
            target,
        })
    }

    /// One step of a reach: the arm goes out, grips, weight goes off or onto the shelf.
    fn stretch(&mut self, p: usize) {
        let Some(mut reach) = self.people[p].reach.take() else {
            return;
        };
        reach.t += DT;
        self.lean(&reach);
        if reach.t >= reach.grip && !reach.gripped {
            reach.gripped = true;
            self.grip(p, &mut reach);
        }
        if reach.gripped && !reach.moving.is_empty() {
            self.shift(p, &mut reach);
        }
        if reach.t < reach.end {
            self.people[p].reach = Some(reach);
        }
    }

    /// The hand's force, where it touches: 8 cm wide.
    fn lean(&mut self, reach: &Reach) {
        let force = reach.press();
        if force.abs() > 0.01 {
            let spot = Spot {
                fixture: reach.fixture,
                level: reach.level,
                along: reach.along,
                behind: 0.0,
            };
            for (plate, share) in shares(&self.shop, &spot, 0.08) {
                self.presses[plate] += force * share;
            }
        }
    }

    fn grip(&mut self, p: usize, reach: &mut Reach) {
        let (f, l) = (reach.fixture, reach.level);
        match reach.act {
            Act::Touch => {}
            Act::Take(n, count) => {
                if self.stock.has(f, l, n) {
                    reach.moving = self.stock.grip(f, l, n, count);
                    for unit in &reach.moving {
                        self.people[p].origins.push((*unit, f, l, n));
                    }
                }
            }
            Act::Put(unit, facing) => {
                match facing {
                    Some(n) => self.stock.shelve(&self.shop, unit, f, l, n),
                    None => self
                        .stock
                        .misplace(&self.shop, unit, self.spot_for(unit, reach)),
                }
                self.people[p].origins.retain(|o| o.0 != unit);
                reach.moving.push(unit);
            }
            Act::Fill(n) => {
                let good = self.shop.level(f, l).facings[n].good;
                let unit = self.stock.make(&self.shop, good, &self.effects);
                self.stock.shelve(&self.shop, unit, f, l, n);
                reach.moving.push(unit);
            }
        }
        if let Some(unit) = reach.moving.first() {
            if let Place::Shelf(spot) = self.stock.units[*unit].place {
                let tall = self.shop.goods[self.stock.units[*unit].good].size.2;
                reach.target = tag_place(&self.shop, &spot, tall);
            }
        }
    }

    fn spot_for(&self, unit: usize, reach: &Reach) -> Spot {
        let depth = self.shop.goods[self.stock.units[unit].good].size.1;
        Spot {
            fixture: reach.fixture,
            level: reach.level,
            along: reach.along,
            behind: 0.01 + depth / 2.0,
        }
    }

    fn shift(&mut self, p: usize, reach: &mut Reach) {
        let share = ((reach.t - reach.grip) / reach.lift_s).clamp(0.0, 1.0);
        let taking = matches!(reach.act, Act::Take(..));
        let load = if taking { 1.0 - share } else { share };
        for unit in &reach.moving {
            let u = &mut self.stock.units[*unit];
            for (plate, part) in &u.bearers {
                self.loads[*plate] += (load - u.load) * part * u.weight_g;
            }
            u.load = load;
        }
        if share >= 0.5 && !reach.noted {
            reach.noted = true;
            let (visit, shelf) = (self.people[p].visit, (reach.fixture, reach.level));
            for unit in &reach.moving {
                self.visits[visit].events.push(Event {
                    at: self.now,
                    good: self.stock.units[*unit].good,
                    shelf,
                    taken: taking,
                });
            }
        }
        if share >= 1.0 {
            for unit in std::mem::take(&mut reach.moving) {
                if taking {
                    self.stock.hold(unit, p, Carry::Hand);
                    self.stock.units[unit].bearers.clear();
                }
            }
        }
    }
}

pub(super) fn direction(from: Point, to: Point) -> Point {
    unit(at(to.x - from.x, to.y - from.y))
}

fn unit(p: Point) -> Point {
    let l = (p.x * p.x + p.y * p.y).sqrt().max(1e-6);
    at(p.x / l, p.y / l)
}
