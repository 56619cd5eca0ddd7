//! The edge: takes streams from the ingest and serves them to viewers.
//!
//! `relay_in` hears the ingest, `driver` (one task per stream) feeds the machine of `media::live`, `hub` is what all
//! others read: `http`, `viewers`, the admin port.

use crate::admin;
use crate::edge::counting::Load;
use crate::edge::http::{HttpState, serve};
use crate::edge::viewers::{Play, Shards};
use crate::net::clock::Clock;
use crate::net::lobby::{Limits, PendingConnections};
use crate::net::socket;
use anyhow::Context;
use lectern_api::limits::MERGE_WINDOW_MS_MAX;
use lectern_api::node_config::EdgeConfig;
use lectern_process::signals::Stop;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub mod counting;
pub mod door;
pub mod drain;
mod driver;
pub mod http;
mod registry;
mod relay_in;
mod siblings;
pub mod status;
pub mod stream;
mod token;
pub mod viewers;

#[cfg(test)]
mod tests;

use registry::{OnDemand, Registry};
use relay_in::RelayIn;
use siblings::Siblings;
use status::EdgeNode;
use stream::hub::Hub;
use stream::source::{Chain, Held};
use token::Token;

pub use siblings::SiblingLedger;

/// Runs an edge until it is told to stop, then drains.
///
/// # Errors
/// If it cannot listen or has no usable token.
pub async fn run(config: EdgeConfig, told: Stop) -> anyhow::Result<()> {
    let token = Arc::new(Token::read(Path::new(&config.token_file))?);
    let bound = Bound::new(&config).await?;
    let edge = Edge::new(&config, token);
    let stop = CancellationToken::new();
    let admin = edge.serve(bound, &stop)?;
    let cause = tokio::select! {
        cause = told.told() => cause,
        result = admin => return result.context("the admin port's task failed")?,
    };
    let plan = drain::Plan::new(config.drain_ms, cause);
    drain::drain(plan, &edge.hub, &edge.node, &edge.shards, &stop).await;
    Ok(())
}

/// All ports, taken before anything is served.
struct Bound {
    http: tokio::net::TcpListener,
    rtmp: tokio::net::TcpListener,
    relay: tokio::net::TcpListener,
    admin: tokio::net::TcpListener,
}

impl Bound {
    async fn new(config: &EdgeConfig) -> anyhow::Result<Self> {
        let listen = &config.listen;
        let bound = Self {
            http: socket::bind(listen.http, "HLS and HTTP-FLV").await?,
            rtmp: socket::bind(listen.rtmp, "RTMP play").await?,
            relay: socket::bind(listen.relay, "the relay").await?,
            admin: socket::bind(listen.admin, "administration").await?,
        };
        tracing::info!(
            http = %bound.http.local_addr().context("failed to read an address")?,
            rtmp = %bound.rtmp.local_addr().context("failed to read an address")?,
            relay = %bound.relay.local_addr().context("failed to read an address")?,
            admin = %bound.admin.local_addr().context("failed to read an address")?,
            event = config.event,
            "listening"
        );
        Ok(bound)
    }
}

struct Edge {
    hub: Arc<Hub>,
    node: Arc<EdgeNode>,
    shards: Arc<Shards>,
    token: Arc<Token>,
    registry: Arc<Registry>,
    merge_window: Duration,
}

impl Edge {
    fn new(config: &EdgeConfig, token: Arc<Token>) -> Self {
        let load = Load::new(
            u64::from(config.viewers_per_edge),
            config.egress_bits_per_second,
            config.target_utilization_percent,
        );
        let hub = Hub::new(load, Clock::start());
        let merge_window = Duration::from_millis(config.merge_window_ms.min(MERGE_WINDOW_MS_MAX));
        let shards_count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shards = Shards::start(&hub, shards_count, merge_window);
        let node = EdgeNode::new(Arc::clone(&hub), Arc::clone(&token), config.event.clone());
        let registry = Registry::new(Arc::clone(&hub), Arc::new(Siblings::new(Arc::clone(&token))));
        Self { hub, node, shards, token, registry, merge_window }
    }

    /// Starts everything. Gives the admin port's task, which ends with the process only.
    fn serve(
        &self,
        bound: Bound,
        stop: &CancellationToken,
    ) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<()>>> {
        let never = CancellationToken::new();
        let admin_port = bound.admin.local_addr().context("failed to read the admin port's address")?.port();
        let relay = RelayIn {
            registry: Arc::clone(&self.registry),
            token: Arc::clone(&self.token),
            clock: self.hub.clock,
            admin_port,
            pending: PendingConnections::new(Limits::RELAY),
        };
        // Links go on to the very end: what is served until then is fresh.
        tokio::spawn(Arc::new(relay).serve(bound.relay, never.clone()));
        let pending = PendingConnections::new(Limits::PUBLIC);
        let play = Play { hub: Arc::clone(&self.hub), shards: Arc::clone(&self.shards), pending };
        tokio::spawn(Arc::new(play).serve(bound.rtmp, stop.clone()));
        // Cheapest first.
        let held = Arc::new(Held(Arc::clone(&self.hub)));
        let siblings = Arc::new(OnDemand(Arc::clone(&self.registry)));
        let source = Arc::new(Chain::new(vec![held, siblings]));
        let state = HttpState::new(Arc::clone(&self.hub), Arc::clone(&self.shards), source, self.merge_window);
        tokio::spawn(serve(state, bound.http, stop.clone()));
        tokio::spawn(Arc::clone(&self.node).measure(never.clone()));
        let router = admin::router(Arc::clone(&self.node) as Arc<dyn admin::StatusSource>, never.clone())
            .merge(siblings::routes(Arc::clone(&self.hub), Arc::clone(&self.token)));
        Ok(tokio::spawn(admin::serve(bound.admin, router, never)))
    }
}
