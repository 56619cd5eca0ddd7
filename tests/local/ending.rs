//! Ctrl-C: what everything that runs on does about the first one, and about the second.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::crowd::Crowd;
use e2e::http;
use e2e::local::{Local, Node};
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::process::{Running, is_there};
use e2e::publish::ffmpeg;
use e2e::wait::wait_for;
use nix::sys::signal::Signal;
use serde_json::Value;

const STREAM: &str = "hall-a";
/// No test waits this long: a process that ends within [`SOON_S`] did not drain.
const DRAIN: &str = "  edges: {min: 2, max: 2, drain: 15m}\n";
const DRAIN_MS: u64 = 15 * 60 * 1_000;
/// Far less than the drain, and enough for a busy machine.
const SOON_S: u64 = 60;
/// What a shell shows for a process that SIGINT, or SIGTERM, ended.
const INTERRUPTED: Option<i32> = Some(130);
const TERMINATED: Option<i32> = Some(143);

/// What `lectern local` said of its end.
async fn said(local: &mut Local, event: &str) -> Value {
    let process = local.process();
    wait_for(&format!("it says {event}"), SOON_S, || async {
        let log = process.log();
        log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|notice| notice["event"] == event)
    })
    .await
    .unwrap()
}

async fn nodes(local: &Local) -> Vec<Node> {
    let mut nodes = local.edges().await.unwrap();
    nodes.push(local.ingest().await.unwrap());
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn without_viewers_ctrl_c_ends_an_event_at_once() {
    let mut local = Local::start(&[STREAM], DRAIN).await.unwrap();
    let publisher = ffmpeg("publisher", local.folder.path(), Clip::Plain, &local.publish_url(STREAM)).unwrap();
    // This looks at the playlists, as a viewer would, and goes.
    local.wait_live(STREAM, 2).await.unwrap();
    let nodes = nodes(&local).await;

    local.process().signal(Signal::SIGINT).unwrap();
    let status = local.process().wait(SOON_S).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(said(&mut local, "draining").await["viewers"], 0);
    let log = local.process().log();
    let ended = |node: &Node| {
        log.lines()
            .any(|line| line.contains("\"gone\"") && line.contains(&node.name) && line.contains("exit status: 0"))
    };
    assert!(nodes.iter().all(ended), "every node ended in order:\n{log}");
    drop(publisher);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_waits_for_viewers_and_says_so_and_the_second_one_does_not() {
    let mut local = Local::start(&[STREAM], DRAIN).await.unwrap();
    let _publisher = ffmpeg("publisher", local.folder.path(), Clip::Plain, &local.publish_url(STREAM)).unwrap();
    local.wait_live(STREAM, 2).await.unwrap();
    let urls = [local.page(STREAM).replace("/index.m3u8", ".flv")];
    let crowd = Crowd::start("crowd", local.folder.path(), &[&urls[0], "--flv", "6", "--duration", "300s"]).unwrap();
    wait_for("the event counts six viewers", 30, || async {
        let edges = local.edges().await.ok()?;
        (edges.iter().map(|edge| edge.viewers).sum::<u64>() == 6).then_some(())
    })
    .await
    .unwrap();
    let nodes = nodes(&local).await;

    local.process().signal(Signal::SIGINT).unwrap();
    assert_eq!(said(&mut local, "draining").await["viewers"], 6);
    for edge in nodes.iter().filter(|node| !node.http.is_empty()) {
        let alive = http::get(&format!("{}/live/{STREAM}/media.m3u8", edge.url())).await.unwrap();
        assert_eq!(alive.status, 200, "{} serves on", edge.name);
    }
    assert!(local.process().ended().unwrap().is_none());
    local.process().signal(Signal::SIGINT).unwrap();
    let status = local.process().wait(SOON_S).await.unwrap();
    assert_eq!(status.code(), INTERRUPTED, "{status}");
    let left: Vec<_> = nodes.iter().filter(|node| is_there(node.pid)).collect();
    assert!(left.is_empty(), "{left:?} are still there");
    drop(crowd);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_event_leaves_no_process_behind() {
    let mut local = Local::start(&[STREAM], DRAIN).await.unwrap();
    let nodes = nodes(&local).await;
    local.process().signal(Signal::SIGKILL).unwrap();
    local.process().wait(SOON_S).await.unwrap();
    wait_for("its nodes are gone", SOON_S, || async { (!nodes.iter().any(|node| is_there(node.pid))).then_some(()) })
        .await
        .unwrap();
}

/// An edge with a viewer, which it would wait for a quarter of an hour.
async fn watched_edge(fleet: &Fleet) -> (Running, Running, Running, Crowd) {
    let (ingest, edge) = (fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap());
    let publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 2).await.unwrap();
    let url = format!("rtmp://{}/live/{STREAM}", fleet.edge(0).unwrap().rtmp);
    let crowd = Crowd::start("crowd", fleet.folder.path(), &[&url, "--rtmp", "1", "--duration", "300s"]).unwrap();
    wait_for("the edge has a viewer", 30, || async {
        (fleet.edge_status(0).await.ok()?.edge?.connections == 1).then_some(())
    })
    .await
    .unwrap();
    (ingest, edge, publisher, crowd)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_ends_when_the_viewer_that_it_waits_for_goes() {
    let mut fleet = Fleet::new(&[STREAM], 1).unwrap();
    fleet.drain_ms = DRAIN_MS;
    let (_ingest, mut edge, _publisher, crowd) = watched_edge(&fleet).await;
    edge.signal(Signal::SIGINT).unwrap();
    wait_for("the edge drains", SOON_S, || async { fleet.edge_status(0).await.ok()?.draining.then_some(()) })
        .await
        .unwrap();
    assert!(fleet.edge_status(0).await.unwrap().ready, "it serves on");
    crowd.finish().await.unwrap();
    let status = edge.wait(SOON_S).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_an_edge_at_once() {
    let mut fleet = Fleet::new(&[STREAM], 1).unwrap();
    fleet.drain_ms = DRAIN_MS;
    let (_ingest, mut edge, _publisher, _crowd) = watched_edge(&fleet).await;
    edge.signal(Signal::SIGTERM).unwrap();
    wait_for("the edge drains", SOON_S, || async { fleet.edge_status(0).await.ok()?.draining.then_some(()) })
        .await
        .unwrap();
    edge.signal(Signal::SIGTERM).unwrap();
    let status = edge.wait(SOON_S).await.unwrap();
    assert_eq!(status.code(), TERMINATED, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_an_ingest_at_once() {
    let fleet = Fleet::new(&[STREAM], 1).unwrap();
    let mut ingest = fleet.start_ingest().await.unwrap();
    // Both are there when it looks: the second is not taken for the first.
    ingest.signal(Signal::SIGSTOP).unwrap();
    ingest.signal(Signal::SIGTERM).unwrap();
    ingest.signal(Signal::SIGINT).unwrap();
    ingest.signal(Signal::SIGCONT).unwrap();
    let status = ingest.wait(SOON_S).await.unwrap();
    assert!([INTERRUPTED, TERMINATED].contains(&status.code()), "{status}");
}
