//! The RTMP ports of an edge, spoken to by a real client session.

use super::*;
use bytes::BytesMut;
use lectern_media::machine::Output as Do;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session};

struct Client {
    socket: TcpStream,
    session: Session,
    clock: Clock,
}

impl Client {
    async fn connect(address: SocketAddr, config: ClientConfig) -> Self {
        let clock = Clock::start();
        let session = Session::new(config, clock.now_ms());
        Self { socket: TcpStream::connect(address).await.unwrap(), session, clock }
    }

    async fn play(edge: &Running, stream: &str) -> Self {
        let url = format!("rtmp://{}/live", edge.rtmp);
        Self::connect(edge.rtmp, ClientConfig::new(Mode::Play, &url, "live", stream)).await
    }

    async fn relay(edge: &Running, token: &str, stream: &str) -> Self {
        let url = format!("rtmp://{}/relay?token={token}", edge.relay);
        Self::connect(edge.relay, ClientConfig::new(Mode::Publish, &url, "relay", stream)).await
    }

    /// The next event. A connection that the edge closes is `Closed`.
    async fn event(&mut self) -> Event {
        let mut buffer = BytesMut::new();
        loop {
            match self.session.poll() {
                Do::Send(bytes) => drop(self.socket.write_all(&bytes).await),
                Do::Event(event) => return event,
                Do::Wait(_) => {
                    let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut buffer)).await;
                    match read.expect("something to come") {
                        Ok(count) if count > 0 => {
                            self.session.handle_bytes(self.clock.now_ms(), buffer.split().freeze()).unwrap();
                        }
                        _ => self.session.handle_end(),
                    }
                }
            }
        }
    }

    async fn is_refused(&mut self) -> bool {
        loop {
            match self.event().await {
                Event::Rejected { .. } | Event::Closed(_) => return true,
                Event::Ready => return false,
                _ => {}
            }
        }
    }

    /// The first `count` messages of a player: track and time.
    async fn media(&mut self, count: usize) -> Vec<(Track, u32)> {
        let mut seen = Vec::new();
        while seen.len() < count {
            match self.event().await {
                Event::Media { track, timestamp, .. } => seen.push((track, timestamp)),
                Event::Closed(closed) => panic!("closed after {seen:?}: {closed}"),
                _ => {}
            }
        }
        seen
    }
}

#[tokio::test]
async fn a_player_gets_the_stream_from_the_newest_key_frame_and_goes_on() {
    let (mut studio, a) = live_edge().await;
    let stream = a.edge.hub.stream("hall-a").unwrap();
    let mut mirror = crate::edge::stream::ring::RingCopy::new(Arc::clone(&stream.ring));
    // Without metadata the ingest waits a second for another track, and then begins with the first key frame.
    until("the last picture has arrived", || {
        mirror.refresh();
        mirror.items.back().is_some_and(|item| item.t_ms == 12_900)
    })
    .await;
    let mut player = Client::play(&a, "hall-a").await;
    let seen = player.media(11).await;
    assert_eq!(seen[0], (Track::Video, 12_000), "the sequence header");
    assert_eq!(seen[1], (Track::Video, 12_000), "the key frame");
    assert_eq!(seen[10], (Track::Video, 12_900));
    studio.publish(1).await;
    assert_eq!(player.media(1).await, [(Track::Video, 13_000)]);
    assert_eq!(a.status().await.edge.unwrap().streams["hall-a"].rtmp, 1);
    drop(player);
    until("it is gone", || stream.rtmp_viewers.load(Relaxed) == 0).await;
}

#[tokio::test]
async fn what_cannot_be_played_is_refused() {
    let mut studio = Studio::new(RING);
    let a = Running::start().await;
    studio.event.streams.push("hall-b".into());
    studio.link(&a, &[&a]).await;
    studio.publish(13).await;
    a.lists(&studio.machine.ledger().clone()).await;
    for stream in ["hall-b", "hall-c"] {
        assert!(Client::play(&a, stream).await.is_refused().await, "{stream}");
    }
    let url = format!("rtmp://{}/live", a.rtmp);
    let mut publisher = Client::connect(a.rtmp, ClientConfig::new(Mode::Publish, &url, "live", "hall-a")).await;
    assert!(publisher.is_refused().await, "publishing at an edge");
    while a.edge.hub.load.admit() {}
    assert!(Client::play(&a, "hall-a").await.is_refused().await, "full");
    assert_eq!(a.edge.hub.refused.count(a.edge.hub.clock.now_ms()), 1);
    studio.event.rtmp = false;
    a.edge.registry.event(studio.event.clone(), a.admin);
    assert!(Client::play(&a, "hall-a").await.is_refused().await, "switched off");
}

