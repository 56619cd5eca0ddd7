//! Floors, idleness, images and settings: what is decided from what was seen.

use super::*;
use lectern_api::live_event::LiveEvent;
use lectern_api::node_status::{IngestStatus, IngestStream, NodeStatus};
use serde_json::{Value, json};

fn event(spec: Value) -> Event {
    let mut spec = spec;
    if spec["streams"].is_null() {
        spec["streams"] = json!([{ "name": "hall-a" }, { "name": "hall-b" }]);
    }
    let raw: LiveEvent = serde_json::from_value(json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
        "metadata": { "name": "gala", "namespace": "default", "generation": 3 }, "spec": spec,
    }))
    .unwrap();
    crate::validate::validate(&raw).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOON: &str = "2026-12-01T12:00:00Z";

/// An ingest that answers, with `hall-a` live or gone at some moment.
fn ingest(live: bool, idle_since_ms: Option<u64>) -> IngestSeen {
    let stream = IngestStream { live, idle_since_ms, ..Default::default() };
    let ingest = IngestStatus { streams: [("hall-a".to_owned(), stream)].into(), ..Default::default() };
    let status = NodeStatus { ready: true, ingest: Some(ingest), ..Default::default() };
    IngestSeen { ready: true, status: Some(status), ..Default::default() }
}

#[test]
fn the_fewest_edges_are_the_most_of_min_schedule_and_burst_but_never_above_max() {
    let window = json!([{ "name": "w", "start": "2026-12-01T11:00:00Z", "end": "2026-12-01T13:00:00Z", "min": 8 }]);
    let burst = |floor| Some(Burst { floor, until: at("2026-12-01T12:01:00Z") });
    let table = [
        (json!({ "edges": { "min": 3 } }), None, 3, Because::Min),
        (json!({ "edges": { "min": 3 }, "schedule": window }), None, 8, Because::Window("w".into())),
        (json!({ "edges": { "min": 9 }, "schedule": window }), None, 9, Because::Min),
        (json!({ "edges": { "min": 3 }, "schedule": window }), burst(12), 12, Because::Burst),
        (json!({ "edges": { "min": 3, "max": 10 }, "schedule": window }), burst(12), 10, Because::Max),
    ];
    for (spec, burst, edges, because) in table {
        let plan = plan(&event(spec.clone()), &Observed { burst, ..Default::default() }, at(NOON));
        assert_eq!((plan.floor.edges, &plan.floor.because), (edges, &because), "{spec}");
        assert_eq!(plan.edges.replicas.min, edges);
    }
}

#[test]
fn a_burst_goes_down_in_steps_and_only_while_there_is_a_metric() {
    let event = event(json!({ "edges": { "min": 2 } }));
    let seen =
        |audience| Observed { burst: Some(Burst { floor: 20, until: at(NOON) }), audience, ..Default::default() };
    let edges = |seconds: i64, audience| {
        plan(&event, &seen(audience), at(NOON) + jiff::SignedDuration::from_secs(seconds)).floor.edges
    };
    let metric = Some(Audience::default());
    let down: Vec<u32> = [-1, 0, 29, 30, 60, 90, 120].iter().map(|second| edges(*second, metric)).collect();
    assert_eq!(down, [20, 15, 15, 10, 5, 2, 2]);
    assert_eq!(edges(3_600, None), 20);
}

/// So many edges that exist, and an audience.
fn edges(count: u32, audience: Option<Audience>) -> Observed {
    let nodes = (0..count).map(|_| EdgeSeen { ready: true, ..Default::default() }).collect();
    Observed { edges: Some(EdgesSeen { desired: count, nodes, ..Default::default() }), audience, ..Default::default() }
}

#[test]
fn an_unknown_audience_never_costs_an_edge() {
    let event = event(json!({ "edges": { "min": 2 } }));
    assert_eq!(plan(&event, &edges(7, None), at(NOON)).edges.replicas.wanted, 7);
    let first = plan(&event, &edges(7, Some(Audience::default())), at(NOON));
    assert_eq!(first.edges.replicas.wanted, 7, "nor does an operator that has just started");
    let later = Observed { scaling: first.scaling.memory, ..edges(7, Some(Audience::default())) };
    assert_eq!(plan(&event, &later, at("2026-12-01T12:05:01Z")).edges.replicas.wanted, 6);
    assert_eq!(plan(&event, &edges(99, None), at(NOON)).edges.replicas.wanted, 40, "max holds all the same");
}

#[test]
fn edges_follow_viewers_refused_newcomers_and_egress() {
    let audience = |viewers, refused, egress| Some(Audience { viewers, refused, egress_bits_per_second: egress });
    let spec = json!({ "edges": { "min": 2, "viewersPerEdge": 1000, "egressBitsPerSecondPerEdge": "1G" } });
    let event = event(spec);
    let table = [
        (audience(2_000, 0, None), 3),
        (audience(2_000, 900, None), 5),
        (audience(2_000, 0, Some(4_000_000_000)), 6),
        (audience(1_000_000, 0, None), 12),
    ];
    for (audience, wanted) in table {
        assert_eq!(plan(&event, &edges(2, audience), at(NOON)).edges.replicas.wanted, wanted, "{audience:?}");
    }
    let wish = plan(&event, &edges(9, audience(2_000, 0, None)), at(NOON)).scaling.wish;
    assert_eq!(wish, Some(3), "what stabilisation holds back is known");
}

