//! The two forms in which a message reaches a viewer.

use bytes::Bytes;
use lectern_media::flv::{self, TagKind};
use lectern_media::rtmp::chunk;
use lectern_media::rtmp::limits::PLAY_CHUNK_SIZE;
use lectern_media::rtmp::message::{csid, kind};
use lectern_media::time::wrap_ms;
use lectern_media::track::{Track, TrackSet};

/// The message stream of every viewer: the session gives out no other.
const PLAY_STREAM_ID: u32 = 1;

/// How a viewer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// FLV tags over HTTP.
    Flv,
    /// RTMP chunks of message stream 1.
    Rtmp,
}

impl Form {
    /// One audio or video message.
    #[must_use]
    pub fn media(self, track: Track, t_ms: u64, body: &Bytes) -> Bytes {
        self.message(track.into(), t_ms, body)
    }

    /// What has to come before the first frame of an epoch at `t_ms`: metadata, then the sequence headers.
    ///
    /// Metadata have the time 0 (FLV 10.1, E.5): at another time players take them for a track of text.
    #[must_use]
    pub fn headers(self, tracks: &TrackSet, t_ms: u64) -> Bytes {
        let parts = [
            (TagKind::Script, 0, &tracks.metadata),
            (TagKind::Video, t_ms, &tracks.video),
            (TagKind::Audio, t_ms, &tracks.audio),
        ];
        let parts: Vec<_> =
            parts.into_iter().filter_map(|(kind, t_ms, body)| Some(self.message(kind, t_ms, body.as_ref()?))).collect();
        parts.concat().into()
    }

    /// Metadata alone, for those who have the sequence headers of the epoch. Their time is that of [`Form::headers`].
    #[must_use]
    pub fn metadata(self, tracks: &TrackSet) -> Bytes {
        tracks.metadata.as_ref().map(|body| self.message(TagKind::Script, 0, body)).unwrap_or_default()
    }

    /// What opens the stream of a viewer who joins: the FLV file header, nothing in RTMP.
    #[must_use]
    pub fn opening(self, tracks: &TrackSet) -> Bytes {
        match self {
            Self::Flv => Bytes::copy_from_slice(&flv::file_header(tracks.video.is_some(), tracks.audio.is_some())),
            Self::Rtmp => Bytes::new(),
        }
    }

    fn message(self, kind: TagKind, t_ms: u64, body: &Bytes) -> Bytes {
        // Times wrap at 32 bits in both forms.
        let t_ms = wrap_ms(t_ms);
        match self {
            Self::Flv => flv::tag(kind, t_ms, body),
            Self::Rtmp => {
                let kind = match kind {
                    TagKind::Video => kind::VIDEO,
                    TagKind::Audio => kind::AUDIO,
                    TagKind::Script => kind::DATA,
                };
                chunk::serialise(csid::of(kind), kind, PLAY_STREAM_ID, t_ms, body, PLAY_CHUNK_SIZE)
            }
        }
    }
}
