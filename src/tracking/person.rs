//! One person: a Kalman filter for each floor coordinate with a velocity that dies away, the
//! person's appearance, and where he was.

use std::collections::VecDeque;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Fix;
use super::bias::Biases;
use super::stature::{self, Stature};
use super::upright::Upright;
use crate::ids::CameraIx;
use crate::observation::Detection;
use crate::units::{BBox, Homography, Point, TimeDelta, Timestamp};

/// A person in one frame of one camera, on the floor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sight {
    /// Where he stands by the lower edge of his box.
    pub(super) place: Placed,
    /// The same before the camera's own error was taken away.
    raw: Point,
    pub(super) score: f64,
    /// The picture or something in it hides the feet, as far as the box alone tells.
    pub(super) cut: bool,
    /// How tall he is, metres, if he stands there.
    pub(super) tall: Option<f64>,
    pub(super) embedding: Vec<f32>,
    pub(super) bbox: BBox,
    /// Where somebody of mean height stands by the upper edge, and how far a metre of his height
    /// moves that.
    by_head: Option<(Point, Point)>,
    /// Floor metres of a pixel's error by the upper edge, about.
    head_sigma: f64,
}

/// A place on the floor and the standard deviation of each coordinate, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placed {
    pub(super) at: Point,
    pub(super) sigma: Point,
}

/// How far behind the lower edge of his box a body meets the floor, metres: a body's radius.
const BODY_RADIUS_M: f64 = 0.15;
/// The widest that a whole person's box is, of its height, arms out.
const WHOLE_ASPECT: f64 = 0.62;
/// How much nearer a person is whose feet the picture cuts off, metres, on average.
const CUT_SHIFT_M: f64 = 0.5;
/// A box's edges are off by about so much of its height.
const JITTER: f64 = 0.03;
/// Mean height of people, metres.
const MEAN_TALL_M: f64 = 1.70;
/// Two cameras place the same feet this far apart and more, metres.
const PLACED_M: f64 = 0.15;
/// Who looks shorter than he is by more than this has his feet hidden, metres.
const HIDDEN_M: f64 = 0.22;
/// Who looks shorter than this has his feet hidden rather than is a child, metres.
const CHILD_M: f64 = 1.15;

impl Sight {
    pub(super) fn new(
        floor_from_image: &Homography,
        upright: Option<&Upright>,
        image: (u32, u32),
        detection: &Detection,
    ) -> Option<Self> {
        let bbox = detection.bbox;
        let foot = bbox.foot();
        let on_floor = floor_from_image.map(foot)?;
        let j = floor_from_image.jacobian(foot)?;
        let away = Point::new(-j[0][1], -j[1][1]);
        let away = away * (1.0 / away.norm().max(1e-9));
        let (width, height) = (f64::from(image.0), f64::from(image.1));
        let aspect = bbox.width() / bbox.height().max(1.0);
        let at_side = bbox.x0 < 2.0 || bbox.x1 > width - 2.0;
        let shows_head = bbox.y0 > 2.0;
        let ends_in_picture = bbox.y1 <= 0.975 * height;
        let stands = on_floor + away * BODY_RADIUS_M;
        let upright = upright.filter(|_| shows_head);
        // The middle of a box that the picture's side cuts is not the head's.
        let by_head = upright
            .filter(|_| !at_side)
            .and_then(|u| u.stands(MEAN_TALL_M, bbox));
        let tall = upright
            .filter(|_| ends_in_picture)
            .and_then(|u| u.tall(stands, bbox));
        let cut = !ends_in_picture
            || match tall {
                Some(tall) => tall < CHILD_M,
                // A box as wide as that shows no whole person: furniture hides the legs.
                None => shows_head && !at_side && aspect > WHOLE_ASPECT,
            };
        let pixels = 2.0 + JITTER * bbox.height();
        let hidden = if cut { 0.2 * bbox.height() } else { 0.0 };
        let sigma = |row: [f64; 2]| {
            let (du, dv) = (pixels, pixels + hidden);
            let var = (row[0] * du) * (row[0] * du) + (row[1] * dv) * (row[1] * dv);
            (var + PLACED_M * PLACED_M).sqrt()
        };
        let mut sigma = Point::new(sigma(j[0]), sigma(j[1]));
        if cut {
            sigma = sigma + Point::new(away.x.abs(), away.y.abs()) * 0.7;
        }
        if at_side {
            sigma = sigma + Point::new(away.y.abs(), away.x.abs()) * 0.3;
        }
        // Feet below the picture are nearer to the camera than the box's edge says.
        let at = if cut {
            on_floor + away * -CUT_SHIFT_M
        } else {
            stands
        };
        let place = Placed { at, sigma };
        // Heads near the camera's own height are placed by few pixels.
        let lower = BBox::new(bbox.x0, bbox.y0 + pixels, bbox.x1, bbox.y1);
        let head_sigma = upright
            .and_then(|u| u.stands(MEAN_TALL_M, lower))
            .zip(by_head)
            .map_or(0.0, |((off, _), (at, _))| off.distance(at).min(5.0));
        let usable = at.is_finite() && sigma.is_finite() && sigma.norm() < 3.0;
        (usable || by_head.is_some_and(|_| head_sigma < 1.5)).then(|| Self {
            place,
            raw: at,
            score: detection.score,
            cut,
            tall,
            embedding: detection.embedding.clone(),
            bbox,
            by_head,
            head_sigma,
        })
    }

