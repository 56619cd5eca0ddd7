//! When a burst is one, what it reads like, and what is no burst.

use super::*;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_796_000_000 + second).unwrap()
}

fn viewers(total: u64) -> Load {
    Load { kind: Kind::Viewers, total, target: 700, capacity: 1_000 }
}

fn sight(loads: &[Load], joins_per_second: f64, ready: u32) -> Sight<'_> {
    Sight { loads, joins_per_second, refused: 0, ready, desired: ready, max: 40 }
}

/// Joins of 10 a second are usual.
fn usual() -> Joins {
    Joins { usual: 10.0, at_ms: Some(at(0).as_millisecond()), ..Joins::default() }
}

#[test]
fn a_crowd_that_outruns_the_autoscaler_raises_the_floor_for_two_minutes() {
    let raised = |total, joins, ready| match look(&sight(&[viewers(total)], joins, ready), None, &mut usual(), at(2)) {
        Verdict::Raise(burst) => Some((burst.floor, burst.until.duration_since(at(2)).as_secs())),
        Verdict::Keep | Verdict::Clear => None,
    };
    let table = [
        ("nothing happens", 3_500, 10.0, 5, None),
        ("more than the target is the autoscaler's business", 4_500, 10.0, 5, None),
        ("full edges", 5_001, 10.0, 5, Some((8, 120))),
        ("many newcomers", 3_500, 110.0, 5, Some((9, 120))),
        ("newcomers for whom there is room", 1_000, 110.0, 5, None),
        ("a very large crowd", 3_500, 1e9, 5, Some((13, 120))),
        ("more than max allows", 35_000, 1e9, 5, Some((40, 120))),
        ("max is asked for already", 60_000, 10.0, 40, None),
        ("a number that is none", 3_500, f64::NAN, 5, None),
    ];
    for (case, total, joins, ready, expected) in table {
        assert_eq!(raised(total, joins, ready), expected, "{case}");
    }
}

#[test]
fn people_who_come_and_go_all_the_time_are_no_burst() {
    let mut joins = Joins::default();
    for second in 0..600 {
        let loads = [viewers(3_000)];
        assert_eq!(look(&sight(&loads, 500.0, 4), None, &mut joins, at(second)), Verdict::Keep, "at {second}");
    }
    let loads = [viewers(3_000)];
    assert!(matches!(look(&sight(&loads, 700.0, 4), None, &mut joins, at(600)), Verdict::Raise(_)));
}

#[test]
fn a_crowd_before_full_edges_is_known_by_those_who_are_turned_away() {
    let mut joins = usual();
    let loads = |refused: u64| [viewers(5_000 + refused)];
    let refused = |refused| Sight { loads: &[], refused, ..sight(&[], 0.0, 5) };
    let (early, late) = (loads(100), loads(500));
    assert_eq!(look(&Sight { loads: &early, desired: 9, ..refused(100) }, None, &mut joins, at(1)), Verdict::Keep);
    // 400 more in two seconds, half of which counts at once: 25 s of that are 2,812 people.
    let verdict = look(&Sight { loads: &late, desired: 9, ..refused(500) }, None, &mut joins, at(3));
    assert_eq!(verdict, Verdict::Raise(Burst { floor: 12, until: at(123) }));
}

#[test]
fn people_who_waited_and_are_let_in_are_no_newcomers() {
    let loads = [viewers(12_000)];
    let let_in = |refused| Sight { refused, desired: 18, ready: 11, ..sight(&loads, 1_000.0, 11) };
    assert_eq!(look(&let_in(6_000), None, &mut Joins { refused: 6_000, ..usual() }, at(2)), Verdict::Keep);
    assert!(matches!(look(&let_in(0), None, &mut usual(), at(2)), Verdict::Raise(_)));
}

#[test]
fn edges_that_are_on_their_way_are_not_asked_for_again() {
    let loads = [viewers(6_000)];
    let on_their_way = Sight { desired: 9, ..sight(&loads, 10.0, 5) };
    assert_eq!(look(&on_their_way, None, &mut usual(), at(2)), Verdict::Keep);
}

