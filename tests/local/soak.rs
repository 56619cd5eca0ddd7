//! Five hundred viewers for a while: memory and descriptors stay where they were. Thirty minutes with `LONG=1`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::crowd::Crowd;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::process::{descriptors, resident_kib};
use e2e::publish::ffmpeg;
use e2e::wait::until;
use std::time::{Duration, Instant};

const STREAM: &str = "hall-a";
/// What memory may grow by from the first third to the end: a fraction of it, and a little that allocators do.
const GROWTH_PER_CENT: u64 = 10;
const GROWTH_KIB: u64 = 4 * 1024;
/// Descriptors that come and go.
const DESCRIPTORS: usize = 20;

/// Length in seconds.
fn seconds() -> u64 {
    if std::env::var("LONG").is_ok_and(|long| long == "1") { 30 * 60 } else { 75 }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "the figures are what this test is run for")]
async fn memory_and_descriptors_are_flat_with_five_hundred_viewers() {
    let fleet = Fleet::new(&[STREAM], 2).unwrap();
    let ingest = fleet.start_ingest().await.unwrap();
    let edges = [fleet.start_edge(0).await.unwrap(), fleet.start_edge(1).await.unwrap()];
    let _publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 4).await.unwrap();
    fleet.wait_live(1, STREAM, 4).await.unwrap();

    let urls = fleet.viewer_urls(STREAM);
    let duration = format!("{}s", seconds() + 30);
    let mut arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
    arguments.extend(["--hls", "400", "--flv", "50", "--rtmp", "50", "--ramp", "10s", "--duration", &duration]);
    arguments.extend(["--expect", "no-errors,no-stalls,no-gaps,no-back,no-mismatches,no-refusals,all-joined"]);
    let crowd = Crowd::start("crowd", fleet.folder.path(), &arguments).unwrap();

    let look =
        || [&ingest, &edges[0], &edges[1]].map(|n| (resident_kib(n.pid()).unwrap(), descriptors(n.pid()).unwrap()));
    let began = Instant::now();
    // By then all viewers are there and every window is full.
    let settled = Duration::from_secs((seconds() / 3).max(40));
    until(began, settled).await;
    let before = look();
    until(began, Duration::from_secs(seconds())).await;
    let after = look();
    println!(
        "(KiB, descriptors) of ingest and edges at {} s: {before:?}, at {} s: {after:?}",
        settled.as_secs(),
        seconds()
    );
    for (before, after) in before.iter().zip(after) {
        assert!(
            after.0 <= before.0 + before.0 * GROWTH_PER_CENT / 100 + GROWTH_KIB,
            "memory: {before:?} became {after:?}"
        );
        assert!(after.1 <= before.1 + DESCRIPTORS, "descriptors: {before:?} became {after:?}");
    }
    let report = crowd.finish().await.unwrap();
    assert!(report.holds(), "{}", report.text());
}
