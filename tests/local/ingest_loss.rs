//! The ingest is killed, sessions end and begin: what viewers see of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::browser::Browser;
use e2e::crowd::Crowd;
use e2e::follow::{Follower, agree, read};
use e2e::http;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::publish::{ffmpeg, persistent};
use e2e::wait::{unix_ms, wait_for};

const STREAM: &str = "hall-a";
/// From the accepted publish to the first segment of the new epoch at every edge, and to a frame of it in hls.js: goals
/// that a quiet machine meets. On a shared machine the figures are printed beside them.
const LISTED_BAR_MS: u64 = 3_000;
const SHOWN_BAR_MS: u64 = 6_000;
/// Only what a busy machine does not explain is refused.
const LISTED_MS: u64 = 10_000;
const SHOWN_MS: u64 = 15_000;
/// hls.js plays three target durations behind the end of the list, whose last segment is up to one old.
const USUAL_BEHIND_MS: u64 = 8_000;

fn url(fleet: &Fleet, edge: usize) -> String {
    format!("http://{}/live/{STREAM}", fleet.edge(edge).unwrap().http)
}

fn epoch_of(name: &str) -> u64 {
    name.split('-').nth(1).unwrap_or_default().parse().unwrap_or(0)
}

/// Unix milliseconds at which `edge` first lists a segment of an epoch after `epoch`, and that epoch.
async fn listed_after(fleet: &Fleet, edge: usize, epoch: u64) -> (u64, u64) {
    let list = format!("{}/media.m3u8", url(fleet, edge));
    wait_for("the new epoch is listed", 30, || async {
        let text = http::get(&list).await.ok()?.text();
        let newest = text.lines().filter(|l| !l.starts_with('#')).map(epoch_of).max()?;
        (newest > epoch).then(|| (unix_ms(), newest))
    })
    .await
    .unwrap()
}

/// What the page did around `zero`, a line a sample.
fn timeline(browser: &Browser, zero: u64) -> String {
    let line = |s: &e2e::browser::Sample| {
        let (at, date) = (s.at as i64 - zero as i64, s.date.map_or(0, |d| d as i64 - zero as i64));
        format!(
            "{at:6} ms: at {:.2} s, showing {date} ms, {} frames, still {} ms, {:?}",
            s.time, s.frames, s.still, s.errors
        )
    };
    browser.samples().iter().filter(|s| s.at + 8_000 > zero).map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "the figures are what this test is run for")]
