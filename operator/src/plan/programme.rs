//! What pages show of an event: its titles, and the timetable with each occurrence by itself.

use super::schedule;
use crate::validate::{Event, Window};
use jiff::{SignedDuration, Timestamp};
use lectern_api::node_config::{ProgrammeConfig, SessionConfig, TitledStream};

/// How much of the past is listed: all of today and yesterday, in every time zone.
const PAST: SignedDuration = SignedDuration::from_hours(24);
/// How far ahead repetitions are listed, from the beginning of a day on.
const AHEAD: SignedDuration = SignedDuration::from_hours(15 * 24);
/// Most sessions that are listed, the earliest first: the list travels to every edge and every viewer.
const SESSIONS_MAX: usize = 128;
/// A day in seconds: the list changes at midnight UTC at most, so that nothing is written in between.
const DAY_S: i64 = 86_400;

/// The programme of `event`. `None` if it has no page.
#[must_use]
pub(super) fn programme(event: &Event, now: Timestamp) -> Option<ProgrammeConfig> {
    let page = &event.page;
    if !page.enabled {
        return None;
    }
    let titled = |stream: &crate::validate::Stream| TitledStream {
        name: stream.name.to_string(),
        title: stream.title.clone().unwrap_or_else(|| stream.name.to_string()),
    };
    Some(ProgrammeConfig {
        title: event.title.clone().unwrap_or_else(|| event.name.to_string()),
        streams: event.streams.iter().map(titled).collect(),
        sessions: sessions(event, now),
        logo: page.logo.clone(),
        accent_color: page.accent_color.clone(),
    })
}

fn sessions(event: &Event, now: Timestamp) -> Vec<SessionConfig> {
    let midnight = Timestamp::from_second(now.as_second().div_euclid(DAY_S) * DAY_S).unwrap_or(now);
    let (from, to) = (midnight.checked_sub(PAST).unwrap_or(now), midnight.checked_add(AHEAD).unwrap_or(now));
    let occurrences = |window: &'_ Window| schedule::between(window, from, to);
    let mut all: Vec<_> = event
        .schedule
        .iter()
        .flat_map(|window| occurrences(window).into_iter().map(move |when| (when, window)))
        .collect();
    all.sort_by(|(a, x), (b, y)| (a.start, a.end, &x.name).cmp(&(b.start, b.end, &y.name)));
    all.truncate(SESSIONS_MAX);
    let known = |name: &&String| event.streams.iter().any(|stream| stream.name.to_string() == **name);
    let session = |(when, window): (schedule::Occurrence, &Window)| SessionConfig {
        title: window.title.clone().unwrap_or_else(|| window.name.clone()),
        start: when.start.to_string(),
        end: when.end.to_string(),
        streams: window.streams.iter().filter(known).cloned().collect(),
    };
    all.into_iter().map(session).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::validate;
    use serde_json::json;

    fn event(schedule: &serde_json::Value) -> Event {
        let event = json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": { "name": "gala" },
            "spec": { "title": "Gala", "streams": [{ "name": "b" }, { "name": "a", "title": "Hall A" }], "schedule": schedule },
        });
        validate(&serde_json::from_value(event).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_occurrence_stands_by_itself_from_yesterday_to_two_weeks_ahead() {
        let daily = json!([{
            "name": "mornings", "title": "Morning", "min": 2, "streams": ["a", "gone"], "repeat": "Daily",
            "timeZone": "Europe/Berlin", "start": "2026-10-01T09:00:00+02:00", "end": "2026-10-01T10:00:00+02:00",
        }]);
        let sessions = sessions(&event(&daily), at("2026-10-24T12:00:00Z"));
        let starts: Vec<_> = sessions.iter().map(|session| session.start.as_str()).collect();
        assert_eq!(starts.len(), 16, "{starts:?}");
        // The clocks change in the night to the 25th: nine o'clock stays nine o'clock.
        assert_eq!(starts[..3], ["2026-10-23T07:00:00Z", "2026-10-24T07:00:00Z", "2026-10-25T08:00:00Z"]);
        assert_eq!(starts[15], "2026-11-07T08:00:00Z");
        assert_eq!((sessions[0].title.as_str(), &sessions[0].streams), ("Morning", &vec!["a".to_owned()]));
    }

    #[test]
    fn a_session_that_happens_once_is_listed_however_far_ahead_and_gone_a_day_after_its_end() {
        let once = json!([{ "name": "gala", "min": 2, "start": "2026-12-01T09:00:00+08:00", "end": "2026-12-01T12:00:00+08:00" }]);
        let event = event(&once);
        let listed = |now| sessions(&event, at(now)).len();
        assert_eq!(["2026-01-01T00:00:00Z", "2026-12-02T23:59:59Z", "2026-12-03T00:00:00Z"].map(listed), [1, 1, 0]);
    }

    #[test]
    fn the_list_is_the_same_all_day() {
        let weekly = json!([{
            "name": "w", "min": 2, "repeat": "Weekdays", "timeZone": "Asia/Shanghai",
            "start": "2026-10-01T09:00:00+08:00", "end": "2026-10-01T10:00:00+08:00",
        }]);
        let event = event(&weekly);
        assert_eq!(programme(&event, at("2026-10-24T00:00:00Z")), programme(&event, at("2026-10-24T23:59:59Z")));
    }

    #[test]
    fn streams_keep_their_order_and_have_a_title_in_any_case() {
        let programme = programme(&event(&json!([])), at("2026-10-24T00:00:00Z")).unwrap();
        let titles: Vec<_> = programme.streams.iter().map(|stream| stream.title.as_str()).collect();
        assert_eq!((programme.title.as_str(), titles), ("Gala", vec!["b", "Hall A"]));
    }
}
