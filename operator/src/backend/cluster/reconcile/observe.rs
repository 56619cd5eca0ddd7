//! `what the watches and the nodes told → Observed`. Pure: time is an argument.

use crate::audience::EventAudience;
use crate::backend::cluster::watch::cache::Children;
use crate::backend::cluster::watch::kind::Kind;
use crate::backend::cluster::watch::seen::{AutoscalerSeen, DeploymentSeen, Detail, ObjectSeen, PodSeen, ServiceSeen};
use crate::plan::{Audience, Autoscaler, Burst, EdgeSeen, EdgesSeen, Images, IngestSeen, Objection, Observed};
use crate::render::Metrics;
use crate::scaling::{Memory, Rules};
use jiff::Timestamp;
use lectern_api::names::EventName;
use lectern_api::node_status::NodeStatus;
use lectern_api::{labels, ports};
use std::net::SocketAddr;

/// What is known of an event beside its spec.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a EventName,
    /// When it was made.
    pub created: Timestamp,
    /// Its objects and pods.
    pub children: &'a Children,
    /// What its ingest said last, and when.
    pub ingest: Option<(NodeStatus, Timestamp)>,
    /// Who watches.
    pub audience: Option<&'a EventAudience>,
    /// What scaling remembers.
    pub scaling: &'a Memory,
    /// Node images.
    pub images: Images,
    /// Why it cannot be accepted.
    pub objections: Vec<Objection>,
    /// It is being deleted.
    pub deleting: bool,
    /// Who scales edges.
    pub metrics: Metrics,
    /// Why the metrics cannot come, where that is known: somebody else owns the API.
    pub metrics_problem: Option<(String, String)>,
}

/// The snapshot that a plan is made from.
#[must_use]
pub fn observe(known: &Known<'_>, now: Timestamp) -> Observed {
    Observed {
        ingest: Some(ingest(known, now)),
        edges: edges(known),
        audience: known.audience.map(|audience| Audience {
            viewers: audience.viewers,
            refused: audience.refused,
            egress_bits_per_second: Some(audience.egress_bits_per_second),
        }),
        autoscaler: autoscaler(known),
        burst: autoscaler_seen(known.children, known.name).and_then(|seen| Burst::read(seen.burst.as_deref()?, now)),
        scaling: known.scaling.clone(),
        rules: Rules::default(),
        images: Some(known.images.clone()),
        objections: Some(known.objections.clone()),
        deleting: known.deleting,
    }
}

/// The pod that is the ingest: of several, while one replaces the other, the newest that is ready.
#[must_use]
pub fn ingest_pod(children: &Children) -> Option<&PodSeen> {
    let pods = children.pods.values().filter(|pod| pod.role == labels::ROLE_INGEST && !pod.finished);
    pods.max_by_key(|pod| (!pod.ending, pod.ready, pod.created)).map(AsRef::as_ref)
}

/// The edges' Deployment, as far as it is known.
#[must_use]
pub fn edge_deployment<'a>(children: &'a Children, name: &EventName) -> Option<&'a DeploymentSeen> {
    deployment(children, &name.edge())
}

/// A Deployment by name.
#[must_use]
pub fn deployment<'a>(children: &'a Children, name: &str) -> Option<&'a DeploymentSeen> {
    match &object(children, Kind::Deployment, name)?.detail {
        Detail::Deployment(seen) => Some(seen),
        Detail::Nothing | Detail::Service(_) | Detail::Autoscaler(_) => None,
    }
}

/// Whether a Deployment of the event still replaces pods by those of its newest template.
#[must_use]
pub fn rolls(children: &Children, name: &EventName) -> bool {
    let mut known = [name.ingest(), name.edge()].into_iter().filter_map(|name| deployment(children, &name));
    known.any(|known| !known.settled)
}

/// The autoscaler of the edges.
#[must_use]
pub fn autoscaler_seen<'a>(children: &'a Children, name: &EventName) -> Option<&'a AutoscalerSeen> {
    match &object(children, Kind::Autoscaler, &name.edge())?.detail {
        Detail::Autoscaler(seen) => Some(seen),
        Detail::Nothing | Detail::Service(_) | Detail::Deployment(_) => None,
    }
}

fn object<'a>(children: &'a Children, kind: Kind, name: &str) -> Option<&'a ObjectSeen> {
    children.objects.get(&(kind, name.to_owned())).map(AsRef::as_ref)
}

