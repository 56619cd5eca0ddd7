//! Options of `lectern operator`. Each is an environment variable, which is what the chart sets (docs/cluster.md).

use crate::policy::Policy;
use crate::render::{Installation, Metrics, PullPolicy};
use crate::service_options::{Backend, ServiceOptions, filled};
use clap::ValueEnum;
use lectern_api::live_event::ExposeType;
use lectern_api::node_config::ForwardPolicy;

/// Options of `lectern operator`.
#[derive(Clone, Debug, clap::Args)]
pub struct OperatorOptions {
    /// Options that the operator shares with metrics-api.
    #[command(flatten)]
    pub service: ServiceOptions,
    /// The Lease by which one of several replicas leads.
    #[arg(long, value_name = "NAME", env = "LECTERN_LEASE", default_value = "lectern-operator")]
    pub lease: String,
    /// The Secret that all generated keys are derived from, data key root. The operator creates it if it is missing.
    #[arg(long, value_name = "NAME", env = "LECTERN_ROOT_SECRET", default_value = "lectern-root")]
    pub root_secret: String,
    /// The image of ingest and edge pods.
    #[arg(long, value_name = "IMAGE", env = "LECTERN_NODE_IMAGE")]
    pub node_image: String,
    /// When it is pulled.
    #[arg(long, value_enum, env = "LECTERN_NODE_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub node_image_pull_policy: Pull,
    /// Secrets in the events' namespaces with credentials for it.
    #[arg(long, value_name = "NAME", env = "LECTERN_NODE_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub node_image_pull_secrets: Vec<String>,
    /// Types of Services that events may ask for.
    #[arg(
        long,
        value_name = "TYPE",
        env = "LECTERN_POLICY_EXPOSE_TYPES",
        value_delimiter = ',',
        default_value = "ClusterIP,NodePort,LoadBalancer"
    )]
    pub policy_expose_types: Vec<String>,
    /// Prefixes of annotations that events may put on Services; * is all.
    #[arg(
        long,
        value_name = "PREFIX",
        env = "LECTERN_POLICY_ANNOTATION_PREFIXES",
        value_delimiter = ',',
        default_value = "*"
    )]
    pub policy_annotation_prefixes: Vec<String>,
    /// Hosts that events may forward to: *.example.org, or networks such as 203.0.113.0/24. Default: every public address.
    #[arg(long, value_name = "HOST", env = "LECTERN_POLICY_FORWARD_HOSTS", value_delimiter = ',')]
    pub policy_forward_hosts: Vec<String>,
    /// Pod and Service networks, which events may not forward to.
    #[arg(long, value_name = "NETWORK", env = "LECTERN_POLICY_CLUSTER_NETWORKS", value_delimiter = ',')]
    pub policy_cluster_networks: Vec<String>,
    /// Namespaces of the scrapers of /metrics: the NetworkPolicies of events let them reach nodes.
    #[arg(long, value_name = "NAMESPACE", env = "LECTERN_SCRAPE_NAMESPACES", value_delimiter = ',')]
    pub scrape_namespaces: Vec<String>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum Pull {
    /// Before every start.
    Always,
    /// When the node has none.
    IfNotPresent,
    /// Never: it is there already.
    Never,
}

impl OperatorOptions {
    /// What holds for all events.
    #[must_use]
    pub fn installation(&self) -> Installation {
        Installation {
            node_image: self.node_image.clone(),
            pull_policy: match self.node_image_pull_policy {
                Pull::Always => PullPolicy::Always,
                Pull::IfNotPresent => PullPolicy::IfNotPresent,
                Pull::Never => PullPolicy::Never,
            },
            pull_secrets: filled(&self.node_image_pull_secrets),
            namespace: self.service.namespace.clone(),
            scrape_namespaces: filled(&self.scrape_namespaces),
            metrics: self.metrics(),
            forward_policy: ForwardPolicy {
                hosts: filled(&self.policy_forward_hosts),
                refused_networks: filled(&self.policy_cluster_networks),
            },
        }
    }

    /// Who scales edges.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        match self.service.metrics_backend {
            Backend::Apiservice => Metrics::ApiService,
            Backend::External => Metrics::External,
            Backend::Keda => Metrics::Keda,
            Backend::Operator => Metrics::Operator,
        }
    }

    /// What events may ask for.
    ///
    /// # Errors
    /// A type of Services that there is not.
    pub fn policy(&self) -> anyhow::Result<Policy> {
        let all = [ExposeType::ClusterIP, ExposeType::NodePort, ExposeType::LoadBalancer];
        let one = |text: &String| {
            let found = all.iter().find(|kind| kind.as_str() == text).copied();
            found.ok_or_else(|| {
                anyhow::anyhow!("--policy-expose-types: {text} is none of ClusterIP, NodePort, LoadBalancer")
            })
        };
        let types: anyhow::Result<Vec<ExposeType>> = filled(&self.policy_expose_types).iter().map(one).collect();
        Ok(Policy { expose_types: types?, annotation_prefixes: filled(&self.policy_annotation_prefixes) })
    }
}
