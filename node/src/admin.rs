//! The admin port of every node: `/healthz`, `/readyz`, `/status` (with long poll) and `/metrics`.
//!
//! A node implements [`StatusSource`]; everything else here is the same for both roles. An edge merges its routes for
//! siblings into the [`router`].

use anyhow::Context;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::get};
use lectern_api::node_status::NodeStatus;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod version;

use crate::net::clock::unix_ms;
use lectern_api::metrics::Exposition;
use version::Versions;

/// Longest long poll: shorter than the idle time-outs of what may stand between (60 s is usual).
pub const WAIT_MAX: Duration = Duration::from_secs(55);
/// A waiting long poll looks at the status this often. It costs nothing while no poll waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a node says of itself. Called often: answers from memory, at once.
pub trait StatusSource: Send + Sync + 'static {
    /// The status of this moment. `version` is filled in by this module: it grows whenever anything but measured
    /// numbers is another than at the last poll.
    fn status(&self) -> NodeStatus;

    /// Writes the metrics of this moment, each family as described in the role's table.
    fn metrics(&self, out: &mut Exposition);

    /// Whether the node is alive; the reason if not. A kubelet restarts the container on an error.
    ///
    /// # Errors
    /// The reason.
    fn health(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The four routes. `shutdown` ends waiting long polls, so that they do not hold up the end.
pub fn router(source: Arc<dyn StatusSource>, shutdown: CancellationToken) -> Router {
    let admin = Arc::new(Admin { source, versions: Mutex::new(Versions::new(unix_ms())), shutdown });
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// Serves `router` until `shutdown`; requests under way are finished.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
        .context("failed to serve the admin port")
}

struct Admin {
    source: Arc<dyn StatusSource>,
    versions: Mutex<Versions>,
    shutdown: CancellationToken,
}

impl Admin {
    fn status(&self) -> NodeStatus {
        let mut status = self.source.status();
        status.version = self.versions.lock().unwrap_or_else(PoisonError::into_inner).of(&status);
        status
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Poll {
    after: Option<u64>,
    wait: Option<String>,
}

async fn healthz(State(admin): State<Arc<Admin>>) -> Response {
    verdict(admin.source.health())
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let status = admin.source.status();
    verdict(if status.ready { Ok(()) } else { Err(status.not_ready_reason.unwrap_or_else(|| "not ready".into())) })
}

fn verdict(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn status(State(admin): State<Arc<Admin>>, Query(poll): Query<Poll>) -> Response {
    let wait = match poll.wait.as_deref().map(parse_wait) {
        None => Duration::ZERO,
        Some(Ok(wait)) => wait.min(WAIT_MAX),
        Some(Err(reason)) => return (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
    };
    let until = Instant::now() + wait;
    let mut status = admin.status();
    while Some(status.version) == poll.after && Instant::now() < until && !admin.shutdown.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep_until(until.min(Instant::now() + LOOK_EVERY)) => {}
            () = admin.shutdown.cancelled() => {}
        }
        status = admin.status();
    }
    ([(header::CACHE_CONTROL, "no-store")], Json(status)).into_response()
}

/// `30s`, `500ms`, or a number of seconds.
fn parse_wait(text: &str) -> Result<Duration, String> {
    let (number, to_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1_000),
        (None, None) => (text, 1_000),
    };
    let number: u32 = number.parse().map_err(|_| format!("wait={text:?} is no duration such as 30s or 500ms"))?;
    Ok(Duration::from_millis(u64::from(number) * to_ms))
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let mut out = Exposition::default();
    admin.source.metrics(&mut out);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], out.finish()).into_response()
}

#[cfg(test)]
mod tests;
