//! `(event, plan, observed, previous status, now) → status`: pure, so that what people read is tested as a table.

mod conditions;
mod numbers;
pub mod standby;
mod streams;

pub use numbers::{Write, due};

use super::{EdgeSeen, IngestSeen, Observed, Plan};
use crate::validate::{Event, Problem};
use conditions::Verdict;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use lectern_api::condition::ConditionType;
use lectern_api::live_event::{EdgesStatus, EventNode, IngestStatus, LiveEventStatus, NextScale, Phase};

/// Most edges that a status lists: those that are not healthy; `kubectl get pods` lists all.
const UNHEALTHY_NODES_MAX: usize = 10;

/// The status of an event that is accepted or may be.
#[must_use]
pub fn of(
    event: &Event,
    plan: &Plan,
    seen: &Observed,
    previous: Option<&LiveEventStatus>,
    now: Timestamp,
) -> LiveEventStatus {
    let verdicts = conditions::of(event, plan, seen);
    let streams = streams::of(event, seen, previous);
    let live = streams.iter().filter(|stream| stream.live).count();
    let next = plan.next_step.as_ref().map(|step| NextScale {
        at: step.at.to_string(),
        min: step.min,
        window: step.window.clone(),
    });
    LiveEventStatus {
        observed_generation: event.generation,
        phase: Some(phase(&verdicts, live, seen.deleting)),
        live: Some(format!("{live}/{}", streams.len())),
        conditions: merged(&verdicts, event.generation, previous, now),
        streams,
        ingest: ingest(seen.ingest.as_ref(), previous),
        edges: edges(event, plan, seen, previous),
        node_image: plan.rollout.image.clone().or_else(|| previous.and_then(|status| status.node_image.clone())),
        next_scheduled_scale: next,
    }
}

/// The status of an event whose spec cannot work: everything that was known stays, nothing is stopped.
#[must_use]
pub fn refused(
    generation: Option<i64>,
    problems: &[Problem],
    previous: Option<&LiveEventStatus>,
    now: Timestamp,
) -> LiveEventStatus {
    let mut status = previous.cloned().unwrap_or_default();
    status.observed_generation = generation;
    status.phase = Some(Phase::Failed);
    let verdicts = conditions::refused(problems, previous.map_or(&[], |status| status.conditions.as_slice()));
    status.conditions = merged(&verdicts, generation, previous, now);
    status
}

/// Deleting goes before everything; a session that is live is live, whatever else is wrong.
fn phase(verdicts: &[(ConditionType, Verdict)], live: usize, deleting: bool) -> Phase {
    let is = |wanted: ConditionType, status: &str| {
        verdicts.iter().any(|(condition, verdict)| *condition == wanted && verdict.status.as_str() == status)
    };
    if deleting {
        Phase::Draining
    } else if live > 0 {
        Phase::Live
    } else if is(ConditionType::Accepted, "False") {
        Phase::Failed
    } else if is(ConditionType::Ready, "True") {
        Phase::Waiting
    } else {
        Phase::Pending
    }
}

/// All conditions in their order; a transition time moves only when the status does.
fn merged(
    verdicts: &[(ConditionType, Verdict)],
    generation: Option<i64>,
    previous: Option<&LiveEventStatus>,
    now: Timestamp,
) -> Vec<Condition> {
    let before = |condition: ConditionType| {
        let known = previous.map_or(&[][..], |status| status.conditions.as_slice());
        known.iter().find(|known| known.type_ == condition.as_str())
    };
    let one = |(condition, verdict): &(ConditionType, Verdict)| {
        let same = before(*condition).filter(|known| known.status == verdict.status.as_str());
        Condition {
            type_: condition.as_str().into(),
            status: verdict.status.as_str().into(),
            reason: verdict.reason.clone().into_owned(),
            message: verdict.message.clone(),
            observed_generation: generation,
            last_transition_time: same.map_or_else(|| Time(seconds(now)), |known| known.last_transition_time.clone()),
        }
    };
    verdicts.iter().map(one).collect()
}

/// Kubernetes keeps whole seconds; more would read back as a change.
fn seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn ingest(seen: Option<&IngestSeen>, previous: Option<&LiveEventStatus>) -> Option<IngestStatus> {
    let Some(seen) = seen else { return previous.and_then(|status| status.ingest.clone()) };
    let process = seen.process.as_ref();
    Some(IngestStatus {
        address: seen.address.clone(),
        url: seen.address.as_ref().map(|address| format!("rtmp://{address}/live")),
        ready: seen.ready,
        name: process.map(|_| "ingest".to_owned()),
        rtmp: process.and_then(|process| process.rtmp).map(|address| address.to_string()),
        pid: process.and_then(|process| process.pid),
        restarts: process.map(|process| process.restarts),
    })
}

fn edges(event: &Event, plan: &Plan, seen: &Observed, previous: Option<&LiveEventStatus>) -> Option<EdgesStatus> {
    let known = previous.and_then(|status| status.edges.as_ref());
    let Some(edges) = &seen.edges else { return known.cloned() };
    let desired = edges.desired.max(plan.edges.replicas.min);
    let ready = u32::try_from(edges.nodes.iter().filter(|node| node.ready && !node.ending).count()).unwrap_or(u32::MAX);
    let measured =
        |number: Option<u64>, old: fn(&EdgesStatus) -> Option<u64>| numbers::measured(number, known.and_then(old));
    let audience = seen.audience;
    Some(EdgesStatus {
        summary: Some(format!("{ready}/{desired}")),
        desired,
        ready,
        viewers: measured(audience.map(|audience| audience.viewers), |status| status.viewers),
        egress_bits_per_second: measured(audience.and_then(|audience| audience.egress_bits_per_second), |status| {
            status.egress_bits_per_second
        }),
        capacity: Some(u64::from(ready) * u64::from(event.edges.viewers_per_edge)),
        url: edges.http.as_ref().map(|url| format!("{url}/live")),
        rtmp_url: edges.rtmp.as_ref().filter(|_| event.playback.rtmp).map(|url| format!("{url}/live")),
        nodes: nodes(&edges.nodes),
    })
}

/// On one machine all of them with their numbers; in a cluster the unhealthy ones, without numbers that would make
/// every status a new one.
fn nodes(seen: &[EdgeSeen]) -> Vec<EventNode> {
    let node = |edge: &EdgeSeen| {
        let process = edge.process.as_ref();
        let said = edge.status.as_ref();
        let reason = edge.detail.clone().or_else(|| said.and_then(|said| said.not_ready_reason.clone()));
        EventNode {
            name: edge.name.clone(),
            ready: edge.ready,
            reason: reason.filter(|_| !edge.ready),
            http: process.and_then(|process| process.http).map(|address| address.to_string()),
            rtmp: process.and_then(|process| process.rtmp).map(|address| address.to_string()),
            viewers: process.map(|_| said.and_then(|said| said.edge.as_ref()).map_or(0, |edge| edge.viewers)),
            pid: process.and_then(|process| process.pid),
            restarts: process.map(|process| process.restarts),
        }
    };
    let listed = seen.iter().filter(|edge| edge.process.is_some() || !edge.ready).map(node);
    let local = seen.iter().any(|edge| edge.process.is_some());
    listed.take(if local { usize::MAX } else { UNHEALTHY_NODES_MAX }).collect()
}

#[cfg(test)]
mod tests;
