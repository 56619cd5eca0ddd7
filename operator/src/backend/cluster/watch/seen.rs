//! What is kept of an object that the API server tells of: a few fields and a fingerprint, a few hundred bytes, so that
//! a thousand events fit into a small process. Pure: object in, compact form out.

mod pod;

pub use pod::PodSeen;

use crate::backend::cluster::watch::kind::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use lectern_api::labels;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// On Deployments: hash of the pod template that was applied. The template that the API server shows has defaults
/// filled in and cannot be compared.
pub const TEMPLATE_HASH: &str = "lectern.dev/template-hash";

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectSeen {
    /// Its uid.
    pub uid: String,
    /// The uid of the owner that controls it.
    pub owner: Option<Owner>,
    /// Its resource version.
    pub version: String,
    /// Changes when anything changes that an apply of ours could put right.
    pub print: u64,
    /// It is being deleted.
    pub ending: bool,
    /// What else is of interest.
    pub detail: Detail,
}

/// Who controls an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What is of interest beyond metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// Nothing.
    Nothing,
    /// Of a Service.
    Service(ServiceSeen),
    /// Of a Deployment.
    Deployment(DeploymentSeen),
    /// Of an autoscaler.
    Autoscaler(AutoscalerSeen),
}

/// Where a Service is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSeen {
    /// Its type: `ClusterIP`, `NodePort`, `LoadBalancer`.
    pub kind: String,
    /// Address or name that a load balancer gave it.
    pub external: Option<String>,
    /// Port on every node.
    pub node_port: Option<u16>,
}

/// How far a Deployment is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentSeen {
    /// Pods asked for.
    pub replicas: u32,
    /// All pods are of the newest template.
    pub settled: bool,
    /// Value of [`TEMPLATE_HASH`].
    pub template: Option<String>,
}

/// What an autoscaler says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutoscalerSeen {
    /// Condition ScalingActive: status, reason, message. None while it has not looked yet.
    pub active: Option<(bool, String, String)>,
    /// Condition ScalingLimited says that it wants more than its maximum.
    pub at_maximum: bool,
    /// Value of the annotation [`labels::BURST`].
    pub burst: Option<String>,
}

/// Anything of which metadata are enough. Kinds without a generation are compared by resource version: no other than their
/// owner writes them.
#[must_use]
pub fn metadata(meta: &ObjectMeta) -> ObjectSeen {
    let version = meta.resource_version.clone().unwrap_or_default();
    let content = meta.generation.map_or_else(|| version.clone(), |generation| generation.to_string());
    object(meta, &content, Detail::Nothing)
}

/// A Service.
#[must_use]
pub fn service(service: &Service) -> ObjectSeen {
    let spec = service.spec.as_ref();
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref()?.first());
    let seen = ServiceSeen {
        kind: spec.and_then(|spec| spec.type_.clone()).unwrap_or_default(),
        external: balancer.and_then(|at| at.hostname.clone().or_else(|| at.ip.clone())),
        node_port: spec
            .and_then(|spec| spec.ports.as_ref()?.first()?.node_port)
            .and_then(|port| u16::try_from(port).ok()),
    };
    object(&service.metadata, &spec, Detail::Service(seen))
}

/// A Deployment. How many pods it asks for is not the operator's to correct: the autoscaler sets it.
#[must_use]
pub fn deployment(deployment: &Deployment) -> ObjectSeen {
    let mut spec = deployment.spec.clone().unwrap_or_default();
    let replicas = spec.replicas.take().unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let seen = DeploymentSeen {
        replicas: count(Some(replicas)),
        settled: status.observed_generation >= deployment.metadata.generation
            && status.updated_replicas.unwrap_or(0) >= replicas
            && status.replicas.unwrap_or(0) <= status.updated_replicas.unwrap_or(0),
        template: annotation(&deployment.metadata, TEMPLATE_HASH),
    };
    object(&deployment.metadata, &spec, Detail::Deployment(seen))
}

/// An autoscaler.
#[must_use]
pub fn autoscaler(autoscaler: &HorizontalPodAutoscaler) -> ObjectSeen {
    let status = autoscaler.status.as_ref();
    let condition = |kind: &str| {
        let all = status.and_then(|status| status.conditions.as_ref());
        all.and_then(|all| all.iter().find(|condition| condition.type_ == kind))
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let seen = AutoscalerSeen {
        active: condition("ScalingActive").map(|said| (said.status == "True", text(&said.reason), text(&said.message))),
        at_maximum: condition("ScalingLimited")
            .is_some_and(|said| said.status == "True" && said.reason.as_deref() == Some("TooManyReplicas")),
        burst: annotation(&autoscaler.metadata, labels::BURST),
    };
    object(&autoscaler.metadata, &autoscaler.spec, Detail::Autoscaler(seen))
}

/// The compact form of what the API server answered to an apply: the same that the watch will show. None if the answer
/// cannot be read.
#[must_use]
pub fn answer(kind: Kind, answer: &DynamicObject) -> Option<ObjectSeen> {
    match kind {
        Kind::Service => read(answer).map(|seen| service(&seen)),
        Kind::Deployment => read(answer).map(|seen| deployment(&seen)),
        Kind::Autoscaler => read(answer).map(|seen| autoscaler(&seen)),
        Kind::ServiceAccount
        | Kind::Role
        | Kind::RoleBinding
        | Kind::ConfigMap
        | Kind::NetworkPolicy
        | Kind::PodDisruptionBudget => Some(metadata(&answer.metadata)),
    }
}

fn read<K: DeserializeOwned>(answer: &DynamicObject) -> Option<K> {
    serde_json::to_value(answer).and_then(serde_json::from_value).ok()
}

fn object(meta: &ObjectMeta, content: &impl Serialize, detail: Detail) -> ObjectSeen {
    let mut hasher = DefaultHasher::new();
    // Anything that came as JSON can be written as JSON.
    serde_json::to_vec(content).unwrap_or_default().hash(&mut hasher);
    meta.labels.hash(&mut hasher);
    let ours = |key: &&String| !key.starts_with("deployment.kubernetes.io/") && *key != labels::BURST;
    for key in meta.annotations.iter().flat_map(std::collections::BTreeMap::keys).filter(ours) {
        (key, annotation(meta, key)).hash(&mut hasher);
    }
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let owner = owner.map(Owner::from);
    owner.as_ref().map(|owner| &owner.uid).hash(&mut hasher);
    ObjectSeen {
        uid: meta.uid.clone().unwrap_or_default(),
        owner,
        version: meta.resource_version.clone().unwrap_or_default(),
        print: hasher.finish(),
        ending: meta.deletion_timestamp.is_some(),
        detail,
    }
}

fn annotation(meta: &ObjectMeta, key: &str) -> Option<String> {
    meta.annotations.as_ref()?.get(key).cloned()
}

fn count(number: Option<i32>) -> u32 {
    u32::try_from(number.unwrap_or(0)).unwrap_or(0)
}

fn at(time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}

#[cfg(test)]
mod tests;
