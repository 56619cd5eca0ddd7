//! Whole edges over real sockets, told by a real ingest machine what happens.

use super::driver::{Input, Reply};
use super::*;
use bytes::Bytes;
use lectern_api::node_config::EdgeListen;
use lectern_api::node_status::NodeStatus;
use lectern_media::hls::Listing;
use lectern_media::ledger::{Hash, Ledger};
use lectern_media::live::LinkId;
use lectern_media::live::ingest::{Cutting, Ingest, Output, Settings};
use lectern_media::live::ring::{Content, Seq};
use lectern_media::relay::{EventInfo, RelayMessage};
use lectern_media::time::wrap_ms;
use lectern_media::track::{Message, Track};
use lectern_process::signals::Cause;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

mod relay;
mod rtmp;

const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "0123456789abcdef";
/// FLV tag body with the AVCDecoderConfigurationRecord of a 320×180 baseline stream (made with x264).
const AVC_CONFIG: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x42, 0xc0, 0x0b, 0xff, 0xe1, 0x00, 0x17, 0x67, 0x42, 0xc0, 0x0b, 0xda, 0x05, 0x06, 0x7e,
    0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x05, 0x03, 0xc5, 0x0a, 0xa8, 0x01, 0x00, 0x04, 0x68,
    0xce, 0x0f, 0xc8,
];
const FRAME_MS: u64 = 100;

struct Running {
    edge: Edge,
    http: SocketAddr,
    admin: SocketAddr,
    rtmp: SocketAddr,
    relay: SocketAddr,
    stop: CancellationToken,
}

impl Running {
    async fn start() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = EdgeConfig {
            event: "default/talks".into(),
            token_file: String::new(),
            viewers_per_edge: 100,
            egress_bits_per_second: None,
            target_utilization_percent: 70,
            drain_ms: 1_000,
            merge_window_ms: 20,
            listen: EdgeListen { http: any, rtmp: any, relay: any, admin: any },
        };
        let bound = Bound::new(&config).await.unwrap();
        let (http, admin) = (bound.http.local_addr().unwrap(), bound.admin.local_addr().unwrap());
        let (rtmp, relay) = (bound.rtmp.local_addr().unwrap(), bound.relay.local_addr().unwrap());
        let edge = Edge::new(&config, Arc::new(Token::new(TOKEN.as_bytes()).unwrap()));
        let stop = CancellationToken::new();
        edge.serve(bound, &stop).unwrap();
        Self { edge, http, admin, rtmp, relay, stop }
    }

    async fn status(&self) -> NodeStatus {
        let (status, body) = get(self.admin, "/status", "").await;
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    async fn playlist(&self) -> String {
        let (_, body) = get(self.http, "/live/hall-a/media.m3u8", "").await;
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn listed(&self) -> Ledger {
        self.edge.hub.stream("hall-a").map(|s| s.snapshot.load().view.ledger.clone()).unwrap_or_default()
    }

    /// Waits until it lists exactly what `ledger` says.
    async fn lists(&self, ledger: &Ledger) {
        until("the edge lists what the ingest decided", || self.listed().listed() == ledger.listed()).await;
    }
}

/// A request on a connection of its own.
async fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, Bytes) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an answer").unwrap();
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a whole head") + 4;
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end).into())
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

/// The ingest of one stream, in its own time, with an encoder of 10 pictures a second and 2 s between key frames.
struct Studio {
    machine: Ingest,
    now_ms: u64,
    sent: u64,
    links: Vec<Link>,
    event: EventInfo,
}

struct Link {
    id: LinkId,
    inbox: mpsc::Sender<Input>,
    replies: mpsc::Receiver<Reply>,
    /// Known once the ingest has opened it.
    from: Option<Seq>,
}

impl Studio {
    fn new(ring_bytes_max: usize) -> Self {
        let now_ms = crate::net::clock::unix_ms() - 3_600_000;
        let cutting = Cutting { segment_ms: 2_000, window: 4 };
        let mut machine = Ingest::new(Settings { ingest: 7, cutting, end_after_ms: 60_000, ring_bytes_max }, now_ms);
        machine.expect_greetings(now_ms, 0);
        machine.publish(now_ms);
        machine.message(now_ms, 0, Message::read(Track::Video, Bytes::from_static(AVC_CONFIG)));
        let streams = vec!["hall-a".into()];
        let event = EventInfo { streams, http_flv: true, rtmp: true, ..EventInfo::default() };
        Self { machine, now_ms, sent: 0, links: Vec::new(), event }
    }

