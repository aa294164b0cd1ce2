//! Products in the pictures of one shelf camera: what stands at rest (*slots*), and what hands
//! carry (*carries*). A slot that is missed again and again where nobody stands in the way has
//! lost its item; a product that moves with a hand was taken or is being put back, by whether
//! the hand was empty before or after.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::region::Region;
use super::{CountStep, ShelfEvent};
use crate::gs1::Gtin;
use crate::ids::{CameraIx, ShelfIx};
use crate::observation::{Class, Detection, Detections};
use crate::store::Store;
use crate::units::{BBox, TimeDelta, Timestamp};

/// One camera's view of its shelves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CameraView {
    camera: CameraIx,
    regions: Vec<Region>,
    slots: Vec<Slot>,
    candidates: Vec<Candidate>,
    carries: Vec<Carry>,
    hands: VecDeque<(Timestamp, BBox)>,
    bodies: Vec<(Timestamp, BBox)>,
    seen_hands: bool,
    first_at: Option<Timestamp>,
    frames: u32,
}

/// A product that stands at rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Slot {
    bbox: BBox,
    shelf: ShelfIx,
    along: f64,
    gtins: BTreeMap<Gtin, f64>,
    seen: f64,
    missed: f64,
    last_seen: Timestamp,
    /// The first of the misses in a row, and what they say together.
    missing_since: Option<Timestamp>,
    gone_log: f64,
    gone: bool,
    /// When it was told to be gone.
    gone_at: Timestamp,
    /// Where it stood before anybody was near, and how far frames stray from that, pixels.
    rest: BBox,
    stray: f64,
    /// Frames since a body or hand covered it.
    clear: u32,
    back: u32,
    back_since: Timestamp,
    /// Since when what came back has not moved.
    still_since: Timestamp,
    /// When a body or hand last covered it.
    last_hidden: Option<Timestamp>,
}

/// A camera, and the log odds of what it says of things at rest: where it sees hands, those know
/// better.
#[derive(Clone, Copy)]
struct Eye {
    camera: CameraIx,
    trust: f64,
}

/// A product that may be coming to rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Candidate {
    bbox: BBox,
    gtins: BTreeMap<Gtin, f64>,
    first: Timestamp,
    last: Timestamp,
    frames: u32,
    before: Timestamp,
}

/// A product that moves with a hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Carry {
    first: Timestamp,
    last: Timestamp,
    frames: u32,
    gtins: BTreeMap<Gtin, f64>,
    /// Where it was seen first and last.
    begun: BBox,
    ended: BBox,
}

/// Boxes that overlap at least so much are one thing at rest.
const SAME: f64 = 0.55;
/// Boxes of one thing that does not move overlap at least so much.
const STILL: f64 = 0.85;
/// A slot covered by more than this by a body or hand is not missed but hidden.
const HIDDEN: f64 = 0.15;
/// An item's leaving is told at these log odds.
const GONE_LOG: f64 = 7.0;
/// And at these where nobody was seen near it: cameras have hundreds of products to be wrong about.
const GONE_ALONE_LOG: f64 = 18.0;
/// Somebody was near a slot if a body or hand covered it within this time before.
const NEAR: TimeDelta = TimeDelta::from_millis(2_500);
/// A column whose front item goes shows the next one within this time.
const SHIFT: TimeDelta = TimeDelta::from_millis(3_500);
/// What has been seen within this time is coming to stand.
const COMING: TimeDelta = TimeDelta::from_millis(750);
/// A hand is at a product so long before it is missed, and after it is found, at most.
const HAND_BEFORE: TimeDelta = TimeDelta::from_millis(1_200);
const HAND_AFTER: TimeDelta = TimeDelta::from_millis(500);
/// Log odds that a column's shift after somebody was there is an item taken or put back.
const SHIFT_LOG: f64 = 3.0;
/// So long after a body or hand was there its doing is looked for.
const DISTURBED: TimeDelta = TimeDelta::from_millis(6_000);
/// A carry is over when no frame has shown it for so long.
const CARRY_GAP: TimeDelta = TimeDelta::from_millis(1_500);
/// What stands when the camera starts was not put there: time to learn it.
const LEARNING: TimeDelta = TimeDelta::from_millis(4_000);
/// A product in a hand is near its home when its chance of belonging there is above this.
const HOMELY: f64 = 0.15;
/// Hands remembered.
const HANDS_KEPT: TimeDelta = TimeDelta::from_millis(12_000);
const SLOTS_MAX: usize = 600;

