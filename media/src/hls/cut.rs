//! Where a segment ends, and what target duration follows from the first one.
//!
//! A segment ends at the first key frame once it has lasted nine tenths of the wanted duration. If no key frame comes,
//! it is cut anyway, before it could break the one rule that players hold a playlist to: a duration, *rounded to the
//! nearest second*, must not exceed the target duration (RFC 8216, 4.3.3.1). The cut must not come before the target
//! duration itself: an encoder with a key frame every 2 s makes segments of 2.00 s, or 2.002 s at 29.97 frames a
//! second, under a target duration of 2.

use crate::track::{Frame, Track};

/// What a presentation's first segment may run to if no key frame ends it: the target duration follows from it, and
/// players start three target durations behind.
pub const FIRST_SEGMENT_MS_MAX: u64 = 10_000;

/// A segment without a key frame is cut this long after the target duration.
const FORCED_AFTER_TARGET_MS: u64 = 300;

/// The longest duration that still rounds to the target duration is this much longer.
const ROUNDED_AWAY_US: u64 = 499_000;

/// A first segment this much longer than whole seconds does not raise the target duration: frame rates such as 29.97
/// and clocks that round to milliseconds, not a longer distance of key frames.
const FORGIVEN_US: u64 = 100_000;

/// Shorter pieces are no segment of their own: too short to be worth a request. It is what an epoch leaves at its end, and
/// sound alone before a picture.
pub const PIECE_MS_MIN: u64 = 300;

/// What the cut depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Wanted duration of a segment.
    pub segment_ms: u64,
    /// Target duration of the presentation, `None` until its first segment has closed.
    pub target_s: Option<u32>,
    /// The epoch has video: only its key frames are good places. Without it every audio frame is one.
    pub has_video: bool,
    /// No picture came for so long that sound may end a segment. While pictures come only they do: sound may be ahead
    /// of them by seconds.
    pub video_silent: bool,
    /// The open segment has no picture so far.
    pub pictureless: bool,
    /// Start of the open segment.
    pub start_ms: u64,
}

/// Whether a segment ends before a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The frame belongs to the open segment.
    No,
    /// The frame opens a segment that decoding can start at.
    AtKey,
    /// The frame opens a segment because the open one must not become longer. To be reported: the encoder's key frames
    /// are too far apart.
    Forced,
}

/// Whether the open segment ends before this frame.
#[must_use]
pub fn decide(state: &State, frame: &Frame) -> Cut {
    let lasted_ms = frame.t_ms.saturating_sub(state.start_ms);
    let can_start = match frame.track {
        Track::Video => frame.key(),
        Track::Audio => !state.has_video,
    };
    // Where pictures come back a player can start with them, and the segments after it end at key frames again.
    let resumes = frame.track == Track::Video && state.pictureless && lasted_ms >= PIECE_MS_MIN;
    if can_start && (resumes || lasted_ms * 10 >= state.segment_ms * 9) {
        return Cut::AtKey;
    }
    let decides = match frame.track {
        Track::Video => true,
        Track::Audio => !state.has_video || state.video_silent,
    };
    if decides && lasted_ms >= longest_ms(state.target_s) { Cut::Forced } else { Cut::No }
}

/// How long a segment may last, by the target duration of the presentation if it has one.
#[must_use]
pub fn longest_ms(target_s: Option<u32>) -> u64 {
    target_s.map_or(FIRST_SEGMENT_MS_MAX, |target_s| u64::from(target_s) * 1000 + FORCED_AFTER_TARGET_MS)
}

