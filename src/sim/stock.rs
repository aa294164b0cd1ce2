//! Units of goods: where each one is, what it weighs, what tag it bears. One unit has one place;
//! a unit is never made or lost but by staff and by the door.

use super::effects::Effects;
use super::random::Random;
use super::shop::Shop;
use super::shop::goods::COMPANY_DIGITS;
use super::space::{Vec3, vec3};
use crate::gs1::{Gtin, Sgtin};

#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// Place in the shop's `goods`.
    pub good: usize,
    pub weight_g: f64,
    /// Mostly one; none where it was forgotten, two where it was put on twice.
    pub tags: Vec<Tag>,
    pub place: Place,
    pub what: What,
    /// Fixture, level and facing where it belongs; none where that is not in this shop.
    pub home: Option<(usize, usize, usize)>,
    /// The holder came in with it: it is no part of the shop's stock.
    pub brought: bool,
    /// Changes whenever the unit was moved: its surroundings are new then.
    pub pose: u64,
    /// Plates that bear it, and each one's share.
    pub bearers: Vec<(usize, f64)>,
    /// Share of its weight that rests on the shelf.
    pub load: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Tag {
    pub epc: String,
    /// Better or worse than the ordinary tag, dB each way.
    pub quality_db: f64,
    /// Its number among all tags that there are.
    pub slot: usize,
}

/// What is left of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Whole,
    /// The wrapper, tag and all: the rest was consumed.
    Wrapper,
    /// A tag that was torn off.
    Label,
}

/// What somebody has on them when they come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// With a tag of a maker whom the catalogue does not know.
    Foreign,
    /// Sold here another day, its tag alive.
    BoughtBefore,
    /// Of another shop, without a tag, as heavy as a unit of this good.
    AsHeavyAs(usize),
    /// All that an earlier visit carried out, by the visit's number.
    CarriedOut(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    Shelf(Spot),
    /// By whom, and how.
    Held(usize, Carry),
    /// In no fixture: a carton in a stack, a basket put down.
    Floor(Vec3),
    Gone,
}

/// A place on a shelf.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spot {
    pub fixture: usize,
    pub level: usize,
    /// Of its middle, from the left end of the front.
    pub along: f64,
    /// Of its middle, behind the front's edge.
    pub behind: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carry {
    Hand,
    Basket,
    Bag,
    Pocket,
    /// In a bag, amid cans and bottles.
    Crammed,
}

/// All units and the columns that they stand in.
#[derive(Debug)]
pub(super) struct Stock {
    pub units: Vec<Unit>,
    /// By fixture, level, facing, column: units from the back to the front.
    columns: Vec<Vec<Vec<Vec<Vec<usize>>>>>,
    /// Units that stand where they do not belong, by fixture and level.
    loose: Vec<Vec<Vec<usize>>>,
    random: Random,
    serial: u64,
    /// How many tags there are.
    tags: usize,
}

impl Stock {
    /// Facings filled to between a third and all of their capacity.
    pub(super) fn open(seed: u64, shop: &Shop, effects: &Effects) -> Self {
        let mut stock = Self {
            units: Vec::new(),
            columns: Vec::new(),
            loose: Vec::new(),
            random: Random::stream(seed, "stock"),
            serial: 1000,
            tags: 0,
        };
        for (f, fixture) in shop.fixtures.iter().enumerate() {
            stock.columns.push(Vec::new());
            stock.loose.push(vec![Vec::new(); fixture.levels.len()]);
            for (l, level) in fixture.levels.iter().enumerate() {
                stock.columns[f].push(Vec::new());
                for (n, facing) in level.facings.iter().enumerate() {
                    let empty = vec![Vec::new(); facing.columns as usize];
                    stock.columns[f][l].push(empty);
                    let full = f64::from(facing.capacity());
                    let count = (full * stock.random.range(0.35, 1.0)).ceil() as usize;
                    for _ in 0..count {
                        let unit = stock.make(shop, facing.good, effects);
                        stock.shelve(shop, unit, f, l, n);
                        stock.units[unit].load = 1.0;
                    }
                }
            }
        }
        for place in &shop.stack {
            let good = stock.random.index(shop.goods.len());
            let unit = stock.make(shop, good, effects);
            stock.units[unit].place = Place::Floor(*place);
        }
        stock
    }

