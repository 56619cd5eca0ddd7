//! Which edges there are: events, the EndpointSlices of their relay Services, and who owns the pods behind them.
//!
//! Pods, ReplicaSets and Deployments come as metadata alone. An endpoint counts only if its pod belongs, through
//! ReplicaSet and Deployment, to the event: a user who may label pods in a namespace must not be able to raise the demand of
//! an event in another.

use super::object_store::ObjectStore;
use crate::kubernetes::{Refusal, api, watch_refusal};
use crate::validate::{Event, validate};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use k8s_openapi::Resource as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PartialObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource};
use lectern_api::live_event::LiveEvent;
use lectern_api::{labels, ports};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The label by which Kubernetes says whose slice it is.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// One event and its edges.
#[derive(Clone, Debug)]
pub struct Target {
    /// `namespace/name`.
    pub id: String,
    /// Another event of the same name has another.
    pub uid: String,
    /// What it wants, as last valid. None while it never was.
    pub event: Option<Arc<Event>>,
    /// Those that serve or end.
    pub edges: Vec<Edge>,
}

/// One edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Name of its pod.
    pub name: String,
    /// Its admin port.
    pub admin: SocketAddr,
    /// New viewers are sent to it.
    pub serves: bool,
}

/// Everything that is watched in one namespace, or in all.
#[derive(Debug, Default)]
pub struct Scope {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: ObjectStore<Watched>,
    slices: ObjectStore<Slice>,
    pods: ObjectStore<Owned>,
    replica_sets: ObjectStore<Owned>,
    deployments: ObjectStore<Owned>,
}

#[derive(Clone, Debug)]
struct Watched {
    id: String,
    event: Option<Arc<Event>>,
}

/// An object and the uid of its controller.
#[derive(Clone, Debug)]
struct Owned {
    owner: String,
}

/// One EndpointSlice of a relay Service.
#[derive(Clone, Debug)]
struct Slice {
    /// `namespace/name` of the event.
    id: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug)]
struct Endpoint {
    pod: String,
    pod_uid: String,
    address: IpAddr,
    serves: bool,
}

impl Scope {
    /// Every watch of `namespace` (None: of all), for ever.
    #[must_use]
    pub fn watches(self: &Arc<Self>, client: &Client, namespace: Option<&str>) -> Vec<BoxFuture<'static, ()>> {
        let edges = format!("{}={}", labels::ROLE, labels::ROLE_EDGE);
        let of_events = format!("{},{edges}", labels::EVENT);
        let owned = |metadata: ObjectMeta| controller(&metadata).map(|owner| Owned { owner });
        vec![
            self.watch(api::<DeserializeGuard<LiveEvent>>(client, namespace), None, |state| &mut state.events, watched),
            self.watch(
                api::<EndpointSlice>(client, namespace),
                Some(&of_events),
                |state| &mut state.slices,
                |slice, _| endpoints(slice),
            ),
            self.watch(
                api::<PartialObjectMeta<Pod>>(client, namespace),
                Some(&edges),
                |state| &mut state.pods,
                move |pod, _| owned(pod.metadata),
            ),
            self.watch(
                api::<PartialObjectMeta<ReplicaSet>>(client, namespace),
                Some(&edges),
                |state| &mut state.replica_sets,
                move |set, _| owned(set.metadata),
            ),
            self.watch(
                api::<PartialObjectMeta<Deployment>>(client, namespace),
                Some(&edges),
                |state| &mut state.deployments,
                move |deployment, _| owned(deployment.metadata),
            ),
        ]
    }

    fn watch<K, V: Clone + Send + 'static>(
        self: &Arc<Self>,
        api: Api<K>,
        selector: Option<&str>,
        part: fn(&mut State) -> &mut ObjectStore<V>,
        read: impl Fn(K, Option<&V>) -> Option<V> + Send + 'static,
    ) -> BoxFuture<'static, ()>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let mut config = watcher::Config::default();
        if let Some(selector) = selector {
            config = config.labels(selector);
        }
        let news = watcher(api, config).default_backoff();
        let scope = Arc::clone(self);
        Box::pin(async move { scope.follow(news, part, read).await })
    }

    async fn follow<K: Resource<DynamicType = ()>, V: Clone>(
        &self,
        news: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
        part: fn(&mut State) -> &mut ObjectStore<V>,
        read: impl Fn(K, Option<&V>) -> Option<V>,
    ) {
        let mut news = std::pin::pin!(news);
        let mut failing = false;
        while let Some(event) = news.next().await {
            let kind = K::kind(&());
            match event {
                Ok(event) => {
                    failing = false;
                    part(&mut self.lock()).take(event, |object| object.meta().uid.clone(), &read);
                }
                Err(error) if watch_refusal(&error) == Some(Refusal::NotFound) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%kind, "the API server does not know this kind: install the definition (crds/)");
                    }
                    part(&mut self.lock()).none();
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%kind, %error, "a watch broke off and starts again; what it has seen is kept");
                    }
                }
            }
        }
    }

    /// Everything was seen once, so that what is not seen is not there.
    #[must_use]
    pub fn complete(&self) -> bool {
        let State { events, slices, pods, replica_sets, deployments } = &*self.lock();
        events.complete() && slices.complete() && pods.complete() && replica_sets.complete() && deployments.complete()
    }

    /// Every event with its edges.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        self.lock().targets()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here leaves half a change behind when it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn targets(&self) -> Vec<Target> {
        let mut by_event: BTreeMap<&str, Vec<&Endpoint>> = BTreeMap::new();
        for (_, slice) in self.slices.iter() {
            by_event.entry(&slice.id).or_default().extend(&slice.endpoints);
        }
        let target = |(uid, watched): (&String, &Watched)| {
            let endpoints = by_event.get(watched.id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let mut edges: BTreeMap<&str, Edge> = BTreeMap::new();
            for endpoint in endpoints.iter().filter(|endpoint| self.belongs(endpoint, uid)) {
                // An endpoint that moves between slices stands in both for a moment: it serves if either says so.
                let edge = edges.entry(&endpoint.pod).or_insert_with(|| endpoint.edge());
                edge.serves |= endpoint.serves;
            }
            let (id, event) = (watched.id.clone(), watched.event.clone());
            Target { id, uid: uid.clone(), event, edges: edges.into_values().collect() }
        };
        self.events.iter().map(target).collect()
    }

    fn belongs(&self, endpoint: &Endpoint, event_uid: &str) -> bool {
        let owner = self.pods.get(&endpoint.pod_uid);
        let owner = owner.and_then(|pod| self.replica_sets.get(&pod.owner));
        let owner = owner.and_then(|set| self.deployments.get(&set.owner));
        owner.is_some_and(|deployment| deployment.owner == event_uid)
    }
}

