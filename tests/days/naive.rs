//! A naive solver of the same days: what somebody would write in an afternoon who has only the
//! contract's files. It says how hard a simulated day is, and knows nothing of the engine.
//!
//! A tag that is silent for 3 s at the shelf where it lives is taken; a step of a scale between two
//! rests is the product of its shelf that is nearest in weight; a product that is missing from its
//! place for 1 s is taken. The nearest person gets it. A product with tags is left to the tags, one
//! on a scale to the scale.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use basketd::app::score::Receipt;
use basketd::gs1::{Epc, Gtin};
use basketd::recording;
use basketd::store::{ReadPoint, Store, View};
use basketd::units::{Point, Segment, Timestamp};
use serde::Deserialize;

const TAG_SILENT_S: f64 = 3.0;
/// A tag lives where most of its first reads come from.
const TAG_LEARN_S: f64 = 6.0;
const REST_S: f64 = 0.6;
const REST_G: f64 = 4.0;
const STEP_G: f64 = 8.0;
const MISSING_S: f64 = 1.0;
/// Products that can be seen this often in the first seconds have a place.
const PLACE_FRAMES: u32 = 5;
/// How far a person walks between two frames of any camera, metres.
const STRIDE_M: f64 = 1.1;
const LOST_S: f64 = 2.0;
/// Whoever comes into sight again this near and this soon is who was lost.
const AGAIN_M: f64 = 2.5;
const AGAIN_S: f64 = 10.0;
/// Boxes that are seen more rarely are nobody.
const SURE_FRAMES: u32 = 8;
/// Whoever is let in is seen this near to the gate, and this soon.
const GATE_M: f64 = 2.5;
const GATE_S: f64 = 6.0;
/// How far from a shelf's front hands reach, metres.
const REACH_M: f64 = 1.5;

#[derive(Deserialize)]
struct TagRead<'a> {
    epc: std::borrow::Cow<'a, str>,
    antenna: u16,
}

#[derive(Deserialize)]
struct Weight {
    grams: f64,
}

#[derive(Deserialize)]
struct Frame {
    detections: Vec<Seen>,
}

#[derive(Deserialize)]
struct Seen {
    class: String,
    score: f64,
    #[serde(rename = "box")]
    bbox: [f64; 4],
    #[serde(default)]
    gtins: BTreeMap<Gtin, f64>,
}

#[derive(Deserialize)]
struct Gate {
    kind: String,
    token: Option<String>,
    party: Option<u32>,
    role: Option<String>,
}

/// Somebody from entry to exit.
#[derive(Default)]
struct Visit {
    token: Option<String>,
    staff: bool,
    items: BTreeMap<Gtin, u32>,
    /// Persons who still have to be seen coming in.
    awaited: u32,
    gate: Point,
    admitted_s: f64,
    seen_s: f64,
    closed_s: Option<f64>,
}

struct Person {
    at: Point,
    seen_s: f64,
    frames: u32,
    visit: Option<usize>,
    path: VecDeque<(f64, Point)>,
}

#[derive(Default)]
struct Tag {
    first_s: f64,
    reads: BTreeMap<usize, u32>,
    home: Option<usize>,
    home_s: f64,
    /// The longest that it was silent and had not gone.
    gap_s: f64,
    gone: bool,
    holder: Option<usize>,
}

#[derive(Default)]
struct Plate {
    recent: VecDeque<(f64, f64)>,
    rest: Option<f64>,
}

/// Where a shelf camera sees a product stand.
struct Place {
    gtins: BTreeMap<Gtin, f64>,
    /// Frames of the camera when it was seen first and last.
    first: u32,
    last: u32,
    shelf: usize,
    center: Point,
    frames: u32,
    seen_s: f64,
    /// The longest that it was not seen and stood there.
    gap_s: f64,
    back_s: Option<f64>,
    gone: bool,
}

