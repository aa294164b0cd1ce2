//! What senses: scales, readers with their antennas, cameras.

use std::collections::BTreeMap;

use toml::Spanned;

use super::fields::{Fields, Whole};
use super::ids::Ids;
use super::layout::{Layout, outline, source};
use super::live;
use crate::ids::{AntennaIx, GateIx, GondolaIx, ReaderIx, ScaleIx, ShelfIx, ZoneIx};
use crate::store::calibration;
use crate::store::{
    Antenna, Camera, CameraLive, CameraSource, Credentials, Link, Live, ReadPoint, Reader,
    ReaderProtocol, ReaderSource, Scale, ScaleSource, Shelf, Target, View,
};
use crate::units::{Homography, Point, Polygon};

/// Beyond, floor and image were not measured at the same spots.
const WORST_FIT_M: f64 = 0.5;
/// Closer to singular, a pixel's rounding moves people across the shop.
const LEAST_CONDITIONING: f64 = 1e-9;

/// The sensors, and the shelves now that they know theirs.
#[derive(Default)]
pub(super) struct Sensors {
    pub(super) shelves: Vec<Shelf>,
    pub(super) scales: Vec<Scale>,
    pub(super) readers: Vec<Reader>,
    pub(super) antennas: Vec<Antenna>,
    pub(super) cameras: Vec<Camera>,
    pub(super) live: Live,
}

pub(super) fn read<'t>(top: &mut Fields<'t>, layout: &Layout<'t>) -> (Sensors, Vec<Link>) {
    let mut sensors = Sensors {
        shelves: layout.shelves.clone(),
        ..Sensors::default()
    };
    let mut links = Vec::new();
    let mut ids = Ids::new("scale");
    for fields in top.tables("scale", "[[scale]]") {
        sensors.scale(fields, &mut ids, layout);
    }
    sensors.link_scales();
    let mut ids = Ids::new("reader");
    for fields in top.tables("reader", "[[reader]]") {
        sensors.reader(fields, &mut ids, layout);
    }
    let mut ids = Ids::new("camera");
    for fields in top.tables("camera", "[[camera]]") {
        let (camera, live) = camera(fields, &mut ids, layout, &mut links);
        sensors.cameras.push(camera);
        sensors.live.cameras.push(live);
    }
    (sensors, links)
}

