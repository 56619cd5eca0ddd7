//! RTMP messages: what chunks are put together to.

use crate::track::Track;
use bytes::Bytes;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Message type id, see [`kind`].
    pub kind: u8,
    /// Message stream id: 0 for the connection, 1 and up for what `createStream` made.
    pub stream_id: u32,
    /// Milliseconds, wrapping.
    pub timestamp: u32,
    /// Payload.
    pub body: Bytes,
}

impl Message {
    /// The track of an audio or video message.
    #[must_use]
    pub fn track(&self) -> Option<Track> {
        match self.kind {
            kind::AUDIO => Some(Track::Audio),
            kind::VIDEO => Some(Track::Video),
            _ => None,
        }
    }
}

/// Message type ids (RTMP 1.0, 5.4 and 7.1).
pub mod kind {
    /// 5.4.1.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// 5.4.2.
    pub const ABORT: u8 = 2;
    /// 5.4.3.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// 6.2 and 7.1.7: stream begin, pings.
    pub const USER_CONTROL: u8 = 4;
    /// 5.4.4.
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// 5.4.5.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// 7.1.4.
    pub const AUDIO: u8 = 8;
    /// 7.1.5.
    pub const VIDEO: u8 = 9;
    /// 7.1.2, AMF3: a zero byte and AMF0 in practice.
    pub const DATA_AMF3: u8 = 15;
    /// 7.1.1, AMF3: a zero byte and AMF0 in practice.
    pub const COMMAND_AMF3: u8 = 17;
    /// 7.1.2.
    pub const DATA: u8 = 18;
    /// 7.1.1.
    pub const COMMAND: u8 = 20;
    /// 7.1.6: many messages in one.
    pub const AGGREGATE: u8 = 22;
}

/// Chunk stream ids that this side writes on. Readers must not care (5.3.1.1); many expect 2 for control.
pub mod csid {
    use super::kind;

    /// Protocol control (5.4).
    pub const CONTROL: u8 = 2;
    /// Data messages.
    pub const DATA: u8 = 3;
    /// Video.
    pub const VIDEO: u8 = 4;
    /// Audio.
    pub const AUDIO: u8 = 5;
    /// Commands.
    pub const COMMAND: u8 = 6;

    /// The chunk stream of a message type.
    #[must_use]
    pub const fn of(message_kind: u8) -> u8 {
        match message_kind {
            kind::AUDIO => AUDIO,
            kind::VIDEO => VIDEO,
            kind::DATA => DATA,
            kind::COMMAND => COMMAND,
            _ => CONTROL,
        }
    }
}

/// The message type of a track.
#[must_use]
pub const fn kind_of(track: Track) -> u8 {
    match track {
        Track::Audio => kind::AUDIO,
        Track::Video => kind::VIDEO,
    }
}
