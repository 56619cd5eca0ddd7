//! Which codecs are taken, and what the others are called. Pure.

use lectern_media::flv::{AudioCodec, AudioTag, VideoCodec, VideoTag};
use lectern_media::track::Track;

/// The name of the codec of an FLV tag body, if it is one that is not carried; `None` for H.264, AAC, and bodies too
/// short to tell.
#[must_use]
pub fn unsupported(track: Track, body: &[u8]) -> Option<String> {
    match track {
        Track::Video => {
            VideoTag::parse(body).ok().map(|t| t.codec).filter(|c| *c != VideoCodec::Avc).map(|c| c.to_string())
        }
        Track::Audio => {
            AudioTag::parse(body).ok().map(|t| t.codec).filter(|c| *c != AudioCodec::Aac).map(|c| c.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_codecs_are_refused_by_name() {
        for (track, body, name) in [
            (Track::Video, &b"\x17\x00\x00\x00\x00"[..], None),
            (Track::Audio, b"\xaf\x00", None),
            (Track::Audio, b"", None),
            (Track::Video, b"\x90hvc1", Some("HEVC")),
            (Track::Audio, b"\x2f", Some("MP3")),
            (Track::Audio, b"\x90Opus", Some("Opus")),
        ] {
            assert_eq!(unsupported(track, body).as_deref(), name, "{body:?}");
        }
    }
}
