//! Snapshots.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its event must fail")]

use super::*;
use crate::backend::cluster::watch::kind::Kind;
use crate::backend::cluster::watch::seen::{AutoscalerSeen, DeploymentSeen, Detail, ObjectSeen};
use crate::scaling::Memory;
use std::sync::{Arc, LazyLock};

static NOTHING: LazyLock<Memory> = LazyLock::new(Memory::default);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(name: &str, role: &str, ready: bool, created: i64) -> (String, Arc<PodSeen>) {
    let pod = PodSeen {
        name: name.into(),
        role: role.into(),
        ready,
        created: Some(at(created)),
        since: Some(at(created + 1)),
        ip: Some("10.0.0.1".parse().unwrap()),
        host_ip: Some("192.0.2.1".into()),
        ..PodSeen::default()
    };
    (name.into(), Arc::new(pod))
}

fn object(detail: Detail) -> Arc<ObjectSeen> {
    Arc::new(ObjectSeen { uid: "o".into(), owner: None, version: "1".into(), print: 0, ending: false, detail })
}

fn known<'a>(name: &'a EventName, children: &'a Children) -> Known<'a> {
    Known {
        namespace: "halls",
        name,
        created: at(0),
        children,
        ingest: None,
        audience: None,
        scaling: &NOTHING,
        images: Images { wanted: "i".into(), in_use: None, turn: true },
        objections: Vec::new(),
        deleting: false,
        metrics: Metrics::ApiService,
        metrics_problem: None,
    }
}

#[test]
fn an_ingest_that_was_never_there_is_not_ready_since_the_event_is() {
    let (name, children) = (EventName::new("gala").unwrap(), Children::default());
    let seen = snapshot(&known(&name, &children), at(50));
    assert_eq!(seen.ingest.unwrap().not_ready_since, Some(at(0)));
    assert_eq!(seen.edges, None, "edges of which nothing is known are not zero edges");
}

#[test]
fn addresses_are_those_that_the_type_of_the_service_gives() {
    let name = EventName::new("gala").unwrap();
    let table = [
        (ServiceSeen { kind: "ClusterIP".into(), ..Default::default() }, Some("gala-ingest.halls.svc:1935")),
        (ServiceSeen { kind: "LoadBalancer".into(), ..Default::default() }, None),
        (
            ServiceSeen { kind: "LoadBalancer".into(), external: Some("203.0.113.7".into()), node_port: Some(3) },
            Some("203.0.113.7:1935"),
        ),
        (ServiceSeen { kind: "NodePort".into(), external: None, node_port: Some(30_001) }, Some("192.0.2.1:30001")),
    ];
    for (service, address) in table {
        let mut children = Children { pods: [pod("i", "ingest", true, 1)].into(), ..Default::default() };
        children.objects.insert((Kind::Service, "gala-ingest".into()), object(Detail::Service(service)));
        let seen = snapshot(&known(&name, &children), at(50)).ingest.unwrap();
        assert_eq!(seen.address.as_deref(), address);
    }
}

#[test]
fn edges_are_pods_with_a_relay_address_and_their_deployments_wish() {
    let name = EventName::new("gala").unwrap();
    let mut children =
        Children { pods: [pod("e", "edge", true, 1), pod("i", "ingest", true, 1)].into(), ..Default::default() };
    let three = DeploymentSeen { replicas: 3, settled: true, template: None };
    children.objects.insert((Kind::Deployment, "gala-edge".into()), object(Detail::Deployment(three)));
    let edges = snapshot(&known(&name, &children), at(50)).edges.unwrap();
    assert_eq!((edges.desired, edges.nodes.len()), (3, 1));
    assert_eq!(edges.nodes[0].relay, Some("10.0.0.1:1936".parse().unwrap()));
}

#[test]
fn a_foreign_metrics_api_is_a_problem_unless_the_autoscaler_gets_numbers_from_it() {
    let name = EventName::new("gala").unwrap();
    let taken = Some(("MetricsApiTaken".to_owned(), "words".to_owned()));
    let active = Some((true, "ValidMetricFound".to_owned(), String::new()));
    let failing = Some((false, "FailedGetObjectMetric".to_owned(), String::new()));
    for metrics in [Metrics::ApiService, Metrics::External] {
        for (problem, said, expected) in [
            (None, None, None),
            (None, active.clone(), Some((true, "ValidMetricFound"))),
            (None, failing.clone(), Some((false, "FailedGetObjectMetric"))),
            (taken.clone(), None, Some((false, "MetricsApiTaken"))),
            (taken.clone(), failing.clone(), Some((false, "MetricsApiTaken"))),
            (taken.clone(), active.clone(), Some((true, "ValidMetricFound"))),
        ] {
            let mut children = Children::default();
            let seen = AutoscalerSeen { active: said, ..AutoscalerSeen::default() };
            children.objects.insert((Kind::Autoscaler, "gala-edge".into()), object(Detail::Autoscaler(seen)));
            let known = Known { metrics, metrics_problem: problem, ..known(&name, &children) };
            let found = snapshot(&known, at(50)).autoscaler;
            assert_eq!(found.as_ref().map(|found| (found.active, found.reason.as_str())), expected);
        }
    }
}
