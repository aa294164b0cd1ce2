//! The messages of a recording into inputs of the engine. A [`Route`] is found once for each
//! channel; decoding a message is then one step. Unknown fields are ignored, so that recordings
//! outlive versions; what is wrong is refused with what was found and what is allowed.

use serde::Deserialize;

use super::record::{self, EMBEDDING_MAX, PARTY_MAX};
use crate::engine::Input;
use crate::gs1::{Epc, Gtin};
use crate::ids::{CameraIx, GateIx, GondolaIx, ReaderIx, ScaleIx};
use crate::observation::{
    Admission, Class, Detection, Detections, GateEvent, Observation, Sensed, SourceReport, TagRead,
};
use crate::store::Store;
use crate::units::{BBox, TimeDelta, Timestamp};

/// What the messages of a channel are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    TagRead(ReaderIx),
    Detections(CameraIx),
    Image(CameraIx),
    Weight(ScaleIx),
    Gate(GateIx),
    Door(GondolaIx),
    Command,
    Source,
    Gap,
    Timer,
    /// Nothing for the engine, and why.
    Ignored(String),
    /// The same, of a sensor that the store file does not have.
    NotInStore(String),
}

/// What a message is to the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    Input(Input),
    /// The same, with parts of the message left out: how many, for which reason.
    Partly(Input, Vec<(u64, &'static str)>),
    /// A picture, as JPEG or PNG: for the models, not for the engine.
    Image(CameraIx),
}

/// Why a candidate was left out.
pub const NOT_SOLD: &str = "products that are not in the catalogue";
/// The longest JSON message, bytes: a frame of a thousand products with embeddings has less.
pub const JSON_MAX: usize = 4 << 20;
/// How far from 1 the length of an embedding can be whose numbers were rounded after they were
/// scaled: such are kept to the last bit.
const UNIT: f64 = 1.2e-7;

/// What the messages of a topic are, by its name, its schema's name and its encoding.
pub fn route(store: &Store, topic: &str, schema: &str, encoding: &str) -> Route {
    let mut parts = topic.split('/').skip(1);
    let (kind, id, tail) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    let ignored = |what: &str| Route::Ignored(format!("{topic}: {what}"));
    let unknown =
        |kind: &str| Route::NotInStore(format!("{topic}: the store file has no such {kind}"));
    let (route, wants) = match (kind, id, tail) {
        ("rfid", Some(id), None) => match store.reader_by_id(id) {
            Some(ix) => (Route::TagRead(ix), "basketd.TagRead"),
            None => return unknown("reader"),
        },
        ("camera", Some(id), Some(kind @ ("detections" | "image"))) => {
            match (store.camera_by_id(id), kind) {
                (Some(ix), "image") => (Route::Image(ix), "foxglove.CompressedImage"),
                (Some(ix), _) => (Route::Detections(ix), "basketd.Detections"),
                (None, _) => return unknown("camera"),
            }
        }
        ("scale", Some(id), None) => match store.scale_by_id(id) {
            Some(ix) => (Route::Weight(ix), "basketd.Weight"),
            None => return unknown("scale"),
        },
        ("gate", Some(id), None) => match store.gate_by_id(id) {
            Some(ix) => (Route::Gate(ix), "basketd.GateEvent"),
            None => return unknown("gate"),
        },
        ("door", Some(id), None) => match store.gondola_by_id(id) {
            Some(ix) => (Route::Door(ix), "basketd.Door"),
            None => return unknown("gondola"),
        },
        ("command", None, None) => (Route::Command, "basketd.Command"),
        ("source", None, None) => (Route::Source, "basketd.SourceState"),
        ("gap", None, None) => (Route::Gap, "basketd.SourceGap"),
        ("timer", None, None) => (Route::Timer, "basketd.Timer"),
        _ => return ignored("an unknown topic"),
    };
    let wants_encoding = if matches!(route, Route::Image(_)) {
        "protobuf"
    } else {
        "json"
    };
    if schema != wants || encoding != wants_encoding {
        return Route::Ignored(format!(
            "{topic}: schema `{schema}` in encoding `{encoding}`; expected `{wants}` in `{wants_encoding}`"
        ));
    }
    route
}

/// No sensor sees the future; clocks that are kept at all are closer than this.
const AHEAD_MAX: TimeDelta = TimeDelta::from_millis(10_000);
/// What a sensor has kept through an outage is older than this only where its clock is wrong: set
/// to another time zone, or never set.
const BEHIND_MAX: TimeDelta = TimeDelta::from_millis(600_000);

/// When a message was captured; `None` where what it says cannot be.
pub fn capture_time(at: Timestamp, published: Timestamp) -> Option<Timestamp> {
    (published - at <= AHEAD_MAX && at - published <= BEHIND_MAX).then_some(published)
}

/// Leaves out candidates that the catalogue does not have: nothing could be charged for them.
/// Gives their number.
pub fn keep_known(store: &Store, detections: &mut [Detection]) -> u64 {
    let mut dropped = 0;
    for detection in detections {
        let before = detection.gtins.len();
        detection
            .gtins
            .retain(|(gtin, _)| store.catalog.contains_key(gtin));
        dropped += (before - detection.gtins.len()) as u64;
    }
    dropped
}

/// Decodes one message; the error says what is wrong with it.
pub fn decode(
    store: &Store,
    route: &Route,
    captured_at: Timestamp,
    payload: &[u8],
) -> Result<Decoded, String> {
    if let Route::Image(camera) = route {
        return Ok(Decoded::Image(*camera));
    }
    if payload.len() > JSON_MAX {
        return Err("a JSON message beyond the limit of 4 MiB".to_owned());
    }
    let sensed = match route {
        Route::TagRead(reader) => Sensed::TagRead(tag_read(store, *reader, json(payload)?)?),
        Route::Detections(camera) => {
            let (mut seen, outside) = detections(store, *camera, json(payload)?)?;
            let unknown = keep_known(store, &mut seen.detections);
            let mut lost = vec![
                (
                    outside,
                    "detections of an unknown class or outside the image",
                ),
                (unknown, NOT_SOLD),
            ];
            lost.retain(|(n, _)| *n > 0);
            let input = observed(captured_at, Sensed::Detections(seen));
            return Ok(if lost.is_empty() {
                Decoded::Input(input)
            } else {
                Decoded::Partly(input, lost)
            });
        }
        Route::Weight(scale) => {
            let record::Weight { grams } = json(payload)?;
            Sensed::Weight {
                scale: *scale,
                grams: finite("grams", grams)?,
            }
        }
        Route::Gate(gate) => Sensed::Gate {
            gate: *gate,
            event: gate_event(json(payload)?)?,
        },
        Route::Door(gondola) => {
            let record::Door { open } = json(payload)?;
            Sensed::Door {
                gondola: *gondola,
                open,
            }
        }
        Route::Command => {
            let command = super::command::parse(store, payload)?;
            return Ok(Decoded::Input(Input::Command(command)));
        }
        Route::Source => {
            let record::SourceState {
                source,
                state,
                reason,
            } = json(payload)?;
            let report = SourceReport::State {
                source: source.into_owned(),
                state: state.into(),
                reason: reason.into_owned(),
            };
            return Ok(Decoded::Input(Input::Source(report)));
        }
        Route::Gap => {
            let record::SourceGap {
                source,
                lost,
                reason,
            } = json(payload)?;
            return Ok(Decoded::Input(Input::Source(SourceReport::Gap {
                source: source.into_owned(),
                lost,
                reason: reason.into_owned(),
            })));
        }
        Route::Timer => {
            let record::Timer { wakeup } = json(payload)?;
            return Ok(Decoded::Input(Input::Timeout(wakeup)));
        }
        Route::Image(_) | Route::Ignored(_) | Route::NotInStore(_) => {
            return Err("a message of no use".to_owned());
        }
    };
    Ok(Decoded::Input(observed(captured_at, sensed)))
}

fn observed(captured_at: Timestamp, sensed: Sensed) -> Input {
    Input::Observation(Observation {
        captured_at,
        sensed,
    })
}

fn json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, String> {
    // Arrays would be taken for objects without names.
    if payload.trim_ascii_start().first() == Some(&b'[') {
        return Err("an array; expected an object".to_owned());
    }
    serde_json::from_slice(payload).map_err(|e| {
        // Places in the message differ from one to the next; the reason is what counts.
        let text = e.to_string();
        text.split(" at line ").next().unwrap_or(&text).to_owned()
    })
}

fn finite(what: &str, value: f64) -> Result<f64, String> {
    if value.is_finite() && value.abs() < 1e9 {
        Ok(value)
    } else {
        Err(format!(
            "`{what}` is not a finite number of a sensible size"
        ))
    }
}

fn tag_read(store: &Store, reader: ReaderIx, raw: record::TagRead<'_>) -> Result<TagRead, String> {
    let antenna = store.readers[reader.index()]
        .antennas
        .get(&raw.antenna)
        .ok_or_else(|| format!("antenna {} is not in the store file", raw.antenna))?;
    let epc: Epc = raw
        .epc
        .parse()
        .map_err(|e: crate::gs1::EpcError| e.to_string())?;
    let phase_deg = raw.phase_deg.map(|p| finite("phase_deg", p)).transpose()?;
    Ok(TagRead {
        epc,
        antenna: *antenna,
        rssi_dbm: finite("rssi_dbm", raw.rssi_dbm)? as f32,
        count: raw.count.unwrap_or(1).max(1),
        phase_deg: phase_deg.map(|p| p as f32),
    })
}

fn detections(
    store: &Store,
    camera: CameraIx,
    raw: record::Detections<'_>,
) -> Result<(Detections, u64), String> {
    let known = &store.cameras[camera.index()];
    let (width, height) = (f64::from(known.width), f64::from(known.height));
    let sized = |v: f64| v.is_finite() && (1.0..=100_000.0).contains(&v);
    if !sized(raw.width) || !sized(raw.height) {
        return Err("`width` and `height` are not those of an image".to_owned());
    }
    let scale = (width / raw.width, height / raw.height);
    let mut out = Vec::with_capacity(raw.detections.len());
    let mut dropped = 0;
    for d in raw.detections {
        match detection(d, scale, (width, height))? {
            Some(detection) => out.push(detection),
            None => dropped += 1,
        }
    }
    Ok((
        Detections {
            camera,
            detections: out,
        },
        dropped,
    ))
}

fn detection(
    raw: record::Detection<'_>,
    (sx, sy): (f64, f64),
    (width, height): (f64, f64),
) -> Result<Option<Detection>, String> {
    let class = match raw.class.as_ref() {
        "person" => Class::Person,
        "hand" => Class::Hand,
        "product" => Class::Product,
        _ => return Ok(None),
    };
    if !raw.score.is_finite() || !(0.0..=1.0).contains(&raw.score) {
        return Err("a `score` outside 0 to 1".to_owned());
    }
    let [x0, y0, x1, y1] = raw.bbox;
    if !raw.bbox.iter().all(|v| v.is_finite()) {
        return Err("a `box` with a number that is not finite".to_owned());
    }
    let (x, y) = (
        |v: f64| (v * sx).clamp(0.0, width),
        |v: f64| (v * sy).clamp(0.0, height),
    );
    let bbox = BBox::new(x(x0), y(y0), x(x1), y(y1));
    if bbox.width() <= 0.0 || bbox.height() <= 0.0 {
        return Ok(None);
    }
    let sum: f64 = raw.gtins.values().sum();
    if raw.gtins.values().any(|p| !p.is_finite() || *p < 0.0) || sum > 1.0 + 1e-6 {
        return Err("`gtins` are not probabilities that sum to 1 at most".to_owned());
    }
    let mut gtins: Vec<(Gtin, f64)> = raw.gtins.into_iter().collect();
    gtins.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let embedding = unit_length(raw.embedding)?;
    Ok(Some(Detection {
        class,
        score: raw.score,
        bbox,
        gtins,
        embedding,
    }))
}

fn unit_length(mut embedding: Vec<f32>) -> Result<Vec<f32>, String> {
    if embedding.len() > EMBEDDING_MAX {
        return Err("an `embedding` of more than 4096 numbers".to_owned());
    }
    let norm = embedding
        .iter()
        .map(|v| f64::from(*v) * f64::from(*v))
        .sum::<f64>()
        .sqrt();
    if !norm.is_finite() || norm < 1e-9 {
        return Ok(Vec::new());
    }
    if (norm - 1.0).abs() <= UNIT {
        return Ok(embedding);
    }
    for value in &mut embedding {
        *value = (f64::from(*value) / norm) as f32;
    }
    Ok(embedding)
}

/// The longest token or member id of a live gate, bytes: codes and cards have fewer.
const TOKEN_MAX: usize = 256;

/// What a live gate sent. The error never holds any of it: it may be a token.
pub fn gate(sent: &[u8]) -> Result<GateEvent, String> {
    if sent.len() > 64 << 10 {
        return Err("a message beyond the limit of 64 KiB".to_owned());
    }
    let raw: Result<record::GateEvent, _> = serde_json::from_slice(sent);
    let raw = raw.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!(
            "no gate event at line {line} column {column}; expected {{\"kind\": \"admitted\", \"token\": …}}, \
             {{\"kind\": \"presented\", \"token\": …}} or {{\"kind\": \"door\", \"open\": …}}"
        )
    })?;
    let event = gate_event(raw)?;
    let names = match &event {
        GateEvent::Admitted(admission) => [Some(&admission.token), admission.member.as_ref()],
        GateEvent::Presented { token } => [Some(token), None],
        GateEvent::Door { .. } => [None, None],
    };
    let fits = |name: &String| (1..=TOKEN_MAX).contains(&name.len());
    if names.into_iter().flatten().all(fits) {
        Ok(event)
    } else {
        Err(format!(
            "a token or member of no or more than {TOKEN_MAX} bytes"
        ))
    }
}

