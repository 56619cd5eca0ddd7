//! The fold against the truth, in a world of players, a load balancer and edges on virtual time.

mod world;

use super::START_MS;
use world::{Balancer, HEARD_MS, ROUND_MS, STEP_MS, Step, World};

const BALANCERS: [Balancer; 3] = [Balancer::PerRequest, Balancer::PerConnection, Balancer::Uneven];
const MINUTE_MS: u64 = 60_000;

#[test]
fn an_audience_that_comes_and_goes_is_counted_within_five_per_cent() {
    for (seed, balancer) in (1..).zip(BALANCERS) {
        for segment_ms in [2_000, 4_000, 6_000] {
            let mut world = World::new(seed, balancer, 5, segment_ms);
            let end_ms = START_MS + 2 * MINUTE_MS;
            // Three hundred new ones a minute, and as many who go.
            world.churn(1_500, 5 * MINUTE_MS, START_MS + 1_000, end_ms);
            world.run(end_ms);
            let error = world.error_percent(START_MS + 40_000, end_ms);
            assert!(error <= 5, "{error} % with {balancer:?}, segments of {segment_ms} ms: {:?}", world.told.last());
        }
    }
}

/// Segments and target durations in milliseconds. Those of 29.97 frames a second are a little longer than a whole second,
/// so that players ask less often than segments come; after a long first segment much less often.
const LENGTHS: [(u64, u64); 6] =
    [(2_000, 2_000), (4_000, 4_000), (6_000, 6_000), (2_002, 3_000), (6_006, 7_000), (3_000, 6_000)];
/// Players that come within so many milliseconds, and how punctual they are, in per cent.
const HABITS: [(u64, u64); 3] = [(200, 0), (STEP_MS, 5), (10_000, 10)];

/// An audience that is steady, grows by a factor, is steady, shrinks by it, is steady; the largest errors in per cent
/// while it is steady, and from ten seconds after a step.
fn step(world: &mut World, most: u64, times: u64) -> (u64, u64) {
    let few = most / times;
    world.join(START_MS + 1_000, few, None);
    world.spread_ms = STEP_MS;
    let up_ms = START_MS + 60_300;
    world.join(up_ms, most - few, None);
    let down_ms = up_ms + 70_700;
    world.leave(down_ms, usize::try_from(most - few).unwrap());
    let end_ms = down_ms + 45_000;
    world.run(end_ms);
    let steady = world.error_percent(START_MS + 25_000, up_ms).max(world.error_percent(up_ms + 30_000, down_ms));
    let up = world.error_percent(up_ms + STEP_MS + 10_000, up_ms + 30_000);
    (steady, up.max(world.error_percent(down_ms + STEP_MS + 10_000, end_ms)))
}

#[test]
fn ten_seconds_after_a_step_the_count_is_within_ten_per_cent() {
    for (seed, (segment_ms, target_ms)) in (10..).zip(LENGTHS) {
        for (balancer, (spread_ms, jitter_percent)) in BALANCERS.into_iter().zip(HABITS) {
            for times in [2, 10] {
                let mut world = World::new(seed, balancer, 5, segment_ms);
                (world.target_ms, world.spread_ms, world.jitter_percent) = (target_ms, spread_ms, jitter_percent);
                let (steady, after) = step(&mut world, 3_000, times);
                let what = format!("{balancer:?}, segments of {segment_ms} ms, {times} times");
                println!("{what}: {steady} % steady, {after} % after a step");
                assert!(steady <= 5, "{steady} % while it was steady: {what}");
                assert!(after <= 10, "{after} % ten seconds after a step: {what}");
            }
        }
    }
}

#[test]
fn with_edges_of_the_release_before_who_leaves_is_counted_until_a_whole_segment_shows_it() {
    for (seed, balancer) in (50..).zip(BALANCERS) {
        let mut world = World::new(seed, balancer, 5, 6_000);
        world.tells_reloads = false;
        world.join(START_MS + 1_000, 1_500, None);
        let down_ms = START_MS + 61_700;
        world.leave(down_ms, 1_350);
        world.run(down_ms + 60_000);
        let steady = world.error_percent(START_MS + 25_000, down_ms);
        assert!(steady <= 5, "{steady} % while it was steady with {balancer:?}");
        let whole_ms = 2 * 6_000 + 6_000 / 2 + ROUND_MS;
        let late = world.error_percent(down_ms + STEP_MS + whole_ms, down_ms + 60_000);
        assert!(late <= 10, "{late} % when a whole segment has shown it, with {balancer:?}");
    }
}

#[test]
fn edges_that_come_and_die_leave_the_count_within_ten_per_cent() {
    for (seed, balancer) in (20..).zip(BALANCERS) {
        let mut world = World::new(seed, balancer, 6, 2_000);
        world.join(START_MS + 1_000, 1_500, None);
        world.plan(START_MS + 30_500, 0, Step::Die(5));
        world.plan(START_MS + 45_100, 0, Step::Die(4));
        world.run(START_MS + 50_000);
        world.start_edge(START_MS + 50_000);
        // In the same round as the others.
        world.plan(START_MS + 52_000 - HEARD_MS, 0, Step::Ask(6));
        world.run(START_MS + 90_000);
        // Connections of a dead edge come back within a second or so; who fetches is counted all the time.
        let error = world.error_percent(START_MS + 15_000, START_MS + 90_000);
        assert!(error <= 10, "{error} % with {balancer:?}");
        let error = world.error_percent(START_MS + 70_000, START_MS + 90_000);
        assert!(error <= 5, "{error} % at the end with {balancer:?}");
    }
}

#[test]
fn lost_answers_neither_empty_the_event_nor_let_the_demand_fall() {
    for (seed, balancer) in (30..).zip(BALANCERS) {
        let mut world = World::new(seed, balancer, 8, 2_000);
        world.lost = Some(20);
        world.join(START_MS + 1_000, 1_500, None);
        world.leave(START_MS + 60_000, 700);
        world.run(START_MS + 90_000);
        let error = world.error_percent(START_MS + 15_000, START_MS + 60_000);
        assert!(error <= 10, "{error} % with {balancer:?}");
        let known = world.told.iter().filter_map(|(at_ms, _, told)| Some((at_ms, told.as_ref()?)));
        let known: Vec<_> = known.collect();
        assert!(known.iter().any(|(_, audience)| audience.imputed > 0), "some answers were lost");
        for pair in known.windows(2) {
            let ((_, before), (at_ms, after)) = (pair[0], pair[1]);
            assert!(after.imputed == 0 || after.demand >= before.demand, "it fell at {at_ms} with {balancer:?}");
        }
        let error = world.error_percent(START_MS + 75_000, START_MS + 90_000);
        assert!(error <= 10, "{error} % after 700 left with {balancer:?}");
    }
}
