//! How an edge ends: it serves on, lets its viewers go one by one, and stops being Ready only just before the end.
//! An edge that a person ends at a terminal waits for viewers and for nothing else.

use super::status::EdgeNode;
use super::stream::hub::{Hub, Stream};
use super::viewers::{Pace, Shards};
use lectern_media::ledger::Life;
use lectern_process::signals::Cause;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Readiness stays on until so long before the end: a terminating endpoint gets no new viewer anyway, and where all
/// terminate, those that serve are the fallback.
pub const LEAVING_MS: u64 = 2_000;
/// The last moments belong to answers under way: the edge accepts no new connection any more.
const LAST_MS: u64 = 500;
/// An edge without connections ends early, but not before the news of its end has reached every load balancer.
const QUIET_MS: u64 = 5_000;
/// A player reloads its list once a target duration; so much later it is not coming back.
const LATE_MS: u64 = 1_000;
/// How often an edge looks whether it is alone.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The three moments of an end, in milliseconds from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it ends for.
    pub cause: Cause,
    /// From here it may end early, if it is alone.
    pub quiet_ms: u64,
    /// No longer Ready; every answer closes its connection; the last viewer has gone.
    pub leaving_ms: u64,
    /// The edge accepts no new connection any more.
    pub last_ms: u64,
    /// The end.
    pub end_ms: u64,
}

impl Plan {
    /// The plan for a drain of `drain_ms`, however short.
    #[must_use]
    pub fn new(drain_ms: u64, cause: Cause) -> Self {
        let leaving_ms = drain_ms.saturating_sub(LEAVING_MS);
        let last_ms = drain_ms.saturating_sub(LAST_MS);
        let quiet_ms = match cause {
            Cause::Terminate => leaving_ms.min(QUIET_MS),
            Cause::Interrupt => 0,
        };
        Self { cause, quiet_ms, leaving_ms, last_ms, end_ms: drain_ms }
    }
}

/// Drains. `stop` is cancelled when no connection is to be accepted any more.
pub async fn drain(plan: Plan, hub: &Hub, node: &EdgeNode, shards: &Shards, stop: &CancellationToken) {
    let begin = Instant::now();
    let begin_ms = hub.clock.now_ms();
    let at = |ms| begin + Duration::from_millis(ms);
    tracing::info!(end_in_ms = plan.end_ms, viewers = hub.load.viewers(), "draining");
    node.draining.store(true, Relaxed);
    hub.load.start_draining();
    shards.drain(Pace { from_ms: begin_ms, until_ms: begin_ms + plan.leaving_ms });
    sleep_until(at(plan.quiet_ms)).await;
    while Instant::now() < at(plan.leaving_ms) && !is_alone(hub, plan.cause) {
        sleep(LOOK_EVERY).await;
    }
    node.leaving.store(true, Relaxed);
    hub.closing.store(true, Relaxed);
    let early = at(plan.leaving_ms).saturating_duration_since(Instant::now());
    // Where a supervisor ends it early, load balancers that probe readiness still get the time to see it go.
    if early.is_zero() || plan.cause == Cause::Terminate {
        sleep_until(at(plan.last_ms) - early).await;
    }
    stop.cancel();
    while Instant::now() < at(plan.end_ms) - early && hub.answering.load(Relaxed) > 0 {
        sleep(LOOK_EVERY).await;
    }
}

/// No viewer watches. A supervisor's load balancers keep connections over which a viewer may come at any moment; at a
/// terminal a kept connection belongs to a page that was closed.
fn is_alone(hub: &Hub, cause: Cause) -> bool {
    let streams = hub.streams.load();
    let connected = |stream: &Stream| stream.rtmp_viewers.load(Relaxed) + stream.flv_viewers.load(Relaxed) > 0;
    let asked = match cause {
        Cause::Terminate => hub.http_connections.load(Relaxed) > 0,
        Cause::Interrupt => {
            let now_ms = hub.clock.now_ms();
            hub.answering.load(Relaxed) > 0 || streams.values().any(|stream| is_polled(stream, now_ms))
        }
    };
    !asked && !streams.values().any(|stream| connected(stream))
}

/// Whether a viewer asked for this stream and will ask again.
#[must_use]
pub fn is_polled(stream: &Stream, now_ms: u64) -> bool {
    let snapshot = stream.snapshot.load();
    let ledger = &snapshot.view.ledger;
    let presentation = ledger.presentation.as_ref().filter(|_| ledger.life == Life::Open);
    presentation.is_some_and(|presentation| {
        let patience_ms = u64::from(presentation.target_s) * 1_000 + LATE_MS;
        now_ms.saturating_sub(stream.asked_ms.load(Relaxed)) < patience_ms
    })
}

#[cfg(test)]
mod tests {
    use super::{Cause, Plan};

    #[test]
    fn however_short_a_drain_is_it_ends_in_time() {
        let plan = |drain_ms, cause| {
            let Plan { quiet_ms, leaving_ms, last_ms, end_ms, .. } = Plan::new(drain_ms, cause);
            [quiet_ms, leaving_ms, last_ms, end_ms]
        };
        assert_eq!(plan(60_000, Cause::Terminate), [5_000, 58_000, 59_500, 60_000]);
        assert_eq!(plan(60_000, Cause::Interrupt), [0, 58_000, 59_500, 60_000]);
        assert_eq!(plan(4_000, Cause::Terminate), [2_000, 2_000, 3_500, 4_000]);
        assert_eq!(plan(1_000, Cause::Terminate), [0, 0, 500, 1_000]);
        assert_eq!(plan(0, Cause::Terminate), [0, 0, 0, 0]);
    }
}
