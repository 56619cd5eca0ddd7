//! The segments that an edge holds.

use crate::ledger::{Entry, Ledger, SegmentName};
use crate::live::view::Segment;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// What is in no ledger any more stays downloadable for this long: longer than any player keeps an old playlist.
const ORPHAN_MS: u64 = 60_000;

/// The segments by name, and what of them is to be dropped when.
#[derive(Debug, Default)]
pub(super) struct Store {
    segments: BTreeMap<SegmentName, Segment>,
    /// When segments that no ledger names are dropped.
    orphans: BTreeMap<SegmentName, u64>,
    /// What this edge lists.
    listed: BTreeSet<SegmentName>,
    /// Until when players may ask for what it listed, whatever the ledger says by then.
    left: BTreeMap<SegmentName, u64>,
    /// How long they may.
    keep_ms: u64,
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

    /// Notes what neither ledger names: entries that left the window go at once, unless this edge itself listed them
    /// until a moment ago; entries that an announcement did not confirm stay downloadable for a while.
    pub(super) fn retain(&mut self, now_ms: u64, truth: &Ledger, shown: &Ledger) {
        self.note_listed(now_ms, shown);
        let named = |name: &SegmentName| truth.entries.iter().chain(&shown.entries).any(|e| e.name() == *name);
        let oldest = truth.entries.first().map_or(0, |e| e.msn);
        let (orphans, left) = (&mut self.orphans, &self.left);
        self.segments.retain(|name, _| {
            if named(name) {
                orphans.remove(name);
                return true;
            }
            if name.msn().is_some_and(|msn| msn < oldest) {
                match left.get(name) {
                    Some(until_ms) => orphans.insert(*name, *until_ms),
                    None => orphans.remove(name),
                };
                return left.contains_key(name);
            }
            orphans.entry(*name).or_insert(now_ms + ORPHAN_MS);
            true
        });
    }

    fn note_listed(&mut self, now_ms: u64, shown: &Ledger) {
        let target_ms = shown.presentation.as_ref().map_or(0, |p| u64::from(p.target_s) * 1_000);
        // Another ledger may know of no list that long.
        self.keep_ms = self.keep_ms.max(shown.longest_us / 1_000 + target_ms);
        let until_ms = now_ms + self.keep_ms;
        let listed: BTreeSet<_> = shown.listed().iter().map(Entry::name).collect();
        let before = std::mem::replace(&mut self.listed, listed);
        self.left.extend(before.difference(&self.listed).map(|name| (*name, until_ms)));
        self.left.retain(|name, until_ms| *until_ms > now_ms && !self.listed.contains(name));
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
