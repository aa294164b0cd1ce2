//! Where one can walk: a grid of 0.1 m with shortest ways around the fixtures.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::sim::shop::Shop;
use crate::sim::space::{at, between};
use crate::units::Point;

const CELL: f64 = 0.1;
/// Half a body's width, less what people turn their shoulders.
const MARGIN: f64 = 0.2;

#[derive(Debug)]
pub(in crate::sim) struct Floor {
    low: Point,
    wide: usize,
    tall: usize,
    free: Vec<bool>,
}

impl Floor {
    pub(in crate::sim) fn new(shop: &Shop) -> Self {
        let wide = ((shop.high.x - shop.low.x) / CELL).ceil() as usize;
        let tall = ((shop.high.y - shop.low.y) / CELL).ceil() as usize;
        let mut floor = Self {
            low: shop.low,
            wide,
            tall,
            free: Vec::new(),
        };
        floor.free = (0..wide * tall)
            .map(|n| walkable(shop, floor.centre(n)))
            .collect();
        floor
    }

    fn centre(&self, cell: usize) -> Point {
        at(
            self.low.x + ((cell % self.wide) as f64 + 0.5) * CELL,
            self.low.y + ((cell / self.wide) as f64 + 0.5) * CELL,
        )
    }

    fn cell(&self, p: Point) -> usize {
        let x = ((p.x - self.low.x) / CELL).max(0.0) as usize;
        let y = ((p.y - self.low.y) / CELL).max(0.0) as usize;
        y.min(self.tall - 1) * self.wide + x.min(self.wide - 1)
    }

    pub(in crate::sim) fn is_free(&self, p: Point) -> bool {
        self.free[self.cell(p)]
    }

    /// Corners of a shortest way, ending at `to` or the free place nearest to it.
    pub(in crate::sim) fn way(&self, from: Point, to: Point) -> Vec<Point> {
        let (start, goal) = (self.nearest(from), self.nearest(to));
        let cells = self.shortest(start, goal);
        let end = if self.is_free(to) {
            to
        } else {
            self.centre(goal)
        };
        let mut points: Vec<Point> = cells.iter().map(|c| self.centre(*c)).collect();
        points.push(end);
        let mut out = Vec::new();
        let (mut here, mut n) = (from, 0);
        while n < points.len() {
            let far = (n..points.len())
                .rev()
                .find(|k| self.sees(here, points[*k]));
            let next = far.unwrap_or(n);
            here = points[next];
            out.push(here);
            n = next + 1;
        }
        out
    }

    fn sees(&self, a: Point, b: Point) -> bool {
        let steps = (a.distance(b) / (CELL * 0.5)).ceil() as usize;
        (1..=steps).all(|s| self.is_free(between(a, b, s as f64 / steps as f64)))
    }

    fn nearest(&self, p: Point) -> usize {
        if self.is_free(p) {
            return self.cell(p);
        }
        let by = |c: &usize| self.centre(*c).distance(p);
        let free = (0..self.free.len()).filter(|c| self.free[*c]);
        free.min_by(|a, b| by(a).total_cmp(&by(b))).unwrap_or(0)
    }

    /// Dijkstra over eight neighbours.
    fn shortest(&self, start: usize, goal: usize) -> Vec<usize> {
        let mut cost = vec![u32::MAX; self.free.len()];
        let mut from = vec![usize::MAX; self.free.len()];
        let mut heap = BinaryHeap::from([Reverse((0_u32, start))]);
        cost[start] = 0;
        while let Some(Reverse((c, cell))) = heap.pop() {
            if cell == goal {
                break;
            }
            if c > cost[cell] {
                continue;
            }
            for (next, step) in self.around(cell) {
                let price = c + step;
                if price < cost[next] {
                    cost[next] = price;
                    from[next] = cell;
                    heap.push(Reverse((price, next)));
                }
            }
        }
        let mut out = vec![goal];
        while let Some(last) = out.last().copied().filter(|l| from[*l] != usize::MAX) {
            out.push(from[last]);
        }
        out.reverse();
        out
    }

    fn around(&self, cell: usize) -> impl Iterator<Item = (usize, u32)> + '_ {
        let (x, y) = ((cell % self.wide) as i64, (cell / self.wide) as i64);
        let all = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)));
        all.filter_map(move |(dx, dy): (i64, i64)| {
            let (nx, ny) = (x + dx, y + dy);
            let inside = nx >= 0 && ny >= 0 && nx < self.wide as i64 && ny < self.tall as i64;
            let next = inside.then(|| ny as usize * self.wide + nx as usize)?;
            let step = if dx != 0 && dy != 0 { 14 } else { 10 };
            (self.free[next] && next != cell).then_some((next, step))
        })
    }
}

/// The aisles, the doorways out to the street, and the back room.
fn walkable(shop: &Shop, p: Point) -> bool {
    let aisle = shop.zones.iter().any(|z| {
        let floor = z.kinds.contains(&"aisle") || z.kinds.contains(&"staff");
        floor && z.holds(p)
    });
    let doorway = shop.doors.iter().any(|d| {
        let z = &shop.zones[d.zone];
        (z.low.x + 0.1..z.high.x - 0.1).contains(&p.x) && p.y < z.high.y + 0.1
    });
    (aisle || doorway) && !shop.fixtures.iter().any(|f| f.covers(p, MARGIN))
}
