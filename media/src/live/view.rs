//! What an edge answers viewers from: an immutable snapshot of one stream, replaced as a whole.

use crate::hls::{self, Listing};
use crate::ledger::{Entry, EpochId, Ledger, Life, Msn, Profile, SegmentName};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A held segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What was decided about it.
    pub entry: Entry,
    /// Its bytes; they match `entry.hash`.
    pub bytes: Bytes,
}

/// The epoch whose next segments may be asked for a little ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The epoch.
    pub epoch: EpochId,
    /// Its profile.
    pub profile: Profile,
    /// The msn of the segment that will be listed next.
    pub next_msn: Msn,
}

/// One snapshot of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Grows with each snapshot of one edge process.
    pub version: u64,
    /// The ledger that the playlists are written from; the edge holds the bytes of all its listed segments.
    pub ledger: Ledger,
    /// `media.m3u8`. `None` while nothing is listed.
    pub media: Option<Bytes>,
    /// `index.m3u8`.
    pub multivariant: Option<Bytes>,
    /// All that can be downloaded.
    pub segments: BTreeMap<SegmentName, Segment>,
    /// The epoch that is running, as far as this edge knows.
    pub open: Option<Open>,
    /// Wanted segment duration in milliseconds, for blocking before a target duration is known.
    pub segment_ms: u64,
    /// Whether the edge may be Ready as far as this stream is concerned.
    pub ready: bool,
    /// The relay link is alive.
    pub linked: bool,
}

impl View {
    /// Renders the playlists of `ledger`. `starting` is the first epoch of a presentation that has no listed segment yet: its
    /// viewers wait for it rather than see the end of the one before.
    pub(super) fn render(&mut self, ledger: &Ledger, starting: Option<EpochId>) {
        self.ledger = ledger.clone();
        let over = starting.is_some() && ledger.life != Life::Open;
        let listing = Listing::live(ledger).filter(|_| !over);
        self.media = listing.as_ref().map(hls::media_playlist);
        self.multivariant = listing.as_ref().map(hls::multivariant_playlist);
    }

    /// Whether `name` will exist soon: the next segment of the open epoch, or the one after it.
    #[must_use]
    pub fn is_a_little_ahead(&self, name: SegmentName) -> bool {
        self.open.is_some_and(|open| {
            name.epoch == open.epoch
                && name.profile == open.profile
                && name.msn().is_some_and(|msn| (open.next_msn..=open.next_msn + 1).contains(&msn))
        })
    }

    /// Milliseconds in which the next segment is due at the latest.
    #[must_use]
    pub fn target_ms(&self) -> u64 {
        self.ledger.presentation.as_ref().map_or(self.segment_ms, |p| u64::from(p.target_s) * 1_000)
    }
}
