//! What `--expect` can name, and whether it held.

use crate::tally::Tally;
use clap::ValueEnum;

/// A promise to check at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Expectation {
    /// No read failed after its one retry
    NoErrors,
    /// No read needed its retry
    NoRetries,
    /// No buffer ran empty
    NoStalls,
    /// No segment was missed or marked as a gap, no media time jumped
    NoGaps,
    /// No number and no time went back
    NoBack,
    /// No two answers contradicted each other
    NoMismatches,
    /// No viewer was refused
    NoRefusals,
    /// Every viewer had a picture
    AllJoined,
}

impl Expectation {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
    }

    /// Whether it holds for `tally`.
    pub fn holds(self, tally: &Tally) -> bool {
        match self {
            Self::NoErrors => tally.errors == 0,
            Self::NoRetries => tally.retried == 0,
            Self::NoStalls => tally.stalls == 0,
            Self::NoGaps => tally.gaps + tally.skipped == 0,
            Self::NoBack => tally.back == 0,
            Self::NoMismatches => tally.mismatches == 0,
            Self::NoRefusals => tally.refusals == 0,
            Self::AllJoined => tally.pictures == tally.viewers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expectation_can_fail() {
        let bad = Tally {
            viewers: 1,
            errors: 1,
            retried: 1,
            stalls: 1,
            skipped: 1,
            back: 1,
            mismatches: 1,
            refusals: 1,
            ..Tally::default()
        };
        for expectation in Expectation::value_variants() {
            assert!(expectation.holds(&Tally::default()), "{expectation:?}");
            assert!(!expectation.holds(&bad), "{expectation:?}");
        }
    }
}
