//! What hands do: reach, touch, take, put, hand over; and what the shelves feel of it.

use super::{DT, Event, Handover, World, direction};
use crate::sim::people::{Act, Back, Reach, Step, plan};
use crate::sim::space::between;
use crate::sim::stock::{Carry, Place, Spot, What, shares, tag_place};

impl World {
    pub(super) fn stow(&mut self, p: usize, carry: Carry) {
        for unit in self.stock.held(p) {
            if self.stock.units[unit].place == Place::Held(p, Carry::Hand) {
                self.stock.hold(unit, p, carry);
            }
        }
    }

    /// Takes something held back: the newest, to where it belongs or to some other place.
    pub(super) fn plan_return(&mut self, p: usize, to: Back) {
        let newest = match to {
            Back::BroughtAt(..) => {
                let mut held = self.stock.held(p).into_iter();
                held.find(|u| self.stock.units[*u].brought)
            }
            _ => self.people[p].origins.last().map(|origin| origin.0),
        };
        let Some(unit) = newest else {
            return;
        };
        let (f, l, along, facing) = self.place_for(unit, to);
        let spot = plan::before(&mut self.random, &self.shop, f, along);
        let face = self.shop.fixtures[f].spot(along, 0.0);
        let put = Step::Reach(f, l, along, Act::Put(unit, facing));
        let pause = Step::Stand(self.random.range(0.2, 1.2));
        self.stock.hold(unit, p, Carry::Hand);
        self.next(p, [Step::Go(spot, 0.15), Step::Face(face), pause, put]);
    }

    /// Fixture, level, place along, and the facing where it comes to stand in one.
    fn place_for(&mut self, unit: usize, to: Back) -> (usize, usize, f64, Option<usize>) {
        let r = &mut self.random;
        let home = self.stock.units[unit].home;
        let (f, l) = match (to, home) {
            (Back::At(f, l, along) | Back::BroughtAt(f, l, along), _) => {
                return (f, l, along, None);
            }
            (Back::Home, Some((f, l, n))) => {
                if self.stock.room(&self.shop, f, l, n) > 0 {
                    let facing = &self.shop.level(f, l).facings[n];
                    return (f, l, (facing.from + facing.to) / 2.0, Some(n));
                }
                (f, l)
            }
            (Back::Home | Back::Elsewhere, _) => {
                let f = match home {
                    Some((f, ..)) if r.chance(0.5) => f,
                    _ => r.index(self.shop.fixtures.len()),
                };
                (f, r.index(self.shop.fixtures[f].levels.len()))
            }
        };
        let along = r.range(0.15, self.shop.fixtures[f].length() - 0.15);
        (f, l, along, None)
    }

    /// Asks somebody of another visit near by to wait, goes there and gives the newest item.
    pub(super) fn hand_over(&mut self, p: usize) {
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
    pub(super) fn receiver(&self, p: usize) -> Option<usize> {
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

    pub(super) fn give(&mut self, p: usize, other: usize, unit: usize) {
        self.people[other].held_by = None;
        self.people[p].asked = 0;
        self.people[other].wait = self.people[other].wait.max(0.8);
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

    pub(super) fn reach(
        &mut self,
        p: usize,
        f: usize,
        l: usize,
        along: f64,
        act: Act,
    ) -> Option<Reach> {
        let effects = &self.effects;
        let r = &mut self.random;
        let possible = match act {
            Act::Fill(n) => self.stock.room(&self.shop, f, l, n) > 0,
            Act::Put(unit, _) => {
                matches!(self.stock.units[unit].place, Place::Held(q, _) if q == p)
            }
            Act::Take(..) | Act::Touch | Act::PickUp => true,
        };
        if !possible {
            return None;
        }
        let arrive = r.range(0.35, 0.65);
        let grip = arrive + r.range(0.15, 0.65);
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
    pub(super) fn stretch(&mut self, p: usize) {
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
    pub(super) fn lean(&mut self, reach: &Reach) {
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

    pub(super) fn grip(&mut self, p: usize, reach: &mut Reach) {
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
            Act::PickUp => {
                if let Some(unit) = self.stock.grip_loose(f, l, reach.along) {
                    let (f, l, n) = self.stock.units[unit].home.unwrap_or((f, l, 0));
                    self.people[p].origins.push((unit, f, l, n));
                    reach.moving.push(unit);
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
        if let Some(unit) = reach.moving.first().map(|u| &self.stock.units[*u])
            && let Place::Shelf(spot) = unit.place
        {
            let tall = self.shop.goods[unit.good].size.2;
            reach.target = tag_place(&self.shop, &spot, tall);
        }
    }

    pub(super) fn spot_for(&self, unit: usize, reach: &Reach) -> Spot {
        let depth = self.shop.goods[self.stock.units[unit].good].size.1;
        Spot {
            fixture: reach.fixture,
            level: reach.level,
            along: reach.along,
            behind: 0.01 + depth / 2.0,
        }
    }

    pub(super) fn shift(&mut self, p: usize, reach: &mut Reach) {
        let share = ((reach.t - reach.grip) / reach.lift_s).clamp(0.0, 1.0);
        let taking = matches!(reach.act, Act::Take(..) | Act::PickUp);
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
                let u = &self.stock.units[*unit];
                // Wrappers and what is not the shop's are no goods.
                if u.brought || u.what != What::Whole {
                    continue;
                }
                self.visits[visit].events.push(Event {
                    at: self.now,
                    good: u.good,
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
