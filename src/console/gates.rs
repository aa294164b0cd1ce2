//! The gates' endpoint: what a turnstile, a code reader or a terminal outside the box calls. It knows
//! how to take a call and how to answer, not what a gate is.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use tokio::sync::{mpsc, oneshot};

use crate::link::secret::Secret;

/// A call, and the way back of its answer.
#[derive(Debug)]
pub struct Call {
    pub gate: String,
    /// What stands after `Bearer` in `Authorization` (RFC 6750, 2.1).
    pub bearer: Option<Secret>,
    /// `Idempotency-Key`: a call that is made again with the same one is answered and not counted.
    pub key: Option<String>,
    pub body: Vec<u8>,
    pub answer: oneshot::Sender<Answer>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is on disk.
    Taken,
    /// It is no event.
    Refused(String),
    /// Not with this secret, or there is no such gate: nobody is told which.
    Forbidden,
    /// Nothing can be taken in at present.
    Unavailable(String),
}

/// The longest body, bytes.
const BODY_MAX: usize = 16 << 10;

static KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A body is there within so long: whoever sends it slowly holds a connection that others wait for.
const BODY_TIME: Duration = Duration::from_secs(2);
/// The longest key, bytes.
const KEY_MAX: usize = 200;

pub(super) async fn call(
    State(calls): State<mpsc::Sender<Call>>,
    Path(gate): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, String) {
    let login = headers.get(header::AUTHORIZATION);
    let login = login.and_then(|value| value.to_str().ok());
    let Some(bearer) = login.and_then(bearer) else {
        return told(Answer::Forbidden);
    };
    let key = match key(&headers) {
        Ok(key) => key,
        Err(why) => return (StatusCode::BAD_REQUEST, why),
    };
    let body = axum::body::to_bytes(body, BODY_MAX);
    let body = match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(body)) => body.to_vec(),
        Ok(Err(_)) => {
            let why = format!("a body that ends early or has more than {BODY_MAX} bytes\n");
            return (StatusCode::PAYLOAD_TOO_LARGE, why);
        }
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, "a body too slow\n".to_owned()),
    };
    let (answer, answered) = oneshot::channel();
    let call = Call {
        gate,
        bearer: Some(bearer),
        key,
        body,
        answer,
    };
    let answer = match calls.try_send(call) {
        Ok(()) => answered.await.ok(),
        Err(_) => None,
    };
    told(answer.unwrap_or_else(|| {
        Answer::Unavailable(
            "too many calls at once, or the box is going down; try again".to_owned(),
        )
    }))
}

fn told(answer: Answer) -> (StatusCode, String) {
    let (code, text) = match answer {
        Answer::Taken => (StatusCode::OK, "taken".to_owned()),
        Answer::Refused(why) => (StatusCode::UNPROCESSABLE_ENTITY, why),
        Answer::Forbidden => (
            StatusCode::UNAUTHORIZED,
            "no gate of this name with this secret".to_owned(),
        ),
        Answer::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    (code, format!("{text}\n"))
}

/// The key of a call; one that is cut short or left out would make two calls one, or one two.
fn key(headers: &HeaderMap) -> Result<Option<String>, String> {
    let Some(value) = headers.get(&KEY) else {
        return Ok(None);
    };
    let key = value.to_str().ok().map(str::trim);
    let key = key.filter(|key| (1..=KEY_MAX).contains(&key.len()));
    let wanted = || format!("`{KEY}`: expected 1 to {KEY_MAX} visible ASCII characters\n");
    key.map(|key| Some(key.to_owned())).ok_or_else(wanted)
}

fn bearer(value: &str) -> Option<Secret> {
    let (scheme, secret) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Secret::new(secret.trim()))
}
