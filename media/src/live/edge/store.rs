//! The segments that an edge holds.

use crate::ledger::{Entry, Ledger, SegmentName};
use crate::live::view::Segment;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What is in no ledger any more stays downloadable for this long: longer than any player keeps an old playlist.
const ORPHAN_MS: u64 = 60_000;

/// The segments by name, and what of them is to be dropped when.
#[derive(Debug, Default)]
pub(super) struct Store {
    segments: BTreeMap<SegmentName, Segment>,
    /// When segments that no ledger names are dropped.
    orphans: BTreeMap<SegmentName, u64>,
    changed: bool,
}

impl Store {
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        self.segments.get(&entry.name()).is_some_and(|s| s.entry.hash == entry.hash)
    }

    pub(super) fn put(&mut self, segment: Segment) {
        self.orphans.remove(&segment.entry.name());
        self.segments.insert(segment.entry.name(), segment);
        self.changed = true;
    }

    /// The same bytes, held elsewhere.
    pub(super) fn moved(&mut self, name: SegmentName, bytes: Bytes) {
        if let Some(segment) = self.segments.get_mut(&name).filter(|s| s.bytes.len() == bytes.len()) {
            segment.bytes = bytes;
        }
    }

    /// Whether there is something that the last snapshot lacked, or the other way round.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    pub(super) fn snapshot(&mut self) -> BTreeMap<SegmentName, Segment> {
        self.changed = false;
        self.segments.clone()
    }

    /// Notes what neither ledger names: entries that left the window go at once, entries that an announcement did not
    /// confirm stay downloadable for a while.
    pub(super) fn retain(&mut self, now_ms: u64, truth: &Ledger, shown: &Ledger) {
        let named = |name: &SegmentName| truth.entries.iter().chain(&shown.entries).any(|e| e.name() == *name);
        let oldest = truth.entries.first().map_or(0, |e| e.msn);
        let orphans = &mut self.orphans;
        self.segments.retain(|name, _| {
            if named(name) {
                orphans.remove(name);
                return true;
            }
            if name.msn().is_some_and(|msn| msn < oldest) {
                orphans.remove(name);
                return false;
            }
            orphans.entry(*name).or_insert(now_ms + ORPHAN_MS);
            true
        });
    }

    pub(super) fn expire(&mut self, now_ms: u64) {
        let due: Vec<_> = self.orphans.iter().filter(|(_, at)| **at <= now_ms).map(|(name, _)| *name).collect();
        for name in due {
            self.orphans.remove(&name);
            self.segments.remove(&name);
            self.changed = true;
        }
    }
}
