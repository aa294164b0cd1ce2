//! Messages of a recording, as the daemon writes them into its journal: the inverse of
//! [`decode`](super::message::decode), to the last bit of every number.

use std::borrow::Cow;

use serde::Serialize;

use super::record;
use crate::engine::Wakeup;
use crate::observation::{Class, Detection, Detections, GateEvent, SourceReport, TagRead};
use crate::store::Store;

pub use super::schema::schema_text;

/// A deadline that passed: `basketd.Timer`.
pub fn timer(wakeup: Wakeup) -> Vec<u8> {
    json(&record::Timer { wakeup })
}

/// A sensor's state or loss: `basketd.SourceState` or `basketd.SourceGap`.
pub fn source(report: &SourceReport) -> Vec<u8> {
    match report {
        SourceReport::State {
            source,
            state,
            reason,
        } => json(&record::SourceState {
            source: source.into(),
            state: (*state).into(),
            reason: reason.into(),
        }),
        SourceReport::Gap {
            source,
            lost,
            reason,
        } => json(&record::SourceGap {
            source: source.into(),
            lost: *lost,
            reason: reason.into(),
        }),
    }
}

/// What a model saw in a frame: `basketd.Detections`, in the pixels of the store file's camera.
pub fn detections(store: &Store, seen: &Detections, model: Option<&str>) -> Vec<u8> {
    let camera = &store.cameras[seen.camera.index()];
    json(&record::Detections {
        width: f64::from(camera.width),
        height: f64::from(camera.height),
        detections: seen.detections.iter().map(detection).collect(),
        frame: record::Unread(None),
        model: record::Unread(model.map(Cow::Borrowed)),
    })
}

fn detection(seen: &Detection) -> record::Detection<'static> {
    let class = match seen.class {
        Class::Person => "person",
        Class::Hand => "hand",
        Class::Product => "product",
    };
    let bbox = seen.bbox;
    record::Detection {
        class: Cow::Borrowed(class),
        score: seen.score,
        bbox: [bbox.x0, bbox.y0, bbox.x1, bbox.y1],
        gtins: seen.gtins.iter().copied().collect(),
        embedding: seen.embedding.clone(),
    }
}

/// A read of a tag by its antenna's reader: `basketd.TagRead`.
pub fn tag_read(store: &Store, read: &TagRead) -> Vec<u8> {
    let port = store.antennas[read.antenna.index()].port;
    let epc = Cow::Owned(read.epc.to_string());
    json(&record::TagRead {
        count: (read.count != 1).then_some(read.count),
        phase_deg: read.phase_deg.map(shortest),
        ..record::TagRead::new(epc, port, shortest(read.rssi_dbm))
    })
}

/// What a scale shows: `basketd.Weight`.
pub fn weight(grams: f64) -> Vec<u8> {
    json(&record::Weight { grams })
}

/// What happened at a gate: `basketd.GateEvent`.
pub fn gate_event(event: &GateEvent) -> Vec<u8> {
    json(&match event {
        GateEvent::Admitted(admission) => record::GateEvent::Admitted {
            token: admission.token.clone(),
            member: admission.member.clone(),
            party: (admission.party != 1).then_some(admission.party),
            role: admission.staff.then(|| "staff".to_owned()),
        },
        GateEvent::Door { open } => record::GateEvent::Door { open: *open },
        GateEvent::Presented { token } => record::GateEvent::Presented {
            token: token.clone(),
        },
    })
}

/// A cooler's door: `basketd.Door`.
pub fn door(open: bool) -> Vec<u8> {
    json(&record::Door { open })
}

/// The number whose text is shortest among those that are read as this one: -54.3, not
/// -54.29999923706055.
fn shortest(value: f32) -> f64 {
    let short = value.to_string().parse::<f64>();
    let short = short.ok().filter(|short| *short as f32 == value);
    short.unwrap_or_else(|| f64::from(value))
}

