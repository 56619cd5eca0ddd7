//! The fewest edges: `min(max, max(edges.min, schedule floor, burst floor))`.

use super::observed::Observed;
use super::schedule::Open;
use crate::scaling::burst;
use crate::validate::Event;
use jiff::Timestamp;

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
    let raised = seen.burst.map(|burst| (burst.floor_at(seen.audience.is_some(), now), burst));
    if let Some((edges, burst)) = raised.filter(|(edges, _)| *edges > floor.edges) {
        let next = if now < burst.until { burst.until } else { now + burst::STEP };
        floor = Floor { edges, because: Because::Burst, until: Some(next) };
    }
    if floor.edges > event.edges.max {
        floor = Floor { edges: event.edges.max, because: Because::Max, until: floor.until };
    }
    floor
}
