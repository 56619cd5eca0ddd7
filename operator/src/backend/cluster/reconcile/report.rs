//! Stage 5, report: writes the status when it changed, and Events when something happened. Talks to the API server.

use super::apply::Applied;
use super::context::{AT_REST, Context, Memory};
use super::pass::{Error, EventPass};
use super::writer::Writer;
use crate::backend::cluster::key::EventKey;
use crate::plan::status;
use crate::validate::Problem;
use jiff::Timestamp;
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
use lectern_api::names::EventName;
use std::time::Duration;
use tokio::time::Instant;

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
    let writer = Writer::of(&context.client, &context.recorder, key, &memory.uid);
    let done = writer.update(status, previous, &mut memory.reported).await;
    done.inspect_err(|_| context.metrics.failed("report")).map_err(Error::Request)
}
