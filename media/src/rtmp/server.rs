//! One connection to a port of ours, from the first byte of the handshake: a publisher, a relay or a viewer.

use super::chunk::Limits;
use super::command;
use super::control::user;
use super::engine::server::{Engine, Outcome, RequestId};
use super::limits;
use super::message::kind;
use super::transport::{Step, Transport};
use super::{Closed, SessionError, Waiting};
use crate::amf0::Value;
use crate::machine::Output;
use crate::relay::LINK_DEAD_MS;
use crate::track::Track;
use bytes::Bytes;
use std::collections::VecDeque;

mod commands;

/// What differs between our ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `connect` waits for [`Session::accept_connect`]; otherwise it is accepted at once.
    pub ask_connect: bool,
    /// Limits from an accepted publish on.
    pub after_publish: Limits,
    /// Limits from an accepted play on.
    pub after_play: Limits,
    /// The acknowledgement window that the peer is asked to use, bytes.
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
        /// The name that the peer gave its program (`flashVer`); empty if it gave none.
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
    /// The viewer paused, or goes on after a pause. It was answered already.
    Pause {
        /// True: no media from here on.
        paused: bool,
    },
    /// A second publish or play on the connection was refused, with this reason. The accepted one goes on.
    SecondRefused {
        /// The sentence that the peer was sent.
        description: String,
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
    transport: Transport,
    state: State,
    events: VecDeque<Event>,
    /// When the connection was made, or the last publish ended.
    since_ms: u64,
    /// When the last bytes came.
    heard_ms: u64,
}

/// How far the peer has come. What it takes to go on is in the state.
#[derive(Debug)]
enum State {
    /// Handshake, then `connect` is awaited.
    Opening,
    /// The shell is asked whether the peer may connect.
    ConnectAsked { link: Link, request: RequestId, transaction: f64 },
    /// `createStream` and a request are awaited.
    Connected(Link),
    /// The shell is asked whether the peer may publish or play.
    Asked { link: Link, request: RequestId, purpose: Purpose, stream_id: u32, name: String },
    /// A publisher or a relay, and the name that it publishes.
    Publishing { link: Link, stream_id: u32, name: String },
    /// A viewer. It needs no engine any more, and there are thousands.
    Playing { stream_id: u32 },
    /// Over.
    Closed,
}

/// A connected peer.
#[derive(Debug)]
struct Link {
    engine: Engine,
    app: String,
    query: Option<String>,
    /// Streams that were made: the ids are 1 to this.
    streams: u32,
}

/// What a peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Publish,
    Play,
}

impl Session {
    /// At the moment the connection was accepted. Times are any monotonic clock in milliseconds.
    #[must_use]
    pub fn new(config: Config, now_ms: u64) -> Self {
        Self {
            config,
            transport: Transport::server(now_ms),
            state: State::Opening,
            events: VecDeque::new(),
            since_ms: now_ms,
            heard_ms: now_ms,
        }
    }

    /// Bytes came.
    ///
    /// # Errors
    /// [`SessionError::Closed`] after the session's end. What is wrong with the bytes comes as [`Event::Closed`].
    pub fn handle_bytes(&mut self, now_ms: u64, bytes: Bytes) -> Result<(), SessionError> {
        if matches!(self.state, State::Closed) {
            return Err(SessionError::Closed);
        }
        self.heard_ms = now_ms;
        if let Err(closed) = self.transport.handle_bytes(now_ms, bytes) {
            self.end(closed);
        }
        Ok(())
    }

