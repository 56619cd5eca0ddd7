//! One look at one event: observe, validate, plan, render, apply, report.

pub mod apply;
pub mod observe;
mod pass;
mod plan;
mod render;
mod report;

use crate::audience::Round;
use crate::backend::cluster::metrics::Metrics;
use crate::backend::cluster::nodes::poll::Polls;
use crate::backend::cluster::rollout::maintain;
use crate::backend::cluster::rollout::slots::RolloutSlots;
use crate::backend::cluster::watch::cache::{Cache, EventKey};
use crate::backend::cluster::watch::zones::Zones;
use crate::policy::Policy;
use crate::render::{Identity, Installation};
use crate::scaling;
use crate::validate::{Event, Problem, validate};
use apply::LastApplied;
use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource as _, ResourceExt as _};
use lectern_api::keys;
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
use lectern_api::names::EventName;
use pass::{EventPass, Obstacle};
use report::Report;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// An event that one cannot read must not stop the others.
pub type Guarded = DeserializeGuard<LiveEvent>;

/// Longest one look: an API server that does not answer is asked again later.
const LONGEST: Duration = Duration::from_secs(30);
/// An event is looked at this often even if nothing happens.
const AT_REST: Duration = Duration::from_secs(300);
/// And this often when something has come in its way; the longer that lasts, the less often.
const IN_TROUBLE: Duration = Duration::from_secs(10);
/// What lasts is looked at after each fifth of its time: a thousand events whose image is missing are no load.
const TROUBLE_PART: u32 = 5;
/// What is left of a deleted event of the same name is gone in about this time.
const LEFTOVER: Duration = Duration::from_secs(1);
/// After a failure an event waits, twice as long each time.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(120);
/// What all looks share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What holds for all events.
    pub installation: Installation,
    /// What they may ask for.
    pub policy: Policy,
    /// What keys are derived from.
    pub root: Vec<u8>,
    /// What the watches have told.
    pub cache: Arc<Cache>,
    /// All events.
    pub events: OnceLock<Vec<Store<Guarded>>>,
    /// What the ingests say.
    pub polls: Polls,
    /// Who watches.
    pub rounds: watch::Receiver<Arc<Round>>,
    /// Why metrics cannot come.
    pub metrics_problem: watch::Receiver<Option<(String, String)>>,
    /// Who writes Events.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where nodes are.
    pub zones: Zones,
    /// Whose turn it is to get a new image.
    pub slots: RolloutSlots,
    /// What was done before, by event.
    pub memories: Mutex<HashMap<EventKey, Arc<tokio::sync::Mutex<Memory>>>>,
}

/// What was done for one event before.
#[derive(Default)]
pub struct Memory {
    uid: String,
    applied: LastApplied,
    report: Report,
    scaling: scaling::Memory,
    maintenance: maintain::Memory,
    failures: u32,
    trouble_since: Option<Instant>,
}

impl Memory {
    /// Something is in the event's way, or nothing is.
    fn note(&mut self, trouble: bool, now: Instant) {
        self.trouble_since = trouble.then(|| self.trouble_since.unwrap_or(now));
    }

    /// How long to wait while something is in the event's way.
    fn patience(&self, now: Instant) -> Duration {
        let lasts = self.trouble_since.map(|since| now.saturating_duration_since(since));
        (lasts.unwrap_or_default() / TROUBLE_PART).clamp(IN_TROUBLE, AT_REST)
    }
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is applied for an event without these.
    #[error("the event has no {0}")]
    Incomplete(&'static str),
    /// An object could not be written as JSON.
    #[error("failed to write an object: {0}")]
    Json(serde_json::Error),
    /// A request failed.
    #[error(transparent)]
    Request(apply::Error),
    /// The API server did not answer in time.
    #[error("no answer from the API server within {} s", LONGEST.as_secs())]
    Late,
}

impl Context {
    /// Forgets an event that is gone.
    pub fn forget(&self, key: &EventKey) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.polls.forget(key);
        self.slots.give_back(key);
        self.metrics.forget(key);
    }

    /// Forgets the events of `namespace` (None: of all) that are not among `there`.
    pub fn forget_others(&self, namespace: Option<&str>, there: &HashSet<EventKey>) {
        let known: Vec<EventKey> =
            self.memories.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        others(&known, namespace, there).for_each(|key| self.forget(key));
    }

    /// Whether the watch of events shows it.
    fn is_there(&self, key: &EventKey) -> bool {
        let event = ObjectRef::new(&key.name).within(&key.namespace);
        self.events.get().is_none_or(|stores| stores.iter().any(|store| store.get(&event).is_some()))
    }

    fn memory(&self, key: &EventKey) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut all = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key.clone()).or_default())
    }
}

