//! Space: vectors, and the pinhole camera. Metres; x and y as on the store's floor plan, z up.

use std::ops::{Add, Mul, Sub};

use crate::units::Point;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Vec3 {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

pub(super) fn vec3(x: f64, y: f64, z: f64) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub(super) fn dot(self, o: Self) -> f64 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    pub(super) fn cross(self, o: Self) -> Self {
        vec3(
            self.y * o.z - self.z * o.y,
            self.z * o.x - self.x * o.z,
            self.x * o.y - self.y * o.x,
        )
    }

    pub(super) fn length(self) -> f64 {
        self.dot(self).sqrt()
    }

    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-9))
    }

    pub(super) fn floor(self) -> Point {
        Point {
            x: self.x,
            y: self.y,
        }
    }

    pub(super) fn lerp(self, to: Self, share: f64) -> Self {
        self + (to - self) * share
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        vec3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        vec3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul<f64> for Vec3 {
    type Output = Self;
    fn mul(self, k: f64) -> Self {
        vec3(self.x * k, self.y * k, self.z * k)
    }
}

pub(super) fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// The point at `share` of the way.
pub(super) fn between(a: Point, b: Point, share: f64) -> Point {
    at(a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share)
}

/// An upright camera without lens distortion.
#[derive(Debug, Clone)]
pub(super) struct Pinhole {
    pub eye: Vec3,
    pub forward: Vec3,
    pub right: Vec3,
    pub down: Vec3,
    /// Focal length in pixels.
    pub focal: f64,
    pub width: f64,
    pub height: f64,
}

impl Pinhole {
    pub(super) fn looking_at(eye: Vec3, target: Vec3, focal: f64, size: (f64, f64)) -> Self {
        let forward = (target - eye).unit();
        let right = forward.cross(vec3(0.0, 0.0, 1.0)).unit();
        Self {
            eye,
            forward,
            right,
            down: forward.cross(right),
            focal,
            width: size.0,
            height: size.1,
        }
    }

    /// The camera that has this homography from image to floor, with square pixels and the
    /// principal point in the middle; `None` where none has.
    pub(super) fn from_homography(h: &[[f64; 3]; 3], size: (f64, f64)) -> Option<Self> {
        let [top, middle, last] = inverse(*h);
        let less = |row: [f64; 3], k: f64| {
            let [a, b, c] = row;
            [a - k * last[0], b - k * last[1], c - k * last[2]]
        };
        let g = [less(top, size.0 / 2.0), less(middle, size.1 / 2.0), last];
        // Columns 0 and 1 are orthogonal and of one length once the first two rows are divided
        // by the focal length: two equations, least squares.
        let col = |c: usize| (g[0][c], g[1][c], g[2][c]);
        let ((a1, a2, a3), (b1, b2, b3)) = (col(0), col(1));
        let (k, m) = (a3 * b3, a3 * a3 - b3 * b3);
        let (p, q) = (a1 * b1 + a2 * b2, a1 * a1 + a2 * a2 - b1 * b1 - b2 * b2);
        let squared = -(k * p + m * q) / (k * k + m * m);
        let focal = (squared > 1.0).then(|| squared.sqrt())?;
        let column = |c: usize| vec3(g[0][c] / focal, g[1][c] / focal, g[2][c]);
        let scale = (column(0).length() + column(1).length()) / 2.0;
        let (r1, mut t) = (column(0).unit(), column(2) * (1.0 / scale));
        let r2 = (column(1) - r1 * r1.dot(column(1))).unit();
        let (mut r1, mut r2) = (r1, r2);
        let r3 = r1.cross(r2);
        // The eye is above the floor.
        if -r3.dot(t) < 0.0 {
            (r1, r2, t) = (r1 * -1.0, r2 * -1.0, t * -1.0);
        }
        Some(Self {
            eye: vec3(-r1.dot(t), -r2.dot(t), -r3.dot(t)),
            right: vec3(r1.x, r2.x, r3.x),
            down: vec3(r1.y, r2.y, r3.y),
            forward: vec3(r1.z, r2.z, r3.z),
            focal,
            width: size.0,
            height: size.1,
        })
    }

    /// Pixel of a point, and its depth; `None` behind the camera.
    pub(super) fn project(&self, p: Vec3) -> Option<(f64, f64, f64)> {
        let v = p - self.eye;
        let depth = v.dot(self.forward);
        (depth > 0.15).then(|| {
            let k = self.focal / depth;
            (
                self.width / 2.0 + k * v.dot(self.right),
                self.height / 2.0 + k * v.dot(self.down),
                depth,
            )
        })
    }

    /// The homography from image points of the floor to metres, scaled so that its largest
    /// entry is 1.
    pub(super) fn floor_from_image(&self) -> [[f64; 3]; 3] {
        let row = |axis: Vec3, k: f64, shift: f64| {
            let a = axis * k + self.forward * shift;
            [a.x, a.y, -a.dot(self.eye)]
        };
        let m = [
            row(self.right, self.focal, self.width / 2.0),
            row(self.down, self.focal, self.height / 2.0),
            row(self.forward, 0.0, 1.0),
        ];
        scaled(inverse(m))
    }
}

fn inverse(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let c = |r: usize, s: usize| {
        let (r1, r2, s1, s2) = ((r + 1) % 3, (r + 2) % 3, (s + 1) % 3, (s + 2) % 3);
        m[r1][s1] * m[r2][s2] - m[r1][s2] * m[r2][s1]
    };
    let det = m[0][0] * c(0, 0) + m[0][1] * c(0, 1) + m[0][2] * c(0, 2);
    let mut out = [[0.0; 3]; 3];
    for (r, row) in out.iter_mut().enumerate() {
        for (s, cell) in row.iter_mut().enumerate() {
            *cell = c(s, r) / det;
        }
    }
    out
}

/// Positive depth in front of the camera is kept: the scale is never negative.
fn scaled(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let largest = m.iter().flatten().fold(0.0_f64, |a, b| a.max(b.abs()));
    m.map(|row| row.map(|v| v / largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_homography_undoes_the_camera() {
        let size = (960.0, 540.0);
        let cam = Pinhole::looking_at(vec3(1.0, 2.0, 2.8), vec3(4.0, 5.0, 0.0), 700.0, size);
        let h = cam.floor_from_image();
        for (x, y) in [(4.0, 5.0), (3.0, 5.5), (5.0, 4.0)] {
            let (u, v, _) = cam.project(vec3(x, y, 0.0)).expect("in front");
            let w = h[2][0] * u + h[2][1] * v + h[2][2];
            let fx = (h[0][0] * u + h[0][1] * v + h[0][2]) / w;
            let fy = (h[1][0] * u + h[1][1] * v + h[1][2]) / w;
            assert!((fx - x).abs() < 1e-6 && (fy - y).abs() < 1e-6, "{fx} {fy}");
        }
        let back = Pinhole::from_homography(&h, size).expect("a camera");
        assert!((back.focal - 700.0).abs() < 1e-3 && (back.eye - cam.eye).length() < 1e-4);
        assert!((back.forward - cam.forward).length() < 1e-6);
        let (_, head, _) = cam.project(vec3(4.0, 5.0, 1.7)).expect("in front");
        assert!(head < 270.0, "heads are above feet in the image");
    }
}
