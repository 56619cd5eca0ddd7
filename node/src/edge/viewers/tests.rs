//! Viewers against hand-made rings, over real sockets.

use super::*;
use crate::edge::counting::Load;
use crate::edge::stream::hub::{Hub, Stream};
use crate::edge::stream::ring::{LAG_MS_MAX, RING_BYTES_MAX, Ring, RingCopy};
use crate::edge::stream::wire::Form;
use crate::net::clock::Clock;
use bytes::{Buf, Bytes};
use lectern_media::track::{Class, Frame, Media, Track, TrackSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

mod crowding;

const PATIENCE: Duration = Duration::from_secs(20);
const WINDOW: Duration = Duration::from_millis(20);

struct Rig {
    hub: Arc<Hub>,
    stream: Arc<Stream>,
    shards: Arc<Shards>,
    listener: TcpListener,
}

impl Rig {
    async fn new(merge_window: Duration) -> Self {
        let hub = Hub::new(Load::new(1_000, None, 70), Clock::start());
        hub.set_streams(["hall-a"]);
        let stream = hub.stream("hall-a").unwrap();
        let shards = Shards::start(&hub, 2, merge_window);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { hub, stream, shards, listener }
    }

    async fn join(&self, form: Form) -> Watcher {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = self.listener.accept().await.unwrap();
        let wire = crate::net::wire::Wire::plain(socket);
        tune(&wire).unwrap();
        let stream = Arc::clone(&self.stream);
        self.shards.join(NewViewer { wire, stream, form, opening: Bytes::from_static(b"HEAD"), session: None }).await;
        Watcher { socket: client, buffer: bytes::BytesMut::new() }
    }

    fn frames(&self, times: impl IntoIterator<Item = u64>) {
        for t_ms in times {
            self.stream.ring.frame(video(t_ms, t_ms % 200 == 0, 100));
        }
    }
}

fn class(key: bool) -> Class {
    Class::Media(Media { key, ..Media::default() })
}

/// A frame that says when it is, padded to `bytes`.
fn video(t_ms: u64, key: bool, bytes: usize) -> Frame {
    let mut body = format!("{}{t_ms} ", if key { "key " } else { "inter " }).into_bytes();
    body.resize(bytes.max(body.len()), b'.');
    Frame { track: Track::Video, t_ms, class: class(key), body: body.into() }
}

fn tracks(video: &'static str) -> TrackSet {
    TrackSet {
        video: Some(Bytes::from_static(video.as_bytes())),
        audio: Some(Bytes::from_static(b"aac config")),
        metadata: Some(Bytes::from_static(b"metadata")),
    }
}

struct Watcher {
    socket: TcpStream,
    buffer: bytes::BytesMut,
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    kind: u8,
    t_ms: u32,
    text: String,
}

impl Tag {
    fn new(kind: u8, t_ms: u32, text: &str) -> Self {
        Self { kind, t_ms, text: text.to_owned() }
    }
}

impl Watcher {
    async fn fill(&mut self, bytes: usize) {
        while self.buffer.len() < bytes {
            let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut self.buffer));
            assert_ne!(read.await.expect("something to come").unwrap(), 0, "closed");
        }
    }

    async fn take(&mut self, bytes: usize) -> Bytes {
        self.fill(bytes).await;
        self.buffer.split_to(bytes).freeze()
    }

    async fn opening(&mut self) -> u8 {
        assert_eq!(self.take(4).await, "HEAD");
        let header = self.take(13).await;
        assert!(header.starts_with(b"FLV\x01"));
        header[4]
    }

    /// Reads a tag, strictly: any byte out of place fails.
    async fn tag(&mut self) -> Tag {
        let mut head = self.take(11).await;
        let kind = head.get_u8();
        assert!([8, 9, 18].contains(&kind), "no tag begins with {kind}");
        let length = usize::try_from(head.get_uint(3)).unwrap();
        let t_ms = u32::try_from(head.get_uint(3)).unwrap() | u32::from(head.get_u8()) << 24;
        let body = self.take(length).await;
        let mut trailer = self.take(4).await;
        assert_eq!(trailer.get_u32() as usize, length + 11);
        let text = std::str::from_utf8(&body).unwrap().trim_end_matches('.').trim_end().to_owned();
        Tag { kind, t_ms, text }
    }

    async fn is_closed(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut self.buffer)).await.expect("an end");
        read.map_or(true, |count| count == 0)
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_late_joiner_starts_with_headers_at_the_newest_key_frame() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    rig.frames((0..=280).step_by(40));
    let mut watcher = rig.join(Form::Flv).await;
    assert_eq!(watcher.opening().await, 0b101);
    assert_eq!(watcher.tag().await, Tag::new(18, 0, "metadata"), "at another time it is a track of its own");
    assert_eq!(watcher.tag().await, Tag::new(9, 200, "avc config"));
    assert_eq!(watcher.tag().await, Tag::new(8, 200, "aac config"));
    for (t, text) in [(200, "key 200"), (240, "inter 240"), (280, "inter 280")] {
        assert_eq!(watcher.tag().await, Tag::new(9, t, text));
    }
    rig.frames([320]);
    assert_eq!(watcher.tag().await.text, "inter 320");
}

