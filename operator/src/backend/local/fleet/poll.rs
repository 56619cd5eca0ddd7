//! Asks one node how it is, for as long as it lives.

use super::news::News;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lectern_api::node_status::NodeStatus;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How often a node is asked: a restarted edge is in the entry again within it.
const PERIOD: Duration = Duration::from_millis(250);
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Largest answer in bytes: 64 streams need a tenth of it.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Asks the node at `admin` until the handle is aborted.
pub(super) fn start(admin: SocketAddr, name: &str, life: u32, news: mpsc::Sender<News>) -> AbortHandle {
    let name = name.to_owned();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let task = tokio::spawn(async move {
        loop {
            let status = tokio::time::timeout(TIMEOUT, ask(&client, admin)).await.ok().flatten();
            let told = news.send(News::Heard { name: name.clone(), life, status: status.map(Box::new) }).await;
            if told.is_err() {
                return;
            }
            tokio::time::sleep(PERIOD).await;
        }
    });
    task.abort_handle()
}

async fn ask(client: &Client<HttpConnector, Empty<Bytes>>, admin: SocketAddr) -> Option<NodeStatus> {
    let answer = client.get(format!("http://{admin}/status").parse().ok()?).await.ok()?;
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}