impl Place {
    fn gtin(&self) -> Option<Gtin> {
        let likeliest = self.gtins.iter().max_by(|a, b| a.1.total_cmp(b.1));
        likeliest.map(|(gtin, _)| *gtin)
    }

    /// Whether something stands there in most frames.
    fn is_sure(&self) -> bool {
        self.frames >= PLACE_FRAMES && self.frames * 2 > self.last - self.first
    }
}

struct Solver<'s> {
    store: &'s Store,
    now: f64,
    visits: Vec<Visit>,
    people: Vec<Person>,
    lost: Vec<Person>,
    tags: BTreeMap<Epc, Tag>,
    tagged: BTreeSet<Gtin>,
    plates: Vec<Plate>,
    places: Vec<Vec<Place>>,
    /// Of each camera.
    frames: Vec<u32>,
    next_look_s: f64,
}

fn carried(items: BTreeMap<Gtin, u32>) -> BTreeMap<Gtin, u64> {
    let held = items.into_iter().filter(|(_, n)| *n > 0);
    held.map(|(gtin, n)| (gtin, n.into())).collect()
}

/// The receipts that the naive solver makes of a recording.
pub(crate) fn receipts(store: &Store, recording: &Path) -> Vec<Receipt> {
    let paths = [recording.to_owned()];
    let facts = recording::facts(&paths).unwrap();
    let mut solver = Solver {
        store,
        now: 0.0,
        visits: Vec::new(),
        people: Vec::new(),
        lost: Vec::new(),
        tags: BTreeMap::new(),
        tagged: BTreeSet::new(),
        plates: store.scales.iter().map(|_| Plate::default()).collect(),
        places: store.cameras.iter().map(|_| Vec::new()).collect(),
        frames: vec![0; store.cameras.len()],
        next_look_s: 0.0,
    };
    let first = facts.first.unwrap_or(0);
    recording::read(&paths, &facts, |message| {
        solver.now = (message.log_time - first) as f64 / 1e9;
        solver.on_message(&message.channel.topic, message.payload);
        if solver.now >= solver.next_look_s {
            solver.next_look_s = solver.now + 0.2;
            solver.look();
        }
    })
    .unwrap();
    let at = |s: f64| Timestamp::from_nanos(first + (s * 1e9) as u64);
    let end = solver.now;
    let visits = solver.visits.into_iter().enumerate();
    visits
        .filter(|(_, v)| !v.staff)
        .map(|(i, v)| Receipt {
            visit: i.to_string(),
            token: v.token,
            left_at: at(v.closed_s.unwrap_or(end)),
            closed_at: at(v.closed_s.unwrap_or(end)),
            items: carried(v.items),
            settled: true,
            lines: Vec::new(),
            confidence: None,
        })
        .collect()
}

