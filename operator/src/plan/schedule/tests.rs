//! The schedule, as steps: time zones, clock changes, overlaps, windows that change nothing.

use super::*;
use lectern_api::live_event::{LiveEvent, ScheduleWindow};
use serde_json::{Value, json};

/// No bounds to speak of: every window is seen.
const ANY: Bounds = Bounds { min: 0, max: u32::MAX };

fn windows(all: Value) -> Vec<Window> {
    let event: LiveEvent = serde_json::from_value(json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": { "name": "gala" },
        "spec": { "streams": [{ "name": "a" }], "schedule": all },
    }))
    .unwrap();
    let _: &Vec<ScheduleWindow> = &event.spec.schedule;
    crate::validate::validate(&event).unwrap().schedule
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the floor is what from `from` on, as `time min`, at most `count` steps.
fn steps(windows: &[Window], from: &str, count: usize) -> Vec<String> {
    let mut now = at(from);
    let mut all = Vec::new();
    while let Some(step) = outlook(windows, &ANY, now).step.filter(|_| all.len() < count) {
        all.push(format!("{} {} {}", step.at, step.min, step.window));
        now = step.at;
    }
    all
}

#[test]
fn a_window_is_open_from_its_prewarm_to_its_end() {
    let windows = windows(json!([
        { "name": "w", "start": "2026-12-01T09:00:00+08:00", "end": "2026-12-01T12:00:00+08:00", "min": 8, "prewarm": "10m" }
    ]));
    let floor = |time: &str| outlook(&windows, &ANY, at(time)).open.map(|open| open.min);
    assert_eq!(floor("2026-12-01T00:49:59Z"), None);
    assert_eq!(floor("2026-12-01T00:50:00Z"), Some(8));
    assert_eq!(floor("2026-12-01T03:59:59Z"), Some(8));
    assert_eq!(floor("2026-12-01T04:00:00Z"), None);
    assert_eq!(steps(&windows, "2026-11-01T00:00:00Z", 9), ["2026-12-01T00:50:00Z 8 w", "2026-12-01T04:00:00Z 0 w"]);
    assert!(steps(&windows, "2027-01-01T00:00:00Z", 9).is_empty(), "a window in the past changes nothing");
}

#[test]
fn a_daily_window_comes_back_until_its_last_day() {
    let windows = windows(json!([{
        "name": "m", "start": "2026-12-01T09:00:00+08:00", "end": "2026-12-01T12:00:00+08:00", "min": 8,
        "repeat": "Daily", "until": "2026-12-03", "timeZone": "Asia/Shanghai",
    }]));
    let all = steps(&windows, "2026-11-01T00:00:00Z", 20);
    let expected = [
        "2026-12-01T00:50:00Z 8 m",
        "2026-12-01T04:00:00Z 0 m",
        "2026-12-02T00:50:00Z 8 m",
        "2026-12-02T04:00:00Z 0 m",
        "2026-12-03T00:50:00Z 8 m",
        "2026-12-03T04:00:00Z 0 m",
    ];
    assert_eq!(all, expected);
}

#[test]
fn weekdays_leave_out_the_weekend_and_weekly_keeps_its_day() {
    // 2026-12-04 is a Friday.
    let windows = windows(json!([
        { "name": "d", "start": "2026-12-04T09:00:00Z", "end": "2026-12-04T10:00:00Z", "min": 2, "prewarm": "0s",
          "repeat": "Weekdays", "timeZone": "UTC" },
        { "name": "w", "start": "2026-12-04T20:00:00Z", "end": "2026-12-04T21:00:00Z", "min": 3, "prewarm": "0s",
          "repeat": "Weekly", "timeZone": "UTC" },
    ]));
    let starts: Vec<String> =
        steps(&windows, "2026-12-04T00:00:00Z", 16).into_iter().filter(|step| !step.contains(" 0 ")).collect();
    let expected = [
        "2026-12-04T09:00:00Z 2 d",
        "2026-12-04T20:00:00Z 3 w",
        "2026-12-07T09:00:00Z 2 d",
        "2026-12-08T09:00:00Z 2 d",
        "2026-12-09T09:00:00Z 2 d",
        "2026-12-10T09:00:00Z 2 d",
        "2026-12-11T09:00:00Z 2 d",
        "2026-12-11T20:00:00Z 3 w",
    ];
    assert_eq!(starts, expected);
}

