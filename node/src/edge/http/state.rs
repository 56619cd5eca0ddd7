//! All that the answers of the HTTP port depend on.

use crate::edge::stream::hub::Hub;
use crate::edge::stream::source::SegmentSource;
use crate::edge::viewers::Shards;
use crate::net::lobby::{Limits, PendingConnections};
use crate::net::places::Places;
use nix::sys::resource::{Resource, getrlimit};
use std::sync::Arc;
use std::time::Duration;

/// Requests that are held at one moment on one node: 2.3 KiB each. There is no lower limit for one address, since a campus
/// may stand behind one; but when all places are taken, the address that holds most gives one up.
pub const HELD: Limits = Limits { per_address: 4_096, total: 4_096 };

/// Connections of the HTTP port for each viewer that the edge is for: a browser opens two or three, and some are about to
/// be left for another edge.
const CONNECTIONS_PER_VIEWER: u64 = 4;
/// An edge for few viewers has this many places all the same, so that those it has to refuse hear so.
const CONNECTIONS_MIN: u64 = 1_024;
/// Descriptors that the HTTP port leaves to everything else, at most half of all: 2,000 connections that wait on the RTMP
/// port, viewers there, the relay, health checks, and a file for each segment.
const DESCRIPTORS_KEPT: u64 = 4_096;

/// How many connections the HTTP port of an edge for that many viewers has, in a process with that many descriptors.
fn connections_max(viewers: u64, descriptors: u64) -> usize {
    let left = descriptors - DESCRIPTORS_KEPT.min(descriptors / 2);
    let wanted = viewers.saturating_mul(CONNECTIONS_PER_VIEWER).max(CONNECTIONS_MIN);
    usize::try_from(wanted.min(left)).unwrap_or(usize::MAX)
}

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
    /// Room for connections.
    pub places: Arc<Places>,
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
        // Where the system does not say, the usual limit of a service is assumed.
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
        let places = Places::new(connections_max(hub.load.capacity(), descriptors));
        Arc::new(Self { hub, shards, source, merge_window, held: PendingConnections::new(HELD), places })
    }
}

#[cfg(test)]
mod tests {
    use super::connections_max;

    #[test]
    fn connections_follow_the_viewers_and_leave_descriptors_for_everything_else() {
        for (viewers, descriptors, expected) in [
            (1_500, 1 << 20, 6_000),
            (10, 1 << 20, 1_024),
            (1_500, 8_192, 4_096),
            (1_500, 1_000, 500),
            (u64::MAX, u64::MAX, usize::try_from(u64::MAX - 4_096).unwrap()),
        ] {
            assert_eq!(connections_max(viewers, descriptors), expected, "{viewers} viewers, {descriptors} descriptors");
        }
    }
}
