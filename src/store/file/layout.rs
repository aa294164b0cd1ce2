//! Floor and furniture: zones, gates, gondolas with their shelves and facings.

use std::collections::BTreeMap;

use toml::Spanned;

use super::fields::{Fields, Report, Span, Whole};
use super::ids::Ids;
use super::live;
use crate::gs1::Gtin;
use crate::ids::{GondolaIx, ShelfIx, ZoneIx};
use crate::store::{
    DoorSource, Facing, Gate, GateLive, GateSource, Gondola, Link, Product, Shelf, Zone,
};
use crate::units::{Point, Polygon, Segment};

/// Plans are drawn to the millimetre; what is off by less was rounded.
const ROUNDING_M: f64 = 0.002;
/// An arm and a step.
const REACH_M: f64 = 0.9;

/// The layout, and how others refer to it.
pub(super) struct Layout<'t> {
    pub(super) zones: Vec<Zone>,
    pub(super) gates: Vec<Gate>,
    pub(super) gondolas: Vec<Gondola>,
    pub(super) shelves: Vec<Shelf>,
    pub(super) zone_ids: Ids<'t>,
    pub(super) gate_ids: Ids<'t>,
    pub(super) gondola_ids: Ids<'t>,
    pub(super) shelf_ids: Ids<'t>,
    /// How gates are read, and the files that this names.
    pub(super) live: Vec<GateLive>,
    pub(super) links: Vec<Link>,
}

pub(super) fn read<'t>(
    top: &mut Fields<'t>,
    catalog: Option<&BTreeMap<Gtin, Product>>,
) -> Layout<'t> {
    let mut layout = Layout {
        zones: Vec::new(),
        gates: Vec::new(),
        gondolas: Vec::new(),
        shelves: Vec::new(),
        zone_ids: Ids::new("zone"),
        gate_ids: Ids::new("gate"),
        gondola_ids: Ids::new("gondola"),
        shelf_ids: Ids::new("shelf"),
        live: Vec::new(),
        links: Vec::new(),
    };
    for fields in top.tables("zone", "[[zone]]") {
        layout.zones.push(zone(fields, &mut layout.zone_ids));
    }
    for fields in top.tables("gate", "[[gate]]") {
        layout.gate(fields);
    }
    for fields in top.tables("gondola", "[[gondola]]") {
        layout.gondola(fields, catalog);
    }
    layout
}

fn zone<'t>(mut fields: Fields<'t>, ids: &mut Ids<'t>) -> Zone {
    const KINDS: [&str; 4] = ["entry", "exit", "aisle", "staff"];
    let report = fields.report();
    let id = ids.declare(&mut fields);
    let kinds: Vec<Spanned<&str>> = fields.optional("kinds").unwrap_or_default();
    for kind in kinds.iter().filter(|kind| !KINDS.contains(kind.get_ref())) {
        let found: String = kind.get_ref().chars().take(40).collect();
        let what = format!(
            "`kinds`: found \"{found}\"; expected any of {}",
            KINDS.join(", ")
        );
        report.at(&kind.span(), what);
    }
    let is = |kind: &str| kinds.iter().any(|one| *one.get_ref() == kind);
    let zone = Zone {
        id,
        entry: is("entry"),
        exit: is("exit"),
        aisle: is("aisle"),
        staff: is("staff"),
        polygon: polygon(&mut fields),
    };
    fields.finish();
    zone
}

impl<'t> Layout<'t> {
    fn gate(&mut self, mut fields: Fields<'t>) {
        let gate = Gate {
            id: self.gate_ids.declare(&mut fields),
            zone: ZoneIx(self.zone_ids.reference(&mut fields, "zone").unwrap_or(0)),
            source: source(&mut fields, "source", GateSource::parse, GateSource::FORMS),
        };
        let live = live::gate(&mut fields, &gate.source, &mut self.links);
        self.live.push(live);
        self.gates.push(gate);
        fields.finish();
    }
}

/// A source of one of the forms that this kind of sensor has; recordings alone where none stands.
pub(super) fn source<T: Default>(
    fields: &mut Fields<'_>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
    forms: &str,
) -> T {
    let Some(text) = fields.optional::<Spanned<String>>(key) else {
        return T::default();
    };
    parse(text.get_ref()).unwrap_or_else(|| {
        let found: String = masked(text.get_ref()).chars().take(100).collect();
        let what = format!("`{key}`: found \"{found}\"; expected {forms}");
        fields.report().at(&text.span(), what);
        T::default()
    })
}

/// An address without the user and password that may stand in it: problems are printed and logged.
pub(super) fn masked(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{path}"),
        None => address.to_owned(),
    }
}

