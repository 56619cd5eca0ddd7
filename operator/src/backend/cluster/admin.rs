//! `/healthz`, `/readyz`, `/metrics` of the operator.

use crate::backend::cluster::metrics::Metrics;
use anyhow::Result;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing::get};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The content type of the text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the routes share.
#[derive(Clone)]
struct Admin {
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

/// Serves until `stop`. It listens when this returns.
///
/// # Errors
/// When the address is taken.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>, stop: CancellationToken) -> Result<()> {
    let admin = Admin { metrics, stop: stop.clone() };
    let router = Router::new().route("/readyz", get(ready)).route("/metrics", get(text)).with_state(admin);
    crate::admin::serve(address, router, stop).await
}

/// A replica that waits to lead is as ready as the one that leads.
async fn ready(State(admin): State<Admin>) -> Response {
    if admin.stop.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    } else {
        "ok\n".into_response()
    }
}

async fn text(State(admin): State<Admin>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], admin.metrics.text()).into_response()
}