impl CameraView {
    pub(super) fn new(camera: CameraIx, regions: Vec<Region>) -> Self {
        Self {
            camera,
            regions,
            slots: Vec::new(),
            candidates: Vec::new(),
            carries: Vec::new(),
            hands: VecDeque::new(),
            bodies: Vec::new(),
            seen_hands: false,
            first_at: None,
            frames: 0,
        }
    }

    pub(super) fn on_frame(
        &mut self,
        store: &Store,
        at: Timestamp,
        seen: &Detections,
        out: &mut Vec<ShelfEvent>,
    ) {
        let first_at = *self.first_at.get_or_insert(at);
        let learning = at - first_at < LEARNING;
        self.frames = self.frames.saturating_add(1);
        self.seen_hands |= seen.detections.iter().any(|d| d.class == Class::Hand);
        let of = |class| seen.detections.iter().filter(move |d| d.class == class);
        let hands: Vec<BBox> = of(Class::Hand).map(|d| d.bbox).collect();
        let persons = of(Class::Person).map(|d| d.bbox);
        // A body that the model missed in this frame stands where it stood in the last ones.
        self.bodies.extend(persons.map(|b| (at, grown(b, 0.10))));
        self.bodies
            .retain(|(t, _)| at - *t < TimeDelta::from_millis(700));
        let bodies = self.bodies.iter().map(|(_, b)| *b);
        let hiding: Vec<BBox> = hands.iter().copied().chain(bodies).collect();
        for hand in &hands {
            self.hands.push_back((at, *hand));
        }
        while self
            .hands
            .front()
            .is_some_and(|(t, _)| at - *t > HANDS_KEPT)
        {
            self.hands.pop_front();
        }
        let products: Vec<&Detection> = of(Class::Product).collect();
        let mut steps = Vec::new();
        let loose = self.match_slots(at, &products, &hiding, &mut steps);
        for detection in loose {
            let lately = TimeDelta::from_millis(450);
            let held =
                |(t, hand): &(Timestamp, BBox)| at - *t <= lately && touches(*hand, detection.bbox);
            let in_hand = self.hands.iter().any(held);
            if in_hand {
                self.on_carried(at, detection);
            } else {
                self.on_standing(at, detection, learning, &mut steps);
            }
        }
        out.extend(
            steps
                .into_iter()
                .map(|(step, place)| self.weighed(step, place)),
        );
        self.candidates
            .retain(|c| at - c.last < TimeDelta::from_millis(1_000));
        self.end_carries(store, at, out);
    }

