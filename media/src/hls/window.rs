//! Which segments a playlist lists.

use crate::ledger::{Entry, Msn};

/// A list lasts at least this many target durations: players start three from the end (RFC 8216, 6.3.3), and one that
/// reloads late must still find its place.
pub const TARGET_DURATIONS_MIN: u64 = 4;

/// The first msn to list, given the entries that were listed so far and the newest one: the fewest newest ones that
/// last at least `max(window × segment, 4 × target duration)`; all of them while that is not reached. 0 without any.
///
/// What is left out never comes back: as long as entries are only appended, the result only grows.
#[must_use]
pub fn first(entries: &[Entry], target_s: u32, segment_ms: u64, window: u32) -> Msn {
    let wanted_us = (u64::from(window) * segment_ms * 1000).max(TARGET_DURATIONS_MIN * u64::from(target_s) * 1_000_000);
    let mut lasting_us = 0;
    for entry in entries.iter().rev() {
        lasting_us += entry.duration_us;
        if lasting_us >= wanted_us {
            return entry.msn;
        }
    }
    entries.first().map_or(0, |entry| entry.msn)
}

#[cfg(test)]
mod tests {
    use super::first;
    use crate::ledger::{Entry, Hash, Msn, Profile};

    fn entries(durations_ms: &[u64]) -> Vec<Entry> {
        let entry = |(msn, duration_ms): (Msn, &u64)| Entry {
            msn,
            epoch: 1,
            profile: Profile::ONE,
            dseq: 0,
            t_ms: 0,
            duration_us: duration_ms * 1000,
            length: 0,
            hash: Hash::default(),
            messages: 0,
            opens_epoch: false,
            gap: false,
        };
        (100..).zip(durations_ms).map(entry).collect()
    }

    #[test]
    fn the_list_is_the_shortest_that_is_long_enough() {
        type Row = (&'static str, &'static [u64], u32, u64, u32, Msn);
        let table: &[Row] = &[
            ("nothing", &[], 2, 2000, 8, 0),
            ("not yet full", &[2000; 7], 2, 2000, 8, 100),
            ("just full", &[2000; 8], 2, 2000, 8, 100),
            ("one leaves", &[2000; 9], 2, 2000, 8, 101),
            ("short segments need more", &[1800; 12], 2, 2000, 8, 103),
            ("a long one at the front stays while it is needed", &[9000, 2000, 2000], 9, 2000, 4, 100),
            ("four target durations", &[2000; 30], 9, 2000, 4, 112),
        ];
        for (case, durations, target_s, segment_ms, window, wanted) in table {
            assert_eq!(first(&entries(durations), *target_s, *segment_ms, *window), *wanted, "{case}");
        }
    }

    #[test]
    fn what_left_the_list_never_comes_back() {
        let durations: Vec<u64> = (0..300).map(|n| 400 + n * 7919 % 2100).collect();
        let all = entries(&durations);
        let mut from = 0;
        for to in 1..=all.len() {
            let now = first(&all[from..to], 2, 2000, 8);
            assert_eq!(now, first(&all[..to], 2, 2000, 8), "the same from the listed ones and from all");
            let next = usize::try_from(now - 100).unwrap();
            assert!(next >= from);
            from = next;
        }
    }
}