impl Sensors {
    fn scale<'t>(&mut self, mut fields: Fields<'t>, ids: &mut Ids<'t>, layout: &Layout<'t>) {
        let id = ids.declare(&mut fields);
        let shelf = layout.shelf_ids.reference(&mut fields, "shelf");
        let shelf = shelf.map(ShelfIx);
        let (from, to) = layout.stretch(&mut fields, shelf);
        let forms = ScaleSource::FORMS;
        let address = fields.value("source").map(Spanned::span);
        let source = source(&mut fields, "source", ScaleSource::parse, forms);
        let twin = self.scales.iter().find(|one| one.source == source);
        if let (Some(twin), Some(span)) = (twin.filter(|_| source != ScaleSource::None), address) {
            let what = format!("`source`: scale `{}` has the same", twin.id);
            fields.report().at(&span, what);
        }
        self.live.scales.push(live::scale(&mut fields, &source));
        self.scales.push(Scale {
            id,
            shelf: shelf.unwrap_or(ShelfIx(0)),
            from,
            to,
            source,
        });
        fields.finish();
    }

    /// Each shelf's scales, left to right.
    fn link_scales(&mut self) {
        let mut order: Vec<usize> = (0..self.scales.len()).collect();
        order.sort_by(|a, b| self.scales[*a].from.total_cmp(&self.scales[*b].from));
        for place in order {
            let shelf = self.shelves.get_mut(self.scales[place].shelf.index());
            if let (Some(shelf), Ok(number)) = (shelf, u16::try_from(place)) {
                shelf.scales.push(ScaleIx(number));
            }
        }
    }

    fn reader<'t>(&mut self, mut fields: Fields<'t>, ids: &mut Ids<'t>, layout: &Layout<'t>) {
        let reader = ReaderIx(u16::try_from(self.readers.len()).unwrap_or(u16::MAX));
        let id = ids.declare(&mut fields);
        let source = reader_source(&mut fields);
        // Two ids for one device may share its ports among them, not one port.
        let twin = self.readers.iter().filter(|one| one.source == source);
        let twin: Vec<Reader> = twin
            .filter(|one| one.source != ReaderSource::None)
            .cloned()
            .collect();
        let (mut live, power) = live::reader(&mut fields);
        let mut antennas = BTreeMap::new();
        for mut fields in fields.tables("antennas", "antennas = [{ port, shelf }, …]") {
            let port: Option<Spanned<Whole<1, 65535>>> = fields.required("port");
            let read_point = read_point(&mut fields, layout);
            let power = live::power(&mut fields).or(power);
            if let (Some(port), Some(read_point)) = (port, read_point) {
                let number = port.get_ref().0;
                live.power_cdbm
                    .extend(power.map(|power| (number as u16, power)));
                let antenna = self.antenna(reader, number as u16, read_point);
                if antennas.insert(number as u16, antenna).is_some() {
                    let what = format!("`port`: a second antenna on port {number} of this reader");
                    fields.report().at(&port.span(), what);
                }
                let shared = |one: &&Reader| one.antennas.contains_key(&(number as u16));
                if let Some(other) = twin.iter().find(shared) {
                    let what = format!(
                        "`port`: port {number} of this device carries an antenna of reader `{}`",
                        other.id
                    );
                    fields.report().at(&port.span(), what);
                }
            }
            fields.finish();
        }
        if self.antennas.len() > usize::from(u16::MAX) {
            fields.problem("more than 65535 antennas in all");
        }
        self.live.readers.push(live);
        self.readers.push(Reader {
            id,
            source,
            antennas,
        });
        fields.finish();
    }

    fn antenna(&mut self, reader: ReaderIx, port: u16, read_point: ReadPoint) -> AntennaIx {
        let number = AntennaIx(u16::try_from(self.antennas.len()).unwrap_or(u16::MAX));
        if let ReadPoint::Shelf(shelf) = read_point
            && let Some(shelf) = self.shelves.get_mut(shelf.index())
        {
            shelf.antennas.push(number);
        }
        self.antennas.push(Antenna {
            reader,
            port,
            read_point,
        });
        number
    }
}

/// USB tells nothing of what a reader speaks; a network address does.
fn reader_source(fields: &mut Fields<'_>) -> ReaderSource {
    let protocol: Option<Spanned<&str>> = fields.optional("protocol");
    let known = protocol
        .as_ref()
        .and_then(|protocol| ReaderProtocol::parse(protocol.get_ref()));
    let stand_in = known.unwrap_or(ReaderProtocol::ThingMagic);
    let parse = |text: &str| ReaderSource::parse(text, stand_in);
    let source = source(fields, "source", parse, ReaderSource::FORMS);
    match (&source, &protocol) {
        (ReaderSource::Usb { .. }, None) if !fields.has("protocol") => {
            let forms = ReaderProtocol::FORMS;
            fields.problem(format!(
                "a reader on USB has no `protocol`; expected {forms}"
            ));
        }
        (_, Some(protocol)) if known.is_none() => {
            let found: String = protocol.get_ref().chars().take(40).collect();
            let forms = ReaderProtocol::FORMS;
            let what = format!("`protocol`: found \"{found}\"; expected {forms}");
            fields.report().at(&protocol.span(), what);
        }
        _ => {}
    }
    source
}

