//! The edge: not here yet.

use crate::admin::Metric;
use lectern_api::node_config::EdgeConfig;
use tokio_util::sync::CancellationToken;

/// What an edge tells Prometheus.
pub const METRICS: &[Metric] = &[];

/// Runs an edge until `shutdown`, then drains.
///
/// # Errors
/// If it cannot listen.
pub async fn run(_config: EdgeConfig, _shutdown: CancellationToken) -> anyhow::Result<()> {
    anyhow::bail!("failed to start: this build has no edge yet")
}
