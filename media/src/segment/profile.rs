//! The number that freezes bytes, and what follows from it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number that freezes the bytes of segments: the same media under the same profile are the same bytes in every release.
/// It is part of each segment's name and of the relay's messages, where one of a later release may come too. The text of
/// playlists has a number of its own, [`crate::ledger::ListProfile`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile(pub u8);

impl Profile {
    /// MPEG-TS, the parameter sets of the configuration before each random access point: see [`ts`].
    pub const ONE: Self = Self(1);
    /// The profiles that this build speaks, the best one last.
    pub const SPOKEN: [Self; 1] = [Self::ONE];
    /// The best profile that this build speaks.
    pub const NEWEST: Self = Self::SPOKEN[Self::SPOKEN.len() - 1];

    /// Whether this build can mux it.
    #[must_use]
    pub fn is_spoken(self) -> bool {
        Self::SPOKEN.contains(&self)
    }

    /// The file extension of its media segments, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        "ts"
    }

    /// The media type of its media segments (RFC 8216, 3.2 and 10).
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        "video/mp2t"
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