    /// A new unit, in nobody's place yet.
    pub(super) fn make(&mut self, shop: &Shop, good: usize, effects: &Effects) -> usize {
        let r = &mut self.random;
        let what = &shop.goods[good];
        let quality_db = (!r.chance(effects.untagged)).then(|| {
            let bad = if r.chance(effects.dead) {
                -60.0
            } else if r.chance(effects.weak) {
                -r.range(5.0, 11.0)
            } else {
                0.0
            };
            bad + 1.2 * r.normal()
        });
        // Filling varies by about a per cent.
        let weight_g = what.weight_g * (1.0 + 0.008 * r.normal());
        let tag = quality_db.map(|quality_db| self.print(what.gtin, quality_db));
        self.units.push(Unit {
            good,
            weight_g,
            tags: tag.into_iter().collect(),
            place: Place::Gone,
            what: What::Whole,
            home: None,
            brought: false,
            pose: 0,
            bearers: Vec::new(),
            load: 0.0,
        });
        self.units.len() - 1
    }

    /// A new tag of a good.
    fn print(&mut self, gtin: Gtin, quality_db: f64) -> Tag {
        self.serial += self.random.int(1, 97);
        self.tags += 1;
        Tag {
            epc: epc(gtin, self.serial),
            quality_db,
            slot: self.tags - 1,
        }
    }

    /// Fills a facing up, and gives all of its units so many tags that work.
    pub(super) fn prepare(
        &mut self,
        shop: &Shop,
        (f, l, n): (usize, usize, usize),
        count: usize,
        effects: &Effects,
    ) {
        let good = shop.level(f, l).facings[n].good;
        for _ in 0..self.room(shop, f, l, n) {
            let unit = self.make(shop, good, effects);
            self.shelve(shop, unit, f, l, n);
            self.units[unit].load = 1.0;
        }
        for unit in self.columns[f][l][n].concat() {
            let mut tags = Vec::new();
            for _ in 0..count {
                let spread = 1.2 * self.random.normal();
                tags.push(self.print(shop.goods[good].gtin, spread));
            }
            self.units[unit].tags = tags;
        }
    }

    /// Something that a person brings along.
    pub(super) fn bring(
        &mut self,
        shop: &Shop,
        person: usize,
        brought: Brought,
        effects: &Effects,
    ) {
        let good = self.random.index(shop.goods.len());
        let unit = self.make(shop, good, effects);
        self.units[unit].brought = true;
        match brought {
            Brought::Foreign => {
                let payload = 871_000_000_000 + self.random.int(0, 999_999_999);
                let tag = Gtin::from_payload(payload).map(|maker| self.print(maker, 0.0));
                self.units[unit].tags = tag.into_iter().collect();
            }
            Brought::AsHeavyAs(other) => {
                self.units[unit].tags.clear();
                self.units[unit].weight_g = shop.goods[other].weight_g;
            }
            Brought::BoughtBefore | Brought::CarriedOut(_) => {}
        }
        let carry = if self.random.chance(0.5) {
            Carry::Bag
        } else {
            Carry::Pocket
        };
        self.hold(unit, person, carry);
    }

    /// A tag torn off a unit, as something by itself.
    pub(super) fn tear(&mut self, unit: usize) -> usize {
        let tags = std::mem::take(&mut self.units[unit].tags);
        let label = Unit {
            // Paper and a loop of aluminium.
            weight_g: 0.5,
            tags,
            what: What::Label,
            ..self.units[unit].clone()
        };
        self.units.push(label);
        self.units.len() - 1
    }

    /// Units that a hand can grip at a facing: the front ones, `want` at most.
    pub(super) fn grip(&mut self, f: usize, l: usize, n: usize, want: u32) -> Vec<usize> {
        let columns = &mut self.columns[f][l][n];
        let mut order: Vec<usize> = (0..columns.len()).collect();
        self.random.shuffle(&mut order);
        let mut out = Vec::new();
        // Neighbouring columns first, then deeper.
        for round in 0..2 {
            for c in &order {
                if out.len() < want as usize && (round == 0 || !columns[*c].is_empty()) {
                    out.extend(columns[*c].pop());
                }
            }
        }
        out
    }

    /// The unit that stands loose on a shelf nearest to a place along it.
    pub(super) fn grip_loose(&mut self, f: usize, l: usize, along: f64) -> Option<usize> {
        let apart = |unit: &usize| match self.units[*unit].place {
            Place::Shelf(spot) => (spot.along - along).abs(),
            _ => f64::INFINITY,
        };
        let loose = &self.loose[f][l];
        let n = (0..loose.len()).min_by(|a, b| apart(&loose[*a]).total_cmp(&apart(&loose[*b])))?;
        Some(self.loose[f][l].remove(n))
    }

    /// Whether anything can be taken at a facing.
    pub(super) fn has(&self, f: usize, l: usize, n: usize) -> bool {
        self.columns[f][l][n].iter().any(|c| !c.is_empty())
    }

