//! What the rules do over time: tables in seconds.

use super::*;
use crate::scaling::Kind;

const BOUNDS: Bounds = Bounds { min: 2, max: 40 };

/// A run: one look a second.
struct Run {
    edges: u32,
    second: i64,
    memory: Memory,
    rules: Rules,
}

impl Run {
    fn at(edges: u32) -> Self {
        Self { edges, second: 0, memory: Memory::default(), rules: Rules::default() }
    }

    /// `seconds` with so many viewers (100 an edge), or without a count.
    fn go(&mut self, seconds: i64, viewers: Option<u64>) -> u32 {
        self.within(BOUNDS, seconds, viewers)
    }

    fn within(&mut self, bounds: Bounds, seconds: i64, viewers: Option<u64>) -> u32 {
        for _ in 0..seconds {
            self.second += 1;
            let loads = viewers.map(|total| [Load { kind: Kind::Viewers, total, target: 100, capacity: 143 }]);
            let fleet = Fleet { desired: self.edges, existing: self.edges };
            let now = Timestamp::from_second(self.second).unwrap();
            let loads = loads.as_ref().map(<[Load; 1]>::as_slice);
            self.edges = wanted(&self.rules, fleet, bounds, loads, &mut self.memory, now);
        }
        self.edges
    }
}

#[test]
fn more_come_at_once_and_at_most_four_times_as_many_in_a_period() {
    let mut run = Run::at(5);
    assert_eq!(run.go(1, Some(800)), 8);
    let mut run = Run::at(5);
    assert_eq!(run.go(1, Some(100_000)), 20, "four times as many");
    assert_eq!(run.go(14, Some(100_000)), 20);
    assert_eq!(run.go(1, Some(100_000)), 40, "up to max");
    assert_eq!(Run::at(2).go(1, Some(100_000)), 12, "ten more are allowed to a small event");
}

#[test]
fn fewer_only_after_five_minutes_and_then_a_tenth_a_minute() {
    let mut run = Run::at(40);
    run.go(1, Some(4_000));
    assert_eq!(run.go(299, Some(0)), 40);
    assert_eq!(run.go(2, Some(0)), 36);
    assert_eq!(run.go(58, Some(0)), 36);
    assert_eq!(run.go(2, Some(0)), 32);
    assert_eq!(run.go(3_600, Some(0)), 2, "and never below min");
}

#[test]
fn a_break_costs_no_edge() {
    let mut run = Run::at(20);
    run.go(10, Some(2_000));
    for _ in 0..5 {
        assert_eq!(run.go(240, Some(100)), 20);
        assert_eq!(run.go(60, Some(2_000)), 20);
    }
}

#[test]
fn an_unknown_audience_never_costs_an_edge_nor_does_the_first_number_after() {
    let mut run = Run::at(20);
    run.go(10, Some(2_000));
    assert_eq!(run.go(3_600, None), 20);
    assert_eq!(run.go(299, Some(0)), 20, "a whole window starts when something is known again");
    assert_eq!(run.go(2, Some(0)), 18);
    assert_eq!(run.go(1, Some(4_000)), 40, "upward at once");
}

#[test]
fn whoever_starts_anew_takes_nothing_away_for_a_window() {
    let mut run = Run::at(20);
    run.go(400, Some(2_000));
    run.memory = Memory::default();
    assert_eq!(run.go(299, Some(0)), 20);
    assert!(run.go(2, Some(0)) < 20);
}

#[test]
fn bounds_hold_at_once_whatever_is_known() {
    let narrow = Bounds { min: 8, max: 10 };
    assert_eq!(Run::at(2).within(narrow, 1, None), 8);
    assert_eq!(Run::at(20).within(narrow, 1, None), 10);
    let mut run = Run::at(2);
    assert_eq!(run.within(narrow, 60, Some(0)), 8);
    assert_eq!((run.within(BOUNDS, 59, Some(0)), run.within(BOUNDS, 2, Some(0))), (7, 6), "a lower minimum is paced");
    assert_eq!(run.within(BOUNDS, 900, Some(0)), 2);
}

#[test]
fn a_fleet_of_none_begins() {
    assert_eq!(Run::at(0).within(Bounds { min: 0, max: 4 }, 1, Some(1)), 1);
    assert_eq!(Run::at(0).within(Bounds { min: 0, max: 4 }, 1, None), 0);
}

#[test]
fn who_does_not_want_to_wait_waits_less() {
    let mut run = Run { rules: Rules::down_after(20), ..Run::at(20) };
    run.go(1, Some(2_000));
    assert_eq!(run.go(19, Some(0)), 20);
    assert_eq!((run.go(2, Some(0)), run.go(2, Some(0)), run.go(1, Some(0))), (18, 18, 16));
    assert_eq!(Rules::down_after(300), Rules::default());
}
