//! A homography from measured points: the normalised direct linear transform, least squares
//! (Hartley and Zisserman, Multiple View Geometry, algorithm 4.2).

use crate::units::{Homography, Point};

type Matrix<const N: usize> = [[f64; N]; N];

/// Below this share of the largest, an eigenvalue is nothing but rounding: the points leave the
/// map undetermined.
const RANK: f64 = 1e-9;

/// The homography that maps each first point to its second, by least squares; `None` where fewer
/// than four pairs, or points on one line, leave it undetermined.
pub(super) fn homography(pairs: &[(Point, Point)]) -> Option<Homography> {
    if pairs.len() < 4 {
        return None;
    }
    let from = Normalizer::of(pairs.iter().map(|(from, _)| *from))?;
    let to = Normalizer::of(pairs.iter().map(|(_, to)| *to))?;
    let mut normal = [[0.0; 9]; 9];
    for (p, q) in pairs {
        let (p, q) = (from.apply(*p), to.apply(*q));
        let up = [p.x, p.y, 1.0, 0.0, 0.0, 0.0, -q.x * p.x, -q.x * p.y, -q.x];
        let down = [0.0, 0.0, 0.0, p.x, p.y, 1.0, -q.y * p.x, -q.y * p.y, -q.y];
        for row in [up, down] {
            for (line, a) in normal.iter_mut().zip(row) {
                for (cell, b) in line.iter_mut().zip(row) {
                    *cell += a * b;
                }
            }
        }
    }
    let h = least_eigenvector(normal)?;
    let inner = [[h[0], h[1], h[2]], [h[3], h[4], h[5]], [h[6], h[7], h[8]]];
    let map = product(to.inverse_matrix(), product(inner, from.matrix()));
    scaled(map, pairs[0].0)
}

/// How far from its measured place each point comes to lie.
pub(super) fn errors(map: &Homography, pairs: &[(Point, Point)]) -> Vec<f64> {
    let off =
        |(from, to): &(Point, Point)| map.map(*from).map_or(f64::INFINITY, |p| p.distance(*to));
    pairs.iter().map(off).collect()
}

/// How far from singular a homography is over an image of this size: 1 for the best, 0 for one
/// that maps the image onto a line.
pub(super) fn conditioning(map: &Homography, width: f64, height: f64) -> f64 {
    let rows = map.0.map(|[a, b, c]| [a * width, b * height, c]);
    let norms = rows.map(|row| row.iter().map(|v| v * v).sum::<f64>().sqrt());
    let volume = norms.iter().product::<f64>();
    let share = Homography(rows).determinant().abs() / volume;
    if share.is_finite() { share } else { 0.0 }
}

/// The scale at which the third coordinate of a point seen is 1: its sign then tells the visible
/// side of the horizon.
fn scaled(map: Matrix<3>, seen: Point) -> Option<Homography> {
    let depth = Homography(map).depth(seen);
    let map = Homography(map.map(|row| row.map(|v| v / depth)));
    let finite = map.0.iter().flatten().all(|v| v.is_finite());
    (finite && map.determinant().is_normal()).then_some(map)
}

/// Moves points to around zero, at a mean distance of √2.
struct Normalizer {
    center: Point,
    scale: f64,
}

impl Normalizer {
    fn of(points: impl Iterator<Item = Point> + Clone) -> Option<Self> {
        let count = points.clone().count() as f64;
        let sum = points.clone().fold(Point::default(), |sum, p| sum + p);
        let center = sum * (1.0 / count);
        let spread = points.map(|p| p.distance(center)).sum::<f64>() / count;
        let scale = std::f64::consts::SQRT_2 / spread;
        scale.is_finite().then_some(Self { center, scale })
    }

    fn apply(&self, p: Point) -> Point {
        (p - self.center) * self.scale
    }

    fn matrix(&self) -> Matrix<3> {
        let (s, c) = (self.scale, self.center);
        [[s, 0.0, -s * c.x], [0.0, s, -s * c.y], [0.0, 0.0, 1.0]]
    }