/// The target duration of a presentation whose first segment lasted `first_us`: the whole seconds that hold it and the
/// wanted duration. It never changes (rfc8216bis, 6.2.1).
#[must_use]
pub fn target_s(segment_ms: u64, first_us: u64) -> u32 {
    let longest_us = (segment_ms * 1000).max(first_us).min(FIRST_SEGMENT_MS_MAX * 1000);
    let seconds = longest_us.saturating_sub(FORGIVEN_US).div_ceil(1_000_000).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// The duration to list for a segment that lasted from `start_ms` to `end_ms`. Where messages paused just before a
/// forced cut, the part that would break the rule of the target duration belongs to no segment; the programme time of
/// the next one tells.
#[must_use]
pub fn duration_us(start_ms: u64, end_ms: u64, target_s: u32) -> u64 {
    (end_ms.saturating_sub(start_ms) * 1000).min(u64::from(target_s) * 1_000_000 + ROUNDED_AWAY_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::{Class, Media};
    use bytes::Bytes;

    const VIDEO: State = State {
        segment_ms: 2000,
        target_s: Some(2),
        has_video: true,
        video_silent: false,
        pictureless: false,
        start_ms: 60_000,
    };
    const FIRST: State = State { target_s: None, ..VIDEO };
    const SILENT: State = State { video_silent: true, ..VIDEO };
    const RESUMED: State = State { pictureless: true, ..VIDEO };
    const AUDIO_ONLY: State = State { has_video: false, ..VIDEO };

    fn frame(track: Track, key: bool, lasted_ms: u64) -> Frame {
        let class = Class::Media(Media { key, ..Media::default() });
        Frame { track, t_ms: VIDEO.start_ms + lasted_ms, class, body: Bytes::new() }
    }

    #[test]
    fn a_segment_ends_at_a_key_frame_that_is_late_enough_and_at_anything_that_is_too_late() {
        let (key, inter, audio) = ((Track::Video, true), (Track::Video, false), (Track::Audio, false));
        let table = [
            (VIDEO, key, 0, Cut::No),
            (VIDEO, key, 1799, Cut::No),
            (VIDEO, key, 1800, Cut::AtKey),
            (VIDEO, key, 2000, Cut::AtKey),
            (VIDEO, key, 2002, Cut::AtKey),
            (VIDEO, key, 9000, Cut::AtKey),
            (VIDEO, inter, 1999, Cut::No),
            (VIDEO, audio, 2000, Cut::No),
            (VIDEO, inter, 2299, Cut::No),
            (VIDEO, inter, 2300, Cut::Forced),
            (VIDEO, audio, 2300, Cut::No),
            (VIDEO, audio, 7000, Cut::No),
            (SILENT, audio, 2299, Cut::No),
            (SILENT, audio, 2300, Cut::Forced),
            (SILENT, key, 2000, Cut::AtKey),
            (RESUMED, key, 299, Cut::No),
            (RESUMED, key, 300, Cut::AtKey),
            (RESUMED, inter, 300, Cut::No),
            (RESUMED, audio, 300, Cut::No),
            (FIRST, key, 1800, Cut::AtKey),
            (FIRST, inter, 9999, Cut::No),
            (FIRST, audio, 9999, Cut::No),
            (FIRST, inter, 10_000, Cut::Forced),
            (FIRST, audio, 10_000, Cut::No),
            (State { target_s: None, ..SILENT }, audio, 10_000, Cut::Forced),
            (FIRST, key, 8333, Cut::AtKey),
            (AUDIO_ONLY, audio, 1799, Cut::No),
            (AUDIO_ONLY, audio, 1800, Cut::AtKey),
            (State { target_s: Some(9), ..VIDEO }, inter, 9299, Cut::No),
            (State { target_s: Some(9), ..VIDEO }, inter, 9300, Cut::Forced),
        ];
        for (state, (track, is_key), lasted_ms, cut) in table {
            assert_eq!(
                decide(&state, &frame(track, is_key, lasted_ms)),
                cut,
                "{state:?} {track:?} {is_key} {lasted_ms}"
            );
        }
        let before = Frame { t_ms: 0, ..frame(Track::Video, true, 0) };
        assert_eq!(decide(&VIDEO, &before), Cut::No, "a frame before the start");
    }

    #[test]
    fn the_target_duration_is_what_holds_the_first_segment() {
        let table = [
            (2000, 2_000_000, 2),
            (2000, 1_800_000, 2),
            (2000, 2_002_000, 2),
            (2000, 2_100_000, 2),
            (2000, 2_101_000, 3),
            (2000, 8_333_000, 9),
            (2000, 10_000_000, 10),
            (2000, 12_900_000, 10),
            (500, 480_000, 1),
            (2500, 2_480_000, 3),
            (6000, 6_006_000, 6),
        ];
        for (segment_ms, first_us, target) in table {
            assert_eq!(target_s(segment_ms, first_us), target, "{segment_ms} ms, first {first_us} µs");
        }
    }

    #[test]
    fn listed_durations_round_to_the_target_duration_at_most() {
        for segment_ms in [500, 1000, 1999, 2000, 2500, 4000, 6000, 10_000] {
            for first_ms in (segment_ms * 9 / 10..=FIRST_SEGMENT_MS_MAX + 3000).step_by(7) {
                let target = target_s(segment_ms, first_ms * 1000);
                for lasted_ms in [first_ms, segment_ms, u64::from(target) * 1000 + FORCED_AFTER_TARGET_MS, 40_000] {
                    let rounded = (duration_us(0, lasted_ms, target) + 500_000) / 1_000_000;
                    assert!(rounded <= u64::from(target), "segment {segment_ms}, first {first_ms}, {lasted_ms} ms");
                }
                let state = State { segment_ms, target_s: Some(target), video_silent: true, start_ms: 0, ..VIDEO };
                let as_before = first_ms.min(FIRST_SEGMENT_MS_MAX);
                let frame = Frame { t_ms: as_before, ..frame(Track::Audio, false, 0) };
                assert_eq!(decide(&state, &frame), Cut::No, "a key frame at {as_before} ms again would come too late");
            }
        }
    }
}
