//! HTTP-FLV over the HTTP port.

use super::*;
use lectern_media::track::{Class, Frame, Media, Track, TrackSet};

fn frame(t_ms: u64, key: bool) -> Frame {
    let class = Class::Media(Media { key, ..Media::default() });
    Frame { track: Track::Video, t_ms, class, body: Bytes::from(format!("frame {t_ms}")) }
}

fn play(rig: &Rig) {
    let video = Some(Bytes::from_static(b"avc config"));
    rig.stream.ring.epoch(TrackSet { video, ..TrackSet::default() }, false);
    for t in 0..10 {
        rig.stream.ring.frame(frame(t * 40, t % 5 == 0));
    }
}

async fn read_until(client: &mut Client, text: &[u8]) {
    while !client.buffer.windows(text.len()).any(|part| part == text) {
        assert_ne!(client.more().await, 0, "closed before {:?}", String::from_utf8_lossy(text));
    }
}

#[tokio::test]
async fn a_first_request_becomes_a_viewer_of_a_shard() {
    let rig = Rig::new().await;
    play(&rig);
    let mut client = rig.connect().await;
    client.send("GET", "/live/hall-a.flv?t=1", &[]).await;
    let (status, headers) = client.head().await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "video/x-flv"));
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert!(!headers.contains_key("transfer-encoding"));
    read_until(&mut client, b"frame 360").await;
    assert!(client.buffer.starts_with(b"FLV\x01\x01\0\0\0\x09\0\0\0\0"));
    assert!(!client.buffer.windows(9).any(|part| part == b"frame 160"), "starts at the newest key frame");
    assert_eq!(rig.stream.flv_viewers.load(Relaxed), 1);
    rig.stream.ring.frame(frame(400, true));
    read_until(&mut client, b"frame 400").await;
    drop(client);
    until("it is gone", || rig.stream.flv_viewers.load(Relaxed) == 0).await;
}

#[tokio::test]
async fn a_later_request_on_a_connection_is_streamed_too() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    play(&rig);
    let mut client = rig.connect().await;
    client.request("GET", "/live/hall-a/media.m3u8", &[]).await;
    client.send("GET", "/live/hall-a.flv", &[]).await;
    let (status, headers) = client.head().await;
    assert_eq!((status, headers["transfer-encoding"].to_str().unwrap()), (200, "chunked"));
    read_until(&mut client, b"frame 360").await;
    assert_eq!(rig.stream.flv_viewers.load(Relaxed), 1);
    rig.stream.ring.end();
    read_until(&mut client, b"\r\n0\r\n\r\n").await;
    until("it is gone", || rig.stream.flv_viewers.load(Relaxed) == 0).await;
}

#[tokio::test]
async fn one_connection_of_http_2_is_not_a_hundred_viewers() {
    let rig = Rig::new().await;
    play(&rig);
    let io = hyper_util::rt::TokioIo::new(TcpStream::connect(rig.address).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..100 {
        let request = http::Request::get("http://edge/live/hall-a.flv").body(http_body_util::Empty::<Bytes>::new());
        assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status(), 505);
    }
    assert_eq!((rig.stream.flv_viewers.load(Relaxed), rig.state.hub.load.admitted()), (0, 0));
}

#[tokio::test]
async fn a_full_edge_takes_no_new_flv_viewer_and_one_without_flv_none_at_all() {
    let rig = Rig::with(Load::new(1, None, 70), Sibling::default()).await;
    play(&rig);
    let mut client = rig.connect().await;
    client.send("GET", "/live/hall-a.flv", &[]).await;
    assert_eq!(client.head().await.0, 200);
    let refused = rig.get("/live/hall-a.flv").await;
    assert_eq!((refused.status, refused.header("retry-after"), refused.header("connection")), (503, "1", "close"));
    let origins = Origins::Any;
    rig.state.hub.playback.store(Arc::new(Playback { known: true, http_flv: false, rtmp: true, origins, pages: None }));
    assert_eq!(rig.get("/live/hall-a.flv").await.status, 404);
}
