//! What is kept of a pod.

use super::at;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateWaiting, ContainerStatus, Pod};
use lectern_api::labels;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Annotations of pods that are kept: those that the operator sets.
const ANNOTATIONS: [&str; 4] = [
    labels::CONFIG_HASH,
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "karpenter.sh/do-not-disrupt",
    "controller.kubernetes.io/pod-deletion-cost",
];
/// Longest text of the kubelet or the scheduler that is passed on.
const DETAIL_BYTES_MAX: usize = 300;

/// One pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodSeen {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Value of the role label.
    pub role: String,
    /// Its address.
    pub ip: Option<IpAddr>,
    /// The address of the node it is on.
    pub host_ip: Option<String>,
    /// The node it is on.
    pub node: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its condition Ready is True.
    pub ready: bool,
    /// Since when `ready` is what it is.
    pub since: Option<Timestamp>,
    /// It is being deleted.
    pub ending: bool,
    /// It ran to its end and will not run again.
    pub finished: bool,
    /// What stands in its way, in the words of kubelet or scheduler.
    pub detail: Option<String>,
    /// Its container.
    pub container: Container,
    /// The annotations that the operator sets.
    pub annotations: BTreeMap<String, String>,
}

/// What the kubelet says of the container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// It crashed and waits to be started again.
    pub backing_off: bool,
    /// When it last ran: from, to.
    pub last_run: Option<(Timestamp, Timestamp)>,
    /// Times it was started again.
    pub restarts: u32,
}

impl PodSeen {
    /// The compact form of `pod`.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let meta = &pod.metadata;
        let status = pod.status.clone().unwrap_or_default();
        let label = |key: &str| meta.labels.as_ref().and_then(|all| all.get(key)).cloned();
        let conditions = status.conditions.clone().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        let container = status.container_statuses.as_ref().and_then(|all| all.first());
        let annotation = |key: &&str| Some(((*key).to_owned(), meta.annotations.as_ref()?.get(*key)?.clone()));
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            role: label(labels::ROLE).unwrap_or_default(),
            ip: status.pod_ip.as_deref().and_then(|ip| ip.parse().ok()),
            host_ip: status.host_ip.clone(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            created: at(meta.creation_timestamp.as_ref()),
            ready: ready.is_some_and(|condition| condition.status == "True"),
            since: ready.and_then(|condition| at(condition.last_transition_time.as_ref())),
            ending: meta.deletion_timestamp.is_some(),
            finished: matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")),
            detail: detail(pod, container).map(shortened),
            container: container.map(Container::of).unwrap_or_default(),
            annotations: ANNOTATIONS.iter().filter_map(annotation).collect(),
        }
    }

    /// Exists to serve: not ended, not ending.
    #[must_use]
    pub fn lives(&self) -> bool {
        !self.ending && !self.finished
    }
}

impl Container {
    fn of(status: &ContainerStatus) -> Self {
        let reason = status.state.as_ref().and_then(|state| state.waiting.as_ref()?.reason.as_deref());
        let run = |state: &ContainerState| {
            let ended = state.terminated.as_ref()?;
            Some((at(ended.started_at.as_ref())?, at(ended.finished_at.as_ref())?))
        };
        Self {
            backing_off: reason == Some("CrashLoopBackOff"),
            last_run: status.last_state.as_ref().and_then(run),
            restarts: super::count(Some(status.restart_count)),
        }
    }
}

/// The first thing that stands in the way: an image that cannot be had, a crash, no node with room.
fn detail(pod: &Pod, container: Option<&ContainerStatus>) -> Option<String> {
    let waiting = container.and_then(|container| container.state.as_ref()?.waiting.as_ref());
    let told = waiting.filter(|waiting| waiting.reason.as_deref() != Some("ContainerCreating"));
    if let Some(waiting) = told {
        if let Some(text) = image_trouble(pod, waiting) {
            return Some(text);
        }
        let reason = waiting.reason.as_deref().unwrap_or("Waiting");
        return Some(waiting.message.as_ref().map_or_else(|| reason.to_owned(), |said| format!("{reason}: {said}")));
    }
    let ended = container.and_then(|container| container.state.as_ref()?.terminated.as_ref());
    if let Some(ended) = ended {
        return Some(format!("its container ended with status {}", ended.exit_code));
    }
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let unscheduled = conditions
        .and_then(|all| all.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False"));
    unscheduled
        .map(|condition| format!("no node takes it: {}", condition.message.as_deref().unwrap_or("no reason given")))
}

/// The kubelet says the same thing in turns as ErrImagePull and as ImagePullBackOff, each wrapped in the other's words;
/// what stays the same is what it is about.
fn image_trouble(pod: &Pod, waiting: &ContainerStateWaiting) -> Option<String> {
    let reason = waiting.reason.as_deref()?;
    if !["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"].contains(&reason) {
        return None;
    }
    let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone()).unwrap_or_default();
    let said = waiting.message.as_deref().unwrap_or_default();
    let cause = said.rsplit("ErrImagePull: ").next().unwrap_or(said);
    let cause = cause.strip_prefix(&format!("failed to pull and unpack image \"{image}\": ")).unwrap_or(cause);
    Some(format!("its image {image} cannot be had: {cause}"))
}

fn shortened(mut text: String) -> String {
    if text.len() > DETAIL_BYTES_MAX {
        let end = (0..=DETAIL_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