    /// The time that `Wait` named came, or any other.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        self.transport.set_now(now_ms);
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
            // Events come out before the answers are sent: an encoder that ends its stream may close before it has read them.
            // The end comes after them, so that the shell still sends them.
            let over = matches!(self.events.front(), None | Some(Event::Closed(_)));
            if let Some(event) = (!over).then(|| self.events.pop_front()).flatten() {
                return Output::Event(event);
            }
            if let Some(bytes) = self.transport.pop() {
                return Output::Send(bytes);
            }
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            match self.step() {
                Ok(Step::Event(event)) => return Output::Event(event),
                Ok(Step::Quiet) => {}
                Ok(Step::Starved) if self.transport.has_output() => {}
                Ok(Step::Starved) => return Output::Wait(self.deadline().map(|(deadline_ms, _)| deadline_ms)),
                Err(closed) => self.end(closed),
            }
        }
    }

    /// Answers `Connect` of a session that asks.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if the client has not asked.
    pub fn accept_connect(&mut self) -> Result<(), SessionError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::ConnectAsked { mut link, request, .. } => {
                let outcome = link.engine.accept(request);
                self.state = State::Connected(link);
                self.answer(outcome);
                Ok(())
            }
            other => self.not_now(other, "accept"),
        }
    }

    /// Answers `Publish`: the limits for publishers hold from here on.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if the client has not asked.
    pub fn accept_publish(&mut self, now_ms: u64) -> Result<(), SessionError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Asked { mut link, request, purpose: Purpose::Publish, stream_id, name } => {
                let outcome = link.engine.accept(request);
                self.transport.set_limits(self.config.after_publish);
                self.heard_ms = now_ms;
                self.state = State::Publishing { link, stream_id, name };
                self.answer(outcome);
                Ok(())
            }
            other => self.not_now(other, "accept"),
        }
    }

    /// Answers `Play`. After what `poll` gives to send now, the shell may write messages of its own: chunk stream 4
    /// video, 5 audio, 3 data, message stream [`Session::stream_id`], chunks of `PLAY_CHUNK_SIZE`; whole ones between
    /// those that `poll` gives.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if the client has not asked.
    pub fn accept_play(&mut self, _now_ms: u64) -> Result<(), SessionError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Asked { mut link, request, purpose: Purpose::Play, stream_id, .. } => {
                let mut outcome = link.engine.accept(request);
                if let Ok(outcome) = &mut outcome {
                    // `|RtmpSampleAccess` and `NetStream.Data.Start`: players of today need neither, and ffmpeg takes the
                    // second for a track of its own.
                    outcome.messages.retain(|message| message.kind != kind::DATA);
                }
                self.transport.set_limits(self.config.after_play);
                self.state = State::Playing { stream_id };
                self.answer(outcome);
                Ok(())
            }
            other => self.not_now(other, "accept"),
        }
    }

    /// Refuses whatever was asked for, with a code such as `NetStream.Publish.BadName` and a sentence that the
    /// encoder shows. The session closes after the answer.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if the client has not asked.
    pub fn reject(&mut self, code: &str, description: &str) -> Result<(), SessionError> {
        let error = command::status("error", code, description);
        match std::mem::replace(&mut self.state, State::Closed) {
            State::ConnectAsked { transaction, .. } => {
                self.transport.send_command(0, "_error", transaction, Value::Null, &[error]);
            }
            // An `_error` of the engine would not do: encoders look for `onStatus` here.
            State::Asked { stream_id, .. } => {
                self.transport.send_command(stream_id, "onStatus", 0.0, Value::Null, &[error]);
            }
            other => return self.not_now(other, "reject"),
        }
        self.finish(Closed::Rejected { code: code.to_owned(), description: description.to_owned() });
        Ok(())
    }

    /// Tells an accepted publisher or viewer a status and ends the session: `NetStream.Publish.BadName` for a
    /// publisher that another one took over from, `NetStream.Play.UnpublishNotify` for a viewer.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] if nothing is accepted.
    pub fn close(&mut self, code: &str, description: &str) -> Result<(), SessionError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Publishing { stream_id, .. } => {
                let status = command::status("error", code, description);
                self.transport.send_command(stream_id, "onStatus", 0.0, Value::Null, &[status]);
            }
            State::Playing { stream_id } => {
                let status = command::status("status", code, description);
                self.transport.send_user_control(user::STREAM_EOF, stream_id);
                self.transport.send_command(stream_id, "onStatus", 0.0, Value::Null, &[status]);
            }
            other => return self.not_now(other, "close"),
        }
        self.finish(Closed::ByUs);
        Ok(())
    }

    /// Asks a viewer whether it is there (7.1.7, PingRequest), and shows it that this end is. Nothing in any other state.
    pub fn ping(&mut self, now_ms: u64) {
        if let State::Playing { .. } = self.state {
            self.transport.send_user_control(user::PING_REQUEST, crate::time::wrap_ms(now_ms));
        }
    }

    /// Sends a message on the accepted stream: data to a relay peer, or media to a viewer.
    ///
    /// # Errors
    /// [`SessionError::WrongState`] before anything is accepted.
    pub fn send_message(&mut self, kind: u8, timestamp: u32, body: &Bytes) -> Result<(), SessionError> {
        match self.state {
            State::Publishing { stream_id, .. } | State::Playing { stream_id } => {
                self.transport.send(kind, stream_id, timestamp, body);
                Ok(())
            }
            State::Closed => Err(SessionError::Closed),
            State::Opening | State::ConnectAsked { .. } | State::Connected(_) | State::Asked { .. } => {
                Err(SessionError::WrongState("send to"))
            }
        }
    }

    /// The message stream that was asked for or accepted, 0 before. For viewers it is always 1.
    #[must_use]
    pub fn stream_id(&self) -> u32 {
        match self.state {
            State::Asked { stream_id, .. } | State::Publishing { stream_id, .. } | State::Playing { stream_id } => {
                stream_id
            }
            State::Opening | State::ConnectAsked { .. } | State::Connected(_) | State::Closed => 0,
        }
    }

    /// Bytes received so far, handshake included: positions in errors and logs count from there.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.transport.received()
    }

    /// Reads on, unless an answer of the shell is awaited.
    fn step(&mut self) -> Result<Step<Event>, Closed> {
        match self.state {
            State::ConnectAsked { .. } | State::Asked { .. } | State::Closed => Ok(Step::Starved),
            State::Opening | State::Connected(_) | State::Publishing { .. } | State::Playing { .. } => {
                match self.transport.next_message()? {
                    Some(message) => self.handle_message(message).map(Step::from),
                    None => Ok(Step::Starved),
                }
            }
        }
    }

    fn deadline(&self) -> Option<(u64, Waiting)> {
        match self.state {
            State::Opening if !self.transport.is_open() => {
                Some((self.since_ms + limits::HANDSHAKE_MS, Waiting::Handshake))
            }
            State::Opening | State::ConnectAsked { .. } | State::Connected(_) | State::Asked { .. } => {
                Some((self.since_ms + limits::ACCEPT_MS, Waiting::Accept))
            }
            State::Publishing { .. } => Some((self.heard_ms + self.config.publisher_idle_ms, Waiting::Bytes)),
            State::Playing { .. } | State::Closed => None,
        }
    }

    fn answer(&mut self, outcome: Result<Outcome, Closed>) {
        match outcome {
            Ok(outcome) => self.transport.send_all(&outcome.messages),
            Err(closed) => self.end(closed),
        }
    }

    fn not_now(&mut self, state: State, what: &'static str) -> Result<(), SessionError> {
        let closed = matches!(state, State::Closed);
        self.state = state;
        Err(if closed { SessionError::Closed } else { SessionError::WrongState(what) })
    }

    /// Ends the session, once.
    fn end(&mut self, closed: Closed) {
        if !matches!(self.state, State::Closed) {
            self.finish(closed);
        }
    }

    fn finish(&mut self, closed: Closed) {
        self.state = State::Closed;
        self.events.push_back(Event::Closed(closed));
    }
}
