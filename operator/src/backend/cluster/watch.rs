//! The watches: every child of every event, compactly, into the cache; what changed requeues its event.

pub mod cache;
pub mod children;
pub mod kind;
pub mod seen;
pub mod zones;

use crate::backend::cluster::key::EventKey;
use crate::backend::cluster::metrics::Metrics;
use crate::backend::cluster::requeue::Requeue;
use crate::kubernetes::api;
use cache::{Cache, News};
use futures::{Stream, StreamExt as _, future::BoxFuture};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kind::Kind;
use kube::api::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use lectern_api::labels;
use seen::{ObjectSeen, PodSeen};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::watch;

/// What all watches share.
#[derive(Clone)]
pub struct Watches {
    /// The API server.
    pub client: Client,
    /// Where what they see is kept.
    pub cache: Arc<Cache>,
    /// Where events that changed are requeued.
    pub requeue: Requeue,
    /// Watches that have not yet seen everything once.
    pub waiting: watch::Sender<usize>,
    /// Counts restarts.
    pub metrics: Arc<Metrics>,
}

impl Watches {
    /// Every watch of `namespace` (None: of all).
    #[must_use]
    pub fn of(&self, namespace: Option<&str>) -> Vec<BoxFuture<'static, ()>> {
        let mut all = vec![
            self.metadata::<ServiceAccount>(Kind::ServiceAccount, namespace),
            self.metadata::<Role>(Kind::Role, namespace),
            self.metadata::<RoleBinding>(Kind::RoleBinding, namespace),
            self.metadata::<ConfigMap>(Kind::ConfigMap, namespace),
            self.metadata::<NetworkPolicy>(Kind::NetworkPolicy, namespace),
            self.metadata::<PodDisruptionBudget>(Kind::PodDisruptionBudget, namespace),
            self.whole::<Service>(Kind::Service, namespace, seen::service),
            self.whole::<Deployment>(Kind::Deployment, namespace, seen::deployment),
            self.whole::<HorizontalPodAutoscaler>(Kind::Autoscaler, namespace, seen::autoscaler),
        ];
        let cache = Arc::clone(&self.cache);
        let take = move |news: News<PodSeen>| cache.pod(news);
        all.push(self.follow(api::<Pod>(&self.client, namespace), namespace, PodSeen::of, take));
        self.waiting.send_modify(|waiting| *waiting += all.len());
        all
    }

    /// Metadata alone cross the wire.
    fn metadata<K>(&self, kind: Kind, namespace: Option<&str>) -> BoxFuture<'static, ()>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let seen = |object: &PartialObjectMeta<K>| seen::metadata(&object.metadata);
        self.objects(api::<PartialObjectMeta<K>>(&self.client, namespace), kind, namespace, seen)
    }

    fn whole<K>(&self, kind: Kind, namespace: Option<&str>, seen: fn(&K) -> ObjectSeen) -> BoxFuture<'static, ()>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        self.objects(api::<K>(&self.client, namespace), kind, namespace, seen)
    }

    fn objects<K>(
        &self,
        api: Api<K>,
        kind: Kind,
        namespace: Option<&str>,
        seen: impl Fn(&K) -> ObjectSeen + Send + 'static,
    ) -> BoxFuture<'static, ()>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let cache = Arc::clone(&self.cache);
        self.follow(api, namespace, seen, move |news| cache.object(kind, news))
    }

    fn follow<K, T: Send + 'static>(
        &self,
        api: Api<K>,
        namespace: Option<&str>,
        seen: impl Fn(&K) -> T + Send + 'static,
        take: impl Fn(News<T>) -> Vec<EventKey> + Send + 'static,
    ) -> BoxFuture<'static, ()>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let config =
            watcher::Config::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_LECTERN));
        let stream = watcher(api, config).default_backoff();
        let (all, namespace) = (self.clone(), namespace.map(str::to_owned));
        Box::pin(async move { all.run(stream, namespace, seen, take).await })
    }

    async fn run<K: Resource<DynamicType = ()>, T>(
        self,
        stream: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
        namespace: Option<String>,
        seen: impl Fn(&K) -> T,
        take: impl Fn(News<T>) -> Vec<EventKey>,
    ) {
        let mut stream = std::pin::pin!(stream);
        let mut listed = HashSet::new();
        let mut complete = false;
        while let Some(event) = stream.next().await {
            let news = match event {
                Ok(watcher::Event::Init) => {
                    listed.clear();
                    continue;
                }
                Ok(watcher::Event::InitApply(object)) => {
                    listed.extend(key(&object).map(|key| (key, object.name_any())));
                    is(&object, &seen)
                }
                Ok(watcher::Event::Apply(object)) => is(&object, &seen),
                Ok(watcher::Event::Delete(object)) => gone(&object),
                Ok(watcher::Event::InitDone) => News::Only(namespace.clone(), std::mem::take(&mut listed)),
                Err(error) => {
                    self.metrics.watch_restarts.inc();
                    tracing::warn!(kind = %K::kind(&()), %error, "a watch broke off and starts again; what it has seen is kept");
                    continue;
                }
            };
            let done = matches!(news, News::Only(..));
            for key in take(news) {
                self.requeue.add(key);
            }
            if done && !complete {
                complete = true;
                self.waiting.send_modify(|waiting| *waiting -= 1);
            }
        }
    }
}

/// An object is there. Without the label it belongs to no event any more.
fn is<K: Resource, T>(object: &K, seen: &impl Fn(&K) -> T) -> News<T> {
    key(object).map_or_else(|| gone(object), |key| News::Is(key, object.name_any(), seen(object)))
}

fn gone<K: Resource, T>(object: &K) -> News<T> {
    News::Gone(object.namespace().unwrap_or_default(), object.name_any())
}

/// The event that an object of ours belongs to.
fn key<K: Resource>(object: &K) -> Option<EventKey> {
    let meta = object.meta();
    let name = meta.labels.as_ref()?.get(labels::EVENT)?.clone();
    Some(EventKey { namespace: meta.namespace.clone()?, name })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its object must fail")]

    use super::*;
    use futures::{FutureExt as _, stream};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn an_object_that_loses_its_events_label_is_not_the_events_any_more() {
        let unreachable = tower::service_fn(async |_: http::Request<kube::client::Body>| {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("no server answers"))
        });
        let requeue = Requeue::new([None]);
        let mut due = std::pin::pin!(requeue.due(None));
        let watches = Watches {
            client: Client::new(unreachable, "n"),
            cache: Arc::default(),
            requeue,
            waiting: watch::channel(1).0,
            metrics: Arc::default(),
        };
        let service = |version: &str, labels: Value| -> Service {
            let metadata = json!({"name": "gala-edge", "namespace": "n", "resourceVersion": version, "labels": labels});
            serde_json::from_value(json!({"metadata": metadata})).unwrap()
        };
        let seen = stream::iter([
            watcher::Event::Init,
            watcher::Event::InitApply(service("1", json!({"lectern.dev/event": "gala"}))),
            watcher::Event::InitDone,
            watcher::Event::Apply(service("2", json!({}))),
        ]);
        let (cache, waiting) = (Arc::clone(&watches.cache), watches.waiting.clone());
        let take = |news| cache.object(Kind::Service, news);
        watches.run(seen.map(Ok), None, seen::service, take).await;
        let gala = EventKey { namespace: "n".into(), name: "gala".into() };
        assert!(cache.children(&gala).objects.is_empty());
        assert_eq!((due.next().now_or_never(), due.next().now_or_never()), (Some(Some(gala)), None), "it is due once");
        assert_eq!(*waiting.borrow(), 0);
    }
}
