//! Pages, their scripts and what they are told.

use super::*;
use crate::edge::stream::pages::Pages;
use lectern_media::programme::{Programme, Titled};

/// A rig whose event has pages, framed by one other site.
async fn rig(load: Load) -> Rig {
    let rig = Rig::with(load, Sibling::default()).await;
    let titled = |name: &str, title: &str| Titled { name: name.into(), title: title.into() };
    let streams = vec![titled("hall-a", "Hall A"), titled("hall-b", "Hall B")];
    let programme = Programme { title: "Gala".into(), streams, ..Programme::default() };
    let pages = Some(Pages::new(programme, &["https://example.org".to_owned()]));
    let playback = Playback { known: true, http_flv: true, rtmp: true, origins: Origins::Any, pages };
    rig.state.hub.playback.store(Arc::new(playback));
    rig
}

/// The script that a page names.
fn script(html: &[u8]) -> String {
    let html = str::from_utf8(html).unwrap();
    html.split('"').find(|text| text.starts_with("/-/page.") && text.ends_with(".js")).unwrap().to_owned()
}

#[tokio::test]
async fn pages_are_html_under_a_strict_policy_and_may_be_kept_for_a_minute() {
    let rig = rig(Load::new(1_000, None, 70)).await;
    for (path, ancestors) in [
        ("/", "frame-ancestors 'self'"),
        ("/live/hall-a/", "frame-ancestors 'self'"),
        ("/live/no-such-hall/", "frame-ancestors 'self'"),
        ("/embed/hall-a", "frame-ancestors 'self' https://example.org"),
    ] {
        let reply = rig.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(reply.header("cache-control"), "public, max-age=60", "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(reply.header("set-cookie"), "", "{path}");
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with(lectern_web::POLICY) && policy.ends_with(ancestors), "{path}: {policy}");
        let etag = reply.header("etag").to_owned();
        assert_eq!(rig.get_with(path, &[("If-None-Match", &etag)]).await.status, 304, "{path}");
    }
    assert_eq!(rig.state.hub.totals.answers(Answered::Page), 4);
}

#[tokio::test]
async fn a_script_may_be_kept_for_ever_by_its_own_hash_and_is_there_by_any_other() {
    let rig = rig(Load::new(1_000, None, 70)).await;
    let exact = script(&rig.get("/").await.body);
    let bytes = rig.get(&exact).await;
    assert_eq!(bytes.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(bytes.header("content-type"), "text/javascript; charset=utf-8");
    for other in ["/-/page.js", "/-/page.AAAAAAAA.js"] {
        let reply = rig.get(other).await;
        assert_eq!((reply.status, &reply.body), (200, &bytes.body), "{other}");
        assert_eq!(reply.header("cache-control"), "public, max-age=60", "{other}");
    }
    let packed = rig.get_with(&exact, &[("Accept-Encoding", "gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < bytes.body.len());
}

#[tokio::test]
async fn what_pages_are_told_changes_with_the_ledger_and_not_before() {
    let rig = rig(Load::new(1_000, None, 70)).await;
    let text = |reply: &Reply| String::from_utf8(reply.body.to_vec()).unwrap();
    let before = rig.get("/programme.json").await;
    assert!(text(&before).contains(r#"{"name":"hall-a","title":"Hall A","state":"idle"}"#), "{}", text(&before));
    assert_eq!(before.header("cache-control"), "public, max-age=2");
    assert_eq!(rig.get("/programme.json").await.header("etag"), before.header("etag"));
    rig.show(live(1..=3));
    let after = rig.get("/programme.json").await;
    assert!(text(&after).contains(r#""state":"live","since":"2026-09-"#), "{}", text(&after));
    assert_ne!(after.header("etag"), before.header("etag"));
    let state = rig.get("/live/hall-a/state.json").await;
    assert!(text(&state).starts_with(r#"{"version":1,"stream":"hall-a","state":"live""#), "{}", text(&state));
    assert_eq!(state.header("cache-control"), "public, max-age=1");
    assert_eq!(rig.get("/live/hall-b/state.json").await.status, 404);
}

#[tokio::test]
async fn a_full_edge_answers_pages_and_they_count_no_viewer() {
    let rig = rig(Load::new(0, None, 70)).await;
    rig.show(live(1..=3));
    assert_eq!(rig.get("/live/hall-a/index.m3u8").await.status, 503);
    for path in ["/", "/live/hall-a/", "/embed/hall-a", "/programme.json", "/live/hall-a/state.json", "/-/page.js"] {
        assert_eq!(rig.get(path).await.status, 200, "{path}");
    }
    assert_eq!(rig.state.hub.totals.answers(Answered::Refused), 1);
    rig.stream.reloads.look(2_000);
    assert_eq!(rig.stream.reloads.within(2_000), 0);
}

#[tokio::test]
async fn an_event_without_pages_has_none_and_keeps_its_playlists() {
    let rig = Rig::new().await;
    rig.show(live(1..=3));
    for path in ["/", "/live/hall-a/", "/embed/hall-a", "/programme.json", "/live/hall-a/state.json", "/-/page.js"] {
        let reply = rig.get(path).await;
        assert_eq!((reply.status, reply.header("cache-control")), (404, "no-store"), "{path}");
    }
    assert_eq!(rig.get("/live/hall-a/index.m3u8").await.status, 200);
}

#[tokio::test]
async fn a_hall_without_its_slash_is_told_where_it_is() {
    let rig = rig(Load::new(1_000, None, 70)).await;
    let reply = rig.get("/live/hall-a").await;
    assert_eq!((reply.status, reply.header("location")), (308, "/live/hall-a/"));
}
