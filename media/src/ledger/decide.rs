//! How a ledger moves on: the same code at the ingest, which decides, and at every edge, which follows.

use super::{Entry, EpochId, LIST_AGE_MS_MAX, Ledger, Life, ListProfile, Msn, Presentation, Remembered};
use std::cmp::Reverse;

impl Ledger {
    /// Adds the entry that a mark closes. `first` and `presentation` are those of the mark. An entry that is not
    /// newer than what is known changes nothing: replays repeat entries.
    ///
    /// Returns whether the ledger changed.
    pub fn close(&mut self, entry: &Entry, first: Msn, presentation: &Presentation) -> bool {
        if self.remembered.is_some_and(|r| entry.msn <= r.msn) {
            return false;
        }
        self.remembered = Some(Remembered {
            msn: entry.msn,
            dseq: entry.dseq,
            epoch_end_ms: (entry.epoch + entry.t_ms + entry.duration_us / 1_000)
                .max(self.remembered.map_or(0, |r| r.epoch_end_ms)),
        });
        self.presentation = Some(presentation.clone());
        self.life = Life::Open;
        self.first = first;
        self.entries.push(entry.clone());
        self.longest_us = self.longest_us.max(self.listed_us());
        self.forget_old();
        true
    }

    /// Moves the presentation that began with `presentation` on. Never back, never another one.
    pub fn pass(&mut self, presentation: EpochId, life: Life) -> bool {
        let same = self.presentation.as_ref().is_some_and(|p| p.first_epoch == presentation);
        if !same || life <= self.life {
            return false;
        }
        self.life = life;
        true
    }

    /// Duration of the listed segments in microseconds.
    #[must_use]
    pub fn listed_us(&self) -> u64 {
        self.listed().iter().map(|e| e.duration_us).sum()
    }

    /// What orders two ledgers of one stream: the later epoch, then the later segment, then the later life, then the lower
    /// list profile, since only a new segment raises it.
    #[must_use]
    pub fn rank(&self) -> (EpochId, Msn, Life, Reverse<ListProfile>) {
        let (epoch, msn) = self.last().map_or((0, 0), |e| (e.epoch, e.msn));
        (epoch, msn, self.life, Reverse(self.list_profile()))
    }

    /// Lowers the list profile to `most`, between two segments.
    ///
    /// Returns whether the ledger changed.
    pub fn lower_lists(&mut self, most: ListProfile) -> bool {
        let Some(presentation) = self.presentation.as_mut().filter(|p| p.list_profile > most) else { return false };
        presentation.list_profile = most;
        true
    }

    /// The highest numbers of both. What an edge has ever given out is not given out again for something else.
    pub fn remember(&mut self, other: Option<Remembered>) {
        let Some(other) = other else { return };
        let own = self.remembered.unwrap_or_default();
        self.remembered = Some(Remembered {
            msn: own.msn.max(other.msn),
            dseq: own.dseq.max(other.dseq),
            epoch_end_ms: own.epoch_end_ms.max(other.epoch_end_ms),
        });
    }

