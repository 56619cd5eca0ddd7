//! What fills edges, and how many edges that takes.

use super::policy::{DOWN, UP};

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

/// What the autoscaler is told of the audience: who watches and who was refused, or what the schedule expects if that
/// is more. Raising the minimum alone would let the edges go in one step when a window closes; what is in the metric
/// is let go slowly (notes of 2.3: stabilisation knows nothing of the minimum).
#[must_use]
pub fn demand(viewers: u64, refused: u64, schedule_floor: u32, target: u64) -> u64 {
    viewers.saturating_add(refused).max(u64::from(schedule_floor).saturating_mul(target))
}

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
    fn no_number_is_too_large() {
        let load = Load { kind: Kind::Egress, total: u64::MAX, target: 1, capacity: 1 };
        assert_eq!(load.edges(u32::MAX), u32::MAX);
        assert_eq!(demand(u64::MAX, 1, u32::MAX, u64::MAX), u64::MAX);
    }
}
