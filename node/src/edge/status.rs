//! What an edge says of itself: readiness, `/status`, `/metrics`, and the load that refusals go by.

use super::counting::{Answered, Protocol, Sample};
use super::stream::hub::{Hub, Stream};
use super::stream::snapshot::Snapshot;
use super::token::Token;
use crate::admin::StatusSource;
use lectern_api::metrics::{Exposition, edge as metrics};
use lectern_api::node_status::{EdgeStatus, EdgeStream, NodeStatus};
use lectern_media::ledger::{Life, Msn};
use lectern_media::live::edge::ALONE_MS;
use lectern_media::rendition::SegmentKey;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The load is measured this often: a flash crowd of a thousand a second meets a stale measure of 250.
const MEASURE_EVERY: Duration = Duration::from_millis(250);
/// Segments whose fetches are published.
const COUNTED_SEGMENTS: usize = 4;

/// An edge, for the admin port.
#[derive(Debug)]
pub struct EdgeNode {
    hub: Arc<Hub>,
    token: Arc<Token>,
    event: String,
    boot: String,
    /// It was told to end.
    pub draining: AtomicBool,
    /// The end is so near that no new viewer should come.
    pub leaving: AtomicBool,
    settled: Mutex<Settled>,
}

/// Streams that start later do not revoke readiness.
#[derive(Debug, Default)]
struct Settled {
    node: bool,
    streams: HashSet<String>,
}

impl EdgeNode {
    /// The node that `hub` belongs to.
    #[must_use]
    pub fn new(hub: Arc<Hub>, token: Arc<Token>, event: String) -> Arc<Self> {
        let boot = format!("{:x}-{:x}", hub.clock.start_unix_ms(), std::process::id());
        let (draining, leaving) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { hub, token, event, boot, draining, leaving, settled: Mutex::default() })
    }

    /// Measures the load until `stop`.
    pub async fn measure(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(MEASURE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let now_ms = self.hub.clock.now_ms();
            let streams = self.hub.streams.load();
            streams.values().for_each(|stream| stream.reloads.look(now_ms));
            let viewers = streams.values().map(|stream| begun(stream)).sum();
            let egress_bytes = self.hub.totals.egress_bytes_total();
            self.hub.load.measure(Sample { viewers, egress_bytes }, now_ms);
        }
    }

    /// Why this edge should get no viewers at the moment, if so.
    fn not_ready(&self) -> Option<String> {
        if self.leaving.load(Relaxed) {
            return Some("it is about to end".into());
        }
        let streams = self.hub.streams.load();
        let uptime_ms = self.hub.clock.now_ms() - self.hub.clock.start_unix_ms();
        if streams.is_empty() && !self.hub.playback.load().known {
            return (uptime_ms < ALONE_MS).then(|| "no ingest has said yet what the event is".into());
        }
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waits = None;
        for (name, stream) in streams.iter() {
            let view = &stream.snapshot.load().view;
            if view.ready {
                settled.streams.insert(name.clone());
            } else if !settled.node || settled.streams.contains(name) {
                let why = if view.linked { "behind its ledger" } else { "without a link to the ingest, and behind" };
                waits = Some(format!("stream {name} is {why}"));
            }
        }
        settled.streams.retain(|name| streams.contains_key(name));
        settled.node |= waits.is_none();
        waits
    }

    fn edge(&self) -> EdgeStatus {
        let now_ms = self.hub.clock.now_ms();
        let streams: std::collections::BTreeMap<_, _> =
            self.hub.streams.load().iter().map(|(name, stream)| (name.clone(), describe(stream, now_ms))).collect();
        EdgeStatus {
            token_fingerprint: self.token.fingerprint(),
            connections: streams.values().map(|stream| stream.rtmp + stream.flv).sum(),
            streams,
            viewers: self.hub.load.viewers(),
            refused_15s: self.hub.refused.count(now_ms),
            refusals_15s: self.hub.refused.tries(now_ms),
            admitted: self.hub.load.admitted(),
            egress_bytes: self.hub.totals.egress_bytes_total(),
            capacity: self.hub.load.capacity(),
        }
    }
}

impl StatusSource for EdgeNode {
    fn status(&self) -> NodeStatus {
        let not_ready_reason = self.not_ready();
        NodeStatus {
            role: "edge".into(),
            version: 0,
            boot: self.boot.clone(),
            software: env!("CARGO_PKG_VERSION").into(),
            event: self.event.clone(),
            ready: not_ready_reason.is_none(),
            not_ready_reason,
            draining: self.draining.load(Relaxed),
            ingest: None,
            edge: Some(self.edge()),
        }
    }