    /// Gives each slot its product; returns the products that belong to none.
    fn match_slots<'a>(
        &mut self,
        at: Timestamp,
        products: &[&'a Detection],
        hiding: &[BBox],
        out: &mut Vec<(CountStep, BBox)>,
    ) -> Vec<&'a Detection> {
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for (p, product) in products.iter().enumerate() {
            for (s, slot) in self.slots.iter().enumerate() {
                let iou = slot.bbox.iou(product.bbox);
                if iou >= 0.25 {
                    pairs.push((iou + 0.3 * alike(&slot.gtins, product), p, s));
                }
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut of_product = vec![None; products.len()];
        let mut of_slot = vec![None; self.slots.len()];
        for (_, p, s) in pairs {
            let same = self.slots[s].bbox.iou(products[p].bbox) >= SAME;
            if same && of_product[p].is_none() && of_slot[s].is_none() {
                of_product[p] = Some(s);
                of_slot[s] = Some(p);
            }
        }
        let camera = self.camera;
        let witness = Eye {
            camera,
            trust: if self.seen_hands { 0.7 } else { 2.3 },
        };
        // Many gone at once are hidden by something that the model does not know.
        let missing = self.slots.iter().zip(&of_slot);
        let missing = missing.filter(|(s, p)| p.is_none() && !s.gone && s.missing_since.is_some());
        let all_hidden = missing.count() > 3;
        let candidates = &self.candidates;
        for (slot, product) in self.slots.iter_mut().zip(&of_slot) {
            // What comes to stand in its column tells more than its own absence.
            let coming = |c: &Candidate| at - c.last < COMING && slot.is_column_of(c);
            let coming = product.is_none() && candidates.iter().any(coming);
            let covers = |b: &BBox| b.intersection(slot.bbox) > HIDDEN * slot.bbox.area();
            let hidden = hiding.iter().any(covers);
            if hidden {
                slot.last_hidden = Some(at);
                slot.clear = 0;
            }
            match product {
                Some(p) => out.extend(
                    slot.on_seen(witness, at, products[*p])
                        .map(|s| (s, slot.bbox)),
                ),
                None => {
                    let hidden = hidden || all_hidden || coming;
                    out.extend(slot.on_missed(witness, at, hidden).map(|s| (s, slot.bbox)));
                }
            }
        }
        self.slots
            .retain(|s| !(s.gone && at - s.last_seen > TimeDelta::from_millis(600_000)));
        let free = products
            .iter()
            .zip(&of_product)
            .filter(|(_, s)| s.is_none());
        // A second box over a slot that has its product is a double of it.
        let double = |d: &Detection| {
            let taken = self.slots.iter().zip(&of_slot).filter(|(_, p)| p.is_some());
            taken.map(|(s, _)| s.bbox.iou(d.bbox)).any(|iou| iou > 0.45)
        };
        free.map(|(d, _)| *d).filter(|d| !double(d)).collect()
    }

    fn on_standing(
        &mut self,
        at: Timestamp,
        detection: &Detection,
        learning: bool,
        out: &mut Vec<(CountStep, BBox)>,
    ) {
        let same = self
            .candidates
            .iter()
            .position(|c| c.bbox.iou(detection.bbox) >= SAME);
        let Some(place) = same else {
            let before = at - TimeDelta::from_millis(300);
            if self.candidates.len() < SLOTS_MAX {
                self.candidates.push(Candidate {
                    bbox: detection.bbox,
                    gtins: weights(detection),
                    first: at,
                    last: at,
                    frames: 1,
                    before,
                });
            }
            return;
        };
        let candidate = &mut self.candidates[place];
        candidate.last = at;
        candidate.frames += 1;
        candidate.bbox = blend(candidate.bbox, detection.bbox, 0.3);
        add(&mut candidate.gtins, detection);
        let rested = candidate.last - candidate.first;
        let enough = candidate.frames >= 3 && rested >= TimeDelta::from_millis(700);
        if !enough || self.slots.len() >= SLOTS_MAX {
            return;
        }
        let candidate = self.candidates.remove(place);
        let Some((shelf, along)) = self.place_of(candidate.bbox) else {
            return;
        };
        if !learning && let Some(moved) = self.column(shelf, &candidate) {
            let (camera, slot) = (self.camera, &mut self.slots[moved]);
            out.extend(
                slot.shift(camera, at, &candidate)
                    .map(|s| (s, candidate.bbox)),
            );
            return;
        }
        let slot = Slot {
            bbox: candidate.bbox,
            rest: candidate.bbox,
            stray: 1.0,
            clear: 0,
            gone_at: at,
            shelf,
            along,
            gtins: candidate.gtins,
            seen: 3.0,
            missed: 1.0,
            last_seen: at,
            missing_since: None,
            gone_log: 0.0,
            gone: false,
            back: 0,
            back_since: at,
            still_since: at,
            last_hidden: None,
        };
        if !learning {
            let window = (candidate.before, candidate.first);
            let trust = if self.seen_hands { 0.7 } else { 1.5 };
            out.push((slot.step(self.camera, 1, window, trust), slot.bbox));
        }
        self.slots.push(slot);
    }

    /// A step of something at rest, by whether a hand was seen there at that time: nothing is taken
    /// without one, and a camera that sees hands seldom misses one all along.
    fn weighed(&self, mut step: CountStep, place: BBox) -> ShelfEvent {
        if self.seen_hands {
            let (from, to) = (step.after - HAND_BEFORE, step.before + HAND_AFTER);
            let near = |(t, hand): &&(Timestamp, BBox)| {
                *t >= from && *t <= to && grown(*hand, 1.4).intersection(grown(place, 0.6)) > 0.0
            };
            let seen = self.hands.iter().filter(near).count();
            // Shares right on simulated days: one in six without a hand, two in three with, and nine
            // in ten where hands were seen again and again and it went for good; what comes to stand
            // in a new place is seldom what it seems.
            let fresh = step.delta > 0 && step.reverse_log == f64::NEG_INFINITY;
            let shifted = step.reverse_log != f64::NEG_INFINITY;
            step.hand = seen > 0;
            step.log_odds = match (step.delta < 0, seen, shifted) {
                (true, 0, _) => step.log_odds.min(-0.4),
                (true, 1, false) => 1.3,
                (true, 1, true) | (true, _, false) => 2.3,
                (true, _, true) => 3.8,
                (false, 0, _) => step.log_odds.min(-2.0),
                (false, 1, false) => 1.0,
                (false, 1, true) | (false, _, false) => 1.6,
                (false, _, true) => 2.3,
            } - if fresh { 3.0 } else { 0.0 };
        }
        ShelfEvent::CountStep(step)
    }

    /// The slot in whose column something has come to stand: products stand one behind another, and
    /// who takes the front one shows the next.
    fn column(&self, shelf: ShelfIx, candidate: &Candidate) -> Option<usize> {
        let lately = |s: &Slot| {
            let since = if s.gone {
                Some(s.gone_at)
            } else {
                s.missing_since
            };
            since.is_some_and(|t| (candidate.first - t).max(t - candidate.first) < SHIFT)
        };
        let off = |s: &Slot| s.off(candidate.bbox);
        let same = |s: &Slot| s.shelf == shelf && lately(s) && s.is_column_of(candidate);
        let slots = self.slots.iter().enumerate().filter(|(_, s)| same(s));
        slots
            .min_by(|a, b| off(a.1).total_cmp(&off(b.1)).then(a.0.cmp(&b.0)))
            .map(|(i, _)| i)
    }

    fn place_of(&self, bbox: BBox) -> Option<(ShelfIx, f64)> {
        let center = bbox.center();
        self.regions
            .iter()
            .find_map(|r| r.along(center).map(|along| (r.shelf(), along)))
    }

    fn on_carried(&mut self, at: Timestamp, detection: &Detection) {
        let fits = |c: &Carry| at - c.last <= CARRY_GAP && alike(&c.gtins, detection) > 0.2;
        if let Some(carry) = self.carries.iter_mut().find(|c| fits(c)) {
            carry.last = at;
            carry.frames += 1;
            carry.ended = detection.bbox;
            add(&mut carry.gtins, detection);
        } else if self.carries.len() < 32 {
            self.carries.push(Carry {
                first: at,
                last: at,
                frames: 1,
                gtins: weights(detection),
                begun: detection.bbox,
                ended: detection.bbox,
            });
        }
    }

    fn end_carries(&mut self, store: &Store, at: Timestamp, out: &mut Vec<ShelfEvent>) {
        let (over, going) = std::mem::take(&mut self.carries)
            .into_iter()
            .partition::<Vec<Carry>, _>(|c| at - c.last > CARRY_GAP);
        self.carries = going;
        for carry in over.into_iter().filter(|c| !c.gtins.is_empty()) {
            out.extend(self.carried_step(store, &carry).map(ShelfEvent::CountStep));
        }
    }

    /// What a carry means: the hand was there before the product when it was taken, and stays
    /// after it when it was put back.
    fn carried_step(&self, store: &Store, carry: &Carry) -> Option<CountStep> {
        let count = |place: BBox, from: Timestamp, to: Timestamp| {
            let near = |b: &BBox| touches(grown(*b, 1.0), place);
            let hands = self
                .hands
                .iter()
                .filter(|(t, b)| *t >= from && *t <= to && near(b));
            hands.count() as f64
        };
        let span = TimeDelta::from_millis(950);
        let tick = TimeDelta::from_micros(1);
        let empty_before = count(carry.begun, carry.first - span, carry.first - tick);
        let empty_after = count(carry.ended, carry.last + tick, carry.last + span);
        let gtins = normalised(&carry.gtins);
        let taken = empty_before >= empty_after;
        let place = if taken { carry.begun } else { carry.ended };
        let (shelf, along) = self.home_near(store, &gtins, place)?;
        let clear = (empty_before - empty_after).abs();
        let seen = 0.6 * f64::from(carry.frames.min(4)) + 0.5 * clear.min(3.0);
        let log_odds = if taken {
            self.taken_log(carry.begun, &gtins, seen)
        } else {
            (1.2 + seen).min(4.5)
        };
        let frame = TimeDelta::from_millis(350);
        let (after, before) = if taken {
            (carry.first - frame, carry.first)
        } else {
            (carry.last, carry.last + frame)
        };
        Some(CountStep {
            shelf,
            camera: self.camera,
            along,
            after,
            before,
            delta: if taken { -1 } else { 1 },
            gtins,
            log_odds,
            carried: true,
            hand: true,
            reverse_log: -0.4 - 0.9 * clear.min(4.0),
        })
    }

    /// Log odds that what went in a hand was taken and not only touched, by whether anything of its
    /// kind stands where it stood: its place is looked at when the hand is gone. `seen` is how well
    /// the hand was seen with it and without.
    fn taken_log(&self, from: BBox, gtins: &[(Gtin, f64)], seen: f64) -> f64 {
        let kind = gtins.first().map(|(gtin, _)| gtin);
        let there = |s: &&Slot| {
            let off = s.rest.center() - from.center();
            off.x.abs() < s.rest.width() && off.y.abs() < s.rest.height()
        };
        let same = |s: &&Slot| {
            let likeliest = s.gtins.iter().max_by(|a, b| a.1.total_cmp(b.1));
            likeliest.map(|(gtin, _)| gtin) == kind
        };
        let slots = self.slots.iter().filter(there).filter(same);
        let nearest = slots.min_by(|a, b| a.off(from).total_cmp(&b.off(from)));
        // Shares right on simulated days: 86 % where its place is empty, one in two where somebody
        // stands before it, and four in ten where something stands there, or nobody knew the place.
        match nearest {
            Some(s) if s.gone => 2.7 + 0.3 * seen,
            Some(s) if s.missing_since.is_some() => 3.2 + 0.3 * seen,
            Some(s) if s.clear < 2 => 0.1 + seen,
            _ => 1.7 + 0.2 * seen,
        }
    }

    /// The shelf near a place where one of the products has a facing.
    fn home_near(
        &self,
        store: &Store,
        gtins: &[(Gtin, f64)],
        place: BBox,
    ) -> Option<(ShelfIx, f64)> {
        let center = place.center();
        let mut best: Option<(f64, ShelfIx, f64)> = None;
        for region in &self.regions {
            let (along, pixels) = region.nearest(center);
            let size = place.width().max(place.height()).max(1.0);
            let shelf = store.shelf(region.shelf());
            let home = |(gtin, p): &(Gtin, f64)| {
                let facings = shelf.facings.iter().filter(|f| f.gtin == *gtin);
                let off = facings.map(|f| (f.from - along).max(along - f.to).max(0.0));
                off.map(|off| p * libm::exp(-off / 0.3)).fold(0.0, f64::max)
            };
            let homely: f64 = gtins.iter().map(home).sum();
            let value = homely * libm::exp(-pixels / (2.0 * size));
            if best.is_none_or(|(v, _, _)| value > v) {
                best = Some((value, region.shelf(), along));
            }
        }
        // A product that does not belong where it is seen is being carried past.
        best.filter(|(value, _, _)| *value > HOMELY)
            .map(|(_, shelf, along)| (shelf, along))
    }
}

impl Slot {
    fn on_seen(&mut self, eye: Eye, at: Timestamp, d: &Detection) -> Option<CountStep> {
        if self.gone {
            if self.back == 0 {
                self.back_since = at;
                self.still_since = at;
                self.gtins.clear();
            } else if self.bbox.iou(d.bbox) < STILL {
                self.still_since = at;
            }
            self.back += 1;
            add(&mut self.gtins, d);
            self.bbox = blend(self.bbox, d.bbox, 0.6);
            let rested = at - self.still_since >= TimeDelta::from_millis(500);
            if self.back < 3 || !rested {
                return None;
            }
            self.gone = false;
            self.missing_since = None;
            self.gone_log = 0.0;
            // Where it stands now is its place; nothing has shifted.
            (self.rest, self.clear) = (self.bbox, 8);
            let window = (self.back_since, self.still_since);
            self.last_seen = at;
            return Some(self.step(eye.camera, 1, window, eye.trust));
        }
        self.seen += 1.0;
        self.forget();
        self.missing_since = None;
        self.gone_log = 0.0;
        let last_seen = std::mem::replace(&mut self.last_seen, at);
        self.bbox = blend(self.bbox, d.bbox, if self.clear < 4 { 0.5 } else { 0.2 });
        add(&mut self.gtins, d);
        self.clear = self.clear.saturating_add(1);
        let disturbed = self.last_hidden.is_some_and(|t| at - t < DISTURBED);
        let off = self.bbox.center() - self.rest.center();
        let far = off.norm() > (4.0 * self.stray).max(1.5).max(0.05 * self.rest.height());
        if self.clear >= 4 && far && disturbed {
            // Who stands in the way cuts a box off; further back it is a little smaller.
            if self.clear < 6 || !alike_in_size(self.rest, self.bbox) {
                return None;
            }
            let step = self.moved(
                eye.camera,
                self.rest,
                self.bbox,
                (self.hidden_from(last_seen), at),
            );
            self.rest = self.bbox;
            return step;
        }
        if !disturbed || self.clear > 8 {
            let stray = (d.bbox.center() - self.rest.center()).norm();
            self.stray += 0.05 * (stray.min(6.0) - self.stray);
            self.rest = blend(self.rest, d.bbox, 0.08);
        }
        None
    }

