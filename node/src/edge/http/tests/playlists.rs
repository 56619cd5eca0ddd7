//! Playlists: headers, validators, compression, refusal, age of connections, CORS.

use super::*;
use lectern_media::rendition::SegmentKey;
use lectern_media::track::TrackSet;

#[tokio::test]
async fn a_playlist_says_what_it_is_and_how_long_it_is_news() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    for path in ["/live/hall-a/index.m3u8", "/live/hall-a/media.m3u8", "/live/hall-a/media.m3u8?x=1"] {
        let reply = rig.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), "application/vnd.apple.mpegurl");
        assert_eq!(reply.header("cache-control"), "public, max-age=1");
        assert_eq!(reply.header("vary"), "Accept-Encoding");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert_eq!(reply.header("etag"), format!("\"{}\"", Hash::of(&reply.body)));
        assert!(reply.body.starts_with(b"#EXTM3U"));
        assert_eq!(reply.header("connection"), "");
    }
    assert_eq!(rig.state.hub.totals.answers(Answered::Playlist), 3);
}

#[tokio::test]
async fn who_has_a_playlist_is_told_so() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let etag = rig.get("/live/hall-a/media.m3u8").await.header("etag").to_owned();
    let again = rig.get_with("/live/hall-a/media.m3u8", &[("if-none-match", &etag)]).await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, etag.as_str()));
    rig.show(live(1..=9));
    let news = rig.get_with("/live/hall-a/media.m3u8", &[("if-none-match", &etag)]).await;
    assert_eq!(news.status, 200);
    assert_ne!(news.header("etag"), etag);
}

#[tokio::test]
async fn a_playlist_is_compressed_for_who_asks_with_a_validator_of_its_own() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let plain = rig.get("/live/hall-a/media.m3u8").await;
    let gzip = rig.get_with("/live/hall-a/media.m3u8", &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(gzip.body.as_ref()).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
    assert_ne!(gzip.header("etag"), plain.header("etag"));
    let headers = [("accept-encoding", "gzip"), ("if-none-match", gzip.header("etag"))];
    assert_eq!(rig.get_with("/live/hall-a/media.m3u8", &headers).await.status, 304);
}

#[tokio::test]
async fn what_is_not_there_is_explained_and_never_cached() {
    let rig = Rig::new().await;
    let cases = [
        ("/live/hall-b/index.m3u8", 404, ""),
        ("/live/hall-a/index.m3u8", 404, "5"),
        ("/live/hall-a/media.m3u8", 404, "5"),
        ("/live/hall-a.flv", 404, "5"),
        // An edge that was told nothing cannot know that it does not exist.
        ("/live/hall-a/1-1-1.ts", 503, "1"),
        ("/nothing", 404, ""),
    ];
    for (path, status, retry_after) in cases {
        let reply = rig.get(path).await;
        assert_eq!((reply.status, reply.header("retry-after")), (status, retry_after), "{path}");
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{path}");
        let text = std::str::from_utf8(&reply.body).unwrap();
        assert!(text.ends_with('\n') && text.lines().count() == 1, "{path}: {text:?}");
    }
    assert_eq!(rig.connect().await.request("POST", "/live/hall-a/index.m3u8", &[]).await.status, 405);
    rig.state.hub.playback.store(Arc::default());
    let reply = rig.get("/live/hall-b/index.m3u8").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "before the ingest was heard");
}

