//! NetworkPolicies: viewers and encoders from anywhere, the relay from the event's ingest alone, the admin port from
//! the pods that need them. The kubelet of a pod's node is always let in. Outgoing traffic is not
//! restricted: the API server, which the ingest asks, cannot be named portably.

use super::meta;
use super::scene::Scene;
use crate::plan::{Port, Role};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};

pub fn all(scene: &Scene<'_>) -> Vec<NetworkPolicy> {
    let edges = NetworkPolicyPeer { pod_selector: Some(meta::selector(scene, Role::Edge)), ..Default::default() };
    let ingest = NetworkPolicyPeer { pod_selector: Some(meta::selector(scene, Role::Ingest)), ..Default::default() };
    let mut siblings = inspectors(scene);
    siblings.insert(0, edges);
    vec![
        policy(scene, Role::Ingest, vec![public(&scene.plan.ingest.ports), rule("admin", inspectors(scene))]),
        policy(
            scene,
            Role::Edge,
            vec![public(&scene.plan.edges.ports), rule("relay", vec![ingest]), rule("admin", siblings)],
        ),
    ]
}

fn policy(scene: &Scene<'_>, role: Role, rules: Vec<NetworkPolicyIngressRule>) -> NetworkPolicy {
    NetworkPolicy {
        metadata: meta::object(scene, role, meta::name(scene, role)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(meta::selector(scene, role)),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(rules),
            egress: None,
        }),
    }
}

/// The public ports: no `from`.
fn public(ports: &[Port]) -> NetworkPolicyIngressRule {
    let open = ports.iter().filter(|port| port.public).map(|port| named(port.name)).collect();
    NetworkPolicyIngressRule { from: None, ports: Some(open) }
}

fn rule(port: &str, from: Vec<NetworkPolicyPeer>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from: Some(from), ports: Some(vec![named(port)]) }
}

/// Who reads `/status` and `/metrics`: operator, metrics API and Prometheus servers.
fn inspectors(scene: &Scene<'_>) -> Vec<NetworkPolicyPeer> {
    let own = std::iter::once(&scene.installation.namespace);
    let others = scene.installation.scrape_namespaces.iter().filter(|other| **other != scene.installation.namespace);
    own.chain(others)
        .map(|name| NetworkPolicyPeer { namespace_selector: Some(meta::namespace(name)), ..Default::default() })
        .collect()
}

fn named(port: &str) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(meta::port(port)), protocol: Some("TCP".into()), end_port: None }
}
