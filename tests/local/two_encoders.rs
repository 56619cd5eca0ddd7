//! A main and a backup encoder: one fails, the other goes on, and viewers see one discontinuity.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::browser::Browser;
use e2e::follow::Follower;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::publish::{ffmpeg, ffmpeg_once};
use e2e::wait::{unix_ms, wait_for};
use lectern_api::node_status::IngestStream;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;

const STREAM: &str = "hall-a";
/// A second of silence, a GOP of two, and what a busy machine adds.
const OUT_MS: u64 = 3_000 + 1_500;
/// Ten steady seconds, a GOP of two, the start of ffmpeg, and what a busy machine adds.
const BACK_MS: u64 = 12_000 + 3_000;
/// A stall that viewers notice; shorter ones are steps of a busy machine.
const REBUFFERED_MS: u64 = 500;

async fn stream(fleet: &Fleet) -> Option<IngestStream> {
    fleet.ingest_status().await.ok()?.ingest?.streams.remove(STREAM)
}

/// Waits until an epoch of this encoder is open; how long that took, and the epoch.
async fn on_air(fleet: &Fleet, backup: bool, after_epoch: u64) -> (u64, u64) {
    let began = unix_ms();
    let epoch = wait_for("the other encoder is on air", 30, || async {
        let now = stream(fleet).await?;
        now.epoch.filter(|epoch| now.on_backup == backup && *epoch > after_epoch)
    });
    let epoch = epoch.await.unwrap();
    (unix_ms() - began, epoch)
}

async fn standby_ready(fleet: &Fleet) {
    wait_for("the standby is ready", 20, || async { stream(fleet).await?.standby.filter(|s| s.ready) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "the figures are what this test is run for")]
async fn when_the_main_encoder_fails_the_backup_goes_on_and_viewers_see_one_discontinuity_each_way() {
    let mut fleet = Fleet::new(&[STREAM], 1).unwrap();
    fleet.with_backup(STREAM).unwrap();
    let (_ingest, _edge) = (fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap());
    let folder = fleet.folder.path();
    let publish_main = |name: &str| ffmpeg(name, folder, Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    let mut main = publish_main("main-1");
    let (_, first) = on_air(&fleet, false, 0).await;
    let _backup = ffmpeg("backup", folder, Clip::Plain, &fleet.backup_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 4).await.unwrap();
    standby_ready(&fleet).await;
    let base = format!("http://{}", fleet.edge(0).unwrap().http);
    let follower = Follower::start(&base, STREAM);
    let browser = Browser::open("browser", folder, &format!("{base}/live/{STREAM}/index.m3u8"), 150).unwrap();
    browser.wait_playing(30).await.unwrap();

    main.kill().unwrap();
    let (killed_ms, second) = on_air(&fleet, true, first).await;
    assert!(stream(&fleet).await.unwrap().standby.is_none(), "the main encoder is gone");
    let main = publish_main("main-2");
    let (back_ms, third) = on_air(&fleet, false, second).await;
    standby_ready(&fleet).await;
    wait_for("the main encoder has segments again", 20, || async {
        let of_third = |name: &&String| name.contains(&format!("-{third}-"));
        (follower.seen().segments.keys().filter(of_third).count() >= 3).then_some(())
    })
    .await
    .unwrap();

    main.signal(Signal::SIGSTOP).unwrap();
    let (silent_ms, fourth) = on_air(&fleet, true, third).await;
    let why = stream(&fleet).await.unwrap().standby.unwrap();
    assert!(why.role == "main" && !why.ready && why.reason.as_ref().unwrap().starts_with("Silent"), "{why:?}");
    main.signal(Signal::SIGCONT).unwrap();
    let (again_ms, fifth) = on_air(&fleet, false, fourth).await;
    wait_for("the page shows the last change", 40, || async {
        (browser.now().discontinuities.len() >= 4).then_some(())
    })
    .await
    .unwrap();

    println!("killed {killed_ms} ms, back {back_ms} ms, silent {silent_ms} ms, back {again_ms} ms");
    let seen = follower.seen();
    assert!(seen.problems.is_empty() && seen.silent == 0, "{} times silent, {:?}", seen.silent, seen.problems);
    let mut epochs: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (name, body) in &seen.segments {
        epochs.entry(name.split('-').nth(1).unwrap().parse().unwrap()).or_default().extend_from_slice(body);
    }
    let names: Vec<u64> = epochs.keys().copied().collect();
    assert_eq!(names, [first, second, third, fourth, fifth], "one epoch a change");
    for (epoch, bytes) in epochs {
        let file = folder.join(format!("{epoch}.ts"));
        std::fs::write(&file, bytes).unwrap();
        assert!(!e2e::frames::pictures(&file).await.expect("every segment decodes").is_empty());
    }
    let page = browser.close().await.unwrap();
    println!("{:?}, {} discontinuities", page.stalls, page.discontinuities.len());
    let rebuffered = page.stalls.iter().any(|stall| stall.ms >= REBUFFERED_MS);
    assert!(page.fatal.is_empty() && !rebuffered && page.discontinuities.len() == 4, "{page:#?}");
    assert!(killed_ms.max(silent_ms) <= OUT_MS && back_ms.max(again_ms) <= BACK_MS, "out or back too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_alone_is_on_air_and_gives_way_to_a_main_encoder_of_another_size() {
    let mut fleet = Fleet::new(&[STREAM], 1).unwrap();
    fleet.with_backup(STREAM).unwrap();
    let (_ingest, _edge) = (fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap());
    let folder = fleet.folder.path();
    let _backup = ffmpeg("backup", folder, Clip::Small, &fleet.backup_url(STREAM)).unwrap();
    let (_, first) = on_air(&fleet, true, 0).await;
    let warnings = stream(&fleet).await.unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.starts_with("OnBackup")), "{warnings:?}");
    let mut main = ffmpeg_once("main", folder, Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    let (_, second) = on_air(&fleet, false, first).await;
    assert_eq!(stream(&fleet).await.unwrap().width, Some(640));
    main.kill().unwrap();
    on_air(&fleet, true, second).await;
    assert_eq!(stream(&fleet).await.unwrap().width, Some(320));
}
