//! The HTTP client that asks nodes for `/status`: the one place that bounds and reads an answer. How long to wait and how
//! many connections to keep differs; each caller says so.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lectern_api::node_status::NodeStatus;
use std::net::SocketAddr;
use std::time::Duration;

/// Asks nodes. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct StatusClient {
    http: Client<HttpConnector, Empty<Bytes>>,
    answer_bytes_max: usize,
}

/// How connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Longest wait for a connection.
    pub connect: Duration,
    /// A connection that was not used for so long is closed.
    pub idle: Duration,
    /// What is read at a time in bytes, which each connection keeps. None: as much as the HTTP library thinks fit.
    pub read_bytes: Option<usize>,
    /// How a machine that vanished is noticed while an answer is awaited; None where answers come at once.
    pub probes: Option<Probes>,
}

/// TCP keep-alive.
#[derive(Clone, Copy, Debug)]
pub struct Probes {
    /// After so long without a byte the kernel tries the connection.
    pub after: Duration,
    /// Between two tries.
    pub every: Duration,
    /// So many tries without an answer end the connection.
    pub tries: u32,
    /// Data that is not acknowledged for so long ends it, too.
    pub unacknowledged: Duration,
}

impl StatusClient {
    /// A client whose answers have at most `answer_bytes_max` bytes.
    #[must_use]
    pub fn new(connections: &Connections, answer_bytes_max: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connections.connect));
        connector.set_nodelay(true);
        if let Some(probes) = &connections.probes {
            connector.set_keepalive(Some(probes.after));
            connector.set_keepalive_interval(Some(probes.every));
            connector.set_keepalive_retries(Some(probes.tries));
            connector.set_tcp_user_timeout(Some(probes.unacknowledged));
        }
        let mut builder = Client::builder(TokioExecutor::new());
        // One request at a time goes to a node.
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(connections.idle).pool_max_idle_per_host(1);
        if let Some(bytes) = connections.read_bytes {
            builder.http1_read_buf_exact_size(bytes);
        }
        Self { http: builder.build(connector), answer_bytes_max }
    }

    /// The status of the node whose admin port is `admin`. `query` is empty or begins with `?`.
    ///
    /// # Errors
    /// When the node cannot be reached, answers with an error, too much, or something else than a status. It waits as
    /// long as the node does: the caller bounds it.
    pub async fn ask(&self, admin: SocketAddr, query: &str) -> Result<NodeStatus> {
        let url = format!("http://{admin}/status{query}");
        let url = url.parse().with_context(|| format!("failed to read the address {url}"))?;
        let response = self.http.get(url).await.with_context(|| format!("failed to ask {admin}"))?;
        ensure!(response.status().is_success(), "{admin} answered {}", response.status());
        let body = Limited::new(response.into_body(), self.answer_bytes_max).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("failed to read the answer of {admin}: {error}"))?;
        serde_json::from_slice(&body.to_bytes()).with_context(|| format!("failed to read the status of {admin}"))
    }
}
