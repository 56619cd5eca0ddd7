//! Asks one node how it is, for as long as it lives.

use super::news::News;
use crate::status_client::{Connections, StatusClient};
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

/// Connections on one machine.
const CONNECTIONS: Connections = Connections { connect: TIMEOUT, idle: TIMEOUT, read_bytes: None, probes: None };

/// Asks the node at `admin` until the handle is aborted.
pub(super) fn start(admin: SocketAddr, name: &str, life: u32, news: mpsc::Sender<News>) -> AbortHandle {
    let name = name.to_owned();
    let client = StatusClient::new(&CONNECTIONS, ANSWER_BYTES_MAX);
    let task = tokio::spawn(async move {
        loop {
            let status = tokio::time::timeout(TIMEOUT, client.ask(admin, "")).await.ok().and_then(Result::ok);
            let told = news.send(News::Heard { name: name.clone(), life, status: status.map(Box::new) }).await;
            if told.is_err() {
                return;
            }
            tokio::time::sleep(PERIOD).await;
        }
    });
    task.abort_handle()
}
