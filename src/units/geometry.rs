//! The plane: points and polygons on the floor (metres) or in an image (pixels), and the
//! homography between the two.

use serde::{Deserialize, Serialize};

/// A point; metres on the floor plan or pixels in an image, as its owner says.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

impl Point {
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    pub fn distance(self, other: Self) -> f64 {
        (self - other).norm()
    }

    pub fn norm(self) -> f64 {
        (self.x * self.x + self.y * self.y).sqrt()
    }

    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y
    }

    /// The z component of the cross product: positive where `other` lies to the left.
    pub fn cross(self, other: Self) -> f64 {
        self.x * other.y - self.y * other.x
    }

    pub fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

impl std::ops::Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

impl std::ops::Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }
}

impl std::ops::Mul<f64> for Point {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self::new(self.x * factor, self.y * factor)
    }
}

/// A directed stretch of straight line, such as the front of a gondola.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub from: Point,
    pub to: Point,
}

impl Segment {
    pub fn length(self) -> f64 {
        self.from.distance(self.to)
    }

    /// The point `along` metres from the start.
    pub fn at(self, along: f64) -> Point {
        let length = self.length();
        if length > 0.0 {
            self.from + (self.to - self.from) * (along / length)
        } else {
            self.from
        }
    }

    /// How far along the segment, and how far from its line, a point lies: `(along, off)`.
    /// `off` is positive to the right of the direction of travel, which is where shoppers stand
    /// whose left-to-right the direction is.
    pub fn along_off(self, p: Point) -> (f64, f64) {
        let length = self.length();
        if length <= 0.0 {
            return (0.0, self.from.distance(p));
        }
        let unit = (self.to - self.from) * (1.0 / length);
        let to_p = p - self.from;
        (unit.dot(to_p), -unit.cross(to_p))
    }

    /// Distance from a point to the nearest point of the segment.
    pub fn distance(self, p: Point) -> f64 {
        let (along, _) = self.along_off(p);
        self.at(along.clamp(0.0, self.length())).distance(p)
    }
}

/// A closed polygon without its first point repeated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Polygon(pub Vec<Point>);

impl Polygon {
    /// Whether a point lies inside (even-odd rule; points on an edge may fall either way).
    pub fn contains(&self, p: Point) -> bool {
        let mut inside = false;
        for (a, b) in self.edges() {
            if (a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x {
                inside = !inside;
            }
        }
        inside
    }

    /// Distance from a point to the polygon: zero inside.
    pub fn distance(&self, p: Point) -> f64 {
        if self.contains(p) {
            return 0.0;
        }
        self.edges()
            .map(|(from, to)| Segment { from, to }.distance(p))
            .fold(f64::INFINITY, f64::min)
    }

    /// Unsigned area.
    pub fn area(&self) -> f64 {
        (self.edges().map(|(a, b)| a.cross(b)).sum::<f64>() / 2.0).abs()
    }

    pub fn edges(&self) -> impl Iterator<Item = (Point, Point)> + '_ {
        let next = self.0.iter().cycle().skip(1);
        self.0.iter().zip(next).map(|(a, b)| (*a, *b))
    }

    /// The smallest box around all points; `None` without points.
    pub fn bounds(&self) -> Option<BBox> {
        let first = *self.0.first()?;
        let seed = BBox::new(first.x, first.y, first.x, first.y);
        Some(self.0.iter().fold(seed, |b, p| {
            BBox::new(b.x0.min(p.x), b.y0.min(p.y), b.x1.max(p.x), b.y1.max(p.y))
        }))
    }
}

/// An axis-parallel box in an image, pixels from the top left: `x0 <= x1`, `y0 <= y1`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BBox {
    pub x0: f64,
    pub y0: f64,
    pub x1: f64,
    pub y1: f64,
}

impl BBox {
    pub const fn new(x0: f64, y0: f64, x1: f64, y1: f64) -> Self {
        Self { x0, y0, x1, y1 }
    }

