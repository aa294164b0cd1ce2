//! How people walk: along their way, making way for others, never into fixtures.

use super::{DT, World, direction, unit};
use crate::sim::space::{at, between};
use crate::units::Point;

/// Nearer than this people make way, metres.
const CROWDED: f64 = 0.6;

impl World {
    /// Moves one person for a step: along the way, making way for others, never into fixtures.
    pub(super) fn walk(&mut self, p: usize) {
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

    pub(super) fn corner(&mut self, p: usize, before: Point) {
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

    pub(super) fn pushed(&self, p: usize) -> Point {
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

    pub(super) fn doors(&mut self, p: usize) {
        let shop = &self.shop;
        let me = &mut self.people[p];
        if !me.passed_in {
            me.passed_in = me.position.y > shop.zone_of(shop.entry).low.y;
        }
        let room = shop.room.map(|room| &shop.zones[room]);
        me.unseen = room.is_some_and(|room| room.holds(me.position));
        let edge = shop.zone_of(me.exit).low.y;
        if me.done && !me.passed_out && me.position.y < edge {
            me.passed_out = true;
            let visit = me.visit;
            self.visits[visit].left_at = Some(self.now);
        }
    }
}
