//! PodDisruptionBudgets: how many pods a drained node may take away.

use super::meta;
use super::scene::Scene;
use crate::plan::Role;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Kubernetes rounds a share up: it is one edge of up to four, and a quarter above. A share, and not a number, so that
/// an audience that comes and goes causes no writes.
const EDGES_AT_ONCE: &str = "25%";

pub fn all(scene: &Scene<'_>) -> Vec<PodDisruptionBudget> {
    // A permanent 0 would block every drain of the ingest's node; idle, it may go.
    let ingest_at_once = i32::from(scene.plan.idle.is_idle());
    vec![
        budget(scene, Role::Ingest, IntOrString::Int(ingest_at_once)),
        budget(scene, Role::Edge, IntOrString::String(EDGES_AT_ONCE.into())),
    ]
}

/// A pod that is not Ready serves no viewer: it may always go.
fn budget(scene: &Scene<'_>, role: Role, at_once: IntOrString) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: meta::object(scene, role, meta::name(scene, role)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(at_once),
            min_available: None,
            selector: Some(meta::selector(scene, role)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
        }),
        status: None,
    }
}
