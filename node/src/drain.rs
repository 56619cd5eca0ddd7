//! How an edge ends: it serves on, lets its viewers go one by one, and stops being Ready only just before the end
//! (design sections 6 and 7).

use crate::edge::hub::Hub;
use crate::edge::status::EdgeNode;
use crate::viewers::{Pace, Shards};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Readiness stays on until so long before the end: a terminating endpoint gets nobody new anyway, and where all
/// terminate, those that serve are the fallback.
pub const LEAVING_MS: u64 = 2_000;
/// The last moments belong to answers under way: nobody is accepted any more.
const LAST_MS: u64 = 500;
/// An edge that nobody is connected to ends early, but not before the news of its end has reached every load balancer.
const QUIET_MS: u64 = 5_000;
/// How often an edge looks whether it is alone.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The three moments of an end, in milliseconds from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From here it may end early, if nobody is connected.
    pub quiet_ms: u64,
    /// No longer Ready; every answer closes its connection; the last viewer has gone.
    pub leaving_ms: u64,
    /// Nobody is accepted any more.
    pub last_ms: u64,
    /// The end.
    pub end_ms: u64,
}

impl Plan {
    /// The plan for a drain of `drain_ms`, however short.
    #[must_use]
    pub fn new(drain_ms: u64) -> Self {
        let leaving_ms = drain_ms.saturating_sub(LEAVING_MS);
        let last_ms = drain_ms.saturating_sub(LAST_MS);
        Self { quiet_ms: leaving_ms.min(QUIET_MS), leaving_ms, last_ms, end_ms: drain_ms }
    }
}

/// Drains. `stop` is cancelled when nobody is to be accepted any more.
pub async fn drain(plan: Plan, hub: &Hub, node: &EdgeNode, shards: &Shards, stop: &CancellationToken) {
    let begin = Instant::now();
    let begin_ms = hub.clock.now_ms();
    let at = |ms| begin + Duration::from_millis(ms);
    tracing::info!(end_in_ms = plan.end_ms, viewers = hub.load.viewers(), "draining");
    node.draining.store(true, Relaxed);
    hub.load.start_draining();
    shards.drain(Pace { from_ms: begin_ms, until_ms: begin_ms + plan.leaving_ms });
    sleep_until(at(plan.quiet_ms)).await;
    while Instant::now() < at(plan.leaving_ms) && !is_alone(hub) {
        sleep(LOOK_EVERY).await;
    }
    node.leaving.store(true, Relaxed);
    hub.closing.store(true, Relaxed);
    // Where it ends early, whoever asks for readiness still gets the time to see it go.
    let early = at(plan.leaving_ms).saturating_duration_since(Instant::now());
    sleep_until(at(plan.last_ms) - early).await;
    stop.cancel();
    while Instant::now() < at(plan.end_ms) - early && hub.answering.load(Relaxed) > 0 {
        sleep(LOOK_EVERY).await;
    }
}

fn is_alone(hub: &Hub) -> bool {
    let streams = hub.streams.load();
    let viewers =
        |stream: &crate::edge::hub::Stream| stream.rtmp_viewers.load(Relaxed) + stream.flv_viewers.load(Relaxed);
    hub.http_connections.load(Relaxed) == 0 && streams.values().all(|stream| viewers(stream) == 0)
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn however_short_a_drain_is_it_ends_in_time() {
        let plan = |drain_ms| {
            let Plan { quiet_ms, leaving_ms, last_ms, end_ms } = Plan::new(drain_ms);
            [quiet_ms, leaving_ms, last_ms, end_ms]
        };
        assert_eq!(plan(60_000), [5_000, 58_000, 59_500, 60_000]);
        assert_eq!(plan(4_000), [2_000, 2_000, 3_500, 4_000]);
        assert_eq!(plan(1_000), [0, 0, 500, 1_000]);
        assert_eq!(plan(0), [0, 0, 0, 0]);
    }
}
