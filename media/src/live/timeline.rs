//! From the encoder's 32-bit time stamps to milliseconds since the epoch: unwrapped, strictly rising per track, and
//! with jumps recognised. Only the ingest does this; edges never repair.

use crate::track::Track;

/// A track that steps back by more than this has jumped: a new epoch (design section 4.1).
pub(super) const JUMP_BACK_MS: i64 = 500;
/// No message of any track for longer than this of media time is a jump, unless the target duration is smaller.
pub(super) const JUMP_AHEAD_MS: u64 = 3_000;

/// What a time stamp turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// Milliseconds since the epoch.
    At(u64),
    /// Before the first message of the epoch: to be left out.
    BeforeStart,
    /// Time jumped: the epoch is over.
    Jump,
}

/// Times of one epoch.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// Unwrapped time of the epoch's first message.
    base: i64,
    /// The last raw stamp and what it unwrapped to.
    raw: (u32, i64),
    video: Option<u64>,
    audio: Option<u64>,
    last: u64,
    /// Distance of the last two messages of the leading track, an estimate of how long the last one lasts.
    step: u64,
}

impl Timeline {
    /// An epoch whose first message is stamped `stamp`.
    pub(super) fn new(stamp: u32) -> Self {
        let raw = i64::from(stamp);
        Self { base: raw, raw: (stamp, raw), video: None, audio: None, last: 0, step: 0 }
    }

    /// Places a message. `ahead_max_ms` is how far media time may be ahead of the last message of any track.
    pub(super) fn place(&mut self, track: Track, stamp: u32, ahead_max_ms: u64) -> Placed {
        // Distances are taken modulo 2³²: half the circle forward, half back.
        let distance = i64::from(stamp.wrapping_sub(self.raw.0).cast_signed());
        let unwrapped = self.raw.1 + distance;
        let t = unwrapped - self.base;
        let before = match track {
            Track::Video => self.video,
            Track::Audio => self.audio,
        };
        let floor = before.map_or(-JUMP_BACK_MS, |b| b.cast_signed() - JUMP_BACK_MS);
        if t < floor || t > (self.last + ahead_max_ms).cast_signed() {
            return Placed::Jump;
        }
        self.raw = (stamp, unwrapped);
        if t < 0 && before.is_none() {
            return Placed::BeforeStart;
        }
        let t = u64::try_from(t).unwrap_or(0);
        let t = before.map_or(t, |b| t.max(b + 1));
        if let Some(before) = before
            && t > self.last
        {
            self.step = t - before;
        }
        self.last = self.last.max(t);
        match track {
            Track::Video => self.video = Some(t),
            Track::Audio => self.audio = Some(t),
        }
        Placed::At(t)
    }

    /// Where the epoch ends if nothing more comes: the last message and what it probably lasts.
    pub(super) fn end(&self) -> u64 {
        self.last + self.step.min(JUMP_AHEAD_MS)
    }

    /// Time of the newest message.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
#[allow(clippy::type_complexity, reason = "tables of cases")]
mod tests {
    use super::Placed::{At, BeforeStart, Jump};
    use super::*;
    use Track::{Audio, Video};

    #[test]
    fn stamps_are_placed() {
        let table: &[(&str, u32, &[(Track, u32, Placed)])] = &[
            ("any start", 77_000, &[(Video, 77_000, At(0)), (Audio, 77_010, At(10)), (Video, 77_040, At(40))]),
            ("audio before the key frame is left out", 5_000, &[(Video, 5_000, At(0)), (Audio, 4_990, BeforeStart)]),
            ("32 bits wrap", u32::MAX - 9, &[(Video, u32::MAX - 9, At(0)), (Video, 30, At(40))]),
            ("small steps back are raised", 0, &[(Video, 0, At(0)), (Video, 40, At(40)), (Video, 20, At(41))]),
            (
                "large steps back are jumps",
                1_000,
                &[(Video, 1_000, At(0)), (Video, 2_000, At(1_000)), (Video, 0, Jump)],
            ),
            ("silence of all tracks is a jump", 0, &[(Video, 0, At(0)), (Video, 3_001, Jump)]),
            (
                "silence of one track is none",
                0,
                &[(Video, 0, At(0)), (Audio, 2_900, At(2_900)), (Video, 5_800, At(5_800))],
            ),
        ];
        for (what, start, steps) in table {
            let mut timeline = Timeline::new(*start);
            for (track, stamp, placed) in *steps {
                assert_eq!(timeline.place(*track, *stamp, JUMP_AHEAD_MS), *placed, "{what}: {stamp}");
            }
        }
    }

    #[test]
    fn sixty_days_of_a_lecture_stay_in_order() {
        let mut timeline = Timeline::new(u32::MAX - 1_000_000);
        let mut stamp = u32::MAX - 1_000_000;
        let mut expected = 0;
        while expected < 60 * 86_400_000 {
            assert_eq!(timeline.place(Video, stamp, JUMP_AHEAD_MS), At(expected));
            stamp = stamp.wrapping_add(2_500);
            expected += 2_500;
        }
    }

    #[test]
    fn the_end_covers_the_last_message() {
        let mut timeline = Timeline::new(0);
        for stamp in [0, 40, 80] {
            timeline.place(Video, stamp, JUMP_AHEAD_MS);
        }
        assert_eq!((timeline.last(), timeline.end()), (80, 120));
    }
}