    /// Room at a facing, in units.
    pub(super) fn room(&self, shop: &Shop, f: usize, l: usize, n: usize) -> usize {
        let standing: usize = self.columns[f][l][n].iter().map(Vec::len).sum();
        (shop.level(f, l).facings[n].capacity() as usize).saturating_sub(standing)
    }

    /// Stands a unit in its facing's emptiest column; its weight is put down by the caller.
    pub(super) fn shelve(&mut self, shop: &Shop, unit: usize, f: usize, l: usize, n: usize) {
        let facing = &shop.level(f, l).facings[n];
        let columns = &mut self.columns[f][l][n];
        let Some(c) = (0..columns.len()).min_by_key(|c| columns[*c].len()) else {
            return;
        };
        let deep = facing.deep as usize;
        let standing = columns[c].len();
        let (width, depth, _) = shop.goods[facing.good].size;
        let pitch = (facing.to - facing.from) / f64::from(facing.columns);
        let slack = ((pitch - width) / 2.0).max(0.0);
        let along = facing.from + pitch * (c as f64 + 0.5) + self.random.range(-slack, slack);
        let row = deep.saturating_sub(1 + standing) as f64;
        columns[c].push(unit);
        self.units[unit].home.get_or_insert((f, l, n));
        let spot = Spot {
            fixture: f,
            level: l,
            along,
            behind: 0.02 + (depth + 0.008) * (row + 0.5),
        };
        self.stand(shop, unit, spot);
    }

    /// Stands a unit somewhere, also where it does not belong.
    pub(super) fn misplace(&mut self, shop: &Shop, unit: usize, spot: Spot) {
        self.loose[spot.fixture][spot.level].push(unit);
        self.stand(shop, unit, spot);
    }

    fn stand(&mut self, shop: &Shop, unit: usize, spot: Spot) {
        let u = &mut self.units[unit];
        u.place = Place::Shelf(spot);
        u.pose += 1;
        u.load = 0.0;
        u.bearers = shares(shop, &spot, shop.goods[u.good].size.0);
    }

    pub(super) fn hold(&mut self, unit: usize, person: usize, carry: Carry) {
        let u = &mut self.units[unit];
        u.place = Place::Held(person, carry);
        u.pose += 1;
    }

    pub(super) fn put_down(&mut self, unit: usize, place: Vec3) {
        let u = &mut self.units[unit];
        u.place = Place::Floor(place);
        u.pose += 1;
    }

    pub(super) fn leave(&mut self, unit: usize) {
        self.units[unit].place = Place::Gone;
    }

    /// What the person holds, in the order of the units.
    pub(super) fn held(&self, person: usize) -> Vec<usize> {
        let by = |u: &Unit| matches!(u.place, Place::Held(p, _) if p == person);
        (0..self.units.len())
            .filter(|u| by(&self.units[*u]))
            .collect()
    }

    /// The front units of a shelf, as a camera sees them, and all that stands loose.
    pub(super) fn fronts(&self, f: usize, l: usize) -> impl Iterator<Item = usize> + '_ {
        let fronts = self.columns[f][l].iter().flatten().filter_map(|c| c.last());
        fronts.chain(&self.loose[f][l]).copied()
    }
}

fn epc(gtin: Gtin, serial: u64) -> String {
    let sgtin = Sgtin::new(gtin, &serial.to_string(), 1, COMPANY_DIGITS);
    let epc = sgtin.and_then(|s| s.to_sgtin_96());
    epc.expect("serials are small numbers").to_string()
}

/// The plates under a stretch of a shelf, by how much of it lies on each.
pub(super) fn shares(shop: &Shop, spot: &Spot, width: f64) -> Vec<(usize, f64)> {
    let (from, to) = (spot.along - width / 2.0, spot.along + width / 2.0);
    let mut out: Vec<(usize, f64)> = Vec::new();
    for (n, p) in shop.plates.iter().enumerate() {
        if p.fixture == spot.fixture && p.level == spot.level {
            let common = to.min(p.to) - from.max(p.from);
            if common > 0.0 {
                out.push((n, common));
            }
        }
    }
    let sum: f64 = out.iter().map(|(_, s)| s).sum();
    out.iter_mut().for_each(|(_, s)| *s /= sum);
    out
}

/// Where a resting unit's tag is.
pub(super) fn tag_place(shop: &Shop, spot: &Spot, tall: f64) -> Vec3 {
    let fixture = &shop.fixtures[spot.fixture];
    let p = fixture.spot(spot.along, -spot.behind);
    vec3(p.x, p.y, fixture.levels[spot.level].z + tall / 2.0)
}
