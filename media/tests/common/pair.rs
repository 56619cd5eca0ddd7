//! Two sessions in one thread: what one sends the other is given, until both wait.
//!
//! For any test that needs an encoder, a relay or a viewer without a socket.

#![allow(dead_code, reason = "every test file uses a part of it")]

use bytes::Bytes;
use lectern_media::machine::Output;
use lectern_media::rtmp::client::{self, ClientConfig, Mode};
use lectern_media::rtmp::server;

/// A client connected to a server, and what happened so far.
pub struct Pair {
    pub client: client::Session,
    pub server: server::Session,
    pub now_ms: u64,
    /// Events not taken yet.
    pub client_events: Vec<client::Event>,
    /// Events not taken yet.
    pub server_events: Vec<server::Event>,
    /// Everything the client sent.
    pub client_sent: Vec<u8>,
    /// Everything the server sent.
    pub server_sent: Vec<u8>,
    /// Bytes are handed over in pieces of this size.
    pub piece_bytes: usize,
}

impl Pair {
    /// Nothing was exchanged yet.
    pub fn new(server: server::Config, client: ClientConfig) -> Self {
        let now_ms = 1_000;
        Self {
            client: client::Session::new(client, now_ms),
            server: server::Session::new(server, now_ms),
            now_ms,
            client_events: Vec::new(),
            server_events: Vec::new(),
            client_sent: Vec::new(),
            server_sent: Vec::new(),
            piece_bytes: usize::MAX,
        }
    }

    /// An encoder in front of the public port, up to the question whether it may publish.
    pub fn publisher(stream: &str) -> Self {
        let mut pair = Self::new(
            server::Config::PUBLIC,
            ClientConfig::new(Mode::Publish, "rtmp://127.0.0.1:1935/live", "live", stream),
        );
        pair.run();
        pair
    }

    /// A viewer in front of the public port, up to the question whether it may play.
    pub fn viewer(stream: &str) -> Self {
        let mut pair = Self::new(
            server::Config::PUBLIC,
            ClientConfig::new(Mode::Play, "rtmp://127.0.0.1:1935/live", "live", stream),
        );
        pair.run();
        pair
    }

    /// A publisher that may: both sides have their events behind them.
    pub fn publishing() -> Self {
        let mut pair = Self::publisher("hall-a?key=secret");
        pair.server.accept_publish(pair.now_ms).expect("was asked");
        pair.run();
        assert_eq!(pair.take_client(), [client::Event::Ready]);
        pair.take_server();
        pair
    }

    /// A viewer that may.
    pub fn playing() -> Self {
        let mut pair = Self::viewer("hall-a");
        pair.server.accept_play(pair.now_ms).expect("was asked");
        pair.run();
        // The engine sends two data messages after it, as Flash Media Server does.
        assert_eq!(pair.take_client().first(), Some(&client::Event::Ready));
        pair.take_server();
        pair
    }

    /// Carries bytes until neither side has any.
    pub fn run(&mut self) {
        loop {
            let from_client = drain(|| self.client.poll(), &mut self.client_events);
            let from_server = drain(|| self.server.poll(), &mut self.server_events);
            if from_client.is_empty() && from_server.is_empty() {
                return;
            }
            self.client_sent.extend_from_slice(&from_client);
            self.server_sent.extend_from_slice(&from_server);
            for piece in from_server.chunks(self.piece_bytes) {
                let _ = self.client.handle_bytes(self.now_ms, Bytes::copy_from_slice(piece));
            }
            for piece in from_client.chunks(self.piece_bytes) {
                let _ = self.server.handle_bytes(self.now_ms, Bytes::copy_from_slice(piece));
                let more = drain(|| self.server.poll(), &mut self.server_events);
                self.server_sent.extend_from_slice(&more);
                let _ = self.client.handle_bytes(self.now_ms, more.into());
            }
        }
    }

    /// The client's events since the last call.
    pub fn take_client(&mut self) -> Vec<client::Event> {
        std::mem::take(&mut self.client_events)
    }

    /// The server's events since the last call.
    pub fn take_server(&mut self) -> Vec<server::Event> {
        std::mem::take(&mut self.server_events)
    }
}

/// Polls until the machine waits: the bytes it sent, and its events.
pub fn drain<E>(mut poll: impl FnMut() -> Output<E>, events: &mut Vec<E>) -> Vec<u8> {
    let mut sent = Vec::new();
    loop {
        match poll() {
            Output::Send(bytes) => sent.extend_from_slice(&bytes),
            Output::Event(event) => events.push(event),
            Output::Wait(_) => return sent,
        }
    }
}
