//! File header and tag framing (annex E.2, E.3, E.4.1).

use crate::time::wrap_ms;
use bytes::{BufMut, Bytes, BytesMut};

/// File header with the first `PreviousTagSize`.
pub const FILE_HEADER_LENGTH: usize = 13;
/// Header of a tag.
pub const TAG_HEADER_LENGTH: usize = 11;
/// `PreviousTagSize` after a tag.
pub const TAG_TRAILER_LENGTH: usize = 4;

/// Tag types; the numbers are also RTMP's message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// 8.
    Audio,
    /// 9.
    Video,
    /// 18, AMF0: metadata.
    Script,
}

impl TagKind {
    const fn code(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Script => 18,
        }
    }
}

/// What a file begins with (E.2).
#[must_use]
pub fn file_header(has_video: bool, has_audio: bool) -> [u8; FILE_HEADER_LENGTH] {
    let flags = u8::from(has_video) | (u8::from(has_audio) << 2);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// The header of a tag with a body of `length` bytes (E.4.1). The time is in milliseconds: 24 low bits, then 8 high.
#[must_use]
pub fn tag_header(kind: TagKind, t_ms: u32, length: u32) -> [u8; TAG_HEADER_LENGTH] {
    let [_, l2, l1, l0] = length.to_be_bytes();
    let [t3, t2, t1, t0] = t_ms.to_be_bytes();
    [kind.code(), l2, l1, l0, t2, t1, t0, t3, 0, 0, 0]
}

/// What follows a body of `length` bytes: the size of header and body.
#[must_use]
pub fn tag_trailer(length: u32) -> [u8; TAG_TRAILER_LENGTH] {
    (length + 11).to_be_bytes()
}

/// A whole tag with its trailer, copied into one piece. A body is an RTMP message, so it has less than 2²⁴ bytes.
#[must_use]
pub fn tag(kind: TagKind, t_ms: u32, body: &[u8]) -> Bytes {
    let length = wrap_ms(body.len() as u64);
    let mut out = BytesMut::with_capacity(TAG_HEADER_LENGTH + body.len() + TAG_TRAILER_LENGTH);
    out.put_slice(&tag_header(kind, t_ms, length));
    out.put_slice(body);
    out.put_slice(&tag_trailer(length));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_the_tracks_there_are() {
        assert_eq!(file_header(true, true), *b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
        assert_eq!(file_header(true, false)[4], 1);
        assert_eq!(file_header(false, true)[4], 4);
    }

    #[test]
    fn a_tag_puts_the_high_byte_of_the_time_last() {
        let tag = tag(TagKind::Video, 0x0102_0304, b"abc");
        assert_eq!(&tag[..], b"\x09\0\0\x03\x02\x03\x04\x01\0\0\0abc\0\0\0\x0e");
    }

    #[test]
    fn a_tag_of_64_kib_has_its_length_in_three_bytes() {
        let tag = tag(TagKind::Audio, 0, &vec![7; 0x01_0203]);
        assert_eq!(&tag[..4], &[8, 1, 2, 3]);
        assert_eq!(&tag[tag.len() - 4..], &(0x01_0203_u32 + 11).to_be_bytes());
    }
}
