//! Video tag bodies (annex E.4.3) and the extended header of Enhanced RTMP.

use super::{Error, four_cc_text};
use crate::cursor::Cursor;
use std::fmt;

/// A parsed video tag body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoTag<'a> {
    /// A frame that decoding can start at. Encoders set it on sequence headers too.
    pub key: bool,
    /// What the payload is coded in.
    pub codec: VideoCodec,
    /// What the payload is.
    pub packet: VideoPacket,
    /// Presentation minus decoding time, milliseconds; may be negative.
    pub composition_ms: i32,
    /// The payload: for AVC the decoder configuration record, or NAL units with their lengths before them.
    pub data: &'a [u8],
}

/// The codec of a video tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VideoCodec {
    /// H.264, codec id 7: the one that is carried.
    Avc,
    /// Another codec id of FLV.
    Id(u8),
    /// A codec of Enhanced RTMP.
    FourCc([u8; 4]),
}

/// What a video tag carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoPacket {
    /// The decoder configuration.
    SequenceHeader,
    /// A coded frame.
    Nalu,
    /// The stream ends.
    EndOfSequence,
    /// Nothing that is decoded: commands, metadata, packet types this reader does not know.
    Other,
}

impl<'a> VideoTag<'a> {
    /// Reads a video message's body.
    ///
    /// # Errors
    /// [`Error::Short`] if it ends inside the header; an empty body does.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(body);
        let first = cursor.u8("video tag header").map_err(Error::Short)?;
        let frame_type = (first >> 4) & 0x7;
        if first & 0x80 != 0 {
            return Self::parse_enhanced(first & 0xf, frame_type, cursor);
        }
        let codec = match first & 0xf {
            7 => VideoCodec::Avc,
            id => VideoCodec::Id(id),
        };
        let key = frame_type == FRAME_KEY;
        // Frame type 5 carries a command byte in place of the AVC header.
        if codec != VideoCodec::Avc || frame_type == FRAME_COMMAND {
            let packet = if frame_type == FRAME_COMMAND { VideoPacket::Other } else { VideoPacket::Nalu };
            return Ok(Self { key, codec, packet, composition_ms: 0, data: cursor.rest() });
        }
        let packet = match cursor.u8("AVC packet type").map_err(Error::Short)? {
            0 => VideoPacket::SequenceHeader,
            1 if FRAMES.contains(&frame_type) => VideoPacket::Nalu,
            2 => VideoPacket::EndOfSequence,
            _ => VideoPacket::Other,
        };
        let composition_ms = cursor.i24("composition time").map_err(Error::Short)?;
        Ok(Self { key, codec, packet, composition_ms, data: cursor.rest() })
    }

    fn parse_enhanced(packet_type: u8, frame_type: u8, mut cursor: Cursor<'a>) -> Result<Self, Error> {
        let key = frame_type == FRAME_KEY;
        if matches!(packet_type, ENHANCED_MULTITRACK | ENHANCED_MOD_EX) {
            return Self::parse_wrapped(packet_type, key, cursor);
        }
        let codec = VideoCodec::FourCc(cursor.array("video fourCC").map_err(Error::Short)?);
        let (packet, composition_ms) = match packet_type {
            0 => (VideoPacket::SequenceHeader, 0),
            1 if matches!(codec, VideoCodec::FourCc([b'a' | b'h', b'v', b'c', b'1'])) => {
                (VideoPacket::Nalu, cursor.i24("composition time").map_err(Error::Short)?)
            }
            1 | 3 => (VideoPacket::Nalu, 0),
            2 => (VideoPacket::EndOfSequence, 0),
            _ => (VideoPacket::Other, 0),
        };
        Ok(Self { key, codec, packet, composition_ms, data: cursor.rest() })
    }

    /// Multitrack and modified packets: read as far as the codec's name, where it is in a fixed place.
    fn parse_wrapped(packet_type: u8, key: bool, mut cursor: Cursor<'a>) -> Result<Self, Error> {
        let four_cc = if packet_type == ENHANCED_MULTITRACK {
            let kind = cursor.u8("multitrack type").map_err(Error::Short)? >> 4;
            // Many tracks of many codecs have no common fourCC.
            if kind == 2 { *b"mult" } else { cursor.array("video fourCC").map_err(Error::Short)? }
        } else {
            *b"modx"
        };
        let codec = VideoCodec::FourCc(four_cc);
        Ok(Self { key, codec, packet: VideoPacket::Other, composition_ms: 0, data: cursor.rest() })
    }
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Avc => out.write_str("H.264"),
            Self::Id(2) => out.write_str("Sorenson H.263"),
            Self::Id(3) => out.write_str("Screen video"),
            Self::Id(4 | 5) => out.write_str("VP6"),
            Self::Id(6) => out.write_str("Screen video 2"),
            Self::Id(12) => out.write_str("HEVC (codec id 12)"),
            Self::Id(id) => write!(out, "video codec id {id}"),
            Self::FourCc([b'h', b'v' | b'e', b'c' | b'v', b'1']) => out.write_str("HEVC"),
            Self::FourCc([b'a', b'v', b'0', b'1']) => out.write_str("AV1"),
            Self::FourCc([b'v', b'p', b'0', b'9']) => out.write_str("VP9"),
            Self::FourCc([b'v', b'p', b'0', b'8']) => out.write_str("VP8"),
            Self::FourCc([b'v', b'v', b'c', b'1']) => out.write_str("VVC"),
            Self::FourCc([b'a', b'v', b'c', b'1']) => out.write_str("H.264 by Enhanced RTMP"),
            Self::FourCc(four_cc) => write!(out, "video codec {}", four_cc_text(*four_cc)),
        }
    }
}

