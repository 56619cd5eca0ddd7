//! The number that freezes the text of playlists.

use serde::{Deserialize, Serialize};

/// The text of the playlists: the same ledger under the same list profile is the same text in every release.
///
/// It is a fact of the ledger that the ingest decides, apart from [`super::Profile`], which freezes segments: a list may
/// hold segments of several profiles, and it goes over to another text while they stay what they are (ADR 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListProfile(pub u8);

impl ListProfile {
    /// BANDWIDTH, CODECS and RESOLUTION of the variant; version 3 throughout.
    pub const ONE: Self = Self(1);
    /// AVERAGE-BANDWIDTH and FRAME-RATE as well; a list with gaps says version 8.
    pub const TWO: Self = Self(2);
    /// The best that this build writes. It writes all before it, too.
    pub const NEWEST: Self = Self::TWO;

    /// Whether it is the one of releases that know no list profiles: messages leave it out.
    #[must_use]
    pub fn is_one(&self) -> bool {
        *self == Self::ONE
    }
}

impl Default for ListProfile {
    fn default() -> Self {
        Self::ONE
    }
}
