//! Reading the store file.

use serde::Deserialize;

use super::{
    Antenna, Camera, Currency, Facing, Gate, Gondola, Product, ReadPoint, Reader, Scale, Shelf,
    Store, View, Zone,
};
use crate::ids::{AntennaIx, GondolaIx, ReaderIx, ScaleIx, ShelfIx, ZoneIx};
use crate::units::{Homography, Point, Polygon, Segment};

#[derive(Deserialize)]
struct RawFile {
    store: RawStore,
    #[serde(default)]
    zone: Vec<RawZone>,
    #[serde(default)]
    gate: Vec<RawGate>,
    #[serde(default)]
    gondola: Vec<RawGondola>,
    #[serde(default)]
    scale: Vec<RawScale>,
    #[serde(default)]
    reader: Vec<RawReader>,
    #[serde(default)]
    camera: Vec<RawCamera>,
}
#[derive(Deserialize)]
struct RawStore {
    id: String,
    name: Option<String>,
    timezone: Option<String>,
    currency: Option<String>,
    catalog: String,
}
#[derive(Deserialize)]
struct RawZone {
    id: String,
    kinds: Vec<String>,
    polygon: Vec<[f64; 2]>,
}
#[derive(Deserialize)]
struct RawGate {
    id: String,
    zone: String,
}
#[derive(Deserialize)]
struct RawGondola {
    id: String,
    front: [[f64; 2]; 2],
    reach: Option<f64>,
    #[serde(default)]
    shelf: Vec<RawShelf>,
}
#[derive(Deserialize)]
struct RawShelf {
    id: String,
    height: Option<f64>,
    #[serde(default)]
    facings: Vec<RawFacing>,
}
#[derive(Deserialize)]
struct RawFacing {
    gtin: String,
    from: f64,
    to: f64,
    capacity: Option<u32>,
}
#[derive(Deserialize)]
struct RawScale {
    id: String,
    shelf: String,
    from: f64,
    to: f64,
}
#[derive(Deserialize)]
struct RawReader {
    id: String,
    antennas: Vec<RawAntenna>,
}
#[derive(Deserialize)]
struct RawAntenna {
    port: u16,
    shelf: Option<String>,
    gondola: Option<String>,
    gate: Option<String>,
    zone: Option<String>,
}
#[derive(Deserialize)]
struct RawCamera {
    id: String,
    view: String,
    width: u32,
    height: u32,
    floor_from_image: Option<[[f64; 3]; 3]>,
    model: Option<String>,
    #[serde(default)]
    regions: Vec<RawRegion>,
}
#[derive(Deserialize)]
struct RawRegion {
    shelf: String,
    polygon: Vec<[f64; 2]>,
}

/// The catalogue's path as the store file gives it.
pub fn catalog_path(text: &str) -> Result<String, String> {
    let raw: RawFile = toml::from_str(text).map_err(|e| e.to_string())?;
    Ok(raw.store.catalog)
}

/// The models folder's path as the store file gives it.
pub fn models_path(text: &str) -> Option<String> {
    let raw: toml::Table = toml::from_str(text).ok()?;
    Some(raw.get("store")?.get("models")?.as_str()?.to_owned())
}

