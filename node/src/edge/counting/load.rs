//! How full this edge is, and whom it therefore sends away.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A newcomer that was let in shows in the counts of segments within this time; until then it is counted as let in.
pub const ADMITTED_UNSEEN_MS: u64 = 1_000;
/// Over how long the egress rate is averaged: a few segments' bursts.
pub const EGRESS_WINDOW_MS: u64 = 4_000;

/// What is measured at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// HLS viewers by requests begun, and RTMP and HTTP-FLV connections.
    pub viewers: u64,
    /// Bytes written since the start.
    pub egress_bytes: u64,
}

/// The load of this edge against what it carries. Reading it is one atomic load.
#[derive(Debug)]
pub struct Load {
    capacity: u64,
    egress_bits_max: Option<u64>,
    target_percent: u64,
    estimate: AtomicU64,
    admitted: AtomicU64,
    egress_bits: AtomicU64,
    draining: AtomicBool,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    /// (milliseconds, admitted since the start), over [`ADMITTED_UNSEEN_MS`].
    admitted: VecDeque<(u64, u64)>,
    /// (milliseconds, bytes written since the start), over [`EGRESS_WINDOW_MS`].
    egress: VecDeque<(u64, u64)>,
}

impl Load {
    /// An empty edge that carries `capacity` viewers and, if bounded, `egress_bits_max` bits per second.
    #[must_use]
    pub fn new(capacity: u64, egress_bits_max: Option<u64>, target_percent: u32) -> Self {
        Self {
            capacity,
            egress_bits_max,
            target_percent: u64::from(target_percent),
            estimate: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            egress_bits: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            history: Mutex::default(),
        }
    }

    /// Takes a measurement. Called a few times a second.
    pub fn measure(&self, sample: Sample, now_ms: u64) {
        let admitted = self.admitted.load(Relaxed);
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let unseen = admitted - slide(&mut history.admitted, (now_ms, admitted), ADMITTED_UNSEEN_MS).1;
        let (since, bytes) = slide(&mut history.egress, (now_ms, sample.egress_bytes), EGRESS_WINDOW_MS);
        let bits = (sample.egress_bytes.saturating_sub(bytes) * 8_000).checked_div(now_ms - since).unwrap_or(0);
        self.egress_bits.store(bits, Relaxed);
        self.estimate.store(sample.viewers + unseen, Relaxed);
    }

    /// Whether a newcomer would be let in now. The question itself counts as no viewer.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.viewers() < self.capacity && self.egress_bits_max.is_none_or(|max| self.egress_bits() < max)
    }

    /// Lets a newcomer in, or not. One that is let in counts at once.
    pub fn admit(&self) -> bool {
        if !self.has_room() {
            return false;
        }
        self.admitted.fetch_add(1, Relaxed);
        self.estimate.fetch_add(1, Relaxed);
        true
    }

    /// Viewers as this edge alone would count them.
    #[must_use]
    pub fn viewers(&self) -> u64 {
        self.estimate.load(Relaxed)
    }

    /// Newcomers that were let in since the start.
    #[must_use]
    pub fn admitted(&self) -> u64 {
        self.admitted.load(Relaxed)
    }

    /// Bits per second written to viewers of late.
    #[must_use]
    pub fn egress_bits(&self) -> u64 {
        self.egress_bits.load(Relaxed)
    }

    /// What this edge carries.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// More than the autoscaler aims at, so that others probably have more room, or about to end.
    #[must_use]
    pub fn above_target(&self) -> bool {
        let above = |value: u64, max: u64| value * 100 > max * self.target_percent;
        self.draining.load(Relaxed)
            || above(self.viewers(), self.capacity)
            || self.egress_bits_max.is_some_and(|max| above(self.egress_bits(), max))
    }

    /// From now on connections are let go soon.
    pub fn start_draining(&self) {
        self.draining.store(true, Relaxed);
    }
}

/// Appends `now` and gives the newest point that is at least `window_ms` old, or the oldest there is.
fn slide(points: &mut VecDeque<(u64, u64)>, now: (u64, u64), window_ms: u64) -> (u64, u64) {
    points.push_back(now);
    while points.get(1).is_some_and(|next| now.0.saturating_sub(next.0) >= window_ms) {
        points.pop_front();
    }
    points.front().copied().unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::{Load, Sample};

    #[test]
    fn a_full_edge_admits_nobody_and_one_that_empties_does_again() {
        let load = Load::new(3, None, 70);
        assert_eq!((0..5).filter(|_| load.admit()).count(), 3);
        load.measure(Sample { viewers: 0, egress_bytes: 0 }, 100);
        load.measure(Sample { viewers: 2, egress_bytes: 0 }, 2_000);
        assert_eq!(load.viewers(), 2);
        assert!(load.admit());
        assert!(!load.admit());
    }

    #[test]
    fn who_was_just_let_in_counts_until_the_segments_show_it() {
        let load = Load::new(100, None, 70);
        load.measure(Sample::default(), 0);
        for _ in 0..10 {
            assert!(load.admit());
        }
        load.measure(Sample::default(), 250);
        assert_eq!(load.viewers(), 10, "not yet in the counts");
        load.measure(Sample { viewers: 10, egress_bytes: 0 }, 1_000);
        load.measure(Sample { viewers: 10, egress_bytes: 0 }, 1_250);
        assert_eq!(load.viewers(), 10, "in the counts only");
    }

    #[test]
    fn a_full_network_interface_refuses_too() {
        let load = Load::new(1_000, Some(8_000_000), 70);
        load.measure(Sample { viewers: 5, egress_bytes: 0 }, 0);
        assert!(load.admit());
        load.measure(Sample { viewers: 5, egress_bytes: 700_000 }, 1_000);
        assert!(!load.above_target(), "5.6 Mbit/s of 8 is 70 % sharp");
        load.measure(Sample { viewers: 5, egress_bytes: 2_000_000 }, 2_000);
        assert_eq!(load.egress_bits(), 8_000_000);
        assert!(!load.admit());
        assert!(load.above_target());
    }
}
