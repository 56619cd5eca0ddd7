//! The relay's sending side: one link per edge and stream, for the set of edges as it changes.
//!
//! An address that left the set keeps its link until the edge closes it, and is not dialled again; one that is in the
//! set is dialled for ever: a crashed edge keeps its address.

use super::discovery::Peers;
use super::link::{self, LinkState};
use super::source::Origin;
use lectern_api::node_config::Peer;
use lectern_api::node_status::RelayStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Links that ended are forgotten this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long the first set of edges is waited for before streams stop to expect greetings; not longer than an
/// ingest waits for greetings in all.
const FIRST_SET: Duration = Duration::from_millis(lectern_media::live::ingest::GREETINGS_MS_MAX);

/// What is known of all links.
#[derive(Default)]
pub struct Relays {
    links: Mutex<BTreeMap<(SocketAddr, String), Handle>>,
}

struct Handle {
    wanted: watch::Sender<bool>,
    state: Arc<Mutex<LinkState>>,
    task: tokio::task::JoinHandle<()>,
}

impl Relays {
    /// One entry for each edge. `lag` tells how far a link that stands at a position of a stream is behind.
    pub fn status(&self, lag: impl Fn(&str, u64) -> u64) -> Vec<RelayStatus> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_peer: BTreeMap<SocketAddr, RelayStatus> = BTreeMap::new();
        for ((peer, stream), handle) in links.iter() {
            let state = handle.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let status = by_peer.entry(*peer).or_default();
            status.peer = peer.to_string();
            status.streams.insert(stream.clone(), state.open);
            status.lag_ms = status.lag_ms.max(state.position.map_or(0, |at| lag(stream, at.load(Relaxed))));
            status.error = state.error.or(status.error.take());
        }
        by_peer.into_values().collect()
    }

    /// How many links are open, and how many there should be.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.values().fold(Totals::default(), |mut totals, handle| {
            let state = handle.state.lock().unwrap_or_else(PoisonError::into_inner);
            totals.open += u64::from(state.open);
            totals.wanted += 1;
            totals
        })
    }

    fn update(&self, origin: &Arc<dyn Origin>, peers: &BTreeSet<Peer>, tasks: &TaskTracker, flush: &CancellationToken) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, handle| !handle.task.is_finished());
        let streams = origin.sources();
        for ((peer, _), handle) in links.iter() {
            let wanted = peers.iter().any(|p| p.relay == *peer);
            handle.wanted.send_if_modified(|was| std::mem::replace(was, wanted) != wanted);
        }
        for peer in peers {
            for (name, stream) in &streams {
                links.entry((peer.relay, name.clone())).or_insert_with(|| {
                    let (wanted, wanted_here) = watch::channel(true);
                    let state = Arc::<Mutex<LinkState>>::default();
                    let link = link::Link::new(origin.clone(), stream.clone(), peer.relay, state.clone());
                    let task = tasks.spawn(link.run(wanted_here, flush.clone()));
                    Handle { wanted, state, task }
                });
            }
        }
    }
}

/// Sums over all links.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Links that are greeted.
    pub open: u64,
    /// Links there should be.
    pub wanted: u64,
}

/// Keeps the links as `peers` and the event's streams want them, until `flush`; after that links end by themselves,
/// once they have written everything.
pub async fn run(
    origin: Arc<dyn Origin>,
    relays: Arc<Relays>,
    mut peers: Peers,
    tasks: TaskTracker,
    flush: CancellationToken,
) {
    let mut changes = origin.source_changes();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    // No edge known within the time means that no edge will greet.
    let _ = tokio::time::timeout(FIRST_SET, peers.wait_for(Option::is_some)).await;
    let mut told = BTreeSet::new();
    loop {
        let known = peers.borrow_and_update().clone().unwrap_or_default();
        let serving = known.iter().filter(|peer| peer.serving).count();
        for (name, stream) in &origin.sources() {
            if told.insert(name.clone()) {
                stream.expect_greetings(serving);
            }
        }
        origin.set_siblings(known.iter().map(|peer| peer.admin).collect());
        relays.update(&origin, &known, &tasks, &flush);
        tokio::select! {
            changed = peers.changed() => if changed.is_err() { return },
            changed = changes.changed() => if changed.is_err() { return },
            _ = sweep.tick() => {}
            () = flush.cancelled() => return,
        }
        told.retain(|name| origin.sources().contains_key(name));
    }
}
