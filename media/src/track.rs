//! A media message, once it has left RTMP: a track, a time, the content of its header, and the bytes of the FLV tag body.
//!
//! [`Message::read`] is the door: it reads the header of a tag body once, and the result travels with the message to the
//! muxer. The bytes are not rewritten between the encoder and a viewer of RTMP or HTTP-FLV, except for start codes in the
//! place of lengths, which are no FLV; the times are corrected, once, by the ingest.

use crate::flv::{AudioCodec, AudioPacket, AudioTag, Codec, TagKind, VideoCodec, VideoPacket, VideoTag};
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

impl From<Track> for TagKind {
    fn from(track: Track) -> Self {
        match track {
            Track::Audio => Self::Audio,
            Track::Video => Self::Video,
        }
    }
}

/// One audio or video message as a publisher sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which elementary stream it belongs to.
    pub track: Track,
    /// Its kind, by its header.
    pub class: Class,
    /// The FLV tag body: header bytes, then the payload (FLV specification v10.1, annex E.4.2 and E.4.3).
    pub body: Bytes,
}

impl Message {
    /// Reads the header of an FLV tag body.
    #[must_use]
    pub fn read(track: Track, body: Bytes) -> Self {
        Self { track, class: classify(track, &body), body }
    }

    /// Whether it is a video frame that decoding can start at, by its header. False for audio.
    #[must_use]
    pub fn key(&self) -> bool {
        matches!(self.class, Class::Media(Media { key: true, .. }))
    }

    /// The message with its corrected time.
    #[must_use]
    pub fn at(self, t_ms: u64) -> Frame {
        let Self { track, class, body } = self;
        Frame { track, t_ms, class, body }
    }
}

/// One audio or video message with its corrected time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which elementary stream it belongs to.
    pub track: Track,
    /// Decoding time in milliseconds since the epoch of the stream began, never wrapped.
    pub t_ms: u64,
    /// Its kind, by its header.
    pub class: Class,
    /// The FLV tag body, as in [`Message::body`].
    pub body: Bytes,
}

impl Frame {
    /// Whether it is a video frame that decoding can start at, by its header. False for audio.
    #[must_use]
    pub fn key(&self) -> bool {
        matches!(self.class, Class::Media(Media { key: true, .. }))
    }
}

/// The configurations in force in one epoch: the bodies of the sequence headers as the encoder sent them.
///
/// Equality is that of bytes; whether two headers mean the same, [`crate::codec::same`] tells.
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

impl TrackSet {
    /// The sequence header of a track.
    #[must_use]
    pub fn header(&self, track: Track) -> Option<&Bytes> {
        match track {
            Track::Video => self.video.as_ref(),
            Track::Audio => self.audio.as_ref(),
        }
    }

    /// The sequence header of a track, to be changed.
    pub fn header_mut(&mut self, track: Track) -> &mut Option<Bytes> {
        match track {
            Track::Video => &mut self.video,
            Track::Audio => &mut self.audio,
        }
    }
}

/// The kind of a message, by the header of its FLV tag body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A sequence header: AVCDecoderConfigurationRecord or AudioSpecificConfig.
    Config,
    /// Coded media of a codec that Lectern carries.
    Media(Media),
    /// The encoder announces the end of the sequence: nothing that a segment is made of.
    End,
    /// Nothing that a segment is made of: commands, packet types that are not known, bodies too short for their header.
    Other,
    /// A codec that Lectern does not carry.
    NotCarried(Codec),
}

/// The header fields of coded media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Decoding can start here. Always false for audio.
    pub key: bool,
    /// Presentation minus decoding time in milliseconds; may be negative. 0 for audio.
    pub composition_ms: i32,
    /// Bytes of the header: the payload of the body begins behind them.
    pub header_bytes: u8,
}

impl Media {
    /// The coded media in the body of its message.
    #[must_use]
    pub fn payload(self, body: &Bytes) -> Bytes {
        body.slice(usize::from(self.header_bytes).min(body.len())..)
    }
}

/// Classifies an FLV tag body.
#[must_use]
pub fn classify(track: Track, body: &[u8]) -> Class {
    match track {
        Track::Video => VideoTag::parse(body).map_or(Class::Other, |tag| video(&tag, body.len())),
        Track::Audio => AudioTag::parse(body).map_or(Class::Other, |tag| audio(&tag, body.len())),
    }
}

