//! Lectern is upgraded, removed and put back; events go on.

use super::Afterwards;
use crate::crowd::{Crowd, UNNOTICED};
use crate::encoder;
use crate::event::{Event, LIMIT, Pod};
use crate::namespace::Namespace;
use crate::stage::{Turn, figure, rough};
use e2e::media::Clip;
use lectern_testcluster::cluster::output;
use lectern_testcluster::components::CONTAINERD_SOCKET;
use lectern_testcluster::image::LECTERN_IMAGE;
use lectern_testcluster::{install, wait};
use serde_json::json;
use std::time::Instant;

/// The same image under the name of a next version.
const NEXT_TAG: &str = "next";

fn give_the_image_another_tag(turn: &Turn) -> String {
    let next = LECTERN_IMAGE.replace(":dev", &format!(":{NEXT_TAG}"));
    for node in [1, 2] {
        let mut ctr = turn.exec_on_node(node, "ctr").unwrap();
        ctr.args(["--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "tag", "--force"]);
        output(ctr.args([LECTERN_IMAGE, &next]), "").unwrap();
    }
    next
}

fn uids(pods: &[Pod]) -> Vec<&str> {
    pods.iter().map(|pod| pod.uid.as_str()).collect()
}

#[test]
fn an_upgraded_operator_leaves_live_pods_alone() {
    let turn = rough();
    let at = Namespace::new(&turn, "upgraded");
    let event = Event::ready(&at, "keep", &["stage"], &json!({}));
    let encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    event.wait_for("Live", "True");
    let (edges, ingest) = (event.wait_for_edges(2), event.ingest());
    let mut crowd = Crowd::start(&at, 300, UNNOTICED, &["--hls", "20", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);

    let next = give_the_image_another_tag(&turn);
    let back = Afterwards(|| drop(install::helm_upgrade(&turn, &[]).expect("the chart goes back")));
    let began = Instant::now();
    install::helm_upgrade(&turn, &["--set", &format!("image.tag={NEXT_TAG}")]).unwrap();
    figure("helm upgrade --wait", began.elapsed());
    let message = event.wait_for_reason("UpgradePending", "True", "WaitingForIdle");
    assert!(message.contains(&next) && message.contains("stage is live"), "it says what waits for what: {message}");
    assert_eq!(uids(&event.wait_for_edges(2)), uids(&edges));
    assert_eq!(event.ingest(), ingest);
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, operator upgraded", report.summary());

    // The lecture is over: now it takes the new image.
    drop(encoder);
    wait::until_true("the nodes to run the new image", LIMIT, || {
        let pods = [event.pods("ingest"), event.pods("edge")].concat();
        pods.len() == 3 && pods.iter().all(|pod| pod.ready && pod.image == next)
    })
    .unwrap();
    event.wait_for("UpgradePending", "False");
    assert_eq!(event.get().unwrap()["status"]["nodeImage"], next.as_str());
    drop(back);
}

#[test]
fn helm_upgrade_and_uninstall_keep_the_events() {
    let turn = rough();
    let at = Namespace::new(&turn, "kept");
    let event = Event::ready(&at, "keep", &["stage"], &json!({}));
    let key = event.key("stage");
    let _encoder = encoder::persistent(&at, "encoder", Clip::Plain, &event.publish_url("stage", &key));
    event.wait_until_playable("stage");
    let (edges, ingest) = (event.wait_for_edges(2), event.ingest());
    let mut crowd = Crowd::start(&at, 300, UNNOTICED, &["--hls", "20", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);

    let back = Afterwards(|| drop(install::helm_upgrade(&turn, &[]).expect("the chart comes back")));
    install::helm_upgrade(&turn, &["--set", "logs.filter=debug"]).unwrap();
    turn.helm(&["uninstall", install::RELEASE, "--namespace", install::NAMESPACE, "--wait"]).unwrap();
    let listed = at.kubectl(&["get", "liveevents.lectern.dev", "--output=name"]).unwrap();
    assert!(listed.contains("keep"), "definition and events are kept: {listed}");
    // Edges come and go without Lectern, too.
    at.kubectl(&["delete", "pod", &edges[0].name, "--wait=false"]).unwrap();
    wait::until_true("another edge", LIMIT, || {
        let ready = event.ready_edges();
        ready.len() == 2 && ready.iter().all(|pod| pod.uid != edges[0].uid)
    })
    .unwrap();
    event.wait_until_playable("stage");
    let now = event.wait_for_edges(2);

    drop(back);
    // The new one takes over what the old one left, and derives the same keys.
    event.patch(&json!({"streams": [{"name": "stage"}, {"name": "hall"}]}));
    event.wait_until("Live", LIMIT, |_, _, message| message.contains("1 of 2 streams"));
    assert_eq!(event.key("stage"), key);
    assert_eq!((uids(&event.wait_for_edges(2)), event.ingest().uid), (uids(&now), ingest.uid));
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, Lectern upgraded, removed, installed again", report.summary());
}
