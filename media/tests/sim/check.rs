//! What must hold in every state, whatever has happened.

use bytes::Bytes;
use lectern_media::ledger::{Entry, Hash, Ledger, Life, ListProfile, SegmentName};
use lectern_media::live::View;
use std::collections::BTreeMap;

/// Where a playlist stands: two edges at one position say the same bytes.
type Position = (u64, u64, u64, Life, Vec<u64>, ListProfile);

/// What earlier states showed, for comparison with later ones.
#[derive(Default)]
pub struct Checks {
    segments: BTreeMap<SegmentName, Hash>,
    playlists: BTreeMap<Position, (Bytes, Option<Bytes>)>,
    /// Of one edge process: the last (epoch, msn) that it listed.
    last: BTreeMap<usize, (u64, u64)>,
    /// How often an edge listed less than before; only partitions may cause it.
    pub backwards: u64,
    pub views: u64,
}

impl Checks {
    pub fn forget(&mut self, edge: usize) {
        self.last.remove(&edge);
    }

    pub fn view(&mut self, edge: usize, view: &View, notes: &[String]) {
        self.views += 1;
        for (name, segment) in &view.segments {
            let hash = Hash::of(&segment.bytes);
            assert_eq!(hash, segment.entry.hash, "{name} matches its entry");
            let known = *self.segments.entry(*name).or_insert(hash);
            assert_eq!(known, hash, "edge {edge} has other bytes for {name}\n{notes:#?}");
        }
        let listed = view.ledger.listed();
        for entry in listed.iter().filter(|e| !e.gap) {
            assert!(view.segments.contains_key(&entry.name()), "edge {edge} lists {} without its bytes", entry.name());
        }
        numbers_have_no_holes(listed, notes);
        if let Some(playlist) = &view.media {
            let gaps = listed.iter().filter(|e| e.gap).map(|e| e.msn).collect();
            let last = listed.last().map_or((0, 0), |e| (e.epoch, e.msn));
            let position = (view.ledger.first, last.0, last.1, view.ledger.life, gaps, view.ledger.list_profile());
            let playlist = (playlist.clone(), view.multivariant.clone());
            let known = self.playlists.entry(position.clone()).or_insert_with(|| playlist.clone());
            assert_eq!(*known, playlist, "edge {edge} says something else at {position:?}\n{notes:#?}");
            if let Some(before) = self.last.insert(edge, last)
                && last.1 < before.1
            {
                self.backwards += 1;
            }
        }
    }
}

fn numbers_have_no_holes(listed: &[Entry], notes: &[String]) {
    for pair in listed.windows(2) {
        let [a, b] = pair else { continue };
        let context = || format!("{a:?}\n{b:?}\n{notes:#?}");
        assert_eq!(b.msn, a.msn + 1, "{}", context());
        assert_eq!(b.opens_epoch, b.epoch != a.epoch, "{}", context());
        assert_eq!(b.dseq, a.dseq + u64::from(b.opens_epoch), "{}", context());
        let end_ms = a.epoch + a.t_ms + a.duration_us / 1_000;
        assert!(b.epoch + b.t_ms >= end_ms, "programme time overlaps: {}", context());
    }
}

/// All discontinuities that a ledger lists.
pub fn discontinuities(ledger: &Ledger) -> usize {
    let first = ledger.presentation.as_ref().map_or(0, |p| p.first_epoch);
    ledger.listed().iter().filter(|e| e.opens_epoch && e.epoch != first).count()
}
