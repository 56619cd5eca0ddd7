//! Deployments: one ingest, many edges. Both roll by first starting the new pod.

use super::scene::Scene;
use super::{meta, pod};
use crate::plan::Role;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Old ReplicaSets that are kept: enough for `kubectl rollout undo`.
const REVISIONS_KEPT: i32 = 2;

/// A Deployment of one, not a StatefulSet: when its node is lost a replacement starts although the pod was not deleted,
/// and two for a moment are sorted out by the edges.
pub fn ingest(scene: &Scene<'_>) -> Deployment {
    deployment(scene, Role::Ingest, Some(1), pod::ingest(scene))
}

/// Never says how many: nothing would protect that number from a later apply. The autoscaler's minimum or `/scale` does.
pub fn edges(scene: &Scene<'_>) -> Deployment {
    deployment(scene, Role::Edge, None, pod::edge(scene))
}

fn deployment(scene: &Scene<'_>, role: Role, replicas: Option<i32>, template: PodTemplateSpec) -> Deployment {
    let rolling =
        RollingUpdateDeployment { max_surge: Some(IntOrString::Int(1)), max_unavailable: Some(IntOrString::Int(0)) };
    let spec = DeploymentSpec {
        replicas,
        revision_history_limit: Some(REVISIONS_KEPT),
        selector: meta::selector(scene, role),
        strategy: Some(DeploymentStrategy { type_: Some("RollingUpdate".into()), rolling_update: Some(rolling) }),
        template,
        ..DeploymentSpec::default()
    };
    Deployment { metadata: meta::object(scene, role, meta::name(scene, role)), spec: Some(spec), status: None }
}
