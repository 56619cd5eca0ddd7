//! ServiceAccounts: one for the ingest, which may look for its edges; one for the edges, which may do nothing.

use super::meta;
use super::scene::Scene;
use crate::plan::Role;
use k8s_openapi::api::core::v1::ServiceAccount;

pub fn all(scene: &Scene<'_>) -> Vec<ServiceAccount> {
    [Role::Ingest, Role::Edge].map(|role| one(scene, role)).into()
}

/// No token by itself: a pod that needs one says so.
fn one(scene: &Scene<'_>, role: Role) -> ServiceAccount {
    ServiceAccount {
        metadata: meta::object(scene, role, meta::name(scene, role)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