/// A store from the texts of its file and catalogue.
pub fn parse(text: &str, catalog: &str) -> Result<Store, String> {
    let raw: RawFile = toml::from_str(text).map_err(|e| e.to_string())?;
    let polygon =
        |points: &[[f64; 2]]| Polygon(points.iter().map(|[x, y]| Point::new(*x, *y)).collect());
    let mut store = Store {
        name: raw.store.name.unwrap_or_else(|| raw.store.id.clone()),
        id: raw.store.id,
        timezone: raw.store.timezone.unwrap_or_else(|| "UTC".into()),
        currency: Currency {
            code: raw.store.currency.unwrap_or_else(|| "USD".into()),
            digits: 2,
        },
        zones: raw
            .zone
            .iter()
            .map(|z| {
                let is = |kind: &str| z.kinds.iter().any(|k| k == kind);
                Zone {
                    id: z.id.clone(),
                    entry: is("entry"),
                    exit: is("exit"),
                    aisle: is("aisle"),
                    staff: is("staff"),
                    polygon: polygon(&z.polygon),
                }
            })
            .collect(),
        gates: Vec::new(),
        gondolas: Vec::new(),
        shelves: Vec::new(),
        scales: Vec::new(),
        readers: Vec::new(),
        antennas: Vec::new(),
        cameras: Vec::new(),
        catalog: products(catalog)?,
        tags: std::collections::BTreeMap::new(),
        tunables: super::Tunables::default(),
    };
    for gate in raw.gate {
        let zone = store.zone_by_id(&gate.zone).unwrap_or(ZoneIx(0));
        store.gates.push(Gate {
            id: gate.id,
            zone,
            source: "none".into(),
        });
    }
    for g in raw.gondola {
        let [from, to] = g.front.map(|[x, y]| Point::new(x, y));
        let gondola = GondolaIx(store.gondolas.len() as u16);
        let mut shelves = Vec::new();
        for s in g.shelf {
            shelves.push(ShelfIx(store.shelves.len() as u16));
            let mut facings = Vec::new();
            for f in s.facings {
                let gtin = f
                    .gtin
                    .parse()
                    .map_err(|e: crate::gs1::GtinError| e.to_string())?;
                facings.push(Facing {
                    gtin,
                    from: f.from,
                    to: f.to,
                    capacity: f.capacity,
                });
            }
            facings.sort_by(|a, b| a.from.total_cmp(&b.from));
            store.shelves.push(Shelf {
                id: s.id,
                gondola,
                height: s.height,
                facings,
                scales: Vec::new(),
                antennas: Vec::new(),
            });
        }
        store.gondolas.push(Gondola {
            id: g.id,
            front: Segment { from, to },
            reach: g.reach.unwrap_or(0.9),
            shelves,
        });
    }
    for s in raw.scale {
        let shelf = store
            .shelf_by_id(&s.shelf)
            .ok_or("scale on unknown shelf")?;
        store.shelves[shelf.index()]
            .scales
            .push(ScaleIx(store.scales.len() as u16));
        store.scales.push(Scale {
            id: s.id,
            shelf,
            from: s.from,
            to: s.to,
            source: "none".into(),
        });
    }
    for r in raw.reader {
        let reader = ReaderIx(store.readers.len() as u16);
        let mut by_port = std::collections::BTreeMap::new();
        for a in r.antennas {
            let ix = AntennaIx(store.antennas.len() as u16);
            let read_point = None
                .or(a
                    .shelf
                    .and_then(|id| store.shelf_by_id(&id))
                    .map(ReadPoint::Shelf))
                .or(a
                    .gondola
                    .and_then(|id| store.gondola_by_id(&id))
                    .map(ReadPoint::Gondola))
                .or(a
                    .gate
                    .and_then(|id| store.gate_by_id(&id))
                    .map(ReadPoint::Gate))
                .or(a
                    .zone
                    .and_then(|id| store.zone_by_id(&id))
                    .map(ReadPoint::Zone))
                .ok_or("antenna without read point")?;
            if let ReadPoint::Shelf(shelf) = read_point {
                store.shelves[shelf.index()].antennas.push(ix);
            }
            by_port.insert(a.port, ix);
            store.antennas.push(Antenna {
                reader,
                port: a.port,
                read_point,
            });
        }
        store.readers.push(Reader {
            id: r.id,
            source: "none".into(),
            protocol: None,
            antennas: by_port,
        });
    }
    for c in raw.camera {
        let view = if c.view == "floor" {
            View::Floor {
                floor_from_image: Homography(c.floor_from_image.ok_or("no homography")?),
            }
        } else {
            let mut regions = Vec::new();
            for r in &c.regions {
                let shelf = store
                    .shelf_by_id(&r.shelf)
                    .ok_or("region of unknown shelf")?;
                regions.push((shelf, polygon(&r.polygon)));
            }
            View::Shelf { regions }
        };
        store.cameras.push(Camera {
            id: c.id,
            source: "none".into(),
            width: c.width,
            height: c.height,
            view,
            model: c.model,
        });
    }
    Ok(store)
}

fn products(text: &str) -> Result<std::collections::BTreeMap<crate::gs1::Gtin, Product>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader
        .headers()
        .map_err(|e| e.to_string())?
        .iter()
        .map(str::to_owned)
        .collect();
    let column = |name: &str| header.iter().position(|h| h == name);
    let (g, n, p, w) = (
        column("gtin"),
        column("name"),
        column("price"),
        column("weight_g"),
    );
    let mut out = std::collections::BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(|e| e.to_string())?;
        let cell = |c: Option<usize>| c.and_then(|c| row.get(c)).unwrap_or("");
        let gtin = cell(g)
            .parse()
            .map_err(|e: crate::gs1::GtinError| e.to_string())?;
        let price: f64 = cell(p).parse().map_err(|e| format!("price: {e}"))?;
        out.insert(
            gtin,
            Product {
                gtin,
                name: cell(n).to_owned(),
                price: (price * 100.0).round() as u64,
                weight_g: cell(w).parse().ok(),
                brand: None,
                category: Some(cell(column("category")).to_owned()),
                tagged: None,
            },
        );
    }
    Ok(out)
}
