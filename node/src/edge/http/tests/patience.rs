//! Strangers who are well-formed and patient: what they hold, and for how long.

use super::h2_frames::{HEADERS, PING, PREFACE, SETTINGS, WINDOW_UPDATE, frame};
use super::*;
use crate::edge::http::connection::{ANSWER_MS_MAX, IDLE_MS_MAX, WRITE_STALL_MS_MAX};
use lectern_media::rendition::SegmentKey;
use std::io::ErrorKind;

/// An HTTP/2 client that sends the frames that a test asks for, and no other.
struct Raw {
    socket: TcpStream,
    streams: u32,
}

impl Raw {
    /// Connects, with `window` bytes for each stream.
    async fn connect(rig: &Rig, window: u32) -> Self {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        let settings = frame(SETTINGS, 0, 0, &[&[0, 4], window.to_be_bytes().as_slice()].concat());
        let hello = [PREFACE, &settings, &frame(SETTINGS, 1, 0, &[])].concat();
        socket.write_all(&hello).await.unwrap();
        Self { socket, streams: 0 }
    }

    async fn send(&mut self, kind: u8, stream: u32, payload: &[u8]) {
        // What is sent to a closed connection is lost, which is what is waited for.
        let _ = self.socket.write_all(&frame(kind, 0, stream, payload)).await;
    }

    async fn get(&mut self, path: &str) {
        let text = |head: u8, text: &str| [&[head, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        // GET and http from the static table; the path and the authority as literals (RFC 7541, 6.2.2 and appendix A).
        let block = [vec![0x82, 0x86], text(0x04, path), text(0x01, "edge")].concat();
        let stream = self.streams * 2 + 1;
        self.streams += 1;
        // END_STREAM and END_HEADERS.
        self.socket.write_all(&frame(HEADERS, 5, stream, &block)).await.unwrap();
    }

    async fn ping(&mut self) {
        self.send(PING, 0, b"patience").await;
    }

    async fn widen(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, stream, &bytes.to_be_bytes()).await;
    }

    /// Reads what has come and throws it away.
    fn drain(&self) {
        let mut sink = vec![0; 64 << 10];
        while matches!(self.socket.try_read(&mut sink), Ok(read) if read > 0) {}
    }
}

/// Lets every task do what it can.
async fn settle() {
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
}

fn open(rig: &Rig) -> i64 {
    rig.state.hub.http_connections.load(Relaxed)
}

#[tokio::test(start_paused = true)]
async fn http_2_streams_that_are_not_read_are_reset_whatever_their_peer_says() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut raw = Raw::connect(&rig, 0).await;
    for _ in 0..100 {
        raw.get(&name(8)).await;
    }
    until("all are answered", || rig.state.hub.totals.answers(Answered::Segment) == 100).await;
    for _ in 0..=WRITE_STALL_MS_MAX / 1_000 {
        tokio::time::advance(Duration::from_secs(1)).await;
        raw.ping().await;
        raw.widen(1, 1).await;
        raw.drain();
        settle().await;
    }
    until("the connection is closed", || open(&rig) == 0).await;
    let held = rig.stream.snapshot.load().segments[&SegmentKey::source(entry(8).name())].clone();
    let counted = (held.fetches.begun(), held.fetches.completed());
    assert_eq!(counted, (0, 0), "who takes nothing is no viewer");
    assert_eq!(rig.state.hub.answering.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn pings_do_not_keep_a_connection_open_on_which_nothing_is_asked() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let mut raw = Raw::connect(&rig, 1 << 20).await;
    raw.get(&name(8)).await;
    until("it is answered", || rig.state.hub.totals.answers(Answered::Segment) == 1).await;
    settle().await;
    for _ in 0..IDLE_MS_MAX / 5_000 - 1 {
        tokio::time::advance(Duration::from_secs(5)).await;
        raw.ping().await;
        raw.drain();
        settle().await;
    }
    assert_eq!(open(&rig), 1, "it may be silent for this long");
    tokio::time::advance(Duration::from_secs(6)).await;
    until("the connection is closed", || open(&rig) == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_a_little_for_ever_is_reset_after_a_minute_and_lets_go_of_its_segment() {
    let rig = Rig::new().await;
    let bytes = Bytes::from(vec![7; 32 << 20]);
    let mut view = live(1..=8);
    let large = Entry { hash: Hash::of(&bytes), length: bytes.len() as u64, ..entry(8) };
    view.ledger.entries[7] = large.clone();
    view.segments.insert(large.name(), HeldSegment { entry: large, bytes });
    rig.show(view);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut reader = socket.connect(rig.address).await.unwrap();
    reader.write_all(format!("GET {} HTTP/1.1\r\nhost: edge\r\n\r\n", name(8)).as_bytes()).await.unwrap();
    until("it is answered", || rig.state.hub.totals.answers(Answered::Segment) == 1).await;
    let held = Arc::downgrade(&rig.stream.snapshot.load().segments[&SegmentKey::source(entry(8).name())]);
    rig.show(live(9..=16));
    assert!(held.upgrade().is_some(), "its reader holds it");
    let mut sink = vec![0; 64 << 10];
    for _ in 0..ANSWER_MS_MAX / 5_000 {
        assert_eq!(open(&rig), 1);
        tokio::time::advance(Duration::from_secs(5)).await;
        // More than the kernel's queues hold, so that the edge has to write again.
        let mut taken = 0;
        while taken < 1 << 20 {
            match reader.try_read(&mut sink) {
                Ok(0) => break,
                Ok(read) => taken += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::task::yield_now().await,
                Err(_) => break,
            }
        }
        settle().await;
    }
    until("the reader is reset", || open(&rig) == 0).await;
    assert!(held.upgrade().is_none(), "the segment is let go of");
}

#[tokio::test]
async fn a_newcomer_is_served_while_idle_connections_hold_all_places() {
    let places = 50;
    let rig = Rig::with_places(Load::new(1_000, None, 70), Sibling::default(), Some(places)).await;
    rig.show(live(1..=8));
    let mut idle = Vec::new();
    for _ in 0..places {
        let mut client = rig.connect().await;
        assert_eq!(client.request("GET", "/live/hall-a/media.m3u8", &[]).await.status, 200);
        idle.push(client);
    }
    // A kept-alive connection that asks again is not the one that is idle longest.
    assert_eq!(idle[0].request("GET", "/live/hall-a/media.m3u8", &[]).await.status, 200);
    for newcomer in 1..=100 {
        assert_eq!(rig.get("/live/hall-a/media.m3u8").await.status, 200, "newcomer {newcomer}");
    }
    assert!(open(&rig) <= i64::try_from(places).unwrap());
    assert!(idle[1].is_closed().await, "the one that was idle longest");
    assert!(rig.state.hub.totals.http_displaced.load(Relaxed) > 0);
}

#[tokio::test(start_paused = true)]
async fn readers_that_stand_still_do_not_keep_a_newcomer_out() {
    let rig = Rig::with_places(Load::new(1_000, None, 70), Sibling::default(), Some(4)).await;
    rig.show(live(1..=8));
    let mut raw = Vec::new();
    for answered in 1..=4 {
        let mut one = Raw::connect(&rig, 0).await;
        one.get(&name(8)).await;
        until("it is answered", || rig.state.hub.totals.answers(Answered::Segment) == answered).await;
        tokio::time::advance(Duration::from_millis(10)).await;
        raw.push(one);
    }
    assert_eq!(rig.get("/live/hall-a/media.m3u8").await.status, 200);
    until("one is reset for it", || rig.state.hub.totals.http_displaced.load(Relaxed) == 1).await;
}
