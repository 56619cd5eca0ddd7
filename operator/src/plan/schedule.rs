//! The schedule: which windows are open at an instant, and when that next changes.
//!
//! A time of the day that the clocks skip is the later one, a time that comes twice is the earlier one (the rule of RFC
//! 5545, which jiff calls `compatible`). Time zones come from the bundled database.

use crate::validate::{Bounds, Recurrence, When, Window};
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Span, Timestamp};

/// Days of the calendar that a search looks ahead: more than a week, so that a Weekly window is always found.
const DAYS_AHEAD: i64 = 9;
/// Days that it looks back: a Weekly window may be a week long, and a day more for time zones.
const DAYS_BACK: i64 = 9;

/// What the schedule says about an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The open window that asks for most edges.
    pub open: Option<Open>,
    /// The next change of the fewest edges.
    pub step: Option<Step>,
    /// When a window next opens or closes, whatever that changes.
    pub change: Option<Timestamp>,
}

/// An open window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its name.
    pub window: String,
    /// Fewest edges.
    pub min: u32,
}

/// A change of the fewest edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// The fewest edges from then on.
    pub min: u32,
    /// The window that begins, or that ends.
    pub window: String,
}

/// One time that a window is open, prewarm included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Edges are there from here on (start less prewarm).
    pub warm: Timestamp,
    /// The session begins.
    pub start: Timestamp,
    /// It is over.
    pub end: Timestamp,
}

/// What `windows` say about `now`, where there are `edges.min` edges in any case and `edges.max` at most: a window that
/// changes nothing is no step.
#[must_use]
pub fn outlook(windows: &[Window], edges: &Bounds, now: Timestamp) -> Outlook {
    let occurrences: Vec<(&Window, Occurrence)> =
        windows.iter().flat_map(|window| around(window, now).into_iter().map(move |when| (window, when))).collect();
    let open_at = |at: Timestamp| {
        let open = occurrences.iter().filter(|(_, when)| when.warm <= at && at < when.end);
        // The first of equals: the answer must not depend on anything but the spec.
        open.fold(None::<&Window>, |best, (window, _)| match best {
            Some(best) if best.min >= window.min => Some(best),
            Some(_) | None => Some(window),
        })
    };
    let floor_of = |open: Option<&Window>| open.map_or(0, |window| window.min).clamp(edges.min, edges.max);
    let open = open_at(now);
    let mut changes: Vec<(Timestamp, &Window)> =
        occurrences.iter().flat_map(|(window, when)| [(when.warm, *window), (when.end, *window)]).collect();
    changes.retain(|(at, _)| *at > now);
    changes.sort_by_key(|(at, _)| *at);
    let step = changes.iter().find_map(|(at, cause)| {
        let then = open_at(*at);
        let (before, min) = (floor_of(open), floor_of(then));
        let window = then.filter(|_| min > before).unwrap_or(cause);
        (min != before).then(|| Step { at: *at, min, window: window.name.clone() })
    });
    Outlook {
        open: open.map(|window| Open { window: window.name.clone(), min: window.min }),
        step,
        change: changes.first().map(|(at, _)| *at),
    }
}

/// The occurrences of `window` near `now`: all that may be open, and at least the next one that begins.
#[must_use]
pub fn around(window: &Window, now: Timestamp) -> Vec<Occurrence> {
    match &window.when {
        When::Once { start, end, .. } => {
            vec![Occurrence { warm: before(*start, window.prewarm), start: *start, end: *end }]
        }
        When::Again(again) => repeated(again, window.prewarm, now),
    }
}

/// The occurrences of `window` that are not over before `from`; of repetitions those that begin before `to`.
#[must_use]
pub fn between(window: &Window, from: Timestamp, to: Timestamp) -> Vec<Occurrence> {
    let all = match &window.when {
        When::Once { .. } => around(window, from),
        When::Again(again) => {
            let first = shift(again.zone.to_datetime(from).date(), -DAYS_BACK).max(again.first);
            let last = shift(again.zone.to_datetime(to).date(), 1);
            let days = std::iter::successors(Some(first), |day| day.tomorrow().ok()).take_while(|day| *day <= last);
            let all = days.filter(|day| again.begins_on(*day));
            all.filter_map(|day| occurrence(again, window.prewarm, day)).filter(|when| when.start < to).collect()
        }
    };
    all.into_iter().filter(|when| when.end > from).collect()
}

fn repeated(again: &Recurrence, prewarm: SignedDuration, now: Timestamp) -> Vec<Occurrence> {
    let today = again.zone.to_datetime(now).date();
    let from = shift(today, -DAYS_BACK).max(again.first);
    let to = shift(from.max(today), DAYS_AHEAD);
    let days = std::iter::successors(Some(from), |day| day.tomorrow().ok()).take_while(|day| *day <= to);
    days.filter(|day| again.begins_on(*day)).filter_map(|day| occurrence(again, prewarm, day)).collect()
}

fn occurrence(again: &Recurrence, prewarm: SignedDuration, day: Date) -> Option<Occurrence> {
    let start = instant(again, day.to_datetime(again.start))?;
    let last = shift(day, i64::from(again.days)).to_datetime(again.end);
    let mut end = instant(again, last)?;
    if end <= start {
        // The clocks skipped the start but not the end: keep the length that the schedule gives.
        end = start + day.to_datetime(again.start).duration_until(last);
    }
    Some(Occurrence { warm: before(start, prewarm), start, end })
}

/// The instant of a civil time: the later one in a gap, the earlier one in a fold.
fn instant(again: &Recurrence, at: DateTime) -> Option<Timestamp> {
    again.zone.to_ambiguous_timestamp(at).compatible().ok()
}

fn before(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

fn shift(day: Date, days: i64) -> Date {
    day.saturating_add(Span::new().days(days))
}

#[cfg(test)]
mod tests;
