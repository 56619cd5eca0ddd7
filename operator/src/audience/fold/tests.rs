//! The fold, case by case: what counts, what is guessed, what is held.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot make its event must fail")]

use super::*;
use lectern_api::node_status::{EdgeStatus, EdgeStream};

mod model;

/// An edge's answer: fetches as (msn, count, age in ms).
fn said(fetches: &[(u64, u64, u64)], change: impl FnOnce(&mut EdgeStatus)) -> NodeStatus {
    let stream = EdgeStream {
        target_s: Some(2),
        state: "live".into(),
        fetches: fetches.to_vec(),
        last_msn: fetches.last().map(|fetch| fetch.0),
        ..EdgeStream::default()
    };
    let mut edge = EdgeStatus { streams: [("hall-a".to_owned(), stream)].into(), ..EdgeStatus::default() };
    change(&mut edge);
    NodeStatus { role: "edge".into(), boot: "1".into(), edge: Some(edge), ..NodeStatus::default() }
}

fn hls(count: u64, msn: u64) -> NodeStatus {
    said(&[(msn, count, 4_000), (msn + 1, count / 2, 1_000)], |_| {})
}

fn connected(rtmp: u64) -> NodeStatus {
    said(&[], |edge| edge.streams.get_mut("hall-a").unwrap().rtmp = rtmp)
}

/// The tests count from here: segments are older than that.
const START_MS: u64 = 1_000_000;

/// A round in which each edge that serves said this, or nothing.
fn round(fold: &mut Fold, now_ms: u64, said: &[(&str, Option<&NodeStatus>)]) -> Option<EventAudience> {
    let seen: Vec<Seen<'_>> = said
        .iter()
        .map(|(name, status)| Seen {
            name,
            serves: true,
            answer: status.map(|status| Answer { heard_ms: START_MS + now_ms, status }),
        })
        .collect();
    fold.round(START_MS + now_ms, &seen, 0)
}

#[test]
fn viewers_are_the_fetches_of_the_newest_old_enough_segment_over_all_edges() {
    let mut fold = Fold::default();
    let a = said(&[(7, 90, 5_200), (8, 100, 3_200), (9, 60, 1_200)], |_| {});
    let b = said(&[(7, 10, 5_000), (8, 30, 2_900), (9, 2, 900)], |_| {});
    let audience = round(&mut fold, 10_000, &[("a", Some(&a)), ("b", Some(&b))]).unwrap();
    assert_eq!(audience.viewers, 130, "segment 8: listed 3.2 s ago at a, so old enough although b had it later");
    assert_eq!(audience.demand, 130);
    assert_eq!(audience.edges["a"], EdgeAudience { viewers: 100, silent_ms: 0 });
    assert_eq!(audience.edges["b"], EdgeAudience { viewers: 30, silent_ms: 0 });
}

#[test]
fn connections_refused_newcomers_and_the_floor_add_up() {
    let mut fold = Fold::default();
    let a = said(&[(7, 90, 5_000)], |edge| {
        let stream = edge.streams.get_mut("hall-a").unwrap();
        (stream.rtmp, stream.flv, edge.refused_15s) = (3, 4, 20);
    });
    let seen = [Seen { name: "a", serves: true, answer: Some(Answer { heard_ms: START_MS, status: &a }) }];
    let audience = fold.round(START_MS + 10_000, &seen, 0).unwrap();
    assert_eq!((audience.viewers, audience.refused, audience.demand), (97, 20, 117));
    assert_eq!(fold.round(START_MS + 10_000, &seen, 5_000).unwrap().demand, 5_000);
}

#[test]
fn newcomers_who_try_at_every_edge_are_counted_once() {
    // A hundred people, refused fifteen times each, by eight full edges: each edge knows most of them.
    let full = said(&[], |edge| (edge.refused_15s, edge.refusals_15s) = (86, 188));
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let all: Vec<_> = names.iter().map(|name| (*name, Some(&full))).collect();
    let audience = round(&mut Fold::default(), 1_000, &all).unwrap();
    assert!((93..=107).contains(&audience.refused), "{}", audience.refused);
    let older = said(&[], |edge| edge.refused_15s = 20);
    assert_eq!(round(&mut Fold::default(), 1_000, &[("a", Some(&older))]).unwrap().refused, 20);
}

/// What each of three edges answers: its viewers, or nothing.
type Answers = [Option<u64>; 3];
/// Viewers, demand and guessed edges; None where nothing is known.
type Known = Option<(u64, u64, u32)>;

