//! Names that an event needs for its objects and that belong to others. Pure.

use crate::backend::cluster::watch::kind::Kind;
use crate::plan::Objection;
use jiff::SignedDuration;
use lectern_api::condition::reason;
use lectern_api::live_event::LiveEvent;
use lectern_api::names::{EventName, StreamName};

/// So long after an event was made, what is left of an older one of its name is expected to go by itself: the garbage
/// collector takes a second or two, a load balancer that must be given back up to a minute.
const LEFTOVER_AGE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// An object that has a name of ours and is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameConflict {
    /// It belongs to an event of the same name that was deleted, and will be gone in a moment.
    Leftover {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It belongs to another object or to none.
    Foreign {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
}

impl NameConflict {
    /// What is reported while the conflict lasts.
    #[must_use]
    pub fn objection(&self) -> Objection {
        let message = match self {
            Self::Foreign { kind, name } => {
                let kind = kind.resource().kind;
                format!(
                    "there is a {kind} {name} that does not belong to this event: delete or rename it, or rename the event"
                )
            }
            Self::Leftover { kind, name } => {
                let kind = kind.resource().kind;
                format!(
                    "the {kind} {name} of a deleted event of this name still exists: delete it; if it stays, its \
                     finalizers name the controller that must release it (kubectl get {kind} {name} -o yaml)"
                )
            }
        };
        Objection { reason: reason::NOT_OURS, message }
    }
}

/// Whether `conflicts` are worth waiting for, at this `age` of the event, before they are reported.
#[must_use]
pub fn are_transient(conflicts: &[NameConflict], age: SignedDuration) -> bool {
    age < LEFTOVER_AGE_MAX && conflicts.iter().any(|conflict| matches!(conflict, NameConflict::Leftover { .. }))
}

/// Whether nothing may be applied for the event because of it.
#[must_use]
pub fn blocks(objection: &Objection) -> bool {
    [reason::NAME_TAKEN, reason::NOT_OURS, reason::FORBIDDEN_BY_POLICY].contains(&objection.reason)
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
    streams.map(|stream| name.publish_key(&stream, event.spec.ingest.key_generation)).collect()
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

    #[test]
    fn what_is_left_of_a_deleted_event_is_waited_for_and_named_if_it_stays() {
        let leftover = NameConflict::Leftover { kind: Kind::Service, name: "gala-edge".into() };
        let foreign = NameConflict::Foreign { kind: Kind::ConfigMap, name: "gala-node".into() };
        let young = SignedDuration::from_secs(59);
        assert!(are_transient(&[foreign.clone(), leftover.clone()], young));
        assert!(!are_transient(std::slice::from_ref(&foreign), young), "it would wait for ever");
        assert!(!are_transient(std::slice::from_ref(&leftover), LEFTOVER_AGE_MAX));
        for (conflict, words) in [(leftover, "Service gala-edge of a deleted event"), (foreign, "ConfigMap gala-node")]
        {
            let objection = conflict.objection();
            assert!(blocks(&objection) && objection.message.contains(words), "{}", objection.message);
        }
    }
}
