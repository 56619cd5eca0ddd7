//! The ledger: what the ingest has decided about a stream, and all that a playlist depends on.
//!
//! A playlist is a pure function of a [`Ledger`]; a segment is a name and bytes that match its [`Entry`].

use serde::{Deserialize, Serialize};

mod decide;

/// Media sequence number of a segment. Below 2³¹ for years.
pub type Msn = u64;

/// Unix time in milliseconds at which an epoch began; also the name of the epoch.
pub type EpochId = u64;

/// Profile that freezes muxer and playlist renderer.
pub type Profile = u8;

/// The newest profile this build speaks.
pub const PROFILE: Profile = 1;

/// 2026-01-01T00:00:00Z in unix milliseconds: where numbers start when nobody remembers any.
pub const NUMBERS_BEGIN_MS: u64 = 1_767_225_600_000;

/// A 128-bit content hash (XXH3) of a segment's bytes, as 32 hexadecimal digits on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hash(pub u128);

impl Hash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes))
    }
}

/// Length and hash of bytes that come in pieces and are not kept.
#[derive(Clone, Default)]
pub struct Digest {
    length: u64,
    state: xxhash_rust::xxh3::Xxh3,
}

impl Digest {
    /// The next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.state.update(bytes);
    }

    /// Bytes so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The hash of all pieces: the same as [`Hash::of`] the whole.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(self.state.digest128())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Digest").field("length", &self.length).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(d)?;
        u128::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("not a hash of 32 hexadecimal digits: {text:?}")))
    }
}

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
    /// Nobody can provide the bytes: listed with EXT-X-GAP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
}

impl Entry {
    /// The name of the segment, `PROFILE-EPOCH-MSN.ts`.
    #[must_use]
    pub fn name(&self) -> SegmentName {
        SegmentName { profile: self.profile, epoch: self.epoch, msn: self.msn }
    }
}

/// Name of a segment: `PROFILE-EPOCH-MSN.ts`, all decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// See [`Entry::profile`].
    pub profile: Profile,
    /// See [`Entry::epoch`].
    pub epoch: EpochId,
    /// See [`Entry::msn`].
    pub msn: Msn,
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}.ts", self.profile, self.epoch, self.msn)
    }
}

impl SegmentName {
    /// Reads a name. `None` for anything that [`SegmentName::to_string`] would not have written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix(".ts")?.splitn(3, '-');
        let name = Self {
            profile: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
            msn: parts.next()?.parse().ok()?,
        };
        (name.to_string() == text).then_some(name)
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
    /// What `index.m3u8` says of the variant; known with the first closed segment.
    pub variant: Variant,
}

/// The attributes of the variant in `index.m3u8` (RFC 8216, 4.3.4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    /// BANDWIDTH in bits per second.
    pub bandwidth: u64,
    /// CODECS, e.g. `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
    /// RESOLUTION as width and height, if there is video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<(u32, u32)>,
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
    /// The last numbers, `None` where nobody ever gave one out.
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

    /// The newest entry, listed or not.
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }
}
