//! The kinds of objects that an event has, as the API server calls them. Secrets are not among them: they are created
//! and never looked at.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::core::ApiResource;

/// One kind, in the order in which objects are to be there: what others refer to comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Who pods are.
    ServiceAccount,
    /// What they may do.
    Role,
    /// Who may do it.
    RoleBinding,
    /// The configuration of the ingest.
    ConfigMap,
    /// Who may reach a pod.
    NetworkPolicy,
    /// How pods are reached.
    Service,
    /// How many may be taken away.
    PodDisruptionBudget,
    /// The pods.
    Deployment,
    /// Who scales the edges.
    Autoscaler,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::ServiceAccount,
        Self::Role,
        Self::RoleBinding,
        Self::ConfigMap,
        Self::NetworkPolicy,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::Deployment,
        Self::Autoscaler,
    ];

    /// The kind that a document calls itself.
    #[must_use]
    pub fn named(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.resource().kind == kind)
    }

    /// Group, version and plural.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::Role => ApiResource::erase::<Role>(&()),
            Self::RoleBinding => ApiResource::erase::<RoleBinding>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::Autoscaler => ApiResource::erase::<HorizontalPodAutoscaler>(&()),
        }
    }

    /// Objects of one step may be applied side by side; the next step comes after all of them are there. Pods need
    /// accounts, configuration and policies; an autoscaler needs what it scales. A binding comes last: the API server
    /// asks its own cache whether we hold what the Role grants, and that cache learns of the Role a moment later.
    #[must_use]
    pub const fn step(self) -> u8 {
        match self {
            Self::ServiceAccount | Self::Role | Self::ConfigMap | Self::NetworkPolicy | Self::Service => 0,
            Self::PodDisruptionBudget | Self::Deployment => 1,
            Self::RoleBinding | Self::Autoscaler => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(&kind.resource().kind), Some(kind));
        }
        assert_eq!(Kind::named("Secret"), None, "a Secret is created, never applied");
    }
}
