//! What viewers of HTTP-FLV and RTMP have in common: they connect, watch, and connect again until the run is over.

use crate::crowd::Viewer;
use crate::lines::Lines;
use crate::policy::FAILED_MS;
use crate::target::{Host, Kind};
use crate::timeline::Timeline;
use std::time::Duration;
use tokio::time::sleep;

/// How a connection ended.
pub enum Left {
    /// The server asked the viewer to come back: the stream is not live, or the server is full.
    Asked {
        /// It is full.
        full: bool,
        /// When the viewer comes back.
        pause: Duration,
    },
    /// The connection failed, with the reason.
    Failed(String),
}

/// Watches until the run is over. `connect` is one connection to the host, to its end.
pub async fn watch(viewer: &Viewer, kind: Kind, connect: impl AsyncFnMut(&Host, &mut Lines, &mut Timeline) -> Left) {
    let shared = &viewer.shared;
    shared.tally(kind).viewers += 1;
    let mut timeline = Timeline::new(viewer.number, kind, shared.clone());
    tokio::select! {
        () = shared.over() => {}
        () = keep_watching(viewer, kind, &mut timeline, connect) => {}
    }
    timeline.settle();
}

async fn keep_watching(
    viewer: &Viewer,
    kind: Kind,
    timeline: &mut Timeline,
    mut connect: impl AsyncFnMut(&Host, &mut Lines, &mut Timeline) -> Left,
) {
    let shared = &viewer.shared;
    let mut lines = Lines::new(viewer.stream.hosts.clone(), shared.spread, viewer.number, shared.connections.clone());
    let mut failures = 0;
    loop {
        let host = lines.fresh();
        shared.tally(kind).requests += 1;
        let before = timeline.frames();
        let left = connect(&host, &mut lines, timeline).await;
        failures = if timeline.frames() > before { 0 } else { failures };
        match left {
            Left::Asked { full, pause } => {
                timeline.asked_to_wait(full);
                sleep(pause).await;
            }
            Left::Failed(error) => {
                failures += 1;
                timeline.lost(failures > 1, &format_args!("{} at {}: {error}", viewer.stream.path, host.authority));
                // The first time a viewer dials again at once, as players do.
                if failures > 1 {
                    sleep(Duration::from_millis(FAILED_MS)).await;
                }
            }
        }
    }
}
