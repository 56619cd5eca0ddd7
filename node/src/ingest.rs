//! The ingest: publishers in, relays out. Not here yet.

use crate::{admin::Metric, config::Source};
use lectern_api::node_config::IngestConfig;
use tokio_util::sync::CancellationToken;

mod admission;
mod codec;
mod measure;
mod takeover;

/// What an ingest tells Prometheus.
pub const METRICS: &[Metric] = &[];

/// Runs an ingest until `shutdown`.
///
/// # Errors
/// If it cannot listen.
pub async fn run(_source: Source, _config: IngestConfig, _shutdown: CancellationToken) -> anyhow::Result<()> {
    anyhow::bail!("failed to start: this build has no ingest yet")
}
