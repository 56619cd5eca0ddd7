//! The two forms in which a message reaches a viewer.

use bytes::{BufMut, Bytes, BytesMut};
use lectern_media::track::{Track, TrackSet};

/// How a viewer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// FLV tags over HTTP.
    Flv,
    /// RTMP chunks of message stream 1.
    Rtmp,
}

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA: u8 = 18;

impl Form {
    /// One audio or video message.
    #[must_use]
    pub fn media(self, track: Track, t_ms: u64, body: &Bytes) -> Bytes {
        let kind = match track {
            Track::Video => VIDEO,
            Track::Audio => AUDIO,
        };
        let mut out = BytesMut::with_capacity(body.len() + 64);
        self.put(&mut out, kind, t_ms, body);
        out.freeze()
    }

    /// What has to come before the first frame of an epoch at `t_ms`: metadata, then the sequence headers.
    #[must_use]
    pub fn headers(self, tracks: &TrackSet, t_ms: u64) -> Bytes {
        let parts = [(DATA, &tracks.metadata), (VIDEO, &tracks.video), (AUDIO, &tracks.audio)];
        let mut out = BytesMut::new();
        for (kind, body) in parts {
            if let Some(body) = body {
                self.put(&mut out, kind, t_ms, body);
            }
        }
        out.freeze()
    }

    /// What opens the stream of a viewer who joins: the FLV file header, nothing in RTMP.
    #[must_use]
    pub fn opening(self, tracks: &TrackSet) -> Bytes {
        match self {
            Self::Flv => interim::file_header(tracks.video.is_some(), tracks.audio.is_some()),
            Self::Rtmp => Bytes::new(),
        }
    }

    /// Times wrap at 32 bits in both forms.
    #[allow(clippy::cast_possible_truncation, reason = "modulo 2^32 is what both formats carry")]
    fn put(self, out: &mut BytesMut, kind: u8, t_ms: u64, body: &Bytes) {
        match self {
            Self::Flv => out.put(interim::tag(kind, t_ms as u32, body)),
            Self::Rtmp => out.put(interim::chunks(kind, t_ms as u32, body)),
        }
    }
}

mod interim {
    use bytes::{BufMut, Bytes, BytesMut};
    pub fn file_header(video: bool, audio: bool) -> Bytes {
        let flags = u8::from(video) | u8::from(audio) << 2;
        Bytes::copy_from_slice(&[b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0])
    }
    pub fn tag(kind: u8, t: u32, body: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(kind);
        out.put_uint(body.len() as u64, 3);
        out.put_uint(u64::from(t & 0xff_ffff), 3);
        out.put_u8((t >> 24) as u8);
        out.put_uint(0, 3);
        out.put_slice(body);
        out.put_u32(body.len() as u32 + 11);
        out.freeze()
    }
    pub fn chunks(_kind: u8, _t: u32, body: &[u8]) -> Bytes {
        Bytes::copy_from_slice(body)
    }
}
