//! Reading chunks: any split of the input, any interleaving, bounded, and without a copy where a message lies whole
//! in one piece of input.

use super::Limits;
use crate::rtmp::limits::{CHUNK_SIZE_DEFAULT, CHUNK_SIZE_MAX, CHUNK_SIZE_MIN};
use crate::rtmp::message::{Message, kind};
use bytes::{Buf, Bytes};

mod aggregate;
mod header;
use aggregate::Aggregate;
use header::{ChunkHeader, Fields, Parsed};

/// Shorter messages are copied out of the input: most audio is, and a ring that holds some hundred bytes of each piece
/// of input would hold all of them. Video of encoders with chunks of 4,096 bytes is put together in memory of its own
/// anyway, so that nothing holds their input once it is read.
const SLICE_BYTES_MIN: usize = 4 * 1024;

/// Why a peer's chunks cannot be read. The connection is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A message longer than the limit.
    #[error("message of {length} bytes on chunk stream {csid} is longer than {limit}")]
    MessageTooLong {
        /// Announced length.
        length: usize,
        /// The chunk stream.
        csid: u32,
        /// The limit in force.
        limit: usize,
    },
    /// Unfinished messages of more than the limit together.
    #[error("{pending} bytes of unfinished messages are more than {limit}")]
    PendingTooMuch {
        /// What they would be.
        pending: usize,
        /// The limit in force.
        limit: usize,
    },
    /// One chunk stream too many.
    #[error("chunk stream {csid} would be one more than the {limit} allowed")]
    TooManyChunkStreams {
        /// The one that came.
        csid: u32,
        /// The limit in force.
        limit: usize,
    },
    /// A header that refers to one that never came.
    #[error("chunk header type {format} on chunk stream {csid}, which has no header before it")]
    NoHeaderBefore {
        /// 2 or 3.
        format: u8,
        /// The chunk stream.
        csid: u32,
    },
    /// A new message where the last one has not ended.
    #[error("chunk header type {format} on chunk stream {csid} inside a message that lacks {left} bytes")]
    HeaderInsideMessage {
        /// 0, 1 or 2.
        format: u8,
        /// The chunk stream.
        csid: u32,
        /// What the message lacks.
        left: usize,
    },
    /// Set Chunk Size outside of what is accepted.
    #[error("chunk size {size} is not accepted, 128 is the least")]
    ChunkSize {
        /// What the peer wants.
        size: u32,
    },
    /// A protocol control message of the wrong length.
    #[error("protocol control message of type {kind} has {length} bytes, 4 are needed")]
    ControlLength {
        /// Message type.
        kind: u8,
        /// Its length.
        length: usize,
    },
    /// An aggregate whose parts do not fit into it.
    #[error("aggregate message is cut short")]
    Aggregate,
    /// Something else than media in an aggregate.
    #[error("aggregate message carries a message of type {kind}")]
    AggregateKind {
        /// Its type.
        kind: u8,
    },
}

/// Puts one peer's chunks together. Set Chunk Size and Abort take effect here, and come out as messages too, so that
/// the caller can count them.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: usize,
    /// Bytes of a header that is not complete yet: at most the longest header.
    carry: Vec<u8>,
    input: Bytes,
    /// Few: a linear search beats a map.
    streams: Vec<ChunkStream>,
    /// In which chunk, by index of its stream, the input stands.
    inside: Option<Inside>,
    aggregate: Option<Aggregate>,
    /// Announced lengths of unfinished messages.
    pending: usize,
    habit: Habit,
}

/// A chunk stream: the last header, and the message that is growing.
#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    header: Fields,
    partial: Partial,
}

