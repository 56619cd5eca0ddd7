//! `/healthz`, `/readyz` and `/metrics` in the clear, for kubelets and Prometheus. Names: docs/metrics.md.

use super::rounds::Outcome;
use anyhow::Result;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing::get};
use lectern_api::metrics::Exposition;
use lectern_api::metrics::metrics_api::{IMPUTED, LAST_ROUND, ROUND_DURATION};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The content type of the text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the routes share.
#[derive(Clone)]
pub struct Admin {
    /// The last round.
    pub outcome: watch::Receiver<Arc<Outcome>>,
    /// Why no requests should come, if so.
    pub not_ready: watch::Receiver<Option<&'static str>>,
}

/// Serves until `stop`. It listens when this returns.
///
/// # Errors
/// When the address is taken.
pub async fn serve(address: SocketAddr, admin: Admin, stop: CancellationToken) -> Result<()> {
    let router = Router::new().route("/readyz", get(ready)).route("/metrics", get(metrics)).with_state(admin);
    crate::admin::serve(address, router, stop).await
}

async fn ready(State(admin): State<Admin>) -> Response {
    match *admin.not_ready.borrow() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], text(&admin.outcome.borrow())).into_response()
}

#[allow(clippy::cast_precision_loss, reason = "unix milliseconds are exact in a double for 285,000 years")]
fn text(outcome: &Outcome) -> String {
    let Outcome { round, took, imputed, .. } = outcome;
    let mut out = Exposition::default();
    out.add(&LAST_ROUND, &[], round.ended_ms as f64 / 1_000.0);
    out.add(&ROUND_DURATION, &[], took.as_secs_f64());
    out.add(&IMPUTED, &[], *imputed as f64);
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::Round;
    use std::time::Duration;

    #[test]
    fn a_round_is_three_gauges() {
        let outcome = Outcome {
            round: Round { ended_ms: 1_764_028_799_500, ..Round::default() },
            took: Duration::from_millis(120),
            imputed: 3,
            ..Outcome::default()
        };
        let text = text(&outcome);
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            values,
            [
                "lectern_metrics_api_imputed_edges 3",
                "lectern_metrics_api_last_round_timestamp_seconds 1764028799.5",
                "lectern_metrics_api_round_duration_seconds 0.12",
            ]
        );
    }
}
