//! A shelf's outline in a picture: the first half of its points runs along the upper edge from the
//! shelf's left end to its right end as a shopper sees it, the second half back along the lower.

use serde::{Deserialize, Serialize};

use crate::ids::ShelfIx;
use crate::store::Store;
use crate::units::{Point, Polygon};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Region {
    shelf: ShelfIx,
    outline: Polygon,
    /// Quadrilaterals from left to right: upper left, upper right, lower right, lower left.
    cells: Vec<[Point; 4]>,
    length: f64,
}

impl Region {
    pub(super) fn new(store: &Store, shelf: ShelfIx, outline: &Polygon) -> Self {
        let points = &outline.0;
        let half = points.len() / 2;
        let upper: Vec<Point> = points.iter().take(half).copied().collect();
        let lower: Vec<Point> = points.iter().skip(half).rev().take(half).copied().collect();
        let cells = upper.windows(2).zip(lower.windows(2));
        let cells = cells.map(|(u, l)| [u[0], u[1], l[1], l[0]]).collect();
        let length = store.gondola_of(shelf).front.length();
        Self {
            shelf,
            outline: outline.clone(),
            cells,
            length,
        }
    }

    pub(super) fn shelf(&self) -> ShelfIx {
        self.shelf
    }

    /// How far along the shelf a point in its outline lies, metres.
    pub(super) fn along(&self, p: Point) -> Option<f64> {
        self.outline.contains(p).then(|| self.nearest(p).0)
    }

    /// How far along the shelf the nearest of its places is, metres, and its distance, pixels.
    pub(super) fn nearest(&self, p: Point) -> (f64, f64) {
        let cells = self.cells.len().max(1) as f64;
        let mut best = (self.length / 2.0, f64::INFINITY);
        for (i, cell) in self.cells.iter().enumerate() {
            let part = across(cell, p);
            let along = (i as f64 + part) / cells * self.length;
            let middle = |a: Point, b: Point| a + (b - a) * part;
            let (top, bottom) = (middle(cell[0], cell[1]), middle(cell[3], cell[2]));
            let spine = crate::units::Segment {
                from: top,
                to: bottom,
            };
            let distance = spine.distance(p);
            if distance < best.1 {
                best = (along, distance);
            }
        }
        let distance = if self.outline.contains(p) {
            0.0
        } else {
            best.1
        };
        (best.0, distance)
    }
}

/// How far across a cell, 0 at its left edge to 1 at its right, a point lies: by its distances
/// from the two edges.
fn across([ul, ur, lr, ll]: &[Point; 4], p: Point) -> f64 {
    let off = |a: Point, b: Point| {
        let d = b - a;
        d.cross(p - a) / d.norm().max(1e-9)
    };
    // Clockwise in the picture, whose y runs down: left edge upwards, right edge downwards.
    let (left, right) = (off(*ll, *ul), off(*ur, *lr));
    let sum = left + right;
    if sum.abs() < 1e-9 {
        0.5
    } else {
        (left / sum).clamp(0.0, 1.0)
    }
}
