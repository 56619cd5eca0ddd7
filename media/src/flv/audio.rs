//! Audio tag bodies (annex E.4.2) and the extended header of Enhanced RTMP v2.

use super::{Error, four_cc_text};
use crate::cursor::Cursor;
use std::fmt;

/// A parsed audio tag body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTag<'a> {
    /// What the payload is coded in.
    pub codec: AudioCodec,
    /// What the payload is.
    pub packet: AudioPacket,
    /// The payload: for AAC the AudioSpecificConfig, or one raw frame.
    pub data: &'a [u8],
}

/// The codec of an audio tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AudioCodec {
    /// AAC, sound format 10: the one that is carried.
    Aac,
    /// Another sound format of FLV.
    Format(u8),
    /// A codec of Enhanced RTMP.
    FourCc([u8; 4]),
}

/// What an audio tag carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioPacket {
    /// The decoder configuration.
    SequenceHeader,
    /// Coded sound.
    Raw,
    /// Nothing that is decoded.
    Other,
}

impl<'a> AudioTag<'a> {
    /// Reads an audio message's body.
    ///
    /// # Errors
    /// [`Error::Short`] if it ends inside the header; an empty body does.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(body);
        let first = cursor.u8("audio tag header").map_err(Error::Short)?;
        match first >> 4 {
            10 => {
                let packet = match cursor.u8("AAC packet type").map_err(Error::Short)? {
                    0 => AudioPacket::SequenceHeader,
                    1 => AudioPacket::Raw,
                    _ => AudioPacket::Other,
                };
                Ok(Self { codec: AudioCodec::Aac, packet, data: cursor.rest() })
            }
            ENHANCED => {
                let codec = AudioCodec::FourCc(cursor.array("audio fourCC").map_err(Error::Short)?);
                let packet = match first & 0xf {
                    0 => AudioPacket::SequenceHeader,
                    1 => AudioPacket::Raw,
                    _ => AudioPacket::Other,
                };
                Ok(Self { codec, packet, data: cursor.rest() })
            }
            format => Ok(Self { codec: AudioCodec::Format(format), packet: AudioPacket::Raw, data: cursor.rest() }),
        }
    }
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aac => out.write_str("AAC"),
            Self::Format(0 | 3) => out.write_str("PCM"),
            Self::Format(1) => out.write_str("ADPCM"),
            Self::Format(2 | 14) => out.write_str("MP3"),
            Self::Format(4..=6) => out.write_str("Nellymoser"),
            Self::Format(7) => out.write_str("G.711 A-law"),
            Self::Format(8) => out.write_str("G.711 µ-law"),
            Self::Format(11) => out.write_str("Speex"),
            Self::Format(format) => write!(out, "audio format {format}"),
            Self::FourCc([b'O', b'p', b'u', b's']) => out.write_str("Opus"),
            Self::FourCc([b'f', b'L', b'a', b'C']) => out.write_str("FLAC"),
            Self::FourCc([b'a', b'c', b'-', b'3']) => out.write_str("AC-3"),
            Self::FourCc([b'e', b'c', b'-', b'3']) => out.write_str("E-AC-3"),
            Self::FourCc([b'.', b'm', b'p', b'3']) => out.write_str("MP3"),
            Self::FourCc([b'm', b'p', b'4', b'a']) => out.write_str("AAC by Enhanced RTMP"),
            Self::FourCc(four_cc) => write!(out, "audio codec {}", four_cc_text(*four_cc)),
        }
    }
}

/// Sound format of the extended header.
const ENHANCED: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aac_tags_are_read() {
        let header = AudioTag::parse(b"\xaf\0\x12\x10").expect("parses");
        assert_eq!((header.codec, header.packet), (AudioCodec::Aac, AudioPacket::SequenceHeader));
        assert_eq!(header.data, b"\x12\x10");
        let raw = AudioTag::parse(b"\xaf\x01frame").expect("parses");
        assert_eq!((raw.packet, raw.data), (AudioPacket::Raw, &b"frame"[..]));
    }

    #[test]
    fn codecs_that_are_not_carried_are_named() {
        let cases: &[(&[u8], &str)] = &[
            (b"\x2fx", "MP3"),
            (b"\xb2x", "Speex"),
            (b"\x7ex", "G.711 A-law"),
            (b"\x90Opusx", "Opus"),
            (b"\x91fLaCx", "FLAC"),
            (b"\x90mp4a\x12", "AAC by Enhanced RTMP"),
            (b"\xd0x", "audio format 13"),
        ];
        for (body, name) in cases {
            assert_eq!(AudioTag::parse(body).expect("parses").codec.to_string(), *name, "{body:x?}");
        }
    }

    #[test]
    fn every_cut_inside_the_header_is_short() {
        for whole in [&b"\xaf\x01"[..], b"\x90Opus"] {
            for length in 0..whole.len() {
                assert!(matches!(AudioTag::parse(&whole[..length]), Err(Error::Short(_))), "{length} of {whole:x?}");
            }
        }
    }
}
