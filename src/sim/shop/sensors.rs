//! Which sensors hang where.

use super::{Aerial, Eye, Plate, ReadPoint, Reader, Shop, ShopKind, Task};
use crate::sim::Sensors;
use crate::sim::effects::Effects;
use crate::sim::random::Random;
use crate::sim::space::{Pinhole, Vec3, vec3};

/// Horizontal field of view of a ceiling camera: a 2.8 mm lens before a 1/2.9 inch chip.
const FLOOR_VIEW_DEG: f64 = 95.0;
const SHELF_VIEW_DEG: f64 = 90.0;

/// Hangs what `sensors` asks for and the shop does not have yet, takes away what it does not.
pub(super) fn install(
    shop: &mut Shop,
    kind: ShopKind,
    sensors: Sensors,
    effects: &Effects,
    random: &mut Random,
) {
    match sensors.scales() {
        true if shop.plates.is_empty() => plates(shop, kind, random),
        true => {}
        false => shop.plates.clear(),
    }
    match sensors.rfid() {
        true if shop.readers.is_empty() => readers(shop, kind),
        true => {}
        false => shop.readers.clear(),
    }
    match sensors.floor() {
        true if shop.eyes.is_empty() => floor_eyes(shop, kind, effects, random),
        true => {}
        false => shop.eyes.clear(),
    }
    if sensors.shelves() {
        shelf_eyes(shop, kind);
    }
}

/// Kiosks have narrow plates, or one load cell a shelf; halls have wider plates.
fn plates(shop: &mut Shop, kind: ShopKind, random: &mut Random) {
    let widths = match kind {
        ShopKind::Kiosk => [0.1016, 0.30, f64::INFINITY],
        ShopKind::Hall => [0.30, 0.60, f64::INFINITY],
    };
    let width = widths[random.weighted(&[0.4, 0.4, 0.2])];
    for (f, fixture) in shop.fixtures.iter().enumerate() {
        let long = (fixture.length() * 1e4) as u64 as f64 / 1e4;
        let count = (long / width).round().max(1.0) as usize;
        for (l, level) in fixture.levels.iter().enumerate() {
            for n in 0..count {
                shop.plates.push(Plate {
                    id: format!("{}-p{}", level.id, n + 1),
                    fixture: f,
                    level: l,
                    from: long * n as f64 / count as f64,
                    to: long * (n + 1) as f64 / count as f64,
                });
            }
        }
    }
}

/// A reader a gondola with an antenna strip under each board, and one with two patches beside
/// each way out (and in kiosks beside the way in).
fn readers(shop: &mut Shop, kind: ShopKind) {
    for (f, fixture) in shop.fixtures.iter().enumerate() {
        shop.readers.push(Reader {
            id: format!("r-{}", fixture.id),
            ports: (0..fixture.levels.len())
                .map(|l| strip(shop, f, l))
                .collect(),
        });
    }
    let mut doors = vec![shop.exit];
    doors.extend(shop.lane);
    if kind == ShopKind::Kiosk {
        doors.push(shop.entry);
    }
    let sides = doors.iter().flat_map(|d| [(*d, 0), (*d, 1)]);
    shop.readers.push(Reader {
        id: "r-gate".into(),
        ports: sides.map(|(d, n)| patch(shop, d, n)).collect(),
    });
}

/// Under a board, along its whole length.
pub(super) fn strip(shop: &Shop, f: usize, l: usize) -> Aerial {
    let fixture = &shop.fixtures[f];
    let z = fixture.levels[l].z - 0.01;
    Aerial {
        at: ReadPoint::Shelf(f, l),
        a: fixture.spot3(0.12, -0.18, z),
        b: fixture.spot3(fixture.length() - 0.12, -0.18, z),
        boresight: vec3(0.0, 0.0, 1.0),
        power_dbm: 23.0,
        gain_dbi: 2.0,
    }
}

/// Beside a door, on the left for even `n`, looking across it.
pub(super) fn patch(shop: &Shop, door: usize, n: usize) -> Aerial {
    let zone = shop.zone_of(door);
    let middle = zone.middle();
    let x = if n.is_multiple_of(2) {
        zone.low.x - 0.15
    } else {
        zone.high.x + 0.15
    };
    let place = vec3(x, middle.y, 1.3);
    Aerial {
        at: ReadPoint::Door(door),
        a: place,
        b: place,
        boresight: (vec3(middle.x, middle.y, 1.0) - place).unit(),
        power_dbm: 24.0,
        gain_dbi: 6.0,
    }
}

fn focal(width: f64, degrees: f64) -> f64 {
    width / 2.0 / libm::tan(degrees.to_radians() / 2.0)
}

