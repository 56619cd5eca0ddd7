//! One connection that we open: the ingest to an edge, a forward to another server, a viewer of the crowd.

use super::chunk::Limits;
use super::limits;
use super::{Closed, SessionError};
use crate::machine::Output;
use crate::track::Track;
use bytes::Bytes;

/// Which way media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From us.
    Publish,
    /// To us.
    Play,
}

/// Where to connect and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Application: the path between host and stream.
    pub app: String,
    /// The URL up to the application, with a query if the server wants one.
    pub tc_url: String,
    /// Which way.
    pub mode: Mode,
    /// Stream name, with its query if the server wants one.
    pub stream: String,
    /// Payload bytes of the chunks we write.
    pub chunk_size: u32,
    /// The acknowledgement window the server is told, bytes.
    pub window_bytes: u32,
    /// What the server may send.
    pub limits: Limits,
}

impl ClientConfig {
    /// A relay, forward or viewer with the usual chunk size, window and limits.
    #[must_use]
    pub fn new(mode: Mode, tc_url: &str, app: &str, stream: &str) -> Self {
        Self {
            app: app.to_owned(),
            tc_url: tc_url.to_owned(),
            mode,
            stream: stream.to_owned(),
            chunk_size: limits::PLAY_CHUNK_SIZE,
            window_bytes: limits::RELAY_WINDOW_BYTES,
            limits: limits::AFTER_PUBLISH,
        }
    }
}

/// What happens on the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Publishing or playing. From now on a publisher may write packets of [`super::chunk`] of its own, with the
    /// session's stream id, whole ones between those that `poll` gives.
    Ready,
    /// The server said no. `Closed` follows.
    Rejected {
        /// Its code, such as `NetStream.Publish.BadName`; empty if it gave none.
        code: String,
        /// Its words.
        description: String,
    },
    /// Audio or video of the stream that is played.
    Media {
        /// Which.
        track: Track,
        /// Milliseconds, wrapping.
        timestamp: u32,
        /// FLV tag body.
        body: Bytes,
    },
    /// Metadata, as in [`super::server::Event::Metadata`].
    Metadata(Bytes),
    /// Another data message, AMF0: from an edge, what it has to say on a relay link.
    Data(Bytes),
    /// The server says that the stream is over.
    Ended,
    /// The session is over: flush, then close.
    Closed(Closed),
}

/// A connection, as a machine (see [`crate::machine`]).
#[derive(Debug)]
pub struct Session {
    config: ClientConfig,
}

impl Session {
    /// At the moment the connection was opened: `poll` begins with the handshake.
    #[must_use]
    pub fn new(config: ClientConfig, _now_ms: u64) -> Self {
        Self { config }
    }

    /// Bytes came.
    ///
    /// # Errors
    /// [`SessionError::Closed`] after the session's end. What is wrong with the bytes comes as [`Event::Closed`].
    pub fn handle_bytes(&mut self, _now_ms: u64, _bytes: Bytes) -> Result<(), SessionError> {
        let _ = &self.config;
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

    /// Publishes a message of a track.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] before `Ready`, or when playing.
    pub fn send_media(&mut self, _track: Track, _timestamp: u32, _body: &Bytes) -> Result<(), SessionError> {
        Err(SessionError::WrongState("send"))
    }

    /// Publishes a data message: AMF0 as it is. Metadata for other servers begins with `@setDataFrame`, which
    /// [`set_data_frame`] puts before it.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] before `Ready`.
    pub fn send_data(&mut self, _timestamp: u32, _payload: &Bytes) -> Result<(), SessionError> {
        Err(SessionError::WrongState("send"))
    }

    /// Says goodbye (FCUnpublish, deleteStream) and ends the session.
    pub fn close(&mut self) {}

    /// The message stream that the server gave us; 0 before `Ready`.
    #[must_use]
    pub fn stream_id(&self) -> u32 {
        0
    }
}

/// Metadata as an encoder publishes it: `@setDataFrame` before the payload.
#[must_use]
pub fn set_data_frame(metadata: &[u8]) -> Bytes {
    [b"\x02\0\x0d@setDataFrame", metadata].concat().into()
}