/// The message that grows on a chunk stream.
#[derive(Debug)]
enum Partial {
    /// None.
    Idle,
    /// Some of it came.
    Growing(Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
struct Inside {
    stream: usize,
    chunk_left: usize,
}

/// Whether the peer repeats the extended timestamp in type 3 chunks, as the specification asks, or leaves it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Unknown,
    Repeats,
    Omits,
}

impl Reader {
    /// At the first byte after the handshake.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: CHUNK_SIZE_DEFAULT as usize,
            carry: Vec::new(),
            input: Bytes::new(),
            streams: Vec::new(),
            inside: None,
            aggregate: None,
            pending: 0,
            habit: Habit::Unknown,
        }
    }

    /// Other limits from here on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Adds input. Messages that come out may be slices of it.
    ///
    /// It is meant to be called when [`Reader::next_message`] has nothing more; otherwise what is left is copied.
    pub fn push(&mut self, bytes: Bytes) {
        if self.input.is_empty() {
            self.input = bytes;
        } else {
            let mut joined = Vec::with_capacity(self.input.len() + bytes.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&bytes);
            self.input = joined.into();
        }
    }

    /// Input that was not read yet.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        self.input.len() + self.carry.len()
    }

    /// Unfinished messages, by the lengths that their headers announce.
    #[must_use]
    pub fn unfinished_bytes(&self) -> usize {
        self.pending
    }

    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        let growing = self.streams.iter().map(|stream| match &stream.partial {
            Partial::Growing(body) => body.capacity(),
            Partial::Idle => 0,
        });
        growing.sum::<usize>() + self.carry.capacity()
    }

    /// The next message, `None` when more input is needed.
    ///
    /// # Errors
    /// [`ChunkError`]: what follows makes no sense any more.
    pub fn next_message(&mut self) -> Result<Option<Message>, ChunkError> {
        loop {
            if let Some(aggregate) = &mut self.aggregate {
                match aggregate.next_message()? {
                    Some(message) => return Ok(Some(message)),
                    None => self.aggregate = None,
                }
            }
            let Some(inside) = self.inside else {
                if self.begin_chunk()? {
                    continue;
                }
                return Ok(None);
            };
            let Some(body) = self.advance(inside) else {
                if self.input.is_empty() && self.inside.is_some() {
                    return Ok(None);
                }
                continue;
            };
            let fields = self.streams[inside.stream].header;
            let message = Message { kind: fields.kind, stream_id: fields.stream_id, timestamp: fields.timestamp, body };
            match message.kind {
                kind::AGGREGATE => self.aggregate = Some(Aggregate::new(message)),
                kind::SET_CHUNK_SIZE | kind::ABORT => {
                    self.apply(&message)?;
                    return Ok(Some(message));
                }
                _ => return Ok(Some(message)),
            }
        }
    }

    /// Reads a header. False: more input is needed.
    fn begin_chunk(&mut self) -> Result<bool, ChunkError> {
        let header = if self.carry.is_empty() {
            match header::parse(&self.input, self) {
                Parsed::Complete(header, length) => {
                    self.input.advance(length);
                    header
                }
                Parsed::Short => {
                    self.carry.extend_from_slice(&self.input);
                    self.input.clear();
                    return Ok(false);
                }
            }
        } else {
            let Some(header) = self.stitch() else { return Ok(false) };
            header
        };
        self.enter(header)?;
        Ok(true)
    }

    /// A header that began in an earlier piece of input: byte by byte, it happens once a piece at most.
    fn stitch(&mut self) -> Option<ChunkHeader> {
        loop {
            if let Parsed::Complete(header, length) = header::parse(&self.carry, self) {
                // Looking for an extended timestamp that is left out takes in up to four bytes of payload.
                if length < self.carry.len() {
                    let back = self.carry.split_off(length);
                    let rest = std::mem::take(&mut self.input);
                    self.input = [&back[..], &rest[..]].concat().into();
                }
                self.carry.clear();
                return Some(header);
            }
            let &byte = self.input.first()?;
            self.carry.push(byte);
            self.input.advance(1);
        }
    }

    /// A chunk with this header begins.
    fn enter(&mut self, header: ChunkHeader) -> Result<(), ChunkError> {
        let csid = header.csid;
        if let Some(habit) = header.habit {
            self.habit = habit;
        }
        let index = match self.streams.iter().position(|stream| stream.csid == csid) {
            Some(index) => index,
            None if header.format >= 2 => return Err(ChunkError::NoHeaderBefore { format: header.format, csid }),
            None if self.streams.len() >= self.limits.chunk_streams => {
                return Err(ChunkError::TooManyChunkStreams { csid, limit: self.limits.chunk_streams });
            }
            None => {
                self.streams.push(ChunkStream { csid, header: Fields::default(), partial: Partial::Idle });
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        let left = match &stream.partial {
            Partial::Growing(body) => {
                let left = stream.header.length - body.len();
                if header.format != 3 {
                    return Err(ChunkError::HeaderInsideMessage { format: header.format, csid, left });
                }
                left
            }
            Partial::Idle => {
                stream.header = header.apply(stream.header);
                let length = stream.header.length;
                if length > self.limits.message_bytes {
                    return Err(ChunkError::MessageTooLong { length, csid, limit: self.limits.message_bytes });
                }
                let pending = self.pending + length;
                if pending > self.limits.pending_bytes {
                    return Err(ChunkError::PendingTooMuch { pending, limit: self.limits.pending_bytes });
                }
                length
            }
        };
        self.inside = Some(Inside { stream: index, chunk_left: left.min(self.chunk_size) });
        Ok(())
    }

    /// Takes payload from the input. `Some`: the message is complete.
    fn advance(&mut self, inside: Inside) -> Option<Bytes> {
        let stream = &mut self.streams[inside.stream];
        let length = stream.header.length;
        let take = inside.chunk_left.min(self.input.len());
        // The whole message in one piece: no copy, unless it is so short that it would keep alive what lies around it.
        if matches!(stream.partial, Partial::Idle) && take == length {
            self.inside = None;
            let body = self.input.split_to(take);
            return Some(if take < SLICE_BYTES_MIN { Bytes::copy_from_slice(&body) } else { body });
        }
        if take == 0 {
            return None;
        }
        if matches!(stream.partial, Partial::Idle) {
            stream.partial = Partial::Growing(Vec::new());
            self.pending += length;
        }
        let Partial::Growing(body) = &mut stream.partial else { return None };
        grow(body, take, self.input.len(), length);
        body.extend_from_slice(&self.input[..take]);
        self.input.advance(take);
        let whole = body.len() == length;
        let chunk_left = inside.chunk_left - take;
        self.inside = (chunk_left > 0).then_some(Inside { chunk_left, ..inside });
        if !whole {
            return None;
        }
        self.pending -= length;
        match std::mem::replace(&mut stream.partial, Partial::Idle) {
            Partial::Growing(body) => Some(body.into()),
            Partial::Idle => None,
        }
    }

    /// Set Chunk Size (5.4.1) and Abort (5.4.2).
    fn apply(&mut self, message: &Message) -> Result<(), ChunkError> {
        let Some(&[a, b, c, d]) = message.body.first_chunk::<4>() else {
            return Err(ChunkError::ControlLength { kind: message.kind, length: message.body.len() });
        };
        let value = u32::from_be_bytes([a, b, c, d]);
        if message.kind == kind::SET_CHUNK_SIZE {
            // The first bit must be 0; with it the value is far out of range anyway.
            if !(CHUNK_SIZE_MIN..1 << 31).contains(&value) {
                return Err(ChunkError::ChunkSize { size: value });
            }
            self.chunk_size = value.min(CHUNK_SIZE_MAX) as usize;
        } else if let Some(stream) = self.streams.iter_mut().find(|stream| stream.csid == value)
            && let Partial::Growing(_) = stream.partial
        {
            self.pending -= stream.header.length;
            stream.partial = Partial::Idle;
        }
        Ok(())
    }
}

/// Room for what came, and then twice as much, up to the announced length: what a peer announces and does not send is
/// not allocated.
fn grow(body: &mut Vec<u8>, take: usize, came: usize, length: usize) {
    const FIRST_BYTES: usize = 4 * 1024;
    let needed = body.len() + take;
    if needed > body.capacity() {
        let capacity = (body.len() + came).max(body.capacity() * 2).max(FIRST_BYTES).min(length);
        body.reserve_exact(capacity - body.len());
    }
}
