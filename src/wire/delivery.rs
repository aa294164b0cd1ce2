//! stub
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub journal: String,
    pub through: u64,
}
impl Ack {
    pub fn parse(b: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(b).map_err(|e| e.to_string())
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Online,
    Degraded,
    Offline,
}
impl From<crate::observation::SourceState> for State {
    fn from(s: crate::observation::SourceState) -> Self {
        use crate::observation::SourceState as S;
        match s {
            S::Online => Self::Online,
            S::Degraded => Self::Degraded,
            S::Offline => Self::Offline,
        }
    }
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub state: State,
    pub reasons: Vec<String>,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    pub state: State,
    pub reason: String,
    pub since: String,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusReport>,
}
impl Reply {
    pub fn ok() -> Self {
        Self {
            ok: true,
            reason: None,
            status: None,
        }
    }
    pub fn refused(r: String) -> Self {
        Self {
            ok: false,
            reason: Some(r),
            status: None,
        }
    }
    pub fn status(s: StatusReport) -> Self {
        Self {
            ok: true,
            reason: None,
            status: Some(s),
        }
    }
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    pub store: String,
    pub journal: String,
    pub version: String,
    pub state: State,
    pub reasons: Vec<String>,
    pub last_n: u64,
    pub confirmed_n: u64,
    pub open_visits: u64,
    pub sources: Vec<SourceReport>,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    pub source: String,
    pub state: State,
    pub reason: String,
}
