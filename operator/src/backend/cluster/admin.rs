//! `/healthz`, `/readyz`, `/metrics` of the operator.

use super::metrics::Metrics;
use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing::get};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a Prometheus server is told that this is.
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
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("failed to listen on {address}; choose another with --listen-admin"))?;
    let admin = Admin { metrics, stop: stop.clone() };
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
        .with_state(admin);
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "failed to serve the admin port");
        }
    });
    Ok(())
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
