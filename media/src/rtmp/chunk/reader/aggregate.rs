//! Aggregate messages (RTMP 1.0, 7.1.6): FLV tags in a row, each with its size after it, taken apart one by one.

use super::ChunkError;
use crate::cursor::Cursor;
use crate::rtmp::message::{Message, kind};
use bytes::Bytes;

/// An aggregate that is being taken apart.
#[derive(Debug)]
pub(super) struct Aggregate {
    rest: Bytes,
    stream_id: u32,
    timestamp: u32,
    /// Time of the first part: all are relative to it.
    first: Option<u32>,
}

impl Aggregate {
    pub(super) fn new(message: Message) -> Self {
        Self { rest: message.body, stream_id: message.stream_id, timestamp: message.timestamp, first: None }
    }

    /// The next message in it.
    pub(super) fn next_message(&mut self) -> Result<Option<Message>, ChunkError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut cursor = Cursor::new(&self.rest);
        let (part_kind, length, time) = header(&mut cursor).ok_or(ChunkError::Aggregate)?;
        let start = cursor.position();
        cursor.take(length, "body").map_err(|_| ChunkError::Aggregate)?;
        if !matches!(part_kind, kind::AUDIO | kind::VIDEO | kind::DATA) {
            return Err(ChunkError::AggregateKind { kind: part_kind });
        }
        let first = *self.first.get_or_insert(time);
        let body = self.rest.slice(start..start + length);
        // The size after the last part is left out by some.
        let end = (start + length + 4).min(self.rest.len());
        self.rest = self.rest.slice(end..);
        let timestamp = self.timestamp.wrapping_add(time.wrapping_sub(first));
        Ok(Some(Message { kind: part_kind, stream_id: self.stream_id, timestamp, body }))
    }
}

fn header(cursor: &mut Cursor<'_>) -> Option<(u8, usize, u32)> {
    let kind = cursor.u8("type").ok()?;
    let length = cursor.u24("length").ok()? as usize;
    let low = cursor.u24("time").ok()?;
    let high = u32::from(cursor.u8("time").ok()?);
    cursor.u24("stream").ok()?;
    Some((kind, length, high << 24 | low))
}