#[test]
fn what_the_schedule_expects_is_in_the_demand() {
    let window = json!([{ "name": "w", "start": "2026-12-01T11:00:00Z", "end": "2026-12-01T13:00:00Z", "min": 8 }]);
    let event = event(json!({ "edges": { "min": 2, "viewersPerEdge": 1000 }, "schedule": window }));
    let demand = |now| {
        let loads = plan(&event, &edges(8, Some(Audience::default())), at(now)).scaling.loads.unwrap();
        loads[0].total
    };
    assert_eq!((demand(NOON), demand("2026-12-01T13:00:00Z")), (5_600, 0));
}

#[test]
fn idle_means_that_nobody_would_notice() {
    let noon_ms = u64::try_from(at(NOON).as_millisecond()).unwrap();
    let silent = |seconds: i64| IngestSeen {
        not_ready_since: Some(at(NOON) - jiff::SignedDuration::from_secs(seconds)),
        ..Default::default()
    };
    let table = [
        ("nothing known", None, false),
        ("live", Some(ingest(true, None)), false),
        ("never live", Some(ingest(false, None)), true),
        ("gone for 59 s", Some(ingest(false, Some(noon_ms - 59_000))), false),
        ("gone for 60 s", Some(ingest(false, Some(noon_ms - 60_000))), true),
        ("Ready and unreachable", Some(IngestSeen { ready: true, ..Default::default() }), false),
        ("silent for 29 s", Some(silent(29)), false),
        ("silent for 30 s", Some(silent(30)), true),
    ];
    let event = event(json!({}));
    for (case, ingest, idle) in table {
        let plan = plan(&event, &Observed { ingest, ..Default::default() }, at(NOON));
        assert_eq!(plan.idle.is_idle(), idle, "{case}");
    }
}

#[test]
fn an_open_window_is_not_idle_from_its_prewarm_on() {
    let event = event(json!({
        "schedule": [{ "name": "w", "start": "2026-12-01T12:05:00Z", "end": "2026-12-01T13:00:00Z", "min": 2 }]
    }));
    let seen = Observed { ingest: Some(ingest(false, None)), ..Default::default() };
    assert!(!plan(&event, &seen, at(NOON)).idle.is_idle());
    assert!(plan(&event, &seen, at("2026-12-01T11:54:59Z")).idle.is_idle());
    assert!(plan(&event, &seen, at("2026-12-01T13:00:00Z")).idle.is_idle());
}

#[test]
fn a_new_image_waits_while_the_event_is_live() {
    let images =
        |in_use: Option<&str>| Some(Images { wanted: "node:2".into(), in_use: in_use.map(Into::into), turn: true });
    let run = |spec: Value, in_use, live| {
        let seen = Observed { images: images(in_use), ingest: Some(ingest(live, None)), ..Default::default() };
        let rollout = plan(&event(spec), &seen, at(NOON)).rollout;
        (rollout.image.unwrap(), rollout.pending)
    };
    assert_eq!(run(json!({}), None, true), ("node:2".into(), None));
    assert_eq!(run(json!({}), Some("node:1"), true), ("node:1".into(), Some("node:2".into())));
    assert_eq!(run(json!({}), Some("node:1"), false), ("node:2".into(), None));
    let at_once = json!({ "ingest": { "updatePolicy": "Immediate" } });
    assert_eq!(run(at_once, Some("node:1"), true), ("node:2".into(), None));
}

#[test]
fn a_plan_looks_again_when_something_is_due() {
    let event = event(json!({
        "schedule": [{ "name": "w", "start": "2026-12-01T14:00:00Z", "end": "2026-12-01T15:00:00Z", "min": 5 }]
    }));
    let plan = plan(&event, &Observed::default(), at(NOON));
    assert_eq!(plan.look_again, Some(at("2026-12-01T13:50:00Z")));
    assert_eq!(plan.next_step.map(|step| (step.min, step.window)), Some((5, "w".into())));
}

#[test]
fn the_configuration_version_names_the_content() {
    let version = |spec: Value| plan(&event(spec), &Observed::default(), at(NOON)).ingest.settings.version;
    let one = version(json!({}));
    assert_eq!(one, version(json!({ "edges": { "min": 5 } })), "edges are no business of the ingest");
    assert_ne!(one, version(json!({ "streams": [{ "name": "hall-a" }] })));
    assert_ne!(one, version(json!({ "hls": { "window": 9 } })));
    assert_ne!(one, version(json!({ "ingest": { "publishKeysSecretRef": { "name": "k" } } })));
}

#[test]
fn edges_are_told_nothing_of_streams_schedule_or_playback() {
    let settings = |spec: Value| plan(&event(spec), &Observed::default(), at(NOON)).edges.settings;
    let other = json!({
        "streams": [{ "name": "x" }], "playback": { "protocols": [] }, "hls": { "window": 9 },
        "schedule": [{ "name": "w", "start": "2026-12-01T11:00:00Z", "end": "2026-12-01T13:00:00Z", "min": 8 }],
    });
    assert_eq!(settings(json!({})), settings(other));
}

#[test]
fn own_keys_leave_nothing_to_generate() {
    let keys = |spec: Value| plan(&event(spec), &Observed::default(), at(NOON)).keys;
    assert_eq!(keys(json!({})).generated.len(), 2);
    let own = keys(json!({ "ingest": { "publishKeysSecretRef": { "name": "mine" } } }));
    assert_eq!((own.generated.len(), own.publish.unwrap().as_str()), (0, "mine"));
}
