//! Stories of people on the floor plan: who is who when two have met.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and tells where"
)]

use std::path::Path;

use basketd::app::load::load;
use basketd::ids::{CameraIx, TrackId, ZoneIx};
use basketd::observation::{Class, Detection, Detections};
use basketd::store::{Store, View};
use basketd::tracking::{TrackEvent, Tracking};
use basketd::units::{BBox, Point, TimeDelta, Timestamp};

/// Where somebody is, as (second, x, y), metres; before and after nobody sees him.
type Walk = [(f64, f64, f64)];

const WAY_OUT: ZoneIx = ZoneIx(1);
const BACK: ZoneIx = ZoneIx(2);

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(1_772_442_000_000_000) + TimeDelta::from_secs(seconds)
}

fn place(walk: &Walk, t: f64) -> Option<Point> {
    let next = walk.iter().position(|(until, _, _)| *until > t)?;
    let (a, b) = (walk[next.checked_sub(1)?], walk[next]);
    let part = (t - a.0) / (b.0 - a.0);
    let along = |from: f64, to: f64| from + (to - from) * part;
    Some(Point::new(along(a.1, b.1), along(a.2, b.2)))
}

/// What a floor camera sees of them.
fn seen(store: &Store, camera: usize, people: &[Option<Point>]) -> Option<Detections> {
    let ix = CameraIx(camera as u16);
    let camera = &store.cameras[camera];
    let View::Floor { floor_from_image } = &camera.view else {
        return None;
    };
    let image_from_floor = floor_from_image.inverse().unwrap();
    let (width, height) = (f64::from(camera.width), f64::from(camera.height));
    let detection = |p: &Point| {
        let foot = image_from_floor.map(*p)?;
        let inside = (30.0..width - 30.0).contains(&foot.x) && (5.0..height).contains(&foot.y);
        let top = (foot.y - 50.0).max(0.0);
        inside.then(|| Detection {
            class: Class::Person,
            score: 0.9,
            bbox: BBox::new(foot.x - 12.0, top, foot.x + 12.0, foot.y),
            gtins: Vec::new(),
            embedding: Vec::new(),
        })
    };
    Some(Detections {
        camera: ix,
        detections: people.iter().flatten().filter_map(detection).collect(),
    })
}

/// What is found in the shop of `config/shop` of people as each of its cameras sees them at a tick,
/// ten frames a second for a minute.
fn watched(people: impl Fn(usize, i32) -> Vec<Option<Point>>) -> Vec<TrackEvent> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/shop/store.toml");
    let store = load(&folder).unwrap().store;
    let mut tracking = Tracking::new(&store);
    let mut events = Vec::new();
    for tick in 0..600 {
        let t = f64::from(tick) / 10.0;
        while let Some(due) = tracking.deadline().filter(|due| *due <= at(t)) {
            tracking.on_timeout(&store, due, &mut events);
        }
        for camera in 0..store.cameras.len() {
            if let Some(seen) = seen(&store, camera, &people(camera, tick)) {
                tracking.on_detections(&store, at(t), at(t), &seen, &mut events);
            }
        }
    }
    events
}

/// Who left by which zone.
fn left(walks: &[&Walk]) -> Vec<(TrackId, ZoneIx)> {
    let places = |t: f64| walks.iter().map(move |walk| place(walk, t));
    let events = watched(|_, tick| places(f64::from(tick) / 10.0).collect());
    let gone = |event: &TrackEvent| match event {
        TrackEvent::Left { track, zone, .. } => Some((*track, *zone)),
        _ => None,
    };
    events.iter().filter_map(gone).collect()
}

const IN: [(f64, f64, f64); 3] = [(1.0, 0.75, 0.2), (3.0, 0.75, 1.5), (8.0, 5.0, 3.0)];
const FROM_BACK: [(f64, f64, f64); 2] = [(5.0, 5.3, 6.4), (9.0, 5.3, 3.0)];
const OUT: [(f64, f64, f64); 3] = [(18.0, 5.1, 3.0), (24.0, 9.2, 1.5), (26.0, 9.2, 0.1)];
const TO_BACK: [(f64, f64, f64); 2] = [(18.0, 5.2, 3.0), (22.0, 5.3, 6.4)];

#[test]
fn a_shopper_leaves_by_the_exit_and_staff_by_their_door() {
    let (shopper, staff) = (
        [&IN[..], &OUT].concat(),
        [&FROM_BACK[..], &TO_BACK].concat(),
    );
    let mut gone = left(&[&shopper, &staff]);
    gone.sort();
    assert_eq!(gone, [(TrackId(1), WAY_OUT), (TrackId(2), BACK)]);
}

#[test]
fn who_goes_out_by_the_staff_s_door_after_he_met_one_of_them_is_that_one() {
    // They stand together for ten seconds, and cameras take each for the other.
    let (shopper, staff) = (
        [&IN[..], &TO_BACK].concat(),
        [&FROM_BACK[..], &OUT].concat(),
    );
    let mut gone = left(&[&shopper, &staff]);
    gone.sort();
    assert_eq!(gone, [(TrackId(1), WAY_OUT), (TrackId(2), BACK)]);
}

#[test]
fn a_poster_by_the_door_is_nobody() {
    // A camera takes it for somebody in every eighth frame, and the shopper comes late.
    let late = |(t, x, y): &(f64, f64, f64)| (t + 30.0, *x, *y);
    let shopper: Vec<(f64, f64, f64)> = IN.iter().chain(&OUT).map(late).collect();
    let events = watched(|camera, tick| {
        let poster = (camera == 0 && tick % 8 == 0).then(|| Point::new(1.2, 0.9));
        vec![place(&shopper, f64::from(tick) / 10.0), poster]
    });
    let told = |event: &TrackEvent| match event {
        TrackEvent::Began { at: began, .. } => format!("began {}", (*began - at(0.0)).as_secs()),
        TrackEvent::Left { zone, .. } => format!("left by {zone:?}"),
        other => format!("{other:?}"),
    };
    let told: Vec<String> = events.iter().map(told).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("began 31"), "{told:?}");
    assert_eq!(told[1], format!("left by {WAY_OUT:?}"));
}

#[test]
fn who_walks_on_after_two_have_stopped_is_no_more_the_one_who_came() {
    let stands = [(3.0, 0.75, 1.5), (7.0, 4.0, 3.0), (19.0, 4.0, 3.0)];
    let first = [&[(1.0, 0.75, 0.2)][..], &stands, &OUT[1..]].concat();
    // He comes up to her in the direction in which she goes on later.
    let second = [
        (10.0, 0.75, 0.2),
        (12.0, 0.75, 1.5),
        (17.0, 3.6, 2.9),
        (45.0, 3.6, 2.9),
        (52.0, 9.2, 1.5),
        (54.0, 9.2, 0.1),
    ];
    let gone = left(&[&first, &second]);
    assert_eq!(gone, [(TrackId(1), WAY_OUT), (TrackId(2), WAY_OUT)]);
}
