//! All that the answers of the HTTP port depend on.

use crate::edge::stream::hub::Hub;
use crate::edge::stream::source::SegmentSource;
use crate::edge::viewers::Shards;
use crate::net::lobby::{Limits, PendingConnections};
use std::sync::Arc;
use std::time::Duration;

/// Requests that are held at one moment on one node: 2.3 KiB each. There is no lower limit for one address, since a campus
/// may stand behind one; but when all places are taken, the address that holds most gives one up.
pub const HELD: Limits = Limits { per_address: 4_096, total: 4_096 };

/// What handlers of HTTP requests share.
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
    pub held: Arc<PendingConnections>,
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
        Arc::new(Self { hub, shards, source, merge_window, held: PendingConnections::new(HELD) })
    }
}