#[tokio::test]
async fn who_comes_before_the_first_key_frame_waits_for_it() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    let mut watcher = rig.join(Form::Flv).await;
    rig.frames([40, 80, 200]);
    watcher.opening().await;
    for t_ms in [0, 200, 200] {
        assert_eq!(watcher.tag().await.t_ms, t_ms);
    }
    assert_eq!(watcher.tag().await.text, "key 200");
}

#[tokio::test]
async fn metadata_that_change_within_an_epoch_reach_who_watches_and_who_joins() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    rig.frames([0, 40]);
    let mut watcher = rig.join(Form::Flv).await;
    watcher.opening().await;
    for _ in 0..5 {
        watcher.tag().await;
    }
    rig.stream.ring.metadata(Bytes::from_static(b"metadata"));
    rig.frames([80]);
    assert_eq!(watcher.tag().await.text, "inter 80", "a replay repeats what was said");
    rig.stream.ring.metadata(Bytes::from_static(b"other metadata"));
    rig.frames([120, 200]);
    assert_eq!(watcher.tag().await, Tag::new(18, 0, "other metadata"));
    assert_eq!(watcher.tag().await.text, "inter 120", "a decoder in the middle gets no headers again");
    let mut late = rig.join(Form::Flv).await;
    late.opening().await;
    assert_eq!(late.tag().await.text, "other metadata");
}

#[tokio::test]
async fn without_video_anything_is_a_start() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(TrackSet { audio: Some(Bytes::from_static(b"aac config")), ..TrackSet::default() }, false);
    for t_ms in [0, 23, 46] {
        let body = Bytes::from(format!("audio {t_ms}"));
        rig.stream.ring.frame(Frame { track: Track::Audio, t_ms, class: class(false), body });
    }
    let mut watcher = rig.join(Form::Flv).await;
    assert_eq!(watcher.opening().await, 0b100);
    assert_eq!(watcher.tag().await, Tag::new(8, 46, "aac config"));
    assert_eq!(watcher.tag().await, Tag::new(8, 46, "audio 46"));
}

#[tokio::test]
async fn a_new_epoch_brings_new_headers_and_time_goes_on() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc one"), false);
    rig.frames([0, 40]);
    let mut watcher = rig.join(Form::Flv).await;
    watcher.opening().await;
    for _ in 0..5 {
        watcher.tag().await;
    }
    rig.stream.ring.epoch(tracks("avc two"), false);
    rig.frames([400, 440]);
    let seen = [watcher.tag().await, watcher.tag().await, watcher.tag().await, watcher.tag().await];
    assert_eq!(seen.map(|tag| tag.text), ["metadata", "avc two", "aac config", "key 400"]);
}