fn ingest(known: &Known<'_>, now: Timestamp) -> IngestSeen {
    let service = service(known.children, &known.name.ingest());
    let pod = ingest_pod(known.children);
    let host = service.and_then(|service| host(service, known, &known.name.ingest(), ports::RTMP));
    IngestSeen {
        ready: pod.is_some_and(|pod| pod.ready && !pod.ending),
        not_ready_since: match pod {
            Some(pod) if pod.ready => None,
            Some(pod) => pod.since.or(pod.created).or(Some(now)),
            None => Some(known.created),
        },
        detail: pod.and_then(|pod| pod.detail.clone()),
        address: host.map(|(host, port)| format!("{host}:{port}")),
        status: known.ingest.as_ref().map(|(status, _)| status.clone()),
        heard: known.ingest.as_ref().map(|(_, at)| *at),
        process: None,
    }
}

fn edges(known: &Known<'_>) -> Option<EdgesSeen> {
    let deployment = edge_deployment(known.children, known.name);
    let pods = known.children.pods.values().filter(|pod| pod.role == labels::ROLE_EDGE && !pod.finished);
    let url = |scheme: &str, default: u16, name: &str, port: u16| {
        let (host, port) = host(service(known.children, name)?, known, name, port)?;
        Some(if port == default { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") })
    };
    Some(EdgesSeen {
        desired: deployment?.replicas,
        nodes: pods.map(|pod| edge(pod)).collect(),
        http: url("http", 80, &known.name.edge(), 80),
        rtmp: url("rtmp", ports::RTMP, &known.name.edge_rtmp(), ports::RTMP),
    })
}

fn edge(pod: &PodSeen) -> EdgeSeen {
    EdgeSeen {
        name: pod.name.clone(),
        ready: pod.ready,
        ending: pod.ending,
        detail: pod.detail.clone(),
        relay: pod.ip.map(|ip| SocketAddr::new(ip, ports::RELAY)),
        // Only the metrics server asks edges.
        status: None,
        process: None,
    }
}

fn service<'a>(children: &'a Children, name: &str) -> Option<&'a ServiceSeen> {
    match &object(children, Kind::Service, name)?.detail {
        Detail::Service(seen) => Some(seen),
        Detail::Nothing | Detail::Deployment(_) | Detail::Autoscaler(_) => None,
    }
}

/// Where a Service is reached: at its load balancer, at a node, or by its name inside the cluster. None while a load
/// balancer has no address.
fn host(service: &ServiceSeen, known: &Known<'_>, name: &str, port: u16) -> Option<(String, u16)> {
    match service.kind.as_str() {
        "LoadBalancer" => service.external.clone().map(|host| (host, port)),
        "NodePort" => {
            let node = known.children.pods.values().find_map(|pod| pod.host_ip.clone().filter(|_| pod.ready))?;
            Some((node, service.node_port?))
        }
        _ => Some((format!("{name}.{}.svc", known.namespace), port)),
    }
}

fn autoscaler(known: &Known<'_>) -> Option<Autoscaler> {
    let inactive = |reason: &str, message: &str| Autoscaler {
        active: false,
        reason: reason.into(),
        message: message.into(),
        at_maximum: false,
    };
    match known.metrics {
        Metrics::Keda => Some(Autoscaler {
            active: true,
            reason: "Keda".into(),
            message: "KEDA scales; ask its ScaledObject".into(),
            at_maximum: false,
        }),
        Metrics::Operator if known.audience.is_none() => {
            Some(inactive("NoSamples", "the edges have not been counted yet; is metrics-api running?"))
        }
        Metrics::Operator => {
            Some(Autoscaler { active: true, reason: "Operator".into(), message: String::new(), at_maximum: false })
        }
        Metrics::ApiService | Metrics::External => {
            let seen = autoscaler_seen(known.children, known.name);
            let said = seen.and_then(|seen| Some((seen.at_maximum, seen.active.clone()?)));
            match (said, &known.metrics_problem) {
                // Somebody else's server may pass requests on: who gets numbers has no problem.
                (None | Some((_, (false, ..))), Some((reason, message))) => Some(inactive(reason, message)),
                (said, _) => said.map(|(at_maximum, (active, reason, message))| Autoscaler {
                    active,
                    reason,
                    message,
                    at_maximum,
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
