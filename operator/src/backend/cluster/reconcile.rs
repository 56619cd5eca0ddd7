//! One look at one event: observe, validate, plan, render, apply, report.

use super::apply::{self, Applied, Stranger, Target};
use super::cache::{Cache, EventKey, Surroundings};
use super::decide::{Decision, decide, name_taken};
use super::metrics::Metrics;
use super::observe::{self, Told};
use super::poll::Polls;
use super::report::{self, Report};
use super::turns::Turns;
use crate::audience::Round;
use crate::plan::{Images, Objection, Observed};
use crate::policy::Policy;
use crate::render::{Identity, Installation};
use crate::validate::{Event, Problem, validate};
use jiff::{SignedDuration, Timestamp};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use kube::{Client, Resource as _, ResourceExt as _};
use lectern_api::condition::reason;
use lectern_api::live_event::LiveEvent;
use lectern_api::{keys, labels};
use std::collections::HashMap;
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
/// And this often while something is in its way.
const IN_TROUBLE: Duration = Duration::from_secs(10);
/// What is left of a deleted event of the same name is gone in about this time.
const LEFTOVER: Duration = Duration::from_secs(1);
/// After a failure an event waits, twice as long each time.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(120);
/// So long after it was made an event's Secrets may still be taken away with those of an older event of its name.
const YOUNG: SignedDuration = SignedDuration::from_secs(120);

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
    /// Whose turn it is to get a new image.
    pub turns: Turns,
    /// What was done before, by event.
    pub memories: Mutex<HashMap<EventKey, Arc<tokio::sync::Mutex<Memory>>>>,
}

/// What was done for one event before.
#[derive(Default)]
pub struct Memory {
    uid: String,
    applied: Applied,
    report: Report,
    failures: u32,
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
        self.turns.give_back(key);
        self.metrics.forget(key);
    }

    fn memory(&self, key: &EventKey) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut all = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key.clone()).or_default())
    }
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
    match done {
        Ok(wait) => {
            memory.failures = 0;
            Ok(Action::requeue(wait))
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
    let previous = memory.report.previous(raw.and_then(|raw| raw.status.as_ref()));
    let status = crate::plan::status::refused(generation, problems, previous.as_ref(), Timestamp::now());
    report(context, key, &status, (0, 0), previous.as_ref(), memory).await?;
    Ok(AT_REST)
}

async fn accepted(
    raw: &LiveEvent,
    event: &Event,
    key: &EventKey,
    context: &Context,
    memory: &mut Memory,
) -> Result<Duration, Error> {
    let now = Timestamp::now();
    let around = context.cache.around(key);
    let previous = memory.report.previous(raw.status.as_ref());
    let identity = Identity { uid: raw.metadata.uid.clone(), seed: keys::seed(&context.root, &event.id()) };
    let mut seen = snapshot(raw, event, key, context, &around, previous.as_ref(), &identity, now);
    let mut decision = turned(event, key, &mut seen, &around, context, &identity, now)?;
    let target =
        Target { client: &context.client, namespace: &key.namespace, event: &key.name, uid: &memory.uid.clone() };
    let mut wait = AT_REST;
    if !event.paused {
        let blocked = seen.objections.iter().flatten().any(blocks);
        let strangers =
            if blocked { Vec::new() } else { strangers(&target, &decision, &around, memory, context).await? };
        if strangers.contains(&Stranger::Leftover) {
            return Ok(LEFTOVER);
        }
        if !strangers.is_empty() {
            seen.objections.get_or_insert_default().extend(strangers.iter().filter_map(not_ours));
            decision = turned(event, key, &mut seen, &around, context, &identity, now)?;
        } else if !blocked {
            let young = now.duration_since(told_created(raw)) < YOUNG;
            carry_out(&target, event, &decision, &seen, &around, young, memory, context).await?;
        }
        if blocked || !strangers.is_empty() {
            wait = IN_TROUBLE;
        }
    }
    let Decision { plan, .. } = &decision;
    let status = crate::plan::status::of(event, plan, &seen, previous.as_ref(), now);
    let bounds = (plan.edges.replicas.min, plan.edges.replicas.max);
    let later = report(context, key, &status, bounds, previous.as_ref(), memory).await?;
    if status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status != "True") {
        wait = wait.min(IN_TROUBLE);
    }
    let next = [plan.look_again, later].into_iter().flatten().min();
    Ok(next.map_or(wait, |next| until(next, now).min(wait)))
}

/// Not before a moment has passed: two looks at the same instant see the same.
fn until(next: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
    left.max(Duration::from_millis(100))
}

fn told_created(raw: &LiveEvent) -> Timestamp {
    raw.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0)
}

/// What is so around the event.
#[allow(clippy::too_many_arguments, reason = "everything that is known of an event comes together here")]
fn snapshot(
    raw: &LiveEvent,
    event: &Event,
    key: &EventKey,
    context: &Context,
    around: &Surroundings,
    previous: Option<&lectern_api::live_event::LiveEventStatus>,
    identity: &Identity,
    now: Timestamp,
) -> Observed {
    let ingest = context.polls.said(key, observe::ingest_pod(around));
    let mut objections = context.policy.objections(event);
    let stores = context.events.get().map(Vec::as_slice).unwrap_or_default();
    let others: Vec<_> = stores.iter().flat_map(Store::state).collect();
    let others = others.iter().filter_map(|other| other.0.as_ref().ok());
    objections.extend(name_taken(raw, others.filter(|other| other.metadata.namespace == raw.metadata.namespace)));
    objections.extend(ingest.as_ref().and_then(|(said, _)| mismatch(said, identity)));
    let rounds = context.rounds.borrow().clone();
    let told = Told {
        namespace: &key.namespace,
        name: &event.name,
        created: told_created(raw),
        around,
        ingest,
        audience: rounds.events.get(&event.id()),
        burst: None,
        images: Images {
            wanted: context.installation.node_image.clone(),
            in_use: previous.and_then(|status| status.node_image.clone()),
            turn: true,
        },
        objections,
        deleting: false,
        metrics: context.installation.metrics,
        metrics_problem: context.metrics_problem.borrow().clone(),
    };
    observe::observe(&told, now)
}

