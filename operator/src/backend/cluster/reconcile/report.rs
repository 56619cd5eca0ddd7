//! Stage 5, report: writes the status when it changed, and Events when something happened. Talks to the API server.

use super::apply::Applied;
use super::context::{AT_REST, Context, Memory};
use super::pass::{Error, EventPass};
use crate::backend::cluster::key::EventKey;
use crate::backend::cluster::news;
use crate::backend::cluster::requests::{self, MANAGER};
use crate::plan::status::{self, Write, due};
use crate::validate::Problem;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client};
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
use lectern_api::names::EventName;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Longest note of an Event (events.k8s.io/v1).
const NOTE_BYTES_MAX: usize = 1_000;

/// What was reported by earlier passes.
#[derive(Debug, Default)]
pub struct Reported {
    status: Option<LiveEventStatus>,
    written: Option<Timestamp>,
}

impl Reported {
    /// The status that is there: what was written last, else what was found.
    #[must_use]
    pub fn previous(&self, found: Option<&LiveEventStatus>) -> Option<LiveEventStatus> {
        self.status.clone().or_else(|| found.cloned())
    }
}

/// Reports what was applied. Gives when the next pass is due.
///
/// # Errors
/// When the API server refuses the status.
pub async fn report(pass: &EventPass<'_>, applied: &Applied, memory: &mut Memory) -> Result<Duration, Error> {
    let plan = applied.plan();
    memory.scaling = plan.scaling.memory.clone();
    let status = status::of(pass.event, plan, applied.observed(), pass.previous, pass.now);
    let bounds = (plan.edges.replicas.min, plan.edges.replicas.max);
    let later = write(pass.context, pass.key, &status, bounds, pass.previous, memory).await?;
    let not_ready = status.conditions.iter().any(|known| known.type_ == "Ready" && known.status != "True");
    let trouble = applied.objected() || not_ready;
    let now = Instant::now();
    memory.note(trouble, now);
    let patience = trouble.then(|| memory.patience(now));
    let next = [plan.look_again, later].into_iter().flatten().min().map(|next| pass.until(next));
    Ok([patience, next].into_iter().flatten().fold(applied.wait(), Duration::min))
}

/// Reports a spec that is not valid: it changes nothing but the status. Gives when the next pass is due.
///
/// # Errors
/// When the API server refuses the status.
pub async fn refuse(
    context: &Context,
    key: &EventKey,
    generation: Option<i64>,
    problems: &[Problem],
    raw: Option<&LiveEvent>,
    memory: &mut Memory,
) -> Result<Duration, Error> {
    // A rollout that has begun goes on and keeps its slot; without one there is nothing that needs it.
    let rolls = EventName::new(&key.name).is_ok_and(|name| context.cache.children(key).are_rolling_out(&name));
    if !rolls {
        context.slots.give_back(key);
    }
    let previous = memory.reported.previous(raw.and_then(|raw| raw.status.as_ref()));
    let status = status::refused(generation, problems, previous.as_ref(), Timestamp::now());
    write(context, key, &status, (0, 0), previous.as_ref(), memory).await?;
    Ok(AT_REST)
}

/// Sets the metrics of the event and writes its status. Gives when to write it, if it only has to wait.
async fn write(
    context: &Context,
    key: &EventKey,
    status: &LiveEventStatus,
    bounds: (u32, u32),
    previous: Option<&LiveEventStatus>,
    memory: &mut Memory,
) -> Result<Option<Timestamp>, Error> {
    let demand = context.rounds.borrow().events.get(&key.to_string()).map(|audience| audience.demand);
    context.metrics.event(key, status, bounds, demand);
    let writer = Writer::of(context, key, &memory.uid);
    let done = writer.update(status, previous, &mut memory.reported).await;
    done.inspect_err(|_| context.metrics.failed("report")).map_err(Error::Request)
}

/// Writes the status and the Events of one event.
pub struct Writer<'a> {
    client: &'a Client,
    recorder: &'a Recorder,
    key: &'a EventKey,
    uid: &'a str,
}

impl<'a> Writer<'a> {
    /// Of the event `key`, whose uid is `uid`.
    #[must_use]
    pub fn of(context: &'a Context, key: &'a EventKey, uid: &'a str) -> Self {
        Self { client: &context.client, recorder: &context.recorder, key, uid }
    }

    /// Writes `status` if it says something new over `previous`. Answers when to look again, if it only has to wait.
    ///
    /// # Errors
    /// When the API server refuses the status. Events that are refused are logged.
    async fn update(
        &self,
        status: &LiveEventStatus,
        previous: Option<&LiveEventStatus>,
        reported: &mut Reported,
    ) -> Result<Option<Timestamp>, requests::Error> {
        let now = Timestamp::now();
        match due(previous, status, reported.written, now) {
            Write::No => return Ok(None),
            Write::At(later) => return Ok(Some(later)),
            Write::Now => {}
        }
        self.write(status).await?;
        // An Event goes out once for a change of status, also when writing it fails.
        let all = news::between(previous, status);
        *reported = Reported { status: Some(status.clone()), written: Some(now) };
        for one in all {
            tracing::info!(event = %self.key, reason = one.reason, note = one.note, warning = one.warning, "event");
            self.publish(&one).await;
        }
        Ok(None)
    }

    async fn write(&self, status: &LiveEventStatus) -> Result<(), requests::Error> {
        let api: Api<LiveEvent> = Api::namespaced(self.client.clone(), &self.key.namespace);
        let body = json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
            "metadata": {"name": self.key.name, "uid": self.uid}, "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        let done = api.patch_status(&self.key.name, &params, &Patch::Apply(body)).await;
        done.map(drop).map_err(|error| requests::Error::new(format!("write the status of {}", self.key), error))
    }

    /// Writes one Event. One that cannot be written is logged, and changes nothing else.
    pub async fn publish(&self, news: &news::News) {
        let mut note = news.note.clone();
        let end = (0..=NOTE_BYTES_MAX.min(note.len())).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
        note.truncate(end);
        let event = Event {
            type_: if news.warning { EventType::Warning } else { EventType::Normal },
            reason: news.reason.clone(),
            note: Some(note),
            action: "Reconcile".into(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some("lectern.dev/v1alpha1".into()),
            kind: Some("LiveEvent".into()),
            name: Some(self.key.name.clone()),
            namespace: Some(self.key.namespace.clone()),
            uid: Some(self.uid.to_owned()),
            ..ObjectReference::default()
        };
        if let Err(error) = self.recorder.publish(&event, &about).await {
            tracing::warn!(event = %self.key, reason = news.reason, %error, "failed to write an Event");
        }
    }
}