    /// Takes away what the camera is known to be off by.
    pub(super) fn correct(&mut self, biases: &Biases) {
        if !self.cut {
            (self.place.at, _) = biases.corrected(self.raw);
        }
    }

    /// Where the camera itself places the feet of somebody as tall as that, where they are seen.
    pub(super) fn placed_by_feet(&self, stature: &Stature) -> Option<Point> {
        let hidden = self.cut || (self.tall.is_some() && self.whole(stature).is_none());
        (!hidden).then_some(self.raw)
    }

    /// Where somebody as tall as that stands: by his feet where they are seen, else by his head.
    pub(super) fn placed(&self, stature: &Stature) -> Placed {
        self.placed_as(stature.estimate())
    }

    /// The same of somebody of whose height this is known.
    fn placed_as(&self, (tall, sigma): (f64, f64)) -> Placed {
        let short = self.tall.is_none_or(|seen| seen < tall - HIDDEN_M);
        let feet_hidden = self.cut || (self.tall.is_some() && short);
        match self.by_head {
            Some((at, per_metre)) if feet_hidden && self.head_sigma < 1.5 => {
                let spread = |m: f64| {
                    let var = (m * sigma) * (m * sigma) + self.head_sigma * self.head_sigma;
                    (var + PLACED_M * PLACED_M).sqrt()
                };
                Placed {
                    at: at + per_metre * (tall - MEAN_TALL_M),
                    sigma: Point::new(spread(per_metre.x), spread(per_metre.y)),
                }
            }
            _ => self.place,
        }
    }

    /// How tall he is, where the feet are seen.
    fn whole(&self, stature: &Stature) -> Option<f64> {
        self.whole_as(stature.estimate().0, stature.is_known())
    }

