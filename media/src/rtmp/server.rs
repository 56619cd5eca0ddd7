//! One connection to a port of ours, from the first byte of the handshake: a publisher, a relay or a viewer.

use super::chunk::Limits;
use super::limits;
use super::{Closed, SessionError};
use crate::machine::Output;
use crate::relay::LINK_DEAD_MS;
use crate::track::Track;
use bytes::Bytes;

/// What differs between our ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `connect` waits for [`Session::accept_connect`]; otherwise it is accepted at once.
    pub ask_connect: bool,
    /// Limits from an accepted publish on.
    pub after_publish: Limits,
    /// Limits from an accepted play on.
    pub after_play: Limits,
    /// The acknowledgement window the peer is told, bytes.
    pub window_bytes: u32,
    /// A publisher that sends nothing for this long is closed.
    pub publisher_idle_ms: u64,
}

impl Config {
    /// Port 1935: encoders at the ingest, viewers at an edge.
    pub const PUBLIC: Self = Self {
        ask_connect: false,
        after_publish: limits::AFTER_PUBLISH,
        after_play: limits::AFTER_PLAY,
        window_bytes: limits::WINDOW_BYTES,
        publisher_idle_ms: limits::PUBLISHER_IDLE_MS,
    };
    /// Port 1936: the ingest at an edge. The token is in the query of the `tcUrl`, so `connect` asks.
    pub const RELAY: Self = Self {
        ask_connect: true,
        window_bytes: limits::RELAY_WINDOW_BYTES,
        publisher_idle_ms: LINK_DEAD_MS,
        ..Self::PUBLIC
    };
}

/// What happens on the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer connected to an application. With `ask_connect`: answer with [`Session::accept_connect`] or
    /// [`Session::reject`]; nothing else comes before the answer.
    Connect {
        /// Application without its query and without slashes at its ends.
        app: String,
        /// The URL as the peer wrote it, empty if it sent none. May carry a key: not for logs.
        tc_url: String,
        /// What the peer calls itself, empty if it did not say.
        flash_ver: String,
        /// The query of the application or of the `tcUrl`.
        query: Option<String>,
    },
    /// The peer wants to publish: answer with [`Session::accept_publish`] or [`Session::reject`].
    Publish {
        /// Application.
        app: String,
        /// Stream name without its query.
        stream: String,
        /// The query of the name, else that of `connect`. May carry a key: not for logs.
        query: Option<String>,
    },
    /// The peer wants to play: answer with [`Session::accept_play`] or [`Session::reject`].
    Play {
        /// Application.
        app: String,
        /// Stream name without its query.
        stream: String,
        /// As for `Publish`.
        query: Option<String>,
    },
    /// Metadata of the accepted publisher: AMF0, the string `onMetaData` and its object byte for byte. A leading
    /// `@setDataFrame` is taken off.
    Metadata(Bytes),
    /// Another data message of the accepted publisher, AMF0.
    Data(Bytes),
    /// Audio or video of the accepted publisher. The body may be a slice of the input, unless it is a sequence header,
    /// which is kept for long.
    Media {
        /// Which.
        track: Track,
        /// Milliseconds, wrapping.
        timestamp: u32,
        /// FLV tag body.
        body: Bytes,
    },
    /// The accepted publish or play is over by the peer's wish. It may publish again within 10 s.
    Ended,
    /// The session is over: flush, then close.
    Closed(Closed),
}

/// A connection, as a machine (see [`crate::machine`]).
#[derive(Debug)]
pub struct Session {
    config: Config,
}

impl Session {
    /// At the moment the connection was accepted. Times are any monotonic clock in milliseconds.
    #[must_use]
    pub fn new(config: Config, _now_ms: u64) -> Self {
        Self { config }
    }

    /// Bytes came.
    ///
    /// # Errors
    /// [`SessionError::Closed`] after the session's end. What is wrong with the bytes comes as [`Event::Closed`].
    pub fn handle_bytes(&mut self, _now_ms: u64, _bytes: Bytes) -> Result<(), SessionError> {
        let _ = self.config;
        Ok(())
    }

    /// The time that `Wait` named came, or any other.
    pub fn handle_timeout(&mut self, _now_ms: u64) {}

    /// The peer closed its side.
    pub fn handle_end(&mut self) {}

    /// What to do next.
    pub fn poll(&mut self) -> Output<Event> {
        Output::Wait(None)
    }

    /// Answers `Connect` of a session that asks.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if nobody asked.
    pub fn accept_connect(&mut self) -> Result<(), SessionError> {
        Err(SessionError::WrongState("accept"))
    }

    /// Answers `Publish`: the limits for publishers hold from here on.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if nobody asked.
    pub fn accept_publish(&mut self, _now_ms: u64) -> Result<(), SessionError> {
        Err(SessionError::WrongState("accept"))
    }

    /// Answers `Play`. After what `poll` gives to send now, the shell may write messages of its own: chunk stream 4
    /// video, 5 audio, 3 data, message stream [`Session::stream_id`], chunks of `PLAY_CHUNK_SIZE`; whole ones between
    /// those that `poll` gives.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if nobody asked.
    pub fn accept_play(&mut self, _now_ms: u64) -> Result<(), SessionError> {
        Err(SessionError::WrongState("accept"))
    }

    /// Refuses whatever was asked for, with a code such as `NetStream.Publish.BadName` and a sentence that the
    /// encoder shows. The session closes after the answer.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if nobody asked.
    pub fn reject(&mut self, _code: &str, _description: &str) -> Result<(), SessionError> {
        Err(SessionError::WrongState("reject"))
    }

    /// Tells an accepted publisher or viewer a status and ends the session: `NetStream.Publish.BadName` for a
    /// publisher that another one took over from, `NetStream.Play.UnpublishNotify` for a viewer.
    ///
    /// # Errors
    /// [`SessionError::Closed`].
    pub fn close(&mut self, _code: &str, _description: &str) -> Result<(), SessionError> {
        Err(SessionError::Closed)
    }

    /// Sends a message on the accepted stream: data to a relay peer, or media to a viewer.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] before anything is accepted.
    pub fn send_message(&mut self, _kind: u8, _timestamp: u32, _body: &Bytes) -> Result<(), SessionError> {
        Err(SessionError::WrongState("send"))
    }

    /// The message stream that was accepted; 1 for viewers, always.
    #[must_use]
    pub fn stream_id(&self) -> u32 {
        1
    }
}
