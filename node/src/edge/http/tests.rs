//! The HTTP port against hand-made views, over real sockets.

use super::*;
use crate::edge::counting::{Answered, Load};
use crate::edge::stream::hub::Hub;
use crate::edge::stream::hub::{Playback, Stream};
use crate::edge::stream::origins::Origins;
use crate::edge::stream::snapshot::Snapshot;
use crate::edge::stream::source::{SegmentSource, Wanted};
use crate::edge::viewers::Shards;
use crate::net::clock::Clock;
use crate::net::places::Places;
use bytes::Bytes;
use futures::future::BoxFuture;
use lectern_media::ledger::{Entry, Hash, Ledger, ListProfile, Presentation, Profile, SegmentName, Variant};
use lectern_media::live::view::{Open, Segment as HeldSegment, View};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

mod conformance;
mod counts;
mod flv;
mod h2_frames;
mod holding;
mod pages;
mod patience;
mod playlists;
mod renditions;
mod segments;
mod stalls;

const EPOCH: u64 = 1_790_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct Sibling {
    has: Option<Bytes>,
}

impl SegmentSource for Sibling {
    fn fetch(&self, wanted: Wanted) -> BoxFuture<'static, Option<Bytes>> {
        let bytes = self.has.clone().filter(|bytes| Hash::of(bytes) == wanted.entry.hash);
        Box::pin(std::future::ready(bytes))
    }
}

struct Rig {
    state: Arc<HttpState>,
    stream: Arc<Stream>,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    async fn new() -> Self {
        Self::with(Load::new(1_000, None, 70), Sibling::default()).await
    }

    async fn with(load: Load, sibling: Sibling) -> Self {
        Self::with_places(load, sibling, None).await
    }

    async fn with_places(load: Load, sibling: Sibling, places: Option<usize>) -> Self {
        let hub = Hub::new(load, Clock::start());
        hub.set_streams(["hall-a"]);
        hub.playback.store(Arc::new(Playback {
            known: true,
            http_flv: true,
            rtmp: true,
            origins: Origins::Any,
            pages: None,
        }));
        let merge_window = Duration::from_millis(20);
        let shards = Shards::start(&hub, 1, merge_window);
        let stream = hub.stream("hall-a").unwrap();
        let mut state = HttpState::new(hub, shards, Arc::new(sibling), merge_window);
        if let Some(places) = places {
            Arc::get_mut(&mut state).unwrap().places = Places::new(places);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(Arc::clone(&state), listener, stop.clone()));
        Self { state, stream, address, stop }
    }

    /// Publishes what an edge has after `msns` were cut of one epoch.
    fn show(&self, view: View) {
        let next = Snapshot::next(&self.stream.snapshot.load(), Arc::new(view), self.state.hub.clock.now_ms());
        self.stream.publish(next);
    }

    async fn connect(&self) -> Client {
        Client { socket: TcpStream::connect(self.address).await.unwrap(), buffer: Vec::new() }
    }

    async fn get(&self, path: &str) -> Reply {
        self.connect().await.request("GET", path, &[]).await
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.connect().await.request("GET", path, headers).await
    }
}

struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Reply {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: edge\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        self.socket.write_all((text + "\r\n").as_bytes()).await.unwrap();
    }

    async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(method, path, headers).await;
        self.reply(method == "HEAD").await
    }

    async fn more(&mut self) -> usize {
        tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut self.buffer)).await.expect("an answer").unwrap()
    }

    async fn head(&mut self) -> (u16, http::HeaderMap) {
        loop {
            let mut lines = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut lines);
            if let httparse::Status::Complete(length) = response.parse(&self.buffer).unwrap() {
                let headers = response.headers.iter().map(|line| {
                    let name: http::HeaderName = line.name.parse().unwrap();
                    (name, http::HeaderValue::from_bytes(line.value).unwrap())
                });
                let (status, headers) = (response.code.unwrap(), headers.collect());
                self.buffer.drain(..length);
                return (status, headers);
            }
            assert_ne!(self.more().await, 0, "closed before an answer");
        }
    }

    async fn reply(&mut self, bodyless: bool) -> Reply {
        let (status, headers) = self.head().await;
        let length = headers.get("content-length").map_or(0, |v| v.to_str().unwrap().parse().unwrap());
        let length = if bodyless || status == 304 { 0 } else { length };
        while self.buffer.len() < length {
            assert_ne!(self.more().await, 0, "closed inside the body");
        }
        let body = self.buffer.drain(..length).collect::<Vec<_>>().into();
        Reply { status, headers, body }
    }

    async fn is_closed(&mut self) -> bool {
        assert!(self.buffer.is_empty());
        self.more().await == 0
    }
}

fn segment_bytes(msn: u64) -> Bytes {
    Bytes::from(format!("segment {msn} ").repeat(100))
}

fn entry(msn: u64) -> Entry {
    let bytes = segment_bytes(msn);
    Entry {
        msn,
        epoch: EPOCH,
        profile: Profile::ONE,
        dseq: 0,
        t_ms: msn * 2_000,
        duration_us: 2_000_000,
        length: bytes.len() as u64,
        hash: Hash::of(&bytes),
        messages: 10,
        opens_epoch: false,
        gap: false,
    }
}

fn name(msn: u64) -> String {
    format!("/live/hall-a/1-{EPOCH}-{msn}.ts")
}

/// An edge that lists `msns`, all held, while more comes.
fn live(msns: std::ops::RangeInclusive<u64>) -> View {
    let entries: Vec<_> = msns.clone().map(entry).collect();
    let held = |entry: &Entry| {
        let held = HeldSegment { entry: entry.clone(), bytes: segment_bytes(entry.msn) };
        (entry.name(), held)
    };
    View {
        media: Some(format!("#EXTM3U\n# up to {}\n", msns.end()).into()),
        multivariant: Some("#EXTM3U\n# one variant\n".into()),
        segments: entries.iter().map(held).collect(),
        open: Some(Open { epoch: EPOCH, profile: Profile::ONE, next_msn: msns.end() + 1 }),
        segment_ms: 2_000,
        ready: true,
        linked: true,
        ledger: Ledger {
            presentation: Some(Presentation {
                first_epoch: EPOCH,
                target_s: 2,
                variant: Variant { bandwidth: 1, codecs: "avc1".into(), ..Variant::default() },
                list_profile: ListProfile::ONE,
            }),
            first: *msns.start(),
            entries,
            ..Ledger::default()
        },
        // It is known what exists and what does not.
        level_ms: u64::MAX,
        heard_ms: u64::MAX,
        ..View::default()
    }
}

/// An edge that knows of a publisher, before the first segment.
fn begun() -> View {
    View { open: Some(Open { epoch: EPOCH, profile: Profile::ONE, next_msn: 1 }), segment_ms: 2_000, ..View::default() }
}

/// Waits until `condition` holds.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}
