//! The JSON messages of a recording as they stand there. What is said of a field here is its
//! description in the JSON Schema.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::delivery::State;
use super::shape;
use crate::engine;
use crate::gs1::Gtin;

/// Longest list of an embedding's numbers.
pub(super) const EMBEDDING_MAX: usize = 4096;
/// People let in with one token, at most.
pub(super) const PARTY_MAX: u32 = 50;

/// A field that is written and described, and that nobody reads: whatever stands there is right.
#[derive(Debug)]
pub(super) struct Unread<T>(pub(super) Option<T>);

impl<T> Unread<T> {
    fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl<T> Default for Unread<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T> Deserialize<'de> for Unread<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(None))
    }
}

impl<T: Serialize> Serialize for Unread<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Unread<T> {
    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

/// One report of a tag by an antenna.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct TagRead<'a> {
    /// The tag's EPC, hexadecimal, upper or lower case.
    #[serde(borrow)]
    #[schemars(with = "shape::AnyEpc")]
    pub(super) epc: Cow<'a, str>,
    /// The reader's port.
    pub(super) antenna: u16,
    /// The signal's strength, dBm.
    pub(super) rssi_dbm: f64,
    /// Reads merged in this report, 1 where it is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u32>,
    /// The signal's phase, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase_deg: Option<f64>,
    /// The channel's frequency, kHz.
    #[serde(default, skip_serializing_if = "Unread::is_none")]
    pub(super) frequency_khz: Unread<f64>,
    /// The chip's own identity, hexadecimal.
    #[serde(default, skip_serializing_if = "Unread::is_none")]
    pub(super) tid: Unread<String>,
    /// The signal's Doppler shift, Hz.
    #[serde(default, skip_serializing_if = "Unread::is_none")]
    pub(super) doppler_hz: Unread<f64>,
}

impl<'a> TagRead<'a> {
    pub(super) fn new(epc: Cow<'a, str>, antenna: u16, rssi_dbm: f64) -> Self {
        Self {
            epc,
            antenna,
            rssi_dbm,
            count: None,
            phase_deg: None,
            frequency_khz: Unread(None),
            tid: Unread(None),
            doppler_hz: Unread(None),
        }
    }
}

/// What a model saw in one frame of one camera.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Detections<'a> {
    /// Of the image, in the pixels in which the boxes are.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) width: f64,
    /// Of the image, in the pixels in which the boxes are.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) height: f64,
    /// All that was seen.
    #[serde(borrow)]
    pub(super) detections: Vec<Detection<'a>>,
    /// The frame's number.
    #[serde(default, skip_serializing_if = "Unread::is_none")]
    pub(super) frame: Unread<u64>,
    /// The model.
    #[serde(default, skip_serializing_if = "Unread::is_none")]
    pub(super) model: Unread<Cow<'a, str>>,
}

/// One thing that was seen.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Detection<'a> {
    /// `person`, `hand` or `product`; what is of another class is left out.
    #[serde(borrow)]
    pub(super) class: Cow<'a, str>,
    /// How sure the model is.
    #[schemars(with = "shape::Probability")]
    pub(super) score: f64,
    /// Left, top, right and bottom, pixels.
    #[serde(rename = "box")]
    pub(super) bbox: [f64; 4],
    /// What a product can be: GTINs with probabilities that sum to 1 at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<shape::AnyGtin, shape::Probability>")]
    pub(super) gtins: BTreeMap<Gtin, f64>,
    /// Its appearance; any length will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = EMBEDDING_MAX))]
    pub(super) embedding: Vec<f32>,
}

/// What a scale shows.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Weight {
    /// Zero is arbitrary and drifts; changes are what counts.
    pub(super) grams: f64,
}

/// What happened at a gate.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum GateEvent {
    /// Somebody was let in.
    Admitted {
        /// What was shown.
        token: String,
        /// The member whose token it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// Persons let in with the token, 1 where it is not told.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = PARTY_MAX))]
        party: Option<u32>,
        /// `shopper`, as where it is not told, or `staff`: they change stock, never a receipt.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(extend("enum" = ["shopper", "staff", null]))]
        role: Option<String>,
    },
    /// The gate's door moved.
    Door {
        /// Whether it is open now.
        open: bool,
    },
    /// A token was shown again on the way out.
    Presented {
        /// What was shown.
        token: String,
    },
}

/// A cooler's door moved.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Door {
    /// Whether it is open now.
    pub(super) open: bool,
}

/// A sensor's state.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct SourceState<'a> {
    /// The sensor: `rfid/r1`, `camera/cam1`, ….
    pub(super) source: Cow<'a, str>,
    /// How it is.
    pub(super) state: State,
    /// Why.
    #[serde(default)]
    pub(super) reason: Cow<'a, str>,
}

/// What of a sensor's was lost.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct SourceGap<'a> {
    /// The sensor: `rfid/r1`, `camera/cam1`, ….
    pub(super) source: Cow<'a, str>,
    /// How many messages.
    pub(super) lost: u64,
    /// Why.
    #[serde(default)]
    pub(super) reason: Cow<'a, str>,
}

/// A deadline that the engine had asked for and that passed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Timer {
    /// What the engine wanted to be woken for.
    #[serde(with = "Wakeup")]
    #[schemars(with = "Wakeup")]
    pub(super) wakeup: engine::Wakeup,
}

/// The engine's own, for the schema.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(remote = "engine::Wakeup")]
enum Wakeup {
    Presence,
    Tracking,
    Shelf,
    Fusion,
    Basket,
}
