//! An edge that is full, and one that is told to go.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::crowd::Crowd;
use e2e::http;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::publish::ffmpeg;
use e2e::wait::wait_for;
use nix::sys::signal::Signal;
use std::time::Instant;

const STREAM: &str = "hall-a";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_edge_refuses_newcomers_and_keeps_those_it_has() {
    let mut fleet = Fleet::new(&[STREAM], 1).unwrap();
    fleet.viewers_per_edge = 10;
    let _nodes = (fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap());
    let _publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 4).await.unwrap();
    let base = format!("http://{}/live/{STREAM}", fleet.edge(0).unwrap().http);
    let page = format!("{base}/index.m3u8");
    let patient =
        ["--hls", "10", "--duration", "60s", "--expect", "no-errors,no-stalls,no-gaps,no-refusals,all-joined"];
    let inside = Crowd::start("inside", fleet.folder.path(), &[&[page.as_str()], patient.as_slice()].concat()).unwrap();
    wait_for("the edge counts ten", 30, || async {
        (fleet.edge_status(0).await.ok()?.edge?.viewers >= 10).then_some(())
    })
    .await
    .unwrap();

    let refused = http::get(&page).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after"), refused.header("connection")),
        (503, "1", "close")
    );
    assert_eq!(refused.header("cache-control"), "no-store");
    assert_eq!(http::get(&format!("{base}.flv")).await.unwrap().status, 503);
    assert_eq!(http::get(&format!("{base}/media.m3u8")).await.unwrap().status, 200, "who is inside goes on");
    let newcomers = ["--hls", "5", "--flv", "2", "--rtmp", "2", "--duration", "10s"];
    let urls = fleet.viewer_urls(STREAM);
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let outside = Crowd::start("outside", fleet.folder.path(), &[urls.as_slice(), &newcomers].concat()).unwrap();
    let outside = outside.wait(10).await.unwrap();
    for protocol in ["hls", "flv", "rtmp"] {
        assert!(outside.number(protocol, "refusals") > 0, "{protocol}: {}", outside.text());
        assert_eq!(outside.number(protocol, "pictures") + outside.number(protocol, "errors"), 0, "{}", outside.text());
    }
    let status = fleet.edge_status(0).await.unwrap();
    assert!(
        status.ready && status.edge.unwrap().refused_15s >= 5,
        "a full edge is ready, and says what it turned away"
    );
    assert!(inside.finish().await.unwrap().holds());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_told_to_go_serves_on_and_lets_its_viewers_go_in_time() {
    let mut fleet = Fleet::new(&[STREAM], 2).unwrap();
    fleet.drain_ms = 8_000;
    let _ingest = fleet.start_ingest().await.unwrap();
    let (mut leaving, _staying) = (fleet.start_edge(0).await.unwrap(), fleet.start_edge(1).await.unwrap());
    let _publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 4).await.unwrap();
    fleet.wait_live(1, STREAM, 4).await.unwrap();
    let urls = fleet.viewer_urls(STREAM);
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let watch = ["--hls", "40", "--flv", "20", "--rtmp", "20", "--duration", "60s"];
    let expect = ["--expect", "no-errors,no-gaps,no-mismatches,no-refusals,all-joined"];
    let arguments = [urls.as_slice(), &watch, &expect].concat();
    let crowd = Crowd::start("crowd", fleet.folder.path(), &arguments).unwrap();
    wait_for("all watch", 20, || async { crowd.progress().contains("Rtmp 20 watching").then_some(()) }).await.unwrap();

    let told = Instant::now();
    leaving.signal(Signal::SIGTERM).unwrap();
    let ready = format!("http://{}/readyz", fleet.edge(0).unwrap().admin);
    let unready = wait_for("the edge is not ready any more", 10, || async {
        http::get(&ready).await.is_ok_and(|a| a.status != 200).then(|| told.elapsed())
    })
    .await
    .unwrap();
    assert!(unready.as_secs_f64() > 5.0, "its readiness stayed on until two seconds before the end: {unready:?}");
    let status = leaving.wait(10).await.unwrap();
    let took = told.elapsed();
    assert!(status.success() && took.as_secs_f64() < 8.5, "{status} after {took:?}");

    wait_for("all viewers watch elsewhere", 20, || async {
        let edge = fleet.edge_status(1).await.ok()?.edge?;
        (edge.connections >= 40).then_some(())
    })
    .await
    .unwrap();
    let report = crowd.finish().await.unwrap();
    assert!(report.holds(), "{}", report.text());
    assert_eq!(report.number("hls", "stalls"), 0, "{}", report.text());
}
