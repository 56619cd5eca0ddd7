//! What changes a pod template, and what must not.

use super::support::{event, event_with, installation, live, rendered, rendered_by};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use lectern::render::Objects;
use serde_json::{Value, json};

fn templates(objects: &Objects) -> [PodTemplateSpec; 2] {
    let mut all = objects.deployments.iter().map(|one| one.spec.as_ref().unwrap().template.clone());
    [all.next().unwrap(), all.next().unwrap()]
}

/// The configuration as the ingest's pods hear of it.
fn hash(objects: &Objects) -> Option<String> {
    objects.ingest_pod_annotations["lectern.dev/config-hash"].clone()
}

#[test]
fn neither_streams_nor_schedule_nor_playback_restart_a_pod() {
    let window = json!({ "name": "w", "start": "2026-12-01T11:00:00Z", "end": "2026-12-01T13:00:00Z", "min": 8 });
    // What changes, and whether the ingest is told.
    let table: [(Value, bool); 6] = [
        (json!({ "streams": [{ "name": "hall-a" }] }), true),
        (json!({ "streams": [{ "name": "hall-a" }, { "name": "hall-b" }, { "name": "hall-c" }] }), true),
        // Pages list it.
        (json!({ "schedule": [window] }), true),
        (json!({ "playback": { "protocols": [], "allowedOrigins": ["https://a.example.org"] } }), true),
        (json!({ "hls": { "segment": "4s", "window": 6 } }), true),
        (json!({ "edges": { "min": 5, "max": 50 } }), false),
    ];
    let before = rendered(&event());
    for (spec, told) in table {
        let after = rendered(&event_with(&spec));
        assert_ne!(before, after, "{spec} changes something");
        assert_eq!(templates(&before), templates(&after), "{spec}");
        assert_eq!(hash(&before) != hash(&after), told, "{spec}");
    }
}

#[test]
fn what_is_seen_restarts_no_pod() {
    let event = event();
    assert_eq!(templates(&rendered(&event)), templates(&rendered_by(&event, &live(), &installation())));
}

#[test]
fn a_changed_size_rolls_the_edges_and_leaves_the_ingest_alone() {
    let table = [
        json!({ "edges": { "viewersPerEdge": 700 } }),
        json!({ "edges": { "drain": "90s" } }),
        json!({ "edges": { "egressBitsPerSecondPerEdge": "1G" } }),
        json!({ "edges": { "resources": { "requests": { "cpu": "3" } } } }),
    ];
    let [ingest, edges] = templates(&rendered(&event()));
    for spec in table {
        let after = templates(&rendered(&event_with(&spec)));
        assert_eq!(ingest, after[0], "{spec}");
        assert_ne!(edges, after[1], "{spec}");
    }
}

#[test]
fn an_edge_is_not_killed_before_its_drain_is_over() {
    for (drain, least) in [("5s", 5), ("60s", 60), ("1h", 3_600), ("5500ms", 6)] {
        let [_, edges] = templates(&rendered(&event_with(&json!({ "edges": { "drain": drain } }))));
        assert!(edges.spec.unwrap().termination_grace_period_seconds.unwrap() > least, "{drain}");
    }
}

#[test]
fn selectors_never_change_and_match_their_pods() {
    for deployment in rendered(&event()).deployments {
        let spec = deployment.spec.unwrap();
        let selected = spec.selector.match_labels.unwrap();
        let keys: Vec<&str> = selected.keys().map(String::as_str).collect();
        assert_eq!(keys, ["lectern.dev/event", "lectern.dev/role"], "a Deployment's selector is immutable");
        let labels = spec.template.metadata.unwrap().labels.unwrap();
        assert!(selected.iter().all(|(key, value)| labels.get(key) == Some(value)));
    }
}

#[test]
fn a_limit_below_the_default_request_is_no_contradiction() {
    let spec = json!({ "edges": { "resources": { "limits": { "memory": "64Mi" } } } });
    let [_, edges] = templates(&rendered(&event_with(&spec)));
    let resources = edges.spec.unwrap().containers[0].resources.clone().unwrap();
    let requests = resources.requests.unwrap();
    assert!(!requests.contains_key("memory"), "Kubernetes takes the limit");
    assert!(requests.contains_key("cpu"));
}
