//! The eight conditions: each states what is the case and, where something is wrong, what to do.

mod secrets;

use crate::plan::{Floor, IngestSeen, Objection, Observed, Plan};
use crate::validate::{Event, Problem};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use lectern_api::condition::{ConditionType, reason};
use std::borrow::Cow;

/// Problems that one message lists; more would be cut off by Kubernetes at 32 KiB anyway, and no reader gets that far.
const PROBLEMS_LISTED_MAX: usize = 20;
/// Names that one message lists.
const NAMES_LISTED_MAX: usize = 5;

/// True, False, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    True,
    False,
    Unknown,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The status, reason and message of one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) reason: Cow<'static, str>,
    pub(super) message: String,
}

fn yes(reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict { status: Status::True, reason: reason.into(), message: message.into() }
}

fn no(reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict { status: Status::False, reason: reason.into(), message: message.into() }
}

fn unknown(reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict { status: Status::Unknown, reason: reason.into(), message: message.into() }
}

/// All conditions in their order.
pub(super) fn of(event: &Event, plan: &Plan, seen: &Observed) -> Vec<(ConditionType, Verdict)> {
    let accepted = accepted(event, plan, seen);
    let ingest = ingest_ready(seen);
    let edges = edges_ready(plan, seen);
    let ready = ready(&accepted, &ingest, &enough_edges(event, seen, &edges));
    ConditionType::ALL
        .into_iter()
        .map(|condition| {
            let verdict = match condition {
                ConditionType::Accepted => accepted.clone(),
                ConditionType::IngestReady => ingest.clone(),
                ConditionType::EdgesReady => edges.clone(),
                ConditionType::RelaysConverged => relays_converged(event, seen),
                ConditionType::AutoscalingActive => autoscaling_active(event, plan, seen),
                ConditionType::Live => live(event, seen),
                ConditionType::UpgradePending => upgrade_pending(plan),
                ConditionType::Ready => ready.clone(),
            };
            (condition, verdict)
        })
        .collect()
}

/// Conditions of a spec that cannot work: what was known of the rest stays.
pub(super) fn refused(problems: &[Problem], known: &[Condition]) -> Vec<(ConditionType, Verdict)> {
    let accepted = no(reason::INVALID_SPEC, listed(problems));
    let ready = no(
        reason::NOT_ACCEPTED,
        "the spec is not accepted, see Accepted; what was running before keeps running unchanged",
    );
    ConditionType::ALL
        .into_iter()
        .map(|condition| match condition {
            ConditionType::Accepted => (condition, accepted.clone()),
            ConditionType::Ready => (condition, ready.clone()),
            other => (other, kept(other, known)),
        })
        .collect()
}

fn kept(condition: ConditionType, known: &[Condition]) -> Verdict {
    let pending = || unknown(reason::PENDING, "not known until the spec is accepted");
    let Some(known) = known.iter().find(|known| known.type_ == condition.as_str()) else { return pending() };
    let status = match known.status.as_str() {
        "True" => Status::True,
        "False" => Status::False,
        _ => Status::Unknown,
    };
    Verdict { status, reason: known.reason.clone().into(), message: known.message.clone() }
}

fn listed(problems: &[Problem]) -> String {
    let shown: Vec<String> = problems.iter().take(PROBLEMS_LISTED_MAX).map(ToString::to_string).collect();
    let more = problems.len().saturating_sub(PROBLEMS_LISTED_MAX);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join("; "))
}

fn accepted(event: &Event, plan: &Plan, seen: &Observed) -> Verdict {
    if event.paused {
        return yes(reason::PAUSED, "the annotation lectern.dev/paused is set: nothing is changed until it is removed");
    }
    let missing = answer(seen.ingest.as_ref()).map(|said| secrets::missing(event, plan, said)).unwrap_or_default();
    let all: Vec<&Objection> = seen.objections.iter().flatten().chain(&missing).collect();
    match (all.first(), &seen.objections) {
        (Some(first), _) => {
            let texts: Vec<&str> = all.iter().map(|one| one.message.as_str()).collect();
            no(first.reason, texts.join("; "))
        }
        (None, None) => {
            unknown(reason::NOT_OBSERVED, "the spec is valid; the Secrets it refers to have not been checked yet")
        }
        (None, Some(_)) => {
            let doubts = answer(seen.ingest.as_ref()).map(|said| secrets::doubts(plan, said)).unwrap_or_default();
            yes(reason::VALID, format!("the spec is valid and everything it refers to exists{doubts}"))
        }
    }
}

