//! FLV: the bodies that RTMP audio and video messages carry, and the file format that HTTP-FLV viewers read.
//!
//! Specifications: Video File Format Specification 10.1 (Adobe, 2010), annex E; Enhanced RTMP v2 (Veovera, 2024) as far
//! as it takes to name a codec.

mod audio;
mod tag;
mod video;

pub use audio::{AudioCodec, AudioPacket, AudioTag};
pub use tag::{
    FILE_HEADER_LENGTH, TAG_HEADER_LENGTH, TAG_TRAILER_LENGTH, TagKind, file_header, tag, tag_header, tag_trailer,
};
pub use video::{VideoCodec, VideoPacket, VideoTag};

use crate::cursor::Short;
use std::fmt;

/// The codec of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// Of a video tag.
    Video(VideoCodec),
    /// Of an audio tag.
    Audio(AudioCodec),
}

impl fmt::Display for Codec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video(codec) => codec.fmt(out),
            Self::Audio(codec) => codec.fmt(out),
        }
    }
}

/// Why a tag body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It ends inside its header.
    #[error("FLV tag is cut short: {0}")]
    Short(Short),
}

/// Four characters, the unreadable ones as dots.
fn four_cc_text(four_cc: [u8; 4]) -> String {
    four_cc.iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }).collect()
}
