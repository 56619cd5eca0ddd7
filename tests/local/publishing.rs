//! Publishers that the ingest refuses, by name, and publishers that replace each other.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::follow::Follower;
use e2e::media::{Clip, file};
use e2e::nodes::Fleet;
use e2e::process::{Running, output};
use e2e::publish::{ffmpeg, persistent};
use e2e::reel::{Reel, Tag};
use e2e::wait::{unix_ms, wait_for};
use e2e::{follow, http};
use lectern_api::node_status::IngestStatus;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than the thirty seconds in which TCP finds out that a publisher is gone.
const SILENT_MS: u32 = 40_000;
const STREAM: &str = "hall-a";

async fn fleet() -> (Fleet, Running, Running) {
    let fleet = Fleet::new(&[STREAM, "hall-b"], 1).unwrap();
    let (ingest, edge) = (fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap());
    (fleet, ingest, edge)
}

async fn ingest_status(fleet: &Fleet) -> IngestStatus {
    fleet.ingest_status().await.unwrap().ingest.unwrap()
}

/// Tries to publish for a few seconds; what ffmpeg says, and whether it was let go on.
async fn tries(url: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-re", "-i"]).arg(file(Clip::Plain).unwrap());
    command.args(["-t", "4"]).args(arguments).args(["-f", "flv", url]);
    let (status, _, said) = output(&mut command, 30).await.unwrap();
    (status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_missing_key_is_refused_with_a_reason_and_never_logged() {
    let (fleet, ingest, _edge) = fleet().await;
    let right = fleet.publish_url(STREAM);
    let wrong = right.replace("key=", "key=not-the-key-");
    let missing = right.split('?').next().unwrap();
    let of_another_stream = right.replace("live/hall-a", "live/hall-b");
    for url in [wrong.as_str(), missing, &of_another_stream] {
        let (accepted, said) = tries(url, &["-c", "copy"]).await;
        assert!(!accepted && said.contains("Server error:") && said.contains("key"), "{url}:\n{said}");
    }
    let status = ingest_status(&fleet).await;
    assert_eq!(status.refused.values().sum::<u64>(), 3, "{:?}", status.refused);
    assert!(!status.streams[STREAM].live);
    let key = right.split("key=").nth(1).unwrap();
    let log = ingest.log();
    assert!(!log.contains("not-the-key") && !log.contains(key), "{log}");
    let told = log.matches("rejected: NetStream.Publish.BadName").count();
    assert!(told == 3 && log.contains("peer=127.0.0.1:"), "the peer and the reason are named:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_stream_and_a_codec_we_do_not_carry_are_refused_by_name() {
    let (fleet, _ingest, _edge) = fleet().await;
    let (accepted, said) = tries(&fleet.publish_url("no-such-hall"), &["-c", "copy"]).await;
    assert!(!accepted && said.contains("Server error: this event has no stream of that name"), "{said}");
    let (_, said) = tries(&fleet.publish_url(STREAM), &["-c:v", "flv1", "-c:a", "copy"]).await;
    let status = ingest_status(&fleet).await;
    let told = format!("{said}{:?}{:?}", status.refused, status.streams[STREAM].warnings);
    assert!(!status.streams[STREAM].live && told.to_lowercase().contains("sorenson"), "{told}");
    let (_, said) = tries(&fleet.publish_url("hall-b"), &["-c:v", "copy", "-c:a", "libmp3lame", "-ar", "44100"]).await;
    let status = ingest_status(&fleet).await;
    let told = format!("{said}{:?}{:?}", status.refused, status.streams["hall-b"].warnings);
    assert!(told.to_lowercase().contains("mp3"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publisher_takes_over_at_most_three_times() {
    let (fleet, _ingest, _edge) = fleet().await;
    let url = fleet.publish_url(STREAM);
    let since = || async { ingest_status(&fleet).await.streams[STREAM].since_ms };
    let mut current = ffmpeg("publisher-0", fleet.folder.path(), Clip::Plain, &url).unwrap();
    let mut before = wait_for("the first is live", 10, &since).await.unwrap();
    for n in 1..=3 {
        let next = ffmpeg(&format!("publisher-{n}"), fleet.folder.path(), Clip::Plain, &url).unwrap();
        before =
            wait_for("the next has taken over", 10, || async { since().await.filter(|s| *s > before) }).await.unwrap();
        current.wait(10).await.expect("the one before was closed");
        current = next;
    }
    let (accepted, said) = tries(&url, &["-c", "copy"]).await;
    assert!(
        !accepted && said.contains("Server error: another encoder publishes"),
        "the fourth is turned away:\n{said}"
    );
    assert!(current.ended().unwrap().is_none(), "and the incumbent stays");
    let status = ingest_status(&fleet).await;
    assert_eq!(since().await, Some(before));
    let told = format!("{:?}{:?}", status.refused, status.streams[STREAM].warnings);
    assert!(told.contains("PublisherConflict"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_fell_silent_is_replaced_at_once() {
    let (fleet, _ingest, _edge) = fleet().await;
    let url = fleet.publish_url(STREAM);
    let silent = ffmpeg("silent", fleet.folder.path(), Clip::Plain, &url).unwrap();
    fleet.wait_live(0, STREAM, 1).await.unwrap();
    silent.signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
    let stopped = unix_ms();
    for n in 0..5 {
        let next = ffmpeg(&format!("next-{n}"), fleet.folder.path(), Clip::Plain, &url).unwrap();
        wait_for("the new one is live", 10, || async {
            ingest_status(&fleet).await.streams[STREAM].since_ms.filter(|since| *since > stopped)
        })
        .await
        .unwrap();
        next.signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
        // Silence is what makes a takeover free: a second of it, then the next one dials.
        e2e::wait::until(Instant::now(), Duration::from_millis(1_300)).await;
        drop(next);
    }
    let status = ingest_status(&fleet).await;
    assert!(!format!("{status:?}").contains("PublisherConflict"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_silent_for_forty_seconds_and_answers_tcp_goes_on() {
    let (fleet, _ingest, _edge) = fleet().await;
    let follower = Follower::start(&format!("http://{}", fleet.edge(0).unwrap().http), STREAM);
    let later = |tag: Tag| match tag.at_ms {
        0..4_000 => vec![tag],
        _ => vec![Tag { at_ms: tag.at_ms + SILENT_MS, t_ms: tag.t_ms + SILENT_MS, ..tag }],
    };
    let reel = Reel::default().then(Clip::Small, 8).unwrap().each(later);
    reel.publish(&fleet.publish_url(STREAM)).await.unwrap().expect("it is not closed");
    let segments = wait_for("what came after the silence is listed", 10, || async {
        Some(follower.seen().segments).filter(|segments| segments.len() >= 4)
    });
    let segments = segments.await.unwrap();
    let epochs: BTreeSet<_> = segments.keys().filter_map(|name| name.split('-').nth(1)).collect();
    assert_eq!(epochs.len(), 1, "time stamps and arrivals agree: {segments:?}", segments = segments.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_404_that_nobody_may_keep_and_the_next_segment_blocks() {
    let (fleet, _ingest, _edge) = fleet().await;
    let _publisher = persistent("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 3).await.unwrap();
    let base = format!("http://{}", fleet.edge(0).unwrap().http);
    let list = http::get(&format!("{base}/live/{STREAM}/media.m3u8")).await.unwrap();
    assert!(list.header("cache-control").contains("max-age=1"), "{:?}", list.headers);
    let list = follow::read(&list.text()).unwrap();
    let last = list.segments.last().unwrap().uri.clone();
    let number = list.media_sequence + list.segments.len() as u64 - 1;
    let ahead = |n: u64| last.replace(&format!("-{number}.ts"), &format!("-{}.ts", number + n));

    for path in [
        format!("live/{STREAM}/{}", ahead(50)),
        format!("live/{STREAM}/1-5-5.ts"),
        format!("live/{STREAM}/nonsense.ts"),
        "live/no-such-hall/index.m3u8".into(),
        "live/no-such-hall.flv".into(),
        "../../etc/passwd".into(),
        format!("live/{STREAM}/..%2f..%2fmedia.m3u8"),
    ] {
        let answer = http::get(&format!("{base}/{path}")).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (404, "no-store"), "{path}");
        assert_eq!(answer.text().trim().lines().count(), 1, "{path}: one line says why");
    }
    let asked = Instant::now();
    let next = http::get(&format!("{base}/live/{STREAM}/{}", ahead(1))).await.unwrap();
    assert_eq!(next.status, 200, "the next segment is waited for");
    assert!(next.header("cache-control").contains("immutable") && next.body.len() > 10_000);
    assert!(asked.elapsed() < Duration::from_secs(4));
}
