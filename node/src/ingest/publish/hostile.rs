//! Publishers with a right key that mean ill, or are broken in just that way: connections without sockets, and virtual time.

use super::connection::{Connection, Drained};
use super::publisher::{Dismissal, Newcomer};
use crate::ingest::keys::RightKey;
use crate::ingest::state::Ingest;
use crate::ingest::stream::{Message, Stream};
use crate::net::clock::Clock;
use crate::net::pump::{Limits, Pump};
use bytes::Bytes;
use lectern_api::keys::publish_key;
use lectern_api::node_config::{DEFAULT_MAX_BITRATE_BPS, IngestConfig};
use lectern_media::live::standby::Role;
use lectern_media::machine::Output;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session, set_data_frame};
use lectern_media::track::Track;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SEED: &[u8] = b"a seed of a test";
const ADDRESS: &str = "192.0.2.1";

fn config() -> IngestConfig {
    let config = r#"{"event": "default/gala", "streams": [{"name": "hall-a"}], "seedFile": "seed",
        "discovery": {"type": "static", "peers": []}}"#;
    serde_json::from_str(config).unwrap()
}

fn ingest() -> Arc<Ingest> {
    Ingest::new(config(), SEED.to_vec(), CancellationToken::new())
}

/// An encoder and the connection of the ingest that it talks to.
struct Encoder {
    session: Session,
    connection: Connection,
    ready: bool,
    refused: Option<String>,
    /// Bytes that the ingest took from it.
    sent: usize,
}

impl Encoder {
    /// Dials, and goes on until it may publish or is refused.
    fn dial(ingest: &Arc<Ingest>, from: &str, key: &str) -> Self {
        let address: IpAddr = from.parse().unwrap();
        let slot = ingest.pending().enter(address);
        let config = ClientConfig::new(Mode::Publish, "rtmp://ingest/live", "live", &format!("hall-a?key={key}"));
        let mut encoder = Self {
            session: Session::new(config, ingest.clock().now_ms()),
            connection: Connection::new(ingest.clone(), SocketAddr::new(address, 40_000), slot),
            ready: false,
            refused: None,
            sent: 0,
        };
        encoder.exchange();
        encoder
    }

    /// Carries bytes to and fro until neither side has more to say. `false` once the ingest has closed.
    fn exchange(&mut self) -> bool {
        loop {
            let sent = self.poll_session();
            self.sent += sent.len();
            if !sent.is_empty() {
                self.connection.take(sent);
            }
            let Drained { closed, .. } = self.connection.drain();
            let answer = Bytes::from(self.connection.take_output());
            if !answer.is_empty() {
                self.session.handle_bytes(0, answer.clone()).unwrap();
            }
            if closed.is_some() {
                self.poll_session();
                return false;
            }
            if answer.is_empty() {
                return true;
            }
        }
    }

