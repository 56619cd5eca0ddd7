//! Stamps and arrivals against the clock of a publish, and times against an epoch.

use super::*;
use Track::{Audio, Video};

/// Arrival, track, stamp; what is read: time since the first arrival, and the jump.
type Row = (u64, Track, u32, i64, Option<i64>);

const BEGIN_MS: u64 = 1_780_000_000_000;

fn check(what: &str, rows: &[Row]) {
    let mut clock = Clock::default();
    for (arrival, track, stamp, at, jump) in rows {
        let now_ms = BEGIN_MS + arrival;
        let reading = clock.read(now_ms, *track, *stamp);
        let found = (reading.at - BEGIN_MS.cast_signed(), reading.jump);
        assert_eq!(found, (*at, *jump), "{what}: {track:?} {stamp} at {arrival} ms");
        clock.accept(now_ms, *track, &reading);
    }
}

#[test]
fn a_jump_is_where_stamp_and_arrival_disagree() {
    let table: &[(&str, &[Row])] = &[
        ("any start", &[(0, Video, 77_000, 0, None), (10, Audio, 77_010, 10, None), (40, Video, 77_040, 40, None)]),
        ("sound before the picture", &[(0, Video, 5_000, 0, None), (0, Audio, 4_990, -10, None)]),
        ("32 bits wrap", &[(0, Video, u32::MAX - 9, 0, None), (40, Video, 30, 40, None)]),
        ("small steps back are none", &[(0, Video, 40, 0, None), (0, Video, 20, -20, None)]),
        ("a pause that both show", &[(0, Video, 0, 0, None), (30_000, Video, 30_000, 30_000, None)]),
        ("a message that is late", &[(0, Video, 0, 0, None), (9_000, Video, 40, 40, None)]),
        (
            "one that is late and the next that is not",
            &[(0, Video, 0, 0, None), (17_000, Video, 10_000, 10_000, None), (20_000, Video, 20_000, 20_000, None)],
        ),
        ("steps back", &[(0, Video, 1_000, 0, None), (40, Video, 1_040, 40, None), (80, Video, 0, 80, Some(-1_080))]),
        ("steps ahead", &[(0, Video, 0, 0, None), (40, Video, 60_040, 40, Some(60_000))]),
        (
            "after a jump time goes on",
            &[(0, Video, 0, 0, None), (40, Video, 60_040, 40, Some(60_000)), (80, Video, 60_080, 80, None)],
        ),
        (
            "a publisher that is faster than the clock",
            &[(0, Video, 0, 0, None), (0, Video, 2_000, 2_000, None), (0, Video, 4_000, 4_000, None)],
        ),
    ];
    for (what, rows) in table {
        check(what, rows);
    }
}

#[test]
fn tracks_of_different_clocks_are_placed_beside_each_other() {
    let table: &[(&str, &[Row])] = &[
        ("they begin apart", &[(0, Audio, 90_000, 0, None), (20, Video, 0, 20, None), (60, Video, 40, 60, None)]),
        (
            "the picture's clock begins anew",
            &[
                (0, Video, 6_000, 0, None),
                (10, Audio, 6_010, 10, None),
                (40, Video, 0, 40, Some(-6_040)),
                (50, Audio, 6_050, 50, None),
                (80, Video, 40, 80, None),
            ],
        ),
        (
            "the sound's clock begins anew",
            &[(0, Video, 6_000, 0, None), (10, Audio, 6_010, 10, None), (33, Audio, 0, 33, Some(-6_033))],
        ),
        (
            "both begin anew, one after the other",
            &[
                (0, Video, 6_000, 0, None),
                (0, Audio, 6_000, 0, None),
                (40, Video, 0, 40, Some(-6_040)),
                (60, Audio, 20, 60, Some(-6_040)),
            ],
        ),
        (
            "the picture comes back with a clock that stood still",
            &[
                (0, Video, 0, 0, None),
                (0, Audio, 0, 0, None),
                (60_000, Audio, 60_000, 60_000, None),
                (60_010, Video, 40, 60_000, Some(-59_960)),
            ],
        ),
        ("sound that is ahead by a second", &[(0, Audio, 1_000, 0, None), (0, Video, 0, -1_000, None)]),
    ];
    for (what, rows) in table {
        check(what, rows);
    }
}

#[test]
fn a_disagreement_is_said_for_as_long_as_it_lasts() {
    let mut clock = Clock::default();
    let mut message = |now_ms, track, stamp| {
        let reading = clock.read(now_ms, track, stamp);
        clock.accept(now_ms, track, &reading);
        clock.disagreement_ms(now_ms)
    };
    assert_eq!(message(0, Video, 6_000), None);
    assert_eq!(message(0, Audio, 6_000), None);
    assert_eq!(message(40, Video, 800), Some(5_240));
    assert_eq!(message(60, Audio, 6_060), Some(5_240));
    assert_eq!(message(80, Video, 6_080), None, "the picture is back on the sound's clock");
    assert_eq!(message(120, Video, 0), Some(6_120));
    assert_eq!(message(10_060, Video, 9_940), None, "the sound is gone");
}

#[test]
fn sixty_days_of_a_lecture_stay_in_order() {
    let mut clock = Clock::default();
    let (mut stamp, mut elapsed) = (u32::MAX - 1_000_000, 0);
    while elapsed < 60 * 86_400_000 {
        let reading = clock.read(BEGIN_MS + elapsed, Video, stamp);
        assert_eq!(reading.at, (BEGIN_MS + elapsed).cast_signed());
        clock.accept(BEGIN_MS + elapsed, Video, &reading);
        (stamp, elapsed) = (stamp.wrapping_add(2_500), elapsed + 2_500);
    }
}

#[test]
fn an_epoch_has_rising_times_and_an_end_that_covers_the_last_message() {
    let mut timeline = Timeline::new(1_000);
    let rows = [
        (Video, 1_000, Some(0)),
        (Audio, 990, None),
        (Audio, 1_010, Some(10)),
        (Video, 1_040, Some(40)),
        (Video, 1_020, Some(41)),
        (Video, 1_080, Some(80)),
    ];
    for (track, at, t_ms) in rows {
        assert_eq!(timeline.place(track, at), t_ms, "{track:?} at {at}");
    }
    assert_eq!((timeline.last(), timeline.end()), (80, 119));
}

#[test]
fn two_jumps_a_minute_open_an_epoch() {
    let mut jumps = Jumps::default();
    let allowed: Vec<_> = [0, 10, 20, 59_999, 60_000, 60_001].iter().map(|at| jumps.allow(*at)).collect();
    assert_eq!(allowed, [true, true, false, false, true, false]);
}