fn ingest_ready(seen: &Observed) -> Verdict {
    let Some(ingest) = &seen.ingest else {
        return unknown(reason::NOT_OBSERVED, "the ingest has not been observed yet");
    };
    if ingest.ready {
        let at = ingest.address.as_ref().map_or_else(
            || "it has no address yet that encoders outside the cluster can reach".to_owned(),
            |address| format!("encoders publish to rtmp://{address}/live"),
        );
        return yes(reason::ACCEPTING_PUBLISHERS, at);
    }
    let said = ingest.status.as_ref().and_then(|status| status.not_ready_reason.as_deref());
    match (said, ingest.detail.as_deref()) {
        (Some(said), _) => no(reason::NOT_READY, format!("the ingest runs but is not ready: {said}")),
        (None, Some(detail)) => no(reason::STARTING, format!("the ingest does not run: {detail}")),
        (None, None) => no(reason::STARTING, "the ingest is being started"),
    }
}

fn edges_ready(plan: &Plan, seen: &Observed) -> Verdict {
    let Some(edges) = &seen.edges else { return unknown(reason::NOT_OBSERVED, "the edges have not been observed yet") };
    let wanted = edges.desired.max(plan.edges.replicas.min) as usize;
    let ready = edges.nodes.iter().filter(|edge| edge.ready && !edge.ending).count();
    if ready >= wanted {
        return yes(reason::ALL_READY, format!("{ready} of {wanted} edges are ready"));
    }
    let trouble = edges.nodes.iter().filter(|edge| !edge.ready && !edge.ending).find_map(|edge| {
        let said = edge.status.as_ref().and_then(|status| status.not_ready_reason.as_ref());
        edge.detail.as_ref().or(said).map(|detail| format!(": {} {detail}", edge.name))
    });
    let text = format!("{ready} of {wanted} edges are ready{}", trouble.unwrap_or_default());
    no(if ready == 0 { reason::STARTING } else { reason::TOO_FEW_READY }, text)
}

/// For `Ready` as many edges as the spec asks for at least are enough: growing is no trouble.
fn enough_edges(event: &Event, seen: &Observed, edges_ready: &Verdict) -> Verdict {
    let ready = seen.edges.iter().flat_map(|edges| &edges.nodes).filter(|edge| edge.ready && !edge.ending).count();
    match edges_ready.status {
        Status::False if ready >= event.edges.min as usize => yes(reason::PLAYABLE, edges_ready.message.clone()),
        Status::True | Status::False | Status::Unknown => edges_ready.clone(),
    }
}

/// Every edge that serves has a live link for every stream, as the ingest tells it.
fn relays_converged(event: &Event, seen: &Observed) -> Verdict {
    let said = answer(seen.ingest.as_ref());
    let (Some(said), Some(edges)) = (said, &seen.edges) else {
        return unknown(reason::NOT_OBSERVED, "the ingest has not reported yet which edges it is linked to");
    };
    let linked = |address: String| {
        let relay = said.relays.iter().find(|relay| relay.peer == address);
        relay.is_some_and(|relay| {
            event.streams.iter().all(|stream| relay.streams.get(stream.name.as_str()).copied().unwrap_or(false))
        })
    };
    let serving: Vec<_> = edges.nodes.iter().filter(|edge| !edge.ending && edge.relay.is_some()).collect();
    let missing: Vec<&str> = serving
        .iter()
        .filter(|edge| edge.relay.is_some_and(|address| !linked(address.to_string())))
        .map(|edge| edge.name.as_str())
        .collect();
    if missing.is_empty() {
        return yes(reason::ALL_LINKED, format!("the ingest is linked to {} of {0} edges", serving.len()));
    }
    let text = format!(
        "the ingest has no live link to {}; an edge without a link fetches segments from another edge",
        names(&missing)
    );
    no(reason::LINKS_MISSING, text)
}

