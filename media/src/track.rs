//! What a media message is, once it has left RTMP: a track, a time and the bytes of the FLV tag body.
//!
//! The bytes are never rewritten between the encoder and a viewer of RTMP or HTTP-FLV; only the times are corrected,
//! once, by the ingest.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The two kinds of elementary stream that an event carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    /// RTMP message type 9.
    Video,
    /// RTMP message type 8.
    Audio,
}

/// One audio or video message with its corrected time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which elementary stream it belongs to.
    pub track: Track,
    /// Decoding time in milliseconds since the epoch of the stream began, never wrapped.
    pub t_ms: u64,
    /// A video frame that decoding can start at. False for audio.
    pub key: bool,
    /// The FLV tag body: one or two header bytes, then the payload (FLV specification v10.1, annex E.4.2 and E.4.3).
    pub body: Bytes,
}

/// The configurations in force in one epoch: the bodies of the sequence headers as the encoder sent them.
///
/// Two sets are the same exactly when these bytes are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackSet {
    /// FLV tag body with the AVCDecoderConfigurationRecord, if there is video.
    pub video: Option<Bytes>,
    /// FLV tag body with the AudioSpecificConfig, if there is audio.
    pub audio: Option<Bytes>,
    /// AMF0 payload of the last `onMetaData` before the epoch (the string `onMetaData` and its object), if any came.
    /// It is passed on to players and decides no byte of a segment.
    pub metadata: Option<Bytes>,
}

/// What the first two bytes of an FLV tag body say (FLV specification v10.1, E.4.2.1 and E.4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A sequence header: AVCDecoderConfigurationRecord or AudioSpecificConfig.
    Config,
    /// Coded media; `key` if decoding can start there.
    Media {
        /// An AVC key frame. Always false for audio.
        key: bool,
    },
    /// Nothing that a segment is made of: end of sequence, command frames, codecs other than AVC and AAC.
    Other,
}

/// Classifies an FLV tag body.
#[must_use]
pub fn classify(track: Track, body: &[u8]) -> Class {
    const AVC: u8 = 7;
    const AAC: u8 = 10;
    const KEY: u8 = 1;
    const INTER: u8 = 2;
    match (track, body) {
        (Track::Video, [first, packet, ..]) if first & 0x8f == AVC => match (packet, first >> 4) {
            (0, _) => Class::Config,
            (1, KEY) => Class::Media { key: true },
            (1, INTER..=4) => Class::Media { key: false },
            _ => Class::Other,
        },
        (Track::Audio, [first, packet, ..]) if first >> 4 == AAC => match packet {
            0 => Class::Config,
            1 => Class::Media { key: false },
            _ => Class::Other,
        },
        (Track::Video | Track::Audio, _) => Class::Other,
    }
}