fn json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("strings, numbers and lists of them are JSON")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Input;
    use crate::gs1::{Epc, Gtin};
    use crate::ids::{AntennaIx, CameraIx, GateIx, GondolaIx, ScaleIx};
    use crate::observation::{Admission, Observation, Sensed, SourceState};
    use crate::units::{BBox, Timestamp};
    use crate::wire::message::{Decoded, Route, decode};

    fn kiosk() -> Store {
        let text = include_str!("../../config/kiosk/store.toml");
        let mut open = |name: &str| match name {
            "catalog.csv" => Ok(include_str!("../../config/kiosk/catalog.csv").to_owned()),
            "tags.csv" => Ok(include_str!("../../config/kiosk/tags.csv").to_owned()),
            _ => Err("no such file".to_owned()),
        };
        let read = crate::store::file::read("store.toml", text, &mut open);
        read.expect("the kiosk is right").store
    }

    const AT: i64 = 1_772_442_000_000_000;

    fn decoded(store: &Store, route: &Route, bytes: &[u8]) -> Input {
        match decode(store, route, Timestamp::from_micros(AT), bytes) {
            Ok(Decoded::Input(input)) => input,
            other => panic!("{}: {other:?}", String::from_utf8_lossy(bytes)),
        }
    }

    /// The text of what was sensed gives it back.
    fn returns(store: &Store, route: &Route, sensed: Sensed, bytes: &[u8]) {
        let observation = Observation {
            captured_at: Timestamp::from_micros(AT),
            sensed,
        };
        let input = decoded(store, route, bytes);
        assert_eq!(input, Input::Observation(observation));
    }

    fn names() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            Just("\"\\\u{0}\u{1F6D2}é".to_owned()),
            "[a-z]{1,9}"
        ]
    }

    /// Numbers that must survive to the last bit.
    fn finite(most: f64) -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(0.0),
            Just(f64::MIN_POSITIVE),
            Just(5e-324),
            -most..most,
            (-most..most).prop_map(|v| v * 1e-12),
            (-most..most).prop_map(|v| f64::from(v as f32)),
        ]
    }

    fn unit(numbers: Vec<f32>) -> Vec<f32> {
        let square = |v: &f32| f64::from(*v) * f64::from(*v);
        let norm = numbers.iter().map(square).sum::<f64>().sqrt();
        if norm < 1e-3 {
            return Vec::new();
        }
        let scaled = numbers.iter().map(|v| (f64::from(*v) / norm) as f32);
        scaled.collect()
    }

    fn seen(store: &Store) -> impl Strategy<Value = Detections> + use<> {
        let camera = &store.cameras[0];
        let (w, h) = (f64::from(camera.width), f64::from(camera.height));
        let products: Vec<Gtin> = store.catalog.keys().copied().collect();
        let most = products.len();
        let class = prop_oneof![Just(Class::Person), Just(Class::Hand), Just(Class::Product)];
        let corners = (0.0..w, 0.0..h, 0.0..w, 0.0..h);
        let bbox = corners.prop_map(move |(x0, y0, x1, y1)| {
            // Never empty, up to the edge at times.
            let right = if x1 > x0 { x1 } else { w };
            BBox::new(x0, y0, right, if y1 > y0 { y1 } else { h })
        });
        let shares = vec(0.0..1.0_f64, 0..=most);
        let embedding = vec(-1.0..1.0_f32, 0..130).prop_map(unit);
        let one = (class, 0.0..=1.0_f64, bbox, shares, embedding);
        let one = one.prop_map(move |(class, score, bbox, shares, embedding)| {
            let sum = shares.iter().sum::<f64>().max(1.0);
            let shares = shares.into_iter().map(|share| share / sum);
            let mut gtins: Vec<_> = products.iter().copied().zip(shares).collect();
            gtins.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            Detection {
                class,
                score,
                bbox,
                gtins,
                embedding,
            }
        });
        vec(one, 0..5).prop_map(|detections| Detections {
            camera: CameraIx(0),
            detections,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn detections_survive_their_text(
            seen in seen(&kiosk()),
            model in proptest::option::of(names()),
        ) {
            let store = kiosk();
            let bytes = detections(&store, &seen, model.as_deref());
            let route = Route::Detections(CameraIx(0));
            returns(&store, &route, Sensed::Detections(seen), &bytes);
        }

        #[test]
        fn tag_reads_survive_their_text(
            epc in vec(any::<u8>(), 1..=62),
            antenna in any::<prop::sample::Index>(),
            rssi in finite(1e8),
            count in 1..=u32::MAX,
            phase in proptest::option::of(finite(360.0)),
        ) {
            let store = kiosk();
            let antenna = antenna.index(store.antennas.len());
            let read = TagRead {
                epc: Epc::new(&epc).unwrap(),
                antenna: AntennaIx(antenna as u16),
                rssi_dbm: rssi as f32,
                count,
                phase_deg: phase.map(|phase| phase as f32),
            };
            let route = Route::TagRead(store.antennas[antenna].reader);
            returns(&store, &route, Sensed::TagRead(read), &tag_read(&store, &read));
        }

        #[test]
        fn weights_survive_their_text(grams in finite(9e8)) {
            let scale = ScaleIx(0);
            let sensed = Sensed::Weight { scale, grams };
            returns(&kiosk(), &Route::Weight(scale), sensed, &weight(grams));
        }

        #[test]
        fn gate_events_survive_their_text(
            token in names(),
            member in proptest::option::of(names()),
            party in 1..=record::PARTY_MAX,
            staff in any::<bool>(),
        ) {
            let (store, gate) = (kiosk(), GateIx(0));
            let admission = Admission { token: token.clone(), member, party, staff };
            for event in [
                GateEvent::Admitted(admission),
                GateEvent::Door { open: staff },
                GateEvent::Presented { token },
            ] {
                let bytes = gate_event(&event);
                returns(&store, &Route::Gate(gate), Sensed::Gate { gate, event }, &bytes);
            }
        }

        #[test]
        fn reports_of_sensors_survive_their_text(
            name in names(),
            why in names(),
            lost in any::<u64>(),
        ) {
            let store = kiosk();
            for state in [SourceState::Online, SourceState::Degraded, SourceState::Offline] {
                let report = SourceReport::State { source: name.clone(), state, reason: why.clone() };
                let input = decoded(&store, &Route::Source, &source(&report));
                prop_assert_eq!(input, Input::Source(report));
            }
            let report = SourceReport::Gap { source: name, lost, reason: why };
            let input = decoded(&store, &Route::Gap, &source(&report));
            prop_assert_eq!(input, Input::Source(report));
        }
    }

    #[test]
    fn doors_and_deadlines_survive_their_text() {
        let (store, gondola) = (kiosk(), GondolaIx(0));
        for open in [true, false] {
            let sensed = Sensed::Door { gondola, open };
            returns(&store, &Route::Door(gondola), sensed, &door(open));
        }
        for wakeup in [
            Wakeup::Presence,
            Wakeup::Tracking,
            Wakeup::Shelf,
            Wakeup::Fusion,
            Wakeup::Basket,
        ] {
            let input = decoded(&store, &Route::Timer, &timer(wakeup));
            assert_eq!(input, Input::Timeout(wakeup));
        }
        assert_eq!(timer(Wakeup::Shelf), br#"{"wakeup":"Shelf"}"#);
    }

    #[test]
    fn texts_are_short_and_say_what_is_not_usual() {
        let store = kiosk();
        let mut read = TagRead {
            epc: "30AA".parse().unwrap(),
            antenna: AntennaIx(0),
            rssi_dbm: -54.3,
            count: 1,
            phase_deg: None,
        };
        let text = |read: &TagRead| String::from_utf8(tag_read(&store, read)).unwrap();
        let port = store.antennas[0].port;
        let short = format!(r#"{{"epc":"30AA","antenna":{port},"rssi_dbm":-54.3}}"#);
        assert_eq!(text(&read), short);
        (read.count, read.phase_deg) = (7, Some(0.1));
        assert!(text(&read).ends_with(r#""count":7,"phase_deg":0.1}"#));
        let gap = SourceReport::Gap {
            source: "rfid/r1".to_owned(),
            lost: 3,
            reason: "full".to_owned(),
        };
        let gap = source(&gap);
        assert_eq!(gap, br#"{"source":"rfid/r1","lost":3,"reason":"full"}"#);
        let nothing = Detections {
            camera: CameraIx(0),
            detections: Vec::new(),
        };
        let text = String::from_utf8(detections(&store, &nothing, Some("m"))).unwrap();
        assert!(text.ends_with(r#""detections":[],"model":"m"}"#), "{text}");
    }

    #[test]
    fn whatever_stands_where_nobody_looks_is_right() {
        let store = kiosk();
        let text =
            br#"{"width": 640, "height": 480, "detections": [], "model": [7], "frame": "x"}"#;
        let known = decoded(&store, &Route::Detections(CameraIx(0)), text);
        let nothing = Detections {
            camera: CameraIx(0),
            detections: Vec::new(),
        };
        let nothing = Observation {
            captured_at: Timestamp::from_micros(AT),
            sensed: Sensed::Detections(nothing),
        };
        assert_eq!(known, Input::Observation(nothing));
    }
}
