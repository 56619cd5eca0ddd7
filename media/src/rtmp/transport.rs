//! What both sessions stand on: handshake, chunks, acknowledgements, pings, and the queue of bytes to send.

use super::chunk::{self, ChunkError, Limits, Reader};
use super::command;
use super::control::{self, Rate, UserControl, user};
use super::event::Closed;
use super::handshake::Handshake;
use super::limits::{BEFORE_ACCEPT, CHUNK_SIZE_DEFAULT, CONTROL_MESSAGES_PER_S_MAX, WINDOW_BYTES};
use super::message::{Message, csid, kind};
use crate::amf0::Value;
use bytes::Bytes;
use std::collections::VecDeque;

/// One connection below commands.
#[derive(Debug)]
pub(super) struct Transport {
    phase: Phase,
    reader: Reader,
    limits: Limits,
    out: VecDeque<Bytes>,
    /// Of the chunks that we write.
    chunk_size: u32,
    received: u64,
    acknowledged: u64,
    /// The peer wants an acknowledgement this often, bytes.
    peer_window: u32,
    control: Rate,
    now_ms: u64,
}

/// What one step of a session's reading came to.
#[derive(Debug)]
pub(super) enum Step<E> {
    /// Something for the shell.
    Event(E),
    /// A message that the shell need not know of; there may be more.
    Quiet,
    /// Nothing can be read before more bytes or an answer come, or before what is queued is sent.
    Starved,
}

impl<E> From<Option<E>> for Step<E> {
    fn from(event: Option<E>) -> Self {
        event.map_or(Self::Quiet, Self::Event)
    }
}

#[derive(Debug)]
enum Phase {
    /// Bytes are the handshake's.
    Handshake(Handshake),
    /// Bytes are chunks.
    Open,
}

impl Transport {
    pub(super) fn server(now_ms: u64) -> Self {
        Self::new(Handshake::server(), VecDeque::new(), BEFORE_ACCEPT, now_ms)
    }

    pub(super) fn client(limits: Limits, now_ms: u64) -> Result<Self, Closed> {
        let (handshake, first) = Handshake::client()?;
        Ok(Self::new(handshake, VecDeque::from([first]), limits, now_ms))
    }

    fn new(handshake: Handshake, out: VecDeque<Bytes>, limits: Limits, now_ms: u64) -> Self {
        Self {
            phase: Phase::Handshake(handshake),
            reader: Reader::new(limits),
            limits,
            out,
            chunk_size: CHUNK_SIZE_DEFAULT,
            received: 0,
            acknowledged: 0,
            peer_window: WINDOW_BYTES,
            control: Rate::default(),
            now_ms,
        }
    }