impl Solver<'_> {
    fn on_message(&mut self, topic: &str, payload: &[u8]) {
        let parts: Vec<&str> = topic.split('/').skip(1).collect();
        match parts[..] {
            ["rfid", reader] => {
                let read: TagRead<'_> = serde_json::from_slice(payload).unwrap();
                let reader = self.store.readers.iter().find(|r| r.id == reader);
                let antenna = reader.and_then(|r| r.antennas.get(&read.antenna));
                let point = antenna.map(|a| self.store.antennas[a.index()].read_point);
                if let (Ok(epc), Some(ReadPoint::Shelf(shelf))) = (read.epc.parse(), point) {
                    self.on_read(epc, shelf.index());
                }
            }
            ["scale", scale] => {
                let Weight { grams } = serde_json::from_slice(payload).unwrap();
                if let Some(scale) = self.store.scales.iter().position(|s| s.id == scale) {
                    self.on_weight(scale, grams);
                }
            }
            ["camera", camera, "detections"] => {
                let frame: Frame = serde_json::from_slice(payload).unwrap();
                let Some(ix) = self.store.cameras.iter().position(|c| c.id == camera) else {
                    return;
                };
                match &self.store.cameras[ix].view {
                    View::Floor { floor_from_image } => {
                        let people = frame.detections.iter();
                        let people = people.filter(|d| d.class == "person" && d.score > 0.5);
                        let camera = &self.store.cameras[ix];
                        let (width, height) = (f64::from(camera.width), f64::from(camera.height));
                        let foot = |d: &Seen| {
                            let [x0, _, x1, y1] = d.bbox;
                            // The feet of whom the image's edge cuts are somewhere else.
                            if x0 < 3.0 || x1 > width - 3.0 || y1 > height - 3.0 {
                                return None;
                            }
                            floor_from_image.map(Point::new((x0 + x1) / 2.0, y1))
                        };
                        let feet = people.filter_map(foot).collect();
                        self.on_people(feet);
                    }
                    View::Shelf { .. } => self.on_products(ix, &frame.detections),
                }
            }
            ["gate", gate] => {
                let event: Gate = serde_json::from_slice(payload).unwrap();
                let zone = self.store.gates.iter().find(|g| g.id == gate);
                let center = zone.and_then(|g| {
                    let bounds = self.store.zones[g.zone.index()].polygon.bounds()?;
                    Some(bounds.center())
                });
                self.on_gate(event, center);
            }
            _ => {}
        }
    }

    fn on_gate(&mut self, event: Gate, center: Option<Point>) {
        match event.kind.as_str() {
            "admitted" => {
                self.visits.push(Visit {
                    token: event.token,
                    staff: event.role.as_deref() == Some("staff"),
                    awaited: event.party.unwrap_or(1),
                    gate: center.unwrap_or_default(),
                    admitted_s: self.now,
                    seen_s: self.now,
                    ..Visit::default()
                });
            }
            "presented" => {
                let mut open = self.visits.iter_mut().filter(|v| v.closed_s.is_none());
                // Without floor cameras this is when somebody leaves.
                if let Some(visit) = open.find(|v| v.token == event.token)
                    && !self.store.has_floor_cameras()
                {
                    visit.closed_s = Some(self.now);
                }
            }
            _ => {}
        }
    }

    fn on_people(&mut self, feet: Vec<Point>) {
        let now = self.now;
        let mut taken = BTreeSet::new();
        for foot in feet {
            let people = self.people.iter().enumerate();
            let free = people.filter(|(i, p)| !taken.contains(i) && p.at.distance(foot) < STRIDE_M);
            let near = free.min_by(|a, b| a.1.at.distance(foot).total_cmp(&b.1.at.distance(foot)));
            let i = match near.map(|(i, _)| i) {
                Some(i) => i,
                None => self.come(foot),
            };
            taken.insert(i);
            let person = &mut self.people[i];
            person.at = person.at + (foot - person.at) * 0.5;
            person.seen_s = now;
            person.frames += 1;
            person.path.push_back((now, person.at));
            if person.path.len() > 1000 {
                person.path.pop_front();
            }
            if let Some(visit) = person.visit {
                self.visits[visit].seen_s = now;
            }
        }
    }

    /// Somebody new in sight, or whoever was lost near by.
    fn come(&mut self, at: Point) -> usize {
        let now = self.now;
        let lost = self.lost.iter().enumerate();
        let again = lost
            .filter(|(_, p)| now - p.seen_s < AGAIN_S && p.at.distance(at) < AGAIN_M)
            .min_by(|a, b| a.1.at.distance(at).total_cmp(&b.1.at.distance(at)))
            .map(|(i, _)| i);
        let visit = again.and_then(|i| self.lost.remove(i).visit);
        self.people.push(Person {
            at,
            seen_s: now,
            frames: 0,
            visit,
            path: VecDeque::new(),
        });
        self.people.len() - 1
    }

    /// Whoever is let in is the nearest to the gate.
    fn bind(&mut self) {
        for (i, visit) in self.visits.iter_mut().enumerate() {
            if visit.awaited == 0 || self.now - visit.admitted_s > GATE_S {
                continue;
            }
            let away = |p: &Person| p.at.distance(visit.gate);
            let people = self.people.iter_mut();
            let near = people
                .filter(|p| p.visit.is_none() && p.frames >= SURE_FRAMES && away(p) < GATE_M)
                .min_by(|a, b| away(a).total_cmp(&away(b)));
            if let Some(person) = near {
                person.visit = Some(i);
                visit.awaited -= 1;
            }
        }
    }

    fn on_read(&mut self, epc: Epc, shelf: usize) {
        let now = self.now;
        // What stands on another fixture is heard from afar here.
        let sold_at = |shelf: usize| {
            let gondola = self.store.shelves[shelf].gondola;
            let shelves = self.store.gondolas[gondola.index()].shelves.iter();
            let mut facings = shelves.flat_map(|s| &self.store.shelf(*s).facings);
            facings.any(|f| Some(f.gtin) == self.store.gtin_of(&epc))
        };
        if !sold_at(shelf) {
            return;
        }
        let tag = self.tags.entry(epc).or_default();
        if tag.reads.is_empty() {
            tag.first_s = now;
        }
        if tag.home.is_none() {
            *tag.reads.entry(shelf).or_insert(0) += 1;
            if now - tag.first_s > TAG_LEARN_S {
                let most = tag.reads.iter().max_by_key(|(_, n)| **n);
                tag.home = most.map(|(shelf, _)| *shelf);
                tag.home_s = now;
                self.tagged.extend(self.store.gtin_of(&epc));
            }
        }
        let gondola = |shelf: usize| self.store.shelves[shelf].gondola;
        if tag.home.is_none_or(|home| gondola(home) != gondola(shelf)) {
            return;
        }
        let gap_s = now - std::mem::replace(&mut tag.home_s, now);
        tag.gap_s = tag.gap_s.max(gap_s.min(8.0));
        if std::mem::take(&mut tag.gone) {
            let holder = tag.holder.take();
            if let (Some(holder), Some(gtin)) = (holder, self.store.gtin_of(&epc)) {
                give(&mut self.visits[holder], gtin, -1);
            }
        }
    }

    fn on_weight(&mut self, scale: usize, grams: f64) {
        let now = self.now;
        let plate = &mut self.plates[scale];
        plate.recent.push_back((now, grams));
        while plate.recent.front().is_some_and(|(s, _)| now - s > REST_S) {
            plate.recent.pop_front();
        }
        let grams = || plate.recent.iter().map(|(_, g)| *g);
        let (low, high) = grams().fold((f64::MAX, f64::MIN), |(l, h), g| (l.min(g), h.max(g)));
        if plate.recent.len() < 5 || high - low > REST_G {
            return;
        }
        let level = grams().sum::<f64>() / plate.recent.len() as f64;
        let Some(before) = plate.rest.replace(level) else {
            return;
        };
        let step = level - before;
        if step.abs() < STEP_G {
            return;
        }
        let scale = &self.store.scales[scale];
        let shelf = scale.shelf.index();
        let facings = self.store.shelves[shelf].facings.iter();
        let facings = facings.filter(|f| f.from < scale.to && f.to > scale.from);
        let weights = facings.filter_map(|f| Some((f.gtin, self.store.weight_of(f.gtin)?)));
        let off = |weight: f64| (weight - step.abs()).abs();
        let at = now - REST_S - 0.3;
        if step < 0.0 {
            let near = weights.min_by(|a, b| off(a.1).total_cmp(&off(b.1)));
            if let Some((gtin, _)) = near.filter(|(gtin, _)| !self.tagged.contains(gtin)) {
                self.act(shelf, gtin, at, true);
            }
        } else if let Some(visit) = self.who(shelf, at) {
            // Only what somebody holds can be put back.
            let held = self.visits[visit].items.iter().filter(|(_, n)| **n > 0);
            let held = held.filter_map(|(gtin, _)| Some((*gtin, self.store.weight_of(*gtin)?)));
            let near = held.min_by(|a, b| off(a.1).total_cmp(&off(b.1)));
            let near = near.filter(|(gtin, w)| !self.tagged.contains(gtin) && off(*w) < w / 4.0);
            if let Some((gtin, _)) = near {
                give(&mut self.visits[visit], gtin, -1);
            }
        }
    }

    fn on_products(&mut self, camera: usize, seen: &[Seen]) {
        let View::Shelf { regions } = &self.store.cameras[camera].view else {
            return;
        };
        let now = self.now;
        self.frames[camera] += 1;
        let frame = self.frames[camera];
        let center = |s: &Seen| {
            let [x0, y0, x1, y1] = s.bbox;
            Point::new((x0 + x1) / 2.0, (y0 + y1) / 2.0)
        };
        let hidden: Vec<[f64; 4]> = seen
            .iter()
            .filter(|s| s.class != "product")
            .map(|s| s.bbox)
            .collect();
        let mut matched = BTreeSet::new();
        for one in seen.iter().filter(|s| s.class == "product") {
            let at = center(one);
            let size = (one.bbox[2] - one.bbox[0]).min(one.bbox[3] - one.bbox[1]);
            let region = regions.iter().find(|(_, outline)| outline.contains(at));
            let Some((shelf, _)) = region else {
                continue;
            };
            let places = self.places[camera].iter().enumerate();
            let near = places
                .filter(|(i, p)| !matched.contains(i) && p.center.distance(at) < size * 0.6)
                .min_by(|a, b| a.1.center.distance(at).total_cmp(&b.1.center.distance(at)));
            let Some((i, _)) = near else {
                self.places[camera].push(Place {
                    gtins: one.gtins.clone(),
                    first: frame,
                    last: frame,
                    shelf: shelf.index(),
                    center: at,
                    frames: 1,
                    seen_s: now,
                    gap_s: 0.0,
                    back_s: None,
                    gone: false,
                });
                matched.insert(self.places[camera].len() - 1);
                continue;
            };
            matched.insert(i);
            let place = &mut self.places[camera][i];
            place.frames += 1;
            place.last = frame;
            let gap_s = now - std::mem::replace(&mut place.seen_s, now);
            place.gap_s = place.gap_s.max(gap_s.min(5.0));
            for (gtin, probability) in &one.gtins {
                *place.gtins.entry(*gtin).or_insert(0.0) += probability;
            }
            if place.gone {
                let back = *place.back_s.get_or_insert(now);
                if now - back > MISSING_S {
                    place.gone = false;
                    let (shelf, gtin) = (place.shelf, place.gtin());
                    self.act_seen(shelf, gtin, back, false);
                }
            }
        }
        for i in 0..self.places[camera].len() {
            let place = &mut self.places[camera][i];
            if matched.contains(&i) {
                continue;
            }
            place.back_s = None;
            let p = place.center;
            let covered = |b: &[f64; 4]| p.x > b[0] && p.x < b[2] && p.y > b[1] && p.y < b[3];
            if hidden.iter().any(covered) && now - place.seen_s < 10.0 {
                place.seen_s = now - MISSING_S / 2.0;
            }
            let missing = now - place.seen_s > MISSING_S.max(1.5 * place.gap_s) && place.is_sure();
            if missing && !place.gone {
                place.gone = true;
                let (shelf, gtin, at) = (place.shelf, place.gtin(), place.seen_s);
                self.act_seen(shelf, gtin, at, true);
            }
        }
    }

    /// What a camera saw counts only where nothing better tells of it.
    fn act_seen(&mut self, shelf: usize, gtin: Option<Gtin>, at: f64, taken: bool) {
        let Some(gtin) = gtin else { return };
        if !self.tagged.contains(&gtin) && self.store.shelves[shelf].scales.is_empty() {
            self.act(shelf, gtin, at, taken);
        }
    }

    fn act(&mut self, shelf: usize, gtin: Gtin, at: f64, taken: bool) {
        if let Some(visit) = self.who(shelf, at) {
            give(&mut self.visits[visit], gtin, if taken { 1 } else { -1 });
        }
    }

    /// Whoever was nearest to a shelf; without floor cameras, who came last.
    fn who(&mut self, shelf: usize, at: f64) -> Option<usize> {
        if !self.store.has_floor_cameras() {
            let open = |v: &Visit| v.closed_s.is_none() && v.admitted_s <= at + 1.0;
            return self.visits.iter().rposition(open);
        }
        let gondola = self.store.shelves[shelf].gondola;
        let front: Segment = self.store.gondolas[gondola.index()].front;
        let in_sight: BTreeSet<usize> = self.people.iter().filter_map(|p| p.visit).collect();
        let all = self.people.iter_mut().chain(&mut self.lost);
        let away = all.filter_map(|p| {
            let (s, there) = *p
                .path
                .iter()
                .min_by(|a, b| (a.0 - at).abs().total_cmp(&(b.0 - at).abs()))?;
            let away = front.distance(there);
            let sure = p.frames >= SURE_FRAMES;
            (sure && (s - at).abs() < 1.5 && away < REACH_M).then_some((away, p))
        });
        let (_, person) = away.min_by(|a, b| a.0.total_cmp(&b.0))?;
        if person.visit.is_none() {
            // Whoever is inside and out of sight, or somebody whom nobody let in.
            let open = self.visits.iter().enumerate();
            let open = open.filter(|(i, v)| v.closed_s.is_none() && !in_sight.contains(i));
            let latest = open.max_by(|a, b| a.1.seen_s.total_cmp(&b.1.seen_s));
            person.visit = Some(latest.map_or(self.visits.len(), |(i, _)| i));
            if person.visit == Some(self.visits.len()) {
                self.visits.push(Visit {
                    seen_s: self.now,
                    ..Visit::default()
                });
            }
        }
        person.visit
    }

    /// Five times a second: silent tags, people out of sight, visits that are over.
    fn look(&mut self) {
        let now = self.now;
        self.bind();
        let silent = self
            .tags
            .iter_mut()
            .filter(|(_, tag)| tag.home.is_some() && !tag.gone && now - tag.home_s > TAG_SILENT_S);
        let mut taken = Vec::new();
        for (epc, tag) in silent {
            tag.gone = true;
            taken.extend(
                self.store
                    .gtin_of(epc)
                    .zip(tag.home)
                    .map(|(g, h)| (*epc, g, h, tag.home_s)),
            );
        }
        for (epc, gtin, shelf, at) in taken {
            let holder = self.who(shelf, at);
            if let Some(holder) = holder {
                give(&mut self.visits[holder], gtin, 1);
            }
            self.tags.entry(epc).or_default().holder = holder;
        }
        let people = std::mem::take(&mut self.people).into_iter();
        let (here, gone): (Vec<_>, Vec<_>) = people.partition(|p| now - p.seen_s < LOST_S);
        self.people = here;
        self.lost.extend(gone);
        let exits = || self.store.zones.iter().filter(|z| z.exit);
        for person in &self.lost {
            let left = exits().any(|z| z.polygon.distance(person.at) < 0.8);
            let Some(visit) = person.visit.filter(|_| left) else {
                continue;
            };
            let others = self.people.iter().any(|p| p.visit == Some(visit));
            let over =
                now - person.seen_s > 4.0 && person.seen_s - self.visits[visit].admitted_s > 4.0;
            if !others && over {
                let seen = self.visits[visit].seen_s;
                self.visits[visit].closed_s.get_or_insert(seen);
            }
        }
        self.lost.retain(|p| now - p.seen_s < 10.0);
    }
}

fn give(visit: &mut Visit, gtin: Gtin, by: i32) {
    let held = visit.items.entry(gtin).or_insert(0);
    *held = held.saturating_add_signed(by);
}