    fn poll_session(&mut self) -> Bytes {
        let mut sent = Vec::new();
        loop {
            match self.session.poll() {
                Output::Send(bytes) => sent.extend_from_slice(&bytes),
                Output::Event(Event::Ready) => self.ready = true,
                Output::Event(Event::Rejected { description, .. }) => self.refused = Some(description),
                Output::Event(_) => {}
                Output::Wait(_) => return sent.into(),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_no_media_count_for_the_limit_too() {
    let other: Bytes = [b"\x02\0\x09onXMPData\x0c\0\0\xe0\0".as_slice(), &[b'x'; 57_344]].concat().into();
    let metadata = set_data_frame(
        &[b"\x02\0\x0aonMetaData\x03\0\x01x\x0c\0\0\xe0\0".as_slice(), &[b'x'; 57_344], b"\0\0\x09"].concat(),
    );
    for payload in [other, metadata] {
        let ingest = ingest();
        let mut encoder = Encoder::dial(&ingest, ADDRESS, &publish_key(SEED, "hall-a", None));
        assert!(encoder.ready);
        for _ in 0..4_500 {
            encoder.session.send_data(0, &payload).unwrap();
            if !encoder.exchange() || encoder.connection.dismissed_now() {
                break;
            }
        }
        assert_eq!(ingest.refused_for("BitRateTooHigh"), 1, "after {} bytes", encoder.sent);
        // What a quarter more than the limit brings in the five seconds of the window.
        let most = DEFAULT_MAX_BITRATE_BPS / 8 * 5 * 5 / 4 + 1_000_000;
        assert!((encoder.sent as u64) < most, "{} bytes of {most}", encoder.sent);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_tries_keys_is_answered_late_and_a_right_key_from_it_never() {
    let ingest = ingest();
    let dial = |key: &str| Encoder::dial(&ingest, ADDRESS, key);
    for n in 1..10 {
        assert_eq!(dial("a-wrong-key").refused.as_deref(), Some("the key is not one of this stream"), "{n}");
    }
    let mut late: Vec<_> = (0..4).map(|_| dial("a-wrong-key")).collect();
    assert!(late.iter().all(|encoder| encoder.refused.is_none()));
    for _ in 0..1_000 {
        let more = dial("a-wrong-key");
        assert!(more.refused.is_none() && more.connection.unanswered().is_some());
    }
    assert_eq!(ingest.refused_for("WrongKey"), 1_013);
    assert!(dial(&publish_key(SEED, "hall-a", None)).ready, "the right key, from the same address");
    assert!(Encoder::dial(&ingest, "192.0.2.2", "a-wrong-key").refused.is_some(), "another address");

    let begun = tokio::time::Instant::now();
    for encoder in &mut late {
        assert!(encoder.connection.late_answer().await);
        encoder.exchange();
        assert!(encoder.refused.is_some());
    }
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert!(dial("a-wrong-key").connection.unanswered().is_none(), "places to wait are free again");
}

#[tokio::test(start_paused = true)]
async fn a_thief_of_a_key_is_closed_when_the_key_is_changed_and_does_not_keep_the_owner_out() {
    let folder = tempfile::tempdir().unwrap();
    let publish_keys_dir = Some(folder.path().to_string_lossy().into_owned());
    let write = |name: &str, key: &str| std::fs::write(folder.path().join(name), key).unwrap();
    write("hall-a", "the-stolen-key");
    let config = IngestConfig { publish_keys_dir, ..config() };
    let ingest = Ingest::new(config, SEED.to_vec(), CancellationToken::new());
    let dial = |key: &str| Encoder::dial(&ingest, ADDRESS, key);
    // Each takes over from the one before, until no more may.
    let mut thieves: Vec<_> = (0..4).map(|_| dial("the-stolen-key")).collect();
    assert!(thieves.iter().all(|thief| thief.ready) && dial("the-stolen-key").refused.is_some());
    let mut thief = thieves.pop().unwrap();

    std::fs::remove_file(folder.path().join("hall-a")).unwrap();
    ingest.load_keys();
    assert!(!thief.connection.dismissed_now(), "a folder that is empty for a moment says nothing");
    write("hall-a", "the-stolen-key");
    ingest.load_keys();
    write("hall-a.new", "the-key-of-the-owner");
    ingest.load_keys();
    assert!(!thief.connection.dismissed_now(), "both keys are right");
    assert!(dial("the-key-of-the-owner").ready, "its takeovers are its own");
    assert!(dial("the-stolen-key").refused.is_some());

    let mut owner = dial("the-key-of-the-owner");
    std::fs::remove_file(folder.path().join("hall-a")).unwrap();
    ingest.load_keys();
    assert!(owner.ready && !owner.connection.dismissed_now() && ingest.refused_for("KeyRevoked") == 0);
    write("hall-a.new", "the-next-key-of-the-owner");
    ingest.load_keys();
    assert!(owner.connection.dismissed_now(), "at once");
    owner.exchange();
    assert_eq!(ingest.refused_for("KeyRevoked"), 1);
    assert!(ingest.stream("hall-a").unwrap().status().warnings[0].starts_with("KeyRevoked"));
    assert!(dial("the-key-of-the-owner").refused.is_some() && dial("the-next-key-of-the-owner").ready);
}

#[tokio::test]
async fn a_late_answer_comes() {
    let ingest = ingest();
    let listener = crate::net::socket::bind(([127, 0, 0, 1], 0).into(), "publishers").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tasks, shutdown) = (tokio_util::task::TaskTracker::new(), CancellationToken::new());
    tokio::spawn(super::listener::run(ingest, listener, tasks, shutdown.clone()));
    let mut took = Duration::ZERO;
    for _ in 0..10 {
        let begun = tokio::time::Instant::now();
        let clock = Clock::start();
        let config = ClientConfig::new(Mode::Publish, "rtmp://ingest/live", "live", "hall-a?key=a-wrong-key");
        let limits = Limits { peer: "the ingest", read_bytes: 4 << 10, write_stall: Duration::from_secs(10) };
        let wire = crate::net::socket::dial(address).await.unwrap();
        let mut pump = Pump::new(wire, Session::new(config, clock.now_ms()), clock, limits);
        let event = tokio::time::timeout(Duration::from_secs(30), pump.event()).await.unwrap().unwrap();
        assert!(matches!(event, Event::Rejected { .. }), "{event:?}");
        took = begun.elapsed();
    }
    assert!(took >= super::guesses::LATE, "{took:?}");
    shutdown.cancel();
}

/// A stream that an encoder publishes, by the words of the encoder.
struct Published {
    stream: Arc<Stream>,
    ticket: super::publisher::Ticket,
    clock: Clock,
    sent: u64,
}

impl Published {
    fn start(max_bitrate: u64) -> Self {
        let clock = Clock::start();
        let stream = Stream::new("hall-a", 7, &IngestConfig { max_bitrate, ..config() }, clock);
        crate::relay::source::Source::expect_greetings(&*stream, 0);
        let address = SocketAddr::new(ADDRESS.parse().unwrap(), 40_000);
        let key = RightKey { role: Role::Main, digest: [0; 32] };
        let ticket = stream.publish(Newcomer { key, address, flash_ver: "test" }).unwrap();
        Self { stream, ticket, clock, sent: 0 }
    }

    fn send(&mut self, stamp: u64, body: &[u8]) {
        let length = body.len() as u64;
        self.sent += length;
        let body = Bytes::copy_from_slice(body);
        let message = Message::Media { track: Track::Video, stamp: u32::try_from(stamp).unwrap(), body };
        self.stream.messages(self.ticket.id, 12 + length, [message]);
    }
}

/// An AVC sequence header whose picture parameter set has `bytes` bytes.
fn header(bytes: u16) -> Vec<u8> {
    let before = b"\x17\0\0\0\0\x01\x42\xc0\x0b\xff\xe1\x00\x17\x67\x42\xc0\x0b\xda\x05\x06\x7e\x7c\x04\x40\
        \x00\x00\x03\x00\x40\x00\x00\x05\x03\xc5\x0a\xa8\x01";
    let set = vec![0x68; usize::from(bytes)];
    [before.as_slice(), &bytes.to_be_bytes(), &set].concat()
}

/// A picture of `bytes` bytes behind its length.
fn picture(key: bool, bytes: u32) -> Vec<u8> {
    let (first, unit) = if key { (0x17, 0x65) } else { (0x27, 0x41) };
    [&[first, 1, 0, 0, 0], bytes.to_be_bytes().as_slice(), &vec![unit; bytes as usize]].concat()
}

#[tokio::test(start_paused = true)]
async fn what_the_muxer_adds_to_key_frames_counts_for_the_limit() {
    for (max_bitrate, picture_bytes) in [(5_000_000_u64, 1), (30_000_000, 3_400)] {
        let mut published = Published::start(max_bitrate);
        let begun_ms = published.clock.now_ms();
        published.send(0, &header(4_000));
        let dismissal = loop {
            let at_ms = published.clock.now_ms() - begun_ms;
            let written = published.stream.written().bytes;
            assert!(at_ms < 10_000, "{} bytes became {written} in {at_ms} ms", published.sent);
            published.send(at_ms, &picture(true, picture_bytes));
            tokio::time::advance(Duration::from_millis(1)).await;
            if let Ok(dismissal) = published.ticket.dismissed.try_recv() {
                break dismissal;
            }
        };
        let Dismissal::Refused("BitRateTooHigh", words) = dismissal else { panic!("{dismissal:?}") };
        assert!(words.contains("of the segments that it becomes is above the limit of"), "{words}");
        let (took_ms, written) = (published.clock.now_ms() - begun_ms, published.stream.written().bytes);
        // A quarter more than the limit for the window, and for the second that an epoch waits for its tracks.
        let (sent_bps, most) = (published.sent * 8_000 / took_ms, max_bitrate / 8 * 6 * 5 / 4);
        assert!(sent_bps < max_bitrate && took_ms <= 5_000, "{sent_bps} bit/s for {took_ms} ms");
        assert!(written < most, "{} bytes became {written}, at most {most}", published.sent);
    }
}

#[tokio::test(start_paused = true)]
async fn an_honest_encoder_just_below_the_limit_goes_on_however_small_its_pictures() {
    for (max_bitrate, pictures_per_s) in [(30_000_000_u64, 60_u64), (3_000_000, 60), (1_000_000, 50), (500_000, 25)] {
        let mut published = Published::start(max_bitrate);
        let begun_ms = published.clock.now_ms();
        published.send(0, &header(8));
        let bytes = u32::try_from(max_bitrate * 96 / 100 / 8 / pictures_per_s).unwrap();
        for n in 0..30 * pictures_per_s {
            let at_ms = n * 1_000 / pictures_per_s;
            let passed_ms = published.clock.now_ms() - begun_ms;
            tokio::time::advance(Duration::from_millis(at_ms - passed_ms)).await;
            published.send(at_ms, &picture(n % (2 * pictures_per_s) == 0, bytes));
            let dismissed = published.ticket.dismissed.try_recv();
            assert!(dismissed.is_err(), "{max_bitrate} bit/s at {at_ms} ms: {dismissed:?}");
        }
        assert!(published.stream.written().bytes > published.sent, "{max_bitrate} bit/s");
    }
}
