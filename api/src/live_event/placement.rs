//! How an event's nodes are reached and where they run: the parts of the spec that ingest and edges share.

use crate::quantity::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a Service is exposed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'LoadBalancer' || (!has(self.loadBalancerClass) && (!has(self.loadBalancerSourceRanges) || self.loadBalancerSourceRanges.size() == 0))")
        .message("loadBalancerClass and loadBalancerSourceRanges need type LoadBalancer"),
    validation = Rule::new("self.type != 'ClusterIP' || (!has(self.externalTrafficPolicy) && !has(self.nodePort))")
        .message("externalTrafficPolicy and nodePort need type NodePort or LoadBalancer")
)]
pub struct Expose {
    /// ClusterIP: inside the cluster only (put an Ingress or a Gateway in front). NodePort: a port on every
    /// node. LoadBalancer: an address of its own from the cloud or from MetalLB.
    #[serde(rename = "type")]
    pub kind: ExposeType,

    /// Annotations of the Service: load balancers and external-dns read theirs here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// Which load balancer implementation serves it, where a cluster has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub load_balancer_class: Option<String>,

    /// Networks that may connect, as CIDR ranges. Empty: every address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 50)))]
    pub load_balancer_source_ranges: Vec<String>,

    /// Local keeps the client's address and saves a hop, but only nodes with a pod answer. Default: Local for the
    /// ingest with type LoadBalancer, so that limits per address count encoders and not nodes; otherwise Cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,

    /// The port on every node; otherwise the cluster picks one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<u16>,
}

impl Expose {
    /// Type `kind` and nothing else.
    #[must_use]
    pub fn of(kind: ExposeType) -> Self {
        Self {
            kind,
            annotations: BTreeMap::new(),
            load_balancer_class: None,
            load_balancer_source_ranges: Vec::new(),
            external_traffic_policy: None,
            node_port: None,
        }
    }
}

/// The type of a Service.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExposeType {
    /// Inside the cluster only.
    ClusterIP,
    /// A port on every node.
    NodePort,
    /// An address of its own.
    LoadBalancer,
}

impl ExposeType {
    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Which nodes pass traffic on.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// All of them.
    Cluster,
    /// Those with a pod.
    Local,
}

/// Which nodes pods may run on.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that do not keep the pods away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tolerations: Vec<Toleration>,
    /// The PriorityClass of the pods: who goes first when a node is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
}

/// A taint that does not keep the pods away, as in a pod's `tolerations`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint; empty with operator Exists matches every taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Exists or Equal (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Value of the taint, with operator Equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// NoSchedule, PreferNoSchedule or NoExecute; empty matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// For how long NoExecute is tolerated, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// CPU and memory of a container, as in a pod.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is reserved, e.g. {cpu: 500m, memory: 512Mi}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// What must not be exceeded. A CPU limit below what a flash crowd needs makes pictures stutter: leave it out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
}
