//! `lectern operator`: LiveEvents of a Kubernetes cluster, brought to what they should be.
//!
//! Two replicas, one of which leads. The leader watches events and everything that belongs to them, asks ingests and
//! the metrics server what they know, and looks at an event whenever something about it changed: `observe → validate →
//! plan → render → apply → report`. What one look does is in `reconcile`; everything that is decided is decided in pure
//! code. Nothing of the data path depends on this process.

mod admin;
mod lead;
mod metrics;
mod news;
mod nodes;
mod options;
mod reconcile;
mod rollout;
mod watch;

pub use options::OperatorOptions;

use anyhow::{Context as _, Result};
use futures::future::join_all;
use futures::{Stream, StreamExt as _, stream};
use kube::runtime::controller::Action;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Config as ControllerConfig, Controller, Predicate as _, WatchStreamExt as _, predicates, watcher};
use kube::{Api, Client, ResourceExt as _};
use lead::{lease, root};
use lectern_process::signals::Stop;
use metrics::Metrics;
use nodes::ask::{self, Asked};
use nodes::poll;
use reconcile::{Context, Guarded, reconcile};
use rollout::slots;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use watch::cache::{Cache, EventKey};
use watch::zones;

/// Events that are looked at side by side. More would not make an API server faster that is busy with these.
const SIDE_BY_SIDE: u16 = 4;
/// What happens to an event within this time is looked at once.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long looks that are under way may take after SIGTERM.
const STOP: Duration = Duration::from_secs(10);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When an option cannot work, the admin port is taken, or no API server is configured. An API server that does not
/// answer is waited for.
pub fn main(options: &OperatorOptions) -> Result<()> {
    crate::telemetry::init(&options.service.logs);
    // Two of its kind in the tree would make the first connection panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("failed to start the runtime")?.block_on(run(options))
}

async fn run(options: &OperatorOptions) -> Result<()> {
    let policy = options.policy()?;
    let client =
        Client::try_default().await.context("failed to find an API server (KUBECONFIG, or run it in a pod)")?;
    let metrics = Arc::new(Metrics::default());
    let stop = Stop::listen()?.token();
    admin::serve(options.service.listen_admin, Arc::clone(&metrics), stop.clone()).await?;
    let identity = options.service.pod_name.clone().unwrap_or_else(|| format!("{}-{}", hostname(), std::process::id()));
    let mut leadership = lease::Leadership::new(client.clone(), &options.service.namespace, &options.lease, &identity);
    tracing::info!(identity, lease = options.lease, "waiting to lead");
    while leadership.acquire(&stop).await {
        tracing::info!(identity, "leading");
        metrics.leader.set(1);
        let ended = CancellationToken::new();
        let work = lead(options, &policy, client.clone(), &identity, Arc::clone(&metrics), ended.clone());
        tokio::pin!(work);
        let stopped = tokio::select! {
            // Dropping the work is what stops writing at once.
            () = leadership.hold() => false,
            () = &mut work => false,
            () = stop.cancelled() => true,
        };
        if stopped {
            ended.cancel();
            let _ = tokio::time::timeout(STOP, &mut work).await;
            leadership.release().await;
        }
        metrics.leader.set(0);
        metrics.forget_all();
        if stopped {
            break;
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn hostname() -> String {
    nix::sys::utsname::uname().ok().and_then(|name| name.nodename().to_str().map(str::to_owned)).unwrap_or_default()
}

/// Everything that the leader does. Ends when `ended` is cancelled; dropped, it stops at once.
async fn lead(
    options: &OperatorOptions,
    policy: &crate::policy::Policy,
    client: Client,
    identity: &str,
    metrics: Arc<Metrics>,
    ended: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let (pokes, poked) = mpsc::unbounded_channel();
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
    tasks.spawn(asked.run(rounds, pokes.clone()));
    let zones = zones::Zones::default();
    tasks.spawn(zones.clone().follow(client.clone()));
    let cache = Arc::new(Cache::default());
    let waiting = channel::channel(0).0;
    let watches = watch::Watches {
        client: client.clone(),
        cache: Arc::clone(&cache),
        pokes: pokes.clone(),
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
        polls: poll::Polls::new(pokes),
        rounds: heard,
        metrics_problem,
        recorder: Recorder::new(client.clone(), reporter),
        metrics,
        zones,
        slots: slots::RolloutSlots::default(),
        memories: Mutex::default(),
        client,
    });
    // What is not seen yet must not be taken for missing.
    if waiting.subscribe().wait_for(|waiting| *waiting == 0).await.is_ok() {
        tracing::info!("everything was seen once");
        look_at_events(options.service.scopes(), &context, poked, ended).await;
    }
}

/// One controller for each namespace that is watched.
async fn look_at_events(
    scopes: Vec<Option<String>>,
    context: &Arc<Context>,
    poked: mpsc::UnboundedReceiver<EventKey>,
    ended: CancellationToken,
) {
    let (mut controllers, mut stores, mut doors) = (Vec::new(), Vec::new(), HashMap::new());
    for scope in scopes {
        let (reader, writer) = reflector::store::<Guarded>();
        let (door, room) = mpsc::unbounded_channel();
        stores.push(reader.clone());
        let api = scope.as_deref().map_or_else(
            || Api::all(context.client.clone()),
            |namespace| Api::namespaced(context.client.clone(), namespace),
        );
        let events = events(api, writer, scope.clone(), Arc::clone(context));
        let config = ControllerConfig::default().concurrency(SIDE_BY_SIDE).debounce(TOGETHER);
        let room = stream::unfold(room, async |mut room: mpsc::UnboundedReceiver<EventKey>| {
            room.recv().await.map(|key| (ObjectRef::new(&key.name).within(&key.namespace), room))
        });
        let controller = Controller::for_stream(events, reader)
            .with_config(config)
            .reconcile_on(room)
            .graceful_shutdown_on(ended.clone().cancelled_owned())
            .run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(10)), Arc::clone(context));
        controllers.push(controller.for_each(|_| std::future::ready(())));
        doors.insert(scope, door);
    }
    let _ = context.events.set(stores.clone());
    tokio::select! {
        _ = join_all(controllers) => {}
        () = route(poked, context.metrics_problem.clone(), &stores, &doors) => {}
    }
}

/// Sends every poke to the controller of its namespace, until nobody pokes any more. Whose the metrics API is concerns
/// all events.
async fn route(
    mut poked: mpsc::UnboundedReceiver<EventKey>,
    mut problem: channel::Receiver<Option<(String, String)>>,
    stores: &[reflector::Store<Guarded>],
    doors: &HashMap<Option<String>, mpsc::UnboundedSender<EventKey>>,
) {
    let mut asked = true;
    loop {
        let keys: Vec<EventKey> = tokio::select! {
            key = poked.recv() => match key {
                Some(key) => vec![key],
                None => return,
            },
            changed = problem.changed(), if asked => {
                asked = changed.is_ok();
                let all = stores.iter().flat_map(reflector::Store::state);
                all.filter_map(|event| Some(EventKey { namespace: event.namespace()?, name: event.name_any() })).collect()
            }
        };
        for key in keys {
            if let Some(door) = doors.get(&None).or_else(|| doors.get(&Some(key.namespace.clone()))) {
                let _ = door.send(key);
            }
        }
    }
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
        // First the store: a look that ends in between asks it whether the event is still there.
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
