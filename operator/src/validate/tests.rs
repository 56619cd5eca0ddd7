//! One table of impossible events, held against this code and against the CEL rules of the definition.

use super::*;
use serde_json::{Value, json};

/// An event that can work, with everything that rules are about.
fn good() -> Value {
    json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": { "name": "gala", "namespace": "default" },
        "spec": {
            "streams": [{ "name": "hall-a" }, { "name": "hall-b" }],
            "schedule": [{
                "name": "mornings", "start": "2026-12-01T09:00:00+08:00", "end": "2026-12-01T12:00:00+08:00",
                "min": 8, "repeat": "Daily", "until": "2026-12-04", "timeZone": "Asia/Shanghai",
            }],
            "forward": [{ "name": "cdn", "streams": ["hall-a"] }],
            "forwardSecretRef": { "name": "cdn-urls" },
            "ingest": { "expose": { "type": "LoadBalancer" } },
        },
    })
}

/// `good` with `value` at `path` (or without it).
fn with(path: &str, value: Option<Value>) -> LiveEvent {
    let mut event = good();
    let (parent, last) = path.rsplit_once('/').unwrap();
    let mut at = &mut event;
    for part in parent.split('/').filter(|part| !part.is_empty()) {
        at = match part.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[part],
        };
    }
    match (value, last.parse::<usize>()) {
        (Some(value), Ok(index)) => at[index] = value,
        (Some(value), Err(_)) => at[last] = value,
        (None, _) => drop(at.as_object_mut().unwrap().remove(last)),
    }
    serde_json::from_value(event).unwrap()
}

/// One change that makes the event impossible: where, to what, and a word of the sentence that says so. Rules that CEL
/// states too are marked: both must refuse.
const IN_CEL: bool = true;
const HERE_ONLY: bool = false;

