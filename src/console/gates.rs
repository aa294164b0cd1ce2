//! The gates' endpoint: what a turnstile, a code reader or a terminal outside the box calls. It knows
//! how to take a call and how to answer, not what a gate is.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::IntoResponse;
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
pub(super) const BODY_MAX: usize = 16 << 10;

static KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) async fn call(
    State(calls): State<mpsc::Sender<Call>>,
    Path(gate): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (answer, answered) = oneshot::channel();
    let call = Call {
        gate,
        bearer: text(&header::AUTHORIZATION).and_then(bearer),
        key: text(&KEY).map(|key| key.chars().take(200).collect()),
        body: body.to_vec(),
        answer,
    };
    let answer = match calls.try_send(call) {
        Ok(()) => answered.await.ok(),
        Err(_) => None,
    };
    match answer {
        Some(Answer::Taken) => (StatusCode::OK, "taken\n".to_owned()),
        Some(Answer::Refused(why)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")),
        Some(Answer::Forbidden) => (
            StatusCode::UNAUTHORIZED,
            "no gate of this name with this secret\n".to_owned(),
        ),
        Some(Answer::Unavailable(why)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many calls at once; try again\n".to_owned(),
        ),
    }
}

fn bearer(value: &str) -> Option<Secret> {
    let (scheme, secret) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Secret::new(secret.trim()))
}