    /// How far off another box is, in units of how far one item's depth moves it at most.
    fn off(&self, bbox: BBox) -> f64 {
        let (a, b) = (self.bbox.center(), bbox.center());
        let (w, h) = (self.bbox.width().max(1.0), self.bbox.height().max(1.0));
        ((a.x - b.x).abs() / (0.9 * w)).max((a.y - b.y).abs() / (0.54 * h))
    }

    fn is_column_of(&self, c: &Candidate) -> bool {
        alike_in_size(self.rest, c.bbox)
            && self.off(c.bbox) < 1.0
            && common(&self.gtins, &c.gtins) > 0.25
    }

    /// When the body or hand came that hid it last.
    fn hidden_from(&self, seen: Timestamp) -> Timestamp {
        self.last_hidden.map_or(seen, |t| t.min(seen)) - TimeDelta::from_millis(600)
    }

    /// Something of its kind has come to stand where it stood, further back or further in front.
    fn shift(&mut self, camera: CameraIx, at: Timestamp, c: &Candidate) -> Option<CountStep> {
        let window = (self.last_seen, c.first);
        // That it is gone has been told: what stands there now is the one behind.
        let told = self.gone && is_behind(self.rest, c.bbox) > 0.0;
        let step = self
            .moved(camera, self.rest, c.bbox, window)
            .filter(|_| !told);
        self.bbox = c.bbox;
        self.rest = c.bbox;
        (self.gone, self.missing_since, self.gone_log) = (false, None, 0.0);
        (self.clear, self.last_seen) = (8, at);
        step
    }

