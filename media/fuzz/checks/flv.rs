//! FLV: any tag body is read or refused, its payload is its own end, and a written tag has its parts where they belong.

use lectern_media::flv::{AudioTag, TAG_HEADER_LENGTH, TAG_TRAILER_LENGTH, TagKind, VideoTag, tag};

/// Reads `data` as the body of both kinds of tag and writes it as a tag.
pub fn read(data: &[u8]) {
    if let Ok(video) = VideoTag::parse(data) {
        assert!(data.ends_with(video.data));
        assert!((-0x80_0000..0x80_0000).contains(&video.composition_ms));
        assert!(!video.codec.to_string().is_empty());
    }
    if let Ok(audio) = AudioTag::parse(data) {
        assert!(data.ends_with(audio.data));
        assert!(!audio.codec.to_string().is_empty());
    }
    let written = tag(TagKind::Video, u32::MAX, data);
    assert_eq!(written.len(), TAG_HEADER_LENGTH + data.len() + TAG_TRAILER_LENGTH);
    assert_eq!(&written[TAG_HEADER_LENGTH..TAG_HEADER_LENGTH + data.len()], data);
}
