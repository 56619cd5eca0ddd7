//! The pages that edges serve, in a real browser: they start by themselves, and go on over every fault.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::crowd::Crowd;
use e2e::http;
use e2e::local::{Local, Node};
use e2e::media::Clip;
use e2e::page::{Page, Pages};
use e2e::process::{output, signal_to};
use e2e::publish::{ffmpeg, persistent};
use e2e::wait::{unix_ms, wait_for};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::Command;
use tokio::sync::Mutex;

const A: &str = "hall-a";
const B: &str = "hall-b";
/// Two edges, sessions that end soon after their encoder, and room for all viewers.
const SPEC: &str = "  title: \"Gala <img src=x onerror=alert(1)>\"\n  edges: {min: 2, max: 2, drain: 5s}\n  hls: {segment: 1s, endAfter: 10s}\n";
/// From the first listed segment to a picture that moves (the promise), and what a busy machine may add.
const STARTS_S: u64 = 10 + 15;
/// A page shows what it should within this time on a busy machine.
const PATIENCE_S: u64 = 40;

/// A browser that shares its cores with another one shows stalls of its own: one at a time.
static BROWSER: Mutex<()> = Mutex::const_new(());

/// What no page may do in any state: load again, break its policy, ask others, store more than the language.
fn blameless(page: &Page, origin: &str) {
    assert_eq!(page.loads, 1, "{page:#?}");
    assert!(page.faults.is_empty(), "{page:#?}");
    assert_eq!(page.origins, [origin], "{page:#?}");
    assert!(page.cookies == 0 && page.kept.iter().all(|name| name == "lectern-language"), "{page:#?}");
}

fn state(page: &Page) -> &str {
    page.players.first().map_or("", |player| player.state.as_str())
}

/// All that pages ask, of one event.
fn urls() -> Vec<String> {
    let fixed = ["/", "/live/hall-a/", "/live/hall-a", "/embed/hall-a", "/live/none/", "/programme.json"];
    let more =
        ["/live/hall-a/state.json", "/live/hall-b/state.json", "/live/none/state.json", "/-/page.js", "/-/page.css"];
    let older = ["/-/player.js", "/-/core.js", "/-/page.AAAAAAAA.js", "/-/none.js"];
    [&fixed[..], &more[..], &older[..]].concat().into_iter().map(str::to_owned).collect()
}

/// An answer without what is of the moment.
async fn seen(edge: &Node, path: &str) -> (u16, String, Vec<u8>) {
    let answer = http::get(&format!("{}{path}", edge.url())).await.unwrap();
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers.join("\n"), answer.body.to_vec())
}