/// Exactly one of four keys.
fn read_point<'t>(fields: &mut Fields<'t>, layout: &Layout<'t>) -> Option<ReadPoint> {
    let ids = [
        ("shelf", &layout.shelf_ids),
        ("gondola", &layout.gondola_ids),
        ("gate", &layout.gate_ids),
        ("zone", &layout.zone_ids),
    ];
    let mut points = Vec::new();
    for (key, ids) in ids {
        if fields.has(key) {
            points.push((key, ids.reference(fields, key)));
        } else {
            fields.value(key);
        }
    }
    let [(key, number)] = points[..] else {
        let found = points.len();
        fields.problem(format!(
            "an antenna with {found} read points; expected exactly one of shelf, gondola, gate, zone"
        ));
        return None;
    };
    let number = number?;
    Some(match key {
        "shelf" => ReadPoint::Shelf(ShelfIx(number)),
        "gondola" => ReadPoint::Gondola(GondolaIx(number)),
        "gate" => ReadPoint::Gate(GateIx(number)),
        _ => ReadPoint::Zone(ZoneIx(number)),
    })
}

fn camera<'t>(
    mut fields: Fields<'t>,
    ids: &mut Ids<'t>,
    layout: &Layout<'t>,
    links: &mut Vec<Link>,
) -> (Camera, CameraLive) {
    let report = fields.report();
    let id = ids.declare(&mut fields);
    let side = |fields: &mut Fields<'t>, key| {
        let side = fields.required::<Whole<1, 16384>>(key);
        side.map_or(1, |side| side.0 as u32)
    };
    let (width, height) = (side(&mut fields, "width"), side(&mut fields, "height"));
    let view = view(&mut fields, layout, f64::from(width), f64::from(height));
    let model: Option<Spanned<String>> = fields.optional("model");
    if let Some(model) = &model {
        let (camera, name) = (id.clone(), model.get_ref().clone());
        let place = report.place(&model.span());
        let to = Target::Model { camera, name };
        links.push(Link { place, to });
    }
    let address = fields.value("source").map(Spanned::span);
    let source = source(
        &mut fields,
        "source",
        CameraSource::parse,
        CameraSource::FORMS,
    );
    if let (CameraSource::File { path }, Some(span)) = (&source, address) {
        let (place, path) = (report.place(&span), path.clone());
        let to = Target::File { path };
        links.push(Link { place, to });
    }
    let camera = Camera {
        id,
        source,
        credentials: credentials(&mut fields, links),
        width,
        height,
        view,
        model: model.map(Spanned::into_inner),
    };
    let live = live::camera(&mut fields);
    fields.finish();
    (camera, live)
}

fn credentials(fields: &mut Fields<'_>, links: &mut Vec<Link>) -> Option<Credentials> {
    let username: Option<String> = fields.optional("username");
    let password_file = secret(fields, "password_file", links);
    match (username, password_file) {
        (Some(username), Some(password_file)) => Some(Credentials {
            username,
            password_file,
        }),
        _ => {
            if fields.has("username") != fields.has("password_file") {
                fields.problem("`username` and `password_file` stand together or not at all");
            }
            None
        }
    }
}

/// A file that holds a secret, or a systemd credential of that name.
pub(super) fn secret(
    fields: &mut Fields<'_>,
    key: &'static str,
    links: &mut Vec<Link>,
) -> Option<String> {
    let path: Spanned<String> = fields.optional(key)?;
    let place = fields.report().place(&path.span());
    let path = path.into_inner();
    let to = Target::Secret { path: path.clone() };
    links.push(Link { place, to });
    Some(path)
}