    fn whole_as(&self, tall: f64, known: bool) -> Option<f64> {
        self.tall
            .filter(|seen| !self.cut && (!known || *seen > tall - HIDDEN_M))
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

/// A height that does not fit speaks no more than this against a sight: heads bow, boxes merge.
const HEIGHT_COST_MAX: f64 = 6.0;
/// Standard deviation of a shopper's acceleration, m/s².
const ACCELERATION: f64 = 2.0;
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
    /// When each camera last saw him.
    seen_by: BTreeMap<CameraIx, Timestamp>,
    hits: u32,
    cameras: BTreeSet<CameraIx>,
    /// Frames in which this and the nearest other person were seen by one camera at once.
    pub(super) apart: u32,
    /// He has been in the shop itself, beyond the doors.
    pub(super) been_inside: bool,
    /// The furthest that he has been from where he was first, metres.
    roamed: f64,
    /// How tall he is.
    pub(super) stature: Stature,
    /// How tall he was in the last frame, where his feet were seen.
    pub(super) last_tall: Option<f64>,
    embedding: Vec<f32>,
    fixes: VecDeque<Fix>,
}

/// What one frame's sights are held against.
pub(super) struct Expected<'a> {
    person: &'a Person,
    x: Axis,
    y: Axis,
    tall: (f64, f64),
    tall_is_known: bool,
}

impl Expected<'_> {
    /// Squared Mahalanobis distance of a sight, and the distance in metres.
    pub(super) fn distance(&self, sight: &Sight) -> (f64, f64) {
        let Placed { at: p, sigma } = sight.placed_as(self.tall);
        let (dx, dy) = (p.x - self.x.x, p.y - self.y.x);
        let sx = self.x.xx + sigma.x * sigma.x;
        let sy = self.y.xx + sigma.y * sigma.y;
        let metres = (dx * dx + dy * dy).sqrt();
        (dx * dx / sx + dy * dy / sy, metres)
    }

    pub(super) fn looks_like(&self, sight: &Sight) -> Option<f64> {
        cosine(&self.person.embedding, &sight.embedding)
    }

    /// How much, as half a squared deviation, a sight's height speaks against its being this
    /// person's.
    pub(super) fn height_cost(&self, sight: &Sight) -> f64 {
        let (tall, sigma) = self.tall;
        let Some(seen) = sight.whole_as(tall, self.tall_is_known) else {
            return 0.0;
        };
        let var = sigma * sigma + stature::SIGMA_M * stature::SIGMA_M;
        ((seen - tall) * (seen - tall) / var).min(HEIGHT_COST_MAX)
    }
}

const STANDS_LONG: TimeDelta = TimeDelta::from_millis(16_000);
/// Somebody has walked who was this far from where he was first, metres.
const WALKED_M: f64 = 1.0;
const FIX_SPACING: TimeDelta = TimeDelta::from_millis(90);
const FIXES_KEPT: TimeDelta = TimeDelta::from_millis(150_000);

