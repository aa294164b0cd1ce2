//! What some people do besides: bring things, eat them, tear tags off, put a basket down.

use super::World;
use crate::sim::space::vec3;
use crate::sim::stock::{Brought, Carry, Spot, What};

/// A wrapper's share of what the unit weighed.
const WRAPPER: f64 = 0.05;

impl World {
    pub(super) fn bring(&mut self, p: usize, what: Brought) {
        let Brought::CarriedOut(visit) = what else {
            self.stock.bring(&self.shop, p, what, &self.effects);
            return;
        };
        for unit in self.visits[visit].bought.clone() {
            self.stock.units[unit].brought = true;
            self.stock.hold(unit, p, Carry::Bag);
        }
    }

    /// The newest item is gone, and paid for by whoever consumed it; its wrapper is not.
    pub(super) fn consume(&mut self, p: usize) {
        let Some(origin) = self.people[p].origins.last() else {
            return;
        };
        let unit = origin.0;
        let u = &mut self.stock.units[unit];
        u.what = What::Wrapper;
        u.weight_g *= WRAPPER;
        let visit = self.people[p].visit;
        self.visits[visit].bought.push(unit);
    }

    pub(super) fn tear_tag(&mut self, p: usize, (fixture, level): (usize, usize), along: f64) {
        let Some(origin) = self.people[p].origins.last() else {
            return;
        };
        let label = self.stock.tear(origin.0);
        let spot = Spot {
            fixture,
            level,
            along,
            behind: 0.05,
        };
        self.stock.misplace(&self.shop, label, spot);
        let u = &mut self.stock.units[label];
        u.load = 1.0;
        for (plate, share) in &u.bearers {
            self.loads[*plate] += share * u.weight_g;
        }
    }

    /// All that was taken stays on the floor.
    pub(super) fn abandon(&mut self, p: usize) {
        let here = self.people[p].position;
        for unit in self.stock.held(p) {
            if !self.stock.units[unit].brought {
                self.stock.put_down(unit, vec3(here.x, here.y, 0.15));
            }
        }
        self.people[p].origins.clear();
    }
}
