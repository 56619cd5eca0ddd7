//! Which codecs are taken, and what the others are called. Pure.
//!
//! FLV specification v10.1, annex E.4.2.1 and E.4.3.1; Enhanced RTMP v2 for the FourCC forms.

use lectern_media::track::Track;

/// The name of the codec of an FLV tag body, if it is one that is not carried; `None` for H.264, AAC and empty bodies.
#[must_use]
pub fn unsupported(track: Track, body: &[u8]) -> Option<String> {
    let first = *body.first()?;
    match track {
        Track::Video if first & 0x80 != 0 => Some(four_cc(body)),
        Track::Video => match first & 0x0f {
            7 => None,
            2 => Some("Sorenson H.263".into()),
            3 | 6 => Some("Screen Video".into()),
            4 | 5 => Some("VP6".into()),
            12 => Some("HEVC".into()),
            13 => Some("AV1".into()),
            id => Some(format!("video codec {id}")),
        },
        Track::Audio => match first >> 4 {
            10 => None,
            9 => Some(four_cc(body)),
            0 | 3 => Some("PCM".into()),
            1 => Some("ADPCM".into()),
            2 | 14 => Some("MP3".into()),
            4..=6 => Some("Nellymoser".into()),
            7 | 8 => Some("G.711".into()),
            11 => Some("Speex".into()),
            13 => Some("Opus".into()),
            id => Some(format!("audio codec {id}")),
        },
    }
}

/// Enhanced RTMP: a FourCC follows the first byte. H.264 in this form needs negotiation that is never offered.
fn four_cc(body: &[u8]) -> String {
    match body.get(1..5) {
        Some(b"hvc1") => "HEVC (Enhanced RTMP)".into(),
        Some(b"av01") => "AV1 (Enhanced RTMP)".into(),
        Some(b"vp09") => "VP9 (Enhanced RTMP)".into(),
        Some(code) => format!("{} (Enhanced RTMP)", String::from_utf8_lossy(code).escape_default()),
        None => "Enhanced RTMP".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_codecs_are_refused_by_name() {
        for (track, body, name) in [
            (Track::Video, &b"\x17\x00"[..], None),
            (Track::Audio, b"\xaf\x00", None),
            (Track::Audio, b"", None),
            (Track::Video, b"\x1c\x00", Some("HEVC")),
            (Track::Video, b"\x90hvc1", Some("HEVC (Enhanced RTMP)")),
            (Track::Video, b"\x90\"\n\x00a", Some("\\\"\\n\\u{0}a (Enhanced RTMP)")),
            (Track::Audio, b"\x2f", Some("MP3")),
            (Track::Audio, b"\x90Opus", Some("Opus (Enhanced RTMP)")),
            (Track::Video, b"\x18", Some("video codec 8")),
        ] {
            assert_eq!(unsupported(track, body).as_deref(), name, "{body:?}");
        }
    }
}
