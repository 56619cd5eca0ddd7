//! An edge is killed every ten seconds, and no viewer of the entry notices.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::browser::Browser;
use e2e::crowd::Crowd;
use e2e::local::Local;
use e2e::media::Clip;
use e2e::publish::persistent;
use e2e::wait::until;
use std::time::{Duration, Instant};

const STREAM: &str = "hall-a";
/// Time between two kills.
const KILL_EVERY_S: u64 = 10;

/// Two minutes, or ten with `LONG=1`.
fn kills() -> u64 {
    if std::env::var("LONG").is_ok_and(|long| long == "1") { 60 } else { 12 }
}

/// A picture that stands still for this long has run out of media: a lost segment is missed for a target duration less
/// what was buffered. A browser that decodes in software beside fifty viewers on two cores hesitates for less.
const REBUFFERED_MS: u64 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn viewers_through_the_entry_do_not_notice_that_edges_are_killed() {
    let local = Local::start(&[STREAM], "  edges: {min: 2, max: 4}\n").await.unwrap();
    let folder = local.folder.path();
    let _publisher = persistent("publisher", folder, Clip::Plain, &local.publish_url(STREAM)).unwrap();
    local.wait_live(STREAM, 4).await.unwrap();

    let seconds = kills() * KILL_EVERY_S + 8;
    let page = local.page(STREAM);
    let browser = Browser::open("browser", folder, &page, seconds + 30).unwrap();
    browser.wait_playing(20).await.unwrap();
    let duration = format!("{seconds}s");
    let expect = "no-errors,no-stalls,no-gaps,no-back,no-mismatches,no-refusals,all-joined";
    let arguments =
        [&page, "--hls", "50", "--ramp", "4s", "--duration", &duration, "--hash", "always", "--expect", expect];
    let crowd = Crowd::start("crowd", folder, &arguments).unwrap();

    let began = Instant::now();
    for kill in 0..kills() {
        until(began, Duration::from_secs(4 + kill * KILL_EVERY_S)).await;
        local.kill_an_edge(usize::try_from(kill).unwrap()).await.unwrap();
    }
    let report = crowd.wait(seconds).await.unwrap();
    assert!(report.holds(), "{}", report.text());
    assert!(report.number("hls", "media") > 50 * seconds / 3, "{}", report.text());

    let page = browser.close().await.unwrap();
    let rebuffered = page.stalls.iter().any(|stall| stall.ms >= REBUFFERED_MS);
    assert!(page.fatal.is_empty() && !rebuffered, "{page:#?}");
    assert!(page.frames > seconds * 25, "{page:#?}");
}
