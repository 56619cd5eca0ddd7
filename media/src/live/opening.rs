//! Between a publisher's first message and the first key frame of an epoch: which tracks there will be, and whether
//! each has its configuration.

use crate::track::{Class, Media, Message, Track, TrackSet};
use bytes::Bytes;

/// An epoch waits this long, in media time, for the configuration of a track that was named or may yet come.
pub(super) const CONFIG_WAIT_MS: u32 = 1_000;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    tracks: TrackSet,
    /// Tracks named in the metadata: video, audio.
    named: Option<(bool, bool)>,
    /// Time stamp of the first media message.
    first: Option<u32>,
}

impl Opening {
    /// Starts from the configurations that are known already: those of the epoch before, in the same session.
    pub(super) fn with(tracks: TrackSet) -> Self {
        let named = tracks.metadata.as_deref().and_then(named);
        Self { tracks, named, first: None }
    }

    pub(super) fn metadata(&mut self, payload: Bytes) {
        self.named = named(&payload);
        self.tracks.metadata = Some(payload);
    }

    /// Takes a message; returns the tracks of the epoch that it opens.
    pub(super) fn message(&mut self, stamp: u32, message: &Message) -> Option<TrackSet> {
        let key = match message.class {
            Class::Config => {
                let slot = match message.track {
                    Track::Video => &mut self.tracks.video,
                    Track::Audio => &mut self.tracks.audio,
                };
                *slot = Some(message.body.clone());
                return None;
            }
            Class::End | Class::Other | Class::NotCarried(_) => return None,
            Class::Media(Media { key, .. }) => key,
        };
        let waited_ms = stamp.wrapping_sub(*self.first.get_or_insert(stamp)).cast_signed();
        if waited_ms < 0 {
            // Time jumped back while nothing was open yet.
            self.first = Some(stamp);
        }
        let waited = waited_ms >= CONFIG_WAIT_MS.cast_signed();
        let (video, audio) = (self.tracks.video.is_some(), self.tracks.audio.is_some());
        let complete = match self.named {
            Some((needs_video, needs_audio)) => (video || !needs_video) && (audio || !needs_audio),
            None => video && audio,
        };
        let opens = match message.track {
            Track::Video => key && video,
            Track::Audio => audio && !video,
        };
        (opens && (complete || waited)).then(|| self.tracks.clone())
    }
}

/// Which tracks `onMetaData` names, by its `videocodecid` and `audiocodecid` properties. Their names are looked for as
/// AMF0 writes them; a stray match costs at most [`CONFIG_WAIT_MS`]. `None` where it names neither.
fn named(payload: &[u8]) -> Option<(bool, bool)> {
    let has = |name: &[u8]| payload.windows(name.len()).any(|w| w == name);
    match (has(b"\x00\x0cvideocodecid"), has(b"\x00\x0caudiocodecid")) {
        (false, false) => None,
        both => Some(both),
    }
}

#[cfg(test)]
#[allow(clippy::type_complexity, reason = "tables of cases")]
mod tests {
    use super::*;

    const VIDEO_CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 1];
    const KEY: &[u8] = &[0x17, 1, 0, 0, 0];
    const INTER: &[u8] = &[0x27, 1, 0, 0, 0];
    const AUDIO_CONFIG: &[u8] = &[0xaf, 0, 0x11];
    const AUDIO: &[u8] = &[0xaf, 1, 0x21];

    fn opens_at(metadata: Option<&'static [u8]>, messages: &[(Track, u32, &'static [u8])]) -> Option<usize> {
        let mut opening = Opening::default();
        if let Some(payload) = metadata {
            opening.metadata(Bytes::from_static(payload));
        }
        messages.iter().position(|(track, stamp, body)| {
            opening.message(*stamp, &Message::read(*track, Bytes::from_static(body))).is_some()
        })
    }

    #[test]
    fn an_epoch_opens_at_the_first_key_frame_with_all_configurations() {
        use Track::{Audio, Video};
        const BOTH: &[u8] = b"\x00\x0cvideocodecid\x00\x0caudiocodecid";
        const AUDIO_ONLY: &[u8] = b"\x00\x0caudiocodecid";
        let start = [(Video, 0, VIDEO_CONFIG), (Video, 0, KEY), (Audio, 5, AUDIO_CONFIG), (Audio, 5, AUDIO)];
        let table: &[(&str, Option<&'static [u8]>, &[(Track, u32, &'static [u8])], Option<usize>)] = &[
            ("waits for audio that is named", Some(BOTH), &start, None),
            (
                "then opens at the next key frame",
                Some(BOTH),
                &[start[0], start[1], start[2], (Video, 40, INTER), (Video, 80, KEY)],
                Some(4),
            ),
            ("does not wait for ever", Some(BOTH), &[start[0], start[1], (Video, 1_000, KEY)], Some(2)),
            (
                "video alone, nothing named",
                None,
                &[start[0], start[1], (Video, 999, KEY), (Video, 1_001, KEY)],
                Some(3),
            ),
            ("audio alone, named", Some(AUDIO_ONLY), &[(Audio, 0, AUDIO_CONFIG), (Audio, 0, AUDIO)], Some(1)),
            (
                "time that jumps back does not make it wait for ever",
                Some(BOTH),
                &[start[0], (Video, 9_000, KEY), (Video, 0, KEY), (Video, 999, KEY), (Video, 1_001, KEY)],
                Some(4),
            ),
            ("a frame without configuration opens nothing", None, &[(Video, 0, KEY), (Video, 2_000, KEY)], None),
        ];
        for (what, metadata, messages, at) in table {
            assert_eq!(opens_at(*metadata, messages), *at, "{what}");
        }
    }
}
