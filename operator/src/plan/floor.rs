//! The fewest edges: `min(max, max(edges.min, schedule floor, burst floor))` (design section 7).

use super::observed::{Burst, Observed};
use super::schedule::Open;
use crate::validate::Event;
use jiff::{SignedDuration, Timestamp};

/// After a burst the floor goes down by one step in this time: what the audience still needs is by then in the metric.
const BURST_STEP: SignedDuration = SignedDuration::from_secs(30);
/// One step is this part of the raised floor.
const BURST_STEPS: i64 = 4;

/// The fewest edges now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// How many.
    pub edges: u32,
    /// Why so many.
    pub because: Because,
    /// When it may be lower, where that is known.
    pub until: Option<Timestamp>,
}

/// Why there are no fewer edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// `edges.min`.
    Min,
    /// A schedule window of this name is open.
    Window(String),
    /// An audience came faster than the autoscaler looks.
    Burst,
    /// More is asked for than `edges.max` allows.
    Max,
}

pub(super) fn floor(event: &Event, seen: &Observed, open: Option<&Open>, now: Timestamp) -> Floor {
    let mut floor = Floor { edges: event.edges.min, because: Because::Min, until: None };
    if let Some(open) = open.filter(|open| open.min > floor.edges) {
        floor = Floor { edges: open.min, because: Because::Window(open.window.clone()), until: None };
    }
    let burst = seen.burst.map(|burst| (burst_floor(burst, seen.audience.is_some(), now), burst));
    if let Some((edges, burst)) = burst.filter(|(edges, _)| *edges > floor.edges) {
        let next = if now < burst.until { burst.until } else { now + BURST_STEP };
        floor = Floor { edges, because: Because::Burst, until: Some(next) };
    }
    if floor.edges > event.edges.max {
        floor = Floor { edges: event.edges.max, because: Because::Max, until: floor.until };
    }
    floor
}

/// The raised floor until it expires, then down in steps; without a metric it stays: the audience it was raised for may
/// still be there.
fn burst_floor(burst: Burst, metric: bool, now: Timestamp) -> u32 {
    if now < burst.until || !metric {
        return burst.floor;
    }
    let gone = now.duration_since(burst.until).as_secs() / BURST_STEP.as_secs() + 1;
    let left = (BURST_STEPS - gone).max(0);
    let floor = i64::from(burst.floor) * left / BURST_STEPS;
    u32::try_from(floor).unwrap_or(burst.floor)
}
