//! An audience that comes faster than the autoscaler looks.
//!
//! The autoscaler looks every 15 s, and a new edge takes some seconds more. When the people who will be there by then
//! are more than the edges that are Ready carry, the leader does not wait: it raises the floor for two minutes, which it
//! records in an annotation of the autoscaler, and scales upward itself. The floor then goes down in steps; what the
//! audience needs is by that time in the metric.

use super::load::{Kind, Load};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How long a raised floor stays: eight looks of the autoscaler.
pub const HOLD: SignedDuration = SignedDuration::from_secs(120);
/// After that it goes down by one step in this time.
pub const STEP: SignedDuration = SignedDuration::from_secs(30);
/// One step is this part of the raised floor.
pub const STEPS: i64 = 4;
/// How far ahead one looks: the longest wait for the autoscaler (15 s), the start of an edge and the way to the load
/// balancer (5 s), and the time by which counted viewers are older than joins (5 s).
const AHEAD_S: f64 = 25.0;
/// Over so many seconds the usual rate of joins is averaged: people who come and go all the time are no growth.
const USUAL_S: f64 = 60.0;
/// Over so many seconds metrics-api averages joins (three rounds); people who had been refused and were let in within
/// them are no newcomers.
const JOINS_OVER_S: f64 = 6.0;
/// Over so many seconds the growth of those who are refused is averaged: two rounds.
const REFUSED_OVER_S: f64 = 4.0;
/// A floor is raised only by more than this part (5 %) over what is asked for: every raise is a write.
const RAISE_PART: u32 = 20;
/// Longest text that can be a burst: `floor=4294967295 until=` and a time with nanoseconds.
const TEXT_BYTES_MAX: usize = 64;

/// A floor that was raised for a short while. As text, in the annotation `lectern.dev/burst`:
/// `floor=12 until=2026-12-01T01:02:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Fewest edges.
    pub floor: u32,
    /// Until when, in whole seconds.
    pub until: Timestamp,
}

/// Why a text is no burst.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is too long.
    #[error("a burst has at most {TEXT_BYTES_MAX} bytes, this has {bytes}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It has not the two fields.
    #[error("a burst reads floor=EDGES until=TIME, not {text:?}")]
    Fields {
        /// What it reads.
        text: String,
    },
    /// The floor is no number.
    #[error("the floor of a burst is a number of edges, not {text:?}")]
    Floor {
        /// What it is.
        text: String,
    },
    /// The time is none.
    #[error("a burst ends at a time such as 2026-12-01T01:02:00Z, not {text:?}")]
    Until {
        /// What it is.
        text: String,
    },
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "floor={} until={}", self.floor, self.until)
    }
}

impl FromStr for Burst {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ParseError::TooLong { bytes: text.len() });
        }
        let fields = text
            .split_once(' ')
            .and_then(|(floor, until)| Some((floor.strip_prefix("floor=")?, until.strip_prefix("until=")?)));
        let (floor, until) = fields.ok_or_else(|| ParseError::Fields { text: text.into() })?;
        // `parse` alone would take a sign.
        let digits = floor.bytes().all(|byte| byte.is_ascii_digit());
        let edges = floor.parse().ok().filter(|_| digits);
        Ok(Self {
            floor: edges.ok_or_else(|| ParseError::Floor { text: floor.into() })?,
            until: until.parse().map_err(|_| ParseError::Until { text: until.into() })?,
        })
    }
}

impl Burst {
    /// The burst that an annotation describes. None for a text that the operator cannot have written, such as one that
    /// would hold for longer than any burst does: a floor must not stay for ever because a user edited it.
    #[must_use]
    pub fn read(text: &str, now: Timestamp) -> Option<Self> {
        // Two operators' clocks may differ a little.
        let clocks = SignedDuration::from_secs(30);
        text.parse().ok().filter(|burst: &Self| burst.until.duration_since(now) <= HOLD + clocks)
    }

    /// The fewest edges by it at `now`: its floor until it expires, then down in steps. Without a metric it stays: the
    /// audience it was raised for may still be there.
    #[must_use]
    pub fn floor_at(&self, metric: bool, now: Timestamp) -> u32 {
        if now < self.until || !metric {
            return self.floor;
        }
        let gone = now.duration_since(self.until).as_secs() / STEP.as_secs() + 1;
        let left = (STEPS - gone).max(0);
        u32::try_from(i64::from(self.floor) * left / STEPS).unwrap_or(self.floor)
    }

