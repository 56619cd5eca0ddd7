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

    /// Whether both configure a decoder alike: headers may differ in bytes without meaning.
    #[must_use]
    pub fn means_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Avc(own), Self::Avc(other)) => own.means_the_same(other),
            (Self::Aac(own), Self::Aac(other)) => own == other,
            (Self::Avc(_), Self::Aac(_)) | (Self::Aac(_), Self::Avc(_)) => false,
        }
    }

    /// The body of an FLV tag that is its sequence header. `None` where it cannot be written: AAC, and H.264 with more
    /// parameter sets than a record can list.
    #[must_use]
    pub fn sequence_header(&self) -> Option<Bytes> {
        const AVC_SEQUENCE_HEADER: &[u8] = &[0x17, 0, 0, 0, 0];
        match self {
            Self::Avc(config) => Some([AVC_SEQUENCE_HEADER, &config.record()?].concat().into()),
            Self::Aac(_) => None,
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

    /// Frames a second that it declares, in thousandths; `None` of sound.
    #[must_use]
    pub fn frame_rate_milli(&self) -> Option<u32> {
        match self {
            Self::Avc(config) => config.info.frame_rate_milli,
            Self::Aac(_) => None,
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

/// Whether two sequence headers of a track mean the same. One that cannot be read means the same as none but its equal.
#[must_use]
pub fn same(track: Track, one: &Bytes, other: &Bytes) -> bool {
    let read = |body| Config::read(track, body).ok();
    one == other || read(one).zip(read(other)).is_some_and(|(one, other)| one.means_the_same(&other))
}

/// The sequence header in force from an access unit on, if parameter sets inside the access unit change the one in force
/// before it. `None` where they change nothing.
#[must_use]
pub fn changed_by(header: &Bytes, access_unit: &[u8]) -> Option<Bytes> {
    let Config::Avc(config) = Config::read(Track::Video, header).ok()? else { return None };
    Config::Avc(config.changed_by(access_unit)?).sequence_header()
}

/// The same access unit with a length before each NAL unit, where start codes are in their place. `None` where that is not so,
/// or `header` cannot be read.
#[must_use]
pub fn with_lengths(header: &Bytes, access_unit: &[u8]) -> Option<Vec<u8>> {
    // A usual length of four bytes begins with two zeros, too: the configuration is not read for those.
    if !avc::nal::begins_with_start_code(access_unit) {
        return None;
    }
    let Config::Avc(config) = Config::read(Track::Video, header).ok()? else { return None };
    avc::nal::with_lengths(access_unit, config.nal_length_size)
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
    fn headers_are_compared_by_their_meaning() {
        let video = |header: &[u8]| Bytes::from([header, AVC].concat());
        let plain = video(b"\x17\0\0\0\0");
        assert!(same(Track::Video, &plain, &video(b"\x17\0\0\0\x50")), "composition time of a header");
        assert!(same(Track::Video, &plain, &video(b"\x27\0\0\0\0")), "frame type of a header");
        assert!(!same(Track::Video, &plain, &Bytes::from_static(b"\x17\0\0\0\0")), "a header without a record");
        let audio = |bytes: &'static [u8]| Bytes::from_static(bytes);
        let stereo = audio(b"\xaf\0\x12\x10");
        assert!(same(Track::Audio, &stereo, &audio(b"\xae\0\x12\x10")), "the sound type bit");
        assert!(same(Track::Audio, &stereo, &audio(b"\xaf\0\x12\x10\0")), "a byte behind the configuration");
        assert!(!same(Track::Audio, &stereo, &audio(b"\xaf\0\x12\x08")), "mono");
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
