//! Requests a little ahead.

use super::*;
use crate::edge::http::state::HELD;

/// How long is long enough to see that an answer does not come: only a wrong answer makes a test fail here.
const GLIMPSE: Duration = Duration::from_millis(100);

async fn is_held(client: &mut Client) -> bool {
    tokio::time::timeout(GLIMPSE, client.socket.readable()).await.is_err()
}

#[tokio::test]
async fn the_next_segment_and_the_one_after_are_held_until_they_exist() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let (mut next, mut after) = (rig.connect().await, rig.connect().await);
    next.send("GET", &name(9), &[]).await;
    after.send("GET", &name(10), &[]).await;
    assert!(is_held(&mut next).await && is_held(&mut after).await);
    assert_eq!(rig.get(&name(11)).await.status, 404, "two ahead is too far");
    rig.show(live(2..=9));
    assert_eq!(next.reply(false).await.body, segment_bytes(9));
    assert!(is_held(&mut after).await);
    rig.show(live(3..=10));
    assert_eq!(after.reply(false).await.body, segment_bytes(10));
}

#[tokio::test]
async fn a_held_request_is_told_at_once_when_the_epoch_changes() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut next = rig.connect().await;
    next.send("GET", &name(9), &[]).await;
    assert!(is_held(&mut next).await);
    let mut view = live(1..=8);
    view.open = Some(Open { epoch: EPOCH + 60_000, profile: Profile::ONE, next_msn: 9 });
    rig.show(view);
    let reply = next.reply(false).await;
    assert_eq!((reply.status, reply.header("cache-control")), (404, "no-store"));
}

#[tokio::test]
async fn a_playlist_waits_for_its_first_segment_and_is_never_empty() {
    let rig = Rig::new().await;
    rig.show(begun());
    let (mut index, mut media) = (rig.connect().await, rig.connect().await);
    index.send("GET", "/live/hall-a/index.m3u8", &[]).await;
    media.send("GET", "/live/hall-a/media.m3u8", &[]).await;
    assert!(is_held(&mut index).await && is_held(&mut media).await);
    rig.show(live(1..=1));
    assert_eq!(index.reply(false).await.body, live(1..=1).multivariant.unwrap());
    assert_eq!(media.reply(false).await.body, live(1..=1).media.unwrap());
}

#[tokio::test]
async fn what_does_not_come_in_time_is_answered_with_503() {
    let rig = Rig::new().await;
    rig.show(View { segment_ms: 20, ..begun() });
    for path in ["/live/hall-a/media.m3u8", &name(1)] {
        let reply = rig.get(path).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{path}");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_hold_is_three_target_durations_and_at_most_eight_seconds() {
    let hold = |segment_ms| Snapshot { view: Arc::new(View { segment_ms, ..begun() }), ..Snapshot::default() }.hold();
    assert_eq!(hold(1_000), Duration::from_secs(3));
    assert_eq!(hold(2_000), Duration::from_secs(6));
    assert_eq!(hold(10_000), Duration::from_secs(8));
    let listed = Snapshot { view: Arc::new(live(1..=8)), ..Snapshot::default() };
    assert_eq!(listed.hold(), Duration::from_secs(6));
}

#[tokio::test]
async fn when_all_places_to_wait_are_taken_the_address_with_most_gives_one_up() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let from = |host: u8| std::net::IpAddr::from([10, 0, 0, host]);
    // One address takes all places but one of another's.
    let other = rig.state.held.enter(from(2));
    let taken: Vec<_> = (1..HELD.total).map(|_| rig.state.held.enter(from(1))).collect();
    let mut viewer = rig.connect().await;
    viewer.send("GET", &name(9), &[]).await;
    until("the viewer waits", || taken[0].evicted().is_cancelled()).await;
    assert_eq!(rig.state.held.len(), HELD.total);
    assert!(taken[1..].iter().all(|place| !place.evicted().is_cancelled()), "one place is enough for one request");
    assert!(!other.evicted().is_cancelled(), "the address with most places gives one up");
    rig.show(live(1..=9));
    assert_eq!(viewer.reply(false).await.status, 200);
    until("the place is free again", || rig.state.held.len() == HELD.total - 1).await;
}

#[tokio::test]
async fn a_request_that_has_to_give_its_place_up_is_told_to_come_again() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut viewer = rig.connect().await;
    viewer.send("GET", &name(9), &[]).await;
    until("the viewer waits", || rig.state.held.len() == 1).await;
    let own = std::net::IpAddr::from([127, 0, 0, 1]);
    let _more: Vec<_> = (0..HELD.total).map(|_| rig.state.held.enter(own)).collect();
    let reply = viewer.reply(false).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
}

#[tokio::test]
async fn what_is_not_known_is_asked_for_and_only_then_called_missing() {
    let rig = Rig::new().await;
    let unsure = |level_ms| View { level_ms, heard_ms: level_ms, ..live(1..=8) };
    rig.show(unsure(0));
    // Three ahead of what this edge knows, and of an epoch that it does not know.
    let other = format!("/live/hall-a/1-{}-9.ts", EPOCH + 60_000);
    for path in [name(11), other] {
        let mut client = rig.connect().await;
        client.send("GET", &path, &[]).await;
        rig.stream.inquiry.notified().await;
        assert!(is_held(&mut client).await, "{path}: it may exist");
        rig.show(unsure(u64::MAX));
        assert_eq!(client.reply(false).await.status, 404, "{path}: it does not");
        rig.show(unsure(0));
    }
}

#[tokio::test]
async fn what_a_sibling_lists_is_fetched_from_it() {
    let sibling = Sibling { has: Some(segment_bytes(11)) };
    let rig = Rig::with(Load::new(1_000, None, 70), sibling).await;
    rig.show(View { level_ms: 0, ..live(1..=8) });
    let mut client = rig.connect().await;
    client.send("GET", &name(11), &[]).await;
    rig.stream.inquiry.notified().await;
    rig.show(View { level_ms: 0, rumours: vec![entry(11)], ..live(1..=8) });
    assert_eq!(client.reply(false).await.body, segment_bytes(11));
}

#[tokio::test]
async fn what_cannot_be_known_in_time_is_answered_with_503_and_the_end_of_the_connection() {
    let rig = Rig::new().await;
    rig.show(View { segment_ms: 20, level_ms: 0, ..begun() });
    let reply = rig.get(&format!("/live/hall-a/1-{}-9.ts", EPOCH + 60_000)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!(reply.header("connection"), "close");
}
