//! Role and RoleBinding of the ingest: it reads EndpointSlices to find its edges. They belong to the
//! event, so that uninstalling the operator cuts no live ingest off.

use super::meta;
use super::scene::Scene;
use crate::plan;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::{Metadata as _, Resource as _};

pub fn ingest(scene: &Scene<'_>) -> Role {
    let rule = PolicyRule {
        api_groups: Some(vec![EndpointSlice::GROUP.into()]),
        resources: Some(vec!["endpointslices".into()]),
        verbs: ["get", "list", "watch"].map(String::from).into(),
        ..PolicyRule::default()
    };
    Role { metadata: meta::object(scene, plan::Role::Ingest, scene.event.name.ingest()), rules: Some(vec![rule]) }
}

pub fn ingest_binding(scene: &Scene<'_>) -> RoleBinding {
    let role = ingest(scene);
    let subject = Subject {
        kind: "ServiceAccount".into(),
        name: meta::name(scene, plan::Role::Ingest),
        namespace: Some(scene.event.namespace.clone()),
        ..Subject::default()
    };
    RoleBinding {
        role_ref: RoleRef {
            api_group: Role::GROUP.into(),
            kind: Role::KIND.into(),
            name: role.metadata().name.clone().unwrap_or_default(),
        },
        metadata: role.metadata,
        subjects: Some(vec![subject]),
    }
}
