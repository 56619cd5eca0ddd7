//! What fills edges, and how many edges that takes.

use super::rules::{DOWN, UP};

/// One thing that fills edges: a total over the whole event against what one edge carries of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// What it is.
    pub kind: Kind,
    /// All there is of it.
    pub total: u64,
    /// What one edge should have: what the autoscaler aims at. At least 1.
    pub target: u64,
    /// What one edge carries: at this it refuses newcomers.
    pub capacity: u64,
}

/// What fills edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// People, those who were refused and the schedule's floor included.
    Viewers,
    /// Bits per second that are sent.
    Egress,
}

/// What the autoscaler aims at on an edge that carries `capacity`.
#[must_use]
pub const fn target(capacity: u64, percent: u32) -> u64 {
    let target = capacity.saturating_mul(percent as u64) / 100;
    if target == 0 { 1 } else { target }
}

/// What the autoscaler reads of the audience: who watches and who was refused, or what the schedule expects if that
/// is more. Raising the minimum alone would let the edges go in one step when a window closes; what is in the metric
/// is let go slowly (the stabilisation of an autoscaler ignores its minimum).
#[must_use]
pub fn demand(viewers: u64, refused: u64, schedule_floor: u32, target: u64) -> u64 {
    viewers.saturating_add(refused).max(u64::from(schedule_floor).saturating_mul(target))
}

/// How many people were refused, as far as edges can tell that each know only their own: `distinct` newcomers, added up
/// over the edges, who were refused so many `times`, at so many `edges` that refused at least one viewer.
///
/// Who tries again is at another edge each time and is a different newcomer to each of them. Of `k` tries at random
/// among `n` edges `n (1 − (1 − 1/n)^k)` meet a new one; the `k` that explains the ratio of distinct to times gives the
/// people. Without times (an edge of an older release) every viewer is taken to have tried once.
#[must_use]
pub fn refused_people(distinct: u64, times: u64, edges: u32) -> u64 {
    if times <= distinct {
        return distinct;
    }
    let (ratio, edges) = (distinct as f64 / times as f64, f64::from(edges.max(1)));
    let (mut missed, mut before) = (1.0, 1.0);
    let mut tries = f64::from(TRIES_MAX);
    for count in 1..=TRIES_MAX {
        missed *= 1.0 - 1.0 / edges;
        let share = edges * (1.0 - missed) / f64::from(count);
        if share <= ratio {
            // Between two whole numbers of tries: people differ.
            let part = if before > share { (before - ratio) / (before - share) } else { 1.0 };
            tries = f64::from(count) - 1.0 + part.clamp(0.0, 1.0);
            break;
        }
        before = share;
    }
    ((times as f64 / tries.max(1.0)) as u64).min(distinct)
}

/// Tries of one person in the 15 s that a refusal counts: two a second would be an impatient player.
const TRIES_MAX: u32 = 30;

/// As many edges as `loads` need where `existing` exist: the larger wish counts, and what is too little to act on
/// changes nothing. None where nothing is known.
#[must_use]
pub fn wish(loads: &[Load], existing: u32) -> Option<u32> {
    loads.iter().map(|load| load.edges(existing)).max()
}

impl Load {
    /// As many edges as this one needs: `existing` if it is within the tolerance.
    #[must_use]
    pub fn edges(&self, existing: u32) -> u32 {
        let ratio = u128::from(self.total) * 1_000;
        let even = u128::from(self.target) * u128::from(existing);
        let (low, high) =
            (even * u128::from(1_000 - DOWN.tolerance_permille), even * u128::from(1_000 + UP.tolerance_permille));
        if existing > 0 && (low..=high).contains(&ratio) {
            return existing;
        }
        self.needed()
    }

    /// As many edges as it takes to have no more than the target on each.
    #[must_use]
    pub fn needed(&self) -> u32 {
        u32::try_from(self.total.div_ceil(self.target.max(1))).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewers(total: u64) -> Load {
        Load { kind: Kind::Viewers, total, target: 100, capacity: 143 }
    }

    #[test]
    fn what_is_too_little_to_act_on_changes_nothing() {
        let table = [(1_000, 10), (1_020, 10), (1_021, 11), (850, 10), (849, 9), (0, 0), (5_000, 50)];
        for (total, edges) in table {
            assert_eq!(viewers(total).edges(10), edges, "{total} viewers at 10 edges");
        }
        assert_eq!((viewers(0).edges(0), viewers(1).edges(0)), (0, 1));
    }

    #[test]
    fn the_larger_wish_counts_and_nothing_known_is_no_wish() {
        let egress = Load { kind: Kind::Egress, total: 3_000, target: 100, capacity: 200 };
        assert_eq!(wish(&[viewers(1_000), egress], 10), Some(30));
        assert_eq!(wish(&[], 10), None);
    }

    #[test]
    fn the_schedule_counts_as_people_who_are_expected() {
        assert_eq!((demand(50, 20, 0, 100), demand(50, 20, 8, 100), demand(900, 20, 8, 100)), (70, 800, 920));
        assert_eq!((target(1_500, 70), target(1, 70)), (1_050, 1));
    }

    #[test]
    fn who_tries_at_many_edges_is_one_person() {
        // (edges, tries of each of 1,000 people, distinct newcomers that the edges know together)
        let table = [(1, 1, 1_000), (1, 15, 1_000), (8, 15, 6_921), (80, 15, 13_757), (80, 1, 1_000), (8, 3, 2_641)];
        for (edges, tries, distinct) in table {
            let people = refused_people(distinct, 1_000 * tries, edges);
            assert!((930..=1_070).contains(&people), "{people} for {edges} edges and {tries} tries");
        }
        assert_eq!(refused_people(700, 0, 8), 700, "an edge that does not tell how often");
        assert_eq!(
            (refused_people(0, 0, 0), refused_people(0, 100, 3), refused_people(u64::MAX, 1, 3)),
            (0, 0, u64::MAX)
        );
        assert!(refused_people(10, u64::MAX, 3) <= 10);
    }

    #[test]
    fn no_number_is_too_large() {
        let load = Load { kind: Kind::Egress, total: u64::MAX, target: 1, capacity: 1 };
        assert_eq!(load.edges(u32::MAX), u32::MAX);
        assert_eq!(demand(u64::MAX, 1, u32::MAX, u64::MAX), u64::MAX);
    }
}
