//! Chunk headers (RTMP 1.0, 5.3.1): basic header, message header, extended timestamp.

use super::{Habit, Partial, Reader};
use crate::cursor::Cursor;
use crate::rtmp::chunk::EXTENDED;

/// A type 3 header that begins a message after a type 0 one repeats its time as a delta (5.3.1.2.4), and ffmpeg means
/// it so. librtmp means "the same time". A delta of more than this is no delta of a live stream.
const DELTA_AFTER_TYPE_0_MS_MAX: u32 = 3_000;

/// The fields of the last header on a chunk stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields {
    pub(super) timestamp: u32,
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) stream_id: u32,
    /// The delta that a type 3 header repeats.
    delta: u32,
    /// The timestamp field as it was sent, if it needed four more bytes: type 3 chunks repeat it.
    extended: Option<u32>,
}

/// A header as it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkHeader {
    pub(super) csid: u32,
    /// 0 to 3.
    pub(super) format: u8,
    time: u32,
    extended: bool,
    length: usize,
    kind: u8,
    stream_id: u32,
    /// What this header proves about the peer's habit.
    pub(super) habit: Option<Habit>,
}

pub(super) enum Parsed {
    /// The header and its length.
    Complete(ChunkHeader, usize),
    /// More input is needed.
    Short,
}

/// Reads a header from the first bytes of `bytes`.
pub(super) fn parse(bytes: &[u8], reader: &Reader) -> Parsed {
    match try_parse(bytes, reader) {
        Some((header, length)) => Parsed::Complete(header, length),
        None => Parsed::Short,
    }
}

fn try_parse(bytes: &[u8], reader: &Reader) -> Option<(ChunkHeader, usize)> {
    let mut cursor = Cursor::new(bytes);
    let (format, csid) = basic(&mut cursor)?;
    let mut header =
        ChunkHeader { csid, format, time: 0, extended: false, length: 0, kind: 0, stream_id: 0, habit: None };
    if format == 3 {
        header.habit = repeated_time(&mut cursor, reader, csid)?;
        return Some((header, cursor.position()));
    }
    header.time = cursor.u24("timestamp").ok()?;
    if format < 2 {
        header.length = cursor.u24("length").ok()? as usize;
        header.kind = cursor.u8("type").ok()?;
    }
    if format == 0 {
        header.stream_id = u32::from_le_bytes(cursor.array("stream id").ok()?);
    }
    if header.time == EXTENDED {
        header.time = cursor.u32("extended timestamp").ok()?;
        header.extended = true;
    }
    Some((header, cursor.position()))
}

/// 5.3.1.1: two bits of format, then the chunk stream id in six bits, one byte or two.
fn basic(cursor: &mut Cursor<'_>) -> Option<(u8, u32)> {
    let first = cursor.u8("basic header").ok()?;
    let csid = match first & 0x3f {
        0 => u32::from(cursor.u8("chunk stream id").ok()?) + 64,
        1 => {
            let [low, high] = cursor.array("chunk stream id").ok()?;
            u32::from(high) * 256 + u32::from(low) + 64
        }
        id => u32::from(id),
    };
    Some((first >> 6, csid))
}

/// Steps over the extended timestamp of a type 3 chunk, if this peer sends one. The answer is what was learnt.
fn repeated_time(cursor: &mut Cursor<'_>, reader: &Reader, csid: u32) -> Option<Option<Habit>> {
    let Some(stream) = reader.streams.iter().find(|stream| stream.csid == csid) else { return Some(None) };
    let Some(extended) = stream.header.extended else { return Some(None) };
    match reader.habit {
        Habit::Omits => Some(None),
        Habit::Repeats => cursor.u32("extended timestamp").ok().map(|_| None),
        Habit::Unknown => {
            let mut ahead = cursor.clone();
            let same = ahead.u32("extended timestamp").ok()? == extended;
            if same {
                *cursor = ahead;
            }
            // Only inside a message is the proof beyond doubt: there the field can have no other value.
            let learnt = if same { Habit::Repeats } else { Habit::Omits };
            Some(matches!(stream.partial, Partial::Growing(_)).then_some(learnt))
        }
    }
}

impl ChunkHeader {
    /// What is in force for a message that begins with this header.
    pub(super) fn apply(&self, before: Fields) -> Fields {
        let mut fields = before;
        if self.format < 2 {
            fields.length = self.length;
            fields.kind = self.kind;
        }
        match self.format {
            0 => {
                fields.stream_id = self.stream_id;
                fields.timestamp = self.time;
                fields.delta = if self.time <= DELTA_AFTER_TYPE_0_MS_MAX { self.time } else { 0 };
            }
            1 | 2 => {
                fields.delta = self.time;
                fields.timestamp = before.timestamp.wrapping_add(self.time);
            }
            _ => fields.timestamp = before.timestamp.wrapping_add(before.delta),
        }
        if self.format < 3 {
            fields.extended = self.extended.then_some(self.time);
        }
        fields
    }
}
