//! What cannot work is refused by the API server, with a sentence that says what to change.

use crate::event::manifest;
use crate::namespace::Namespace;
use crate::stage::quiet;
use lectern_testcluster::image::root;
use serde_json::{Value, json};

/// A change that makes an event impossible, and what the refusal must contain.
fn impossible() -> Vec<(Value, &'static str)> {
    let window = |change: Value| {
        let mut window = json!({
            "name": "mornings", "start": "2026-12-01T09:00:00+08:00", "end": "2026-12-01T12:00:00+08:00", "min": 3,
        });
        window.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "schedule": [window] })
    };
    let forward = |entry: Value| json!({"forward": [entry], "forwardSecretRef": {"name": "urls"}});
    vec![
        (json!({"edges": {"min": 9, "max": 8}}), "edges.min must not exceed edges.max: raise max or lower min"),
        (json!({"edges": {"drain": "1s"}}), "edges.drain must be 5s to 1h"),
        (json!({"edges": {"drain": "soon"}}), "spec.edges.drain"),
        (json!({"edges": {"viewersPerEdge": 0}}), "spec.edges.viewersPerEdge"),
        (json!({"edges": {"targetUtilizationPercent": 100}}), "spec.edges.targetUtilizationPercent"),
        (json!({"edges": {"egressBitsPerSecondPerEdge": "much"}}), "spec.edges.egressBitsPerSecondPerEdge"),
        (json!({"hls": {"segment": "500ms"}}), "hls.segment must be 1s to 10s"),
        (json!({"hls": {"window": 3}}), "hls.window must be 4 to 60 segments"),
        (json!({"hls": {"endAfter": "5s"}}), "hls.endAfter must be 10s to 1h"),
        (json!({"playback": {"allowedOrigins": ["example.org"]}}), "playback.allowedOrigins are '*' or scheme://host"),
        (json!({"forward": [{"name": "cdn"}]}), "forward needs forwardSecretRef"),
        (forward(json!({"name": "cdn", "streams": ["hall-z"]})), "names a stream that is not in spec.streams"),
        (forward(json!({"name": "cdn"})), "forward[].streams must name one stream"),
        (forward(json!({"name": "cdn", "streams": ["hall-a", "hall-b"]})), "spec.forward[0].streams"),
        (window(json!({"min": 5})), "schedule[].min must not exceed edges.max"),
        (window(json!({"end": "2026-12-01T08:00:00+08:00"})), "schedule[].end must be after its start"),
        (window(json!({"start": "nine o'clock"})), "spec.schedule[0].start"),
        (window(json!({"repeat": "Daily"})), "schedule[].repeat needs timeZone"),
        (window(json!({"repeat": "Hourly", "timeZone": "Asia/Shanghai"})), "Unsupported value: \"Hourly\""),
        (window(json!({"until": "2026-12-04"})), "schedule[].until needs repeat"),
        (
            window(json!({"end": "2026-12-02T12:00:00+08:00", "repeat": "Daily", "timeZone": "Asia/Shanghai"})),
            "must not be longer than what it repeats by",
        ),
        (window(json!({"prewarm": "7h"})), "schedule[].prewarm must be at most 6h"),
        (
            json!({"ingest": {"expose": {"type": "NodePort", "loadBalancerClass": "x"}}}),
            "loadBalancerClass and loadBalancerSourceRanges need type LoadBalancer",
        ),
        (
            json!({"ingest": {"expose": {"type": "ClusterIP", "nodePort": 30_000}}}),
            "externalTrafficPolicy and nodePort need type NodePort or LoadBalancer",
        ),
        (json!({"streams": [{"name": "Hall A"}, {"name": "hall-b"}]}), "a stream's name is part of every URL"),
        (json!({"streams": []}), "spec.streams"),
        (json!({"streams": [{"name": "hall-a"}, {"name": "hall-a"}]}), "duplicate entries for key"),
        (json!({"colour": "red"}), "colour"),
    ]
}

#[test]
fn a_bad_spec_is_refused_with_a_sentence() {
    let turn = quiet();
    let at = Namespace::new(&turn, "refused");
    at.kubectl(&["get", "namespace", &at.name]).unwrap();
    let streams = ["hall-a", "hall-b"];
    at.apply(&manifest("good", &streams, &json!({}))).expect("without the change it is accepted");
    at.kubectl(&["delete", "liveevents.lectern.dev", "good"]).unwrap();
    for (change, sentence) in impossible() {
        let refused = at.apply(&manifest("bad", &streams, &change)).expect_err(sentence).to_string();
        assert!(refused.contains(sentence), "{change}: {refused}");
    }
    for name in ["1st", "a.b", &"a".repeat(41)] {
        let refused = at.apply(&manifest(name, &streams, &json!({}))).expect_err(name).to_string();
        assert!(refused.contains("at most 40 lower-case letters"), "{name}: {refused}");
    }
    assert_eq!(at.kubectl(&["get", "liveevents.lectern.dev", "--output=name"]).unwrap(), "");
}

#[test]
fn the_examples_are_accepted_and_every_field_is_explained() {
    let turn = quiet();
    let at = Namespace::new(&turn, "examples");
    let examples = std::fs::read_dir(root().join("examples")).expect("there are examples").flatten();
    let mut count = 0;
    for example in examples.filter(|entry| entry.path().extension().is_some_and(|e| e == "yaml")) {
        let file = example.path().to_string_lossy().into_owned();
        at.kubectl(&["apply", "--server-side", "--dry-run=server", "--filename", &file])
            .unwrap_or_else(|error| panic!("{file}: {error:#}"));
        count += 1;
    }
    assert!(count >= 4, "{count}");
    let explained = at.kubectl(&["explain", "liveevents.lectern.dev.spec.edges"]).unwrap();
    for field in ["min", "max", "viewersPerEdge", "targetUtilizationPercent", "drain", "expose"] {
        assert!(explained.contains(field), "{explained}");
    }
    assert!(explained.contains("refuses"), "in sentences: {explained}");
    let all = at.kubectl(&["explain", "liveevents.lectern.dev.spec", "--recursive"]).unwrap();
    assert!(!all.contains("<no description>") && all.contains("publishKeysSecretRef"), "{all}");
}