#[test]
fn a_floor_is_raised_again_only_by_something_that_counts() {
    let known = Some(Burst { floor: 20, until: at(60) });
    let again = |total| look(&sight(&[viewers(total)], 10.0, 5), known, &mut usual(), at(2));
    assert_eq!((again(14_000), again(14_700)), (Verdict::Keep, Verdict::Keep));
    assert_eq!(again(15_400), Verdict::Raise(Burst { floor: 22, until: at(122) }));
}

#[test]
fn a_burst_that_says_nothing_any_more_is_cleared() {
    let known = Burst { floor: 20, until: at(0) };
    let floors: Vec<u32> = [-1, 0, 30, 60, 89, 90].iter().map(|second| known.floor_at(true, at(*second))).collect();
    assert_eq!(floors, [20, 15, 10, 5, 5, 0]);
    assert_eq!(known.floor_at(false, at(3_600)), 20, "not without a metric");
    let verdict = |second| look(&sight(&[viewers(100)], 0.0, 5), Some(known), &mut usual(), at(second));
    assert_eq!((verdict(89), verdict(90)), (Verdict::Keep, Verdict::Clear));
}

#[test]
fn egress_grows_with_the_newcomers() {
    let egress = Load { kind: Kind::Egress, total: 3_500_000, target: 700_000, capacity: 1_000_000 };
    let loads = [Load { target: 70_000, capacity: 100_000, ..viewers(3_500) }, egress];
    let verdict = look(&sight(&loads, 110.0, 5), None, &mut usual(), at(2));
    assert_eq!(verdict, Verdict::Raise(Burst { floor: 9, until: at(122) }));
}

#[test]
fn a_text_that_is_no_burst_says_what_is_wrong() {
    let table = [
        ("", "reads floor=EDGES"),
        ("floor=3", "reads floor=EDGES"),
        ("until=2026-12-01T01:02:00Z floor=3", "reads floor=EDGES"),
        ("floor=+3 until=2026-12-01T01:02:00Z", "number of edges"),
        ("floor= until=2026-12-01T01:02:00Z", "number of edges"),
        ("floor=4294967296 until=2026-12-01T01:02:00Z", "number of edges"),
        ("floor=3 until=noon", "ends at a time"),
        ("floor=3  until=2026-12-01T01:02:00Z", "reads floor=EDGES"),
        ("floor=00000000000000000000000000000000000003 until=2026-12-01T01:02:00Z", "at most 64 bytes"),
    ];
    for (text, reason) in table {
        let error = text.parse::<Burst>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn a_floor_that_somebody_made_eternal_is_not_believed() {
    let text = |second| Burst { floor: 30, until: at(second) }.to_string();
    assert!(Burst::read(&text(120), at(0)).is_some());
    assert_eq!(Burst::read(&text(3_600), at(0)), None);
    assert!(Burst::read(&text(-86_400), at(0)).is_some(), "one of yesterday is over, not wrong");
}

proptest! {
    #[test]
    fn what_is_written_is_read(floor: u32, second in 0_i64..8_000_000_000) {
        let burst = Burst { floor, until: Timestamp::from_second(second).unwrap() };
        prop_assert_eq!(burst.to_string().parse(), Ok(burst));
    }

    #[test]
    fn no_text_is_too_odd(text in ".{0,80}") {
        let _ = text.parse::<Burst>();
    }

    #[test]
    fn nor_is_one_that_is_nearly_right(text in "(floor=|until=|[0-9]{0,12}| |-|T|:|Z|2026-12-01T01:02:00Z|é){0,8}") {
        if let Ok(burst) = text.parse::<Burst>() {
            prop_assert_eq!(burst.to_string().parse(), Ok(burst));
        }
    }

    #[test]
    fn a_raised_floor_is_never_above_max_nor_below_what_is_asked_for(
        total: u64, joins: f64, ready in 0_u32..2_000, desired in 0_u32..2_000, max in 1_u32..1_000,
    ) {
        let loads = [viewers(total)];
        let sight = Sight { loads: &loads, joins_per_second: joins, refused: 0, ready, desired, max };
        if let Verdict::Raise(burst) = look(&sight, None, &mut usual(), at(2)) {
            prop_assert!(burst.floor <= max && burst.floor > desired);
        }
    }
}