impl Person {
    pub(super) fn new(camera: CameraIx, at: Timestamp, sight: &Sight) -> Self {
        let mut stature = Stature::default();
        if let Some(tall) = sight.whole(&stature) {
            stature.add(tall);
        }
        let Placed { at: p, sigma } = sight.placed(&stature);
        let mut person = Self {
            x: Axis::new(p.x, sigma.x),
            y: Axis::new(p.y, sigma.y),
            stature,
            last_tall: None,
            at,
            first: (at, p),
            last_seen: at,
            last_by: (camera, at),
            seen_by: BTreeMap::from([(camera, at)]),
            hits: 1,
            cameras: BTreeSet::from([camera]),
            apart: 0,
            been_inside: false,
            roamed: 0.0,
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

    /// Whether he is somebody though he has not moved: seen often and by two cameras, or for longer
    /// than it takes to learn what one camera alone mistakes for people.
    pub(super) fn stands_long(&self) -> bool {
        self.hits >= 25 && (self.cameras.len() >= 2 || self.age() > STANDS_LONG)
    }

    /// Whether he has been somewhere else: what never moves may be nobody.
    pub(super) fn has_walked(&self) -> bool {
        self.roamed > WALKED_M
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

    /// By how many cameras he has been seen within a few frames.
    pub(super) fn cameras_lately(&self, at: Timestamp) -> usize {
        let lately = TimeDelta::from_millis(350);
        self.seen_by.values().filter(|t| at - **t < lately).count()
    }

    /// The cameras that saw him within a second of when he was last seen.
    pub(super) fn last_cameras(&self) -> impl Iterator<Item = &CameraIx> {
        let second = TimeDelta::from_millis(1_000);
        let lately = self
            .seen_by
            .iter()
            .filter(move |(_, t)| self.last_seen - **t < second);
        lately.map(|(camera, _)| camera)
    }

    pub(super) fn seen_by_at(&self, camera: CameraIx, at: Timestamp) -> bool {
        self.last_by == (camera, at)
    }

    /// Where and how tall he is expected to be seen at an instant.
    pub(super) fn expected(&self, at: Timestamp) -> Expected<'_> {
        let dt = at.secs_since(self.at);
        Expected {
            person: self,
            x: self.x.predicted(dt),
            y: self.y.predicted(dt),
            tall: self.stature.estimate(),
            tall_is_known: self.stature.is_known(),
        }
    }

    /// Cosine of two appearances, where both are known.
    pub(super) fn likeness(&self, other: &Self) -> Option<f64> {
        cosine(&self.embedding, &other.embedding)
    }

    pub(super) fn see(&mut self, camera: CameraIx, at: Timestamp, sight: &Sight) {
        let dt = at.secs_since(self.at);
        let Placed { at: p, sigma } = sight.placed(&self.stature);
        self.x = self.x.predicted(dt).corrected(p.x, sigma.x);
        self.y = self.y.predicted(dt).corrected(p.y, sigma.y);
        self.last_tall = sight.whole(&self.stature);
        if let Some(tall) = sight.tall.filter(|_| !sight.cut) {
            self.stature.add(tall);
        }
        self.at = self.at.max(at);
        self.last_seen = self.last_seen.max(at);
        self.last_by = (camera, at);
        self.seen_by.insert(camera, at);
        self.hits = self.hits.saturating_add(1);
        self.cameras.insert(camera);
        self.roamed = self.roamed.max(self.first.1.distance(self.position()));
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
        let roamed = self.roamed.max(first.1.distance(found.first.1));
        let mut fixes = std::mem::take(&mut self.fixes);
        fixes.retain(|f| f.at < found.first.0);
        fixes.extend(found.fixes.iter().copied());
        let embedding = std::mem::take(&mut self.embedding);
        let stature = std::mem::take(&mut self.stature);
        *self = found;
        if stature.is_known() {
            self.stature = stature;
        }
        self.first = first;
        self.been_inside |= been_inside;
        self.roamed = self.roamed.max(roamed);
        self.hits = self.hits.saturating_add(hits);
        self.fixes = fixes;
        if self.embedding.is_empty() {
            self.embedding = embedding;
        }
    }

    /// Two people, each with the other's walk after an instant.
    pub(super) fn swapped(mut a: Self, mut b: Self, since: Timestamp) -> (Self, Self) {
        // How tall each is was learned for the most part before, or after.
        let before = |p: &Self| since - p.first.0 > p.last_seen - since;
        if before(&a) && before(&b) {
            std::mem::swap(&mut a.stature, &mut b.stature);
        }
        std::mem::swap(&mut a.first, &mut b.first);
        std::mem::swap(&mut a.roamed, &mut b.roamed);
        std::mem::swap(&mut a.been_inside, &mut b.been_inside);
        std::mem::swap(&mut a.hits, &mut b.hits);
        let split = |p: &Self| p.fixes.partition_point(|f| f.at < since);
        let (after_a, after_b) = (split(&a), split(&b));
        let late_a = a.fixes.split_off(after_a);
        let late_b = b.fixes.split_off(after_b);
        std::mem::swap(&mut a.fixes, &mut b.fixes);
        a.fixes.extend(late_a);
        b.fixes.extend(late_b);
        (b, a)
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

    /// Where he was within a span, in order.
    pub(super) fn fixes(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Fix> {
        self.fixes
            .iter()
            .filter(move |f| f.at >= from && f.at <= to)
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