    /// It says nothing any more: its annotation may go.
    #[must_use]
    pub fn is_over(&self, metric: bool, now: Timestamp) -> bool {
        self.floor_at(metric, now) == 0
    }
}

/// What one look at an event shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight<'a> {
    /// What fills the edges.
    pub loads: &'a [Load],
    /// Newcomers a second over the last few rounds.
    pub joins_per_second: f64,
    /// People who were refused in the last 15 s; they are in the loads, too.
    pub refused: u64,
    /// Edges that viewers are sent to.
    pub ready: u32,
    /// Edges that are asked for.
    pub desired: u32,
    /// `edges.max`.
    pub max: u32,
}

/// How people come: the usual rate of joins, and how fast those who are refused grow in number. A lost one is an empty
/// one, which takes what it first sees for usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Joins {
    usual: f64,
    refused: u64,
    turned_away: f64,
    at_ms: Option<i64>,
}

/// What to do about a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Keep,
    /// Record this one, apply the raised floor, then scale upward to it.
    Raise(Burst),
    /// Take the annotation away.
    Clear,
}

/// One look, every round of the metrics. Call it only while the metric is there.
pub fn look(sight: &Sight<'_>, known: Option<Burst>, joins: &mut Joins, now: Timestamp) -> Verdict {
    let surplus = joins.surplus(sight, now);
    let expected = |load: &Load| load.ahead(surplus * AHEAD_S, sight);
    let outrun = sight.loads.iter().any(|load| expected(load) > u64::from(sight.ready).saturating_mul(load.capacity));
    let needed = sight.loads.iter().map(|load| Load { total: expected(load), ..*load }.needed()).max().unwrap_or(0);
    let floor = needed.min(sight.max);
    let standing = known.map_or(0, |burst| burst.floor_at(true, now)).max(sight.desired);
    if outrun && floor > standing.saturating_add(standing / RAISE_PART) {
        let until = Timestamp::from_second((now + HOLD).as_second()).unwrap_or(now);
        return Verdict::Raise(Burst { floor, until });
    }
    match known {
        Some(burst) if burst.is_over(true, now) => Verdict::Clear,
        Some(_) | None => Verdict::Keep,
    }
}

impl Joins {
    /// By how many a second newcomers are more than usual: those who are let in, and those who are turned away. While
    /// edges are full no viewer joins, and only the latter tell of a crowd; once there is room those who waited join all at
    /// once, and are no news.
    fn surplus(&mut self, sight: &Sight<'_>, now: Timestamp) -> f64 {
        let rate = if sight.joins_per_second.is_finite() { sight.joins_per_second } else { 0.0 };
        let fresh = (rate - sight.refused as f64 / JOINS_OVER_S).max(0.0);
        let now_ms = now.as_millisecond();
        let Some(at_ms) = self.at_ms else {
            *self = Self { usual: fresh, refused: sight.refused, turned_away: 0.0, at_ms: Some(now_ms) };
            return 0.0;
        };
        let surplus = (fresh - self.usual).max(0.0);
        let passed_ms = now_ms.saturating_sub(at_ms);
        if passed_ms > 0 {
            let passed_s = passed_ms as f64 / 1_000.0;
            let growth = (sight.refused as f64 - self.refused as f64) / passed_s;
            self.turned_away += (growth - self.turned_away) * (passed_s / REFUSED_OVER_S).min(1.0);
            self.usual += (fresh - self.usual) * (passed_s / USUAL_S).min(1.0);
            (self.refused, self.at_ms) = (sight.refused, Some(now_ms));
        }
        surplus + self.turned_away.max(0.0)
    }
}

impl Load {
    /// Its total when so many more `newcomers` watch: each is one viewer, and takes as much egress as the others do. One
    /// look expects at most twice as much as there is, or as is provided for; if more come the next one sees it.
    fn ahead(&self, newcomers: f64, sight: &Sight<'_>) -> u64 {
        let growth = match self.kind {
            Kind::Viewers => newcomers,
            Kind::Egress => {
                let viewers = sight.loads.iter().find(|load| load.kind == Kind::Viewers).map_or(0, |load| load.total);
                if viewers == 0 { 0.0 } else { newcomers * self.total as f64 / viewers as f64 }
            }
        };
        let most = self.total.max(u64::from(sight.desired).saturating_mul(self.capacity));
        // A float that is too large becomes the largest number.
        self.total.saturating_add((growth as u64).min(most))
    }
}

#[cfg(test)]
mod tests;