/// A stand-in where it was refused.
fn view<'t>(fields: &mut Fields<'t>, layout: &Layout<'t>, width: f64, height: f64) -> View {
    let report = fields.report();
    let view: Option<Spanned<&str>> = fields.required("view");
    // Keys of the other view are known, so that the message can say where they belong.
    let regions = fields.tables("regions", "regions = [{ shelf, polygon }, …]");
    for key in ["floor_from_image", "correspondences"] {
        fields.value(key);
    }
    let misplaced: &[&str] = match view.as_ref().map(|view| *view.get_ref()) {
        Some("floor") => &["regions"],
        Some("shelf") => &["floor_from_image", "correspondences"],
        Some(other) => {
            let found: String = other.chars().take(40).collect();
            let what = format!("`view`: found \"{found}\"; expected floor or shelf");
            let span = view.as_ref().map_or(0..0, Spanned::span);
            report.at(&span, what);
            return View::Shelf {
                regions: Vec::new(),
            };
        }
        None => {
            return View::Shelf {
                regions: Vec::new(),
            };
        }
    };
    for key in misplaced {
        if fields.has(key) {
            let other = if *key == "regions" { "shelf" } else { "floor" };
            fields.problem(format!(
                "`{key}` belongs to a camera with view = \"{other}\""
            ));
        }
    }
    if misplaced == ["regions"] {
        let floor_from_image = floor_from_image(fields, width, height);
        return View::Floor { floor_from_image };
    }
    let regions = regions.into_iter();
    let regions = regions.filter_map(|one| region(one, layout, width, height));
    View::Shelf {
        regions: regions.collect(),
    }
}

fn region<'t>(
    mut fields: Fields<'t>,
    layout: &Layout<'t>,
    width: f64,
    height: f64,
) -> Option<(ShelfIx, Polygon)> {
    let shelf = layout.shelf_ids.reference(&mut fields, "shelf");
    let polygon = outline(&mut fields);
    let seen = |b: crate::units::BBox| b.x1 > 0.0 && b.y1 > 0.0 && b.x0 < width && b.y0 < height;
    if polygon.bounds().is_some_and(|bounds| !seen(bounds)) {
        let what = format!("`polygon`: lies outside the image of {width} x {height} pixels");
        fields.problem(what);
    }
    fields.finish();
    Some((ShelfIx(shelf?), polygon))
}

fn floor_from_image(fields: &mut Fields<'_>, width: f64, height: f64) -> Homography {
    const STAND_IN: Homography = Homography([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    let given = ["floor_from_image", "correspondences"].map(|key| fields.has(key));
    if given[0] == given[1] {
        let found = if given[0] { "both" } else { "neither" };
        fields.problem(format!(
            "a floor camera has {found} of `floor_from_image` and `correspondences`; expected one"
        ));
        return STAND_IN;
    }
    if given[1] {
        return measured(fields, width, height).unwrap_or(STAND_IN);
    }
    let Some(rows) = fields.optional::<Spanned<[[f64; 3]; 3]>>("floor_from_image") else {
        return STAND_IN;
    };
    let map = Homography(*rows.get_ref());
    if calibration::conditioning(&map, width, height) < LEAST_CONDITIONING {
        let what = "`floor_from_image`: singular; it maps the image onto a line";
        fields.report().at(&rows.span(), what);
    }
    map
}

/// The homography that measured points ask for.
fn measured(fields: &mut Fields<'_>, width: f64, height: f64) -> Option<Homography> {
    let span = fields.value("correspondences").map_or(0..0, Spanned::span);
    let tables = fields.tables("correspondences", "correspondences = [{ image, floor }, …]");
    let given = tables.len();
    let mut pairs: Vec<(Point, Point)> = Vec::new();
    for mut fields in tables {
        let (image, floor) = (fields.required("image"), fields.required("floor"));
        pairs.extend(image.zip(floor));
        fields.finish();
    }
    let report = fields.report();
    if given < 4 {
        report.at(
            &span,
            format!("`correspondences`: found {given}; expected four or more"),
        );
    }
    if given < 4 || pairs.len() < given {
        return None;
    }
    let map = calibration::homography(&pairs);
    let map = map.filter(|map| calibration::conditioning(map, width, height) >= LEAST_CONDITIONING);
    let Some(map) = map else {
        let what =
            "`correspondences`: too many points on one line; expected four corners of an area";
        report.at(&span, what);
        return None;
    };
    let errors = calibration::errors(&map, &pairs);
    let worst = errors
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b));
    if let Some((place, off)) = worst.filter(|(_, off)| **off > WORST_FIT_M) {
        let what = format!(
            "`correspondences`: together they do not fit; the {}. is off by {off:.2} m",
            place + 1
        );
        report.at(&span, what);
    }
    Some(map)
}