impl Endpoint {
    fn edge(&self) -> Edge {
        Edge { name: self.pod.clone(), admin: SocketAddr::new(self.address, ports::ADMIN), serves: self.serves }
    }
}

/// An event that cannot work any more keeps what it last wanted: its edges go on, too.
fn watched(object: DeserializeGuard<LiveEvent>, before: Option<&Watched>) -> Option<Watched> {
    let metadata = object.meta();
    let id = format!("{}/{}", metadata.namespace.as_deref()?, metadata.name.as_deref()?);
    let event = object.0.ok().and_then(|event| validate(&event).ok()).map(Arc::new);
    Some(Watched { id, event: event.or_else(|| before.and_then(|before| before.event.clone())) })
}

/// The endpoints that serve or end, of a slice of a relay Service. `ready` says nothing there: it is always true.
fn endpoints(slice: EndpointSlice) -> Option<Slice> {
    let labels = slice.metadata.labels.unwrap_or_default();
    let event = labels.get(labels::EVENT)?;
    let relay = lectern_api::names::EventName::new(event).ok()?.relay();
    if labels.get(SERVICE_LABEL) != Some(&relay) {
        return None;
    }
    let id = format!("{}/{event}", slice.metadata.namespace?);
    let endpoint = |endpoint: k8s_openapi::api::discovery::v1::Endpoint| {
        let conditions = endpoint.conditions.unwrap_or_default();
        let serving = conditions.serving.or(conditions.ready).unwrap_or(true);
        let ending = conditions.terminating.unwrap_or(false);
        let pod = endpoint.target_ref.filter(|target| target.kind.as_deref() == Some(Pod::KIND))?;
        (serving || ending).then_some(())?;
        Some(Endpoint {
            pod: pod.name?,
            pod_uid: pod.uid?,
            address: endpoint.addresses.first()?.parse().ok()?,
            serves: serving && !ending,
        })
    };
    Some(Slice { id, endpoints: slice.endpoints.into_iter().filter_map(endpoint).collect() })
}

fn controller(metadata: &ObjectMeta) -> Option<String> {
    let owners = metadata.owner_references.iter().flatten();
    owners.into_iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone())
}

#[cfg(test)]
mod tests;
