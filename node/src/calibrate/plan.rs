//! When what is measured, and with how many viewers. Pure.

use crate::args::VIEWERS_MAX;

/// Target durations from the start of the processes to the first listed segment.
const START_PERIODS: u64 = 3;
/// Target durations for a step to settle: viewers come spread over one, in the next each does what it will do.
pub const SETTLE_PERIODS: u64 = 2;
/// Fewest windows of a step: with one there is no range.
const WINDOWS_MIN: u64 = 2;
/// Viewers of the first look, which tells how many this machine takes.
pub const PROBE_VIEWERS: u32 = 50;
/// Share of this machine that edge, ingest and viewers may take together: well below saturation, where the processor
/// time of a viewer would also be that of waiting for one another.
const MACHINE_SHARE: f64 = 0.4;
/// Most viewers where the user gave no number: more make the figure no better, and each takes two descriptors here.
const VIEWERS_USUAL_MAX: u32 = 4_000;

/// The times of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The target duration, and the length of a window: in it every viewer does everything once.
    pub period_ms: u64,
    /// Windows of each step.
    pub windows: u64,
}

/// The measurement would be too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`duration`: {given_ms} ms are too short for segments of {segment_ms} ms, at least {needed_ms} ms are needed")]
pub struct TooShort {
    given_ms: u64,
    segment_ms: u64,
    needed_ms: u64,
}

impl Timing {
    /// How `duration_ms` is divided; `probes` if the number of viewers is yet to be found.
    ///
    /// # Errors
    /// If it is not enough for two windows of each step.
    pub fn new(duration_ms: u64, segment_ms: u64, probes: bool) -> Result<Self, TooShort> {
        let period_ms = segment_ms.div_ceil(1_000) * 1_000;
        // None, half, all: three steps with windows, two of them with viewers that come.
        let around = START_PERIODS + 2 * SETTLE_PERIODS + if probes { SETTLE_PERIODS + 1 } else { 0 };
        let windows = (duration_ms / period_ms).saturating_sub(around) / 3;
        if windows < WINDOWS_MIN {
            let needed_ms = (around + 3 * WINDOWS_MIN) * period_ms;
            return Err(TooShort { given_ms: duration_ms, segment_ms, needed_ms });
        }
        Ok(Self { period_ms, windows })
    }
}

/// Viewers of both steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The first.
    pub half: u32,
    /// The second.
    pub all: u32,
}

impl Steps {
    /// `all` and half of them.
    #[must_use]
    pub fn of(all: u32) -> Self {
        let all = all.clamp(2, VIEWERS_MAX);
        Self { half: all / 2, all }
    }

    /// As many as take [`MACHINE_SHARE`] of `machine_cores`, if those of the first look took `probe_cores` (edge, ingest
    /// and viewers together), within what descriptors allow.
    #[must_use]
    pub fn from_probe(probe_cores: f64, machine_cores: f64, descriptors: u32) -> Self {
        let each = probe_cores / f64::from(PROBE_VIEWERS);
        let fit = if each > 0.0 { machine_cores * MACHINE_SHARE / each } else { f64::INFINITY };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
        let fit = fit.clamp(0.0, f64::from(VIEWERS_USUAL_MAX)) as u32;
        // Those of the first look are there already; whole hundreds read better.
        Self::of((fit.min(descriptors) / 100 * 100).max(2 * PROBE_VIEWERS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_six_windows_of_each_step() {
        assert_eq!(Timing::new(60_000, 2_000, true), Ok(Timing { period_ms: 2_000, windows: 6 }));
        assert_eq!(Timing::new(60_000, 2_000, false), Ok(Timing { period_ms: 2_000, windows: 7 }));
        assert_eq!(Timing::new(60_000, 500, true), Ok(Timing { period_ms: 1_000, windows: 16 }));
    }

    #[test]
    fn too_short_says_how_long_it_must_be() {
        let error = Timing::new(10_000, 2_000, true).unwrap_err();
        assert!(error.to_string().contains("at least 32000 ms"), "{error}");
        assert_eq!(Timing::new(32_000, 2_000, true).map(|timing| timing.windows), Ok(2));
        assert!(Timing::new(60_000, 10_000, true).is_err());
    }

    #[test]
    fn viewers_take_two_fifths_of_the_machine() {
        // 50 viewers take 0.02 cores, 0.8 cores are to be had.
        assert_eq!(Steps::from_probe(0.02, 2.0, 20_000), Steps { half: 1_000, all: 2_000 });
        assert_eq!(Steps::from_probe(0.001, 64.0, 20_000), Steps { half: 2_000, all: 4_000 }, "enough is enough");
        assert_eq!(Steps::from_probe(-0.1, 2.0, 20_000).all, 4_000, "too little to be seen");
        assert_eq!(Steps::from_probe(0.02, 2.0, 900), Steps { half: 450, all: 900 }, "descriptors");
        assert_eq!(Steps::from_probe(1.9, 2.0, 20_000), Steps { half: 50, all: 100 }, "never fewer than came first");
    }
}
