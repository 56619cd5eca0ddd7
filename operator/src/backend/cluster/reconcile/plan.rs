//! `(event, observed) → what is applied and reported`: plan and render, and what is held back. Pure.

use crate::backend::cluster::reconcile::observe;
use crate::backend::cluster::reconcile::render::{Document, documents};
use crate::backend::cluster::watch::cache::Children;
use crate::backend::cluster::watch::kind::Kind;
use crate::plan::{Objection, Observed, Plan, plan};
use crate::render::{Identity, Installation, Objects, render};
use crate::validate::Event;
use jiff::Timestamp;
use lectern_api::condition::reason;
use lectern_api::live_event::{LiveEvent, UpdatePolicy};
use lectern_api::names::{EventName, StreamName};

/// What is to be done for an event.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Why.
    pub plan: Plan,
    /// What there should be.
    pub objects: Objects,
    /// What is applied.
    pub documents: Vec<Document>,
    /// What is neither applied nor deleted now: it would restart an ingest that somebody uses.
    pub held: Vec<Document>,
}

/// Decides.
///
/// # Errors
/// When an object cannot be written as JSON; none of them holds anything that could not.
pub fn decide(
    event: &Event,
    seen: &Observed,
    children: &Children,
    identity: &Identity,
    installation: &Installation,
    now: Timestamp,
) -> Result<Decision, serde_json::Error> {
    let mut plan = plan(event, seen, now);
    let objects = render(event, &plan, identity, installation);
    let waits = |document: &Document| {
        let known = observe::deployment(children, &document.name).and_then(|known| known.template.as_deref());
        document.kind == Kind::Deployment
            && document.name == event.name.ingest()
            && known.is_some_and(|known| Some(known) != document.template())
            && event.ingest.update == UpdatePolicy::WhenIdle
            && !plan.idle.is_idle()
    };
    let (held, documents): (Vec<_>, Vec<_>) = documents(&objects)?.into_iter().partition(waits);
    plan.rollout.template_waits = !held.is_empty();
    Ok(Decision { plan, objects, documents, held })
}

/// Whether an older event of the namespace has a child whose name this one's would have: `a` with stream `b-c`, and
/// `a-b` with stream `c`. Only key Secrets can clash; everything else ends in a word of its own.
#[must_use]
pub fn name_taken<'a>(mine: &LiveEvent, others: impl IntoIterator<Item = &'a LiveEvent>) -> Option<Objection> {
    let own = key_secrets(mine);
    let age =
        |event: &LiveEvent| (event.metadata.creation_timestamp.clone().map(|at| at.0), event.metadata.uid.clone());
    let clash = |other: &LiveEvent| {
        let name = |event: &LiveEvent| event.metadata.name.clone().unwrap_or_default();
        let (me, it) = (name(mine), name(other));
        // A clash needs one name to begin with the other: this is what keeps a thousand events cheap.
        let related = me != it && (me.starts_with(&format!("{it}-")) || it.starts_with(&format!("{me}-")));
        if !related || age(other) > age(mine) {
            return None;
        }
        let taken = key_secrets(other).into_iter().find(|name| own.contains(name))?;
        Some((it, taken))
    };
    let (other, secret) = others.into_iter().find_map(clash)?;
    Some(Objection {
        reason: reason::NAME_TAKEN,
        message: format!(
            "the key Secret would be called {secret}, as one of the older event {other} is: rename the event or the stream"
        ),
    })
}

fn key_secrets(event: &LiveEvent) -> Vec<String> {
    let name = event.metadata.name.as_deref().and_then(|name| EventName::new(name).ok());
    let (Some(name), None) = (name, &event.spec.ingest.publish_keys_secret_ref) else { return Vec::new() };
    let streams = event.spec.streams.iter().filter_map(|stream| StreamName::new(&stream.name).ok());
    streams.map(|stream| name.stream_key(&stream)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its event must fail")]

    use super::*;
    use serde_json::json;

    fn event(name: &str, stream: &str, created: &str) -> LiveEvent {
        serde_json::from_value(json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
            "metadata": {"name": name, "namespace": "n", "uid": name, "creationTimestamp": created},
            "spec": {"streams": [{"name": stream}]},
        }))
        .unwrap()
    }

    #[test]
    fn of_two_events_with_one_name_for_a_child_the_younger_gives_way() {
        let (old, young) = (event("a", "b-c", "2026-12-01T09:00:00Z"), event("a-b", "c", "2026-12-01T09:00:01Z"));
        let taken = name_taken(&young, [&old, &young]).unwrap();
        assert_eq!(taken.reason, reason::NAME_TAKEN);
        assert!(taken.message.contains("a-b-c-key"), "{}", taken.message);
        assert_eq!(name_taken(&old, [&old, &young]), None);
        assert_eq!(name_taken(&event("a-b", "d", "2026-12-01T09:00:01Z"), [&old]), None);
    }
}