    fn inverse_matrix(&self) -> Matrix<3> {
        let (s, c) = (1.0 / self.scale, self.center);
        [[s, 0.0, c.x], [0.0, s, c.y], [0.0, 0.0, 1.0]]
    }
}

fn product(a: Matrix<3>, b: Matrix<3>) -> Matrix<3> {
    a.map(|row| std::array::from_fn(|j| (0..3).map(|k| row[k] * b[k][j]).sum()))
}

/// The eigenvector of a symmetric matrix's least eigenvalue, by Jacobi rotations; `None` where
/// the second least is as small.
fn least_eigenvector(mut a: Matrix<9>) -> Option<[f64; 9]> {
    // Rows are the vectors.
    let mut vectors: Matrix<9> =
        std::array::from_fn(|i| std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 }));
    // Converges quadratically: eight sweeps are plenty for nine rows.
    for _sweep in 0..20 {
        for p in 0..8 {
            for q in p + 1..9 {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    let mut order: [usize; 9] = std::array::from_fn(|i| i);
    order.sort_by(|i, j| a[*i][*i].total_cmp(&a[*j][*j]));
    let second = a[order[1]][order[1]];
    let largest = a[order[8]][order[8]];
    (second > RANK * largest).then(|| vectors[order[0]])
}

/// Turns the plane of two axes so that their element off the diagonal becomes zero.
fn rotate(a: &mut Matrix<9>, vectors: &mut Matrix<9>, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    let turn = |x: f64, y: f64| (c * x - s * y, s * x + c * y);
    for row in a.iter_mut() {
        (row[p], row[q]) = turn(row[p], row[q]);
    }
    for k in 0..9 {
        (a[p][k], a[q][k]) = turn(a[p][k], a[q][k]);
        (vectors[p][k], vectors[q][k]) = turn(vectors[p][k], vectors[q][k]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(map: &Homography, pixels: &[(f64, f64)]) -> Vec<(Point, Point)> {
        let points = pixels.iter().map(|(x, y)| Point::new(*x, *y));
        points.map(|p| (p, map.map(p).unwrap())).collect()
    }

    const CAMERA: Homography =
        Homography([[0.02, 0.001, -3.0], [0.0, 0.03, -2.0], [0.0001, 0.002, 1.0]]);

    #[test]
    fn points_on_a_line_determine_nothing() {
        let line = [
            (10.0, 10.0),
            (20.0, 20.0),
            (30.0, 30.0),
            (40.0, 40.0),
            (90.0, 90.0),
        ];
        assert_eq!(homography(&pairs(&CAMERA, &line)), None);
        let all_but_one = [(10.0, 10.0), (20.0, 20.0), (300.0, 300.0), (400.0, 40.0)];
        assert_eq!(homography(&pairs(&CAMERA, &all_but_one)), None);
        let twice = [(10.0, 10.0), (10.0, 10.0), (300.0, 30.0), (40.0, 400.0)];
        assert_eq!(homography(&pairs(&CAMERA, &twice)), None);
        let three = [(10.0, 10.0), (20.0, 200.0), (300.0, 30.0)];
        assert_eq!(homography(&pairs(&CAMERA, &three)), None);
    }

    proptest! {
        #[test]
        fn exact_points_give_the_map_back(
            xs in prop::collection::vec((0.0..640.0, 0.0..360.0), 0..12),
            shift in (-500.0..500.0, -500.0..500.0),
        ) {
            let corners = [(0.0, 0.0), (640.0, 20.0), (600.0, 360.0), (30.0, 300.0)];
            let pixels = [&corners[..], &xs[..]].concat();
            let mut map = CAMERA;
            for i in 0..3 {
                map.0[0][i] += shift.0 * map.0[2][i];
                map.0[1][i] += shift.1 * map.0[2][i];
            }
            let pairs = pairs(&map, &pixels);
            let found = homography(&pairs).unwrap();
            prop_assert!(errors(&found, &pairs).iter().all(|e| *e < 1e-6));
            prop_assert!(found.depth(Point::new(320.0, 200.0)) > 0.0);
        }
    }
}
