//! Stage 4, apply: brings the API server's objects to what was rendered. Talks to the API server: server-side apply under
//! one field manager, Secrets by creation alone, nothing adopted, nothing written twice.

use super::conflicts::{NameConflict, are_transient, blocks};
use super::context::{AT_REST, IN_TROUBLE, Memory};
use super::document::Document;
use super::last_applied::LastApplied;
use super::pass::{Error, EventPass};
use super::plan::plan;
use super::render::{Rendered, render, superfluous};
use super::writer::Writer;
use crate::backend::cluster::requests::{self, Target};
use crate::backend::cluster::rollout::maintain::Maintenance;
use crate::backend::cluster::rollout::scale;
use crate::backend::cluster::watch::kind::Kind;
use crate::backend::cluster::watch::seen::{self, Owner};
use crate::plan::{Observed, Plan};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use lectern_api::labels;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Requests of one event that are under way at the same time.
const SIDE_BY_SIDE: usize = 6;
/// So long after it was made an event's Secrets may still be taken away with those of an older event of its name.
const YOUNG: SignedDuration = SignedDuration::from_secs(120);
/// What is left of a deleted event of the same name is gone in about this time.
const LEFTOVER: Duration = Duration::from_secs(1);

/// What came of a pass that was carried out as far as anything outside the spec lets it. Only this stage makes one, and a
/// status is made from nothing else: no status tells of objects that were not applied.
pub struct Applied {
    plan: Plan,
    observed: Observed,
    wait: Duration,
    objected: bool,
}

impl Applied {
    /// The plan that the API server's objects follow, or that waits for what stands in its way.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the plan was made from, with the objections that applying met.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// When the next pass is due at the latest.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Whether an objection kept the objects from being applied.
    #[must_use]
    pub fn objected(&self) -> bool {
        self.objected
    }
}

/// How a pass goes on.
pub enum Outcome {
    /// It is reported.
    Applied(Box<Applied>),
    /// It ends here: what is left of a deleted event of the same name will be gone after this time.
    Postponed(Duration),
}

/// Applies `rendered`, unless the event is paused or an objection forbids it.
///
/// # Errors
/// The first request that failed; what was done before stays done.
pub async fn apply(
    pass: &EventPass<'_>,
    rendered: Rendered,
    mut observed: Observed,
    memory: &mut Memory,
) -> Result<Outcome, Error> {
    let applied = |rendered: Rendered, observed: Observed, wait: Duration, objected: bool| {
        Ok(Outcome::Applied(Box::new(Applied { plan: rendered.plan, observed, wait, objected })))
    };
    if pass.event.paused {
        return applied(rendered, observed, AT_REST, false);
    }
    if observed.objections.iter().flatten().any(blocks) {
        return applied(rendered, observed, AT_REST, true);
    }
    let conflicts = name_conflicts(pass, &rendered.documents, memory).await;
    let conflicts = conflicts.inspect_err(|_| pass.context.metrics.failed("observe")).map_err(Error::Request)?;
    if are_transient(&conflicts, pass.now.duration_since(pass.created())) {
        return Ok(Outcome::Postponed(LEFTOVER));
    }
    if !conflicts.is_empty() {
        observed.objections.get_or_insert_default().extend(conflicts.iter().map(NameConflict::objection));
        let plan = plan(pass, &mut observed);
        return applied(render(pass, plan)?, observed, AT_REST, true);
    }
    let wait = carry_out(pass, &rendered, &observed, memory).await;
    let wait = wait.inspect_err(|_| pass.context.metrics.failed("apply")).map_err(Error::Request)?;
    applied(rendered, observed, wait, false)
}

