//! All that the answers of the HTTP port depend on.

use crate::edge::stream::hub::Hub;
use crate::edge::stream::source::SegmentSource;
use crate::edge::viewers::Shards;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Requests that are held at one moment on one node.
pub const HELD_MAX: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub struct HttpState {
    /// Streams and counters.
    pub hub: Arc<Hub>,
    /// Where viewers of HTTP-FLV go.
    pub shards: Arc<Shards>,
    /// Segments that this edge does not hold.
    pub source: Arc<dyn SegmentSource>,
    /// Merge window of HTTP-FLV viewers that stay with hyper.
    pub merge_window: Duration,
    /// Room for requests that wait.
    pub held: Semaphore,
}

impl HttpState {
    /// The state of a port on which no request waits yet.
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        shards: Arc<Shards>,
        source: Arc<dyn SegmentSource>,
        merge_window: Duration,
    ) -> Arc<Self> {
        Arc::new(Self { hub, shards, source, merge_window, held: Semaphore::new(HELD_MAX) })
    }
}