    /// Merges what several edges remember: the ledger of the highest rank, with the highest numbers of all.
    #[must_use]
    pub fn merged<'a>(ledgers: impl IntoIterator<Item = &'a Ledger>) -> Ledger {
        let mut best = Ledger::default();
        for ledger in ledgers {
            let known = best.remembered;
            if ledger.rank() > best.rank() {
                best = ledger.clone();
                best.remember(known);
            } else {
                best.remember(ledger.remembered);
            }
        }
        best
    }

    /// Drops entries that left the list more than the longest list and one segment ago: until then players that hold
    /// an older playlist may ask for them (RFC 8216, 6.2.2). The list of a Ready edge may be older by [`LIST_AGE_MS_MAX`].
    fn forget_old(&mut self) {
        let target_us = self.presentation.as_ref().map_or(0, |p| u64::from(p.target_s) * 1_000_000);
        let keep_us = self.longest_us + target_us + LIST_AGE_MS_MAX * 1_000;
        let from = self.entries.partition_point(|e| e.msn < self.first);
        let mut lasting_us = 0;
        let keep = self
            .entries
            .get(..from)
            .unwrap_or_default()
            .iter()
            .rev()
            .take_while(|e| {
                lasting_us += e.duration_us;
                lasting_us <= keep_us
            })
            .count();
        self.entries.drain(..from - keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Hash, Profile, Variant};

    fn entry(msn: Msn, duration_ms: u64) -> Entry {
        Entry {
            msn,
            epoch: 1_000,
            profile: Profile::ONE,
            dseq: 5,
            t_ms: 0,
            duration_us: duration_ms * 1_000,
            length: 188,
            hash: Hash::default(),
            messages: 1,
            opens_epoch: false,
            gap: false,
        }
    }

    fn presentation() -> Presentation {
        let variant = Variant { bandwidth: 1, ..Variant::default() };
        Presentation { first_epoch: 1_000, target_s: 2, variant, list_profile: ListProfile::ONE }
    }

    #[test]
    fn a_repeated_or_older_entry_changes_nothing() {
        let mut ledger = Ledger::default();
        assert!(ledger.close(&entry(7, 2_000), 7, &presentation()));
        let before = ledger.clone();
        assert!(!ledger.close(&entry(7, 2_000), 7, &presentation()));
        assert!(!ledger.close(&entry(6, 2_000), 6, &presentation()));
        assert_eq!(ledger, before);
    }

    #[test]
    fn entries_are_kept_for_one_list_one_segment_and_five_seconds_after_they_left_it() {
        let mut ledger = Ledger::default();
        for msn in 1..=60 {
            ledger.close(&entry(msn, 2_000), (msn).saturating_sub(7).max(1), &presentation());
        }
        assert_eq!(ledger.listed().len(), 8);
        assert_eq!(ledger.entries.len(), 8 + 8 + 1 + 2);
    }

    #[test]
    fn merging_takes_the_highest_ledger_and_the_highest_numbers() {
        let (mut low, mut high) = (Ledger::default(), Ledger::default());
        for msn in 50..=60 {
            low.close(&entry(msn, 2_000), 50, &presentation());
        }
        for msn in 50..=53 {
            let mut later = entry(msn, 2_000);
            later.epoch = 2_000;
            high.close(&later, 50, &presentation());
        }
        let merged = Ledger::merged([&low, &high]);
        assert_eq!(merged.entries, high.entries);
        assert_eq!(merged.remembered.map(|r| r.msn), Some(60));
        assert_eq!(merged, Ledger::merged([&high, &low]));
    }

    #[test]
    fn of_two_ledgers_with_the_same_segments_the_one_with_the_lower_list_profile_is_newer() {
        let mut high = Ledger::default();
        high.close(&entry(7, 2_000), 7, &Presentation { list_profile: ListProfile::TWO, ..presentation() });
        let mut low = high.clone();
        assert!(low.lower_lists(ListProfile::ONE));
        assert!(!low.lower_lists(ListProfile::TWO), "it is never raised");
        assert_eq!(Ledger::merged([&high, &low]), low);
        assert_eq!(Ledger::merged([&low, &high]), low);
        high.close(&entry(8, 2_000), 7, &Presentation { list_profile: ListProfile::TWO, ..presentation() });
        assert_eq!(Ledger::merged([&low, &high]), high, "a new segment raises it");
    }

    #[test]
    fn a_presentation_never_comes_back_to_life() {
        let mut ledger = Ledger::default();
        ledger.close(&entry(7, 2_000), 7, &presentation());
        assert!(!ledger.pass(999, Life::Ended), "another presentation");
        assert!(ledger.pass(1_000, Life::Ended));
        assert!(!ledger.pass(1_000, Life::Ended));
        assert!(ledger.pass(1_000, Life::Gone));
        assert!(!ledger.pass(1_000, Life::Ended));
    }
}
