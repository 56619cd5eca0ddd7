//! The resource definition as it is installed: what the derive makes, and the default of the status.

use super::LiveEvent;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt;
use serde_json::json;

/// The CustomResourceDefinition of LiveEvents.
///
/// A status is there from the first moment, with `Ready=Unknown`: without it `helm --wait` and `kubectl wait` take an
/// event that nobody has looked at for one that needs no waiting.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut definition = LiveEvent::crd();
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let status = schema.and_then(|schema| schema.properties.as_mut()).and_then(|all| all.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(JSON(json!({
                "phase": "Pending",
                "conditions": [{
                    "type": "Ready",
                    "status": "Unknown",
                    "reason": crate::condition::reason::PENDING,
                    "message": "Waiting for the operator. If this stays, see whether it runs: kubectl get pods -A -l app.kubernetes.io/name=lectern",
                    "lastTransitionTime": "1970-01-01T00:00:00Z",
                }],
            })));
        }
    }
    definition
}
