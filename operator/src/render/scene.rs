//! What every kind is rendered from: the event, its plan, its identity, and what the installation decides for all events.

use crate::plan::Plan;
use crate::validate::Event;
use lectern_api::node_config::ForwardPolicy;

/// What the installation decides for all events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Image of ingest and edges, where a plan names none.
    pub node_image: String,
    /// When it is pulled.
    pub pull_policy: PullPolicy,
    /// Secrets in the events' namespaces with credentials for it.
    pub pull_secrets: Vec<String>,
    /// The namespace of operator and metrics server: they ask nodes for their status.
    pub namespace: String,
    /// Namespaces of the Prometheus servers that scrape `/metrics` of nodes.
    pub scrape_namespaces: Vec<String>,
    /// Who scales edges.
    pub metrics: Metrics,
    /// Where streams may be forwarded to.
    pub forward_policy: ForwardPolicy,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// When the node has none.
    #[default]
    IfNotPresent,
    /// Never: it is on the node already.
    Never,
}

/// Where the autoscaler reads demand, or who scales without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metrics {
    /// `lectern metrics-api` serves custom.metrics.k8s.io.
    #[default]
    ApiService,
    /// It serves external.metrics.k8s.io: for clusters where another server has custom.metrics.k8s.io.
    External,
    /// KEDA scales, by a ScaledObject that people make for the event (docs/autoscaling/keda.yaml). The operator makes no
    /// autoscaler; KEDA makes one of its own.
    Keda,
    /// The operator scales.
    Operator,
}

/// The event as the API server knows it, and its key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its uid. None for an event that no API server has: its objects then name no owner.
    pub uid: Option<String>,
    /// Its seed ([`lectern_api::keys::seed`]).
    pub seed: String,
}

/// What every kind is rendered from.
pub(super) struct Scene<'a> {
    pub(super) event: &'a Event,
    pub(super) plan: &'a Plan,
    pub(super) identity: &'a Identity,
    pub(super) installation: &'a Installation,
}
