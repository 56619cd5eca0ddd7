//! What is wrong with a stream that is published, as far as only its machine knows.

use super::{Ingest, Source};
use crate::hls::cut;
use crate::track::Track;
use std::fmt;

/// Named as status and metrics name it, with the figures in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The stream is published and no segment was listed for a while.
    NothingListed {
        /// For how many milliseconds.
        lasting_ms: u64,
        /// The reason.
        reason: String,
    },
    /// The time stamps of audio and video are not of one clock: one track is placed beside the other by this much.
    TracksDisagree {
        /// By how many milliseconds.
        by_ms: u64,
    },
    /// A configuration came that cannot be read, and was passed over.
    UnreadableConfiguration {
        /// What the reader says.
        words: String,
    },
    /// Frames came that no segment can carry, and were left out: lengths that lie, for instance.
    Unusable {
        /// Their track.
        track: Track,
        /// How many.
        frames: u64,
    },
}

/// The name of a warning about frames that no segment can carry, and what is wrong with them.
fn unusable(track: Track) -> (&'static str, &'static str) {
    match track {
        Track::Video => ("UnusableVideo", "lengths before NAL units that do not fit"),
        Track::Audio => ("UnusableAudio", "empty, or longer than an ADTS frame"),
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingListed { lasting_ms, reason } => {
                write!(f, "NothingListed (for {}s: {reason})", lasting_ms / 1_000)
            }
            Self::TracksDisagree { by_ms } => {
                let tenths = (by_ms + 50) / 100;
                write!(f, "TracksDisagree ({}.{}s)", tenths / 10, tenths % 10)
            }
            Self::UnreadableConfiguration { words } => write!(f, "UnreadableConfiguration ({words})"),
            Self::Unusable { track, frames } => {
                let (name, reason) = unusable(*track);
                write!(f, "{name} ({frames} left out: {reason})")
            }
        }
    }
}

impl Ingest {
    /// What is wrong at `now_ms`. Nothing while no publisher is there.
    #[must_use]
    pub fn warnings(&self, now_ms: u64) -> Vec<Warning> {
        let reason = match &self.source {
            Source::Absent { .. } => return Vec::new(),
            Source::Opening(opening) => opening.reason().to_owned(),
            Source::Live(epoch) => match now_ms.saturating_sub(epoch.newest_arrival_ms()) / 1_000 {
                0..3 => "the segment is not complete yet".to_owned(),
                seconds => format!("no audio or video came for {seconds}s"),
            },
        };
        let target_s = self.ledger.presentation.as_ref().map(|p| p.target_s);
        let nothing = self.session.nothing_listed_ms(now_ms, cut::longest_ms(target_s));
        let disagree = self.session.clock.disagreement_ms(now_ms);
        let unreadable = self.session.unreadable_words(now_ms);
        let unusable =
            |track| self.session.left_out_of(now_ms, track).map(|frames| Warning::Unusable { track, frames });
        let warnings = [
            nothing.map(|lasting_ms| Warning::NothingListed { lasting_ms, reason }),
            disagree.map(|by_ms| Warning::TracksDisagree { by_ms }),
            unreadable.map(|words| Warning::UnreadableConfiguration { words: words.to_owned() }),
            unusable(Track::Video),
            unusable(Track::Audio),
        ];
        warnings.into_iter().flatten().collect()
    }

    /// The last jump of a track's time: when it was, and by how many milliseconds stamp and arrival disagreed.
    #[must_use]
    pub fn jumped(&self) -> Option<(u64, i64)> {
        self.session.jump
    }
}