const FRAME_KEY: u8 = 1;
/// Key, inter, disposable and generated frames; the other types are no pictures.
const FRAMES: std::ops::RangeInclusive<u8> = 1..=4;
const FRAME_COMMAND: u8 = 5;
const ENHANCED_MULTITRACK: u8 = 6;
const ENHANCED_MOD_EX: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avc_tags_are_read() {
        type Case<'a> = (&'a str, &'a [u8], bool, VideoPacket, i32, &'a [u8]);
        let cases: &[Case<'_>] = &[
            ("sequence header", b"\x17\0\0\0\0\x01\x64", true, VideoPacket::SequenceHeader, 0, b"\x01\x64"),
            ("key frame", b"\x17\x01\0\0\x50nal", true, VideoPacket::Nalu, 80, b"nal"),
            ("B frame", b"\x27\x01\xff\xff\xd8nal", false, VideoPacket::Nalu, -40, b"nal"),
            ("end", b"\x17\x02\0\0\0", true, VideoPacket::EndOfSequence, 0, b""),
            ("command", b"\x57\0", false, VideoPacket::Other, 0, b"\0"),
        ];
        for (name, body, key, packet, composition_ms, data) in cases {
            let expected =
                VideoTag { key: *key, codec: VideoCodec::Avc, packet: *packet, composition_ms: *composition_ms, data };
            assert_eq!(VideoTag::parse(body), Ok(expected), "{name}");
        }
    }

    #[test]
    fn codecs_that_are_not_carried_are_named() {
        let cases: &[(&[u8], &str)] = &[
            (b"\x90hvc1\x01", "HEVC"),
            (b"\x91hvc1\0\0\0nal", "HEVC"),
            (b"\x90av01\x81", "AV1"),
            (b"\xa3vp09x", "VP9"),
            (b"\x96\x00hvc1\0", "HEVC"),
            (b"\x12x", "Sorenson H.263"),
            (b"\x1c\0\0\0\0", "HEVC (codec id 12)"),
            (b"\x1fx", "video codec id 15"),
            (b"\x90x\x00\xffz", "video codec x..z"),
        ];
        for (body, name) in cases {
            assert_eq!(VideoTag::parse(body).expect("parses").codec.to_string(), *name, "{body:x?}");
        }
    }

    #[test]
    fn composition_time_of_enhanced_avc_and_hevc_is_read() {
        let tag = VideoTag::parse(b"\x91hvc1\xff\xff\xffnal").expect("parses");
        assert_eq!((tag.composition_ms, tag.data), (-1, &b"nal"[..]));
        let tag = VideoTag::parse(b"\x93hvc1nal").expect("parses");
        assert_eq!((tag.composition_ms, tag.data), (0, &b"nal"[..]));
    }

    #[test]
    fn every_cut_inside_the_header_is_short() {
        for whole in [&b"\x17\x01\0\0\x50"[..], b"\x91hvc1\0\0\0", b"\x96\x00hvc1"] {
            for length in 0..whole.len() {
                assert!(matches!(VideoTag::parse(&whole[..length]), Err(Error::Short(_))), "{length} of {whole:x?}");
            }
            assert!(VideoTag::parse(whole).is_ok(), "{whole:x?}");
        }
    }
}