#[tokio::test]
async fn another_track_set_or_the_end_closes_the_connection() {
    for end in [false, true] {
        let rig = Rig::new(WINDOW).await;
        rig.stream.ring.epoch(tracks("avc one"), false);
        rig.frames([0]);
        let mut watcher = rig.join(Form::Flv).await;
        watcher.opening().await;
        for _ in 0..4 {
            watcher.tag().await;
        }
        if end {
            rig.stream.ring.end();
            assert!(!rig.stream.ring.is_live());
        } else {
            rig.stream.ring.epoch(TrackSet { audio: None, ..tracks("avc two") }, true);
            rig.frames([400]);
        }
        assert!(watcher.is_closed().await);
        until("no viewer is counted", || rig.stream.flv_viewers.load(Relaxed) == 0).await;
    }
}

#[tokio::test]
async fn a_laggard_skips_to_a_key_frame_after_the_message_in_flight() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    let mut watcher = rig.join(Form::Flv).await;
    rig.stream.ring.frame(video(0, true, 8 << 20));
    until("the first is in flight", || rig.hub.totals.egress_bytes_total() > 1_000).await;
    // 500 KB every 40 ms for 10 s: far more than both socket buffers and three seconds hold.
    for t_ms in (40..10_000).step_by(40) {
        rig.stream.ring.frame(video(t_ms, t_ms % 400 == 0, 500_000));
    }
    until("it skipped", || rig.hub.totals.skips.load(Relaxed) > 0).await;
    watcher.opening().await;
    for _ in 0..3 {
        watcher.tag().await;
    }
    let mut last = watcher.tag().await;
    assert_eq!(last.text, "key 0");
    let mut gaps = 0;
    while last.t_ms < 9_960 {
        let tag = watcher.tag().await;
        if tag.t_ms != last.t_ms + 40 {
            assert!(tag.t_ms > last.t_ms && tag.text.starts_with("key"), "{last:?} is followed by {tag:?}");
            gaps += 1;
        }
        last = tag;
    }
    // Skips that follow one another before the socket takes something are one gap.
    assert!((1..=rig.hub.totals.skips.load(Relaxed)).contains(&gaps), "{gaps} gaps");
}

#[tokio::test]
async fn who_takes_nothing_for_ten_seconds_is_gone_and_who_has_nothing_to_take_is_not() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    let (_stalled, mut idle) = (rig.join(Form::Flv).await, rig.join(Form::Flv).await);
    rig.stream.ring.frame(video(0, true, 8 << 20));
    idle.opening().await;
    for _ in 0..4 {
        idle.tag().await;
    }
    until("both are counted", || rig.stream.flv_viewers.load(Relaxed) == 2).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(WRITE_STALL_MS_MAX + 100)).await;
    tokio::time::resume();
    until("the stalled one is gone", || rig.stream.flv_viewers.load(Relaxed) == 1).await;
    assert_eq!(rig.hub.totals.stalls.load(Relaxed), 1);
    rig.frames([200]);
    assert_eq!(idle.tag().await.text, "key 200");
}

#[tokio::test]
async fn what_a_viewer_says_is_read_and_dropped_and_its_end_is_noticed() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    rig.frames([0]);
    let mut watcher = rig.join(Form::Flv).await;
    watcher.opening().await;
    let talk = vec![0_u8; 64 << 10];
    tokio::io::AsyncWriteExt::write_all(&mut watcher.socket, &talk).await.unwrap();
    rig.frames([400]);
    while watcher.tag().await.text != "key 400" {}
    drop(watcher);
    until("it is gone", || rig.stream.flv_viewers.load(Relaxed) == 0).await;
}

#[tokio::test]
async fn without_a_merge_window_every_frame_leaves_at_once() {
    let rig = Rig::new(Duration::ZERO).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    rig.frames([0]);
    let mut watcher = rig.join(Form::Flv).await;
    watcher.opening().await;
    for _ in 0..4 {
        watcher.tag().await;
    }
    // Time stands still: no tick helps.
    tokio::time::pause();
    for t_ms in (40..=400).step_by(40) {
        rig.frames([t_ms]);
        let tag = loop {
            // Not `tag()`: its patience is a timer, and waiting on one would move the paused clock.
            match watcher.socket.try_read_buf(&mut watcher.buffer) {
                Ok(count) if count > 0 && watcher.buffer.len() >= 115 => break watcher.tag().await,
                _ => tokio::task::yield_now().await,
            }
        };
        assert_eq!(u64::from(tag.t_ms), t_ms);
    }
}

