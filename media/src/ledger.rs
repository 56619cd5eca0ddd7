//! The ledger: what the ingest has decided about a stream, and all that a playlist depends on.
//!
//! A playlist is a pure function of a [`Ledger`]; a segment is a name and bytes that match its [`Entry`].

use serde::{Deserialize, Serialize};

mod decide;
mod lists;
mod name;

pub use crate::hash::{Digest, Hash};
pub use crate::segment::Profile;
pub use lists::ListProfile;
pub use name::{Part, SegmentName};

/// Media sequence number of a segment. Below 2³¹ for years.
pub type Msn = u64;

/// Unix time in milliseconds at which an epoch began; also the name of the epoch.
pub type EpochId = u64;

/// An edge that reaches neither the ingest nor a sibling answers from the list that it has for this long.
pub const LIST_AGE_MS_MAX: u64 = 5_000;
/// 2026-01-01T00:00:00Z in unix milliseconds: where numbers start when no edge remembers any.
pub const NUMBERS_BEGIN_MS: u64 = 1_767_225_600_000;

/// One segment, as decided by the ingest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Media sequence number.
    pub msn: Msn,
    /// The epoch it belongs to.
    pub epoch: EpochId,
    /// The profile it was muxed with.
    pub profile: Profile,
    /// Discontinuity sequence number.
    pub dseq: u64,
    /// Start in milliseconds since the epoch; its programme time is `epoch + t_ms`.
    pub t_ms: u64,
    /// Duration in microseconds.
    pub duration_us: u64,
    /// Length in bytes.
    pub length: u64,
    /// Hash of the bytes.
    pub hash: Hash,
    /// Media messages in it: an edge that holds them all can close it by itself.
    pub messages: u32,
    /// The first segment of its epoch.
    pub opens_epoch: bool,
    /// No node can provide the bytes: listed with EXT-X-GAP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
}

impl Entry {
    /// The name of the segment, `PROFILE-EPOCH-MSN.ts`.
    #[must_use]
    pub fn name(&self) -> SegmentName {
        SegmentName::media(self.profile, self.epoch, self.msn)
    }
}

/// A presentation: from its first epoch to its end. One playlist life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Presentation {
    /// Its first epoch.
    pub first_epoch: EpochId,
    /// Target duration in whole seconds, fixed when the first segment closed; never changes.
    pub target_s: u32,
    /// The attributes of the variant in `index.m3u8`; known with the first closed segment.
    pub variant: Variant,
    /// The text of the playlists.
    #[serde(default, skip_serializing_if = "ListProfile::is_one")]
    pub list_profile: ListProfile,
}

/// The attributes of the variant in `index.m3u8` (RFC 8216, 4.3.4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    /// BANDWIDTH in bits per second.
    pub bandwidth: u64,
    /// CODECS, e.g. `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
    /// RESOLUTION as width and height, if there is video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<(u32, u32)>,
    /// AVERAGE-BANDWIDTH in bits per second, from list profile 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<u64>,
    /// FRAME-RATE in thousandths of a frame per second, where it is known; from list profile 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate_milli: Option<u32>,
}

/// Where a presentation is in its life. Marks move it on, never a clock of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Life {
    /// More is to come (or nothing was ever there).
    #[default]
    Open,
    /// EXT-X-ENDLIST is written.
    Ended,
    /// The playlists are 404.
    Gone,
}

/// The last numbers that were given out, and the end of the newest epoch. They outlive every window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remembered {
    /// The last media sequence number of a listed segment.
    pub msn: Msn,
    /// The last discontinuity sequence number of a listed segment.
    pub dseq: u64,
    /// Unix milliseconds at which the newest known epoch ended, as far as known.
    pub epoch_end_ms: u64,
}

/// All that is decided about one stream. `Default` is "nothing was ever live".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// The presentation, once its first segment has closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentation: Option<Presentation>,
    /// Where it is in its life.
    #[serde(default)]
    pub life: Life,
    /// The first listed msn. Entries before it are kept for downloads in flight.
    #[serde(default)]
    pub first: Msn,
    /// Ascending by msn.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// Duration of the longest list that there was, microseconds: a player may hold it still.
    #[serde(default)]
    pub longest_us: u64,
    /// The last numbers, `None` before the first one was given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered: Option<Remembered>,
}

impl Ledger {
    /// The entries that the playlist lists, oldest first.
    #[must_use]
    pub fn listed(&self) -> &[Entry] {
        let from = self.entries.partition_point(|e| e.msn < self.first);
        self.entries.get(from..).unwrap_or_default()
    }

    /// The text of its playlists.
    #[must_use]
    pub fn list_profile(&self) -> ListProfile {
        self.presentation.as_ref().map_or(ListProfile::ONE, |p| p.list_profile)
    }

    /// The profile of an epoch, if there is an entry of it.
    #[must_use]
    pub fn profile_of(&self, epoch: EpochId) -> Option<Profile> {
        self.entries.iter().rev().find(|e| e.epoch == epoch).map(|e| e.profile)
    }

    /// The newest entry, listed or not.
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }
}