#[test]
fn nine_o_clock_stays_nine_o_clock_when_the_clocks_change() {
    // Berlin leaves summer time on 2026-10-25.
    let windows = windows(json!([{
        "name": "m", "start": "2026-10-24T09:00:00+02:00", "end": "2026-10-24T10:00:00+02:00", "min": 4,
        "prewarm": "0s", "repeat": "Daily", "timeZone": "Europe/Berlin",
    }]));
    let all = steps(&windows, "2026-10-24T00:00:00Z", 4);
    assert_eq!(all[0], "2026-10-24T07:00:00Z 4 m");
    assert_eq!(all[2], "2026-10-25T08:00:00Z 4 m");
}

#[test]
fn a_time_that_is_skipped_is_the_later_one_and_a_time_that_comes_twice_the_earlier() {
    let daily = |day: &str, offset: &str| {
        windows(json!([{
            "name": "n", "start": format!("{day}T02:30:00{offset}"), "end": format!("{day}T02:45:00{offset}"), "min": 4,
            "prewarm": "0s", "repeat": "Daily", "timeZone": "Europe/Berlin",
        }]))
    };
    // 2026-03-29 02:30 does not exist: 03:30 summer time is 01:30 UTC.
    let spring = steps(&daily("2026-03-28", "+01:00"), "2026-03-28T12:00:00Z", 2);
    assert_eq!(spring, ["2026-03-29T01:30:00Z 4 n", "2026-03-29T01:45:00Z 0 n"]);
    // 2026-10-25 02:30 comes twice: the first is 00:30 UTC.
    let autumn = steps(&daily("2026-10-24", "+02:00"), "2026-10-24T12:00:00Z", 2);
    assert_eq!(autumn, ["2026-10-25T00:30:00Z 4 n", "2026-10-25T00:45:00Z 0 n"]);
}

#[test]
fn a_window_whose_start_is_skipped_keeps_its_length() {
    let windows = windows(json!([{
        "name": "n", "start": "2026-03-28T02:30:00+01:00", "end": "2026-03-28T03:15:00+01:00", "min": 4,
        "prewarm": "0s", "repeat": "Daily", "timeZone": "Europe/Berlin",
    }]));
    let all = steps(&windows, "2026-03-28T12:00:00Z", 2);
    assert_eq!(all, ["2026-03-29T01:30:00Z 4 n", "2026-03-29T02:15:00Z 0 n"]);
}

#[test]
fn overlapping_windows_ask_for_the_most_of_them() {
    let windows = windows(json!([
        { "name": "long", "start": "2026-12-01T08:00:00Z", "end": "2026-12-01T18:00:00Z", "min": 4, "prewarm": "0s" },
        { "name": "noon", "start": "2026-12-01T12:00:00Z", "end": "2026-12-01T13:00:00Z", "min": 9, "prewarm": "0s" },
        { "name": "small", "start": "2026-12-01T14:00:00Z", "end": "2026-12-01T15:00:00Z", "min": 2, "prewarm": "0s" },
    ]));
    let expected = [
        "2026-12-01T08:00:00Z 4 long",
        "2026-12-01T12:00:00Z 9 noon",
        "2026-12-01T13:00:00Z 4 noon",
        "2026-12-01T18:00:00Z 0 long",
    ];
    assert_eq!(steps(&windows, "2026-12-01T00:00:00Z", 9), expected);
}

#[test]
fn a_night_that_goes_over_midnight_is_one_window() {
    let windows = windows(json!([{
        "name": "night", "start": "2026-12-01T22:00:00+01:00", "end": "2026-12-02T02:00:00+01:00", "min": 4,
        "repeat": "Daily", "timeZone": "Europe/Berlin",
    }]));
    assert_eq!(outlook(&windows, &ANY, at("2026-12-09T00:30:00Z")).open.map(|open| open.min), Some(4));
    assert_eq!(outlook(&windows, &ANY, at("2026-12-09T01:00:00Z")).open, None);
}

#[test]
fn a_window_that_changes_nothing_is_no_step_but_still_a_change() {
    let windows = windows(json!([
        { "name": "small", "start": "2026-12-01T08:00:00Z", "end": "2026-12-01T09:00:00Z", "min": 2, "prewarm": "0s" },
        { "name": "large", "start": "2026-12-01T12:00:00Z", "end": "2026-12-01T13:00:00Z", "min": 9, "prewarm": "0s" },
    ]));
    let outlook = outlook(&windows, &Bounds { min: 2, max: 6 }, at("2026-12-01T00:00:00Z"));
    assert_eq!(outlook.change, Some(at("2026-12-01T08:00:00Z")));
    assert_eq!(outlook.step.map(|step| (step.at, step.min)), Some((at("2026-12-01T12:00:00Z"), 6)));
}