    /// Publishes `seconds` of media and sends it on.
    async fn publish(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.publish_frames(1_000 / FRAME_MS).await;
        }
    }

    async fn publish_frames(&mut self, count: u64) {
        for _ in 0..count {
            let key = self.sent.is_multiple_of(20);
            let (first, nal) = if key { (0x17, 0x65) } else { (0x27, 0x41) };
            let mut body = vec![first, 1, 0, 0, 0, 0, 0, 0, 9, nal];
            body.extend_from_slice(&self.sent.to_be_bytes());
            let message = Message::read(Track::Video, body.into());
            self.machine.message(self.now_ms, wrap_ms(self.sent * FRAME_MS), message);
            self.sent += 1;
            self.now_ms += FRAME_MS;
            self.machine.tick(self.now_ms);
        }
        self.send().await;
    }

    /// Opens a link as `relay_in` does, and sends what the edge lacks.
    async fn link(&mut self, edge: &Running, siblings: &[&Running]) {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1 << 32);
        let id = LinkId(NEXT.fetch_add(1, Relaxed));
        let (sender, mut replies) = mpsc::channel(64);
        let inbox = edge.edge.registry.inbox("hall-a").unwrap();
        inbox.send(Input::Opened { link: id, replies: sender }).await.unwrap();
        self.event.siblings = siblings.iter().map(|sibling| sibling.admin).collect();
        edge.edge.registry.event(self.event.clone(), edge.admin);
        let Some(Reply::Message(message)) = replies.recv().await else { panic!("an edge greets first") };
        let RelayMessage::Greeting(greeting) = *message else { panic!("an edge greets first: {message:?}") };
        self.machine.greeting(self.now_ms, id, greeting);
        self.links.push(Link { id, inbox, replies, from: None });
        self.send().await;
    }

    async fn unlink(&mut self) {
        for link in self.links.drain(..) {
            self.machine.link_closed(self.now_ms, link.id);
            link.inbox.send(Input::Closed(link.id)).await.unwrap();
        }
    }

    async fn send(&mut self) {
        while let Some(output) = self.machine.poll() {
            if let Output::Open { link, preamble, from } = output {
                let link = self.links.iter_mut().find(|l| l.id == link).expect("a link that was opened");
                link.from = Some(from);
                for message in preamble {
                    link.inbox.send(Input::Message(link.id, message)).await.unwrap();
                }
            }
        }
        for link in &mut self.links {
            while let Ok(reply) = link.replies.try_recv() {
                assert!(!matches!(reply, Reply::Close(_)), "{reply:?}");
            }
            let Some(from) = link.from else { continue };
            let items: Vec<_> = self.machine.ring().read(from, usize::MAX).expect("not behind").cloned().collect();
            for item in items {
                link.from = Some(item.seq + 1);
                let input = match &item.content {
                    Content::Message(message) => Input::Message(link.id, message.clone()),
                    Content::Frame(frame) => Input::Frame {
                        link: link.id,
                        track: frame.track,
                        stamp: wrap_ms(frame.t_ms),
                        body: frame.body.clone(),
                    },
                };
                link.inbox.send(input).await.unwrap();
            }
        }
    }
}

const RING: usize = 64 << 20;

