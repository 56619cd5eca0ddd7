//! Segments: bytes, ranges, validators, those of siblings.

use super::*;

#[tokio::test]
async fn a_segment_is_the_same_for_ever() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let reply = rig.get(&name(5)).await;
    assert_eq!((reply.status, &reply.body), (200, &segment_bytes(5)));
    assert_eq!(reply.header("content-type"), "video/mp2t");
    assert_eq!(reply.header("cache-control"), "public, max-age=3600, immutable");
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(reply.header("etag"), format!("\"{}\"", entry(5).hash));
    let again = rig.get_with(&name(5), &[("if-none-match", reply.header("etag"))]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut client = rig.connect().await;
    for path in [name(5).as_str(), "/live/hall-a/media.m3u8"] {
        let head = client.request("HEAD", path, &[]).await;
        let get = client.request("GET", path, &[]).await;
        assert_eq!(head.status, 200);
        for header in ["content-length", "content-type", "etag", "cache-control"] {
            assert_eq!(head.header(header), get.header(header), "{path} {header}");
        }
    }
}

#[tokio::test]
async fn one_range_is_served_and_an_impossible_one_is_refused() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let whole = segment_bytes(5);
    let length = whole.len();
    let etag = format!("\"{}\"", entry(5).hash);
    let part = rig.get_with(&name(5), &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &whole[10..20]));
    assert_eq!(part.header("content-range"), format!("bytes 10-19/{length}"));
    let tail = rig.get_with(&name(5), &[("range", "bytes=-7"), ("if-range", &etag)]).await;
    assert_eq!((tail.status, &tail.body[..]), (206, &whole[length - 7..]));
    let changed = rig.get_with(&name(5), &[("range", "bytes=10-19"), ("if-range", "\"other\"")]).await;
    assert_eq!((changed.status, changed.body.len()), (200, length));
    let none = rig.get_with(&name(5), &[("range", "bytes=999999-")]).await;
    assert_eq!((none.status, none.header("content-range")), (416, format!("bytes */{length}").as_str()));
}

#[tokio::test]
async fn an_unlisted_segment_is_served_while_it_is_kept() {
    let rig = Rig::new().await;
    let mut view = live(1..=8);
    view.ledger.first = 4;
    rig.show(view);
    assert_eq!(rig.get(&name(1)).await.status, 200);
    rig.show(live(5..=12));
    assert_eq!(rig.get(&name(1)).await.status, 404);
}

#[tokio::test]
async fn a_segment_that_only_a_sibling_has_is_fetched_by_name() {
    for (has, status) in [(Some(segment_bytes(2)), 200), (Some(segment_bytes(3)), 503), (None, 503)] {
        let rig = Rig::with(Load::new(1_000, None, 70), Sibling { has }).await;
        let mut view = live(1..=8);
        view.segments.remove(&entry(2).name());
        rig.show(view);
        let reply = rig.get(&name(2)).await;
        assert_eq!(reply.status, status);
        if status == 200 {
            assert_eq!(reply.body, segment_bytes(2));
            assert_eq!(reply.header("etag"), format!("\"{}\"", entry(2).hash));
        }
    }
}

#[tokio::test]
async fn a_gap_is_no_segment() {
    let rig = Rig::with(Load::new(1_000, None, 70), Sibling { has: Some(segment_bytes(2)) }).await;
    let mut view = live(1..=8);
    view.segments.remove(&entry(2).name());
    view.ledger.entries[1].gap = true;
    rig.show(view);
    assert_eq!(rig.get(&name(2)).await.status, 404);
}