fn impossible() -> Vec<(&'static str, Option<Value>, &'static str, bool)> {
    let expose = "/spec/ingest/expose";
    let window = "/spec/schedule/0";
    vec![
        ("/metadata/name", Some(json!("1st")), "letter", IN_CEL),
        ("/metadata/name", Some(json!("a.b")), "lower-case letters", IN_CEL),
        ("/metadata/name", Some(json!("a".repeat(41))), "40", IN_CEL),
        ("/spec/streams/0/name", Some(json!("Hall A")), "lower-case letters", IN_CEL),
        ("/spec/streams/1/name", Some(json!("hall-a")), "twice", HERE_ONLY),
        ("/spec/streams", Some(json!([])), "1 to 64", HERE_ONLY),
        ("/spec/edges", Some(json!({ "min": 9, "max": 8 })), "must not exceed", IN_CEL),
        ("/spec/edges", Some(json!({ "drain": "1s" })), "5s to 1h", IN_CEL),
        ("/spec/edges", Some(json!({ "drain": "2x" })), "1h30m", HERE_ONLY),
        ("/spec/edges", Some(json!({ "viewersPerEdge": 0 })), "1 to 1000000", HERE_ONLY),
        ("/spec/edges", Some(json!({ "targetUtilizationPercent": 100 })), "10 to 95", HERE_ONLY),
        ("/spec/edges", Some(json!({ "egressBitsPerSecondPerEdge": "4 Gbit" })), "4G", HERE_ONLY),
        ("/spec/edges", Some(json!({ "max": 7 })), "edges.max", IN_CEL),
        ("/spec/hls", Some(json!({ "window": 3 })), "three segments", IN_CEL),
        ("/spec/hls", Some(json!({ "segment": "500ms" })), "1s to 10s", IN_CEL),
        ("/spec/hls", Some(json!({ "endAfter": "5s" })), "10s to 1h", IN_CEL),
        ("/spec/playback", Some(json!({ "allowedOrigins": ["example.org"] })), "scheme://", IN_CEL),
        ("/spec/playback", Some(json!({ "allowedOrigins": ["https://example.org/"] })), "scheme://", IN_CEL),
        ("/spec/forwardSecretRef", None, "forwardSecretRef", IN_CEL),
        ("/spec/forward/0/streams/0", Some(json!("hall-z")), "spec.streams", IN_CEL),
        ("/spec/forward/0/streams", None, "one stream", IN_CEL),
        ("/spec/forward/0/streams", Some(json!(["hall-a", "hall-b"])), "one stream", IN_CEL),
        ("/spec/ingest/expose", Some(json!({ "type": "ClusterIP", "nodePort": 30000 })), "NodePort", IN_CEL),
        (expose, Some(json!({ "type": "NodePort", "loadBalancerClass": "x" })), "LoadBalancer", IN_CEL),
        ("/spec/schedule/0/end", Some(json!("2026-12-01T08:00:00+08:00")), "after", IN_CEL),
        ("/spec/schedule/0/end", Some(json!("2026-12-02T12:00:00+08:00")), "24h", IN_CEL),
        ("/spec/schedule/0/timeZone", None, "timeZone", IN_CEL),
        ("/spec/schedule/0/repeat", None, "repeat", IN_CEL),
        ("/spec/schedule/0/prewarm", Some(json!("7h")), "6h", IN_CEL),
        ("/spec/schedule/0/timeZone", Some(json!("Mars/Olympus")), "IANA", HERE_ONLY),
        ("/spec/schedule/0/until", Some(json!("2026-11-30")), "first day", HERE_ONLY),
        ("/spec/schedule/0/until", Some(json!("tomorrow")), "2026-12-04", HERE_ONLY),
        ("/spec/schedule/0/start", Some(json!("09:00")), "offset", HERE_ONLY),
        (
            window,
            Some(json!({ "name": "x", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z", "min": 0 })),
            "1 to 1000",
            HERE_ONLY,
        ),
    ]
}

#[test]
fn the_table_starts_from_an_event_that_can_work() {
    let event: LiveEvent = serde_json::from_value(good()).unwrap();
    kube::core::cel::validate_cel(&event).unwrap();
    validate(&event).unwrap();
}

#[test]
fn what_cannot_work_is_refused_with_a_sentence_here_and_by_the_api_server() {
    for (path, value, word, in_cel) in impossible() {
        let event = with(path, value.clone());
        let problems = validate(&event).expect_err(path);
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(texts.iter().any(|text| text.contains(word)), "{path} {value:?}: {word} not in {texts:?}");
        let cel = kube::core::cel::validate_cel(&event);
        if in_cel {
            let errors = cel.expect_err(path).to_string();
            assert!(errors.contains(word), "{path} {value:?}: {word} not in {errors:?}");
        }
    }
}

#[test]
fn all_problems_are_told_at_once_and_in_order() {
    let mut event = good();
    event["spec"]["edges"] = json!({ "min": 50, "drain": "1s" });
    event["spec"]["hls"] = json!({ "window": 1 });
    event["metadata"]["name"] = json!("Gala");
    let problems = validate(&serde_json::from_value(event).unwrap()).unwrap_err();
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["metadata.name", "spec.edges", "spec.edges.drain", "spec.hls.window"]);
}

#[test]
fn defaults_are_those_of_the_schema() {
    let smallest = json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": { "name": "gala" },
        "spec": { "streams": [{ "name": "a" }] },
    });
    let event = validate(&serde_json::from_value(smallest).unwrap()).unwrap();
    assert_eq!((event.edges.min, event.edges.max, event.edges.viewers_per_edge), (2, 40, 1_500));
    assert_eq!((event.edges.target_percent, event.edges.drain_ms), (70, 60_000));
    assert_eq!(event.hls, HlsConfig::default());
    assert_eq!(event.playback, PlaybackConfig::default());
    assert_eq!(event.ingest.expose.kind, ExposeType::LoadBalancer);
    assert_eq!(event.edges.expose.rtmp.kind, ExposeType::ClusterIP);
    assert_eq!(event.id(), "default/gala");
}
