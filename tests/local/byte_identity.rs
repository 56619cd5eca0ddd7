//! For one stream every edge answers every URL with the same bytes, whenever it joined, restarted or was killed, and
//! numbers only go up: over a real publish with edges that come late, one that is killed, and an encoder that comes
//! back.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::follow::{Follower, Seen, agree, read};
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::publish::ffmpeg;
use e2e::wait::wait_for;
use std::collections::BTreeSet;

const STREAM: &str = "hall-a";

/// Time for the segments that a step waits for: at most eight of two seconds, and a machine that is busy.
const LISTED_S: u64 = 60;

/// The epochs whose segments were listed, from names `PROFILE-EPOCH-MSN.ts`.
fn epochs(seen: &Seen) -> BTreeSet<u64> {
    seen.segments.keys().map(|name| name.split('-').nth(1).unwrap().parse().unwrap()).collect()
}

/// Waits until `follower` has seen `segments` segments since the beginning, in `epochs_wanted` epochs.
async fn has_listed(follower: &Follower, epochs_wanted: usize, segments: usize) {
    let what = format!("{segments} segments in {epochs_wanted} epochs are listed");
    let seen = || {
        let seen = follower.seen();
        let listed = seen.segments.len() >= segments && epochs(&seen).len() >= epochs_wanted;
        std::future::ready(listed.then_some(()))
    };
    wait_for(&what, LISTED_S, seen).await.unwrap();
}

/// Each epoch but the first begins with exactly one discontinuity, and none stands elsewhere.
fn assert_one_discontinuity_an_epoch(seen: &Seen) {
    let first = *epochs(seen).first().expect("something was listed");
    let mut begun = BTreeSet::new();
    for text in &seen.history {
        for segment in read(text).unwrap().segments {
            let epoch: u64 = segment.uri.split('-').nth(1).unwrap().parse().unwrap();
            if segment.discontinuity {
                begun.insert((epoch, segment.uri));
            }
        }
    }
    let wanted: Vec<u64> = epochs(seen).into_iter().filter(|e| *e != first).collect();
    let found: Vec<u64> = begun.iter().map(|(epoch, _)| *epoch).collect();
    assert_eq!(found, wanted, "{begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_that_join_at_any_time_serve_the_same_bytes() {
    let fleet = Fleet::new(&[STREAM], 3).unwrap();
    let followers: Vec<_> =
        (0..3).map(|n| Follower::start(&format!("http://{}", fleet.edge(n).unwrap().http), STREAM)).collect();
    let _ingest = fleet.start_ingest().await.unwrap();
    let _first = fleet.start_edge(0).await.unwrap();
    let publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();

    // The second edge joins before the list is full, the third after its first segments have left it.
    let listed = &followers[0];
    has_listed(listed, 1, 7).await;
    let mut second = fleet.start_edge(1).await.unwrap();
    fleet.wait_ready(1).await.unwrap();
    has_listed(listed, 1, 14).await;
    let _third = fleet.start_edge(2).await.unwrap();
    fleet.wait_ready(2).await.unwrap();
    has_listed(&followers[2], 1, 10).await;
    second.kill().unwrap();
    let before = listed.seen().segments.len();
    has_listed(listed, 1, before + 1).await;
    let _second = fleet.start_edge(1).await.unwrap();
    fleet.wait_ready(1).await.unwrap();
    has_listed(&followers[1], 1, before + 3).await;
    drop(publisher);
    let _publisher = ffmpeg("publisher-2", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    has_listed(listed, 2, before + 14).await;
    for late in &followers[1..] {
        let last = read(listed.seen().history.last().unwrap()).unwrap().segments.pop().unwrap().uri;
        let seen = || std::future::ready(late.seen().segments.contains_key(&last).then_some(()));
        wait_for("a late edge lists what the first one does", LISTED_S, seen).await.unwrap();
    }

    let seen: Vec<Seen> = followers.iter().map(Follower::seen).collect();
    let (segments, playlists) = agree(&seen).unwrap();
    assert!(segments >= 25 && playlists >= 22, "{segments} segments and {playlists} playlists could be compared");
    for (n, one) in seen.iter().enumerate() {
        assert_eq!(epochs(one).len(), 2, "edge {n}: the encoder came back once");
        assert_one_discontinuity_an_epoch(one);
    }
    // The late ones have the whole list at once: what they first showed is as long as what the first edge showed then.
    for late in seen.get(1..).unwrap() {
        let listed = read(late.history.first().unwrap()).unwrap().segments.len();
        assert!(listed >= 6, "a late edge began with {listed} segments:\n{}", late.history[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_joins_after_an_ingest_restart_agrees_too() {
    let fleet = Fleet::new(&[STREAM], 3).unwrap();
    let followers: Vec<_> =
        (0..3).map(|n| Follower::start(&format!("http://{}", fleet.edge(n).unwrap().http), STREAM)).collect();
    let mut ingest = fleet.start_ingest().await.unwrap();
    let _first = fleet.start_edge(0).await.unwrap();
    let _second = fleet.start_edge(1).await.unwrap();
    let publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 4).await.unwrap();

    ingest.kill().unwrap();
    drop(publisher);
    let _ingest = fleet.start_ingest().await.unwrap();
    let _publisher = ffmpeg("publisher-2", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    wait_for("the second epoch is listed", 20, || async { (epochs(&followers[0].seen()).len() == 2).then_some(()) })
        .await
        .unwrap();
    let _third = fleet.start_edge(2).await.unwrap();
    fleet.wait_ready(2).await.unwrap();
    wait_for("all have listed four more", 20, || async {
        followers.iter().all(|f| f.seen().history.len() >= 4).then_some(())
    })
    .await
    .unwrap();

    let seen: Vec<Seen> = followers.iter().map(Follower::seen).collect();
    let (segments, playlists) = agree(&seen).unwrap();
    assert!(segments >= 6 && playlists >= 4, "{segments} segments and {playlists} playlists could be compared");
    assert_eq!(epochs(&seen[2]).len(), 2, "the late edge lists segments from before the restart");
    seen.iter().for_each(assert_one_discontinuity_an_epoch);
}
