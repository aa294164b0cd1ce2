//! The shop as it really stands: fixtures, shelves, plates, antennas, cameras, doors. What the
//! store file says of it is written by [`text`]; the world uses only what stands here.

mod given;
pub(super) mod goods;
mod hall;
mod kiosk;
mod premises;
mod sensors;
pub(super) mod text;

use crate::sim::random::Random;
use crate::sim::space::{Pinhole, Vec3, at, vec3};
use crate::store::Store;
use crate::units::Point;

use self::goods::Good;
pub(super) use self::premises::Premises;
use super::Sensors;
use super::effects::Effects;

#[derive(Debug, Clone)]
pub(super) struct Shop {
    pub id: String,
    pub name: String,
    /// Where people can be: the corners of the floor, doors included.
    pub low: Point,
    pub high: Point,
    pub zones: Vec<Zone>,
    pub doors: Vec<Door>,
    /// Places in `doors`.
    pub entry: usize,
    pub exit: usize,
    /// Another way out beside the exit, a place in `doors`.
    pub lane: Option<usize>,
    /// A room without sensors, a place in `zones`.
    pub room: Option<usize>,
    /// Where cartons stand beside the way out that no shelf knows of.
    pub stack: Vec<Vec3>,
    pub fixtures: Vec<Fixture>,
    pub plates: Vec<Plate>,
    pub readers: Vec<Reader>,
    pub eyes: Vec<Eye>,
    pub goods: Vec<Good>,
}

/// An upright rectangle of the floor.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub id: String,
    pub kinds: Vec<&'static str>,
    pub low: Point,
    pub high: Point,
}

impl Zone {
    pub(super) fn holds(&self, p: Point) -> bool {
        (self.low.x..=self.high.x).contains(&p.x) && (self.low.y..=self.high.y).contains(&p.y)
    }

    pub(super) fn middle(&self) -> Point {
        at(
            (self.low.x + self.high.x) / 2.0,
            (self.low.y + self.high.y) / 2.0,
        )
    }
}

/// A doorway with its gate.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub gate: String,
    /// Place in `zones`.
    pub zone: usize,
    /// Where people come from and vanish, beyond the zone's outer edge.
    pub outside: Point,
    /// The first place within the shop.
    pub inside: Point,
}

#[derive(Debug, Clone)]
pub(super) struct Fixture {
    pub id: String,
    /// The ends of its front as a shopper sees it.
    pub left: Point,
    pub right: Point,
    pub depth: f64,
    pub height: f64,
    pub levels: Vec<Level>,
}

impl Fixture {
    pub(super) fn length(&self) -> f64 {
        self.left.distance(self.right)
    }

    /// Unit vector from left to right.
    pub(super) fn along(&self) -> Point {
        let l = self.length();
        at(
            (self.right.x - self.left.x) / l,
            (self.right.y - self.left.y) / l,
        )
    }

    /// Unit vector out of the front, towards the shopper: whose right hand is at `right`.
    pub(super) fn outward(&self) -> Point {
        let u = self.along();
        at(u.y, -u.x)
    }

    /// `along` metres from the left end, `off` metres before the front (behind it if negative).
    pub(super) fn spot(&self, along: f64, off: f64) -> Point {
        let (u, n) = (self.along(), self.outward());
        at(
            self.left.x + u.x * along + n.x * off,
            self.left.y + u.y * along + n.y * off,
        )
    }

    pub(super) fn spot3(&self, along: f64, off: f64, z: f64) -> Vec3 {
        let p = self.spot(along, off);
        vec3(p.x, p.y, z)
    }

    /// Whether the box around two points reaches the circle around the fixture: where it does not,
    /// no point between them stands within its body.
    pub(super) fn near(&self, a: Point, b: Point) -> bool {
        let (width, depth) = (self.length(), self.depth);
        let centre = self.spot(width / 2.0, -depth / 2.0);
        // A millimetre more than rounding can cost.
        let radius = (width * width + depth * depth).sqrt() / 2.0 + 1e-3;
        (a.x.min(b.x) - radius..=a.x.max(b.x) + radius).contains(&centre.x)
            && (a.y.min(b.y) - radius..=a.y.max(b.y) + radius).contains(&centre.y)
    }