impl<'t> Layout<'t> {
    fn gondola(&mut self, mut fields: Fields<'t>, catalog: Option<&BTreeMap<Gtin, Product>>) {
        let report = fields.report();
        let number = GondolaIx(u16::try_from(self.gondolas.len()).unwrap_or(u16::MAX));
        let id = self.gondola_ids.declare(&mut fields);
        let front = front(&mut fields);
        let reach = fields.optional::<Spanned<f64>>("reach");
        if let Some(reach) = reach.as_ref().filter(|reach| *reach.get_ref() <= 0.0) {
            let what = format!(
                "`reach`: found {}; expected metres above 0",
                reach.get_ref()
            );
            report.at(&reach.span(), what);
        }
        let door = source(&mut fields, "door", DoorSource::parse, DoorSource::FORMS);
        let mut shelves = Vec::new();
        for fields in fields.tables("shelf", "[[gondola.shelf]]") {
            let place = u16::try_from(self.shelves.len()).unwrap_or(u16::MAX);
            shelves.push(ShelfIx(place));
            let shelf = shelf(fields, &mut self.shelf_ids, number, front.length(), catalog);
            self.shelves.push(shelf);
        }
        self.gondolas.push(Gondola {
            id,
            front,
            reach: reach.map_or(REACH_M, Spanned::into_inner),
            door,
            shelves,
        });
        fields.finish();
    }

    /// Refuses a stretch that leaves the front of its shelf's gondola.
    pub(super) fn stretch(&self, fields: &mut Fields<'_>, shelf: Option<ShelfIx>) -> (f64, f64) {
        let gondola = shelf.and_then(|shelf| self.shelves.get(shelf.index()));
        let gondola = gondola.and_then(|shelf| self.gondolas.get(shelf.gondola.index()));
        stretch(
            fields,
            gondola.map_or(0.0, |gondola| gondola.front.length()),
        )
    }
}

/// Two points; a stand-in of no length where they were refused.
fn front(fields: &mut Fields<'_>) -> Segment {
    let points: Option<Spanned<[Point; 2]>> = fields.required("front");
    let Some(points) = points else {
        return Segment {
            from: Point::default(),
            to: Point::default(),
        };
    };
    let [from, to] = *points.get_ref();
    let front = Segment { from, to };
    if front.length() <= ROUNDING_M {
        let what = "`front`: its two ends are one point; expected left end, right end";
        fields.report().at(&points.span(), what);
    }
    front
}

fn shelf<'t>(
    mut fields: Fields<'t>,
    ids: &mut Ids<'t>,
    gondola: GondolaIx,
    front: f64,
    catalog: Option<&BTreeMap<Gtin, Product>>,
) -> Shelf {
    let report = fields.report();
    let id = ids.declare(&mut fields);
    let height = fields.optional::<Spanned<f64>>("height");
    if let Some(height) = height.as_ref().filter(|height| *height.get_ref() < 0.0) {
        let what = format!(
            "`height`: found {}; expected metres above the floor",
            height.get_ref()
        );
        report.at(&height.span(), what);
    }
    let tables = fields.tables("facings", "facings = [{ gtin, from, to }, …]");
    let facings = tables
        .into_iter()
        .filter_map(|one| facing(one, front, catalog));
    let mut facings: Vec<(Facing, Span)> = facings.collect();
    // One whose ends were refused has no place to overlap with.
    facings.retain(|(facing, _)| facing.from < facing.to);
    facings.sort_by(|(a, _), (b, _)| a.from.total_cmp(&b.from));
    for ((left, first), (right, second)) in facings.iter().zip(facings.iter().skip(1)) {
        if right.from < left.to - ROUNDING_M {
            let what = format!(
                "the facing {} to {} overlaps that of {} to {} in {}",
                right.from,
                right.to,
                left.from,
                left.to,
                report.line(first)
            );
            report.at(second, what);
        }
    }
    fields.finish();
    Shelf {
        id,
        gondola,
        height: height.map(Spanned::into_inner),
        facings: facings.into_iter().map(|(facing, _)| facing).collect(),
        scales: Vec::new(),
        antennas: Vec::new(),
    }
}

fn facing(
    mut fields: Fields<'_>,
    front: f64,
    catalog: Option<&BTreeMap<Gtin, Product>>,
) -> Option<(Facing, Span)> {
    let gtin: Option<Spanned<Gtin>> = fields.required("gtin");
    if let (Some(gtin), Some(catalog)) = (&gtin, catalog)
        && !catalog.contains_key(gtin.get_ref())
    {
        let what = format!("`gtin`: {} is not in the catalogue", gtin.get_ref());
        fields.report().at(&gtin.span(), what);
    }
    let (from, to) = stretch(&mut fields, front);
    let capacity = fields.optional::<Whole<1, 100_000>>("capacity");
    let span = fields.span();
    fields.finish();
    let facing = Facing {
        gtin: gtin?.into_inner(),
        from,
        to,
        capacity: capacity.map(|capacity| capacity.0 as u32),
    };
    Some((facing, span))
}

