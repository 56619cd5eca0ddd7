//! What an edge answers viewers from: an immutable snapshot of one stream, replaced as a whole.

use crate::hls::{self, Listing};
use crate::ledger::{Entry, EpochId, Ledger, Life, ListProfile, Msn, Profile, SegmentName};
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
    /// The newest ledger that this edge was told. It may be ahead of `ledger`, which lists only what is held.
    pub truth: Ledger,
    /// All that the ingest had said at this time of the edge's clock is in `truth`; 0 if that was never asked.
    pub level_ms: u64,
    /// Siblings were asked at this time what they list, and all have answered; 0 if that never was.
    pub heard_ms: u64,
    /// What siblings list and `truth` does not have.
    pub rumours: Vec<Entry>,
}

/// What a segment's name means to an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is held.
    Held(&'a Segment),
    /// It exists, its bytes are not here: siblings have them.
    Elsewhere(&'a Entry),
    /// It comes next, or next but one.
    Ahead,
    /// It cannot be told yet: [`crate::live::Edge::inquire`], and look at the views that follow.
    Unsure,
    /// It does not exist, as far as the ingest and the siblings know: too old, too far ahead, or never made.
    Nowhere,
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

    /// What `name` means for a request that came, or was last told [`Verdict::Ahead`], at `asked_ms` of the edge's
    /// clock.
    ///
    /// Only knowledge makes a name [`Verdict::Nowhere`]: an edge that stood still, or is cut off, knows less than the
    /// playlists of its siblings say, and a player does not ask again after it heard that a segment does not exist.
    #[must_use]
    pub fn verdict(&self, name: SegmentName, asked_ms: u64) -> Verdict<'_> {
        if let Some(segment) = self.segments.get(&name) {
            return Verdict::Held(segment);
        }
        let known = self.truth.entries.iter().chain(&self.ledger.entries).chain(&self.rumours);
        if let Some(entry) = known.filter(|entry| !entry.gap).find(|entry| entry.name() == name) {
            return Verdict::Elsewhere(entry);
        }
        if self.is_a_little_ahead(name) {
            Verdict::Ahead
        } else if self.level_ms >= asked_ms && self.heard_ms >= asked_ms {
            Verdict::Nowhere
        } else {
            Verdict::Unsure
        }
    }

    /// Entries of segments that are held and that `ledger` does not name, or calls a gap: siblings may know of players
    /// that want them.
    #[must_use]
    pub fn others(&self) -> Vec<Entry> {
        let named = |name: &SegmentName| self.ledger.entries.iter().any(|e| !e.gap && e.name() == *name);
        self.segments.iter().filter(|(name, _)| !named(name)).map(|(_, segment)| segment.entry.clone()).collect()
    }

    /// The ledger and [`View::others`] for a sibling that writes playlists of `list_profile` at most. `None` if it would write
    /// another text than this edge: it may learn of the stream from the ingest, which then lowers the list profile.
    #[must_use]
    pub fn for_sibling(&self, list_profile: ListProfile) -> Option<(Ledger, Vec<Entry>)> {
        (self.ledger.list_profile() <= list_profile).then(|| (self.ledger.clone(), self.others()))
    }

    /// Milliseconds in which the next segment is due at the latest.
    #[must_use]
    pub fn target_ms(&self) -> u64 {
        self.ledger.presentation.as_ref().map_or(self.segment_ms, |p| u64::from(p.target_s) * 1_000)
    }
}
