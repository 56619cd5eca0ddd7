//! Edges come and go with the audience, on one machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::crowd::Crowd;
use e2e::local::Local;
use e2e::media::Clip;
use e2e::publish::ffmpeg;
use e2e::wait::wait_for;

const STREAM: &str = "hall-a";
/// Time for a number of edges to be reached on a busy machine.
const REACHED_S: u64 = 90;

/// Waits until so many edges are Ready and there are no others.
async fn wait_edges(local: &Local, number: usize) {
    wait_for(&format!("{number} edges"), REACHED_S, || async {
        let edges = local.edges().await.ok()?;
        (edges.len() == number && edges.iter().all(|edge| edge.ready)).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_follow_the_audience_on_one_machine() {
    let spec = "  edges: {min: 2, max: 5, viewersPerEdge: 20, targetUtilizationPercent: 70, drain: 5s}\n";
    let local = Local::start_with(&[STREAM], spec, &["--scale-down-after", "10s"]).await.unwrap();
    let folder = local.folder.path();
    let _publisher = ffmpeg("publisher", folder, Clip::Plain, &local.publish_url(STREAM)).unwrap();
    wait_edges(&local, 2).await;
    local.wait_live(STREAM, 4).await.unwrap();
    let page = local.page(STREAM);
    let expect = ["--duration", "300s", "--expect", "no-errors,no-gaps,no-mismatches,all-joined"];
    let stays = [&[page.as_str(), "--hls", "8"], expect.as_slice()].concat();
    let stays = Crowd::start("stays", folder, &stays).unwrap();

    // 60 viewers at 14 to an edge are five edges; who finds a full one comes again.
    let crowd = [&[page.as_str(), "--hls", "52", "--ramp", "15s"], expect.as_slice()].concat();
    let crowd = Crowd::start("crowd", folder, &crowd).unwrap();
    wait_edges(&local, 5).await;
    wait_for("all viewers watch", REACHED_S, || async { crowd.progress().contains("Hls 52 watching").then_some(()) })
        .await
        .unwrap();
    wait_for("some watch at the new edges", REACHED_S, || async {
        let edges = local.edges().await.ok()?;
        (edges.iter().skip(2).filter(|edge| edge.viewers > 0).count() == 3).then_some(())
    })
    .await
    .unwrap();
    let event = local.status().await.unwrap();
    let scaling =
        event["status"]["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "AutoscalingActive");
    assert_eq!(scaling.unwrap()["status"], "True", "{event:#}");
    assert_eq!(event["status"]["edges"]["desired"], 5, "{event:#}");
    let report = crowd.finish().await.unwrap();
    assert!(report.holds(), "{}", report.text());

    wait_edges(&local, 2).await;
    let report = stays.finish().await.unwrap();
    assert!(report.holds(), "an edge that goes hurts no viewer: {}", report.text());
    assert_eq!(report.number("hls", "stalls"), 0, "{}", report.text());
}