/// What is guessed for silent edges, and when nothing is known.
#[test]
fn silent_edges_are_guessed_until_more_than_half_are_silent() {
    // Three edges with 100, 200 and 300 viewers in the first round; who answers in the second, and with what.
    let first = [connected(100), connected(200), connected(300)];
    let table: [(&str, Answers, Known); 7] = [
        ("all answer", [Some(100), Some(200), Some(300)], Some((600, 600, 0))),
        ("a silent one is what it was", [Some(100), Some(200), None], Some((600, 600, 1))),
        ("others may rise meanwhile", [Some(150), Some(200), None], Some((650, 650, 1))),
        ("viewers fall, the demand does not", [Some(0), Some(200), None], Some((500, 600, 1))),
        ("without silence the demand falls", [Some(0), Some(200), Some(300)], Some((500, 500, 0))),
        ("more than half are silent", [Some(100), None, None], None),
        ("all are silent", [None, None, None], None),
    ];
    for (what, answers, expected) in table {
        let mut fold = Fold::default();
        let names = ["a", "b", "c"];
        let all: Vec<_> = names.iter().copied().zip(first.iter().map(Some)).collect();
        round(&mut fold, 1_000, &all).unwrap();
        let second: Vec<Option<NodeStatus>> = answers.iter().map(|answer| answer.map(connected)).collect();
        let all: Vec<_> = names.iter().copied().zip(second.iter().map(Option::as_ref)).collect();
        let found = round(&mut fold, 3_000, &all);
        let found = found.map(|audience| (audience.viewers, audience.demand, audience.imputed));
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn an_edge_that_never_answered_is_the_mean_of_the_others() {
    let mut fold = Fold::default();
    let (a, b) = (connected(100), connected(200));
    let audience = round(&mut fold, 1_000, &[("a", Some(&a)), ("b", Some(&b)), ("c", None)]).unwrap();
    assert_eq!((audience.viewers, audience.imputed), (450, 1));
    assert_eq!(audience.edges["c"].silent_ms, 0);
    let (a, b) = (hls(100, 5), hls(200, 5));
    let audience = round(&mut Fold::default(), 1_000, &[("a", Some(&a)), ("b", Some(&b)), ("c", None)]).unwrap();
    assert_eq!(audience.viewers, 450);
}

#[test]
fn a_silent_edge_keeps_its_share_of_the_fetches() {
    let mut fold = Fold::default();
    round(&mut fold, 1_000, &[("a", Some(&hls(100, 5))), ("b", Some(&hls(200, 5)))]).unwrap();
    let audience = round(&mut fold, 3_000, &[("a", Some(&hls(120, 6))), ("b", None)]).unwrap();
    assert_eq!(audience.viewers, 320);
    assert_eq!(audience.edges["b"], EdgeAudience { viewers: 200, silent_ms: 2_000 });
    // Back again it is what it says.
    let audience = round(&mut fold, 5_000, &[("a", Some(&hls(120, 7))), ("b", Some(&hls(50, 7)))]).unwrap();
    assert_eq!((audience.viewers, audience.demand, audience.imputed), (170, 170, 0));
}

#[test]
fn what_an_edge_delivered_counts_though_it_is_gone_or_was_started_again() {
    let mut fold = Fold::default();
    let before = [(5, 100, 4_000), (6, 80, 2_000)];
    let (a, b) = (said(&before, |_| {}), said(&before, |_| {}));
    round(&mut fold, 10_000, &[("a", Some(&a)), ("b", Some(&b))]).unwrap();
    // b is gone; its viewers fetched segment 6 there and are at a now.
    let a = said(&[(6, 100, 4_000), (7, 190, 2_000)], |_| {});
    assert_eq!(round(&mut fold, 12_000, &[("a", Some(&a))]).unwrap().viewers, 180);
    // a was started again: its counts begin at zero, those of before stay.
    let mut a = said(&[(7, 5, 1_000), (8, 3, 500)], |_| {});
    a.boot = "2".into();
    assert_eq!(round(&mut fold, 14_000, &[("a", Some(&a))]).unwrap().viewers, 195);
}

#[test]
fn while_nothing_new_is_listed_the_last_count_holds_until_the_stream_is_gone() {
    let mut fold = Fold::default();
    let at = |count: u64, age: u64| said(&[(5, count, age)], |_| {});
    assert_eq!(round(&mut fold, 1_000, &[("a", Some(&at(100, 3_500)))]).unwrap().viewers, 100);
    assert_eq!(round(&mut fold, 3_000, &[("a", Some(&at(103, 5_500)))]).unwrap().viewers, 103);
    // The encoder is silent and people load the page again and again.
    for second in 10..60 {
        let audience = round(&mut fold, second * 1_000, &[("a", Some(&at(second * 100, second * 1_000 + 2_500)))]);
        assert_eq!(audience.unwrap().viewers, 103, "second {second}");
    }
    let ended = said(&[(5, 9_000, 80_000)], |edge| edge.streams.get_mut("hall-a").unwrap().state = "ended".into());
    assert_eq!(round(&mut fold, 61_000, &[("a", Some(&ended))]).unwrap().viewers, 103);
    let gone = said(&[], |edge| edge.streams.get_mut("hall-a").unwrap().state = "idle".into());
    assert_eq!(round(&mut fold, 63_000, &[("a", Some(&gone))]).unwrap().viewers, 0);
    // The next session: nothing is old enough yet, and no viewer of before is counted.
    let next = said(&[(9, 40, 1_000)], |_| {});
    assert_eq!(round(&mut fold, 65_000, &[("a", Some(&next))]).unwrap().viewers, 0);
    let next = said(&[(9, 50, 3_000)], |_| {});
    assert_eq!(round(&mut fold, 67_000, &[("a", Some(&next))]).unwrap().viewers, 50);
}

/// An edge at `now_ms` with segments of two seconds that `people` fetched, of whom `reloads` asked a moment ago.
fn asked(now_ms: u64, people: u64, reloads: Option<u64>) -> NodeStatus {
    let newest = (START_MS + now_ms) / 2_000;
    let age_ms = (START_MS + now_ms) % 2_000;
    let fetches: Vec<_> = (0..4).rev().map(|back| (newest - back, people, age_ms + back * 2_000)).collect();
    said(&fetches, |edge| edge.streams.get_mut("hall-a").unwrap().reloads = reloads)
}

/// Rounds over two edges with 100 people each and what they ask, until that is understood.
fn understood(fold: &mut Fold, reloads: Option<u64>) {
    for now_ms in (0..20_000).step_by(2_000) {
        let (a, b) = (asked(now_ms, 100, Some(100)), asked(now_ms, 100, reloads));
        assert_eq!(round(fold, now_ms, &[("a", Some(&a)), ("b", Some(&b))]).unwrap().viewers, 200);
    }
}

#[test]
fn who_does_not_ask_any_more_has_gone_before_a_whole_segment_shows_it() {
    // What one of two edges says in the round after: requests then, or nothing; and what becomes of 200 viewers.
    let table = [
        ("as many ask", Some(100), Some(Some(100)), 200),
        ("more ask: only a segment shows who came", Some(100), Some(Some(300)), 200),
        ("some ask twice, and always did", Some(200), Some(Some(200)), 200),
        ("half of those of one edge are gone", Some(100), Some(Some(50)), 150),
        ("a third is gone of 300 requests of 200 people", Some(200), Some(Some(100)), 133),
        ("an edge of the release before does not say", None, Some(None), 200),
        ("an edge is silent", Some(100), None, 200),
    ];
    for (what, before, after, expected) in table {
        let mut fold = Fold::default();
        understood(&mut fold, before);
        let a = asked(20_000, 100, Some(100));
        let b = after.map(|reloads| asked(20_000, 100, reloads));
        let found = round(&mut fold, 20_000, &[("a", Some(&a)), ("b", b.as_ref())]).unwrap();
        assert_eq!(found.viewers, expected, "{what}");
    }
}

#[test]
fn requests_say_nothing_while_viewers_are_between_edges_or_nothing_new_is_listed_or_too_little_was_seen() {
    let mut fold = Fold::default();
    let few = asked(0, 100, Some(10));
    assert_eq!(round(&mut fold, 0, &[("a", Some(&few))]).unwrap().viewers, 100, "in the first round");
    let mut fold = Fold::default();
    understood(&mut fold, Some(100));
    // b is gone. Those who were there fetch at a, and begin to ask there.
    for (now_ms, people, reloads, expected) in
        [(20_000, 100, 100, 200), (22_000, 100, 150, 200), (24_000, 200, 150, 150)]
    {
        let a = asked(now_ms, people, Some(reloads));
        assert_eq!(round(&mut fold, now_ms, &[("a", Some(&a))]).unwrap().viewers, expected, "at {now_ms}");
    }
    let mut fold = Fold::default();
    understood(&mut fold, Some(100));
    // The encoder is silent, and players give up.
    let mut last = asked(18_000, 100, Some(0));
    for back in &mut last.edge.as_mut().unwrap().streams.get_mut("hall-a").unwrap().fetches {
        back.2 += 8_000;
    }
    assert_eq!(round(&mut fold, 26_000, &[("a", Some(&last)), ("b", Some(&last))]).unwrap().viewers, 200);
}

#[test]
fn edges_that_all_stop_serving_do_not_empty_the_event() {
    let mut fold = Fold::default();
    round(&mut fold, 1_000, &[("a", Some(&connected(500)))]).unwrap();
    let ending = [Seen { name: "a", serves: false, answer: None }];
    assert_eq!(fold.round(START_MS + 3_000, &ending, 0).unwrap().demand, 500);
    assert_eq!(fold.round(START_MS + 5_000, &[], 0).unwrap().demand, 0, "there are no edges at all");
}

#[test]
fn an_edge_that_ends_is_counted_while_it_answers_and_not_guessed_after() {
    let mut fold = Fold::default();
    let (a, b) = (connected(100), connected(50));
    let answer = |status| Some(Answer { heard_ms: START_MS, status });
    let edges =
        [Seen { name: "a", serves: true, answer: answer(&a) }, Seen { name: "b", serves: false, answer: answer(&b) }];
    assert_eq!(fold.round(START_MS + 1_000, &edges, 0).unwrap().viewers, 150);
    let edges = [Seen { name: "a", serves: true, answer: answer(&a) }, Seen { name: "b", serves: false, answer: None }];
    let audience = fold.round(START_MS + 3_000, &edges, 0).unwrap();
    assert_eq!((audience.viewers, audience.demand, audience.imputed), (100, 100, 0));
}

#[test]
fn egress_and_joins_are_rates_that_survive_restarts() {
    let mut fold = Fold::default();
    let at = |boot: &str, bytes: u64, admitted: u64| {
        let mut status = said(&[], |edge| (edge.egress_bytes, edge.admitted) = (bytes, admitted));
        status.boot = boot.into();
        status
    };
    round(&mut fold, 0, &[("a", Some(&at("1", 1_000_000, 100)))]).unwrap();
    let audience = round(&mut fold, 2_000, &[("a", Some(&at("1", 3_000_000, 150)))]).unwrap();
    assert_eq!(audience.egress_bits_per_second, 8_000_000);
    assert!((audience.joins_per_second - 25.0).abs() < 1e-9, "{}", audience.joins_per_second);
    let audience = round(&mut fold, 4_000, &[("a", Some(&at("2", 10, 3)))]).unwrap();
    assert_eq!(audience.egress_bits_per_second, 8_000_000, "one answer after a restart says nothing of a rate");
    let audience = round(&mut fold, 6_000, &[("a", Some(&at("2", 500_010, 3)))]).unwrap();
    assert_eq!(audience.egress_bits_per_second, 2_000_000);
}

#[test]
fn streams_are_counted_each_for_itself() {
    let mut fold = Fold::default();
    let two = said(&[(5, 100, 4_000)], |edge| {
        let other = EdgeStream {
            fetches: vec![(900, 7, 3_000)],
            state: "live".into(),
            target_s: Some(2),
            ..EdgeStream::default()
        };
        edge.streams.insert("hall-b".into(), other);
    });
    let audience = round(&mut fold, 1_000, &[("a", Some(&two))]).unwrap();
    assert_eq!((audience.viewers, audience.edges["a"].viewers), (107, 107));
    // A stream that was taken out of the event has no viewers.
    let audience = round(&mut fold, 3_000, &[("a", Some(&hls(100, 5)))]).unwrap();
    assert_eq!(audience.viewers, 100);
}

#[test]
fn an_answer_that_is_given_again_changes_nothing() {
    let mut fold = Fold::default();
    let status = said(&[(5, 100, 4_000)], |edge| edge.egress_bytes = 1_000);
    let seen = [Seen { name: "a", serves: true, answer: Some(Answer { heard_ms: START_MS, status: &status }) }];
    let first = fold.round(START_MS + 1_000, &seen, 0).unwrap();
    assert_eq!(fold.round(START_MS + 1_250, &seen, 0).unwrap(), first);
}

#[test]
fn a_window_asks_for_as_much_as_its_edges_are_there_for() {
    let event = |spec: &str| {
        let text = format!(
            "apiVersion: lectern.dev/v1alpha1\nkind: LiveEvent\nmetadata: {{name: gala, namespace: n}}\nspec: {spec}"
        );
        crate::validate::validate(&crate::input::parse(&text).unwrap()).unwrap()
    };
    let event = event(
        "{streams: [{name: hall-a}], edges: {min: 2, max: 40, viewersPerEdge: 1500, targetUtilizationPercent: 70}, \
         schedule: [{name: morning, start: \"2026-12-01T09:00:00Z\", end: \"2026-12-01T12:00:00Z\", prewarm: 10m, min: 8}]}",
    );
    let at = |time: &str| floor(&event, time.parse().unwrap());
    assert_eq!(target(&event), 1_050);
    assert_eq!(at("2026-12-01T08:49:59Z"), 0);
    assert_eq!(at("2026-12-01T08:50:00Z"), 8 * 1_050);
    assert_eq!(at("2026-12-01T12:00:00Z"), 0);
}