    fn moved(
        &self,
        camera: CameraIx,
        from: BBox,
        to: BBox,
        window: (Timestamp, Timestamp),
    ) -> Option<CountStep> {
        let behind = is_behind(from, to);
        let near = self.last_hidden.is_some_and(|t| window.1 - t < DISTURBED);
        let delta = if behind > 0.0 { -1 } else { 1 };
        let mut step = self.step(camera, delta, window, if near { SHIFT_LOG } else { 0.7 });
        step.reverse_log = -(4.0 * behind.abs()).min(5.0);
        Some(step)
    }

    fn on_missed(&mut self, eye: Eye, at: Timestamp, hidden: bool) -> Option<CountStep> {
        if self.gone {
            self.back = 0;
            return None;
        }
        let since = *self.missing_since.get_or_insert(at);
        if hidden {
            return None;
        }
        let rate = (self.missed + 1.0) / (self.seen + self.missed + 2.0);
        self.gone_log -= libm::log(rate.clamp(0.02, 0.95));
        let near = self.last_hidden.is_some_and(|last| since - last < NEAR);
        if self.gone_log < if near { GONE_LOG } else { GONE_ALONE_LOG } {
            // A miss of one that is back later counts against its rate.
            self.missed += 0.5;
            return None;
        }
        self.gone = true;
        self.gone_at = at;
        self.back = 0;
        let step = self.step(eye.camera, -1, (self.last_seen, since), eye.trust);
        Some(step)
    }

