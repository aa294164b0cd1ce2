//! An invented assortment: families of one brand and kind in several flavours, alike in price,
//! look and weight, so that neither a scale nor a camera tells them apart for certain.

use crate::gs1::Gtin;
use crate::sim::random::Random;

/// What a pack is made of decides how its tag is heard and how it is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) enum Kind {
    Can,
    Bottle,
    Bag,
    Carton,
    Sweets,
}

#[derive(Debug, Clone)]
pub(in crate::sim) struct Good {
    pub gtin: Gtin,
    pub name: String,
    pub brand: String,
    pub kind: Kind,
    pub price_cents: u64,
    /// What a unit weighs on average, grams.
    pub weight_g: f64,
    /// What the catalogue says of it.
    pub listed_g: Option<f64>,
    /// Width, depth and height of a unit, metres.
    pub size: (f64, f64, f64),
    /// Goods of one family look alike.
    pub family: usize,
}

/// As tags are encoded.
pub(in crate::sim) const COMPANY_DIGITS: u8 = 7;

const BRANDS: [&str; 14] = [
    "Aldera", "Borvo", "Cassia", "Dunmor", "Estval", "Fjellby", "Granello", "Halmar", "Istria",
    "Juniper", "Korsa", "Lindau", "Morena", "Nordal",
];
const FLAVOURS: [&str; 12] = [
    "Classic", "Lime", "Zero", "Paprika", "Sea Salt", "Vanilla", "Berry", "Mint", "Orange",
    "Honey", "Pepper", "Mild",
];
/// Kind, names, weight and its spread within the kind, width, depth, height.
type Line = (Kind, [&'static str; 4], (f64, f64), f64, f64, f64);
const LINES: [Line; 7] = [
    (
        Kind::Can,
        ["Cola", "Tonic", "Soda", "Energy"],
        (270.0, 390.0),
        0.066,
        0.066,
        0.12,
    ),
    (
        Kind::Bottle,
        ["Water", "Juice", "Iced Tea", "Kefir"],
        (270.0, 620.0),
        0.07,
        0.07,
        0.21,
    ),
    (
        Kind::Bottle,
        ["Milk", "Spring Water", "Syrup", "Oil"],
        (780.0, 1080.0),
        0.085,
        0.085,
        0.27,
    ),
    (
        Kind::Bag,
        ["Crisps", "Pretzels", "Popcorn", "Nuts"],
        (28.0, 160.0),
        0.15,
        0.07,
        0.21,
    ),
    (
        Kind::Carton,
        ["Biscuits", "Crackers", "Cereal", "Noodles"],
        (65.0, 440.0),
        0.13,
        0.06,
        0.19,
    ),
    (
        Kind::Sweets,
        ["Chocolate", "Gums", "Toffee", "Liquorice"],
        (35.0, 290.0),
        0.10,
        0.05,
        0.17,
    ),
    (
        Kind::Carton,
        ["Soup", "Rice", "Coffee", "Tea"],
        (110.0, 520.0),
        0.10,
        0.07,
        0.16,
    ),
];

/// About `count` products. Families of two to five flavours weigh within 3 % of each other.
pub(in crate::sim) fn assortment(random: &mut Random, count: usize) -> Vec<Good> {
    let mut goods: Vec<Good> = Vec::new();
    let mut family = 0;
    while goods.len() < count {
        let company = 4_000_000 + random.int(100_000, 999_999);
        let brand = BRANDS[random.index(BRANDS.len())];
        let (kind, names, span, width, depth, height) = LINES[random.index(LINES.len())];
        let name = names[random.index(names.len())];
        let weight = random.range(span.0, span.1);
        let price_cents = (random.range(0.6, 4.5) * 20.0) as u64 * 5 + 4;
        let scale = random.range(0.9, 1.15);
        let size = (width * scale, depth * scale, height * scale);
        let mut flavours = FLAVOURS;
        random.shuffle(&mut flavours);
        for flavour in flavours.iter().take(random.int(2, 5) as usize) {
            let item = random.int(0, 99_999);
            let Some(gtin) = Gtin::from_payload(company * 100_000 + item) else {
                continue;
            };
            if goods.iter().any(|g| g.gtin == gtin) {
                continue;
            }
            let weight_g = weight * (1.0 + 0.015 * random.normal());
            goods.push(Good {
                gtin,
                name: format!("{brand} {name} {flavour}"),
                brand: brand.to_owned(),
                kind,
                price_cents,
                weight_g,
                // Catalogues round, and have holes.
                listed_g: (!random.chance(0.03)).then(|| weight_g + 0.6 * random.normal()),
                size,
                family,
            });
        }
        family += 1;
    }
    goods
}