fn video(tag: &VideoTag<'_>, body_bytes: usize) -> Class {
    match (tag.codec, tag.packet) {
        (VideoCodec::Avc, VideoPacket::SequenceHeader) => Class::Config,
        (VideoCodec::Avc, VideoPacket::Nalu) => {
            let header_bytes = header_bytes(body_bytes, tag.data);
            Class::Media(Media { key: tag.key, composition_ms: tag.composition_ms, header_bytes })
        }
        (VideoCodec::Avc, VideoPacket::EndOfSequence) => Class::End,
        (VideoCodec::Avc, VideoPacket::Other) => Class::Other,
        (codec @ (VideoCodec::Id(_) | VideoCodec::FourCc(_)), _) => Class::NotCarried(Codec::Video(codec)),
    }
}

fn audio(tag: &AudioTag<'_>, body_bytes: usize) -> Class {
    match (tag.codec, tag.packet) {
        (AudioCodec::Aac, AudioPacket::SequenceHeader) => Class::Config,
        (AudioCodec::Aac, AudioPacket::Raw) => {
            let header_bytes = header_bytes(body_bytes, tag.data);
            Class::Media(Media { header_bytes, ..Media::default() })
        }
        (AudioCodec::Aac, AudioPacket::Other) => Class::Other,
        (codec @ (AudioCodec::Format(_) | AudioCodec::FourCc(_)), _) => Class::NotCarried(Codec::Audio(codec)),
    }
}

/// The payload is the end of the body; what is before it is the header, of a few bytes.
fn header_bytes(body_bytes: usize, payload: &[u8]) -> u8 {
    u8::try_from(body_bytes - payload.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_a_message_is() {
        let media = |key, composition_ms, header_bytes| Class::Media(Media { key, composition_ms, header_bytes });
        let other = |name| Err(name);
        let table: &[(Track, &[u8], Result<Class, &str>)] = &[
            (Track::Video, b"\x17\0\0\0\0\x01", Ok(Class::Config)),
            (Track::Video, b"\x27\0\0\0\x50\x01", Ok(Class::Config)),
            (Track::Video, b"\x17\x01\0\0\x50nal", Ok(media(true, 80, 5))),
            (Track::Video, b"\x27\x01\xff\xff\xd8", Ok(media(false, -40, 5))),
            (Track::Video, b"\x47\x01\0\0\0nal", Ok(media(false, 0, 5))),
            (Track::Video, b"\x57\x01", Ok(Class::Other)),
            (Track::Video, b"\x67\x01\0\0\0nal", Ok(Class::Other)),
            (Track::Video, b"\x17\x02\0\0\0", Ok(Class::End)),
            (Track::Video, b"\x17\x01\0", Ok(Class::Other)),
            (Track::Video, b"", Ok(Class::Other)),
            (Track::Video, b"\x90hvc1", other("HEVC")),
            (Track::Video, b"\x12x", other("Sorenson H.263")),
            (Track::Audio, b"\xaf\0\x12\x10", Ok(Class::Config)),
            (Track::Audio, b"\xae\x01frame", Ok(media(false, 0, 2))),
            (Track::Audio, b"\xaf\x02", Ok(Class::Other)),
            (Track::Audio, b"\xaf", Ok(Class::Other)),
            (Track::Audio, b"\x2f", other("MP3")),
            (Track::Audio, b"\x90Opus", other("Opus")),
        ];
        for (track, body, expected) in table {
            match (classify(*track, body), expected) {
                (Class::NotCarried(codec), Err(name)) => assert_eq!(codec.to_string(), *name, "{body:x?}"),
                (found, expected) => assert_eq!(Ok(found), *expected, "{body:x?}"),
            }
        }
    }

    #[test]
    fn the_payload_is_what_follows_the_header() {
        let message = Message::read(Track::Video, Bytes::from_static(b"\x17\x01\0\0\x50nal"));
        let Class::Media(media) = message.class else { panic!("{message:?}") };
        assert_eq!(media.payload(&message.body), "nal");
        assert!(message.at(40).key());
    }
}