    fn forget(&mut self) {
        let all = self.seen + self.missed;
        if all > 80.0 {
            self.seen *= 80.0 / all;
            self.missed *= 80.0 / all;
        }
    }

    fn step(
        &self,
        camera: CameraIx,
        delta: i32,
        window: (Timestamp, Timestamp),
        log_odds: f64,
    ) -> CountStep {
        CountStep {
            shelf: self.shelf,
            camera,
            along: self.along,
            after: window.0,
            before: window.1,
            delta,
            gtins: normalised(&self.gtins),
            log_odds,
            carried: false,
            hand: false,
            reverse_log: f64::NEG_INFINITY,
        }
    }
}

/// By how much a box lies behind another of the same column, in units of what one item's depth
/// does; negative where it lies in front. Cameras look down on shelves: what is further back
/// stands higher in the picture, and looks smaller. Its upper edge says nothing: the board above
/// hides more of what is further back.
fn is_behind(from: BBox, to: BBox) -> f64 {
    let up = (from.y1 - to.y1) / from.height().max(1.0);
    let smaller = libm::log((from.width() / to.width().max(1.0)).max(0.05));
    10.0 * up + 3.0 * smaller
}

/// Whether two boxes can be of one product, one behind the other: as wide, but for a little; as
/// high, or cut by the board above.
fn alike_in_size(a: BBox, b: BBox) -> bool {
    let wide = b.width() / a.width().max(1.0);
    let high = b.height() / a.height().max(1.0);
    let uncut = (0.84..1.19).contains(&high);
    (0.84..1.19).contains(&wide)
        && (uncut || ((0.4..2.2).contains(&high) && (is_behind(a, b) > 0.3) == (high < 1.0)))
}

/// The share of two sums of probabilities that they have in common; 1 where nobody knows.
fn common(a: &BTreeMap<Gtin, f64>, b: &BTreeMap<Gtin, f64>) -> f64 {
    let (of_a, of_b): (f64, f64) = (a.values().sum(), b.values().sum());
    if of_a < 1e-9 || of_b < 1e-9 {
        return 1.0;
    }
    let least = |(g, p): (&Gtin, &f64)| (p / of_a).min(b.get(g).copied().unwrap_or(0.0) / of_b);
    a.iter().map(least).sum()
}

fn weights(detection: &Detection) -> BTreeMap<Gtin, f64> {
    detection.gtins.iter().copied().collect()
}

/// Of a sum of probabilities, no more than this is forgotten.
const FAINT: f64 = 1e-3;

/// Adds a detection's probabilities to a sum that forgets slowly.
fn add(sum: &mut BTreeMap<Gtin, f64>, detection: &Detection) {
    let mut some_faint = false;
    for value in sum.values_mut() {
        *value *= 0.95;
        some_faint |= *value <= FAINT;
    }
    for (gtin, p) in &detection.gtins {
        *sum.entry(*gtin).or_insert(0.0) += p;
        some_faint |= *p <= FAINT;
    }
    if some_faint {
        sum.retain(|_, v| *v > FAINT);
    }
}

/// The share of a sum of probabilities that a detection agrees with; 1 where nobody knows.
fn alike(sum: &BTreeMap<Gtin, f64>, detection: &Detection) -> f64 {
    if sum.is_empty() || detection.gtins.is_empty() {
        return 1.0;
    }
    let all: f64 = sum.values().sum();
    let dot: f64 = detection
        .gtins
        .iter()
        .map(|(g, p)| p * sum.get(g).copied().unwrap_or(0.0))
        .sum();
    dot / all.max(1e-9)
}

fn normalised(sum: &BTreeMap<Gtin, f64>) -> Vec<(Gtin, f64)> {
    let all: f64 = sum.values().sum();
    let mut out: Vec<(Gtin, f64)> = sum
        .iter()
        .map(|(g, v)| (*g, v / all.max(1e-9)))
        .filter(|(_, p)| *p > 0.01)
        .collect();
    out.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    out.truncate(6);
    out
}

/// Whether a hand's box holds or touches a product's.
fn touches(hand: BBox, product: BBox) -> bool {
    grown(hand, 0.35).intersection(product) > 0.15 * product.area()
}

fn grown(b: BBox, by: f64) -> BBox {
    let (dx, dy) = (b.width() * by / 2.0, b.height() * by / 2.0);
    BBox::new(b.x0 - dx, b.y0 - dy, b.x1 + dx, b.y1 + dy)
}

fn blend(a: BBox, b: BBox, part: f64) -> BBox {
    let mix = |a: f64, b: f64| a + part * (b - a);
    BBox::new(
        mix(a.x0, b.x0),
        mix(a.y0, b.y0),
        mix(a.x1, b.x1),
        mix(a.y1, b.y1),
    )
}