    /// Whether the point stands within the body of the fixture, widened by `margin`.
    pub(super) fn covers(&self, p: Point, margin: f64) -> bool {
        let (u, n) = (self.along(), self.outward());
        let d = at(p.x - self.left.x, p.y - self.left.y);
        let (s, off) = (d.x * u.x + d.y * u.y, d.x * n.x + d.y * n.y);
        (-margin..self.length() + margin).contains(&s)
            && (-self.depth - margin..margin).contains(&off)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Level {
    pub id: String,
    /// Of the board, above the floor.
    pub z: f64,
    /// Up to the next board.
    pub clear: f64,
    pub facings: Vec<Facing>,
}

#[derive(Debug, Clone)]
pub(super) struct Facing {
    /// Place in `goods`.
    pub good: usize,
    pub from: f64,
    pub to: f64,
    pub columns: u32,
    pub deep: u32,
}

impl Facing {
    pub(super) fn capacity(&self) -> u32 {
        self.columns * self.deep
    }
}

/// Something that weighs the stretch `from..to` of a shelf.
#[derive(Debug, Clone)]
pub(super) struct Plate {
    pub id: String,
    pub fixture: usize,
    pub level: usize,
    pub from: f64,
    pub to: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub id: String,
    /// Port numbers count from 1 in this order.
    pub ports: Vec<Aerial>,
}

#[derive(Debug, Clone)]
pub(super) struct Aerial {
    pub at: ReadPoint,
    /// A shelf antenna is a strip; a gate antenna a patch, both ends equal.
    pub a: Vec3,
    pub b: Vec3,
    /// Where a patch looks; unused for strips.
    pub boresight: Vec3,
    /// Power and gain, dBm and dBi.
    pub power_dbm: f64,
    pub gain_dbi: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadPoint {
    Shelf(usize, usize),
    /// Place in `doors`.
    Door(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Eye {
    pub id: String,
    pub camera: Pinhole,
    pub task: Task,
}

#[derive(Debug, Clone)]
pub(super) enum Task {
    /// With the homography of the store file, which errs.
    Floor([[f64; 3]; 3]),
    /// Fixture, level and outline in the image as the store file has it.
    Shelves(Vec<(usize, usize, Vec<(f64, f64)>)>),
}

/// Which shop is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShopKind {
    /// Five gondolas side by side along one aisle, 4.6 m long.
    Kiosk,
    /// Six to ten gondolas with aisles, zones for entry and exit, a back room.
    Hall,
}

impl Shop {
    pub(super) fn build(
        seed: u64,
        kind: ShopKind,
        sensors: Sensors,
        premises: Premises,
        effects: &Effects,
    ) -> Self {
        let mut random = Random::stream(seed, "shop");
        let shop = match kind {
            ShopKind::Kiosk => kiosk::build(&mut random),
            ShopKind::Hall => hall::build(&mut random),
        };
        shop.equipped(seed, kind, sensors, premises, effects)
    }

    /// After a store file; `None` where it has no way in or out.
    pub(super) fn after(
        seed: u64,
        store: &Store,
        sensors: Sensors,
        effects: &Effects,
    ) -> Option<Self> {
        let shop = given::build(store, effects, &mut Random::stream(seed, "shop"))?;
        let kind = if shop.high.x - shop.low.x < 6.0 {
            ShopKind::Kiosk
        } else {
            ShopKind::Hall
        };
        let premises = Premises::default();
        Some(shop.equipped(seed, kind, sensors, premises, effects))
    }

    fn equipped(
        mut self,
        seed: u64,
        kind: ShopKind,
        sensors: Sensors,
        premises: Premises,
        effects: &Effects,
    ) -> Self {
        let shop = &mut self;
        if premises.lane {
            premises::add_lane(shop);
        }
        if premises.stack {
            premises::add_stack(shop, &mut Random::stream(seed, "stack"));
        }
        sensors::install(
            shop,
            kind,
            sensors,
            effects,
            &mut Random::stream(seed, "installer"),
        );
        // Nothing is hung in there.
        if premises.room {
            premises::add_room(shop);
        }
        self
    }

    /// Whether cameras see where people go.
    pub(super) fn is_followed(&self) -> bool {
        self.eyes.iter().any(|e| matches!(e.task, Task::Floor(_)))
    }

    pub(super) fn level(&self, fixture: usize, level: usize) -> &Level {
        &self.fixtures[fixture].levels[level]
    }

    pub(super) fn zone_of(&self, door: usize) -> &Zone {
        &self.zones[self.doors[door].zone]
    }

    pub(super) fn staff_zone(&self) -> Option<&Zone> {
        self.zones.iter().find(|z| z.kinds.contains(&"staff"))
    }
}

/// Boards of a fixture with facings of the assortment, one after the other from `next` on.
pub(super) fn fill_levels(
    fixture: &mut Fixture,
    name: &str,
    count: usize,
    goods: &[Good],
    next: &mut usize,
    random: &mut Random,
) {
    let (lowest, top) = (0.22, fixture.height);
    let pitch = (top - lowest) / count as f64;
    for n in 0..count {
        let facings = facings(fixture.length(), fixture.depth, pitch, goods, next, random);
        fixture.levels.push(Level {
            id: format!("{name}-s{}", n + 1),
            z: lowest + pitch * n as f64,
            clear: pitch,
            facings,
        });
    }
}

fn facings(
    length: f64,
    depth: f64,
    clear: f64,
    goods: &[Good],
    next: &mut usize,
    random: &mut Random,
) -> Vec<Facing> {
    let mut out: Vec<Facing> = Vec::new();
    let mut x = 0.0;
    loop {
        let good = &goods[*next % goods.len()];
        let (width, deep_m) = (good.size.0 + 0.008, good.size.1 + 0.008);
        let most = (0.34 / width) as u64;
        let columns = random
            .int(1, most.clamp(1, 3))
            .max(if width < 0.1 { 2 } else { 1 });
        let to = x + width * columns as f64 + 0.01;
        if to > length || out.len() == 12 {
            return out;
        }
        if good.size.2 < clear - 0.03 {
            let deep = ((depth / deep_m) as u64).clamp(2, 5);
            out.push(Facing {
                good: *next % goods.len(),
                from: x,
                to,
                columns: columns as u32,
                deep: deep as u32,
            });
            x = to + if random.chance(0.4) { 0.015 } else { 0.0 };
        }
        *next += 1;
    }
}
