//! Asks edges for their `/status`: all at once, with a deadline for each and for all, over connections that stay.

use crate::status_client::{Connections, StatusClient};
use futures::stream::{self, StreamExt as _};
use lectern_api::node_status::NodeStatus;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Longest wait for one answer: an edge answers from memory, and a network that needs longer serves no viewers either.
const ANSWER: Duration = Duration::from_millis(1_200);
/// Longest round: the next one begins two seconds after this one began.
const ROUND: Duration = Duration::from_millis(1_800);
/// Edges that are asked at the same time. A zone of 400 edges that does not answer costs one deadline, not many.
const AT_ONCE_MAX: usize = 512;
/// Largest answer in bytes: 64 streams are 20 KiB. With [`AT_ONCE_MAX`] this bounds memory.
const ANSWER_BYTES_MAX: usize = 128 << 10;
/// What is read at a time in bytes: each connection keeps so much, and a usual answer has 2 KiB.
const READ_BYTES: usize = 4 << 10;
/// A connection that was not used for three rounds belongs to an edge that is gone.
const IDLE: Duration = Duration::from_secs(8);

/// What one edge answered, and when.
#[derive(Debug)]
pub struct Heard {
    /// When the answer was there.
    pub at: Instant,
    /// The answer.
    pub status: NodeStatus,
}

/// Asks.
#[derive(Clone, Debug)]
pub struct Scraper {
    client: StatusClient,
}

impl Default for Scraper {
    fn default() -> Self {
        let connections = Connections { connect: ANSWER, idle: IDLE, read_bytes: Some(READ_BYTES), probes: None };
        Self { client: StatusClient::new(&connections, ANSWER_BYTES_MAX) }
    }
}

impl Scraper {
    /// Asks all of them, and answers in their order; None for those that were silent.
    pub async fn ask_all(&self, admin: Vec<SocketAddr>) -> Vec<Option<Heard>> {
        let end = Instant::now() + ROUND;
        let mut all: Vec<Option<Heard>> = std::iter::repeat_with(|| None).take(admin.len()).collect();
        let asks = stream::iter(admin.into_iter().enumerate()).map(|(place, address)| {
            let asked = self.clone().ask(address);
            async move { (place, timeout_at(end.min(Instant::now() + ANSWER), asked).await.ok().flatten()) }
        });
        let mut answers = std::pin::pin!(asks.buffer_unordered(AT_ONCE_MAX));
        while let Some((place, heard)) = answers.next().await {
            all[place] = heard;
        }
        all
    }

    async fn ask(self, admin: SocketAddr) -> Option<Heard> {
        let status = self.client.ask(admin, "").await.ok()?;
        Some(Heard { at: Instant::now(), status })
    }
}
