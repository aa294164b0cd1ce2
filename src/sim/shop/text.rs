//! The store file and the catalogue as an installer would write them.

use std::fmt::Write as _;

use super::{Eye, Fixture, ReadPoint, Shop, Task};

/// `store.toml`.
pub(in crate::sim) fn store(shop: &Shop) -> String {
    let mut t = String::new();
    line(&mut t, "[store]");
    line(&mut t, &format!("id = \"{}\"", shop.id));
    line(&mut t, &format!("name = \"{}\"", shop.name));
    line(
        &mut t,
        "timezone = \"Europe/Berlin\"\ncurrency = \"EUR\"\ncatalog = \"catalog.csv\"\n",
    );
    for zone in &shop.zones {
        let kinds: Vec<String> = zone.kinds.iter().map(|k| format!("\"{k}\"")).collect();
        let (a, b) = (zone.low, zone.high);
        line(
            &mut t,
            &format!(
                "[[zone]]\nid = \"{}\"\nkinds = [{}]",
                zone.id,
                kinds.join(", ")
            ),
        );
        line(
            &mut t,
            &format!(
                "polygon = [[{:.3}, {:.3}], [{:.3}, {:.3}], [{:.3}, {:.3}], [{:.3}, {:.3}]]\n",
                a.x, a.y, b.x, a.y, b.x, b.y, a.x, b.y
            ),
        );
    }
    for door in &shop.doors {
        let zone = &shop.zones[door.zone].id;
        line(
            &mut t,
            &format!("[[gate]]\nid = \"{}\"\nzone = \"{zone}\"\n", door.gate),
        );
    }
    for fixture in &shop.fixtures {
        gondola(&mut t, shop, fixture);
    }
    for plate in &shop.plates {
        let shelf = &shop.level(plate.fixture, plate.level).id;
        line(
            &mut t,
            &format!("[[scale]]\nid = \"{}\"\nshelf = \"{shelf}\"", plate.id),
        );
        line(
            &mut t,
            &format!(
                "from = {:.4}\nto = {:.4}\nsource = \"none\"\n",
                plate.from, plate.to
            ),
        );
    }
    for reader in &shop.readers {
        line(
            &mut t,
            &format!(
                "[[reader]]\nid = \"{}\"\nsource = \"none\"\nantennas = [",
                reader.id
            ),
        );
        for (n, port) in reader.ports.iter().enumerate() {
            let place = match port.at {
                ReadPoint::Shelf(f, l) => format!("shelf = \"{}\"", shop.level(f, l).id),
                ReadPoint::Door(d) => format!("gate = \"{}\"", shop.doors[d].gate),
            };
            line(&mut t, &format!("  {{ port = {}, {place} }},", n + 1));
        }
        line(&mut t, "]\n");
    }
    for eye in &shop.eyes {
        camera(&mut t, shop, eye);
    }
    t
}

fn line(text: &mut String, what: &str) {
    text.push_str(what);
    text.push('\n');
}

fn gondola(t: &mut String, shop: &Shop, fixture: &Fixture) {
    let (a, b) = (fixture.left, fixture.right);
    line(t, &format!("[[gondola]]\nid = \"{}\"", fixture.id));
    line(
        t,
        &format!(
            "front = [[{:.3}, {:.3}], [{:.3}, {:.3}]]\nreach = 0.90\n",
            a.x, a.y, b.x, b.y
        ),
    );
    for level in &fixture.levels {
        line(t, &format!("[[gondola.shelf]]\nid = \"{}\"", level.id));
        line(t, &format!("height = {:.2}\nfacings = [", level.z));
        for f in &level.facings {
            let gtin = shop.goods[f.good].gtin;
            line(
                t,
                &format!(
                    "  {{ gtin = \"{gtin}\", from = {:.3}, to = {:.3}, capacity = {} }},",
                    f.from,
                    f.to,
                    f.capacity()
                ),
            );
        }
        line(t, "]\n");
    }
}

fn camera(t: &mut String, shop: &Shop, eye: &Eye) {
    let view = match eye.task {
        Task::Floor(_) => "floor",
        Task::Shelves(_) => "shelf",
    };
    line(
        t,
        &format!(
            "[[camera]]\nid = \"{}\"\nsource = \"none\"\nview = \"{view}\"",
            eye.id
        ),
    );
    line(
        t,
        &format!(
            "width = {}\nheight = {}",
            eye.camera.width, eye.camera.height
        ),
    );
    match &eye.task {
        Task::Floor(h) => {
            let rows: Vec<String> = h
                .iter()
                .map(|r| format!("[{:.12}, {:.12}, {:.12}]", r[0], r[1], r[2]))
                .collect();
            line(t, &format!("floor_from_image = [{}]\n", rows.join(", ")));
        }
        Task::Shelves(regions) => {
            line(t, "regions = [");
            for (f, l, polygon) in regions {
                let points: Vec<String> = polygon
                    .iter()
                    .map(|(u, v)| format!("[{u:.1}, {v:.1}]"))
                    .collect();
                let shelf = &shop.level(*f, *l).id;
                line(
                    t,
                    &format!(
                        "  {{ shelf = \"{shelf}\", polygon = [{}] }},",
                        points.join(", ")
                    ),
                );
            }
            line(t, "]\n");
        }
    }
}

/// `catalog.csv`.
pub(in crate::sim) fn catalog(shop: &Shop) -> String {
    let mut t = String::from("gtin,name,price,weight_g,brand,category\n");
    let mut goods: Vec<_> = shop.goods.iter().collect();
    goods.sort_by_key(|g| g.gtin);
    for g in goods {
        let weight = g.listed_g.map_or(String::new(), |w| format!("{w:.1}"));
        let category = match g.kind {
            super::goods::Kind::Can => "can",
            super::goods::Kind::Bottle => "bottle",
            super::goods::Kind::Bag => "bag",
            super::goods::Kind::Carton => "box",
            super::goods::Kind::Sweets => "candy",
        };
        let (whole, cents) = (g.price_cents / 100, g.price_cents % 100);
        writeln!(
            t,
            "{},{},{whole}.{cents:02},{weight},{},{category}",
            g.gtin,
            quoted(&g.name),
            quoted(&g.brand)
        )
        .expect("a string takes all text");
    }
    t
}

/// A CSV cell.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
