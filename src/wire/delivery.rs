//! What goes over the broker besides events: the backend's confirmations, the box's and its
//! sensors' states, and answers to commands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::observation::SourceState;

/// The longest ack, bytes; a journal's id has a handful.
const ACK_MAX: usize = 4096;

/// From the backend: up to which event it has everything safely stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// The journal whose events are counted.
    pub journal: String,
    /// The highest `n` up to which nothing is missing.
    pub through: u64,
}

impl Ack {
    /// Reads an ack; unknown fields are ignored.
    pub fn parse(payload: &[u8]) -> Result<Self, String> {
        let expected = "expected {\"journal\": text, \"through\": whole number}";
        if payload.len() > ACK_MAX {
            let n = payload.len();
            return Err(format!("an ack of {n} bytes; at most {ACK_MAX}"));
        }
        let value: Value = serde_json::from_slice(payload).map_err(|e| {
            // Places in the message differ from one to the next; the reason is what counts.
            let text = e.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            format!("an ack that is no JSON: {reason}; {expected}")
        })?;
        let Value::Object(fields) = value else {
            return Err(format!("an ack that is no object; {expected}"));
        };
        let refused = |name: &str| match fields.get(name) {
            None => format!("an ack without `{name}`; {expected}"),
            Some(found) => {
                let found: String = found.to_string().chars().take(40).collect();
                format!("an ack whose `{name}` is {found}; {expected}")
            }
        };
        let journal = fields.get("journal").and_then(Value::as_str);
        let journal = journal.filter(|journal| !journal.is_empty());
        let through = fields.get("through").and_then(Value::as_u64);
        Ok(Self {
            journal: journal.ok_or_else(|| refused("journal"))?.to_owned(),
            through: through.ok_or_else(|| refused("through"))?,
        })
    }
}

/// How a box or a sensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Online,
    /// At work, with something amiss.
    Degraded,
    /// Silent.
    Offline,
}

impl From<SourceState> for State {
    fn from(state: SourceState) -> Self {
        match state {
            SourceState::Online => Self::Online,
            SourceState::Degraded => Self::Degraded,
            SourceState::Offline => Self::Offline,
        }
    }
}

impl From<State> for SourceState {
    fn from(state: State) -> Self {
        match state {
            State::Online => Self::Online,
            State::Degraded => Self::Degraded,
            State::Offline => Self::Offline,
        }
    }
}

/// How the box is; `offline` is its last will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// How it is.
    pub state: State,
    /// What is amiss.
    pub reasons: Vec<String>,
}

/// How a sensor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceStatus {
    /// How it is.
    pub state: State,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: String,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// Whether the command was taken: it is on disk, and will be carried out.
    pub ok: bool,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the box is, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusReport>,
}

impl Reply {
    /// The command was taken.
    pub fn ok() -> Self {
        Self {
            ok: true,
            reason: None,
            status: None,
        }
    }

    /// The command was refused, and why.
    pub fn refused(reason: String) -> Self {
        Self {
            ok: false,
            reason: Some(reason),
            status: None,
        }
    }

    /// The answer to `status`.
    pub fn status(status: StatusReport) -> Self {
        Self {
            ok: true,
            reason: None,
            status: Some(status),
        }
    }
}

/// How the box is, at length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusReport {
    /// The store's id.
    pub store: String,
    /// The journal that the box writes.
    pub journal: String,
    /// The program's version.
    pub version: String,
    /// How the box is.
    pub state: State,
    /// What is amiss.
    pub reasons: Vec<String>,
    /// The number of the last event on disk.
    pub last_n: u64,
    /// The number of the last event that the backend has confirmed.
    pub confirmed_n: u64,
    /// Visits that are not over.
    pub open_visits: u64,
    /// All sensors.
    pub sources: Vec<SourceReport>,
}

/// How a sensor is, in the box's report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceReport {
    /// The sensor: `rfid/r1`, `camera/cam1`, ….
    pub source: String,
    /// How it is.
    pub state: State,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_survives_its_text_and_new_fields_are_ignored() {
        let ack = Ack {
            journal: "j4k2".to_owned(),
            through: u64::MAX,
        };
        let text = serde_json::to_vec(&ack).unwrap();
        assert_eq!(Ack::parse(&text), Ok(ack));
        let more = br#"{"through": 0, "by": ["x"], "journal": "j"}"#;
        let ack = Ack::parse(more).unwrap();
        assert_eq!((ack.journal.as_str(), ack.through), ("j", 0));
    }

    #[test]
    fn other_shapes_are_refused_with_what_was_found() {
        let long = format!("{{\"journal\": \"{}\", \"through\": 1}}", "j".repeat(5000));
        for (text, told) in [
            ("", "no JSON"),
            ("\u{0}", "no JSON"),
            (r#"["j", 7]"#, "no object"),
            ("null", "no object"),
            ("{}", "without `journal`"),
            (r#"{"journal": "j"}"#, "without `through`"),
            (r#"{"journal": "", "through": 1}"#, "`journal` is \"\""),
            (r#"{"journal": 7, "through": 1}"#, "`journal` is 7"),
            (r#"{"journal": "j", "through": -1}"#, "`through` is -1"),
            (r#"{"journal": "j", "through": 1.5}"#, "`through` is 1.5"),
            (r#"{"journal": "j", "through": "1"}"#, "`through` is \"1\""),
            (r#"{"journal": "j", "through": null}"#, "`through` is null"),
            (&long, "at most 4096"),
        ] {
            let refused = Ack::parse(text.as_bytes()).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
        assert!(Ack::parse(b"\xff\xfe").is_err());
    }

    #[test]
    fn what_a_reply_does_not_say_is_left_out() {
        let text = |reply: &Reply| serde_json::to_string(reply).unwrap();
        assert_eq!(text(&Reply::ok()), r#"{"ok":true}"#);
        let refused = Reply::refused("no".to_owned());
        assert_eq!(text(&refused), r#"{"ok":false,"reason":"no"}"#);
        let report = StatusReport {
            store: "s".to_owned(),
            journal: "j".to_owned(),
            version: "1".to_owned(),
            state: State::Degraded,
            reasons: vec!["disk".to_owned()],
            last_n: 3,
            confirmed_n: 2,
            open_visits: 1,
            sources: Vec::new(),
        };
        let reply = Reply::status(report);
        let read: Reply = serde_json::from_str(&text(&reply)).unwrap();
        assert_eq!(read, reply);
        assert!(text(&reply).starts_with(r#"{"ok":true,"status":{"store":"s""#));
    }

    #[test]
    fn states_are_those_of_sensors() {
        for state in [State::Online, State::Degraded, State::Offline] {
            assert_eq!(State::from(SourceState::from(state)), state);
        }
        let text = serde_json::to_string(&State::Degraded).unwrap();
        assert_eq!(text, "\"degraded\"");
    }
}
