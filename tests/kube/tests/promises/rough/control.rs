//! Operator and API server are away; what runs goes on.

use super::Afterwards;
use crate::crowd::{Crowd, UNNOTICED, UNSEEN};
use crate::encoder;
use crate::event::{Event, LIMIT, Pod};
use crate::namespace::Namespace;
use crate::stage::{Turn, figure, rough};
use e2e::media::Clip;
use lectern_testcluster::components::Component;
use lectern_testcluster::wait;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long the API server is away.
const AWAY: Duration = Duration::from_secs(60);

fn scale_operator(turn: &Turn, replicas: &str) {
    let scale = ["--namespace=lectern-system", "scale", "deployment", "lectern-operator", "--replicas", replicas];
    turn.kubectl(&scale).unwrap();
    turn.kubectl(&["--namespace=lectern-system", "rollout", "status", "deployment/lectern-operator", "--timeout=120s"])
        .unwrap();
}

#[test]
fn nobody_notices_that_the_operator_is_gone() {
    let turn = rough();
    let at = Namespace::new(&turn, "no-operator");
    let event = Event::ready(&at, "alone", &["stage"], &json!({"edges": {"min": 3}}));
    let url = event.publish_url("stage", &event.key("stage"));
    let _encoder = encoder::persistent(&at, "encoder", Clip::Plain, &url);
    event.wait_until_playable("stage");
    let mut crowd = Crowd::start(&at, 300, UNSEEN, &["--hls", "40", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);

    let back = Afterwards(|| scale_operator(&turn, "2"));
    scale_operator(&turn, "0");
    let gone =
        ["--namespace=lectern-system", "get", "pods", "--selector=app.kubernetes.io/component=operator", "-oname"];
    wait::until_true("the operator to be gone", LIMIT, || turn.kubectl(&gone).is_ok_and(|pods| pods.is_empty()))
        .unwrap();
    let before = event.wait_for_edges(3);
    turn.kill_container(&at.name, &before[0].name).unwrap();
    at.kubectl(&["delete", "pod", &before[1].name, "--wait=false"]).unwrap();
    let replaced = |pod: &Pod| pod.uid != before[1].uid && pod.ready;
    let began = Instant::now();
    wait::until_true("another edge, wired by the ingest", LIMIT, || {
        let edges = event.ready_edges();
        edges.len() == 3 && edges.iter().all(replaced)
    })
    .unwrap();
    figure("without operator: edge deleted to its replacement Ready", began.elapsed());
    event.wait_until_playable("stage");
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, no operator, one edge killed, one deleted", report.summary());

    // Nothing was lost for the operator either.
    let pods = event.wait_for_edges(3);
    drop(back);
    event.patch(&json!({"streams": [{"name": "stage"}, {"name": "hall"}]}));
    event.wait_until("Live", LIMIT, |_, _, message| message.contains("of 2 streams"));
    assert_eq!(event.wait_for_edges(3), pods);
}

#[test]
fn nobody_notices_that_the_api_server_is_gone() {
    let turn = rough();
    let at = Namespace::new(&turn, "no-api");
    let event = Event::ready(&at, "headless", &["stage"], &json!({"edges": {"min": 3}}));
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let (edges, ingest) = (event.wait_for_edges(3), event.ingest());
    let operators = restarts_of_operator(&turn);
    let mut crowd = Crowd::start(&at, 300, UNNOTICED, &["--hls", "40", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);

    let parts = [Component::ApiServer, Component::ControllerManager, Component::Scheduler];
    let back = Afterwards(|| {
        turn.start_component(Component::ApiServer).expect("it starts");
        turn.wait_for_api_server().expect("it answers");
        // Either gives up when it finds no API server in ten seconds.
        turn.start_component(Component::ControllerManager).expect("it starts");
        turn.start_component(Component::Scheduler).expect("it starts");
    });
    for part in parts {
        turn.kill_component(part).unwrap();
    }
    let began = Instant::now();
    wait::until_true("the end of the outage", AWAY * 2, || began.elapsed() >= AWAY).unwrap();
    drop(back);
    figure("API server, controllers and scheduler gone for", began.elapsed());

    let known = |pods: &[Pod]| pods.iter().map(|pod| (pod.uid.clone(), pod.restarts)).collect::<Vec<_>>();
    wait::until_true("the event to be reported as it is", LIMIT, || {
        event.condition("Live").is_ok_and(|(status, ..)| status == "True") && event.ready_edges().len() == 3
    })
    .unwrap();
    // Long enough for a replica that would start something new now.
    let after = Instant::now();
    wait::until_true("a while after it", LIMIT, || after.elapsed() > Duration::from_secs(15)).unwrap();
    assert_eq!(known(&event.wait_for_edges(3)), known(&edges), "the same edges, never restarted");
    assert_eq!(known(&[event.ingest()]), known(&[ingest]), "the same ingest, never restarted");
    assert_eq!(restarts_of_operator(&turn), operators, "a missing API server ends no process");
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, API server gone", report.summary());
}

fn restarts_of_operator(turn: &Turn) -> String {
    let path =
        r#"--output=jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}"#;
    let selector = "--selector=app.kubernetes.io/name=lectern";
    turn.kubectl(&["--namespace=lectern-system", "get", "pods", selector, path]).unwrap()
}