/// Those of `known` in `namespace` (None: in all) that are not among `there`.
fn others<'a>(
    known: &'a [EventKey],
    namespace: Option<&'a str>,
    there: &'a HashSet<EventKey>,
) -> impl Iterator<Item = &'a EventKey> {
    let concerned = move |key: &&EventKey| namespace.is_none_or(|namespace| key.namespace == namespace);
    known.iter().filter(concerned).filter(|key| !there.contains(key))
}

/// Looks at `guarded`.
///
/// # Errors
/// What failed; it is looked at again after a while.
pub async fn reconcile(guarded: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let namespace = guarded.namespace().ok_or(Error::Incomplete("namespace"))?;
    let key = EventKey { namespace, name: guarded.name_any() };
    if guarded.meta().deletion_timestamp.is_some() {
        // Its objects are deleted with it; applying would bring them back.
        context.forget(&key);
        return Ok(Action::await_change());
    }
    let began = Instant::now();
    let memory = context.memory(&key);
    let mut memory = memory.lock().await;
    let uid = guarded.uid().ok_or(Error::Incomplete("uid"))?;
    if memory.uid != uid {
        *memory = Memory { uid, ..Memory::default() };
    }
    let done = timeout(LONGEST, look(&guarded, &key, &context, &mut memory)).await.unwrap_or(Err(Error::Late));
    context.metrics.reconciles.inc();
    context.metrics.duration.observe(began.elapsed().as_secs_f64());
    if !context.is_there(&key) {
        // It was deleted during the look, which has just made it known again.
        context.forget(&key);
        return Ok(Action::await_change());
    }
    match done {
        Ok(wait) => {
            memory.failures = 0;
            Ok(Action::requeue(wait))
        }
        Err(Error::Request(error)) if error.is_namespace_terminating() => {
            tracing::debug!(event = %key, "its namespace is being deleted");
            Ok(Action::requeue(IN_TROUBLE))
        }
        Err(error) => {
            memory.failures = memory.failures.saturating_add(1);
            let wait = back_off(memory.failures);
            tracing::warn!(event = %key, %error, again_s = wait.as_secs_f32(), "failed to bring the event to what it should be");
            Ok(Action::requeue(wait))
        }
    }
}

fn back_off(failures: u32) -> Duration {
    BACK_OFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(12)).min(BACK_OFF_MAX)
}

async fn look(guarded: &Guarded, key: &EventKey, context: &Context, memory: &mut Memory) -> Result<Duration, Error> {
    let raw = match &guarded.0 {
        Ok(raw) => raw,
        Err(unreadable) => {
            let problem = Problem { field: "spec".into(), message: format!("it cannot be read: {}", unreadable.error) };
            return refuse(context, key, unreadable.metadata.generation, &[problem], None, memory).await;
        }
    };
    match validate(raw) {
        Ok(event) => accepted(raw, &event, key, context, memory).await,
        Err(problems) => refuse(context, key, raw.metadata.generation, &problems, Some(raw), memory).await,
    }
}

/// A spec that cannot work changes nothing but the status.
async fn refuse(
    context: &Context,
    key: &EventKey,
    generation: Option<i64>,
    problems: &[Problem],
    raw: Option<&LiveEvent>,
    memory: &mut Memory,
) -> Result<Duration, Error> {
    // What its Deployments have begun they go on with; beyond that nothing rolls that would need its turn.
    let rolls = EventName::new(&key.name).is_ok_and(|name| observe::rolls(&context.cache.children(key), &name));
    if !rolls {
        context.slots.give_back(key);
    }
    let previous = memory.report.previous(raw.and_then(|raw| raw.status.as_ref()));
    let status = crate::plan::status::refused(generation, problems, previous.as_ref(), Timestamp::now());
    report(context, key, &status, (0, 0), previous.as_ref(), memory).await?;
    Ok(AT_REST)
}

/// A spec that can work is carried out as far as nothing outside it stands in the way, and reported.
async fn accepted(
    raw: &LiveEvent,
    event: &Event,
    key: &EventKey,
    context: &Context,
    memory: &mut Memory,
) -> Result<Duration, Error> {
    let previous = memory.report.previous(raw.status.as_ref());
    let pass = EventPass {
        raw,
        event,
        key,
        context,
        children: context.cache.children(key),
        audience: context.rounds.borrow().events.get(&event.id()).cloned(),
        previous: previous.as_ref(),
        identity: Identity { uid: raw.metadata.uid.clone(), seed: keys::seed(&context.root, &event.id()) },
        now: Timestamp::now(),
    };
    let mut seen = pass.snapshot(memory);
    let mut decision = pass.decide(&mut seen)?;
    let mut wait = AT_REST;
    let mut trouble = false;
    if !event.paused {
        match pass.obstacle(&decision, &mut seen, memory).await? {
            Obstacle::Leftover => return Ok(LEFTOVER),
            Obstacle::Objection => {
                decision = pass.decide(&mut seen)?;
                trouble = true;
            }
            Obstacle::None => wait = wait.min(pass.carry_out(&decision, &seen, memory).await?),
        }
    }
    memory.scaling = decision.plan.scaling.memory.clone();
    let plan = &decision.plan;
    let status = crate::plan::status::of(event, plan, &seen, previous.as_ref(), pass.now);
    let bounds = (plan.edges.replicas.min, plan.edges.replicas.max);
    let later = report(context, key, &status, bounds, previous.as_ref(), memory).await?;
    trouble |= status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status != "True");
    let now = Instant::now();
    memory.note(trouble, now);
    if trouble {
        wait = wait.min(memory.patience(now));
    }
    let next = [plan.look_again, later].into_iter().flatten().min();
    Ok(next.map_or(wait, |next| until(next, pass.now).min(wait)))
}

