//! Nodes are drained and lost.

use super::Afterwards;
use crate::crowd::{Crowd, UNNOTICED};
use crate::encoder;
use crate::event::{Event, LIMIT};
use crate::namespace::Namespace;
use crate::stage::{Turn, figure, rough};
use e2e::media::Clip;
use lectern_testcluster::components::node_name;
use lectern_testcluster::wait;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long the audience is watched around a loss: two viewers' buffers, a node's grace, and some.
const AROUND: Duration = Duration::from_secs(45);

fn drain(turn: &Turn, node: &str) {
    turn.kubectl(&["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s"]).unwrap();
}

/// What Lectern itself runs, and where: (pod, node), all of them Ready.
fn own_pods(turn: &Turn, component: &str) -> anyhow::Result<Vec<(String, String)>> {
    let selector = format!("--selector=app.kubernetes.io/component={component}");
    let path = r#"--output=jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName} {.status.conditions[?(@.type=="Ready")].status} {.metadata.deletionTimestamp}{"\n"}{end}"#;
    let listed = turn.kubectl(&["--namespace=lectern-system", "get", "pods", &selector, path])?;
    let words = listed.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    Ok(words.filter(|w| w[2] == "True" && w[3].is_empty()).map(|w| (w[0].to_owned(), w[1].to_owned())).collect())
}

#[test]
fn a_viewer_does_not_notice_a_drained_node() {
    let turn = rough();
    let at = Namespace::new(&turn, "drained");
    let event = Event::ready(&at, "drain", &["stage"], &json!({"edges": {"min": 4, "drain": "15s"}}));
    let url = event.publish_url("stage", &event.key("stage"));
    let encoder = encoder::once(&at, "encoder", Clip::Plain, &url);
    event.wait_until_playable("stage");
    let home = event.ingest().node;
    let other = [1, 2].map(node_name).into_iter().find(|node| *node != home).unwrap();
    let uncordon = Afterwards(|| [1, 2].map(node_name).iter().for_each(|n| drop(turn.kubectl(&["uncordon", n]))));

    // The node with edges, while all viewers watch.
    let edges = event.wait_for_edges(4);
    assert!(edges.iter().any(|pod| pod.node == other), "{edges:?}");
    let mut crowd = Crowd::start(&at, 300, UNNOTICED, &["--hls", "40", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);
    let began = Instant::now();
    drain(&turn, &other);
    figure("kubectl drain of a node with half of the edges (drain 15 s)", began.elapsed());
    let settled = event.wait_for_edges(4);
    assert!(settled.iter().all(|pod| pod.node == home), "{settled:?}");
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, node drained", report.summary());
    turn.kubectl(&["uncordon", &other]).unwrap();

    // While an encoder publishes, the node of the ingest cannot be drained; afterwards it can.
    let ingest = event.ingest();
    let refused = turn.kubectl(&[
        "drain",
        &home,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--timeout=10s",
        "--pod-selector",
        "lectern.dev/role=ingest",
    ]);
    assert!(refused.is_err() && event.ingest().uid == ingest.uid, "a live ingest stays");
    drop(encoder);
    let began = Instant::now();
    drain(&turn, &home);
    figure("kubectl drain of the node of an ingest that has just become idle", began.elapsed());
    wait::until_true("the ingest to be on the other node", LIMIT, || {
        event.pods("ingest").iter().any(|pod| pod.node == other && pod.ready)
    })
    .unwrap();
    let _encoder = encoder::persistent(&at, "again", Clip::Plain, &url);
    event.wait_until_playable("stage");
    drop(uncordon);
}

/// Nothing, that is, beyond a pause: a viewer that waits for an answer of an edge that is gone waits for its player to try
/// again, and rules of Services lead there until the edge is deleted. No viewer is lost, none sees a number go back or
/// two edges disagree; failed reads and stalls are printed.
#[test]
fn a_lost_node_costs_the_audience_nothing() {
    let turn = rough();
    let at = Namespace::new(&turn, "lost");
    // Operator and ingest on the node that stays.
    turn.kubectl(&["cordon", "node-2"]).unwrap();
    for component in ["operator", "metrics"] {
        for (pod, _) in own_pods(&turn, component).unwrap().iter().filter(|(_, node)| node == "node-2") {
            turn.kubectl(&["--namespace=lectern-system", "delete", "pod", pod, "--wait=false"]).unwrap();
        }
        wait::until("Lectern to be on the first node", LIMIT, || {
            let pods = own_pods(&turn, component)?;
            Ok((pods.len() == 2 && pods.iter().all(|(_, node)| node == "node-1")).then_some(()))
        })
        .unwrap();
    }
    turn.kubectl(&["uncordon", "node-2"]).unwrap();
    let here =
        json!({"ingest": {"scheduling": {"nodeSelector": {"kubernetes.io/hostname": "node-1"}}}, "edges": {"min": 4}});
    let event = Event::ready(&at, "lost", &["stage"], &here);
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let edges = event.wait_for_edges(4);
    let gone: Vec<_> = edges.iter().filter(|pod| pod.node == "node-2").collect();
    assert_eq!(gone.len(), 2, "{edges:?}");
    let mut crowd = Crowd::start(&at, 300, "no-back,no-mismatches,all-joined", &["--hls", "40", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);

    let back = Afterwards(|| turn.start_node(2).expect("the node comes back"));
    turn.kill_node(2).unwrap();
    let lost = Instant::now();
    let mut first_deleted = None;
    wait::until_true("no viewer to be led to the lost node any more", LIMIT, || {
        let pods = event.pods("edge");
        if first_deleted.is_none() && gone.iter().any(|g| pods.iter().all(|pod| pod.uid != g.uid || pod.ending)) {
            first_deleted = Some(lost.elapsed());
        }
        let serving: Vec<_> = pods.iter().filter(|pod| pod.serves()).collect();
        serving.len() >= 2 && serving.iter().all(|pod| pod.node == "node-1")
    })
    .unwrap();
    figure("node lost to the first of its edges deleted", first_deleted);
    figure("node lost to no endpoint of it in the Service", lost.elapsed());
    wait::until_true("the audience to be watched for a while", AROUND * 2, || lost.elapsed() > AROUND).unwrap();
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, a node with half of the edges lost", report.summary());
    drop(back);
    event.wait_for_edges(4);
}