fn floor_eyes(shop: &mut Shop, kind: ShopKind, effects: &Effects, random: &mut Random) {
    let (low, high) = (shop.low, shop.high);
    let (mid_x, mid_y) = ((low.x + high.x) / 2.0, (low.y.max(0.0) + high.y) / 2.0);
    let places: Vec<(Vec3, Vec3)> = match kind {
        ShopKind::Kiosk => {
            let z = 2.45;
            vec![
                (vec3(0.1, -0.3, z), vec3(1.5, 0.9, 1.0)),
                (vec3(high.x - 0.1, -0.3, z), vec3(high.x - 1.5, 0.9, 1.0)),
                (vec3(mid_x, 1.55, z), vec3(mid_x - 0.1, 0.2, 0.2)),
                (vec3(mid_x, -0.3, z), vec3(mid_x + 0.1, 1.3, 0.8)),
            ]
        }
        ShopKind::Hall => {
            let z = 3.0;
            let (x_in, x_out) = (
                shop.doors[shop.entry].inside.x,
                shop.doors[shop.exit].inside.x,
            );
            vec![
                (vec3(0.2, 0.2, z), vec3(3.2, 3.2, 0.5)),
                (vec3(high.x - 0.2, 0.2, z), vec3(high.x - 3.2, 3.2, 0.5)),
                (vec3(0.2, high.y - 0.2, z), vec3(3.2, high.y - 3.0, 0.5)),
                (
                    vec3(high.x - 0.2, high.y - 0.2, z),
                    vec3(high.x - 3.4, high.y - 3.2, 0.5),
                ),
                // Over the aisle before the doors, looking at them.
                (vec3(x_in + 0.9, 2.9, z), vec3(x_in, 0.6, 0.5)),
                (vec3(x_out - 0.9, 2.9, z), vec3(x_out, 0.6, 0.5)),
                (vec3(mid_x, mid_y + 1.2, z), vec3(mid_x + 0.4, high.y, 0.5)),
            ]
        }
    };
    let size = match kind {
        ShopKind::Kiosk => (640.0, 360.0),
        ShopKind::Hall => (960.0, 540.0),
    };
    for (n, (eye, target)) in places.into_iter().enumerate() {
        let camera = Pinhole::looking_at(eye, target, focal(size.0, FLOOR_VIEW_DEG), size);
        let written = misjudged(&camera, target, effects, random).floor_from_image();
        shop.eyes.push(Eye {
            id: format!("cam{}", n + 1),
            camera,
            task: Task::Floor(written),
        });
    }
}

/// The camera as the installer believes it to hang.
pub(super) fn misjudged(
    camera: &Pinhole,
    target: Vec3,
    effects: &Effects,
    random: &mut Random,
) -> Pinhole {
    let angle = effects.pose_error_deg.to_radians() * (target - camera.eye).length();
    let off = vec3(random.normal(), random.normal(), random.normal()) * angle;
    let size = (camera.width, camera.height);
    let shift = vec3(random.normal(), random.normal(), random.normal()) * (angle * 0.3);
    Pinhole::looking_at(camera.eye + shift, target + off, camera.focal, size)
}

/// A camera before each gondola, above the heads, looking down at its shelves.
fn shelf_eyes(shop: &mut Shop, kind: ShopKind) {
    let size = match kind {
        ShopKind::Kiosk => (640.0, 360.0),
        ShopKind::Hall => (960.0, 540.0),
    };
    for f in 0..shop.fixtures.len() {
        let fixture = &shop.fixtures[f];
        let (half, z) = (fixture.length() / 2.0, 2.35);
        let off = 0.75 + 0.3 * half;
        let eye = fixture.spot3(half, off, z);
        let target = fixture.spot3(half, 0.0, fixture.height * 0.52);
        let camera = Pinhole::looking_at(eye, target, focal(size.0, SHELF_VIEW_DEG), size);
        let regions = outlines(shop, f, &camera);
        shop.eyes.push(Eye {
            id: format!("cs-{}", fixture.id),
            camera,
            task: Task::Shelves(regions),
        });
    }
}

fn outlines(shop: &Shop, f: usize, camera: &Pinhole) -> Vec<(usize, usize, Vec<(f64, f64)>)> {
    let fixture = &shop.fixtures[f];
    let mut out = Vec::new();
    for (l, level) in fixture.levels.iter().enumerate() {
        let (low, high) = (level.z, level.z + level.clear - 0.02);
        let length = fixture.length();
        let corners = [
            fixture.spot3(0.0, 0.0, high),
            fixture.spot3(length, 0.0, high),
            fixture.spot3(length, 0.0, low),
            fixture.spot3(0.0, 0.0, low),
        ];
        let seen: Vec<(f64, f64)> = corners
            .iter()
            .filter_map(|p| camera.project(*p))
            .map(|(u, v, _)| (u.clamp(0.0, camera.width), v.clamp(0.0, camera.height)))
            .collect();
        let tall = seen.iter().map(|p| p.1).fold(0.0_f64, f64::max)
            - seen.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
        if seen.len() == 4 && tall > 6.0 {
            out.push((f, l, seen));
        }
    }
    out
}