#[tokio::test]
async fn a_full_edge_sends_newcomers_away_and_serves_those_it_has() {
    let rig = Rig::with(Load::new(1, None, 70), Sibling::default()).await;
    rig.show(live(1..=8));
    assert_eq!(rig.get("/live/hall-a/index.m3u8").await.status, 200);
    let mut client = rig.connect().await;
    let reply = client.request("GET", "/live/hall-a/index.m3u8", &[("user-agent", "hls.js")]).await;
    assert_eq!((reply.status, reply.header("retry-after"), reply.header("connection")), (503, "1", "close"));
    assert!(client.is_closed().await);
    rig.get_with("/live/hall-a/index.m3u8", &[("user-agent", "hls.js")]).await;
    rig.get_with("/live/hall-a/index.m3u8", &[("user-agent", "vlc")]).await;
    assert_eq!(rig.state.hub.refused.count(rig.state.hub.clock.now_ms()), 2);
    assert_eq!(rig.state.hub.totals.answers(Answered::Refused), 3);
    for path in ["/live/hall-a/media.m3u8", &name(8)] {
        assert_eq!(rig.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_old_connection_ends_with_a_playlist_and_not_with_a_segment() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut client = rig.connect().await;
    assert_eq!(client.request("GET", "/live/hall-a/media.m3u8", &[]).await.header("connection"), "");
    pass(Duration::from_millis(AGE_MS * (100 + AGE_SPREAD_PERCENT) / 100)).await;
    assert_eq!(client.request("GET", &name(8), &[]).await.header("connection"), "");
    assert_eq!(client.request("GET", "/live/hall-a/media.m3u8", &[]).await.header("connection"), "close");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn connections_end_sooner_where_there_are_more_viewers_than_wanted() {
    let rig = Rig::with(Load::new(10, None, 70), Sibling::default()).await;
    rig.show(live(1..=8));
    let mut client = rig.connect().await;
    client.request("GET", "/live/hall-a/media.m3u8", &[]).await;
    pass(Duration::from_millis(AGE_ABOVE_TARGET_MS * (100 + AGE_SPREAD_PERCENT) / 100)).await;
    assert_eq!(client.request("GET", "/live/hall-a/media.m3u8", &[]).await.header("connection"), "");
    for _ in 0..8 {
        assert!(rig.state.hub.load.admit());
    }
    assert_eq!(client.request("GET", "/live/hall-a/media.m3u8", &[]).await.header("connection"), "close");
}

#[tokio::test]
async fn near_the_end_every_answer_closes_its_connection() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut client = rig.connect().await;
    client.request("GET", &name(8), &[]).await;
    rig.state.hub.closing.store(true, Relaxed);
    assert_eq!(client.request("GET", &name(8), &[]).await.header("connection"), "close");
    assert!(client.is_closed().await);
    until("nothing is being answered", || rig.state.hub.answering.load(Relaxed) == 0).await;
}

#[tokio::test]
async fn only_listed_pages_may_play() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let origins = Origins::new(&["https://talks.example".into(), "http://localhost:3000/".into()]);
    rig.state.hub.playback.store(Arc::new(Playback { known: true, http_flv: true, rtmp: true, origins, pages: None }));
    for (origin, allowed) in [
        ("https://talks.example", "https://talks.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://evil.example", ""),
    ] {
        let reply = rig.get_with("/live/hall-a/media.m3u8", &[("origin", origin)]).await;
        assert_eq!(reply.header("access-control-allow-origin"), allowed, "{origin}");
        let vary: Vec<_> = reply.headers.get_all("vary").iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(vary, ["Accept-Encoding", "Origin"]);
    }
    let asks = [("origin", "https://talks.example"), ("access-control-request-method", "GET")];
    let preflight = rig.connect().await.request("OPTIONS", "/live/hall-a/media.m3u8", &asks).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://talks.example");
    assert!(preflight.header("access-control-allow-headers").contains("Range"));
    let asks = [("origin", "https://evil.example"), ("access-control-request-method", "GET")];
    let preflight = rig.connect().await.request("OPTIONS", "/live/hall-a/media.m3u8", &asks).await;
    assert_eq!(preflight.header("access-control-allow-methods"), "");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut slow = rig.connect().await;
    slow.socket.write_all(b"GET /live/ha").await.unwrap();
    let mut slow_later = rig.connect().await;
    slow_later.request("GET", "/live/hall-a/media.m3u8", &[]).await;
    slow_later.socket.write_all(b"GET /live/ha").await.unwrap();
    let mut idle = rig.connect().await;
    idle.request("GET", "/live/hall-a/media.m3u8", &[]).await;
    // Both heads have to be seen before time passes; the connection that answers shows that the node runs.
    rig.get("/live/hall-a/media.m3u8").await;
    pass(Duration::from_millis(HEAD_MS_MAX + 100)).await;
    assert!(slow.is_closed().await);
    assert!(slow_later.is_closed().await);
    assert_eq!(idle.request("GET", "/live/hall-a/media.m3u8", &[]).await.status, 200);
    pass(Duration::from_millis(IDLE_MS_MAX + 100)).await;
    assert!(idle.is_closed().await);
}

#[tokio::test]
async fn a_head_of_more_than_16_kib_is_refused() {
    let rig = Rig::new().await;
    let long = "x".repeat(HEAD_BYTES_MAX);
    let reply = rig.get_with("/live/hall-a/media.m3u8", &[("x-long", &long)]).await;
    assert!([431, 400].contains(&reply.status), "{}", reply.status);
    let reply = rig.get_with("/live/hall-a.flv", &[("x-long", &long)]).await;
    assert!([431, 400].contains(&reply.status), "{}", reply.status);
}

#[tokio::test]
async fn http_2_is_spoken_to_who_speaks_it_first() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let io = hyper_util::rt::TokioIo::new(TcpStream::connect(rig.address).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let connection = tokio::spawn(connection);
    for (path, expected) in
        [("/live/hall-a/media.m3u8", live(1..=8).media.unwrap()), (name(8).as_str(), segment_bytes(8))]
    {
        let request = http::Request::get(format!("http://edge{path}")).body(http_body_util::Empty::<Bytes>::new());
        let response = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        assert_eq!(body, expected);
    }
    let held =
        rig.stream.snapshot.load().segments[&SegmentKey::source(SegmentName::media(Profile::ONE, EPOCH, 8))].clone();
    assert_eq!(held.fetches.completed(), 1);
    // An old connection says goodbye after what is in flight.
    pass(Duration::from_millis(AGE_MS * (100 + AGE_SPREAD_PERCENT) / 100)).await;
    let request = http::Request::get("http://edge/live/hall-a/media.m3u8").body(http_body_util::Empty::new());
    assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status(), 200);
    tokio::time::timeout(PATIENCE, connection).await.expect("goodbye").unwrap().unwrap();
}

