//! The edges from the EndpointSlices of their headless Service. Pods are there before they are
//! Ready and stay while they end: only `serving` says something, `ready` is always true.
//!
//! Until the API server has answered, or where it refuses (no token, no right), the Service is asked for by name. What
//! is known stays while the API server does not answer.

use super::{DNS_EVERY, peer, publish, resolve};
use crate::net::backoff::Backoff;
use futures::{Stream, StreamExt};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use lectern_api::node_config::Peer;
use lectern_process::random;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The label by which Kubernetes says whose slice it is.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

type Events = Pin<Box<dyn Stream<Item = watcher::Result<watcher::Event<EndpointSlice>>> + Send>>;

/// What is known of the slices.
#[derive(Default)]
struct Slices {
    /// The endpoints of each, by its name.
    known: BTreeMap<String, Vec<Peer>>,
    /// A list under way: it takes effect as a whole.
    listing: Option<BTreeMap<String, Vec<Peer>>>,
}

/// Follows the slices of `service` in the pod's own namespace; ends with `shutdown`.
pub async fn follow(sender: watch::Sender<Option<BTreeSet<Peer>>>, shutdown: CancellationToken, service: String) {
    let mut slices = Slices::default();
    let mut events = events(&service).await;
    let mut by_name = true;
    let mut ticks = tokio::time::interval(DNS_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sender.closed() => return,
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if let Some(peers) = slices.take(event) {
                        by_name = false;
                        publish(&sender, peers);
                    }
                }
                Some(Err(error)) => {
                    by_name |= is_refusal(&error);
                    tracing::warn!(service, by_name, "failed to watch EndpointSlices: {error}; the last known edges stay");
                }
                // There is no API server to ask: the name is all there is.
                None => events = Box::pin(futures::stream::pending()),
            },
            _ = ticks.tick(), if by_name => match resolve(service.clone()).await {
                Ok(found) => publish(&sender, found),
                Err(error) => tracing::debug!("{error:#}"),
            },
        }
    }
}

/// The pauses before a broken watch begins again: those between dials. An edge that starts just after the API server came
/// back should not wait for the half minute that is customary.
#[derive(Default)]
struct Pauses(Backoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(self.0.next_ms(random::number())))
    }
}

impl kube::runtime::utils::Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// A watch that begins again by itself, with growing pauses; empty where there is no API server to ask.
async fn events(service: &str) -> Events {
    match Client::try_default().await {
        Ok(client) => {
            let config = watcher::Config::default().labels(&format!("{SERVICE_LABEL}={service}"));
            Box::pin(watcher(Api::default_namespaced(client), config).backoff(Pauses::default()))
        }
        Err(error) => {
            tracing::warn!(service, "no API server to ask: {error}; edges are found by the Service's name");
            Box::pin(futures::stream::empty())
        }
    }
}

/// The API server answers, but not to us: it will not heal soon.
fn is_refusal(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(cause)
    | watcher::Error::WatchStartFailed(cause)
    | watcher::Error::WatchFailed(cause)) = error
    else {
        return false;
    };
    matches!(cause, kube::Error::Api(status) if status.is_forbidden() || status.code == 401)
}

impl Slices {
    /// Takes an event; the set of edges, once it is known as a whole.
    fn take(&mut self, event: watcher::Event<EndpointSlice>) -> Option<BTreeSet<Peer>> {
        match event {
            watcher::Event::Init => {
                self.listing = Some(BTreeMap::new());
                return None;
            }
            watcher::Event::InitApply(slice) => {
                let name = slice.metadata.name.clone().unwrap_or_default();
                self.listing.get_or_insert_default().insert(name, endpoints(&slice));
                return None;
            }
            watcher::Event::InitDone => self.known = self.listing.take().unwrap_or_default(),
            watcher::Event::Apply(slice) => {
                self.known.insert(slice.metadata.name.clone().unwrap_or_default(), endpoints(&slice));
            }
            watcher::Event::Delete(slice) => {
                self.known.remove(slice.metadata.name.as_deref().unwrap_or_default());
            }
        }
        Some(self.peers())
    }

    /// An endpoint that moves between slices stands in both for a moment: it serves if either says so.
    fn peers(&self) -> BTreeSet<Peer> {
        let mut all: BTreeMap<SocketAddr, Peer> = BTreeMap::new();
        for peer in self.known.values().flatten() {
            all.entry(peer.relay).or_insert_with(|| peer.clone()).serving |= peer.serving;
        }
        all.into_values().collect()
    }
}

fn endpoints(slice: &EndpointSlice) -> Vec<Peer> {
    let one = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let serving = endpoint.conditions.as_ref().and_then(|conditions| conditions.serving).unwrap_or(true);
        // All addresses of an endpoint are the same pod.
        let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        Some(Peer { serving, ..peer(address) })
    };
    slice.endpoints.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};

    fn slice(name: &str, endpoints: &[(&str, Option<bool>)]) -> EndpointSlice {
        let one = |(address, serving): &(&str, Option<bool>)| json!({ "addresses": [address], "conditions": { "ready": true, "serving": serving } });
        serde_json::from_value(json!({
            "metadata": { "name": name }, "addressType": "IPv4",
            "endpoints": endpoints.iter().map(one).collect::<Vec<_>>(),
        }))
        .unwrap()
    }

    fn text(peers: Option<BTreeSet<Peer>>) -> Option<String> {
        let one = |peer: &Peer| format!("{}{}", peer.relay, if peer.serving { "" } else { " silent" });
        peers.map(|all| all.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_list_takes_effect_as_a_whole_and_never_empties_the_set_meanwhile() {
        let mut slices = Slices::default();
        let (one, two) = ([("10.0.0.1", Some(true))], [("10.0.0.2", Some(true))]);
        let steps = [
            (Init, None),
            (InitApply(slice("a", &one)), None),
            (InitDone, Some("10.0.0.1:1936")),
            (Init, None),
            (Apply(slice("a", &one)), Some("10.0.0.1:1936")),
            (InitApply(slice("b", &two)), None),
            (InitDone, Some("10.0.0.2:1936")),
        ];
        for (index, (event, expected)) in steps.into_iter().enumerate() {
            assert_eq!(text(slices.take(event)).as_deref(), expected, "step {index}");
        }
    }

    #[test]
    fn endpoints_of_all_slices_count_once_and_serve_if_any_says_so() {
        let mut slices = Slices::default();
        let _ = slices.take(Apply(slice("a", &[("10.0.0.1", Some(false)), ("10.0.0.2", None)])));
        let both = slices.take(Apply(slice("b", &[("10.0.0.1", Some(true)), ("10.0.0.3", Some(false))])));
        assert_eq!(text(both).unwrap(), "10.0.0.1:1936, 10.0.0.2:1936, 10.0.0.3:1936 silent");
        let rest = slices.take(Delete(slice("b", &[])));
        assert_eq!(text(rest).unwrap(), "10.0.0.1:1936 silent, 10.0.0.2:1936");
    }
}
