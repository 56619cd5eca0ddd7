//! Measured numbers in a status: few digits, few writes. An event at rest writes nothing at all.

use jiff::{SignedDuration, Timestamp};
use lectern_api::live_event::LiveEventStatus;

/// A measured number is rewritten when it is off by more than this part of what is written (5 %).
const CHANGE_PART: u64 = 20;

/// A frame rate is rewritten when it is off by more than this part of its last written digit: a first measurement that was
/// one frame too low does not stay, and one that wavers between two figures does not write them in turn.
const FRAME_RATE_HELD: f64 = 0.6;

/// Status that differs in measured numbers alone is written at most once in this time.
pub const MEASURED_WRITE_PERIOD: SignedDuration = SignedDuration::from_secs(15);

/// What to do with a new status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It says nothing new.
    No,
    /// Write it.
    Now,
    /// It differs in measured numbers alone; look again then.
    At(Timestamp),
}

/// Whether `next` is to be written over `previous`, the last write having been at `last`.
#[must_use]
pub fn due(
    previous: Option<&LiveEventStatus>,
    next: &LiveEventStatus,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Write {
    let Some(previous) = previous else { return Write::Now };
    if previous == next {
        return Write::No;
    }
    if without_numbers(previous) != without_numbers(next) {
        return Write::Now;
    }
    match last.map(|last| last + MEASURED_WRITE_PERIOD) {
        Some(at) if now < at => Write::At(at),
        Some(_) | None => Write::Now,
    }
}

fn without_numbers(status: &LiveEventStatus) -> LiveEventStatus {
    let mut status = status.clone();
    if let Some(edges) = &mut status.edges {
        edges.viewers = None;
        edges.egress_bits_per_second = None;
        for node in &mut edges.nodes {
            node.viewers = None;
        }
    }
    for stream in &mut status.streams {
        stream.frame_rate = None;
        stream.bit_rate = None;
        stream.gop = None;
    }
    // Warnings carry measured numbers too, but a new warning is news; which numbers it names is settled in `streams`.
    status
}

/// `new` as it is to be written: two significant digits, and the old text unless it moved by more than 5 %. A number
/// that is not known now stays as it was.
pub(super) fn measured(new: Option<u64>, old: Option<u64>) -> Option<u64> {
    let Some(new) = new else { return old };
    match old {
        Some(old) if old != 0 && new != 0 && new.abs_diff(old) <= old / CHANGE_PART => Some(old),
        Some(_) | None => Some(two_digits(new)),
    }
}

/// Frames per second: whole ones from 10 on, tenths below. See [`FRAME_RATE_HELD`].
pub(super) fn frame_rate(new: Option<f64>, old: Option<f64>) -> Option<f64> {
    let Some(new) = new else { return old };
    let per_unit = if new >= 10.0 { 1.0 } else { 10.0 };
    match old {
        Some(old) if (new - old).abs() * per_unit <= FRAME_RATE_HELD => Some(old),
        Some(_) | None => Some((new * per_unit).round() / per_unit),
    }
}

/// The same as [`measured`] for numbers with a fraction, e.g. a key frame each 1.9 s.
pub(super) fn measured_fraction(new: Option<f64>, old: Option<f64>) -> Option<f64> {
    let Some(new) = new else { return old };
    match old {
        Some(old) if old > 0.0 && (new - old).abs() <= old / 20.0 => Some(old),
        Some(_) | None if new >= 10.0 => Some(new.round()),
        Some(_) | None => Some((new * 10.0).round() / 10.0),
    }
}

fn two_digits(number: u64) -> u64 {
    let digits = number.checked_ilog10().unwrap_or(0);
    let unit = 10_u64.pow(digits.saturating_sub(1));
    number.saturating_add(unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_digits_and_move_only_when_they_really_move() {
        let table = [
            (Some(0), None, Some(0)),
            (Some(7), None, Some(7)),
            (Some(1_234), None, Some(1_200)),
            (Some(1_250), None, Some(1_300)),
            (Some(1_234), Some(1_200), Some(1_200)),
            (Some(1_261), Some(1_200), Some(1_300)),
            (Some(0), Some(1_200), Some(0)),
            (None, Some(1_200), Some(1_200)),
            (Some(u64::MAX), None, Some(u64::MAX / 10_u64.pow(18) * 10_u64.pow(18))),
        ];
        for (new, old, written) in table {
            assert_eq!(measured(new, old), written, "{new:?} over {old:?}");
        }
    }

    #[test]
    fn a_written_number_stays_when_it_is_measured_again() {
        for number in (0..3_000).step_by(7) {
            let written = measured(Some(number), None);
            assert_eq!(measured(Some(number), written), written, "{number}");
        }
    }

    #[test]
    fn a_frame_rate_that_was_too_low_at_first_does_not_stay() {
        for (first, then) in [(24.0, 25.0), (24.4, 25.0), (28.6, 30.0), (58.0, 60.0), (59.0, 60.0), (4.8, 5.0)] {
            let written = frame_rate(Some(then), frame_rate(Some(first), None));
            assert_eq!(written, Some(then), "{first} at first");
        }
        let wavering = [29.97, 29.6, 30.4, 29.5, 30.0];
        let written = wavering.into_iter().scan(None, |old, new| {
            *old = frame_rate(Some(new), *old);
            *old
        });
        assert_eq!(written.collect::<Vec<_>>(), [30.0; 5]);
        assert_eq!(frame_rate(None, Some(25.0)), Some(25.0));
    }

    #[test]
    fn numbers_alone_wait_and_news_does_not() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let status = |viewers, live: &str| LiveEventStatus {
            live: Some(live.into()),
            edges: Some(lectern_api::live_event::EdgesStatus { viewers: Some(viewers), ..Default::default() }),
            ..Default::default()
        };
        let old = status(10, "0/1");
        assert_eq!(due(Some(&old), &old, Some(at(0)), at(1)), Write::No);
        assert_eq!(due(Some(&old), &status(20, "0/1"), Some(at(0)), at(1)), Write::At(at(15)));
        assert_eq!(due(Some(&old), &status(20, "0/1"), Some(at(0)), at(15)), Write::Now);
        assert_eq!(due(Some(&old), &status(20, "1/1"), Some(at(0)), at(1)), Write::Now);
        assert_eq!(due(None, &old, None, at(1)), Write::Now);
    }
}
