//! Stage 1, observe: what the watches, the event's ingest and `metrics-api` have reported becomes an `Observed`. Asks the
//! API server nothing.

use super::conflicts::name_taken;
use super::context::Memory;
use super::pass::EventPass;
use crate::audience::EventAudience;
use crate::backend::cluster::watch::children::Children;
use crate::backend::cluster::watch::seen::{PodSeen, ServiceSeen};
use crate::plan::{Audience, Autoscaler, Burst, EdgeSeen, EdgesSeen, Images, IngestSeen, Objection, Observed};
use crate::render::{Identity, Metrics};
use crate::scaling::{self, Rules};
use jiff::Timestamp;
use kube::runtime::reflector::Store;
use lectern_api::condition::reason;
use lectern_api::names::EventName;
use lectern_api::node_status::NodeStatus;
use lectern_api::{keys, ports};
use std::net::SocketAddr;

/// What is known of the event of `pass`. Its ingest is polled from now on.
pub fn observe(pass: &EventPass<'_>, memory: &Memory) -> Observed {
    let context = pass.context;
    let ingest = context.polls.latest(pass.key, pass.children.ingest_pod());
    let known = Known {
        namespace: &pass.key.namespace,
        name: &pass.event.name,
        created: pass.created(),
        children: &pass.children,
        audience: pass.audience.as_ref(),
        scaling: &memory.scaling,
        images: Images {
            wanted: context.installation.node_image.clone(),
            in_use: pass.previous.and_then(|status| status.node_image.clone()),
            turn: true,
        },
        objections: objections(pass, ingest.as_ref().map(|(status, _)| status)),
        ingest,
        deleting: false,
        metrics: context.installation.metrics,
        metrics_problem: context.metrics_problem.borrow().clone(),
    };
    snapshot(&known, pass.now)
}

/// Reasons outside the spec why the event cannot be accepted, as far as they are known without a request.
fn objections(pass: &EventPass<'_>, ingest: Option<&NodeStatus>) -> Vec<Objection> {
    let mut all = pass.context.policy.objections(pass.event);
    let stores = pass.context.events.get().map(Vec::as_slice).unwrap_or_default();
    let others: Vec<_> = stores.iter().flat_map(Store::state).collect();
    let others = others.iter().filter_map(|other| other.0.as_ref().ok());
    let neighbours = others.filter(|other| other.metadata.namespace == pass.raw.metadata.namespace);
    all.extend(name_taken(pass.raw, neighbours));
    all.extend(ingest.and_then(|status| seed_mismatch(status, &pass.identity)));
    all
}

/// The ingest loaded another seed than the event's: the Secret of that name was made by another program.
fn seed_mismatch(status: &NodeStatus, identity: &Identity) -> Option<Objection> {
    let loaded = &status.ingest.as_ref()?.seed_fingerprint;
    let other = !loaded.is_empty() && *loaded != keys::fingerprint(identity.seed.as_bytes());
    other.then(|| Objection {
        reason: reason::KEY_MATERIAL_MISMATCH,
        message: "the ingest loaded another seed than this event's: delete the Secret whose name ends in -seed, and \
                  the ingest's pod"
            .into(),
    })
}

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
    pub scaling: &'a scaling::Memory,
    /// Node images.
    pub images: Images,
    /// Why it cannot be accepted.
    pub objections: Vec<Objection>,
    /// It is being deleted.
    pub deleting: bool,
    /// Who scales edges.
    pub metrics: Metrics,
    /// Why the metrics cannot come, where that is known: another server owns the API.
    pub metrics_problem: Option<(String, String)>,
}

/// The snapshot that a plan is made from.
#[must_use]
pub fn snapshot(known: &Known<'_>, now: Timestamp) -> Observed {
    Observed {
        ingest: Some(ingest(known, now)),
        edges: edges(known),
        audience: known.audience.map(|audience| Audience {
            viewers: audience.viewers,
            refused: audience.refused,
            egress_bits_per_second: Some(audience.egress_bits_per_second),
        }),
        autoscaler: autoscaler(known),
        burst: known.children.autoscaler(known.name).and_then(|seen| Burst::read(seen.burst.as_deref()?, now)),
        scaling: known.scaling.clone(),
        rules: Rules::default(),
        images: Some(known.images.clone()),
        objections: Some(known.objections.clone()),
        deleting: known.deleting,
    }
}

fn ingest(known: &Known<'_>, now: Timestamp) -> IngestSeen {
    let service = known.children.service(&known.name.ingest());
    let pod = known.children.ingest_pod();
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
    let deployment = known.children.edge_deployment(known.name);
    let pods = known.children.edge_pods();
    let url = |scheme: &str, default: u16, name: &str, port: u16| {
        let (host, port) = host(known.children.service(name)?, known, name, port)?;
        Some(if port == default { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") })
    };
    Some(EdgesSeen {
        desired: deployment?.replicas,
        nodes: pods.map(edge).collect(),
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
            let seen = known.children.autoscaler(known.name);
            let said = seen.and_then(|seen| Some((seen.at_maximum, seen.active.clone()?)));
            match (said, &known.metrics_problem) {
                // Another server may pass requests on: an operator that gets numbers has no problem.
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
