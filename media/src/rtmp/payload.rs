//! What audio, video and data messages mean to a receiver of a stream; the same for both sessions.

use super::command::leading_string;
use super::message::{Message, kind};
use crate::amf0::{self, Limits};
use crate::flv::{AudioPacket, AudioTag, VideoPacket, VideoTag};
use crate::track::Track;
use bytes::Bytes;

/// What encoders put before metadata that is to be kept.
const SET_DATA_FRAME: &[u8] = b"@setDataFrame";
/// The name of metadata.
const METADATA: &[u8] = b"onMetaData";

/// A message of a stream, read as far as its receiver needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Media { track: Track, timestamp: u32, body: Bytes },
    Metadata(Bytes),
    Data(Bytes),
}

/// `None` for what is to be dropped: another kind, data without a name, metadata that would hurt a reader.
pub(super) fn read(message: Message) -> Option<Payload> {
    if let Some(track) = message.track() {
        let body = if is_sequence_header(track, &message.body) {
            // It is kept for the whole epoch: as a slice it would keep a whole read buffer alive.
            Bytes::copy_from_slice(&message.body)
        } else {
            message.body
        };
        return Some(Payload::Media { track, timestamp: message.timestamp, body });
    }
    if message.kind != kind::DATA {
        return None;
    }
    let (name, length) = leading_string(&message.body)?;
    let data = if name == SET_DATA_FRAME { message.body.slice(length..) } else { message.body };
    let (name, _) = leading_string(&data)?;
    if name != METADATA {
        return Some(Payload::Data(data));
    }
    harmless(&data).then(|| Payload::Metadata(Bytes::copy_from_slice(&data)))
}

/// Metadata goes through byte for byte, also with values that we cannot read; but not a bomb.
fn harmless(metadata: &[u8]) -> bool {
    match amf0::read_all(metadata, Limits::METADATA) {
        Ok(_) | Err(amf0::Error::Marker { .. } | amf0::Error::Short(_)) => true,
        Err(amf0::Error::Depth { .. } | amf0::Error::Values { .. } | amf0::Error::Bytes { .. }) => false,
    }
}

fn is_sequence_header(track: Track, body: &[u8]) -> bool {
    match track {
        Track::Video => VideoTag::parse(body).is_ok_and(|tag| tag.packet == VideoPacket::SequenceHeader),
        Track::Audio => AudioTag::parse(body).is_ok_and(|tag| tag.packet == AudioPacket::SequenceHeader),
    }
}