    pub fn width(self) -> f64 {
        self.x1 - self.x0
    }

    pub fn height(self) -> f64 {
        self.y1 - self.y0
    }

    pub fn area(self) -> f64 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    pub fn center(self) -> Point {
        Point::new((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }

    /// The middle of the lower edge, where a standing body comes nearest to the floor.
    pub fn foot(self) -> Point {
        Point::new((self.x0 + self.x1) / 2.0, self.y1)
    }

    pub fn intersection(self, other: Self) -> f64 {
        let w = self.x1.min(other.x1) - self.x0.max(other.x0);
        let h = self.y1.min(other.y1) - self.y0.max(other.y0);
        w.max(0.0) * h.max(0.0)
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(self, other: Self) -> f64 {
        let both = self.intersection(other);
        let union = self.area() + other.area() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }

    pub fn is_finite(self) -> bool {
        [self.x0, self.y0, self.x1, self.y1]
            .iter()
            .all(|v| v.is_finite())
    }
}

/// A projective map of the plane, row by row; here always image pixels to floor metres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Homography(pub [[f64; 3]; 3]);

impl Homography {
    /// The image of a point; `None` on the horizon.
    pub fn map(&self, p: Point) -> Option<Point> {
        let [a, b, c] = self.0.map(|row| row[0] * p.x + row[1] * p.y + row[2]);
        let q = Point::new(a / c, b / c);
        (c.abs() > 1e-12 && q.is_finite()).then_some(q)
    }

    /// The third homogeneous coordinate; its sign tells the side of the horizon.
    pub fn depth(&self, p: Point) -> f64 {
        let [_, _, row] = self.0;
        row[0] * p.x + row[1] * p.y + row[2]
    }

    pub fn determinant(&self) -> f64 {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.0;
        a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    }

    /// The inverse map; `None` where the matrix is singular.
    pub fn inverse(&self) -> Option<Self> {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.0;
        let det = self.determinant();
        if !det.is_normal() {
            return None;
        }
        let s = 1.0 / det;
        Some(Self([
            [
                (e * i - f * h) * s,
                (c * h - b * i) * s,
                (b * f - c * e) * s,
            ],
            [
                (f * g - d * i) * s,
                (a * i - c * g) * s,
                (c * d - a * f) * s,
            ],
            [
                (d * h - e * g) * s,
                (b * g - a * h) * s,
                (a * e - b * d) * s,
            ],
        ]))
    }

    /// The map's derivative at a point, as `[[dX/dx, dX/dy], [dY/dx, dY/dy]]`: floor metres per
    /// pixel, by which a pixel error becomes a floor error. `None` on the horizon.
    pub fn jacobian(&self, p: Point) -> Option<[[f64; 2]; 2]> {
        let q = self.map(p)?;
        let w = self.depth(p);
        let [r0, r1, r2] = self.0;
        Some([
            [(r0[0] - q.x * r2[0]) / w, (r0[1] - q.x * r2[1]) / w],
            [(r1[0] - q.y * r2[0]) / w, (r1[1] - q.y * r2[1]) / w],
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homography_inverts() {
        let h = Homography([[0.02, 0.001, -3.0], [0.0, 0.03, -2.0], [0.0001, 0.002, 1.0]]);
        let back = h.inverse().unwrap();
        for p in [Point::new(10.0, 20.0), Point::new(640.0, 360.0)] {
            let q = back.map(h.map(p).unwrap()).unwrap();
            assert!(p.distance(q) < 1e-6);
        }
        assert!(
            Homography([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 1.0]])
                .inverse()
                .is_none()
        );
    }

    #[test]
    fn shoppers_stand_on_the_positive_side_of_a_front() {
        let front = Segment {
            from: Point::new(0.0, 3.0),
            to: Point::new(2.0, 3.0),
        };
        let (along, off) = front.along_off(Point::new(0.5, 2.4));
        assert!((along - 0.5).abs() < 1e-9 && (off - 0.6).abs() < 1e-9);
    }
}
