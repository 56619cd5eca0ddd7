//! Services: publish, playback over HTTP and RTMP, and the headless one by which the ingest finds its edges. No session
//! affinity anywhere: every edge answers every URL with the same bytes.

use super::meta;
use super::scene::Scene;
use crate::plan::Role;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use lectern_api::live_event::{Expose, ExposeType, TrafficPolicy};
use lectern_api::ports;

/// Port 80 of the Service, so that URLs need no port.
const HTTP_SERVICE_PORT: u16 = 80;

/// Without RTMP playback there is no Service for it: its load balancer would cost money.
pub fn all(scene: &Scene<'_>) -> Vec<Service> {
    let event = scene.event;
    let expose = &event.edges.expose;
    let mut all = vec![
        exposed(scene, Role::Ingest, event.name.ingest(), &event.ingest.expose, ("rtmp", ports::RTMP)),
        exposed(scene, Role::Edge, event.name.edge(), &expose.http, ("http", HTTP_SERVICE_PORT)),
    ];
    if event.playback.rtmp {
        all.push(exposed(scene, Role::Edge, event.name.edge_rtmp(), &expose.rtmp, ("rtmp", ports::RTMP)));
    }
    all.push(relay(scene));
    all
}

fn exposed(scene: &Scene<'_>, role: Role, name: String, expose: &Expose, (port, number): (&str, u16)) -> Service {
    // Without `..`: a way of exposing that is added cannot be forgotten here.
    let Expose {
        kind,
        annotations,
        load_balancer_class,
        load_balancer_source_ranges,
        external_traffic_policy,
        node_port,
    } = expose;
    let mut metadata = meta::object(scene, role, name);
    metadata.annotations = Some(annotations.clone()).filter(|all| !all.is_empty());
    // Local by default at the ingest's load balancer: with Cluster every encoder and every stranger would have a node's
    // address, and share what one address may have. A NodePort must answer on every node.
    let preserves_address = role == Role::Ingest && *kind == ExposeType::LoadBalancer;
    let policy = external_traffic_policy.or_else(|| preserves_address.then_some(TrafficPolicy::Local));
    let traffic = |policy| match policy {
        TrafficPolicy::Cluster => "Cluster".to_owned(),
        TrafficPolicy::Local => "Local".to_owned(),
    };
    let spec = ServiceSpec {
        type_: Some(kind.as_str().into()),
        selector: Some(meta::selected(scene, role)),
        ports: Some(vec![ServicePort { node_port: node_port.map(i32::from), ..service_port(port, number) }]),
        load_balancer_class: load_balancer_class.clone(),
        load_balancer_source_ranges: Some(load_balancer_source_ranges.clone()).filter(|all| !all.is_empty()),
        external_traffic_policy: policy.map(traffic),
        ..ServiceSpec::default()
    };
    Service { metadata, spec: Some(spec), status: None }
}

/// Edges that are not Ready are listed, too: they become Ready by being pushed to.
fn relay(scene: &Scene<'_>) -> Service {
    let spec = ServiceSpec {
        type_: Some("ClusterIP".into()),
        cluster_ip: Some("None".into()),
        publish_not_ready_addresses: Some(true),
        selector: Some(meta::selected(scene, Role::Edge)),
        ports: Some(vec![service_port("relay", ports::RELAY), service_port("admin", ports::ADMIN)]),
        ..ServiceSpec::default()
    };
    Service { metadata: meta::object(scene, Role::Edge, scene.event.name.relay()), spec: Some(spec), status: None }
}

/// A port that leads to the pods' port of the same name.
fn service_port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: i32::from(number),
        protocol: Some("TCP".into()),
        target_port: Some(meta::port(name)),
        ..ServicePort::default()
    }
}