/// Objects that have the names of `documents` and are not ours. What no watch shows is asked for: it may be there without
/// our label.
async fn name_conflicts(
    pass: &EventPass<'_>,
    documents: &[Document],
    memory: &Memory,
) -> Result<Vec<NameConflict>, requests::Error> {
    // Collected first: a stream that still holds the closure could not be sent to another thread.
    let asked: Vec<_> = documents.iter().map(|document| name_conflict(pass, document, memory)).collect();
    let found: Vec<_> = stream::iter(asked).buffered(SIDE_BY_SIDE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn name_conflict(
    pass: &EventPass<'_>,
    document: &Document,
    memory: &Memory,
) -> Result<Option<NameConflict>, requests::Error> {
    let target = pass.target(&memory.uid);
    if let Some(known) = pass.children.objects.get(&document.key()) {
        return Ok(conflict_with(&target, document, known.owner.as_ref()));
    }
    if memory.applied.knows(document.kind, &document.name) {
        return Ok(None);
    }
    let owner = target.owner_of(document.kind, &document.name).await?;
    Ok(owner.and_then(|owner| conflict_with(&target, document, owner.as_ref())))
}

fn conflict_with(target: &Target<'_>, document: &Document, owner: Option<&Owner>) -> Option<NameConflict> {
    let (kind, name) = document.key();
    match owner {
        Some(owner) if owner.uid == target.uid => None,
        Some(owner) if owner.kind == "LiveEvent" && owner.name == target.event => {
            Some(NameConflict::Leftover { kind, name })
        }
        Some(_) | None => Some(NameConflict::Foreign { kind, name }),
    }
}

/// Makes the requests, in order. Gives when the next pass is due at the latest.
async fn carry_out(
    pass: &EventPass<'_>,
    rendered: &Rendered,
    observed: &Observed,
    memory: &mut Memory,
) -> Result<Duration, requests::Error> {
    let uid = memory.uid.clone();
    let target = pass.target(&uid);
    let young = pass.now.duration_since(pass.created()) < YOUNG;
    let trouble = !observed.ingest.as_ref().is_some_and(|ingest| ingest.ready);
    let again = match (young, trouble) {
        (true, _) => IN_TROUBLE,
        (false, true) => memory.patience(Instant::now()),
        (false, false) => AT_REST,
    };
    create_secrets(&target, &rendered.objects.secrets, again, &mut memory.applied).await?;
    write_objects(pass, &target, rendered, &mut memory.applied).await?;
    annotate_ingest(pass, &target, rendered).await?;
    scale::scale(&target, pass.event, &rendered.plan, &pass.children, pass.context.installation.metrics).await?;
    maintain(pass, &target, rendered, observed, memory).await
}

/// Creates the Secrets that may not be there, if that was not done within `again`: they cannot be looked at, and one may
/// have been deleted.
async fn create_secrets(
    target: &Target<'_>,
    secrets: &[Secret],
    again: Duration,
    applied: &mut LastApplied,
) -> Result<(), requests::Error> {
    let recent = applied.secrets_are_recent(again);
    let due = secrets.iter().filter(|secret| !recent || !applied.has_secret(&secret.name_any()));
    let created: Vec<_> = due.map(|secret| target.create_secret(secret)).collect();
    stream::iter(created).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
    applied.note_secrets(secrets.iter().map(Secret::name_any).collect(), !recent);
    Ok(())
}

/// Applies what is not as it should be and deletes what should not be.
async fn write_objects(
    pass: &EventPass<'_>,
    target: &Target<'_>,
    rendered: &Rendered,
    applied: &mut LastApplied,
) -> Result<(), requests::Error> {
    for step in 0..=Kind::Autoscaler.step() {
        let of_step = rendered.documents.iter().filter(|document| document.kind.step() == step);
        let due: Vec<&Document> = of_step.filter(|document| applied.is_due(document, &pass.children)).collect();
        let due: Vec<_> = due.into_iter().map(|document| write_object(pass, target, document)).collect();
        // All of them are finished even if one fails: half a step is done again otherwise, and may fail again.
        let done: Vec<_> = stream::iter(due).buffer_unordered(SIDE_BY_SIDE).collect().await;
        let mut failed = None;
        for result in done {
            match result {
                Ok((document, answer)) => {
                    let version = answer.resource_version().unwrap_or_default();
                    applied.note(document, version, seen::answer(document.kind, &answer).as_ref());
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
    for (kind, name, uid) in superfluous([&rendered.documents, &rendered.held], &pass.children, target.uid) {
        target.delete(kind, &name, &uid).await?;
        applied.forget(kind, &name);
    }
    Ok(())
}

async fn write_object<'d>(
    pass: &EventPass<'_>,
    target: &Target<'_>,
    document: &'d Document,
) -> Result<(&'d Document, DynamicObject), requests::Error> {
    let mut value = document.value.clone();
    // An apply that carries a uid can only ever change that very object.
    if let Some(known) = pass.children.objects.get(&document.key()) {
        value["metadata"]["uid"] = json!(known.uid);
    }
    Ok((document, target.apply(document.kind, &document.name, value).await?))
}

/// The hash of the configuration onto the ingest's pods: the kubelet then brings a changed ConfigMap at once.
async fn annotate_ingest(
    pass: &EventPass<'_>,
    target: &Target<'_>,
    rendered: &Rendered,
) -> Result<(), requests::Error> {
    let wanted = &rendered.objects.ingest_pod_annotations;
    for pod in pass.children.pods.values().filter(|pod| pod.role == labels::ROLE_INGEST && pod.lives()) {
        if wanted.iter().any(|(key, text)| pod.annotations.get(key) != text.as_ref()) {
            target.annotate_pod(&pod.name, wanted).await?;
        }
    }
    Ok(())
}

/// What is done beside the objects, and the Events that tell of it. Gives when that is due again.
async fn maintain(
    pass: &EventPass<'_>,
    target: &Target<'_>,
    rendered: &Rendered,
    observed: &Observed,
    memory: &mut Memory,
) -> Result<Duration, requests::Error> {
    let maintenance = Maintenance {
        target,
        event: pass.event,
        plan: &rendered.plan,
        seen: observed,
        children: &pass.children,
        audience: pass.audience.as_ref(),
        zones: &pass.context.zones,
        now: pass.now,
    };
    let mut news = Vec::new();
    let done = maintenance.maintain(&mut memory.maintenance, &mut news).await;
    let writer = Writer::of(&pass.context.client, &pass.context.recorder, pass.key, target.uid);
    for one in &news {
        writer.publish(one).await;
    }
    done?;
    Ok(maintenance.look_again(&memory.maintenance).map_or(AT_REST, |next| pass.until(next)))
}