#[tokio::test]
async fn an_rtmp_viewer_gets_messages_that_the_chunk_reader_reads() {
    use lectern_media::rtmp::{chunk, limits};
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    rig.stream.ring.frame(video(0x0100_0000, true, 150_000));
    rig.stream.ring.frame(video(0x0100_0028, false, 100));
    let mut watcher = rig.join(Form::Rtmp).await;
    assert_eq!(watcher.take(4).await, "HEAD");
    let mut reader = chunk::Reader::new(limits::AFTER_PUBLISH);
    let size = limits::PLAY_CHUNK_SIZE.to_be_bytes();
    reader.push(Bytes::from([&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0][..], &size].concat()));
    let mut seen = Vec::new();
    while seen.len() < 5 {
        watcher.fill(1).await;
        reader.push(watcher.buffer.split().freeze());
        while let Some(message) = reader.next_message().unwrap() {
            if message.stream_id == 1 {
                seen.push((message.kind, message.timestamp, message.body.len()));
            }
        }
    }
    let (t, next) = (0x0100_0000, 0x0100_0028);
    assert_eq!(seen, [(18, 0, 8), (9, t, 10), (8, t, 10), (9, t, 150_000), (9, next, 100)]);
    assert_eq!(rig.stream.rtmp_viewers.load(Relaxed), 1);
}

#[tokio::test]
async fn draining_lets_viewers_go_evenly() {
    let rig = Rig::new(WINDOW).await;
    rig.stream.ring.epoch(tracks("avc config"), false);
    rig.frames([0]);
    let mut watchers = Vec::new();
    for _ in 0..20 {
        watchers.push(rig.join(Form::Flv).await);
    }
    until("all are there", || rig.stream.flv_viewers.load(Relaxed) == 20).await;
    let now_ms = rig.hub.clock.now_ms();
    rig.shards.drain(Pace { from_ms: now_ms, until_ms: now_ms + 600_000 });
    tokio::time::pause();
    // Each of the two shards holds ten: five of them may stay until exactly the middle, so this is a little before it.
    tokio::time::advance(Duration::from_secs(295)).await;
    tokio::time::resume();
    until("half are gone", || rig.stream.flv_viewers.load(Relaxed) == 10).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(306)).await;
    tokio::time::resume();
    until("all are gone", || rig.stream.flv_viewers.load(Relaxed) == 0).await;
}

#[test]
fn the_ring_keeps_what_newcomers_and_laggards_need_and_no_more() {
    let ring = Arc::new(Ring::default());
    ring.epoch(tracks("avc config"), false);
    let mut mirror = RingCopy::new(Arc::clone(&ring));
    for t_ms in (0..20_000).step_by(40) {
        ring.frame(video(t_ms, t_ms % 8_000 == 0, 100));
    }
    mirror.refresh();
    assert_eq!(mirror.items.front().unwrap().t_ms, 16_000, "from the newest key frame");
    for t_ms in (20_000..30_000).step_by(40) {
        ring.frame(video(t_ms, t_ms % 400 == 0, 100));
    }
    mirror.refresh();
    assert_eq!(mirror.items.front().unwrap().t_ms, 29_960 - LAG_MS_MAX, "the last three seconds");
    ring.frame(video(30_000, true, RING_BYTES_MAX - 1_000));
    mirror.refresh();
    assert!(mirror.items.len() <= 11, "{} items beside a giant", mirror.items.len());
    ring.frame(video(30_040, false, 10_000));
    mirror.refresh();
    assert_eq!(mirror.newest_start, None, "a start that does not fit is no start");
    assert_eq!(mirror.items.len(), 1);
}
