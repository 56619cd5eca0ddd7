//! The rules of scaling, and what acts on them where Kubernetes does not.
//!
//! Stabilisation does not protect the edges after an outage of the metrics that is longer than its window, nor when the
//! minimum goes down; the slow steps for scaling down do, and are therefore always there (design section 7).

use super::load::{Load, wish};
use super::memory::Memory;
use crate::validate::Bounds;
use jiff::{SignedDuration, Timestamp};

/// How the number of edges moves in one direction. Of several steps the largest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Over how many seconds the most cautious wish counts.
    pub window_s: u32,
    /// What is too little to act on, in thousandths.
    pub tolerance_permille: u32,
    /// How fast.
    pub steps: [Step; 2],
}

/// So many edges in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many.
    pub amount: Amount,
    /// In how many seconds.
    pub period_s: u32,
}

/// How many edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Edges(u32),
    /// This part of those that there were, in per cent.
    Percent(u32),
}

/// How the number of edges moves. The default everywhere but in a local run that was told not to wait so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// More edges.
    pub up: Direction,
    /// Fewer edges.
    pub down: Direction,
}

impl Default for Rules {
    fn default() -> Self {
        Self { up: UP, down: DOWN }
    }
}

impl Rules {
    /// The same, but edges go when an audience has been smaller for `window_s`, and faster in the same measure.
    #[must_use]
    pub fn down_after(window_s: u32) -> Self {
        let mut rules = Self::default();
        rules.down.window_s = window_s;
        let paced = |period_s: u32| u64::from(period_s) * u64::from(window_s) / u64::from(DOWN.window_s);
        for step in &mut rules.down.steps {
            step.period_s = u32::try_from(paced(step.period_s)).unwrap_or(u32::MAX).max(1);
        }
        rules
    }

    fn longest_period(&self) -> SignedDuration {
        seconds(self.up.steps.iter().chain(&self.down.steps).map(|step| step.period_s).max().unwrap_or(0))
    }
}

/// One period of the autoscaler with its default settings, in seconds.
const UP_PERIOD_S: u32 = 15;
const DOWN_PERIOD_S: u32 = 60;

/// More edges: at once, and up to four times as many in one period of the autoscaler. The tolerance that Kubernetes
/// has by default, a tenth, would use up a third of the room that the target leaves.
pub const UP: Direction = Direction {
    window_s: 0,
    tolerance_permille: 20,
    steps: [
        Step { amount: Amount::Percent(300), period_s: UP_PERIOD_S },
        Step { amount: Amount::Edges(10), period_s: UP_PERIOD_S },
    ],
};

/// Fewer edges: what was wished for in the last five minutes still counts (an encoder that reconnects, or a break
/// between two talks, must not cost the edges), and then a tenth of them in a minute; a tenth of a small event is none.
pub const DOWN: Direction = Direction {
    window_s: 300,
    tolerance_permille: 150,
    steps: [
        Step { amount: Amount::Percent(10), period_s: DOWN_PERIOD_S },
        Step { amount: Amount::Edges(1), period_s: DOWN_PERIOD_S },
    ],
};

/// The edges as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// So many are asked for at present.
    pub desired: u32,
    /// So many exist; those that are ending do not count.
    pub existing: u32,
}

/// How many edges there should be at `now`, by the same rules as the autoscaler of Kubernetes. Without `loads` it is
/// not known who watches: the number holds, and counts as a wish, so that nothing goes as soon as something is known.
pub fn wanted(
    rules: &Rules,
    fleet: Fleet,
    bounds: Bounds,
    loads: Option<&[Load]>,
    memory: &mut Memory,
    now: Timestamp,
) -> u32 {
    let (current, window) = (fleet.desired, seconds(rules.down.window_s));
    if memory.is_empty() {
        memory.wish(current, window, now);
    }
    let proposed = loads.and_then(|loads| wish(loads, fleet.existing));
    memory.wish(proposed.unwrap_or(current), window, now);
    // The bounds hold at once, whatever is known.
    let next = if current > bounds.max {
        bounds.max
    } else if current < bounds.min {
        bounds.min
    } else if let Some(proposed) = proposed {
        paced(rules, current, proposed, bounds, memory, now)
    } else {
        current
    };
    if next != current {
        memory.change(i64::from(next) - i64::from(current), rules.longest_period(), now);
    }
    next
}

/// From `current` towards `proposed` as far as stabilisation and steps allow.
fn paced(rules: &Rules, current: u32, proposed: u32, bounds: Bounds, memory: &Memory, now: Timestamp) -> u32 {
    let highest = memory.highest(seconds(rules.down.window_s), now).unwrap_or(proposed).max(proposed);
    if proposed > current {
        let limit = limits(&rules.up, true, current, memory, now).max().unwrap_or(current).max(current);
        proposed.min(limit).min(bounds.max)
    } else if highest < current {
        let limit = limits(&rules.down, false, current, memory, now).min().unwrap_or(current).min(current);
        highest.max(limit).max(bounds.min)
    } else {
        current
    }
}

/// How far each step of `direction` goes from what there was at the start of its period. Parts of an edge are rounded
/// as Kubernetes does it: away from where it stands.
fn limits(
    direction: &Direction,
    upward: bool,
    current: u32,
    memory: &Memory,
    now: Timestamp,
) -> impl Iterator<Item = u32> {
    direction.steps.into_iter().map(move |step| {
        let before = i64::from(current) - memory.changed(seconds(step.period_s), now);
        let limit = match (step.amount, upward) {
            (Amount::Edges(edges), true) => before + i64::from(edges),
            (Amount::Edges(edges), false) => before - i64::from(edges),
            (Amount::Percent(percent), true) => (before * (100 + i64::from(percent)) + 99).div_euclid(100),
            (Amount::Percent(percent), false) => (before * (100 - i64::from(percent))).div_euclid(100),
        };
        u32::try_from(limit.max(0)).unwrap_or(u32::MAX)
    })
}

fn seconds(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}

#[cfg(test)]
mod tests;