#[tokio::test]
async fn an_edge_serves_what_the_ingest_decided_and_two_serve_the_same() {
    let mut studio = Studio::new(RING);
    let (a, b) = (Running::start().await, Running::start().await);
    studio.link(&a, &[&a, &b]).await;
    studio.publish(13).await;
    studio.link(&b, &[&a, &b]).await;
    studio.publish(8).await;
    let ledger = studio.machine.ledger().clone();
    a.lists(&ledger).await;
    b.lists(&ledger).await;
    let playlist = a.playlist().await;
    assert_eq!(playlist.as_bytes(), lectern_media::hls::media_playlist(&Listing::live(&ledger).unwrap()));
    assert_eq!(playlist, b.playlist().await);
    for entry in ledger.listed() {
        let path = format!("/live/hall-a/{}", entry.name());
        for edge in [&a, &b] {
            let (status, bytes) = get(edge.http, &path, "").await;
            assert_eq!((status, Hash::of(&bytes)), (200, entry.hash), "{path}");
        }
    }
    let status = a.status().await;
    assert!(status.ready, "{:?}", status.not_ready_reason);
    let edge = status.edge.unwrap();
    let stream = &edge.streams["hall-a"];
    assert_eq!((stream.state.as_str(), stream.linked, stream.level), ("live", true, true));
    assert_eq!(stream.last_msn, ledger.last().map(|entry| entry.msn));
    let counts: Vec<_> = stream.fetches.iter().map(|(_, count, _)| *count).collect();
    assert_eq!(counts, [1, 1, 1, 1]);
    assert_eq!(edge.token_fingerprint, lectern_api::keys::fingerprint(TOKEN.as_bytes()));
    let (_, metrics) = get(a.admin, "/metrics", "").await;
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    assert!(metrics.contains("lectern_edge_linked{stream=\"hall-a\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn what_the_ring_no_longer_has_comes_from_a_sibling() {
    let mut studio = Studio::new(6_000);
    let (a, b) = (Running::start().await, Running::start().await);
    studio.link(&a, &[&a, &b]).await;
    for _ in 0..210 {
        // Little by little: the ring holds two seconds.
        studio.publish_frames(1).await;
    }
    a.lists(&studio.machine.ledger().clone()).await;
    studio.link(&b, &[&a, &b]).await;
    b.lists(&studio.machine.ledger().clone()).await;
    assert_eq!(a.playlist().await, b.playlist().await);
    assert!(b.edge.hub.totals.sibling_fetches.load(Relaxed) >= 3);
    assert_eq!(b.edge.hub.totals.mismatches.load(Relaxed), 0);
    let counted: u64 = a.status().await.edge.unwrap().streams["hall-a"].fetches.iter().map(|f| f.1).sum();
    assert_eq!(counted, 0, "siblings are no viewers");
}

#[tokio::test]
async fn an_edge_without_its_link_follows_a_sibling() {
    let mut studio = Studio::new(RING);
    let (a, b) = (Running::start().await, Running::start().await);
    studio.link(&b, &[&a, &b]).await;
    studio.publish(13).await;
    b.lists(&studio.machine.ledger().clone()).await;
    studio.unlink().await;
    studio.link(&a, &[&a, &b]).await;
    studio.publish(6).await;
    b.lists(&studio.machine.ledger().clone()).await;
    let status = b.status().await;
    assert!(status.ready && !status.edge.unwrap().streams["hall-a"].linked);
}

#[tokio::test]
async fn siblings_are_told_nothing_without_the_token() {
    let (studio, a) = live_edge().await;
    let name = studio.machine.ledger().last().unwrap().name();
    let right = format!("authorization: Bearer {TOKEN}\r\n");
    for path in ["/relay/hall-a/ledger?lists=2".to_owned(), format!("/relay/hall-a/{name}")] {
        assert_eq!(get(a.admin, &path, "").await.0, 401, "{path}");
        assert_eq!(get(a.admin, &path, "authorization: Bearer 0123456789abcdee\r\n").await.0, 401, "{path}");
        assert_eq!(get(a.admin, &path, &right).await.0, 200, "{path}");
    }
    let (_, body) = get(a.admin, "/relay/hall-a/ledger?lists=2", &right).await;
    let ledger: SiblingLedger = serde_json::from_slice(&body).unwrap();
    assert_eq!(&ledger.ledger, studio.machine.ledger());
    let older = get(a.admin, "/relay/hall-a/ledger", &right).await.0;
    assert_eq!(older, 409, "a sibling of the release before would write other playlists from it");
    assert_eq!(get(a.admin, "/relay/hall-b/ledger", &right).await.0, 404);
    assert_eq!(get(a.http, "/relay/hall-a/ledger", &right).await.0, 404, "never on the port of viewers");
}

#[tokio::test]
async fn readiness_comes_with_the_ledgers_and_is_not_revoked_by_a_new_stream() {
    let mut studio = Studio::new(RING);
    let a = Running::start().await;
    let status = a.status().await;
    assert!(!status.ready && status.not_ready_reason.is_some());
    studio.publish(13).await;
    studio.link(&a, &[&a]).await;
    a.lists(&studio.machine.ledger().clone()).await;
    assert!(a.status().await.ready);
    studio.event.streams.push("hall-b".into());
    a.edge.registry.event(studio.event.clone(), a.admin);
    let status = a.status().await;
    assert!(status.ready, "{:?}", status.not_ready_reason);
    assert_eq!(status.edge.unwrap().streams.len(), 2);
    studio.event.streams.remove(0);
    a.edge.registry.event(studio.event.clone(), a.admin);
    assert_eq!(get(a.http, "/live/hall-a/media.m3u8", "").await.0, 404);
}

#[tokio::test]
async fn a_draining_edge_serves_on_stays_ready_and_ends_in_time() {
    let (_studio, a) = live_edge().await;
    let mut viewer = TcpStream::connect(a.http).await.unwrap();
    viewer.write_all(b"GET /live/hall-a.flv HTTP/1.1\r\nhost: edge\r\n\r\n").await.unwrap();
    let stream = a.edge.hub.stream("hall-a").unwrap();
    until("the viewer is there", || stream.flv_viewers.load(Relaxed) == 1).await;
    let begin = std::time::Instant::now();
    let plan = drain::Plan::new(2_600, Cause::Terminate);
    let draining = drain::drain(plan, &a.edge.hub, &a.edge.node, &a.edge.shards, &a.stop);
    let watching = async {
        let status = loop {
            let status = a.status().await;
            if status.draining {
                break status;
            }
        };
        assert!(status.ready, "ready until shortly before the end");
        until("the viewer was let go", || stream.flv_viewers.load(Relaxed) == 0).await;
        until("the end is near", || a.edge.node.leaving.load(Relaxed)).await;
        assert!(!a.status().await.ready);
        assert_eq!(get(a.http, "/live/hall-a/media.m3u8", "").await.0, 200, "serves on");
    };
    tokio::join!(draining, watching);
    assert!(begin.elapsed() < Duration::from_millis(plan.end_ms + 1_000), "{:?}", begin.elapsed());
}

/// An edge that lists what was published, and where it comes from.
async fn live_edge() -> (Studio, Running) {
    let mut studio = Studio::new(RING);
    let a = Running::start().await;
    studio.link(&a, &[&a]).await;
    studio.publish(13).await;
    a.lists(&studio.machine.ledger().clone()).await;
    (studio, a)
}

/// Never reached in a test.
const LONG_MS: u64 = 3_600_000;

#[tokio::test]
async fn an_edge_that_a_person_ends_waits_for_nobody_where_nobody_watches() {
    let (_studio, a) = live_edge().await;
    // A page was open and is closed; its browser keeps the connection.
    let mut kept = TcpStream::connect(a.http).await.unwrap();
    kept.write_all(b"GET /live/hall-a/media.m3u8 HTTP/1.1\r\nhost: edge\r\n\r\n").await.unwrap();
    assert!(kept.read(&mut [0; 4_096]).await.unwrap() > 0);
    let plan = drain::Plan::new(LONG_MS, Cause::Interrupt);
    let draining = drain::drain(plan, &a.edge.hub, &a.edge.node, &a.edge.shards, &a.stop);
    tokio::time::timeout(PATIENCE, draining).await.expect("it ends at once");
    assert!(a.stop.is_cancelled());
}

#[tokio::test]
async fn who_reloads_a_list_watches_until_the_next_reload_is_late() {
    let (_studio, a) = live_edge().await;
    let stream = a.edge.hub.stream("hall-a").unwrap();
    assert!(!drain::is_polled(&stream, a.edge.hub.clock.now_ms()), "no viewer has asked yet");
    assert_eq!(get(a.http, "/live/hall-a/media.m3u8", "").await.0, 200);
    let asked_ms = stream.asked_ms.load(Relaxed);
    let target_ms = u64::from(a.listed().presentation.unwrap().target_s) * 1_000;
    assert!(drain::is_polled(&stream, asked_ms + target_ms));
    assert!(!drain::is_polled(&stream, asked_ms + 2 * target_ms));
}

#[tokio::test]
async fn an_edge_that_a_person_ends_waits_for_who_watches() {
    let (_studio, a) = live_edge().await;
    let mut viewer = TcpStream::connect(a.http).await.unwrap();
    viewer.write_all(b"GET /live/hall-a.flv HTTP/1.1\r\nhost: edge\r\n\r\n").await.unwrap();
    let stream = a.edge.hub.stream("hall-a").unwrap();
    until("the viewer is there", || stream.flv_viewers.load(Relaxed) == 1).await;
    let plan = drain::Plan::new(LONG_MS, Cause::Interrupt);
    let draining = drain::drain(plan, &a.edge.hub, &a.edge.node, &a.edge.shards, &a.stop);
    let watching = async {
        until("it drains", || a.edge.node.draining.load(Relaxed)).await;
        for _ in 0..3 {
            assert_eq!(get(a.http, "/live/hall-a/media.m3u8", "").await.0, 200);
        }
        assert!(a.status().await.ready, "it serves on");
        drop(viewer);
    };
    let both = async { tokio::join!(draining, watching) };
    tokio::time::timeout(PATIENCE, both).await.expect("it ends when the viewer has gone");
}