/// `from` and `to` along a front of this length; nothing is said of a front that was refused.
fn stretch(fields: &mut Fields<'_>, front: f64) -> (f64, f64) {
    let from: Option<Spanned<f64>> = fields.required("from");
    let to: Option<Spanned<f64>> = fields.required("to");
    let (Some(from), Some(to)) = (from, to) else {
        return (0.0, 0.0);
    };
    let report = fields.report();
    let (left, right) = (*from.get_ref(), *to.get_ref());
    if left >= right {
        let what = format!("`to`: found {right}; expected more than `from`, {left}");
        report.at(&to.span(), what);
    } else if front > 0.0 && left < -ROUNDING_M {
        let what = format!("`from`: found {left}; expected 0 or more, metres from the left end");
        report.at(&from.span(), what);
    } else if front > 0.0 && right > front + ROUNDING_M {
        let what = format!("`to`: found {right}; expected at most {front:.3}, the front's length");
        report.at(&to.span(), what);
    }
    (left, right)
}

/// A required `polygon` that is simple and has an area.
pub(super) fn polygon(fields: &mut Fields<'_>) -> Polygon {
    let points: Option<Spanned<Vec<Point>>> = fields.required("polygon");
    let Some(points) = points else {
        return Polygon::default();
    };
    let span = points.span();
    let polygon = Polygon(points.into_inner());
    check_polygon(&polygon, &span, fields.report());
    polygon
}

/// A required `polygon` that outlines something in a picture: where the picture cuts it, points may
/// fall together and edges cross.
pub(super) fn outline(fields: &mut Fields<'_>) -> Polygon {
    let points: Option<Spanned<Vec<Point>>> = fields.required("polygon");
    let Some(points) = points else {
        return Polygon::default();
    };
    let span = points.span();
    let polygon = Polygon(points.into_inner());
    let corners = polygon.0.len();
    if corners < 3 {
        let what = format!("`polygon`: found {corners} points; expected 3 or more");
        fields.report().at(&span, what);
    }
    polygon
}

fn check_polygon(polygon: &Polygon, span: &Span, report: &Report<'_>) {
    let corners = polygon.0.len();
    let edges: Vec<(Point, Point)> = polygon.edges().collect();
    if corners < 3 {
        report.at(
            span,
            format!("`polygon`: found {corners} points; expected 3 or more"),
        );
        return;
    }
    if let Some(i) = edges.iter().position(|(a, b)| a == b) {
        let next = (i + 1) % corners + 1;
        let what = format!(
            "`polygon`: points {} and {next} are the same; leave one out",
            i + 1
        );
        report.at(span, what);
        return;
    }
    for (i, first) in edges.iter().enumerate() {
        for (j, second) in edges.iter().enumerate().skip(i + 1) {
            let neighbours = j == i + 1 || (i == 0 && j == corners - 1);
            let meet = if neighbours && corners > 3 {
                fold_back(*first, *second, j == i + 1)
            } else {
                !neighbours && cross(*first, *second)
            };
            if meet {
                let what = format!("`polygon`: edges {} and {} cross", i + 1, j + 1);
                report.at(span, what);
                return;
            }
        }
    }
    let spread = polygon.bounds().map_or(0.0, |b| b.width().max(b.height()));
    if polygon.area() <= 1e-9 * spread * spread {
        report.at(
            span,
            "`polygon`: its points lie on a line; expected an area",
        );
    }
}

/// Whether two edges that share a corner run back over each other.
fn fold_back(first: (Point, Point), second: (Point, Point), in_order: bool) -> bool {
    let (before, after) = if in_order {
        (first, second)
    } else {
        (second, first)
    };
    let (came, goes) = (before.1 - before.0, after.1 - after.0);
    came.cross(goes) == 0.0 && came.dot(goes) < 0.0
}

/// Whether two edges without a common corner touch.
fn cross((a, b): (Point, Point), (c, d): (Point, Point)) -> bool {
    let side = |p: Point, q: Point, r: Point| (q - p).cross(r - p);
    let on = |p: Point, q: Point, r: Point| side(p, q, r) == 0.0 && (r - p).dot(r - q) <= 0.0;
    let apart = |x: f64, y: f64| (x > 0.0 && y < 0.0) || (x < 0.0 && y > 0.0);
    (apart(side(a, b, c), side(a, b, d)) && apart(side(c, d, a), side(c, d, b)))
        || on(a, b, c)
        || on(a, b, d)
        || on(c, d, a)
        || on(c, d, b)
}
