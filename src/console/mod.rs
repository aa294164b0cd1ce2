//! The box's own pages over HTTP: whether it lives, whether it is ready, and its metrics; and the
//! endpoint that gates call. It knows how to answer, and not what.

mod gates;
mod limited;

use core::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

pub use self::gates::{Answer, Call};
use self::limited::Limited;

/// What the pages say.
pub trait Pages: Send + Sync + 'static {
    /// Whether the daemon makes progress.
    fn alive(&self) -> bool;
    /// Whether it takes sensors in and keeps events; and what is wrong, a line each.
    fn ready(&self) -> (bool, Vec<String>);
    /// Prometheus text exposition format 0.0.4.
    fn metrics(&self) -> String;
}

/// Connections at once; others wait. Each is a file of the process, and the journal needs some, too.
const CONNECTIONS: usize = 32;

/// Listens; an error names the address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listening = TcpListener::bind(address).await;
    listening.map_err(|error| format!("[console] `listen` {address}: {error}"))
}

/// Serves until told to stop; gates' calls go to whoever answers them.
pub async fn serve(
    listener: TcpListener,
    pages: Arc<dyn Pages>,
    calls: mpsc::Sender<Call>,
    mut stop: watch::Receiver<bool>,
) {
    let gates = Router::new()
        .route("/gate/{gate}", post(gates::call))
        .with_state(calls);
    let app = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages)
        .merge(gates);
    let stopped = async move {
        // An error means that nobody can say stop any more.
        drop(stop.wait_for(|stop| *stop).await);
    };
    let listener = Limited {
        listener,
        free: Arc::new(Semaphore::new(CONNECTIONS)),
    };
    let served = axum::serve(listener, app).with_graceful_shutdown(stopped);
    if let Err(error) = served.await {
        tracing::error!("the console has ended: {error}");
    }
}

type Shown = State<Arc<dyn Pages>>;

async fn healthz(State(pages): Shown) -> impl IntoResponse {
    if pages.alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the engine makes no progress\n",
        )
    }
}

async fn readyz(State(pages): Shown) -> impl IntoResponse {
    let (ready, reasons) = pages.ready();
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let word = match (ready, reasons.is_empty()) {
        (false, _) => "not ready",
        (true, true) => "ready",
        (true, false) => "degraded",
    };
    let lines: String = reasons.iter().map(|reason| format!("{reason}\n")).collect();
    (code, format!("{word}\n{lines}"))
}

async fn metrics(State(pages): Shown) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], pages.metrics())
}
