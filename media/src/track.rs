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
