//! One connection that we open: the ingest to an edge, a forward to another server, a viewer of the crowd.

use super::engine::client::Engine;
use super::limits;
use super::message::{kind, kind_of};
use super::transport::{Step, Transport};
use super::{Closed, SessionError, Waiting};
use crate::amf0::Value;
use crate::machine::Output;
use crate::track::Track;
use bytes::Bytes;
use std::collections::VecDeque;

mod replies;

pub use super::config::{ClientConfig, Mode};

/// Transactions of the commands that the engine does not send: far above its own.
const TRANSACTION_RELEASE: f64 = 1_001.0;
const TRANSACTION_FC_PUBLISH: f64 = 1_002.0;
const TRANSACTION_FC_UNPUBLISH: f64 = 1_003.0;
/// The engine counts its own from 1: `connect`, then `createStream`.
const TRANSACTION_CONNECT: f64 = 1.0;
const TRANSACTION_CREATE_STREAM: f64 = 2.0;

/// What happens on the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Publishing or playing. From now on a publisher may write packets of [`super::chunk`] of its own, with the
    /// session's stream id, whole ones between those that `poll` gives.
    Ready,
    /// The server refused the request. `Closed` follows.
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
    /// Another data message, AMF0: on a relay link a message of the edge.
    Data(Bytes),
    /// The server reports that the stream is over.
    Ended,
    /// The session is over: flush, then close.
    Closed(Closed),
}

/// A connection, as a machine (see [`crate::machine`]).
#[derive(Debug)]
pub struct Session {
    config: ClientConfig,
    /// `None` only if the handshake could not even begin.
    transport: Option<Transport>,
    state: State,
    events: VecDeque<Event>,
    opened_ms: u64,
}

/// How far it has come.
#[derive(Debug)]
enum State {
    /// The handshake.
    Handshaking,
    /// `connect` was sent.
    Connecting(Engine),
    /// `createStream` was sent.
    Creating(Engine),
    /// `publish` or `play` was sent.
    Requested { engine: Engine, stream_id: u32 },
    /// Media flows. The engine has nothing left to do.
    Ready { stream_id: u32 },
    /// Over.
    Closed,
}

impl Session {
    /// At the moment the connection was opened: `poll` begins with the handshake.
    #[must_use]
    pub fn new(config: ClientConfig, now_ms: u64) -> Self {
        let mut session =
            Self { config, transport: None, state: State::Handshaking, events: VecDeque::new(), opened_ms: now_ms };
        match Transport::client(session.config.limits, now_ms) {
            Ok(transport) => session.transport = Some(transport),
            Err(closed) => session.end(closed),
        }
        session
    }

    /// Bytes came.
    ///
    /// # Errors
    /// [`SessionError::Closed`] after the session's end. What is wrong with the bytes comes as [`Event::Closed`].
    pub fn handle_bytes(&mut self, now_ms: u64, bytes: Bytes) -> Result<(), SessionError> {
        let Some(transport) = &mut self.transport else { return Err(SessionError::Closed) };
        if matches!(self.state, State::Closed) {
            return Err(SessionError::Closed);
        }
        if let Err(closed) = transport.handle_bytes(now_ms, bytes).and_then(|()| self.connect_when_open()) {
            self.end(closed);
        }
        Ok(())
    }