/// What a live door sent: whether it is open.
pub fn door(sent: &[u8]) -> Result<bool, String> {
    let record::Door { open } = json(sent)?;
    Ok(open)
}

fn gate_event(raw: record::GateEvent) -> Result<GateEvent, String> {
    match raw {
        record::GateEvent::Admitted {
            token,
            member,
            party,
            role,
        } => {
            let party = party.unwrap_or(1);
            if !(1..=PARTY_MAX).contains(&party) {
                return Err(format!("a `party` outside 1 to {PARTY_MAX}"));
            }
            let staff = match role.as_deref() {
                None | Some("shopper") => false,
                Some("staff") => true,
                Some(_) => return Err("a `role` other than `shopper` or `staff`".to_owned()),
            };
            Ok(GateEvent::Admitted(Admission {
                token,
                member,
                party,
                staff,
            }))
        }
        record::GateEvent::Door { open } => Ok(GateEvent::Door { open }),
        record::GateEvent::Presented { token } => Ok(GateEvent::Presented { token }),
    }
}

/// The picture of a `foxglove.CompressedImage` (protobuf): field 2, `data`.
pub fn decode_image(payload: &[u8]) -> Result<&[u8], String> {
    let mut rest = payload;
    let mut found: Option<&[u8]> = None;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match key & 7 {
            0 => {
                varint(&mut rest)?;
            }
            2 => {
                let length = usize::try_from(varint(&mut rest)?).unwrap_or(usize::MAX);
                let cut = rest.split_at_checked(length);
                let (field, after) = cut.ok_or("a field runs past the end")?;
                rest = after;
                if key >> 3 == 2 {
                    found = Some(field);
                }
            }
            kind @ (1 | 5) => {
                let cut = rest.split_at_checked(if kind == 1 { 8 } else { 4 });
                rest = cut.ok_or("a field runs past the end")?.1;
            }
            kind => return Err(format!("protobuf wire type {kind}, which no image has")),
        }
    }
    found.ok_or_else(|| "an image without data".to_owned())
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for i in 0..10 {
        let (byte, after) = rest.split_first().ok_or("a number runs past the end")?;
        *rest = after;
        value |= u64::from(byte & 127) << (7 * i).min(63);
        if byte & 128 == 0 {
            return Ok(value);
        }
    }
    Err("a number of more than ten bytes".to_owned())
}
