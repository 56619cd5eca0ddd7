//! The HTTP port of an edge: HLS and HTTP-FLV, and the pages that play them.
//!
//! Answers come from a snapshot of the stream that one task replaces when something changes; a request takes no lock
//! and renders nothing. Bodies are the shared bytes of the snapshot and go to the socket in one vectored write; segments are
//! sent by the kernel from where it holds them.

use super::stream::hub::Hub;
use super::viewers::Shards;
use bytes::Bytes;
use futures::future::BoxFuture;
use lectern_media::ledger::Entry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

mod answer;
mod body;
mod connection;
mod live;
mod page;
mod range;
mod reply;
mod route;
mod serve;
mod waiting;

#[cfg(test)]
mod tests;

pub use connection::{AGE_ABOVE_TARGET_MS, AGE_MS, AGE_SPREAD_PERCENT, HEAD_MS_MAX, IDLE_MS_MAX, WRITE_STALL_MS_MAX};
pub use serve::{HEAD_BYTES_MAX, serve};
pub use waiting::HELD_MAX;

/// Where segments come from that the ledger knows and this edge does not hold.
pub trait Elsewhere: Send + Sync + std::fmt::Debug {
    /// Fetches it. `None` if nobody provides bytes that match the entry.
    fn fetch(&self, stream: String, entry: Entry) -> BoxFuture<'static, Option<Bytes>>;
}

/// All that answers depend on.
#[derive(Debug)]
pub struct Site {
    /// Streams and counters.
    pub hub: Arc<Hub>,
    /// Viewers of HTTP-FLV go there.
    pub shards: Arc<Shards>,
    /// Siblings.
    pub elsewhere: Arc<dyn Elsewhere>,
    /// Merge window of HTTP-FLV viewers that stay with hyper.
    pub merge_window: Duration,
    /// Room for requests that wait.
    pub held: Semaphore,
}

impl Site {
    /// A site.
    #[must_use]
    pub fn new(hub: Arc<Hub>, shards: Arc<Shards>, elsewhere: Arc<dyn Elsewhere>, merge_window: Duration) -> Arc<Self> {
        Arc::new(Self { hub, shards, elsewhere, merge_window, held: Semaphore::new(HELD_MAX) })
    }
}
