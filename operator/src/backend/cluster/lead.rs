//! What only the replica that leads does: it watches, asks, and runs the controllers, one for each namespace.

pub mod lease;
mod root;

use super::key::EventKey;
use super::metrics::Metrics;
use super::nodes::ask::{self, Asked};
use super::nodes::poll::Polls;
use super::options::OperatorOptions;
use super::reconcile::context::{Context, Guarded};
use super::reconcile::reconcile;
use super::requeue::Requeue;
use super::rollout::slots::RolloutSlots;
use super::watch::Watches;
use super::watch::cache::Cache;
use super::watch::zones::Zones;
use crate::kubernetes::api;
use futures::future::join_all;
use futures::{Stream, StreamExt as _};
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Config as ControllerConfig, Controller, Predicate as _, WatchStreamExt as _, predicates, watcher};
use kube::{Api, Client, ResourceExt as _};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Passes over events that run side by side. More would not make an API server faster that is busy with these.
const SIDE_BY_SIDE: u16 = 4;
/// What happens to an event within this time is one reason for a pass.
const TOGETHER: Duration = Duration::from_millis(100);
/// Everything that the leader does. Ends when `ended` is cancelled; dropped, it stops at once.
pub async fn lead(
    options: &OperatorOptions,
    policy: &crate::policy::Policy,
    client: Client,
    identity: &str,
    metrics: Arc<Metrics>,
    ended: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let requeue = Requeue::new(options.service.scopes());
    let (rounds, heard) = channel::channel(Arc::default());
    let (problem, metrics_problem) = channel::channel(None);
    let asked = Asked {
        client: client.clone(),
        namespace: options.service.namespace.clone(),
        service: options.service.metrics_service.clone(),
        secret: options.service.metrics_tls_secret.clone(),
    };
    if let Some(api_service) = options.service.metrics_backend.api_services().first() {
        tasks.spawn(ask::owner(asked.clone(), api_service, problem));
    }
    tasks.spawn(asked.run(rounds, requeue.clone()));
    let zones = Zones::default();
    tasks.spawn(zones.clone().follow(client.clone()));
    let cache = Arc::new(Cache::default());
    let waiting = channel::channel(0).0;
    let watches = Watches {
        client: client.clone(),
        cache: Arc::clone(&cache),
        requeue: requeue.clone(),
        waiting: waiting.clone(),
        metrics: Arc::clone(&metrics),
    };
    for scope in options.service.scopes() {
        watches.of(scope.as_deref()).into_iter().for_each(|watch| drop(tasks.spawn(watch)));
    }
    let reporter = Reporter { controller: "lectern".into(), instance: Some(identity.to_owned()) };
    let context = Arc::new(Context {
        installation: options.installation(),
        policy: policy.clone(),
        root: root::load(&client, &options.service.namespace, &options.root_secret).await,
        cache,
        events: OnceLock::new(),
        polls: Polls::new(requeue.clone()),
        rounds: heard,
        metrics_problem,
        recorder: Recorder::new(client.clone(), reporter),
        metrics,
        zones,
        slots: RolloutSlots::default(),
        memories: Mutex::default(),
        client,
    });
    // What is not seen yet must not be taken for missing.
    if waiting.subscribe().wait_for(|waiting| *waiting == 0).await.is_ok() {
        tracing::info!("everything was seen once");
        follow_events(options.service.scopes(), &context, &requeue, ended).await;
    }
}

/// One controller for each namespace that is watched.
async fn follow_events(
    scopes: Vec<Option<String>>,
    context: &Arc<Context>,
    requeue: &Requeue,
    ended: CancellationToken,
) {
    let (mut controllers, mut stores) = (Vec::new(), Vec::new());
    for scope in scopes {
        let (reader, writer) = reflector::store::<Guarded>();
        stores.push(reader.clone());
        let due = requeue.due(scope.as_deref()).map(|key| ObjectRef::new(&key.name).within(&key.namespace));
        let events = events(api(&context.client, scope.as_deref()), writer, scope, Arc::clone(context));
        let config = ControllerConfig::default().concurrency(SIDE_BY_SIDE).debounce(TOGETHER);
        let controller = Controller::for_stream(events, reader)
            .with_config(config)
            .reconcile_on(due)
            .graceful_shutdown_on(ended.clone().cancelled_owned())
            .run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(10)), Arc::clone(context));
        controllers.push(controller.for_each(|_| std::future::ready(())));
    }
    let _ = context.events.set(stores.clone());
    tokio::select! {
        _ = join_all(controllers) => {}
        () = requeue_all(context.metrics_problem.clone(), &stores, requeue) => {}
    }
}

/// Which server owns the metrics API concerns all events: they are requeued whenever that changes. Never ends.
async fn requeue_all(
    mut problem: channel::Receiver<Option<(String, String)>>,
    stores: &[reflector::Store<Guarded>],
    requeue: &Requeue,
) {
    while problem.changed().await.is_ok() {
        stores.iter().flat_map(reflector::Store::state).for_each(|event| requeue.add(key_of(&event)));
    }
    std::future::pending().await
}

/// Events of `scope` (None: of all namespaces) that are new or changed in anything but their status; those that are gone
/// are forgotten, also where a watch that broke off has missed that they went.
fn events(
    api: Api<Guarded>,
    writer: reflector::store::Writer<Guarded>,
    scope: Option<String>,
    context: Arc<Context>,
) -> impl Stream<Item = Result<Guarded, watcher::Error>> + Send {
    let mut listed = HashSet::new();
    watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|event| event.managed_fields_mut().clear())
        // First the store: a pass that ends in between asks it whether the event is still there.
        .reflect(writer)
        .inspect(move |news| match news {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(event)) => drop(listed.insert(key_of(event))),
            Ok(watcher::Event::InitDone) => context.forget_others(scope.as_deref(), &std::mem::take(&mut listed)),
            Ok(watcher::Event::Delete(event)) => context.forget(&key_of(event)),
            Ok(watcher::Event::Apply(_)) => {}
            Err(error) => {
                context.metrics.watch_restarts.inc();
                tracing::warn!(%error, "the watch of events broke off and starts again");
            }
        })
        .applied_objects()
        .predicate_filter(predicates::generation.combine(predicates::annotations), Default::default())
}

fn key_of(event: &Guarded) -> EventKey {
    EventKey { namespace: event.namespace().unwrap_or_default(), name: event.name_any() }
}
