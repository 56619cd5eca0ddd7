//! How often a publisher is read: a read and the writes to all edges that follow it cost by their number, hardly by
//! their size, until some 32 KiB.

use std::time::Duration;

/// What a publisher sends is taken in pieces of at most this time (ADR 9): two frames at 25 a second.
const STEP_MAX: Duration = Duration::from_millis(80);
/// And of at least this time: a publisher of the highest accepted bit rate sends 38 KB in it.
const STEP_MIN: Duration = Duration::from_millis(10);
/// A piece of more than this is worth no more waiting: the next one is taken after half the time.
const PIECE_BYTES: usize = 32 << 10;

/// The time between two reads of one publisher: [`STEP_MAX`], or a half, a quarter or an eighth of it, so that all of
/// them lie on one grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    step: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { step: STEP_MAX }
    }
}

impl Pace {
    /// That many bytes had come since the last time.
    pub(super) fn took(&mut self, bytes: usize) {
        // Twice a step brings twice as much: a constant rate does not go to and fro.
        if bytes > PIECE_BYTES {
            self.step = (self.step / 2).max(STEP_MIN);
        } else if bytes < PIECE_BYTES / 2 {
            self.step = (self.step * 2).min(STEP_MAX);
        }
    }

    /// The time to the next read.
    pub(super) fn step(self) -> Duration {
        self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of ten seconds of a constant bit rate.
    fn steps(bits_per_second: u64) -> Vec<u128> {
        let mut pace = Pace::default();
        let mut steps = Vec::new();
        for _ in 0..200 {
            let step = pace.step();
            steps.push(step.as_millis());
            pace.took(usize::try_from(u128::from(bits_per_second / 8) * step.as_millis() / 1_000).unwrap());
        }
        steps
    }

    #[test]
    fn a_piece_is_small_or_its_time_short() {
        for (bits_per_second, step_ms) in
            [(600_000, 80), (3_000_000, 80), (5_000_000, 40), (10_000_000, 20), (30_000_000, 10)]
        {
            assert_eq!(steps(bits_per_second).last(), Some(&step_ms), "{bits_per_second} bit/s");
        }
    }

    #[test]
    fn a_constant_rate_settles_on_one_step() {
        for megabits in 1..=30 {
            let steps = steps(megabits * 1_000_000);
            assert!(steps[10..].iter().all(|step| *step == steps[10]), "{megabits} Mbit/s: {steps:?}");
        }
    }

    #[test]
    fn after_a_key_frame_it_goes_back_to_long_steps() {
        let mut pace = Pace::default();
        pace.took(200_000);
        assert_eq!(pace.step(), STEP_MAX / 2);
        pace.took(1_000);
        assert_eq!(pace.step(), STEP_MAX);
    }
}