/// Not before a moment has passed: two looks at the same instant see the same.
fn until(next: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
    left.max(Duration::from_millis(100))
}

async fn report(
    context: &Context,
    key: &EventKey,
    status: &LiveEventStatus,
    bounds: (u32, u32),
    previous: Option<&LiveEventStatus>,
    memory: &mut Memory,
) -> Result<Option<Timestamp>, Error> {
    let demand = context.rounds.borrow().events.get(&key.to_string()).map(|audience| audience.demand);
    context.metrics.event(key, status, bounds, demand);
    let writer = report::Writer { client: &context.client, recorder: &context.recorder, key, uid: &memory.uid };
    let done = writer.report(status, previous, &mut memory.report).await;
    done.inspect_err(|_| context.metrics.failed("report")).map_err(Error::Request)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its event must fail")]

    use super::*;
    use crate::backend::cluster::watch::cache::News;
    use crate::backend::cluster::watch::kind::Kind;
    use crate::backend::cluster::watch::seen::{self, ObjectSeen};
    use crate::render::{Metrics as Backend, PullPolicy};
    use kube::client::Body;
    use kube::runtime::events::Reporter;
    use kube::runtime::{reflector, watcher};
    use lectern_api::live_event::ExposeType;
    use lectern_api::node_config::ForwardPolicy;
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    /// All that looks share, with an API server that has nothing and takes everything.
    fn context(events: Store<Guarded>) -> Arc<Context> {
        let service = tower::service_fn(async |request: http::Request<Body>| {
            let (code, answer) = if request.method() == http::Method::GET {
                (404, json!({"status": "Failure", "reason": "NotFound", "message": "not found", "code": 404}))
            } else {
                let gala = json!({
                    "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"name": "gala"},
                    "spec": {"streams": [{"name": "a"}]},
                });
                (200, gala)
            };
            let body = Body::from(answer.to_string().into_bytes());
            Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap())
        });
        let client = Client::new(service, "n");
        let installation = Installation {
            node_image: "i".into(),
            pull_policy: PullPolicy::IfNotPresent,
            pull_secrets: Vec::new(),
            namespace: "lectern-system".into(),
            scrape_namespaces: Vec::new(),
            metrics: Backend::Operator,
            forward_policy: ForwardPolicy::default(),
        };
        Arc::new(Context {
            installation,
            policy: Policy {
                expose_types: vec![ExposeType::LoadBalancer, ExposeType::ClusterIP],
                annotation_prefixes: Vec::new(),
            },
            root: b"root".to_vec(),
            cache: Arc::default(),
            events: OnceLock::from(vec![events]),
            polls: Polls::new(mpsc::unbounded_channel().0),
            rounds: watch::channel(Arc::default()).1,
            metrics_problem: watch::channel(None).1,
            recorder: Recorder::new(client.clone(), Reporter { controller: "lectern".into(), instance: None }),
            metrics: Arc::default(),
            zones: Zones::default(),
            slots: RolloutSlots::default(),
            memories: Mutex::default(),
            client,
        })
    }

    /// An event with the uid `u`.
    fn event(name: &str, annotations: &Value, spec: &Value, status: &Value) -> Guarded {
        let metadata = json!({"name": name, "namespace": "n", "uid": "u", "generation": 1, "annotations": annotations});
        let mut event = json!({"apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": metadata});
        (event["spec"], event["status"]) = (spec.clone(), status.clone());
        serde_json::from_value(event).unwrap()
    }

    /// A Deployment that has replaced as many of its two pods.
    fn deployment(replaced: u32) -> News<ObjectSeen> {
        let owner = json!({"apiVersion": "v", "kind": "LiveEvent", "name": "gala", "uid": "u", "controller": true});
        let deployment = serde_json::from_value(json!({
            "metadata": {"name": "gala-edge", "namespace": "n", "uid": "d", "ownerReferences": [owner]},
            "spec": {"replicas": 2, "selector": {}, "template": {}},
            "status": {"replicas": 2, "updatedReplicas": replaced},
        }));
        let key = EventKey { namespace: "n".into(), name: "gala".into() };
        News::Is(key, "gala-edge".into(), seen::deployment(&deployment.unwrap()))
    }

    /// Looks at `gala` while it and four others have their turn; whether a sixth event may have one afterwards.
    async fn frees_its_turn(gala: Guarded, replaced: Option<u32>) -> bool {
        let (reader, mut writer) = reflector::store::<Guarded>();
        writer.apply_watcher_event(&watcher::Event::Apply(gala.clone()));
        let context = context(reader);
        replaced.into_iter().for_each(|replaced| drop(context.cache.object(Kind::Deployment, deployment(replaced))));
        let key = |name: &str| EventKey { namespace: "n".into(), name: name.into() };
        for name in ["gala", "a", "b", "c", "d"] {
            assert!(context.slots.take(&key(name)));
        }
        let _ = reconcile(Arc::new(gala), Arc::clone(&context)).await;
        context.slots.take(&key("e"))
    }

    #[tokio::test]
    async fn an_event_whose_spec_is_refused_keeps_its_turn_only_while_it_still_rolls() {
        let invalid = json!({"streams": [{"name": "a"}], "edges": {"min": 9, "max": 2}});
        for (spec, readable) in [(json!("unreadable"), false), (invalid, true)] {
            for (replaced, freed) in [(None, true), (Some(1), false), (Some(2), true)] {
                let gala = event("gala", &json!({}), &spec, &json!({}));
                assert_eq!(gala.0.is_ok(), readable, "{gala:?}");
                assert_eq!(frees_its_turn(gala, replaced).await, freed, "{spec}, {replaced:?} replaced");
            }
        }
    }

    #[tokio::test]
    async fn an_event_for_which_nothing_is_done_takes_no_turn() {
        let status = json!({"nodeImage": "older"});
        let paused = json!({"lectern.dev/paused": "true"});
        let (inside, forbidden) = (json!({"type": "ClusterIP"}), json!({"type": "NodePort"}));
        for (annotations, expose, freed) in
            [(json!({}), &inside, false), (paused, &inside, true), (json!({}), &forbidden, true)]
        {
            let ingest = json!({"updatePolicy": "Immediate", "expose": expose});
            let spec = json!({"streams": [{"name": "a"}], "ingest": ingest});
            let gala = event("gala", &annotations, &spec, &status);
            assert!(gala.0.is_ok(), "{gala:?}");
            assert_eq!(frees_its_turn(gala, Some(2)).await, freed, "{annotations} {spec}");
        }
    }

    #[tokio::test]
    async fn an_event_that_was_deleted_during_a_look_is_not_known_afterwards() {
        let event: Guarded = serde_json::from_value(json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
            "metadata": {"name": "gala", "namespace": "n", "uid": "u"}, "spec": "unreadable",
        }))
        .unwrap();
        let (reader, mut writer) = reflector::store::<Guarded>();
        let context = context(reader);
        for (there, news) in
            [(true, watcher::Event::Apply(event.clone())), (false, watcher::Event::Delete(event.clone()))]
        {
            writer.apply_watcher_event(&news);
            reconcile(Arc::new(event.clone()), Arc::clone(&context)).await.unwrap();
            assert_eq!(context.metrics.text().contains("gala"), there, "{}", context.metrics.text());
            assert_eq!(context.memories.lock().unwrap().is_empty(), !there);
        }
    }

    #[test]
    fn what_lasts_is_looked_at_less_and_less_often_until_it_is_over() {
        let began = Instant::now();
        let mut memory = Memory::default();
        for (after_s, trouble, wait_s) in [
            (0, true, 10),
            (40, true, 10),
            (100, true, 20),
            (1_000, true, 200),
            (9_000, true, 300),
            (9_001, false, 10),
            (9_002, true, 10),
        ] {
            let now = began + Duration::from_secs(after_s);
            memory.note(trouble, now);
            assert_eq!(memory.patience(now), Duration::from_secs(wait_s), "after {after_s} s");
        }
    }

    #[test]
    fn events_that_went_while_nobody_watched_are_those_that_are_not_listed_any_more() {
        let key = |namespace: &str, name: &str| EventKey { namespace: namespace.into(), name: name.into() };
        let known = [key("a", "here"), key("a", "gone"), key("b", "other")];
        let there = HashSet::from([key("a", "here"), key("a", "new")]);
        assert_eq!(others(&known, Some("a"), &there).collect::<Vec<_>>(), [&known[1]]);
        assert_eq!(others(&known, None, &there).collect::<Vec<_>>(), [&known[1], &known[2]]);
    }
}
