//! Wires an ingest: ports, streams, links to edges, forwards; and ends them in order.

use super::forward::{self, Forwards};
use super::publish::listener;
use super::state::Ingest;
use super::{keys, reload, status};
use crate::admin;
use crate::config::Source;
use crate::net::socket;
use crate::relay::discovery;
use crate::relay::links::{self, Relays};
use anyhow::Context;
use lectern_api::keys::trimmed;
use lectern_api::node_config::IngestConfig;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Told to end, links and publishers get this long to take the last words: with the rest of the end, under 5 s.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs an ingest until `shutdown`, then closes epochs and publishers, lets links take the rest, and ends.
///
/// # Errors
/// If it cannot listen, or cannot read its seed.
pub async fn run(source: Source, config: IngestConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let rtmp = socket::bind(config.listen.rtmp, "publishers").await?;
    let admin_port = socket::bind(config.listen.admin, "status and metrics").await?;
    let running = Running::start(source, config, shutdown.clone(), rtmp, admin_port)?;
    shutdown.cancelled().await;
    running.stop().await;
    Ok(())
}

/// An ingest that runs on listeners of the caller's.
pub struct Running {
    ingest: Arc<Ingest>,
    flush: CancellationToken,
    links: TaskTracker,
}

impl Running {
    /// Starts everything.
    ///
    /// # Errors
    /// If the seed cannot be read, or this build cannot look for edges where the configuration says.
    pub fn start(
        source: Source,
        config: IngestConfig,
        shutdown: CancellationToken,
        rtmp: tokio::net::TcpListener,
        admin_port: tokio::net::TcpListener,
    ) -> anyhow::Result<Self> {
        let seed = keys::read_secret(Path::new(&config.seed_file))
            .with_context(|| format!("failed to read the seed {}", config.seed_file))?;
        let seed = trimmed(&seed).to_vec();
        anyhow::ensure!(seed.len() >= lectern_api::keys::KEY_BYTES_MIN, "the seed {} is too short", config.seed_file);
        let peers = discovery::start(&config.discovery, shutdown.clone())?;
        tracing::info!(
            event = config.event,
            rtmp = %rtmp.local_addr().context("failed to read the address of the publish port")?,
            admin = %admin_port.local_addr().context("failed to read the address of the admin port")?,
            streams = config.streams.len(),
            software = env!("CARGO_PKG_VERSION"),
            "ingest starts"
        );
        let ingest = Ingest::new(config, seed, shutdown.clone());
        let (flush, links) = (CancellationToken::new(), TaskTracker::new());
        let (relays, forwards) = (Arc::<Relays>::default(), Arc::<Forwards>::default());
        let tasks = &ingest.tasks;
        tasks.spawn(listener::run(ingest.clone(), rtmp, tasks.clone(), shutdown.clone()));
        tasks.spawn(reload::run(ingest.clone(), source, shutdown));
        tasks.spawn(links::run(ingest.clone(), relays.clone(), peers, links.clone(), flush.clone()));
        tasks.spawn(forward::run(ingest.clone(), forwards.clone(), links.clone(), flush.clone()));
        let status = Arc::new(status::Status::new(ingest.clone(), relays, forwards));
        let router = admin::router(status, ingest.end.clone());
        let end = ingest.end.clone();
        tasks.spawn(async move {
            if let Err(error) = admin::serve(admin_port, router, end).await {
                tracing::error!("{error:#}");
            }
        });
        Ok(Self { ingest, flush, links })
    }

    /// Ends in order, within [`FLUSH_TIMEOUT`] and a little.
    pub async fn stop(self) {
        for stream in self.ingest.streams().values() {
            stream.dismiss("this ingest is stopping, connect again");
        }
        self.flush.cancel();
        self.links.close();
        if tokio::time::timeout(FLUSH_TIMEOUT, self.links.wait()).await.is_err() {
            tracing::warn!("some edges did not take the rest in time");
        }
        self.ingest.end.cancel();
        self.ingest.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.ingest.tasks.wait()).await;
    }
}