#[tokio::test]
async fn the_relay_needs_the_token() {
    let a = Running::start().await;
    for token in ["", "0123456789abcdee", "0123456789abcdef0"] {
        assert!(Client::relay(&a, token, "hall-a").await.is_refused().await, "{token:?}");
    }
    assert!(a.edge.hub.stream("hall-a").is_none());
    let mut link = Client::relay(&a, TOKEN, "hall-a").await;
    assert!(!link.is_refused().await);
    let greeting = loop {
        if let Event::Data(payload) = link.event().await {
            break lectern_media::relay::decode(&payload).unwrap();
        }
    };
    assert!(matches!(greeting, RelayMessage::Greeting(_)), "{greeting:?}");
}

#[tokio::test]
async fn a_link_that_falls_silent_is_closed() {
    let a = Running::start().await;
    let mut link = Client::relay(&a, TOKEN, "hall-a").await;
    assert!(!link.is_refused().await);
    let since = std::time::Instant::now();
    while !matches!(link.event().await, Event::Closed(_)) {}
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
}

impl Client {
    /// Reads bytes as they are until `text` is among them; all of them.
    async fn until_text(&mut self, text: &str) -> Vec<u8> {
        let mut seen = BytesMut::new();
        while !seen.windows(text.len()).any(|window| window == text.as_bytes()) {
            let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut seen));
            assert_ne!(read.await.expect(text).unwrap(), 0, "closed before {text}");
        }
        seen.to_vec()
    }

    async fn pause(&mut self, paused: bool) {
        use lectern_media::amf0::{Value, write_all};
        use lectern_media::rtmp::{chunk, message};
        let values = [Value::from("pause"), Value::from(0.0), Value::Null, Value::Boolean(paused), Value::from(0.0)];
        let payload = write_all(&values);
        let bytes = chunk::serialise(message::csid::DATA, message::kind::COMMAND, 1, 0, &payload, 128);
        self.socket.write_all(&bytes).await.unwrap();
    }
}

#[tokio::test]
async fn a_player_is_told_that_the_stream_is_over() {
    let (_studio, a) = live_edge().await;
    let stream = a.edge.hub.stream("hall-a").unwrap();
    let mut player = Client::play(&a, "hall-a").await;
    player.media(2).await;
    stream.ring.end();
    let mut ended = false;
    loop {
        match player.event().await {
            Event::Ended => ended = true,
            Event::Closed(_) => break,
            _ => {}
        }
    }
    assert!(ended, "the end of the connection alone is a broken connection to players");
    until("it is gone", || stream.rtmp_viewers.load(Relaxed) == 0).await;
}

#[tokio::test]
async fn a_player_that_pauses_gets_nothing_until_it_goes_on() {
    let (mut studio, a) = live_edge().await;
    let mut player = Client::play(&a, "hall-a").await;
    player.media(2).await;
    player.pause(true).await;
    player.until_text("NetStream.Pause.Notify").await;
    studio.publish(1).await;
    player.pause(false).await;
    let between = player.until_text("NetStream.Unpause.Notify").await;
    assert!(between.len() < 400, "{} bytes while it paused", between.len());
    studio.publish(1).await;
    let mut more = BytesMut::new();
    tokio::time::timeout(PATIENCE, player.socket.read_buf(&mut more)).await.expect("media again").unwrap();
}

#[tokio::test]
async fn a_player_that_is_let_go_is_told_so() {
    let (_studio, a) = live_edge().await;
    let mut player = Client::play(&a, "hall-a").await;
    player.media(2).await;
    a.edge.shards.drain(super::viewers::Pace { from_ms: 0, until_ms: 1 });
    player.until_text("NetStream.Play.Stop").await;
}
