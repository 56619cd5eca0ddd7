//! Who counts as a viewer of a segment.

use super::*;
use lectern_media::rendition::SegmentKey;

fn counts(rig: &Rig, msn: u64) -> (u64, u64) {
    let held = rig.stream.snapshot.load().segments[&SegmentKey::source(entry(msn).name())].clone();
    (held.fetches.begun(), held.fetches.completed())
}

#[tokio::test]
async fn a_whole_segment_counts_once_and_its_parts_once_together() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut client = rig.connect().await;
    client.request("GET", &name(8), &[]).await;
    until("the first counts", || counts(&rig, 8) == (1, 1)).await;
    client.request("HEAD", &name(8), &[]).await;
    client.request("GET", &name(8), &[("range", "bytes=0-99")]).await;
    let etag = format!("\"{}\"", entry(8).hash);
    client.request("GET", &name(8), &[("if-none-match", &etag)]).await;
    client.request("GET", &name(8), &[("range", "bytes=999999-")]).await;
    // Whatever counts is counted before the answer after it begins.
    client.request("GET", "/live/hall-a/media.m3u8", &[]).await;
    assert_eq!(counts(&rig, 8), (1, 1));
    client.request("GET", &name(8), &[("range", "bytes=100-")]).await;
    until("the part with the last byte counts", || counts(&rig, 8) == (2, 2)).await;
}

#[tokio::test]
async fn a_request_of_the_media_playlist_counts_and_one_of_the_other_does_not() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut client = rig.connect().await;
    for (method, path) in [("GET", "media"), ("GET", "index"), ("HEAD", "media"), ("GET", "media")] {
        client.request(method, &format!("/live/hall-a/{path}.m3u8"), &[]).await;
    }
    rig.stream.reloads.look(1_000);
    assert_eq!(rig.stream.reloads.within(2_000), 2);
}

#[tokio::test]
async fn counts_go_on_in_the_next_snapshot() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    rig.get(&name(8)).await;
    rig.show(live(2..=9));
    until("it is counted", || counts(&rig, 8) == (1, 1)).await;
}

#[tokio::test]
async fn a_download_that_breaks_off_was_begun_and_not_completed() {
    let rig = Rig::new().await;
    let mut view = live(1..=8);
    let bytes = Bytes::from(vec![7_u8; 64 << 20]);
    let held = view.segments.get_mut(&entry(8).name()).unwrap();
    (held.entry.length, held.entry.hash, held.bytes) = (bytes.len() as u64, Hash::of(&bytes), bytes);
    rig.show(view);
    let mut client = rig.connect().await;
    client.send("GET", &name(8), &[]).await;
    client.head().await;
    assert_eq!(rig.state.hub.answering.load(Relaxed), 1);
    drop(client);
    until("the connection has ended", || rig.state.hub.answering.load(Relaxed) == 0).await;
    assert_eq!(counts(&rig, 8), (1, 0));
}

#[tokio::test]
async fn egress_is_what_was_written() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut client = rig.connect().await;
    let mut read = 0;
    for msn in 1..=8 {
        client.send("GET", &name(msn), &[]).await;
        let (_, headers) = client.head().await;
        let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
        while client.buffer.len() < length {
            client.more().await;
        }
        client.buffer.drain(..length);
        read += length as u64;
    }
    let written = rig.state.hub.totals.egress_bytes_total();
    assert!((read..read + 8 * 600).contains(&written), "{read} bytes of bodies, {written} written");
}

#[tokio::test]
async fn a_client_that_takes_no_media_is_no_viewer_and_no_demand() {
    let rig = Rig::with(Load::new(1, None, 70), Sibling::default()).await;
    rig.show(live(1..=8));
    let mut client = rig.connect().await;
    for _ in 0..3 {
        assert_eq!(client.request("HEAD", "/live/hall-a/index.m3u8", &[]).await.status, 200);
        assert_eq!(client.request("GET", &name(8), &[("range", "bytes=-1")]).await.status, 206);
    }
    assert_eq!((rig.state.hub.load.admitted(), counts(&rig, 8)), (0, (0, 0)));
    assert_eq!(rig.get("/live/hall-a/index.m3u8").await.status, 200);
    assert_eq!(rig.state.hub.load.admitted(), 1, "the place was not taken");
    let mut client = rig.connect().await;
    assert_eq!(client.request("HEAD", "/live/hall-a/index.m3u8", &[]).await.status, 503, "the edge is full");
    assert_eq!(rig.state.hub.refused.count(rig.state.hub.clock.now_ms()), 0, "a question is not demand");
    assert_eq!(rig.get("/live/hall-a/index.m3u8").await.status, 503);
    assert_eq!(rig.state.hub.refused.count(rig.state.hub.clock.now_ms()), 1);
}
