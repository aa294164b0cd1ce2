//! The messages of a recording, topic by topic, into inputs of the engine.

use serde::Deserialize;
use std::collections::BTreeMap;

use crate::engine::Input;
use crate::gs1::Gtin;
use crate::observation::{
    Admission, Class, Command, Detection, Detections, GateEvent, Observation, Sensed, TagRead,
};
use crate::store::Store;
use crate::units::{BBox, Timestamp};

/// What a message is to the engine.
#[derive(Debug)]
pub enum Decoded {
    Input(Input),
    /// A picture: for the models, not for the engine.
    Image {
        camera: crate::ids::CameraIx,
    },
    /// Nothing for the engine, and why; said once for each topic.
    Ignored(String),
}

#[derive(Deserialize)]
struct RawRead {
    epc: String,
    antenna: u16,
    rssi_dbm: f64,
    count: Option<u32>,
    phase_deg: Option<f64>,
}
#[derive(Deserialize)]
struct RawDetections {
    width: f64,
    height: f64,
    detections: Vec<RawDetection>,
}
#[derive(Deserialize)]
struct RawDetection {
    class: String,
    score: f64,
    #[serde(rename = "box")]
    bbox: [f64; 4],
    #[serde(default)]
    gtins: BTreeMap<Gtin, f64>,
    #[serde(default)]
    embedding: Vec<f32>,
}
#[derive(Deserialize)]
struct RawWeight {
    grams: f64,
}
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum RawGate {
    Admitted {
        token: String,
        member: Option<String>,
        party: Option<u32>,
        role: Option<String>,
    },
    Door {
        open: bool,
    },
    Presented {
        token: String,
    },
}
#[derive(Deserialize)]
struct RawDoor {
    open: bool,
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
                let (field, after) = rest
                    .split_at_checked(length)
                    .ok_or("a field runs past the end")?;
                rest = after;
                if key >> 3 == 2 {
                    found = Some(field);
                }
            }
            kind => {
                return Err(format!(
                    "protobuf wire type {kind}, which no field of an image has"
                ));
            }
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

/// Decodes one message; the error says what is wrong with it.
pub fn decode(
    store: &Store,
    topic: &str,
    captured_at: Timestamp,
    payload: &[u8],
) -> Result<Decoded, String> {
    let mut parts = topic.split('/').skip(1);
    let (kind, id, tail) = (
        parts.next().unwrap_or(""),
        parts.next().unwrap_or(""),
        parts.next(),
    );
    let ignored = |what: &str| Ok(Decoded::Ignored(format!("{topic}: {what}")));
    let json = |e: serde_json::Error| e.to_string();
    let sensed = match (kind, tail) {
        ("rfid", None) => {
            let Some(reader) = store.reader_by_id(id) else {
                return ignored("the store file knows no such reader");
            };
            let raw: RawRead = serde_json::from_slice(payload).map_err(json)?;
            let reader = &store.readers[reader.index()];
            let Some(antenna) = reader.antennas.get(&raw.antenna) else {
                return ignored("the store file knows no such antenna");
            };
            Sensed::TagRead(TagRead {
                epc: raw
                    .epc
                    .parse()
                    .map_err(|e: crate::gs1::EpcError| e.to_string())?,
                antenna: *antenna,
                rssi_dbm: raw.rssi_dbm as f32,
                count: raw.count.unwrap_or(1),
                phase_deg: raw.phase_deg.map(|p| p as f32),
            })
        }
        ("camera", Some("detections")) => {
            let Some(camera) = store.camera_by_id(id) else {
                return ignored("the store file knows no such camera");
            };
            let raw: RawDetections = serde_json::from_slice(payload).map_err(json)?;
            let known = &store.cameras[camera.index()];
            let (w, h) = (f64::from(known.width), f64::from(known.height));
            let (sx, sy) = (w / raw.width, h / raw.height);
            let mut detections = Vec::with_capacity(raw.detections.len());
            for d in raw.detections {
                let class = match d.class.as_str() {
                    "person" => Class::Person,
                    "hand" => Class::Hand,
                    "product" => Class::Product,
                    _ => continue,
                };
                let [x0, y0, x1, y1] = d.bbox;
                let bbox = BBox::new(
                    (x0 * sx).clamp(0.0, w),
                    (y0 * sy).clamp(0.0, h),
                    (x1 * sx).clamp(0.0, w),
                    (y1 * sy).clamp(0.0, h),
                );
                let mut gtins: Vec<_> = d.gtins.into_iter().collect();
                gtins.sort_by(|a, b| b.1.total_cmp(&a.1));
                detections.push(Detection {
                    class,
                    score: d.score,
                    bbox,
                    gtins,
                    embedding: d.embedding,
                });
            }
            Sensed::Detections(Detections { camera, detections })
        }
        ("camera", Some("image")) => {
            return match store.camera_by_id(id) {
                Some(camera) => Ok(Decoded::Image { camera }),
                None => ignored("the store file knows no such camera"),
            };
        }
        ("scale", None) => {
            let Some(scale) = store.scale_by_id(id) else {
                return ignored("the store file knows no such scale");
            };
            let raw: RawWeight = serde_json::from_slice(payload).map_err(json)?;
            Sensed::Weight {
                scale,
                grams: raw.grams,
            }
        }
        ("gate", None) => {
            let Some(gate) = store.gate_by_id(id) else {
                return ignored("the store file knows no such gate");
            };
            let event = match serde_json::from_slice(payload).map_err(json)? {
                RawGate::Admitted {
                    token,
                    member,
                    party,
                    role,
                } => GateEvent::Admitted(Admission {
                    token,
                    member,
                    party: party.unwrap_or(1),
                    staff: role.as_deref() == Some("staff"),
                }),
                RawGate::Door { open } => GateEvent::Door { open },
                RawGate::Presented { token } => GateEvent::Presented { token },
            };
            Sensed::Gate { gate, event }
        }
        ("door", None) => {
            let Some(gondola) = store.gondola_by_id(id) else {
                return ignored("the store file knows no such gondola");
            };
            let raw: RawDoor = serde_json::from_slice(payload).map_err(json)?;
            Sensed::Door {
                gondola,
                open: raw.open,
            }
        }
        ("command", None) => {
            let raw: serde_json::Value = serde_json::from_slice(payload).map_err(json)?;
            let text = |key: &str| {
                raw.get(key)
                    .and_then(|v| v.as_str())
                    .unwrap_or("")
                    .to_owned()
            };
            let shelf = store.shelf_by_id(&text("shelf")).ok_or("unknown shelf");
            let by = text("by");
            let command = match text("command").as_str() {
                "restock.begin" => Command::RestockBegin { shelf: shelf?, by },
                "restock.end" => Command::RestockEnd { shelf: shelf?, by },
                _ => return ignored("unknown command"),
            };
            return Ok(Decoded::Input(Input::Command(command)));
        }
        _ => return ignored("no such topic"),
    };
    Ok(Decoded::Input(Input::Observation(Observation {
        captured_at,
        sensed,
    })))
}