    /// The handshake is over.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// The last time that was heard of.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(super) fn set_now(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.reader.set_limits(limits);
    }

    pub(super) fn handle_bytes(&mut self, now_ms: u64, mut bytes: Bytes) -> Result<(), Closed> {
        self.set_now(now_ms);
        self.received += bytes.len() as u64;
        if let Phase::Handshake(handshake) = &mut self.phase {
            let step = handshake.advance(&mut bytes)?;
            if !step.response.is_empty() {
                self.out.push_back(step.response);
            }
            if !step.done {
                return Ok(());
            }
            self.phase = Phase::Open;
        }
        // Input piles up only while an answer of the shell is awaited. One read more than the limit is let through:
        // what counts is that it ends.
        let pending = self.reader.unread_bytes();
        if pending > self.limits.pending_bytes {
            return Err(self.malformed(ChunkError::PendingTooMuch { pending, limit: self.limits.pending_bytes }));
        }
        self.reader.push(bytes);
        if self.received - self.acknowledged >= u64::from(self.peer_window) {
            self.acknowledged = self.received;
            // All bytes so far, modulo 2³² (5.4.3).
            let total = crate::time::wrap_ms(self.received);
            self.send(kind::ACKNOWLEDGEMENT, 0, 0, &Bytes::copy_from_slice(&total.to_be_bytes()));
        }
        Ok(())
    }

    /// The next command, data, audio or video message; what is below is dealt with here.
    pub(super) fn next_message(&mut self) -> Result<Option<Message>, Closed> {
        if !self.is_open() {
            return Ok(None);
        }
        // Answers go out before more is read, so that they do not pile up.
        while self.out.is_empty() {
            let Some(mut message) = self.reader.next_message().map_err(|source| self.malformed(source))? else {
                return Ok(None);
            };
            match message.kind {
                kind::AUDIO | kind::VIDEO | kind::DATA | kind::COMMAND => return Ok(Some(message)),
                kind::DATA_AMF3 | kind::COMMAND_AMF3 => {
                    let amf0 = if message.kind == kind::DATA_AMF3 { kind::DATA } else { kind::COMMAND };
                    if message.body.first() == Some(&0) {
                        message.body = message.body.slice(1..);
                    }
                    return Ok(Some(Message { kind: amf0, ..message }));
                }
                kind::ACKNOWLEDGEMENT | kind::SET_PEER_BANDWIDTH => {}
                kind::WINDOW_ACKNOWLEDGEMENT_SIZE => self.set_peer_window(&message.body),
                kind::USER_CONTROL => self.user_control(&message.body)?,
                // Chunk sizes and aborts have taken effect in the reader; the rest is unknown.
                _ => self.count_control()?,
            }
        }
        Ok(None)
    }

    /// One more message of the kind whose rate is limited.
    pub(super) fn count_control(&mut self) -> Result<(), Closed> {
        if self.control.admit(self.now_ms) {
            Ok(())
        } else {
            Err(Closed::TooManyControlMessages { limit: CONTROL_MESSAGES_PER_S_MAX })
        }
    }

    fn set_peer_window(&mut self, body: &[u8]) {
        if let Some(window) = control::number(body).filter(|window| *window > 0) {
            self.peer_window = window;
        }
    }

    fn user_control(&mut self, body: &[u8]) -> Result<(), Closed> {
        match UserControl::parse(body) {
            Some(UserControl { event: user::PING_REQUEST, value }) => {
                self.send_user_control(user::PING_RESPONSE, value);
                Ok(())
            }
            Some(UserControl { event: user::PING_RESPONSE, .. }) => Ok(()),
            _ => self.count_control(),
        }
    }

    pub(super) fn send_user_control(&mut self, event: u16, value: u32) {
        let body = UserControl { event, value }.to_bytes();
        self.send(kind::USER_CONTROL, 0, 0, &Bytes::copy_from_slice(&body));
    }

    pub(super) fn send_command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        object: Value,
        arguments: &[Value],
    ) {
        let body = command::payload(name, transaction, object, arguments);
        self.send(kind::COMMAND, stream_id, 0, &body);
    }

    /// Queues a message. A body that fits into one chunk is not copied.
    pub(super) fn send(&mut self, message_kind: u8, stream_id: u32, timestamp: u32, body: &Bytes) {
        let csid = csid::of(message_kind);
        if message_kind != kind::AUDIO && message_kind != kind::VIDEO || body.len() > self.chunk_size as usize {
            self.out.push_back(chunk::serialise(csid, message_kind, stream_id, timestamp, body, self.chunk_size));
        } else {
            self.out.push_back(chunk::header(csid, message_kind, stream_id, timestamp, body.len()));
            self.out.push_back(body.clone());
        }
        if message_kind == kind::SET_CHUNK_SIZE
            && let Some(size) = control::number(body)
        {
            self.chunk_size = size;
        }
    }

    /// Queues the answers of an engine with time stamp 0: the engine read a clock for its own.
    pub(super) fn send_all(&mut self, messages: &[Message]) {
        for message in messages {
            self.send(message.kind, message.stream_id, 0, &message.body);
        }
    }

    pub(super) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }

    pub(super) fn malformed(&self, source: ChunkError) -> Closed {
        Closed::Chunk { received: self.received, source }
    }
}
