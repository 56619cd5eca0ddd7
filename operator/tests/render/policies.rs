//! Who may reach which port, by an evaluator of NetworkPolicies: the cluster of the tests does not enforce them.
//!
//! It knows what the rendered policies use (label selectors, named ports) and refuses to judge the rest.

use super::support::{event, rendered};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

/// Somebody who connects, or is connected to.
struct Party {
    namespace: &'static str,
    /// None is somebody outside the cluster.
    labels: Option<Labels>,
}

fn pod(namespace: &'static str, event: &str, role: &str) -> Party {
    let pairs = [("lectern.dev/event", event), ("lectern.dev/role", role)];
    Party { namespace, labels: Some(pairs.map(|(key, value)| (key.into(), value.into())).into()) }
}

fn outsider() -> Party {
    Party { namespace: "", labels: None }
}

fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    assert!(selector.match_expressions.is_none(), "not judged");
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

fn is_peer(peer: &NetworkPolicyPeer, own_namespace: &str, from: &Party) -> bool {
    assert!(peer.ip_block.is_none(), "not judged");
    let Some(labels) = &from.labels else { return false };
    let namespace_labels = Labels::from([("kubernetes.io/metadata.name".into(), from.namespace.into())]);
    let in_namespace = match &peer.namespace_selector {
        Some(selector) => matches(selector, &namespace_labels),
        None => from.namespace == own_namespace,
    };
    in_namespace && peer.pod_selector.as_ref().is_none_or(|selector| matches(selector, labels))
}

/// Whether `from` may open a connection to the port called `port` of `to`.
fn may_reach(policies: &[NetworkPolicy], from: &Party, to: &Party, port: &str) -> bool {
    let labels = to.labels.as_ref().unwrap();
    let selecting: Vec<_> = policies
        .iter()
        .filter(|policy| policy.metadata.namespace.as_deref() == Some(to.namespace))
        .filter_map(|policy| policy.spec.as_ref())
        .filter(|spec| spec.pod_selector.as_ref().is_none_or(|selector| matches(selector, labels)))
        .inspect(|spec| assert_eq!(spec.policy_types.as_deref(), Some(&["Ingress".to_owned()][..]), "not judged"))
        .collect();
    // A pod that no policy selects is open.
    selecting.is_empty()
        || selecting.iter().flat_map(|spec| spec.ingress.iter().flatten()).any(|rule| {
            let on_port = rule
                .ports
                .as_ref()
                .is_none_or(|ports| ports.iter().any(|one| one.port == Some(IntOrString::String(port.into()))));
            let by_peer = rule.from.as_ref().is_none_or(|all| all.iter().any(|one| is_peer(one, to.namespace, from)));
            on_port && by_peer
        })
}

#[test]
fn only_those_with_business_there_reach_a_port() {
    let policies = rendered(&event()).network_policies;
    let ingest = || pod("default", "gala", "ingest");
    let edge = || pod("default", "gala", "edge");
    let table = [
        // What the world may do.
        (outsider(), ingest(), "rtmp", true),
        (outsider(), edge(), "http", true),
        (outsider(), edge(), "rtmp", true),
        (outsider(), edge(), "relay", false),
        (outsider(), edge(), "admin", false),
        (outsider(), ingest(), "admin", false),
        // What the event's own pods may do.
        (ingest(), edge(), "relay", true),
        (edge(), edge(), "admin", true),
        (edge(), edge(), "relay", false),
        (edge(), ingest(), "admin", false),
        // What other events may do, in this namespace and with this name in another.
        (pod("default", "other", "ingest"), edge(), "relay", false),
        (pod("default", "other", "edge"), edge(), "admin", false),
        (pod("elsewhere", "gala", "ingest"), edge(), "relay", false),
        (pod("elsewhere", "gala", "edge"), edge(), "admin", false),
        // Operator, metrics server and whoever scrapes.
        (pod("lectern-system", "", ""), ingest(), "admin", true),
        (pod("lectern-system", "", ""), edge(), "admin", true),
        (pod("lectern-system", "", ""), edge(), "relay", false),
        (pod("monitoring", "", ""), edge(), "admin", true),
        (pod("monitoring", "", ""), ingest(), "admin", true),
        (pod("default", "", ""), edge(), "admin", false),
        // Pods that are not the event's are not judged by its policies.
        (outsider(), pod("default", "other", "edge"), "relay", true),
    ];
    for (from, to, port, allowed) in table {
        let who = |party: &Party| format!("{} {:?}", party.namespace, party.labels);
        assert_eq!(may_reach(&policies, &from, &to, port), allowed, "{} to {} of {}", who(&from), port, who(&to));
    }
}
