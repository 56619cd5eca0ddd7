//! Forwarding: a copy of a stream to another RTMP server, from the same ring as the relays.
//!
//! The URL is a secret (it ends in a stream key): it is read from a file when a connection is made, and shown
//! nowhere.

use super::state::Ingest;
use lectern_api::node_status::ForwardStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub mod policy;
mod target;
mod url;

/// One forward of one stream: names of target and stream.
type Name = (String, String);

/// What is known of all forwards.
#[derive(Default)]
pub struct Forwards {
    by_name: Mutex<BTreeMap<Name, Handle>>,
}

struct Handle {
    stop: CancellationToken,
    state: Arc<Mutex<ForwardStatus>>,
}

impl Forwards {
    /// One entry for each forward and stream.
    #[must_use]
    pub fn status(&self) -> Vec<ForwardStatus> {
        let by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        by_name.values().map(|h| h.state.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }

    fn update(&self, ingest: &Arc<Ingest>, tasks: &TaskTracker, flush: &CancellationToken) {
        let (config, streams) = (ingest.config(), ingest.streams());
        let mut wanted = BTreeSet::new();
        for forward in &config.forward {
            let chosen = streams.keys().filter(|s| forward.streams.is_empty() || forward.streams.contains(s));
            wanted.extend(chosen.map(|stream| (forward.name.clone(), stream.clone())));
        }
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        by_name.retain(|name, handle| {
            let keep = wanted.contains(name);
            if !keep {
                handle.stop.cancel();
            }
            keep
        });
        for name in wanted {
            let Some(stream) = streams.get(&name.1) else { continue };
            by_name.entry(name.clone()).or_insert_with(|| {
                let (target, stream_name) = name;
                let status = ForwardStatus { name: target, stream: stream_name, ..ForwardStatus::default() };
                let state = Arc::new(Mutex::new(status));
                let stop = CancellationToken::new();
                let target = target::Target::new(ingest.clone(), stream.clone(), state.clone());
                tasks.spawn(target.run(stop.clone(), flush.clone()));
                Handle { stop, state }
            });
        }
    }
}

/// Keeps the forwards as the configuration wants them, until `flush`.
pub(super) async fn run(ingest: Arc<Ingest>, forwards: Arc<Forwards>, tasks: TaskTracker, flush: CancellationToken) {
    let mut changes = ingest.stream_changes();
    loop {
        forwards.update(&ingest, &tasks, &flush);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = flush.cancelled() => return,
        }
    }
}