    /// The time that `Wait` named came, or any other.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        if let Some((deadline_ms, what)) = self.deadline()
            && now_ms >= deadline_ms
        {
            self.end(Closed::TimedOut { what });
        }
    }

    /// The peer closed its side.
    pub fn handle_end(&mut self) {
        self.end(Closed::ByPeer);
    }

    /// What to do next.
    pub fn poll(&mut self) -> Output<Event> {
        loop {
            if let Some(bytes) = self.transport.as_mut().and_then(Transport::pop) {
                return Output::Send(bytes);
            }
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            match self.step() {
                Ok(Step::Event(event)) => return Output::Event(event),
                Ok(Step::Quiet) => {}
                Ok(Step::Starved) if self.has_output() => {}
                Ok(Step::Starved) => return Output::Wait(self.deadline().map(|(deadline_ms, _)| deadline_ms)),
                Err(closed) => self.end(closed),
            }
        }
    }

    /// Publishes a message of a track.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] before `Ready`, or when playing.
    pub fn send_media(&mut self, track: Track, timestamp: u32, body: &Bytes) -> Result<(), SessionError> {
        if self.config.mode == Mode::Play {
            return Err(SessionError::WrongState("publish"));
        }
        self.send(kind_of(track), timestamp, body)
    }

    /// Sends a data message: AMF0 as it is. Metadata for other servers begins with `@setDataFrame`, which
    /// [`set_data_frame`] puts before it.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] before `Ready`.
    pub fn send_data(&mut self, timestamp: u32, payload: &Bytes) -> Result<(), SessionError> {
        self.send(kind::DATA, timestamp, payload)
    }

    /// Says goodbye (FCUnpublish, deleteStream) if it is `Ready`, and ends the session.
    pub fn close(&mut self) {
        if let (State::Ready { stream_id }, Some(transport)) = (&self.state, &mut self.transport) {
            if self.config.mode == Mode::Publish {
                let name = Value::from(self.config.stream.as_str());
                transport.send_command(0, "FCUnpublish", TRANSACTION_FC_UNPUBLISH, Value::Null, &[name]);
            }
            let id = Value::from(f64::from(*stream_id));
            transport.send_command(0, "deleteStream", 0.0, Value::Null, &[id]);
        }
        self.end(Closed::ByUs);
    }

    /// The message stream that the server gave us; 0 before `Ready`.
    #[must_use]
    pub fn stream_id(&self) -> u32 {
        match self.state {
            State::Ready { stream_id } => stream_id,
            State::Handshaking | State::Connecting(_) | State::Creating(_) | State::Requested { .. } => 0,
            State::Closed => 0,
        }
    }

    fn send(&mut self, message_kind: u8, timestamp: u32, body: &Bytes) -> Result<(), SessionError> {
        match (&self.state, &mut self.transport) {
            (State::Ready { stream_id }, Some(transport)) => {
                transport.send(message_kind, *stream_id, timestamp, body);
                Ok(())
            }
            (State::Closed, _) | (_, None) => Err(SessionError::Closed),
            (_, Some(_)) => Err(SessionError::WrongState("send to")),
        }
    }

    /// The handshake is over: `connect`.
    fn connect_when_open(&mut self) -> Result<(), Closed> {
        if let (State::Handshaking, Some(transport)) = (&self.state, &mut self.transport)
            && transport.is_open()
        {
            let mut engine = Engine::new(&self.config)?;
            transport.send_all(&engine.connect(&self.config.app)?);
            self.state = State::Connecting(engine);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Step<Event>, Closed> {
        if matches!(self.state, State::Closed) {
            return Ok(Step::Starved);
        }
        let Some(transport) = &mut self.transport else { return Ok(Step::Starved) };
        match transport.next_message()? {
            Some(message) => self.handle_message(message).map(Step::from),
            None => Ok(Step::Starved),
        }
    }

    fn has_output(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::has_output)
    }

    fn deadline(&self) -> Option<(u64, Waiting)> {
        match self.state {
            State::Handshaking => Some((self.opened_ms + limits::HANDSHAKE_MS, Waiting::Handshake)),
            State::Connecting(_) | State::Creating(_) | State::Requested { .. } => {
                Some((self.opened_ms + limits::ACCEPT_MS, Waiting::Accept))
            }
            State::Ready { .. } | State::Closed => None,
        }
    }

    /// Ends the session, once.
    fn end(&mut self, closed: Closed) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.events.push_back(Event::Closed(closed));
        }
    }
}

/// Metadata as an encoder publishes it: `@setDataFrame` before the payload.
#[must_use]
pub fn set_data_frame(metadata: &[u8]) -> Bytes {
    [b"\x02\0\x0d@setDataFrame", metadata].concat().into()
}
