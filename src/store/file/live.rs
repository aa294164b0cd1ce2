//! What a store file says of how its live sensors are read.

use toml::Spanned;

use super::fields::{Fields, Whole};
use super::sensors::secret;
use crate::store::live::{
    CameraLive, GateLive, JsonPath, MassUnit, ReaderLive, ScaleLive, Transport,
};
use crate::store::{GateSource, Link, ScaleSource};

/// Readers' powers, dBm: below no tag answers, above is forbidden everywhere.
const POWER_DBM: std::ops::RangeInclusive<f64> = -10.0..=36.0;
/// Frames a second.
const FPS: std::ops::RangeInclusive<f64> = 0.1..=120.0;
/// Regions that modules on USB know.
const REGIONS: [&str; 34] = [
    "na", "na2", "na3", "na4", "eu", "eu1", "eu2", "eu3", "eu4", "ar", "au", "bd", "cn", "cn2",
    "hk", "id", "in", "is", "is2", "jp", "jp2", "jp3", "kr", "kr1", "mo", "my", "nz", "ph", "ru",
    "sg", "th", "tw", "vn", "open",
];

/// A reader's keys but for its antennas'.
pub(super) fn reader(fields: &mut Fields<'_>) -> (ReaderLive, Option<i16>) {
    let default = ReaderLive::default();
    let session = fields.optional::<Whole<0, 3>>("session");
    let rf_mode = fields.optional::<Whole<0, 65_535>>("rf_mode");
    let every = fields.optional::<Whole<1, 10_000>>("report_every");
    let keepalive = fields.optional::<Whole<1, 600>>("keepalive_s");
    let region = one_of(fields, "region", &REGIONS);
    let live = ReaderLive {
        session: session.map_or(default.session, |n| n.0 as u8),
        rf_mode: rf_mode.map(|n| n.0 as u16),
        report_every: every.map_or(default.report_every, |n| n.0 as u16),
        keepalive_s: keepalive.map_or(default.keepalive_s, |n| n.0 as u16),
        region,
        ..default
    };
    (live, power(fields))
}

/// `power_dbm`, in hundredths.
pub(super) fn power(fields: &mut Fields<'_>) -> Option<i16> {
    let power = within(fields, "power_dbm", &POWER_DBM)?;
    Some((power * 100.0).round() as i16)
}

pub(super) fn camera(fields: &mut Fields<'_>) -> CameraLive {
    let default = CameraLive::default();
    let max_fps = within(fields, "max_fps", &FPS);
    let transport = match one_of(fields, "transport", &["tcp", "udp"]).as_deref() {
        Some("udp") => Transport::Udp,
        _ => Transport::Tcp,
    };
    CameraLive {
        max_fps: max_fps.unwrap_or(default.max_fps),
        transport,
        motion_gate: fields
            .optional("motion_gate")
            .unwrap_or(default.motion_gate),
    }
}

pub(super) fn scale(fields: &mut Fields<'_>, source: &ScaleSource) -> ScaleLive {
    let path = fields.optional::<Spanned<String>>("path").and_then(|text| {
        let path = JsonPath::parse(text.get_ref());
        if path.is_none() {
            let found: String = text.get_ref().chars().take(60).collect();
            let what = format!(
                "`path`: found \"{found}\"; expected names and numbers, such as load.cells[2].value"
            );
            fields.report().at(&text.span(), what);
        }
        path
    });
    let unit = fields.optional::<Spanned<String>>("unit").map(|text| {
        MassUnit::parse(text.get_ref()).unwrap_or_else(|| {
            let found: String = text.get_ref().chars().take(20).collect();
            let what = format!("`unit`: found \"{found}\"; expected {}", MassUnit::FORMS);
            fields.report().at(&text.span(), what);
            MassUnit::default()
        })
    });
    let is_mqtt = matches!(source, ScaleSource::Mqtt { .. });
    if !is_mqtt && (fields.has("path") || fields.has("unit")) {
        fields.problem("`path` and `unit` belong to a scale with source = \"mqtt:<topic>\"");
    }
    ScaleLive {
        path,
        unit: unit.unwrap_or_default(),
    }
}

pub(super) fn gate(
    fields: &mut Fields<'_>,
    source: &GateSource,
    links: &mut Vec<Link>,
) -> GateLive {
    let secret_file = secret(fields, "secret_file", links);
    if secret_file.is_some() && *source != GateSource::Http {
        fields.problem("`secret_file` belongs to a gate with source = \"http\"");
    }
    GateLive { secret_file }
}

fn within(
    fields: &mut Fields<'_>,
    key: &'static str,
    range: &std::ops::RangeInclusive<f64>,
) -> Option<f64> {
    let number = fields.optional::<Spanned<f64>>(key)?;
    if range.contains(number.get_ref()) {
        return Some(number.into_inner());
    }
    let (found, from, to) = (number.get_ref(), range.start(), range.end());
    let what = format!("`{key}`: found {found}; expected a number from {from} to {to}");
    fields.report().at(&number.span(), what);
    None
}

fn one_of(fields: &mut Fields<'_>, key: &'static str, words: &[&str]) -> Option<String> {
    let word = fields.optional::<Spanned<String>>(key)?;
    if words.contains(&word.get_ref().as_str()) {
        return Some(word.into_inner());
    }
    let found: String = word.get_ref().chars().take(40).collect();
    let what = format!("`{key}`: found \"{found}\"; expected {}", words.join(", "));
    fields.report().at(&word.span(), what);
    None
}