/// Lets time pass for timers and clocks, not for sockets.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// What a client that writes `text` and nothing more gets.
async fn said(rig: &Rig, text: &str, half_closed: bool) -> Reply {
    let mut client = rig.connect().await;
    client.socket.write_all(text.as_bytes()).await.unwrap();
    if half_closed {
        client.socket.shutdown().await.unwrap();
    }
    client.reply(false).await
}

#[tokio::test]
async fn a_client_that_closes_its_side_after_asking_is_answered() {
    let rig = Rig::new().await;
    rig.show(begun());
    let text = "GET /live/hall-a/media.m3u8 HTTP/1.1\r\nhost: edge\r\n\r\n";
    // It is held when its side closes.
    let mut client = rig.connect().await;
    client.socket.write_all(text.as_bytes()).await.unwrap();
    client.socket.shutdown().await.unwrap();
    until("it is held", || !rig.state.held.is_empty()).await;
    rig.get("/live/hall-b/media.m3u8").await;
    rig.show(live(1..=8));
    assert_eq!(client.reply(false).await.status, 200);
    assert_eq!(said(&rig, text, true).await.status, 200);
}

#[tokio::test]
async fn a_request_of_http_1_1_has_one_host() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let request = |version, hosts: &str| format!("GET /live/hall-a/media.m3u8 HTTP/{version}\r\n{hosts}\r\n");
    for (version, hosts, status) in [
        ("1.1", "host: edge\r\n", 200),
        ("1.1", "", 400),
        ("1.1", "host: edge\r\nhost: other\r\n", 400),
        ("1.0", "", 200),
    ] {
        assert_eq!(said(&rig, &request(version, hosts), false).await.status, status, "HTTP/{version} {hosts:?}");
    }
    rig.stream.ring.epoch(TrackSet::default(), false);
    assert_eq!(said(&rig, "GET /live/hall-a.flv HTTP/1.1\r\n\r\n", false).await.status, 400);
}

#[tokio::test]
async fn equivalent_paths_are_equal_and_lines_may_end_with_a_line_feed() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    assert_eq!(rig.get("/live/%68all%2Da/media.m3u8").await.status, 200);
    assert_eq!(rig.get("/live%2fhall-a/media.m3u8").await.status, 404);
    assert_eq!(said(&rig, "GET /live/hall-a/media.m3u8 HTTP/1.1\nhost: edge\n\n", false).await.status, 200);
    rig.stream.ring.epoch(TrackSet::default(), false);
    let mut flv = rig.connect().await;
    flv.socket.write_all(b"GET /live/hall-a.flv HTTP/1.1\nhost: edge\n\n").await.unwrap();
    assert_eq!(flv.head().await.0, 200);
}

#[tokio::test]
async fn a_preflight_allows_the_headers_that_it_asks_for() {
    let rig = Rig::new().await;
    for (origins, origin, allowed) in [
        (Origins::Any, "https://talks.example", true),
        (Origins::new(&["https://talks.example".to_owned()]), "https://talks.example", true),
        (Origins::new(&["https://talks.example".to_owned()]), "https://evil.example", false),
    ] {
        rig.state.hub.playback.store(Arc::new(Playback {
            known: true,
            http_flv: true,
            rtmp: true,
            origins,
            pages: None,
        }));
        let headers = "cmcd-object,authorization,x-requested-with";
        let asks =
            [("origin", origin), ("access-control-request-method", "GET"), ("access-control-request-headers", headers)];
        let preflight = rig.connect().await.request("OPTIONS", "/live/hall-a/media.m3u8", &asks).await;
        let expected = if allowed { headers } else { "" };
        assert_eq!(preflight.header("access-control-allow-headers"), expected, "{origin}");
        assert_eq!(preflight.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test]
async fn a_part_of_a_playlist_is_answered_with_the_whole_of_it_not_compressed() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let path = "/live/hall-a/media.m3u8";
    let compressed = rig.get_with(path, &[("accept-encoding", "gzip")]).await;
    let etag = compressed.header("etag").to_owned();
    assert!(etag.ends_with("-gz\""), "{etag}");
    let asks = [("accept-encoding", "gzip"), ("range", "bytes=0-134"), ("if-none-match", etag.as_str())];
    let reply = rig.get_with(path, &asks).await;
    assert_eq!((reply.status, reply.header("content-encoding")), (200, ""));
    assert_eq!(reply.body, live(1..=8).media.unwrap());
}