async fn a_killed_ingest_costs_one_discontinuity_and_a_moment() {
    let fleet = Fleet::new(&[STREAM], 2).unwrap();
    let mut ingest = fleet.start_ingest().await.unwrap();
    let _edges = (fleet.start_edge(0).await.unwrap(), fleet.start_edge(1).await.unwrap());
    let _publisher = persistent("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 4).await.unwrap();
    let followers: Vec<_> =
        (0..2).map(|n| Follower::start(&format!("http://{}", fleet.edge(n).unwrap().http), STREAM)).collect();
    let browser = Browser::open("browser", fleet.folder.path(), &format!("{}/index.m3u8", url(&fleet, 0)), 90).unwrap();
    browser.wait_playing(20).await.unwrap();
    wait_for("the page is as far behind as hls.js means to be", 30, || async {
        browser.now().behind_ms().filter(|behind| *behind <= USUAL_BEHIND_MS)
    })
    .await
    .unwrap();
    let before = fleet.ingest_status().await.unwrap().ingest.unwrap().streams[STREAM].epoch.unwrap();

    ingest.kill().unwrap();
    let _ingest = fleet.start_ingest().await.unwrap();
    let ((first, epoch), (second, same)) =
        tokio::join!(listed_after(&fleet, 0, before), listed_after(&fleet, 1, before));
    let accepted = fleet.ingest_status().await.unwrap().ingest.unwrap().streams[STREAM].since_ms.unwrap();
    assert_eq!(epoch, same);
    let shown =
        wait_for("the page shows the new epoch", 30, || async { browser.now().discontinuities.first().copied() })
            .await
            .unwrap();
    let (listed, shown) = (first.max(second) - accepted, shown - accepted);
    let figures = format!(
        "after the accepted publish: listed at every edge {listed} ms (bar {LISTED_BAR_MS}), shown {shown} ms (bar \
         {SHOWN_BAR_MS})"
    );
    println!("{figures}");
    assert!(listed <= LISTED_MS && shown <= SHOWN_MS, "{figures}\n{}", timeline(&browser, accepted));

    wait_for("the page plays on", 20, || async { (browser.now().date? > epoch + 4_000).then_some(()) }).await.unwrap();
    let page = browser.close().await.unwrap();
    assert!(page.fatal.is_empty(), "{page:#?}");
    assert_eq!(page.discontinuities.len(), 1, "{page:#?}");
    let seen: Vec<_> = followers.iter().map(Follower::seen).collect();
    agree(&seen).unwrap();
    let tags = seen[0].history.iter().map(|t| t.matches("#EXT-X-DISCONTINUITY\n").count()).max();
    assert_eq!(tags, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_is_not_looped_and_the_next_one_is_found() {
    let mut fleet = Fleet::new(&[STREAM], 2).unwrap();
    fleet.hls.end_after_ms = 4_000;
    fleet.hls.window = 4;
    let folder = fleet.folder.path();
    let _ingest = fleet.start_ingest().await.unwrap();
    let _edges = (fleet.start_edge(0).await.unwrap(), fleet.start_edge(1).await.unwrap());
    let publisher = ffmpeg("publisher", folder, Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 4).await.unwrap();
    let page = format!("{}/index.m3u8", url(&fleet, 0));
    let first = Browser::open("first-page", folder, &page, 200).unwrap();
    first.wait_playing(20).await.unwrap();
    let crowd = Crowd::start("crowd", folder, &[&page, "--hls", "10", "--duration", "180s", "--rejoin"]);
    let crowd = crowd.unwrap();

    drop(publisher);
    let list = |edge| format!("{}/media.m3u8", url(&fleet, edge));
    for edge in 0..2 {
        wait_for("the list has ended", 20, || async {
            http::get(&list(edge)).await.ok()?.text().contains("#EXT-X-ENDLIST").then_some(())
        })
        .await
        .unwrap();
    }
    let last = read(&http::get(&list(0)).await.unwrap().text()).unwrap();
    wait_for("the first page is at the end", 30, || async { first.now().ended.then_some(()) }).await.unwrap();
    let ended_at = first.now().time;

    // Gone after max(60 s, three lists): from then on the page is 404 and says when to ask again.
    let gone = wait_for("the session is gone", 90, || async {
        let answer = http::get(&page).await.ok()?;
        (answer.status == 404).then_some(answer)
    })
    .await
    .unwrap();
    assert_eq!((gone.header("retry-after"), gone.header("cache-control")), ("5", "no-store"));
    assert!((first.now().time - ended_at).abs() < 0.5, "the first page went on: {:?}", first.now());
    let between = Browser::open("page-between", folder, &page, 120).unwrap();
    wait_for("the page asks in vain", 20, || async { (!between.now().fatal.is_empty()).then_some(()) }).await.unwrap();

    let _publisher = ffmpeg("publisher-2", folder, Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    // Its first list: later ones have moved on.
    let next = wait_for("the next session is listed", 30, || async {
        let answer = http::get(&list(1)).await.ok()?;
        (answer.status == 200).then(|| read(&answer.text()).unwrap())
    })
    .await
    .unwrap();
    let now = between.wait_playing(40).await.unwrap();
    assert!(now.frames > 10);
    assert!(next.media_sequence > last.media_sequence + last.segments.len() as u64 - 1, "numbers go on");
    assert_eq!(next.media_sequence, last.media_sequence + last.segments.len() as u64, "and have no hole");
    assert!(
        !next.end_list && next.segments.iter().all(|s| !s.discontinuity),
        "a new presentation: nothing old is listed"
    );
    wait_for("the crowd is back", 20, || async { crowd.progress().contains("Hls 10 watching").then_some(()) })
        .await
        .unwrap();
    let report = crowd.finish().await.unwrap();
    assert_eq!(report.number("hls", "ended"), 10, "{}", report.text());
    assert_eq!(report.number("hls", "back") + report.number("hls", "stalls"), 0, "{}", report.text());
    assert!(first.now().fatal.is_empty(), "{:#?}", first.now());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_comes_back_with_another_picture_size_is_followed() {
    let fleet = Fleet::new(&[STREAM], 1).unwrap();
    let _nodes = (fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap());
    let publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 3).await.unwrap();
    let browser = Browser::open("browser", fleet.folder.path(), &format!("{}/index.m3u8", url(&fleet, 0)), 90).unwrap();
    assert_eq!(browser.wait_playing(20).await.unwrap().width, 640);

    drop(publisher);
    let _publisher = ffmpeg("publisher-2", fleet.folder.path(), Clip::Small, &fleet.publish_url(STREAM)).unwrap();
    wait_for("the page shows the other size", 30, || async { (browser.now().width == 320).then_some(()) })
        .await
        .unwrap();
    let turned = browser.now().frames;
    wait_for("and plays on", 20, || async { (browser.now().frames > turned + 60).then_some(()) }).await.unwrap();
    let page = browser.close().await.unwrap();
    assert!(page.fatal.is_empty() && page.discontinuities.len() == 1, "{page:#?}");
}
