//! One look at one event: observe, validate, plan, render, apply, report.

mod case;

use super::apply::{self, Applied};
use super::cache::{Cache, EventKey};
use super::metrics::Metrics;
use super::poll::Polls;
use super::report::{self, Report};
use super::tend;
use super::turns::Turns;
use super::zones::Zones;
use crate::audience::Round;
use crate::policy::Policy;
use crate::render::{Identity, Installation};
use crate::scaling;
use crate::validate::{Event, Problem, validate};
use case::{Case, Obstacle};
use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use kube::{Client, Resource as _, ResourceExt as _};
use lectern_api::keys;
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
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
    scaling: scaling::Memory,
    tending: tend::Memory,
    failures: u32,
    trouble_since: Option<Instant>,
}

impl Memory {
    /// How long to wait while something is in the event's way, or not.
    fn patience(&mut self, trouble: bool) -> Duration {
        if !trouble {
            self.trouble_since = None;
            return AT_REST;
        }
        let since = self.trouble_since.get_or_insert_with(Instant::now);
        (since.elapsed() / TROUBLE_PART).clamp(IN_TROUBLE, AT_REST)
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
        Err(Error::Request(error)) if error.is_farewell() => {
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
    let case = Case {
        raw,
        event,
        key,
        context,
        around: context.cache.around(key),
        audience: context.rounds.borrow().events.get(&event.id()).cloned(),
        previous: previous.as_ref(),
        identity: Identity { uid: raw.metadata.uid.clone(), seed: keys::seed(&context.root, &event.id()) },
        now: Timestamp::now(),
    };
    let mut seen = case.snapshot(memory);
    let mut decision = case.decide(&mut seen)?;
    let mut wait = AT_REST;
    let mut trouble = false;
    if !event.paused {
        match case.obstacle(&decision, &mut seen, memory).await? {
            Obstacle::Leftover => return Ok(LEFTOVER),
            Obstacle::Objection => {
                decision = case.decide(&mut seen)?;
                trouble = true;
            }
            Obstacle::None => wait = wait.min(case.carry_out(&decision, &seen, memory).await?),
        }
    }
    memory.scaling = decision.plan.scaling.memory.clone();
    let plan = &decision.plan;
    let status = crate::plan::status::of(event, plan, &seen, previous.as_ref(), case.now);
    let bounds = (plan.edges.replicas.min, plan.edges.replicas.max);
    let later = report(context, key, &status, bounds, previous.as_ref(), memory).await?;
    trouble |= status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status != "True");
    wait = wait.min(memory.patience(trouble));
    let next = [plan.look_again, later].into_iter().flatten().min();
    Ok(next.map_or(wait, |next| until(next, case.now).min(wait)))
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
