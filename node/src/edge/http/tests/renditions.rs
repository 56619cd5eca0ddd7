//! A rendition beside the source: what it needs of the HTTP port is there before any is made.

use super::*;
use crate::edge::stream::snapshot::{Playlist, Segment};
use crate::edge::stream::source::{Chain, Held, Wanted};
use lectern_media::rendition::{Name, Rendition, SegmentKey};

fn small() -> Rendition {
    Rendition::Named(Name::parse("720p").unwrap())
}

/// Publishes a snapshot that lists and holds segment 8 as 720p, too.
fn show_small(rig: &Rig, bytes: &Bytes) -> SegmentKey {
    let mut next = Snapshot::next(&rig.stream.snapshot.load(), Arc::new(live(1..=8)), 0);
    let entry = Entry { hash: Hash::of(bytes), length: bytes.len() as u64, ..entry(8) };
    let key = SegmentKey { rendition: small(), name: entry.name() };
    next.media.insert(small(), Arc::new(Playlist::new("#EXTM3U\n# smaller\n".into())));
    next.segments.insert(key, Arc::new(Segment::new(entry, bytes.clone(), 0)));
    rig.stream.publish(next);
    key
}

#[tokio::test]
async fn a_rendition_is_answered_by_its_own_name_and_the_source_as_before() {
    let rig = Rig::new().await;
    let bytes = Bytes::from_static(b"a smaller picture");
    let key = show_small(&rig, &bytes);
    for (path, body) in [
        ("/live/hall-a/720p/media.m3u8".to_owned(), Bytes::from_static(b"#EXTM3U\n# smaller\n")),
        (format!("/live/hall-a/{key}"), bytes),
        ("/live/hall-a/media.m3u8".to_owned(), live(1..=8).media.unwrap()),
        (name(8), segment_bytes(8)),
    ] {
        let reply = rig.get(&path).await;
        assert_eq!((reply.status, reply.body), (200, body), "{path}");
    }
}

#[tokio::test]
async fn a_rendition_that_a_stream_does_not_have_is_answered_like_any_unknown_path() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let unknown = rig.get("/live/hall-a/no/such/path").await;
    assert_eq!(unknown.status, 404);
    let segment = format!("/live/hall-a/480p/1-{EPOCH}-8.ts");
    for path in ["/live/hall-a/480p/media.m3u8", "/live/none/480p/media.m3u8", segment.as_str()] {
        let reply = rig.get(path).await;
        assert_eq!((reply.status, reply.headers.len(), reply.body), (404, unknown.headers.len(), unknown.body.clone()));
    }
}

#[tokio::test]
async fn a_viewer_who_changes_to_a_rendition_stays_one_viewer() {
    let rig = Rig::new().await;
    let key = show_small(&rig, &Bytes::from_static(b"a smaller picture"));
    let mut client = rig.connect().await;
    client.request("GET", "/live/hall-a/media.m3u8", &[]).await;
    client.request("GET", "/live/hall-a/720p/media.m3u8", &[]).await;
    client.request("GET", &name(7), &[]).await;
    client.request("GET", &format!("/live/hall-a/{key}"), &[]).await;
    rig.stream.reloads.look(1_000);
    assert_eq!(rig.stream.reloads.within(2_000), 2, "reloads of all lists add up");
    let fetched = |msn: u64| {
        let stream = crate::edge::status::describe(&rig.stream, 0);
        stream.fetches.iter().find(|(of, ..)| *of == msn).map(|(_, completed, _)| *completed)
    };
    until("each of two segments was fetched once, in whichever rendition", || {
        (fetched(7), fetched(8)) == (Some(1), Some(1))
    })
    .await;
}

#[tokio::test]
async fn the_places_of_a_segment_are_asked_in_their_order_until_one_has_it() {
    let rig = Rig::new().await;
    let bytes = Bytes::from_static(b"a smaller picture");
    let key = show_small(&rig, &bytes);
    let wanted = |rendition, entry: Entry| Wanted { stream: "hall-a".to_owned(), rendition, entry };
    let listed = rig.stream.snapshot.load().segments[&key].entry.clone();
    let elsewhere = Bytes::from_static(b"nine");
    let other = Entry { hash: Hash::of(&elsewhere), length: 4, ..entry(9) };
    let sibling = Sibling { has: Some(elsewhere.clone()) };
    let chain = Chain::new(vec![Arc::new(Held(Arc::clone(&rig.state.hub))), Arc::new(sibling)]);
    assert_eq!(chain.fetch(wanted(small(), listed.clone())).await, Some(bytes), "the edge itself");
    assert_eq!(chain.fetch(wanted(Rendition::Source, listed)).await, None, "the source's segment has other bytes");
    assert_eq!(chain.fetch(wanted(Rendition::Source, other.clone())).await, Some(elsewhere), "then the sibling");
    let gone = Entry { hash: Hash::of(b"in no place"), ..other };
    assert_eq!(chain.fetch(wanted(Rendition::Source, gone)).await, None);
}
