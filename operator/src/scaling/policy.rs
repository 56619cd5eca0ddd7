//! What acts on the rules of scaling where Kubernetes does not.
//!
//! Stabilisation does not protect the edges after an outage of the metrics that is longer than its window, nor when the
//! minimum goes down; the slow steps for scaling down do, and are therefore always there.

use super::load::{Load, wish};
use super::memory::Memory;
use super::rules::{Amount, Direction, Rules, seconds};
use crate::validate::Bounds;
use jiff::Timestamp;

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

#[cfg(test)]
mod tests;
