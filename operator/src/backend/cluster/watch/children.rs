//! The objects and pods of one event, and the questions that more than one stage has about them. Pure.

use super::kind::Kind;
use super::seen::{AutoscalerSeen, DeploymentSeen, Detail, ObjectSeen, PodSeen, ServiceSeen};
use lectern_api::labels;
use lectern_api::names::EventName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The objects and pods of one event, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Children {
    /// Its objects.
    pub objects: BTreeMap<(Kind, String), Arc<ObjectSeen>>,
    /// Its pods, by name.
    pub pods: BTreeMap<String, Arc<PodSeen>>,
}

impl Children {
    /// The pod that is the ingest: of several, while one replaces the other, the newest that is ready.
    #[must_use]
    pub fn ingest_pod(&self) -> Option<&PodSeen> {
        let pods = self.pods.values().filter(|pod| pod.role == labels::ROLE_INGEST && !pod.finished);
        pods.max_by_key(|pod| (!pod.ending, pod.ready, pod.created)).map(AsRef::as_ref)
    }

    /// The pods of edges, those that end included.
    pub fn edge_pods(&self) -> impl Iterator<Item = &PodSeen> {
        self.pods.values().map(AsRef::as_ref).filter(|pod| pod.role == labels::ROLE_EDGE && !pod.finished)
    }

    /// The edges' Deployment, as far as it is known.
    #[must_use]
    pub fn edge_deployment(&self, name: &EventName) -> Option<&DeploymentSeen> {
        self.deployment(&name.edge())
    }

    /// A Deployment by name.
    #[must_use]
    pub fn deployment(&self, name: &str) -> Option<&DeploymentSeen> {
        match &self.object(Kind::Deployment, name)?.detail {
            Detail::Deployment(seen) => Some(seen),
            Detail::Nothing | Detail::Service(_) | Detail::Autoscaler(_) => None,
        }
    }

    /// Whether a Deployment of the event still replaces pods by those of its newest template.
    #[must_use]
    pub fn are_rolling_out(&self, name: &EventName) -> bool {
        let mut known = [name.ingest(), name.edge()].into_iter().filter_map(|name| self.deployment(&name));
        known.any(|known| !known.settled)
    }

    /// The autoscaler of the edges.
    #[must_use]
    pub fn autoscaler(&self, name: &EventName) -> Option<&AutoscalerSeen> {
        match &self.object(Kind::Autoscaler, &name.edge())?.detail {
            Detail::Autoscaler(seen) => Some(seen),
            Detail::Nothing | Detail::Service(_) | Detail::Deployment(_) => None,
        }
    }

    /// A Service by name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceSeen> {
        match &self.object(Kind::Service, name)?.detail {
            Detail::Service(seen) => Some(seen),
            Detail::Nothing | Detail::Deployment(_) | Detail::Autoscaler(_) => None,
        }
    }

    fn object(&self, kind: Kind, name: &str) -> Option<&ObjectSeen> {
        self.objects.get(&(kind, name.to_owned())).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test without its pod must fail")]

    use super::*;
    use jiff::Timestamp;

    #[test]
    fn while_one_ingest_replaces_the_other_the_newest_that_is_ready_counts() {
        let pod = |name: &str, ready: bool, created: i64| {
            let created = Timestamp::from_second(created).ok();
            let pod = PodSeen { name: name.into(), role: "ingest".into(), ready, created, ..PodSeen::default() };
            (name.to_owned(), Arc::new(pod))
        };
        for (new_is_ready, current) in [(false, "old"), (true, "new")] {
            let pods = [pod("old", true, 1), pod("new", new_is_ready, 9)].into();
            let children = Children { pods, ..Children::default() };
            assert_eq!(children.ingest_pod().unwrap().name, current);
        }
    }
}
