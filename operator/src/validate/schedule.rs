//! Schedule windows, read: instants for those that happen once, a rule of the calendar for those that repeat.

use super::Problems;
use jiff::civil::{Date, Time, Weekday};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use lectern_api::live_event::{EDGES_MAX, Repeat, ScheduleWindow};

/// Longest prewarm in milliseconds: capacity that stands idle longer was a mistake in the schedule.
const PREWARM_MS_MAX: u64 = 6 * 3_600_000;
/// A day, the period of Daily and Weekdays.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// A week, the period of Weekly.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A time in which at least `min` edges stand ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// What people call it.
    pub name: String,
    /// What the audience reads.
    pub title: Option<String>,
    /// The streams that belong to it; none: all.
    pub streams: Vec<String>,
    /// Fewest edges.
    pub min: u32,
    /// How long before the start they are there.
    pub prewarm: SignedDuration,
    /// When it is.
    pub when: When,
}

/// When a window is.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// From one instant to another.
    Once {
        /// It begins.
        start: Timestamp,
        /// It is over.
        end: Timestamp,
        /// The offset in which the start was written.
        offset: Offset,
    },
    /// Again and again.
    Again(Recurrence),
}

/// A window that repeats: times of the day in a time zone, so that nine o'clock stays nine o'clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrence {
    /// On which days.
    pub repeat: Repeat,
    /// Whose clocks.
    pub zone: TimeZone,
    /// The day of the first one.
    pub first: Date,
    /// It begins at this time.
    pub start: Time,
    /// It ends so many days later …
    pub days: i32,
    /// … at this time.
    pub end: Time,
    /// The last day on which one begins.
    pub until: Option<Date>,
}

impl Window {
    /// The offset from UTC that the people who wrote the window use at `at`.
    #[must_use]
    pub fn offset(&self, at: Timestamp) -> Offset {
        match &self.when {
            When::Once { offset, .. } => *offset,
            When::Again(recurrence) => recurrence.zone.to_offset(at),
        }
    }
}

impl Recurrence {
    /// Whether one begins on `day`.
    #[must_use]
    pub fn begins_on(&self, day: Date) -> bool {
        let within = day >= self.first && self.until.is_none_or(|until| day <= until);
        within
            && match self.repeat {
                Repeat::Daily => true,
                Repeat::Weekdays => !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday),
                Repeat::Weekly => day.weekday() == self.first.weekday(),
            }
    }
}

/// The window that `raw` describes; what is wrong with it goes to `problems`.
pub(super) fn read(raw: &ScheduleWindow, field: &str, problems: &mut Problems) -> Option<Window> {
    let before = problems.0.len();
    let start = instant(&raw.start, &format!("{field}.start"), problems);
    let end = instant(&raw.end, &format!("{field}.end"), problems);
    let prewarm_ms = problems.take(format!("{field}.prewarm"), raw.prewarm.millis()).unwrap_or_default();
    problems.unless(prewarm_ms <= PREWARM_MS_MAX, format!("{field}.prewarm"), "must be at most 6h");
    problems.unless((1..=EDGES_MAX).contains(&raw.min), format!("{field}.min"), format!("must be 1 to {EDGES_MAX}"));
    let zone = raw.time_zone.as_ref().and_then(|name| zone(name, field, problems));
    let until = raw.until.as_ref().and_then(|text| until(text, field, problems));
    problems.unless(
        raw.until.is_none() || raw.repeat.is_some(),
        format!("{field}.until"),
        "needs repeat: without it the window ends at its end",
    );
    problems.unless(
        raw.repeat.is_none() || raw.time_zone.is_some(),
        format!("{field}.repeat"),
        "needs timeZone, e.g. Asia/Shanghai: only then is it clear when nine o'clock is after the clocks change",
    );
    let (start, end) = (start?, end?);
    problems.unless(end > start, format!("{field}.end"), "must be after start");
    let when = match (raw.repeat, zone) {
        (None, _) => When::Once { start, end, offset: offset(&raw.start) },
        (Some(repeat), Some(zone)) => When::Again(recurrence(repeat, zone, (start, end), until, field, problems)),
        (Some(_), None) => return None,
    };
    let prewarm = SignedDuration::from_millis(i64::try_from(prewarm_ms).unwrap_or(i64::MAX));
    (problems.0.len() == before).then(|| Window {
        name: raw.name.clone(),
        title: raw.title.clone(),
        streams: raw.streams.clone(),
        min: raw.min,
        prewarm,
        when,
    })
}

fn recurrence(
    repeat: Repeat,
    zone: TimeZone,
    (start, end): (Timestamp, Timestamp),
    until: Option<Date>,
    field: &str,
    problems: &mut Problems,
) -> Recurrence {
    let (period, words) = match repeat {
        Repeat::Daily | Repeat::Weekdays => (DAY, "24h"),
        Repeat::Weekly => (WEEK, "168h"),
    };
    problems.unless(
        end.duration_since(start) <= period,
        format!("{field}.end"),
        format!("a window must not be longer than what it repeats by ({words})"),
    );
    let first = zone.to_datetime(start);
    let last = zone.to_datetime(end);
    problems.unless(
        until.is_none_or(|until| until >= first.date()),
        format!("{field}.until"),
        format!("is before the first day, {} in {}", first.date(), zone.iana_name().unwrap_or("that time zone")),
    );
    let days = first.date().until(last.date()).map_or(0, |span| span.get_days());
    Recurrence { repeat, zone, first: first.date(), start: first.time(), days, end: last.time(), until }
}

/// The offset of a time that `instant` could read.
fn offset(text: &str) -> Offset {
    Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset()).unwrap_or(Offset::UTC)
}

fn instant(text: &str, field: &str, problems: &mut Problems) -> Option<Timestamp> {
    let read = text.parse::<Timestamp>();
    read.map_err(|_| problems.add(field, format!("{text:?} is no time with offset, e.g. 2026-12-01T09:00:00+08:00")))
        .ok()
}

fn zone(name: &str, field: &str, problems: &mut Problems) -> Option<TimeZone> {
    // The bundled database, so that every replica and every machine reads one schedule.
    let found = TimeZoneDatabase::bundled().get(name);
    let field = format!("{field}.timeZone");
    found.map_err(|_| problems.add(field, format!("{name:?} is no IANA time zone, e.g. Europe/Berlin"))).ok()
}

fn until(text: &str, field: &str, problems: &mut Problems) -> Option<Date> {
    let read = text.parse::<Date>();
    read.map_err(|_| problems.add(format!("{field}.until"), format!("{text:?} is no day, e.g. 2026-12-04"))).ok()
}
