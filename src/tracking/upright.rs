//! How a standing body looks to a floor camera. The map of the floor alone gives the camera's
//! focal length and pose, where pixels are square and the principal point is the picture's middle
//! (Zhang, 2000: two constraints a plane); with them the upper edge of a box tells how tall
//! somebody is whose feet are seen, and where somebody stands whose feet are not.

use serde::{Deserialize, Serialize};

use crate::units::{BBox, Homography, Point};

/// A camera of which the vertical is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Upright {
    /// Floor to image, homogeneous; columns as long as the camera's rotation has them.
    image_from_floor: [[f64; 3]; 3],
    /// What a metre of height adds to the homogeneous image point.
    up: [f64; 3],
    /// Height of the camera above the floor, metres.
    height_m: f64,
}

/// The two directions of the floor may be off a right angle, and off equal lengths, by so much
/// before the picture's middle is not believed to be the principal point.
const SKEW_MAX: f64 = 0.06;
/// Nobody is measured from a camera lower than this, metres: heads are level with it.
const LOWEST_M: f64 = 2.2;

impl Upright {
    /// The camera behind a floor map, where it is that of a pinhole with the principal point in
    /// the middle of the picture.
    pub(super) fn new(floor_from_image: &Homography, (width, height): (u32, u32)) -> Option<Self> {
        let g = floor_from_image.inverse()?.0;
        let (cx, cy) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
        let centred = |column: usize| {
            let w = g[2][column];
            [g[0][column] - cx * w, g[1][column] - cy * w, w]
        };
        let (a, b) = (centred(0), centred(1));
        // a·b = 0 and |a| = |b| once x and y are divided by the focal length: least squares.
        let p = [
            a[0] * b[0] + a[1] * b[1],
            a[0] * a[0] + a[1] * a[1] - b[0] * b[0] - b[1] * b[1],
        ];
        let q = [a[2] * b[2], a[2] * a[2] - b[2] * b[2]];
        let focal2 = -(p[0] * p[0] + p[1] * p[1]) / (p[0] * q[0] + p[1] * q[1]);
        if !(focal2.is_finite() && focal2 > 0.0) {
            return None;
        }
        let f = focal2.sqrt();
        let ray = |v: [f64; 3]| [v[0] / f, v[1] / f, v[2]];
        let (r1, r2, t) = (ray(a), ray(b), ray(centred(2)));
        let (n1, n2) = (norm(r1), norm(r2));
        let scale = 2.0 / (n1 + n2);
        let skew = dot(r1, r2) / (n1 * n2);
        if skew.abs() > SKEW_MAX || (n1 / n2 - 1.0).abs() > SKEW_MAX {
            return None;
        }
        let times = |v: [f64; 3], s: f64| v.map(|x| x * s);
        let (r1, r2, t) = (times(r1, scale), times(r2, scale), times(t, scale));
        let r3 = cross(r1, r2);
        // The sign of the whole is free: the camera is above the floor.
        let height_m = -dot(r3, t);
        let sign = if height_m < 0.0 { -1.0 } else { 1.0 };
        // Turning all signs turns the two directions and the translation, never their product.
        let s = scale * sign;
        let image_from_floor = g.map(|row| row.map(|x| x * s));
        let up = [f * r3[0] + cx * r3[2], f * r3[1] + cy * r3[2], r3[2]];
        (height_m.abs() > LOWEST_M).then_some(Self {
            image_from_floor,
            up,
            height_m: height_m.abs(),
        })
    }

    /// How tall somebody is who stands at a place and whose head the box's upper edge touches,
    /// metres.
    pub(super) fn tall(&self, stands: Point, bbox: BBox) -> Option<f64> {
        let [_, row, last] = self
            .image_from_floor
            .map(|r| r[0] * stands.x + r[1] * stands.y + r[2]);
        let tall = (bbox.y0 * last - row) / (self.up[1] - bbox.y0 * self.up[2]);
        (tall.is_finite() && tall > 0.2 && tall < 2.6).then_some(tall)
    }

    /// Where somebody stands who is so tall and whose head the box's upper edge touches, and how
    /// far a metre of his height moves that, metres.
    pub(super) fn stands(&self, tall: f64, bbox: BBox) -> Option<(Point, Point)> {
        let head = Point::new((bbox.x0 + bbox.x1) / 2.0, bbox.y0);
        let at = |tall: f64| {
            let mut plane = self.image_from_floor;
            for (row, up) in plane.iter_mut().zip(self.up) {
                row[2] += tall * up;
            }
            Homography(plane).inverse()?.map(head)
        };
        let (here, taller) = (at(tall)?, at(tall + 0.1)?);
        Some((here, (taller - here) * 10.0))
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn norm(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera 3 m above (1, -2) that looks along y, 35° down, with a focal length of 500.
    fn camera(point: [f64; 3]) -> Point {
        let (sin, cos) = (0.573_576_436_351_046, 0.819_152_044_288_992);
        let [x, y, z] = [point[0] - 1.0, point[1] + 2.0, point[2] - 3.0];
        let (right, down, ahead) = (x, -sin * y - cos * z, cos * y - sin * z);
        Point::new(320.0 + 500.0 * right / ahead, 180.0 + 500.0 * down / ahead)
    }

    fn floor_map() -> Homography {
        let (sin, cos) = (0.573_576_436_351_046, 0.819_152_044_288_992);
        // Columns: the images of the floor's directions and of its origin.
        let image = |x: f64, y: f64, w: f64| {
            let (x, y, z) = (x - w, y + 2.0 * w, -3.0 * w);
            let (right, down, ahead) = (x, -sin * y - cos * z, cos * y - sin * z);
            [
                320.0 * ahead + 500.0 * right,
                180.0 * ahead + 500.0 * down,
                ahead,
            ]
        };
        let columns = [
            image(1.0, 0.0, 0.0),
            image(0.0, 1.0, 0.0),
            image(0.0, 0.0, 1.0),
        ];
        let g = [0, 1, 2].map(|r| {
            [
                columns[0][r] * -3.0,
                columns[1][r] * -3.0,
                columns[2][r] * -3.0,
            ]
        });
        Homography(g).inverse().unwrap()
    }

    #[test]
    fn a_head_tells_how_tall_and_where() {
        let upright = Upright::new(&floor_map(), (640, 360)).unwrap();
        let (foot, head) = (camera([1.4, 2.0, 0.0]), camera([1.4, 2.0, 1.8]));
        let stands = Point::new(1.4, 2.0);
        assert!(floor_map().map(foot).unwrap().distance(stands) < 1e-9);
        let bbox = BBox::new(head.x - 30.0, head.y, head.x + 30.0, foot.y);
        assert!((upright.tall(stands, bbox).unwrap() - 1.8).abs() < 1e-9);
        let (found, per_metre) = upright.stands(1.8, bbox).unwrap();
        assert!(found.distance(stands) < 1e-9);
        assert!(per_metre.norm() > 0.5);
    }

    #[test]
    fn a_map_of_no_camera_is_not_believed() {
        let plan = Homography([[0.01, 0.0, 0.0], [0.0, 0.02, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(Upright::new(&plan, (640, 360)), None);
    }
}
