//! `Plan → Objects`: the Kubernetes objects of an event. Pure: no client, no clock; carrying them out is elsewhere.
//!
//! One kind a file below `render/`. Two rules hold over all of them. A pod template depends on neither streams,
//! schedule nor playback: those reach the ingest in a ConfigMap and the edges over the relay, so that changing them
//! restarts no pod. And what the operator cannot read it must not need to: every Secret is derived and only ever created.

mod config_map;
mod deployment;
mod horizontal_pod_autoscaler;
mod meta;
mod network_policy;
mod pod;
mod pod_disruption_budget;
mod role;
mod scene;
mod secret;
mod service;
mod service_account;

pub use pod::NODE_FILE;
pub use scene::{Identity, Installation, Metrics, PullPolicy};

use crate::plan::Plan;
use crate::validate::Event;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use scene::Scene;
use std::collections::BTreeMap;

/// Every object of an event, in the order in which they are to be there: what others refer to comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// Who the pods are.
    pub service_accounts: Vec<ServiceAccount>,
    /// What they may do.
    pub roles: Vec<Role>,
    /// Who may do it.
    pub role_bindings: Vec<RoleBinding>,
    /// Key material. To be created, never applied or patched: the answer to those would show its content.
    pub secrets: Vec<Secret>,
    /// The ingest's configuration.
    pub config_maps: Vec<ConfigMap>,
    /// Who may reach a pod. Before the pods, so that none is ever open.
    pub network_policies: Vec<NetworkPolicy>,
    /// How pods are reached.
    pub services: Vec<Service>,
    /// How many pods may be taken away at once.
    pub pod_disruption_budgets: Vec<PodDisruptionBudget>,
    /// The pods.
    pub deployments: Vec<Deployment>,
    /// Who scales the edges.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// Annotations for the running pods of the ingest, patched onto the pods and never part of their template: they
    /// change while a stream is live. None takes an annotation away.
    pub ingest_pod_annotations: BTreeMap<String, Option<String>>,
}

/// The objects of `event` as `plan` wants it.
#[must_use]
pub fn render(event: &Event, plan: &Plan, identity: &Identity, installation: &Installation) -> Objects {
    let scene = Scene { event, plan, identity, installation };
    let config_map = config_map::node(&scene);
    let ingest_pod_annotations = pod::ingest_annotations(&scene, &config_map);
    Objects {
        service_accounts: service_account::all(&scene),
        roles: vec![role::ingest(&scene)],
        role_bindings: vec![role::ingest_binding(&scene)],
        secrets: secret::all(&scene),
        config_maps: vec![config_map],
        network_policies: network_policy::all(&scene),
        services: service::all(&scene),
        pod_disruption_budgets: pod_disruption_budget::all(&scene),
        deployments: vec![deployment::ingest(&scene), deployment::edges(&scene)],
        autoscalers: horizontal_pod_autoscaler::edges(&scene).into_iter().collect(),
        ingest_pod_annotations,
    }
}

impl Objects {
    /// Every object as a document, in order.
    ///
    /// # Errors
    /// When an object cannot be written as JSON; none of them holds anything that could not.
    pub fn documents(&self) -> Result<Vec<serde_json::Value>, serde_json::Error> {
        // Without `..`: a kind that is added cannot be forgotten here.
        let Self {
            service_accounts,
            roles,
            role_bindings,
            secrets,
            config_maps,
            network_policies,
            services,
            pod_disruption_budgets,
            deployments,
            autoscalers,
            ingest_pod_annotations: _,
        } = self;
        let mut all = Vec::new();
        add(&mut all, service_accounts)?;
        add(&mut all, roles)?;
        add(&mut all, role_bindings)?;
        add(&mut all, secrets)?;
        add(&mut all, config_maps)?;
        add(&mut all, network_policies)?;
        add(&mut all, services)?;
        add(&mut all, pod_disruption_budgets)?;
        add(&mut all, deployments)?;
        add(&mut all, autoscalers)?;
        Ok(all)
    }

    /// Every object as YAML, one document each, in order.
    ///
    /// # Errors
    /// As [`Self::documents`].
    pub fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        let documents = self.documents().map_err(<serde_yaml::Error as serde::ser::Error>::custom)?;
        let texts: Result<Vec<String>, _> = documents.iter().map(serde_yaml::to_string).collect();
        Ok(texts?.join("---\n"))
    }

    /// The same objects with `text` in place of everything that is secret.
    #[must_use]
    pub fn without_secrets(mut self, text: &str) -> Self {
        for value in self.secrets.iter_mut().filter_map(|secret| secret.string_data.as_mut()).flatten() {
            text.clone_into(value.1);
        }
        self
    }
}

fn add<K: serde::Serialize>(all: &mut Vec<serde_json::Value>, objects: &[K]) -> Result<(), serde_json::Error> {
    for object in objects {
        all.push(serde_json::to_value(object)?);
    }
    Ok(())
}
