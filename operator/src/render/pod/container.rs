//! The one container of a pod: program, ports, probes, resources, and what it may not do.

use super::super::meta;
use super::super::scene::{PullPolicy, Scene};
use crate::plan::{Port, Role};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, Probe, ResourceRequirements, SecurityContext,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use lectern_api::live_event::Resources;
use std::collections::BTreeMap;

/// The program in the image.
const PROGRAM: &str = "/usr/local/bin/lectern-node";
/// How long a node may take to answer for the first time, in seconds: its process starts in well under one, the rest is
/// for a machine that starts many at once.
const START_S: i32 = 60;
/// A node is not Ready after so many unanswered seconds.
const READY_FAILURES: i32 = 2;
const LIVE_PERIOD_S: i32 = 10;
/// A node is only killed after a minute without any answer: under a flash crowd slow is better than gone.
const LIVE_FAILURES: i32 = 6;

/// What a node reserves where an event says nothing: processor, memory. Little, so that a first try fits anywhere; an
/// edge for a real audience wants more (spec.edges.resources).
const INGEST_REQUESTS: (&str, &str) = ("100m", "128Mi");
const EDGE_REQUESTS: (&str, &str) = ("200m", "256Mi");

pub fn container(
    scene: &Scene<'_>,
    role: Role,
    args: Vec<String>,
    env: Vec<EnvVar>,
    mounts: Vec<VolumeMount>,
) -> Container {
    let installation = scene.installation;
    let (ports, wanted, default) = match role {
        Role::Ingest => (&scene.plan.ingest.ports, &scene.event.ingest.resources, INGEST_REQUESTS),
        Role::Edge => (&scene.plan.edges.ports, &scene.event.edges.resources, EDGE_REQUESTS),
    };
    let pull = match installation.pull_policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    };
    Container {
        name: role.as_str().into(),
        image: Some(scene.plan.rollout.image.clone().unwrap_or_else(|| installation.node_image.clone())),
        image_pull_policy: Some(pull.into()),
        command: Some(vec![PROGRAM.into()]),
        args: Some(args),
        env: Some(env),
        ports: Some(ports.iter().map(container_port).collect()),
        resources: Some(resources(wanted, default)),
        startup_probe: Some(Probe { failure_threshold: Some(START_S), ..probe("/healthz", 1) }),
        readiness_probe: Some(Probe { failure_threshold: Some(READY_FAILURES), ..probe("/readyz", 1) }),
        liveness_probe: Some(Probe {
            failure_threshold: Some(LIVE_FAILURES),
            timeout_seconds: Some(5),
            ..probe("/healthz", LIVE_PERIOD_S)
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn container_port(port: &Port) -> ContainerPort {
    ContainerPort {
        name: Some(port.name.into()),
        container_port: i32::from(port.number),
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period_s: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: meta::port("admin"),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_s),
        ..Probe::default()
    }
}

fn resources(wanted: &Resources, (cpu, memory): (&str, &str)) -> ResourceRequirements {
    let Resources { requests, limits } = wanted;
    let read = |all: &BTreeMap<String, lectern_api::quantity::Quantity>| {
        all.iter().map(|(name, quantity)| (name.clone(), Quantity(quantity.0.clone()))).collect::<BTreeMap<_, _>>()
    };
    let (mut requests, limits) = (read(requests), read(limits));
    // A limit without a request is the request, as Kubernetes has it: a default must not exceed it.
    for (name, default) in [("cpu", cpu), ("memory", memory)] {
        if !limits.contains_key(name) {
            requests.entry(name.into()).or_insert_with(|| Quantity(default.into()));
        }
    }
    let some = |all: BTreeMap<String, Quantity>| Some(all).filter(|all| !all.is_empty());
    ResourceRequirements { requests: some(requests), limits: some(limits), claims: None }
}
