//! Who asked for the playlist within the last target duration, over all edges: how many of those counted have gone.
//!
//! Every viewer does so once, by its own clock, so it is the right number one target duration after a crowd
//! has left; a whole segment shows that later by more than another one. But some players ask more often than they must,
//! or again in vain, and how often that happens is not known. So it is read as a part of what it was: the last few
//! segments, counted whole, show what it says of how many, and the least that it said counts. It lowers the count of the
//! last whole segment, and never raises it.
//!
//! It says nothing while an edge is silent, or after one has gone until its viewers must have asked elsewhere, or while
//! nothing new is listed: players may stop asking then, and watch again when the encoder is back.

use super::{EdgeReport, Life};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Segments that show what it says of how many. More take longer to be known after a start, fewer have seen less of how
/// it varies: with six a simulated audience of 200 that asks up to a tenth too early or too late is not misjudged by more
/// than 5 %.
const PROOFS: usize = 6;
/// Who comes begins so many segments before the newest and is in the counts of those, too.
const BEGIN_BEHIND: u64 = 3;

/// A difference of so many square roots of the count is chance: requests that fall into a window or beside it. Of forty
/// viewers six were missing for seconds though all of them watched.
const CHANCE: u64 = 3;

/// What is remembered of it for one stream.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    /// In the last round; None while it says nothing.
    now: Option<u64>,
    /// Edges that report of the stream in the last round, or should have.
    there: BTreeSet<Life>,
    /// When one of them was gone.
    gone_ms: Option<u64>,
    /// The least of it while a segment was the newest, by msn.
    least: BTreeMap<u64, u64>,
    /// Counts of whole segments, by msn.
    whole: BTreeMap<u64, u64>,
}

/// So many requests are so many people.
#[derive(Clone, Copy, Debug)]
struct Proof {
    requests: u64,
    people: u64,
}

impl Reloads {
    /// A round over the edges, and those that should have answered and did not.
    pub(super) fn hear(
        &mut self,
        asked_ms: u64,
        mature_ms: u64,
        round: &BTreeMap<Life, EdgeReport>,
        silent: &[Option<Life>],
    ) {
        let there: BTreeSet<Life> = round.keys().copied().chain(silent.iter().copied().flatten()).collect();
        if !self.there.is_subset(&there) {
            self.gone_ms = Some(asked_ms);
        }
        self.there = there;
        let settled = self.gone_ms.is_none_or(|gone_ms| asked_ms.saturating_sub(gone_ms) > mature_ms);
        let newest = round.values().filter_map(|report| report.newest).max();
        let newest = newest.filter(|(_, age_ms)| *age_ms <= mature_ms && settled && silent.is_empty());
        let total = round.values().try_fold(0_u64, |sum, report| Some(sum.saturating_add(report.reloads?)));
        self.now = total.filter(|_| newest.is_some());
        if let Some(((newest, _), now)) = newest.zip(self.now) {
            let least = self.least.entry(newest).or_insert(now);
            *least = now.min(*least);
        }
    }

    /// The count of a whole segment is known.
    pub(super) fn prove(&mut self, msn: u64, whole: u64) {
        self.whole.insert(msn, whole);
        let from = msn.saturating_sub(BEGIN_BEHIND + PROOFS as u64);
        self.whole.retain(|known, _| *known >= from);
        self.least.retain(|known, _| *known >= from);
    }

    /// `count`, without those who have gone.
    pub(super) fn at_most(&self, count: u64) -> u64 {
        let Some((now, Proof { requests, people })) = self.now.zip(self.worst()) else { return count };
        let raised = (u128::from(now) * u128::from(people)).checked_div(u128::from(requests));
        let left = raised.and_then(|raised| u64::try_from(raised).ok()).map_or(count, |raised| raised.min(count));
        if count - left <= CHANCE * count.isqrt() { count } else { left }
    }

    /// When there were fewest requests for the people that there were.
    fn worst(&self) -> Option<Proof> {
        let last = *self.whole.last_key_value()?.0;
        let proofs =
            self.least.range(..=last).rev().take(PROOFS).filter_map(|(msn, requests)| self.proof(*msn, *requests));
        let proofs: Vec<Proof> = proofs.collect();
        proofs.iter().copied().min_by(Proof::compare).filter(|_| proofs.len() == PROOFS)
    }

    /// While many come or go the counts of the segments at that time are between those before and after; any of them
    /// may be how many people there were.
    fn proof(&self, msn: u64, requests: u64) -> Option<Proof> {
        let counts = self.whole.range(msn.saturating_sub(BEGIN_BEHIND)..=msn).map(|(_, whole)| *whole);
        let people = requests.clamp(counts.clone().min()?, counts.max()?);
        (people > 0).then_some(Proof { requests, people })
    }
}

impl Proof {
    fn compare(&self, other: &Self) -> Ordering {
        let (mine, its) = (
            u128::from(self.requests) * u128::from(other.people),
            u128::from(other.requests) * u128::from(self.people),
        );
        mine.cmp(&its)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six segments with `people`, during each of whose lives at least `requests` came.
    fn proven(people: u64, requests: u64) -> Reloads {
        let mut reloads = Reloads::default();
        for msn in 0..(BEGIN_BEHIND + PROOFS as u64) {
            reloads.least.insert(msn, requests);
            reloads.prove(msn, people);
        }
        reloads
    }

    #[test]
    fn what_may_be_chance_is_nobody_gone() {
        for (people, now, counted, what) in [
            (40, 32, 40, "a few requests fell beside the window"),
            (40, 4, 4, "nearly all viewers have gone"),
            (3_000, 2_850, 3_000, "one in twenty"),
            (3_000, 2_700, 2_700, "one in ten"),
            (3_000, 3_600, 3_000, "more requests are not more people"),
        ] {
            let mut reloads = proven(people, people);
            reloads.now = Some(now);
            assert_eq!(reloads.at_most(people), counted, "{what}");
        }
    }
}
