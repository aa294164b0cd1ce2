//! One person: a Kalman filter for each floor coordinate with a velocity that dies away, the
//! person's appearance, and where he was.

use std::collections::BTreeSet;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Fix;
use crate::ids::CameraIx;
use crate::observation::Detection;
use crate::units::{BBox, Homography, Point, TimeDelta, Timestamp};

/// A person in one frame of one camera, on the floor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sight {
    pub(super) position: Point,
    /// Standard deviation of each coordinate, metres.
    pub(super) sigma: Point,
    pub(super) score: f64,
    /// The box ends at the image's lower edge: the feet are not in the picture.
    pub(super) cut: bool,
    pub(super) embedding: Vec<f32>,
    pub(super) bbox: BBox,
}

/// How far behind the lower edge of his box a body meets the floor, metres: a body's radius.
const BODY_RADIUS_M: f64 = 0.15;
/// The widest that a whole person's box is, of its height, arms out.
const WHOLE_ASPECT: f64 = 0.62;
/// How much nearer a person is whose feet the picture cuts off, metres, on average.
const CUT_SHIFT_M: f64 = 0.5;
/// A box's edges are off by about so much of its height.
const JITTER: f64 = 0.03;

impl Sight {
    pub(super) fn new(
        floor_from_image: &Homography,
        image: (u32, u32),
        detection: &Detection,
    ) -> Option<Self> {
        let foot = detection.bbox.foot();
        let on_floor = floor_from_image.map(foot)?;
        let j = floor_from_image.jacobian(foot)?;
        let away = Point::new(-j[0][1], -j[1][1]);
        let away = away * (1.0 / away.norm().max(1e-9));
        let (width, height) = (f64::from(image.0), f64::from(image.1));
        let aspect = detection.bbox.width() / detection.bbox.height().max(1.0);
        let at_side = detection.bbox.x0 < 2.0 || detection.bbox.x1 > width - 2.0;
        // A box as wide as that shows no whole person: furniture or the picture hides the legs.
        let cut = detection.bbox.y1 > 0.975 * height || aspect > WHOLE_ASPECT;
        let pixels = 2.0 + JITTER * detection.bbox.height();
        let (du, dv) = (
            pixels,
            if cut {
                pixels + 0.2 * detection.bbox.height()
            } else {
                pixels
            },
        );
        let sigma = |row: [f64; 2]| {
            let var = (row[0] * du) * (row[0] * du) + (row[1] * dv) * (row[1] * dv);
            (var + 0.12 * 0.12).sqrt()
        };
        let mut sigma = Point::new(sigma(j[0]), sigma(j[1]));
        if cut {
            sigma = sigma + Point::new(away.x.abs(), away.y.abs()) * 0.7;
        }
        if at_side {
            sigma = sigma + Point::new(away.y.abs(), away.x.abs()) * 0.3;
        }
        // Feet below the picture are nearer to the camera than the box's edge says.
        let shift = if cut { -CUT_SHIFT_M } else { BODY_RADIUS_M };
        let position = on_floor + away * shift;
        (position.is_finite() && sigma.is_finite() && sigma.norm() < 3.0).then(|| Self {
            position,
            sigma,
            score: detection.score,
            cut,
            embedding: detection.embedding.clone(),
            bbox: detection.bbox,
        })
    }
}

/// Position and velocity of one coordinate with their covariance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Axis {
    x: f64,
    v: f64,
    xx: f64,
    xv: f64,
    vv: f64,
}

/// Standard deviation of a shopper's acceleration, m/s².
const ACCELERATION: f64 = 1.6;
/// Within this time an unseen walk dies away, seconds.
const STOPPING_S: f64 = 1.0;

impl Axis {
    fn new(x: f64, sigma: f64) -> Self {
        Self {
            x,
            v: 0.0,
            xx: sigma * sigma,
            xv: 0.0,
            vv: 0.8 * 0.8,
        }
    }

