//! What a camera sees of a person: an upright cylinder, hidden by fixtures and by other people.

use crate::sim::space::{Pinhole, Vec3, vec3};
use crate::sim::world::World;

#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Left, top, right, bottom, pixels.
    pub bbox: [f64; 4],
    /// Share of the body that nothing hides.
    pub visible: f64,
    pub depth: f64,
}

const ROWS: [f64; 7] = [0.03, 0.18, 0.35, 0.52, 0.68, 0.84, 0.98];

/// The box around what is to be seen of somebody; `None` where that is next to nothing.
pub(super) fn seen(world: &World, camera: &Pinhole, p: usize) -> Option<Seen> {
    let person = &world.people[p];
    let (x, y, r) = (person.position.x, person.position.y, person.radius);
    let away = vec3(x - camera.eye.x, y - camera.eye.y, 0.0).unit();
    let side = vec3(away.y, -away.x, 0.0) * (0.8 * r);
    let (mut open, mut lowest) = (0, None);
    for row in ROWS {
        for k in [-1.0, 0.0, 1.0] {
            let q = vec3(x, y, row * person.tall) + side * k;
            if in_view(camera, q) && clear(world, camera.eye, q, p) {
                open += 1;
                lowest = lowest.or(Some(row));
            }
        }
    }
    let visible = f64::from(open) / (ROWS.len() * 3) as f64;
    let lowest = lowest?;
    // Where the legs are hidden, the box ends above them.
    let from = if lowest < 0.1 {
        0.0
    } else {
        (lowest - 0.08) * person.tall
    };
    let mut bbox = [
        f64::INFINITY,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
    ];
    let mut depth = 0.0;
    for step in 0..12 {
        let angle = std::f64::consts::TAU * f64::from(step) / 12.0;
        let (dx, dy) = (r * libm::cos(angle), r * libm::sin(angle));
        // Shoulders are narrower at the head, feet narrower than the body.
        for (z, k) in [(from, 0.8), (0.55 * person.tall, 1.0), (person.tall, 0.55)] {
            let (u, v, d) = camera.project(vec3(x + k * dx, y + k * dy, z.max(from)))?;
            bbox = [
                bbox[0].min(u),
                bbox[1].min(v),
                bbox[2].max(u),
                bbox[3].max(v),
            ];
            depth = d;
        }
    }
    let bbox = clip(bbox, camera)?;
    Some(Seen {
        bbox,
        visible,
        depth,
    })
}

pub(super) fn clip(b: [f64; 4], camera: &Pinhole) -> Option<[f64; 4]> {
    let out = [
        b[0].clamp(0.0, camera.width),
        b[1].clamp(0.0, camera.height),
        b[2].clamp(0.0, camera.width),
        b[3].clamp(0.0, camera.height),
    ];
    (out[2] - out[0] > 4.0 && out[3] - out[1] > 4.0).then_some(out)
}

fn in_view(camera: &Pinhole, p: Vec3) -> bool {
    camera.project(p).is_some_and(|(u, v, _)| {
        (0.0..=camera.width).contains(&u) && (0.0..=camera.height).contains(&v)
    })
}

/// Whether the straight line from the eye meets neither a fixture nor a person but `own`.
pub(super) fn clear(world: &World, eye: Vec3, p: Vec3, own: usize) -> bool {
    clear_of_fixtures(world, eye, p) && clear_of_people(world, eye, p, own)
}

pub(super) fn clear_of_fixtures(world: &World, eye: Vec3, p: Vec3) -> bool {
    let steps = ((p - eye).length() / 0.08).ceil() as usize;
    let (from, to) = (eye.floor(), p.floor());
    let fixtures = world.shop.fixtures.iter();
    // Most of a hall is nowhere near.
    let mut near = fixtures.filter(|f| f.near(from, to));
    // The last few centimetres are the body's own.
    !near.any(|f| {
        (1..steps).any(|s| {
            let q = eye.lerp(p, s as f64 / steps as f64);
            q.z <= 2.0 && q.z < f.height && f.covers(q.floor(), -0.02)
        })
    })
}

pub(super) fn clear_of_people(world: &World, eye: Vec3, p: Vec3, own: usize) -> bool {
    let (dx, dy) = (p.x - eye.x, p.y - eye.y);
    let len = (dx * dx + dy * dy).max(1e-9);
    !world.people.iter().enumerate().any(|(n, o)| {
        if n == own || !o.present {
            return false;
        }
        let t = ((o.position.x - eye.x) * dx + (o.position.y - eye.y) * dy) / len;
        if !(0.02..0.97).contains(&t) {
            return false;
        }
        let (x, y) = (eye.x + t * dx - o.position.x, eye.y + t * dy - o.position.y);
        let r = 0.9 * o.radius;
        x * x + y * y < r * r && eye.z + t * (p.z - eye.z) < o.tall
    })
}

pub(super) fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let w = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let h = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |c: &[f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    w * h / (area(a) + area(b) - w * h)
}