    fn metrics(&self, out: &mut Exposition) {
        let edge = self.edge();
        out.add(&metrics::READY, &[], self.not_ready().is_none());
        out.add(&metrics::VIEWERS, &[], edge.viewers);
        out.add(&metrics::CAPACITY, &[], edge.capacity);
        out.add(&metrics::REFUSED, &[], edge.refused_15s);
        for (name, stream) in &edge.streams {
            out.add(&metrics::CONNECTIONS, &[name, "rtmp"], stream.rtmp);
            out.add(&metrics::CONNECTIONS, &[name, "flv"], stream.flv);
            out.add(&metrics::LINKED, &[name], stream.linked);
            out.add(&metrics::LEVEL, &[name], stream.level);
            if let Some(msn) = stream.last_msn {
                out.add(&metrics::LAST_MSN, &[name], msn);
            }
        }
        let totals = &self.hub.totals;
        for protocol in Protocol::ALL {
            out.add(&metrics::EGRESS, &[protocol.label()], totals.egress_bytes(protocol));
        }
        for class in Answered::ALL {
            out.add(&metrics::ANSWERS, &[class.label()], totals.answers(class));
        }
        let gauge = |value: i64| u64::try_from(value).unwrap_or(0);
        out.add(&metrics::HTTP_CONNECTIONS, &[], gauge(self.hub.http_connections.load(Relaxed)));
        for (reason, closed) in
            [("stalled", &totals.http_stalled), ("displaced", &totals.http_displaced), ("full", &totals.http_full)]
        {
            out.add(&metrics::HTTP_CLOSED, &[reason], closed.load(Relaxed));
        }
        out.add(&metrics::SKIPS, &[], totals.skips.load(Relaxed));
        out.add(&metrics::STALLS, &[], totals.stalls.load(Relaxed));
        out.add(&metrics::MISBEHAVED, &[], totals.misbehaved.load(Relaxed));
        out.add(&metrics::MISMATCHES, &[], totals.mismatches.load(Relaxed));
        out.add(&metrics::SIBLING_FETCHES, &["ok"], totals.sibling_fetches.load(Relaxed));
        out.add(&metrics::SIBLING_FETCHES, &["failed"], totals.sibling_failures.load(Relaxed));
    }
}

/// The newest listed segments, oldest first: each with what was fetched of it in all renditions together, since a viewer
/// takes it in one of them.
fn newest(snapshot: &Snapshot) -> impl Iterator<Item = Counted> {
    let listed = snapshot.view.ledger.listed();
    let from = listed.len().saturating_sub(COUNTED_SEGMENTS);
    listed.iter().skip(from).filter_map(|entry| {
        let key = |rendition| SegmentKey { rendition, name: entry.name() };
        let mut held = snapshot.renditions().filter_map(|rendition| snapshot.segments.get(&key(rendition)));
        let fetches = &held.next()?.fetches;
        let first = Counted {
            msn: entry.msn,
            begun: fetches.begun(),
            completed: fetches.completed(),
            held_since_ms: fetches.held_since_ms,
        };
        Some(held.fold(first, |sum, segment| Counted {
            begun: sum.begun + segment.fetches.begun(),
            completed: sum.completed + segment.fetches.completed(),
            ..sum
        }))
    })
}

/// What was fetched of one segment.
#[derive(Clone, Copy, Debug)]
struct Counted {
    msn: Msn,
    begun: u64,
    completed: u64,
    held_since_ms: u64,
}

/// Viewers of a stream by requests begun, and its connections. A joining crowd shows in the segment that most of them
/// ask for; viewers of a session that ended need no protection.
fn begun(stream: &Stream) -> u64 {
    let snapshot = stream.snapshot.load();
    let open = snapshot.view.ledger.life == Life::Open;
    let hls = newest(&snapshot).map(|counted| counted.begun).max().filter(|_| open);
    hls.unwrap_or(0) + stream.rtmp_viewers.load(Relaxed) + stream.flv_viewers.load(Relaxed)
}

pub(super) fn describe(stream: &Stream, now_ms: u64) -> EdgeStream {
    let snapshot = stream.snapshot.load();
    let (view, ledger) = (&snapshot.view, &snapshot.view.ledger);
    let state = match ledger.life {
        Life::Open if ledger.presentation.is_some() || view.open.is_some() => "live",
        Life::Ended => "ended",
        Life::Open | Life::Gone => "idle",
    };
    let counted =
        newest(&snapshot).map(|counted| (counted.msn, counted.completed, now_ms.saturating_sub(counted.held_since_ms)));
    let target_s = ledger.presentation.as_ref().map(|presentation| presentation.target_s);
    let reloads = stream.reloads.within(target_s.map_or(0, u64::from) * 1_000);
    EdgeStream {
        linked: view.linked,
        level: view.ready,
        last_msn: ledger.listed().last().map(|entry| entry.msn),
        target_s,
        state: state.into(),
        fetches: counted.collect(),
        reloads: Some(reloads),
        rtmp: stream.rtmp_viewers.load(Relaxed),
        flv: stream.flv_viewers.load(Relaxed),
    }
}