fn autoscaling_active(event: &Event, plan: &Plan, seen: &Observed) -> Verdict {
    let (min, max) = (event.edges.min, event.edges.max);
    if min == max {
        return yes(reason::FIXED_SIZE, format!("edges.min and edges.max are both {min}: there is nothing to scale"));
    }
    let Floor { edges: floor, .. } = plan.floor;
    match &seen.autoscaler {
        None => unknown(reason::NOT_OBSERVED, "the autoscaler has not been observed yet"),
        Some(scaler) if !scaler.active => no(
            reason::NO_METRICS,
            format!(
                "{}: {}; the number of edges does not change, and never falls below {floor}",
                scaler.reason, scaler.message
            ),
        ),
        Some(scaler) if scaler.at_maximum => yes(
            reason::AT_MAXIMUM,
            format!(
                "more than edges.max ({max}) edges are needed: full edges refuse new viewers; raise edges.max if you can"
            ),
        ),
        Some(_) => yes(reason::FOLLOWING, format!("between {floor} and {max} edges, following the number of viewers")),
    }
}

fn live(event: &Event, seen: &Observed) -> Verdict {
    let Some(said) = answer(seen.ingest.as_ref()) else {
        return unknown(reason::NOT_OBSERVED, "the ingest has not reported its streams yet");
    };
    let live: Vec<&str> = event
        .streams
        .iter()
        .map(|stream| stream.name.as_str())
        .filter(|name| said.streams.get(*name).is_some_and(|stream| stream.live))
        .collect();
    if live.is_empty() {
        return no(reason::NO_PUBLISHER, "no encoder publishes; the URLs and key Secrets are in status.streams");
    }
    yes(reason::PUBLISHING, format!("{} of {} streams: {}", live.len(), event.streams.len(), names(&live)))
}

fn upgrade_pending(plan: &Plan) -> Verdict {
    let what = match &plan.rollout.pending {
        Some(image) => image.as_str(),
        None if plan.rollout.template_waits => "the changed ingest",
        None => return no(reason::UP_TO_DATE, "no update is waiting"),
    };
    let because = match &plan.idle {
        crate::plan::Idle::No { because, .. } => because.as_str(),
        crate::plan::Idle::Yes => "other events are updated first",
    };
    yes(
        reason::WAITING_FOR_IDLE,
        format!("{what} waits until the event is idle ({because}); ingest.updatePolicy: Immediate does not wait"),
    )
}

fn ready(accepted: &Verdict, ingest: &Verdict, edges: &Verdict) -> Verdict {
    let parts = [
        (accepted, reason::NOT_ACCEPTED, "Accepted"),
        (ingest, reason::INGEST_NOT_READY, "IngestReady"),
        (edges, reason::EDGES_NOT_READY, "EdgesReady"),
    ];
    if let Some((part, reason, name)) = parts.iter().find(|(part, ..)| part.status == Status::False) {
        return no(reason, format!("{name}: {}", part.message));
    }
    if let Some((part, _, name)) = parts.iter().find(|(part, ..)| part.status == Status::Unknown) {
        return unknown(reason::NOT_OBSERVED, format!("{name}: {}", part.message));
    }
    yes(reason::PLAYABLE, "encoders can publish and viewers can watch")
}

fn answer(ingest: Option<&IngestSeen>) -> Option<&lectern_api::node_status::IngestStatus> {
    ingest?.status.as_ref()?.ingest.as_ref()
}

fn names(all: &[&str]) -> String {
    let more = all.len().saturating_sub(NAMES_LISTED_MAX);
    let shown = all.iter().take(NAMES_LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
