//! Where a camera is off. Maps of the floor are a little wrong, lenses bend, and a body hides its
//! own feet: each camera therefore places people off by an amount that depends on where they
//! stand. What it is off against all cameras together is learned by floor cell and taken away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::Point;

/// One camera's mean error by floor cell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Biases {
    cells: BTreeMap<(i32, i32), Cell>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Cell {
    off: (f64, f64),
    n: f64,
}

/// Side of a cell, metres: errors change over about a body's width.
const CELL_M: f64 = 0.5;
/// Sights that count as much as not believing in an error at all.
const DOUBT: f64 = 12.0;
/// Sights after which the oldest are forgotten.
const MEMORY: f64 = 150.0;
/// Further off is somebody else, metres.
const FAR_M: f64 = 0.9;
const CELLS_MAX: usize = 4_000;

impl Biases {
    /// Learns that somebody who stands at `stands` was placed at `placed`.
    pub(super) fn learn(&mut self, placed: Point, stands: Point) {
        let off = placed - stands;
        let key = cell(placed);
        if off.norm() > FAR_M || (self.cells.len() >= CELLS_MAX && !self.cells.contains_key(&key)) {
            return;
        }
        let cell = self.cells.entry(key).or_default();
        cell.n = (cell.n + 1.0).min(MEMORY);
        cell.off.0 += (off.x - cell.off.0) / cell.n;
        cell.off.1 += (off.y - cell.off.1) / cell.n;
    }

    /// Where somebody stands whom this camera places here, and how much is known about that, 0 to 1.
    pub(super) fn corrected(&self, placed: Point) -> (Point, f64) {
        let Some(cell) = self.cells.get(&cell(placed)) else {
            return (placed, 0.0);
        };
        let known = cell.n / (cell.n + DOUBT);
        let off = Point::new(cell.off.0, cell.off.1);
        (placed - off * known, known)
    }
}

fn cell(p: Point) -> (i32, i32) {
    ((p.x / CELL_M).floor() as i32, (p.y / CELL_M).floor() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_always_off_is_put_right_where_it_is_off() {
        let mut biases = Biases::default();
        for _ in 0..100 {
            biases.learn(Point::new(2.3, 1.2), Point::new(2.0, 1.3));
        }
        let (here, known) = biases.corrected(Point::new(2.3, 1.2));
        assert!(here.distance(Point::new(2.0, 1.3)) < 0.05 && known > 0.8);
        let elsewhere = Point::new(4.0, 1.2);
        assert_eq!(biases.corrected(elsewhere), (elsewhere, 0.0));
    }
}
