//! What [`super::wanted`] remembers from look to look: the wishes of the last minutes and what was changed of late.
//!
//! It may be kept or lost. A lost memory is an empty one, and an empty one takes the edges that are there for the first
//! wish: an operator that starts anew takes nothing away for a whole window.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What is remembered. As JSON it stays under a few kilobytes: wishes fall strictly, and changes are one a second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// (unix milliseconds, edges): each is higher than all that came later, so the first one in a window is its highest.
    wishes: VecDeque<(i64, u32)>,
    /// (unix milliseconds, edges that came or, below zero, went).
    changes: VecDeque<(i64, i64)>,
}

/// Changes within this time are remembered as one.
const CHANGES_MERGED_MS: i64 = 1_000;
/// Entries that are read from outside; more than the rules can make were written by another hand.
const ENTRIES_MAX: usize = 2_048;

impl Memory {
    /// Nothing was ever wished for.
    pub(super) fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }

    /// Remembers that `edges` were wished for at `now`, and forgets what is older than `window`.
    pub(super) fn wish(&mut self, edges: u32, window: SignedDuration, now: Timestamp) {
        while self.wishes.back().is_some_and(|(_, known)| *known <= edges) {
            self.wishes.pop_back();
        }
        self.wishes.push_back((now.as_millisecond(), edges));
        let since = since(window, now);
        // The newest stays whatever its age: an empty memory means something else.
        while self.wishes.len() > 1 && self.wishes.front().is_some_and(|(at, _)| *at <= since) {
            self.wishes.pop_front();
        }
        self.wishes.truncate(ENTRIES_MAX);
    }

    /// The highest wish in `window` before `now`.
    pub(super) fn highest(&self, window: SignedDuration, now: Timestamp) -> Option<u32> {
        let since = since(window, now);
        self.wishes.iter().filter(|(at, _)| *at > since).map(|(_, edges)| *edges).max()
    }

    /// Remembers that the number of edges changed `by` so many, and forgets what is older than `window`.
    pub(super) fn change(&mut self, by: i64, window: SignedDuration, now: Timestamp) {
        let (at, since) = (now.as_millisecond(), since(window, now));
        self.changes.retain(|(at, _)| *at > since);
        match self.changes.back_mut() {
            Some((last, sum)) if at - *last < CHANGES_MERGED_MS && (*sum > 0) == (by > 0) => *sum += by,
            Some(_) | None => self.changes.push_back((at, by)),
        }
        self.changes.truncate(ENTRIES_MAX);
    }

    /// By how many the number of edges changed in `window` before `now`.
    pub(super) fn changed(&self, window: SignedDuration, now: Timestamp) -> i64 {
        let since = since(window, now);
        self.changes.iter().filter(|(at, _)| *at > since).map(|(_, by)| *by).fold(0, i64::saturating_add)
    }
}

fn since(window: SignedDuration, now: Timestamp) -> i64 {
    now.as_millisecond().saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: SignedDuration = SignedDuration::from_secs(300);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    proptest! {
        #[test]
        fn the_highest_wish_is_that_of_a_full_record(steps in prop::collection::vec((1_i64..40_000, 0_u32..50), 1..200)) {
            let (mut memory, mut record, mut now) = (Memory::default(), Vec::new(), 0);
            for (pause, edges) in steps {
                now += pause;
                memory.wish(edges, WINDOW, at(now));
                record.push((now, edges));
                let recent = record.iter().filter(|(at, _)| *at > now - 300_000);
                prop_assert_eq!(memory.highest(WINDOW, at(now)), recent.map(|(_, edges)| *edges).max());
            }
        }

        #[test]
        fn it_survives_being_written_down(steps in prop::collection::vec((1_i64..40_000, -20_i64..50), 0..100)) {
            let (mut memory, mut now) = (Memory::default(), 0);
            for (pause, by) in steps {
                now += pause;
                memory.wish(u32::try_from(by.abs()).unwrap(), WINDOW, at(now));
                memory.change(by, WINDOW, at(now));
            }
            let text = serde_json::to_string(&memory).unwrap();
            prop_assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
        }
    }

    #[test]
    fn it_stays_small_however_often_one_looks() {
        let mut memory = Memory::default();
        for step in 0..10_000_i64 {
            let now = at(step * 100);
            memory.wish(u32::try_from(1_000 - step % 1_000).unwrap(), WINDOW, now);
            memory.change(1, SignedDuration::from_secs(60), now);
        }
        assert!(serde_json::to_string(&memory).unwrap().len() < 30_000, "{}", memory.wishes.len());
        assert!(memory.changes.len() <= 61, "{}", memory.changes.len());
    }
}