/// Every edge answers every URL of pages alike, once all edges have heard the same.
async fn alike(local: &Local, what: &str) {
    wait_for(&format!("edges are ready and agree {what}"), PATIENCE_S, || async {
        let edges = local.edges().await.ok()?;
        let mut all = Vec::new();
        for edge in edges.iter().filter(|edge| edge.ready) {
            all.push(http::get(&format!("{}/programme.json", edge.url())).await.ok()?.text());
        }
        (all.len() == 2 && all[0] == all[1] && all[0].contains(what)).then_some(())
    })
    .await
    .unwrap();
    let edges = local.edges().await.unwrap();
    for path in urls() {
        let (one, other) = (seen(&edges[0], &path).await, seen(&edges[1], &path).await);
        assert!(one == other, "{path} {what}: {} {}\n{} {}", one.0, one.1, other.0, other.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edge_serves_the_same_page() {
    let local = Local::start(&[A, B], SPEC).await.unwrap();
    alike(&local, r#""name":"hall-a","title":"hall-a","state":"idle""#).await;
    let publisher = ffmpeg("publisher", local.folder.path(), Clip::Plain, &local.publish_url(A)).unwrap();
    local.wait_live(A, 3).await.unwrap();
    let live = r#""name":"hall-a","title":"hall-a","state":"live""#;
    alike(&local, live).await;
    let killed = local.kill_an_edge(0).await.unwrap();
    wait_for("the edge is back", PATIENCE_S, || async {
        let edges = local.edges().await.ok()?;
        edges.iter().any(|edge| edge.name == killed.name && edge.ready && edge.pid != killed.pid).then_some(())
    })
    .await
    .unwrap();
    alike(&local, live).await;
    drop(publisher);
    alike(&local, r#""name":"hall-a","title":"hall-a","state":"ended""#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_viewer_sees_it_start_by_itself_and_the_next_session_follows() {
    let _alone = BROWSER.lock().await;
    let at = |ms: u64| http_time(unix_ms() + ms);
    let window = format!(
        "  schedule:\n    - {{name: gala, title: Evening, min: 2, start: \"{}\", end: \"{}\"}}\n",
        at(1_200_000),
        at(4_800_000)
    );
    let local = Local::start(&[A], &format!("{SPEC}{window}")).await.unwrap();
    let urls = [format!("{}/live/{A}/", local.entry()), format!("{}/embed/{A}", local.entry())];
    let options = r#"{"clockOffMs": 3600000, "timezone": "America/St_Johns", "muted": true}"#;
    let pages = Pages::open(local.folder.path(), &urls, 240, options).unwrap();
    for n in 0..2 {
        let waiting = pages
            .wait(n, "it counts down", PATIENCE_S, |page| {
                page.players.first().is_some_and(|player| player.text.contains("Starts in 19:"))
            })
            .await
            .unwrap();
        assert!(waiting.players[0].text.contains("Next: Evening"), "the viewer's clock is an hour ahead: {waiting:#?}");
    }
    for session in ["first", "next"] {
        let publisher = ffmpeg("publisher", local.folder.path(), Clip::Plain, &local.publish_url(A)).unwrap();
        local.wait_live(A, 1).await.unwrap();
        for n in 0..2 {
            let what = format!("page {n} plays the {session} session");
            pages
                .wait(n, &what, STARTS_S, |page| page.players.first().is_some_and(e2e::page::Player::plays))
                .await
                .unwrap();
        }
        pages.wait(0, "the tab's title says so", 10, |page| page.title.starts_with("▶ hall-a")).await.unwrap();
        drop(publisher);
        for n in 0..2 {
            pages.wait(n, "the page says that it is over", 60, |page| state(page) == "ended").await.unwrap();
        }
    }
    for page in pages.close().await.unwrap() {
        blameless(&page, &local.entry());
    }
}

/// Unix milliseconds as RFC 3339, to the second, in UTC.
fn http_time(ms: u64) -> String {
    let done =
        Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d", &format!("@{}", ms / 1_000)]).output().unwrap();
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_ingest_is_a_hiccup_and_a_killed_edge_is_nothing() {
    let _alone = BROWSER.lock().await;
    let local = Local::start(&[A], SPEC).await.unwrap();
    let _publisher = persistent("publisher", local.folder.path(), Clip::Plain, &local.publish_url(A)).unwrap();
    local.wait_live(A, 4).await.unwrap();
    let url = format!("{}/live/{A}/", local.entry());
    let pages = Pages::open(local.folder.path(), &[url], 240, "{}").unwrap();
    let plays = |frames: u64| move |page: &Page| page.players.iter().any(|one| one.plays() && one.frames > frames);
    pages.wait(0, "the page plays", PATIENCE_S, plays(60)).await.unwrap();

    local.kill_an_edge(0).await.unwrap();
    let before = pages.now(0).players[0].frames;
    pages.wait(0, "it plays on after an edge was killed", PATIENCE_S, plays(before + 150)).await.unwrap();

    signal_to(local.ingest().await.unwrap().pid, Signal::SIGKILL).unwrap();
    let before = pages.now(0).players[0].frames;
    pages.wait(0, "it plays on after the ingest was killed", PATIENCE_S, plays(before + 300)).await.unwrap();
    let states: std::collections::BTreeSet<_> = pages
        .samples()
        .iter()
        .skip_while(|sample| !sample.pages.iter().any(|page| state(page) == "playing"))
        .flat_map(|sample| sample.pages.iter().map(|page| state(page).to_owned()).collect::<Vec<_>>())
        .collect();
    assert!(states.iter().all(|state| ["playing", "holding"].contains(&state.as_str())), "{states:?}");
    blameless(&pages.close().await.unwrap()[0], &local.entry());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_event_lets_people_in_later() {
    let _alone = BROWSER.lock().await;
    let spec = "  edges: {min: 1, max: 1, viewersPerEdge: 3, drain: 5s}\n  hls: {segment: 1s}\n";
    let local = Local::start(&[A], spec).await.unwrap();
    let _publisher = ffmpeg("publisher", local.folder.path(), Clip::Plain, &local.publish_url(A)).unwrap();
    local.wait_live(A, 4).await.unwrap();
    let list = local.page(A);
    let crowd = Crowd::start("crowd", local.folder.path(), &[&list, "--hls", "3", "--duration", "120s"]).unwrap();
    // The crowd says so itself: a request of the list from here would be a newcomer and take a place for a second.
    let seated = || async { crowd.progress().contains("Hls 3 watching").then_some(()) };
    wait_for("the crowd has taken every place", PATIENCE_S, seated).await.unwrap();
    let pages = Pages::open(local.folder.path(), &[format!("{}/live/{A}/", local.entry())], 180, "{}").unwrap();
    let full = pages.wait(0, "the page says that it is full", PATIENCE_S, |page| state(page) == "full").await.unwrap();
    assert!(full.players[0].text.contains("Every place is taken"), "{full:#?}");
    drop(crowd);
    pages.wait(0, "it is let in", PATIENCE_S, |page| page.players.iter().any(e2e::page::Player::plays)).await.unwrap();
    blameless(&pages.close().await.unwrap()[0], &local.entry());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_halls_at_once_one_voice() {
    let _alone = BROWSER.lock().await;
    let local = Local::start(&[A, B], SPEC).await.unwrap();
    let _publishers =
        [A, B].map(|name| ffmpeg(name, local.folder.path(), Clip::Plain, &local.publish_url(name)).unwrap());
    for name in [A, B] {
        local.wait_live(name, 3).await.unwrap();
    }
    let url = format!("{}/live/{A}/?with={B}", local.entry());
    let mut pages = Pages::open(local.folder.path(), &[url], 120, "{}").unwrap();
    let voices = |page: &Page| page.players.iter().map(|player| !player.muted).collect::<Vec<_>>();
    let both = |page: &Page| page.players.len() == 2 && page.players.iter().all(e2e::page::Player::plays);
    let page = pages.wait(0, "both halls play", PATIENCE_S, both).await.unwrap();
    assert_eq!(voices(&page), [true, false], "{page:#?}");
    pages.press("2", 0).unwrap();
    pages.wait(0, "the other hall is heard", PATIENCE_S, |page| voices(page) == [false, true]).await.unwrap();
    blameless(&pages.close().await.unwrap()[0], &local.entry());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_every_page_is_accessible_and_in_its_place() {
    let _alone = BROWSER.lock().await;
    let local = Local::start(&[A], SPEC).await.unwrap();
    let folder =
        std::env::var_os("LECTERN_PICTURES").map_or_else(|| local.folder.path().join("pictures"), PathBuf::from);
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("browser/look.mjs");
    let mut command = Command::new("node");
    command.arg(script).arg(local.entry()).arg(&folder);
    let (status, said, complaints) = output(&mut command, 900).await.unwrap();
    assert!(status.success(), "{said}{complaints}");
    let pictures = std::fs::read_dir(&folder).unwrap().count();
    assert!(pictures >= 24 * 8, "{pictures} pictures in {}:\n{said}", folder.display());
}
