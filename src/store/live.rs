//! How live sensors are read: power, rates, formats, secrets. Nothing of it is the engine's, so that
//! it can change without a new layout.

use std::collections::BTreeMap;
use std::fmt;

/// By place, in the order of the store's own lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Live {
    pub readers: Vec<ReaderLive>,
    pub cameras: Vec<CameraLive>,
    pub scales: Vec<ScaleLive>,
    pub gates: Vec<GateLive>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ReaderLive {
    /// Transmit power by port, hundredths of dBm; the reader's own highest where none is given.
    pub power_cdbm: BTreeMap<u16, i16>,
    /// Gen2 session, 0 to 3.
    pub session: u8,
    /// An index of the reader's own table; its own choice where none is given.
    pub rf_mode: Option<u16>,
    /// A report is sent when so many tags were read …
    pub report_every: u16,
    /// … and the reader is asked to live at least this often.
    pub keepalive_s: u16,
    /// For modules on USB that know several: `eu`, `na`, …; what it is set to where none is given.
    pub region: Option<String>,
}

impl Default for ReaderLive {
    fn default() -> Self {
        Self {
            power_cdbm: BTreeMap::new(),
            // Tags that were just read keep quiet for a while, so that the weak ones get a word in,
            // and come back by themselves (Gen2 2.0.1, 6.3.2.2).
            session: 1,
            rf_mode: None,
            report_every: 1,
            keepalive_s: 5,
            region: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct CameraLive {
    /// Frames beyond this many a second are not looked at.
    pub max_fps: f64,
    /// RTSP alone.
    pub transport: Transport,
    /// Whether frames in which nothing moves are left out.
    pub motion_gate: bool,
}

impl Default for CameraLive {
    fn default() -> Self {
        Self {
            max_fps: 10.0,
            transport: Transport::default(),
            motion_gate: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Within the RTSP connection: nothing is lost on the way.
    #[default]
    Tcp,
    Udp,
}

/// MQTT alone: a scale on USB tells its unit itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScaleLive {
    /// Where the weight stands in the message; a bare number, or `grams`, where none is given.
    pub path: Option<JsonPath>,
    pub unit: MassUnit,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GateLive {
    /// The secret that callers of the HTTP endpoint show.
    pub secret_file: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MassUnit {
    Milligram,
    #[default]
    Gram,
    Kilogram,
    Ounce,
    Pound,
}

impl MassUnit {
    pub const FORMS: &str = "mg, g, kg, oz or lb";

    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "mg" => Self::Milligram,
            "g" => Self::Gram,
            "kg" => Self::Kilogram,
            "oz" => Self::Ounce,
            "lb" => Self::Pound,
            _ => return None,
        })
    }

    /// Exact by definition (NIST SP 811, appendix B.8).
    pub fn grams(self) -> f64 {
        match self {
            Self::Milligram => 0.001,
            Self::Gram => 1.0,
            Self::Kilogram => 1000.0,
            Self::Ounce => 28.349_523_125,
            Self::Pound => 453.592_37,
        }
    }
}

/// A place in a JSON document: `load.cells[2].value`, also with a leading `$.` as in RFC 9535.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl JsonPath {
    /// Names between dots; numbers in brackets, from 0; names with other characters in `['…']`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        if rest == text && !rest.starts_with('[') {
            let (key, after) = key(rest)?;
            steps.push(key);
            rest = after;
        }
        while !rest.is_empty() {
            let (step, after) = match rest.strip_prefix('.') {
                Some(rest) => key(rest)?,
                None => bracket(rest.strip_prefix('[')?)?,
            };
            steps.push(step);
            rest = after;
        }
        Some(Self(steps))
    }

    /// What stands at the place.
    pub fn find<'v>(&self, document: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        self.0.iter().try_fold(document, |at, step| match step {
            Step::Key(key) => at.as_object()?.get(key),
            Step::Index(index) => at.as_array()?.get(*index),
        })
    }
}

fn key(rest: &str) -> Option<(Step, &str)> {
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (key, after) = rest.split_at(end);
    let plain = |c: char| !c.is_control() && !matches!(c, ']' | '\'' | '"' | '*' | '$' | ' ');
    (!key.is_empty() && key.chars().all(plain)).then(|| (Step::Key(key.to_owned()), after))
}

fn bracket(rest: &str) -> Option<(Step, &str)> {
    for quote in ['\'', '"'] {
        if let Some(rest) = rest.strip_prefix(quote) {
            let (key, after) = rest.split_once(quote)?;
            return Some((Step::Key(key.to_owned()), after.strip_prefix(']')?));
        }
    }
    let (number, after) = rest.split_once(']')?;
    let digits = number.bytes().all(|c| c.is_ascii_digit());
    let index = number.parse().ok().filter(|_| digits)?;
    Some((Step::Index(index), after))
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, "['{key}']"),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_boards_say() {
        let document = json!({"ENERGY": {"Power": [3, 7]}, "weight": 12.5, "a b": {"x.y": 1}});
        for (path, found) in [
            ("weight", Some(json!(12.5))),
            ("$.weight", Some(json!(12.5))),
            ("ENERGY.Power[1]", Some(json!(7))),
            ("$['ENERGY'].Power[0]", Some(json!(3))),
            ("['a b'][\"x.y\"]", Some(json!(1))),
            ("$", Some(document.clone())),
            ("ENERGY.Power[2]", None),
            ("weight.x", None),
        ] {
            let path = JsonPath::parse(path).unwrap_or_else(|| panic!("{path} is a path"));
            assert_eq!(path.find(&document).cloned(), found, "{path}");
        }
    }

    #[test]
    fn paths_that_are_none() {
        for text in [
            "", ".", "a.", "a..b", "a[", "a[x]", "a[-1]", "a[1]b", "a b", "*", "a['b]",
        ] {
            assert_eq!(JsonPath::parse(text), None, "{text}");
        }
    }
}
