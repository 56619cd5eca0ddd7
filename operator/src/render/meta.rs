//! What every object carries: name, labels, owner; and how pods are selected.

use super::scene::Scene;
use crate::plan::Role;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lectern_api::labels;
use std::collections::BTreeMap;

/// The label by which a namespace is selected by name; the API server keeps it.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Metadata of the object `name` of `role`.
pub fn object(scene: &Scene<'_>, role: Role, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(scene.event.namespace.clone()),
        labels: Some(all_labels(scene, role)),
        owner_references: owner(scene).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The labels of everything of `role`.
pub fn all_labels(scene: &Scene<'_>, role: Role) -> BTreeMap<String, String> {
    let mut all = selected(scene, role);
    all.insert(labels::MANAGED_BY.into(), labels::MANAGED_BY_LECTERN.into());
    all.insert(labels::PART_OF.into(), labels::MANAGED_BY_LECTERN.into());
    all
}

/// The labels by which pods of `role` are selected. A Deployment's selector cannot be changed: neither may these.
pub fn selected(scene: &Scene<'_>, role: Role) -> BTreeMap<String, String> {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    BTreeMap::from([pair(labels::EVENT, scene.event.name.as_str()), pair(labels::ROLE, role.as_str())])
}

/// Selects the pods of `role`.
pub fn selector(scene: &Scene<'_>, role: Role) -> LabelSelector {
    LabelSelector { match_labels: Some(selected(scene, role)), ..LabelSelector::default() }
}

/// Selects the namespace called `name`.
pub fn namespace(name: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(NAMESPACE_NAME.to_owned(), name.to_owned())])),
        ..LabelSelector::default()
    }
}

/// The name of everything of `role` that has no other.
pub fn name(scene: &Scene<'_>, role: Role) -> String {
    match role {
        Role::Ingest => scene.event.name.ingest(),
        Role::Edge => scene.event.name.edge(),
    }
}

/// A reference to the port `name` of a pod.
pub fn port(name: &str) -> IntOrString {
    IntOrString::String(name.into())
}

/// `number` for an API that counts in 32 bits with a sign.
pub fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The event owns everything: deleting it deletes them. blockOwnerDeletion stays unset, it would need a right on
/// liveevents/finalizers.
fn owner(scene: &Scene<'_>) -> Option<OwnerReference> {
    Some(OwnerReference {
        api_version: "lectern.dev/v1alpha1".into(),
        kind: "LiveEvent".into(),
        name: scene.event.name.to_string(),
        uid: scene.identity.uid.clone()?,
        controller: Some(true),
        block_owner_deletion: None,
    })
}