/// The ingest loaded another seed than the event's: somebody made a Secret of that name.
fn mismatch(said: &lectern_api::node_status::NodeStatus, identity: &Identity) -> Option<Objection> {
    let loaded = &said.ingest.as_ref()?.seed_fingerprint;
    let other = !loaded.is_empty() && *loaded != keys::fingerprint(identity.seed.as_bytes());
    other.then(|| Objection {
        reason: reason::KEY_MATERIAL_MISMATCH,
        message: "the ingest loaded another seed than this event's: delete the Secret whose name ends in -seed, and the ingest's pod".into(),
    })
}

/// The decision, with a new image only if it is the event's turn.
fn turned(
    event: &Event,
    key: &EventKey,
    seen: &mut Observed,
    around: &Surroundings,
    context: &Context,
    identity: &Identity,
    now: Timestamp,
) -> Result<Decision, Error> {
    let once = |seen: &Observed| decide(event, seen, around, identity, &context.installation, now).map_err(Error::Json);
    let decision = once(seen)?;
    let Some(images) = &mut seen.images else { return Ok(decision) };
    let behind = images.in_use.as_ref().is_some_and(|in_use| *in_use != images.wanted);
    let settled = [event.name.ingest(), event.name.edge()]
        .iter()
        .all(|name| observe::deployment(around, name).is_some_and(|known| known.settled));
    if !behind {
        if settled {
            context.turns.give_back(key);
        }
        return Ok(decision);
    }
    if decision.plan.rollout.image.as_ref() != Some(&images.wanted) || context.turns.take(key) {
        return Ok(decision);
    }
    images.turn = false;
    once(seen)
}

async fn strangers(
    target: &Target<'_>,
    decision: &Decision,
    around: &Surroundings,
    memory: &Memory,
    context: &Context,
) -> Result<Vec<Stranger>, Error> {
    let found = target.strangers(&decision.documents, around, &memory.applied).await;
    found.inspect_err(|_| context.metrics.failed("observe")).map_err(Error::Request)
}

fn not_ours(stranger: &Stranger) -> Option<Objection> {
    let Stranger::Foreign { kind, name } = stranger else { return None };
    let kind = kind.resource().kind;
    Some(Objection {
        reason: reason::NOT_OURS,
        message: format!(
            "there is a {kind} {name} that does not belong to this event: delete or rename it, or rename the event"
        ),
    })
}

/// Whether nothing may be made for the event because of it.
fn blocks(objection: &Objection) -> bool {
    [reason::NAME_TAKEN, reason::NOT_OURS, reason::FORBIDDEN_BY_POLICY].contains(&objection.reason)
}

#[allow(clippy::too_many_arguments, reason = "what was decided meets what was seen here")]
async fn carry_out(
    target: &Target<'_>,
    event: &Event,
    decision: &Decision,
    seen: &Observed,
    around: &Surroundings,
    young: bool,
    memory: &mut Memory,
    context: &Context,
) -> Result<(), Error> {
    let done = async {
        let trouble = young || !seen.ingest.as_ref().is_some_and(|ingest| ingest.ready);
        target.create_secrets(&decision.objects.secrets, trouble, &mut memory.applied).await?;
        target.apply(&decision.documents, &decision.held, around, &mut memory.applied).await?;
        annotate(target, decision, around).await?;
        super::scale::scale(target, event, &decision.plan, around, context.installation.metrics).await
    };
    done.await.inspect_err(|_| context.metrics.failed("apply")).map_err(Error::Request)
}

/// The hash of the configuration onto the ingest's pods: the kubelet then brings a changed ConfigMap at once.
async fn annotate(target: &Target<'_>, decision: &Decision, around: &Surroundings) -> Result<(), apply::Error> {
    let wanted = &decision.objects.ingest_pod_annotations;
    for pod in around.pods.values().filter(|pod| pod.role == labels::ROLE_INGEST && pod.lives()) {
        if wanted.iter().any(|(key, text)| pod.annotations.get(key) != text.as_ref()) {
            target.annotate_pod(&pod.name, wanted).await?;
        }
    }
    Ok(())
}

async fn report(
    context: &Context,
    key: &EventKey,
    status: &lectern_api::live_event::LiveEventStatus,
    bounds: (u32, u32),
    previous: Option<&lectern_api::live_event::LiveEventStatus>,
    memory: &mut Memory,
) -> Result<Option<Timestamp>, Error> {
    let demand = context.rounds.borrow().events.get(&key.to_string()).map(|audience| audience.demand);
    context.metrics.event(key, status, bounds, demand);
    let writer = report::Writer { client: &context.client, recorder: &context.recorder, key, uid: &memory.uid };
    let done = writer.report(status, previous, &mut memory.report).await;
    done.inspect_err(|_| context.metrics.failed("report")).map_err(Error::Request)
}
