//! The watches: every child of every event, compactly, into the cache; what changed pokes its event.

use super::cache::{Cache, EventKey, News};
use super::kind::Kind;
use super::metrics::Metrics;
use super::seen::{self, ObjectSeen, PodSeen};
use futures::{Stream, StreamExt as _, future::BoxFuture};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use lectern_api::labels;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What all watches share.
#[derive(Clone)]
pub struct Watches {
    /// The API server.
    pub client: Client,
    /// Where what they see is kept.
    pub cache: Arc<Cache>,
    /// Who is told which event changed.
    pub pokes: mpsc::UnboundedSender<EventKey>,
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
                    let Some(key) = key(&object) else { continue };
                    listed.insert((key.clone(), object.name_any()));
                    News::Is(key, object.name_any(), seen(&object))
                }
                Ok(watcher::Event::Apply(object)) => {
                    let Some(key) = key(&object) else { continue };
                    News::Is(key, object.name_any(), seen(&object))
                }
                Ok(watcher::Event::Delete(object)) => {
                    let Some(key) = key(&object) else { continue };
                    News::Gone(key, object.name_any())
                }
                Ok(watcher::Event::InitDone) => News::Only(namespace.clone(), std::mem::take(&mut listed)),
                Err(error) => {
                    self.metrics.watch_restarts.inc();
                    tracing::warn!(kind = %K::kind(&()), %error, "a watch broke off and starts again; what it has seen is kept");
                    continue;
                }
            };
            let done = matches!(news, News::Only(..));
            for key in take(news) {
                // The receiver goes when leadership does; this task goes with it.
                let _ = self.pokes.send(key);
            }
            if done && !complete {
                complete = true;
                self.waiting.send_modify(|waiting| *waiting -= 1);
            }
        }
    }
}

/// The event that an object of ours belongs to.
fn key<K: Resource>(object: &K) -> Option<EventKey> {
    let meta = object.meta();
    let name = meta.labels.as_ref()?.get(labels::EVENT)?.clone();
    Some(EventKey { namespace: meta.namespace.clone()?, name })
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
