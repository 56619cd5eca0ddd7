//! The names of segments: what identifies the bytes of one for ever.

use super::{EpochId, Msn};
use crate::segment::Profile;
use std::fmt;

/// The word in the place of the number of an init segment.
const INIT: &str = "init";

/// The name of a segment: `PROFILE-EPOCH-MSN.ts`, all decimal, with the file extension of the profile; or
/// `PROFILE-EPOCH-init`, the init segment of an epoch. Init segments have no extension: players only meet them in an
/// EXT-X-MAP, and so a node can read the name without knowing the profile.
///
/// No profile has init segments yet. The form is reserved because nodes of two releases serve one event during an
/// upgrade, and the older one has to know such a name from a misspelt one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// See [`super::Entry::profile`].
    pub profile: Profile,
    /// See [`super::Entry::epoch`].
    pub epoch: EpochId,
    /// Which segment of the epoch.
    pub part: Part,
}

/// What a segment of an epoch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What a decoder needs before the first media segment.
    Init,
    /// The media segment with this media sequence number.
    Media(Msn),
}

impl SegmentName {
    /// The name of a media segment.
    #[must_use]
    pub const fn media(profile: Profile, epoch: EpochId, msn: Msn) -> Self {
        Self { profile, epoch, part: Part::Media(msn) }
    }

    /// Its media sequence number; `None` of an init segment.
    #[must_use]
    pub const fn msn(self) -> Option<Msn> {
        match self.part {
            Part::Init => None,
            Part::Media(msn) => Some(msn),
        }
    }

    /// Reads a name. `None` for anything that [`SegmentName::to_string`] would not have written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (stem, _) = text.split_once('.').unwrap_or((text, ""));
        let mut parts = stem.splitn(3, '-');
        let profile = Profile(parts.next()?.parse().ok()?);
        let epoch = parts.next()?.parse().ok()?;
        let part = match parts.next()? {
            INIT => Part::Init,
            msn => Part::Media(msn.parse().ok()?),
        };
        let name = Self { profile, epoch, part };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profile, epoch, part } = self;
        match part {
            Part::Init => write!(f, "{profile}-{epoch}-{INIT}"),
            Part::Media(msn) => write!(f, "{profile}-{epoch}-{msn}.{}", profile.extension()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let init = SegmentName { profile: Profile(2), epoch: 1_790_000_000_000, part: Part::Init };
        for (name, text) in [
            (SegmentName::media(Profile(1), 1_790_000_000_000, 42), "1-1790000000000-42.ts"),
            (SegmentName::media(Profile(255), 0, 0), "255-0-0.ts"),
            (init, "2-1790000000000-init"),
        ] {
            assert_eq!((name.to_string().as_str(), SegmentName::parse(text)), (text, Some(name)));
        }
        assert!(init < SegmentName::media(Profile(2), 1_790_000_000_000, 0), "an init segment comes first");
    }

    #[test]
    fn other_spellings_are_no_names() {
        for text in [
            "",
            "1-2-3",
            "1-2-3.mp4",
            "1-2-3.ts.ts",
            "01-2-3.ts",
            "1-+2-3.ts",
            "1-2-3-4.ts",
            "256-2-3.ts",
            "1-2-.ts",
            "1-2-init.ts",
            "1-2-Init",
            "1-init",
            "1-2-18446744073709551616.ts",
            "media.m3u8",
        ] {
            assert_eq!(SegmentName::parse(text), None, "{text}");
        }
    }
}