    fn predicted(self, dt: f64) -> Self {
        let dt = dt.clamp(0.0, 60.0);
        let damp = libm::exp(-dt / STOPPING_S);
        // Distance that a velocity dying away still covers.
        let run = STOPPING_S * (1.0 - damp);
        let q = ACCELERATION * ACCELERATION;
        let steps = dt.min(STOPPING_S);
        Self {
            x: self.x + self.v * run,
            v: self.v * damp,
            xx: self.xx
                + 2.0 * run * self.xv
                + run * run * self.vv
                + q * steps * steps * steps / 3.0
                + 0.15 * (dt - steps),
            xv: damp * (self.xv + run * self.vv) + q * steps * steps / 2.0,
            vv: damp * damp * self.vv + q * steps,
        }
    }

    fn corrected(self, z: f64, sigma: f64) -> Self {
        let s = self.xx + sigma * sigma;
        let (kx, kv) = (self.xx / s, self.xv / s);
        let y = z - self.x;
        Self {
            x: self.x + kx * y,
            v: (self.v + kv * y).clamp(-3.0, 3.0),
            xx: (1.0 - kx) * self.xx,
            xv: (1.0 - kx) * self.xv,
            vv: (self.vv - kv * self.xv).max(1e-4),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Person {
    x: Axis,
    y: Axis,
    at: Timestamp,
    first: (Timestamp, Point),
    last_seen: Timestamp,
    last_by: (CameraIx, Timestamp),
    hits: u32,
    cameras: BTreeSet<CameraIx>,
    /// Frames in which this and the nearest other person were seen by one camera at once.
    pub(super) apart: u32,
    /// He has been in the shop itself, beyond the doors.
    pub(super) been_inside: bool,
    embedding: Vec<f32>,
    fixes: VecDeque<Fix>,
}

const FIX_SPACING: TimeDelta = TimeDelta::from_millis(90);
const FIXES_KEPT: TimeDelta = TimeDelta::from_millis(150_000);

impl Person {
    pub(super) fn new(camera: CameraIx, at: Timestamp, sight: &Sight) -> Self {
        let p = sight.position;
        let mut person = Self {
            x: Axis::new(p.x, sight.sigma.x),
            y: Axis::new(p.y, sight.sigma.y),
            at,
            first: (at, p),
            last_seen: at,
            last_by: (camera, at),
            hits: 1,
            cameras: BTreeSet::from([camera]),
            apart: 0,
            been_inside: false,
            embedding: sight.embedding.clone(),
            fixes: VecDeque::new(),
        };
        person.note();
        person
    }

    pub(super) fn position(&self) -> Point {
        Point::new(self.x.x, self.y.x)
    }

    pub(super) fn velocity(&self) -> Point {
        Point::new(self.x.v, self.y.v)
    }

    pub(super) fn position_at(&self, at: Timestamp) -> Point {
        let dt = at.secs_since(self.at);
        Point::new(self.x.predicted(dt).x, self.y.predicted(dt).x)
    }

    pub(super) fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    pub(super) fn first_seen(&self) -> Timestamp {
        self.first.0
    }

    pub(super) fn first_position(&self) -> Point {
        self.first.1
    }

    pub(super) fn age(&self) -> TimeDelta {
        self.last_seen - self.first.0
    }

    pub(super) fn hits(&self) -> u32 {
        self.hits
    }

    pub(super) fn cameras(&self) -> usize {
        self.cameras.len()
    }

    pub(super) fn seen_by_at(&self, camera: CameraIx, at: Timestamp) -> bool {
        self.last_by == (camera, at)
    }

    /// Squared Mahalanobis distance of a sight at an instant, and the distance in metres.
    pub(super) fn distance(&self, sight: &Sight, at: Timestamp) -> (f64, f64) {
        let dt = at.secs_since(self.at);
        let (x, y) = (self.x.predicted(dt), self.y.predicted(dt));
        let (dx, dy) = (sight.position.x - x.x, sight.position.y - y.x);
        let sx = x.xx + sight.sigma.x * sight.sigma.x;
        let sy = y.xx + sight.sigma.y * sight.sigma.y;
        let metres = (dx * dx + dy * dy).sqrt();
        (dx * dx / sx + dy * dy / sy, metres)
    }

    /// Cosine of two appearances, where both are known.
    pub(super) fn likeness(&self, other: &Self) -> Option<f64> {
        cosine(&self.embedding, &other.embedding)
    }

    pub(super) fn looks_like(&self, sight: &Sight) -> Option<f64> {
        cosine(&self.embedding, &sight.embedding)
    }

    pub(super) fn see(&mut self, camera: CameraIx, at: Timestamp, sight: &Sight) {
        let dt = at.secs_since(self.at);
        self.x = self
            .x
            .predicted(dt)
            .corrected(sight.position.x, sight.sigma.x);
        self.y = self
            .y
            .predicted(dt)
            .corrected(sight.position.y, sight.sigma.y);
        self.at = self.at.max(at);
        self.last_seen = self.last_seen.max(at);
        self.last_by = (camera, at);
        self.hits = self.hits.saturating_add(1);
        self.cameras.insert(camera);
        if self.embedding.is_empty() {
            self.embedding.clone_from(&sight.embedding);
        } else if self.embedding.len() == sight.embedding.len() {
            for (mine, seen) in self.embedding.iter_mut().zip(&sight.embedding) {
                *mine += 0.1 * (seen - *mine);
            }
        }
        self.note();
    }

    /// Goes on as the person who was found again.
    pub(super) fn resume(&mut self, found: Self) {
        let (first, hits, been_inside) = (self.first, self.hits, self.been_inside);
        let mut fixes = std::mem::take(&mut self.fixes);
        fixes.retain(|f| f.at < found.first.0);
        fixes.extend(found.fixes.iter().copied());
        let embedding = std::mem::take(&mut self.embedding);
        *self = found;
        self.first = first;
        self.been_inside |= been_inside;
        self.hits = self.hits.saturating_add(hits);
        self.fixes = fixes;
        if self.embedding.is_empty() {
            self.embedding = embedding;
        }
    }

    fn note(&mut self) {
        let sigma = ((self.x.xx + self.y.xx) / 2.0).sqrt();
        let fix = Fix {
            at: self.at,
            position: self.position(),
            sigma,
        };
        // The newest fix is replaced until it is far enough from the one before it.
        let kept = self
            .fixes
            .len()
            .checked_sub(2)
            .and_then(|i| self.fixes.get(i));
        if kept.is_some_and(|kept| fix.at - kept.at < FIX_SPACING) {
            self.fixes.pop_back();
        }
        self.fixes.push_back(fix);
        while self
            .fixes
            .front()
            .is_some_and(|f| self.at - f.at > FIXES_KEPT)
        {
            self.fixes.pop_front();
        }
    }

    /// Since when the last fixes all fulfil a condition.
    pub(super) fn since(&self, is: impl Fn(Point) -> bool) -> Option<Timestamp> {
        self.fixes
            .iter()
            .rev()
            .take_while(|f| is(f.position))
            .last()
            .map(|f| f.at)
    }

    pub(super) fn fix_at(&self, at: Timestamp) -> Option<Fix> {
        let after = self.fixes.partition_point(|f| f.at <= at);
        let before = self.fixes.get(after.checked_sub(1)?)?;
        let Some(next) = self.fixes.get(after) else {
            let unseen = at.secs_since(before.at).min(30.0);
            let sigma = before.sigma + 0.3 * unseen;
            return Some(Fix {
                at,
                position: before.position,
                sigma,
            });
        };
        let span = next.at.secs_since(before.at);
        let part = if span > 0.0 {
            at.secs_since(before.at) / span
        } else {
            0.0
        };
        let position = before.position + (next.position - before.position) * part;
        // Between far fixes nobody knows the way.
        let sigma = before.sigma.max(next.sigma) + 0.25 * (span - 0.5).max(0.0);
        Some(Fix {
            at,
            position,
            sigma,
        })
    }
}

fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    if a.is_empty() || a.len() != b.len() {
        return None;
    }
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    (norms > 1e-9).then(|| dot(a, b) / norms)
}
