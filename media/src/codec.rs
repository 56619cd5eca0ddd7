//! The codecs that Lectern carries: one [`Config`] over all of them, each codec reads its own record.
//!
//! A codec that joins gets a file here and an arm in [`Config`]; the door ([`crate::track::Class`]) then lets it in.

use crate::flv::{AudioCodec, AudioPacket, AudioTag, Codec, VideoCodec, VideoPacket, VideoTag};
use crate::track::Track;
use bytes::Bytes;

pub mod aac;
pub mod avc;

/// The decoder configuration of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// H.264.
    Avc(avc::Config),
    /// AAC.
    Aac(aac::Config),
}

/// Why a sequence header was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A codec that Lectern does not carry, or H.264 and AAC in an Enhanced RTMP header.
    #[error("{codec} is not carried: use H.264 and AAC")]
    Codec {
        /// The codec of the tag.
        codec: Codec,
    },
    /// The tag body is no sequence header.
    #[error("not a sequence header of {0}")]
    NotASequenceHeader(&'static str),
    /// The record of H.264.
    #[error(transparent)]
    Avc(#[from] avc::ConfigError),
    /// The record of AAC.
    #[error(transparent)]
    Aac(#[from] aac::ConfigError),
}

impl Config {
    /// Reads the body of an FLV tag that is a sequence header.
    ///
    /// # Errors
    /// Another codec, another packet type, or a record that its codec refuses: see [`ConfigError`].
    pub fn read(track: Track, body: &Bytes) -> Result<Self, ConfigError> {
        match track {
            Track::Video => avc_of(body).map(Self::Avc),
            Track::Audio => aac_of(body).map(Self::Aac),
        }
    }

    /// Its name in CODECS (RFC 6381), e.g. `avc1.64001f`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Avc(config) => &config.codec_string,
            Self::Aac(config) => &config.codec_string,
        }
    }

    /// Width and height in pixels after cropping; `None` of sound.
    #[must_use]
    pub fn resolution(&self) -> Option<(u32, u32)> {
        match self {
            Self::Avc(config) => Some((config.width, config.height)),
            Self::Aac(_) => None,
        }
    }
}

fn avc_of(body: &Bytes) -> Result<avc::Config, ConfigError> {
    let none = ConfigError::NotASequenceHeader("H.264");
    let Ok(tag) = VideoTag::parse(body) else { return Err(none) };
    match (tag.codec, tag.packet) {
        (VideoCodec::Avc, VideoPacket::SequenceHeader) => Ok(avc::Config::parse(&body.slice_ref(tag.data))?),
        (VideoCodec::Avc, _) => Err(none),
        (codec, _) => Err(ConfigError::Codec { codec: Codec::Video(codec) }),
    }
}

fn aac_of(body: &Bytes) -> Result<aac::Config, ConfigError> {
    let none = ConfigError::NotASequenceHeader("AAC");
    let Ok(tag) = AudioTag::parse(body) else { return Err(none) };
    match (tag.codec, tag.packet) {
        (AudioCodec::Aac, AudioPacket::SequenceHeader) => Ok(aac::Config::parse(tag.data)?),
        (AudioCodec::Aac, _) => Err(none),
        (codec, _) => Err(ConfigError::Codec { codec: Codec::Audio(codec) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVC: &[u8] =
        b"\x01\x42\xc0\x0b\xff\xe1\x00\x17\x67\x42\xc0\x0b\xda\x05\x06\x7e\x7c\x04\x40\x00\x00\x03\x00\x40\
        \x00\x00\x05\x03\xc5\x0a\xa8\x01\x00\x04\x68\xce\x0f\xc8";

    #[test]
    fn sequence_headers_are_read_by_the_codec_of_their_tag() {
        let video: Bytes = [b"\x17\0\0\0\0", AVC].concat().into();
        let config = Config::read(Track::Video, &video).unwrap();
        assert_eq!((config.name(), config.resolution()), ("avc1.42c00b", Some((320, 180))));
        let config = Config::read(Track::Audio, &Bytes::from_static(b"\xaf\0\x12\x10")).unwrap();
        assert_eq!((config.name(), config.resolution()), ("mp4a.40.2", None));
    }

    #[test]
    fn what_is_no_sequence_header_of_a_carried_codec_is_refused_by_name() {
        let table: &[(Track, &'static [u8], &str)] = &[
            (Track::Video, b"\x17\x01\0\0\0nal", "not a sequence header of H.264"),
            (Track::Video, b"\x17\0", "not a sequence header of H.264"),
            (Track::Video, b"", "not a sequence header of H.264"),
            (Track::Video, b"\x12\0", "Sorenson H.263 is not carried: use H.264 and AAC"),
            (Track::Video, b"\x90av01\0", "AV1 is not carried: use H.264 and AAC"),
            (Track::Video, b"\x17\0\0\0\0", "AVC configuration ends at byte 0, in the middle of version"),
            (Track::Audio, b"\xaf\x01\x12\x10", "not a sequence header of AAC"),
            (Track::Audio, b"\xaf", "not a sequence header of AAC"),
            (Track::Audio, b"\xb2\0", "Speex is not carried: use H.264 and AAC"),
            (Track::Audio, b"\xaf\0", "AudioSpecificConfig ends at byte 0, in the middle of object type"),
        ];
        for (track, body, text) in table {
            let error = Config::read(*track, &Bytes::from_static(body)).unwrap_err();
            assert_eq!(error.to_string(), *text, "{body:x?}");
        }
    }
}
