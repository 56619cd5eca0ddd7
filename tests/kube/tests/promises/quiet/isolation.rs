//! Events do not touch each other, nor what is not theirs.

use crate::event::{Event, LIMIT, manifest};
use crate::namespace::Namespace;
use crate::stage::quiet;
use crate::{encoder, web};
use e2e::media::Clip;
use lectern_testcluster::wait;
use serde_json::json;

#[test]
fn two_events_share_nothing() {
    let turn = quiet();
    let at = Namespace::new(&turn, "two");
    let one = Event::ready(&at, "one", &["stage"], &json!({}));
    let two = Event::ready(&at, "two", &["stage"], &json!({}));
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &one.publish_url("stage", &one.key("stage")));
    one.wait_until_playable("stage");
    let other = web::get(&turn, &two.page("stage"));
    assert_eq!(other.status, 404, "the same stream of another event is not live: {}", other.text());
    let linked = |event: &Event<'_>| -> Vec<String> {
        let status = event.status_of(&event.ingest()).expect("the ingest answers");
        let relays = status["ingest"]["relays"].as_array().cloned().unwrap_or_default();
        let mut peers: Vec<_> = relays.iter().filter_map(|r| r["peer"].as_str().map(str::to_owned)).collect();
        peers.sort();
        peers
    };
    for event in [&one, &two] {
        let mut own: Vec<_> = event.wait_for_edges(2).iter().map(|pod| format!("{}:1936", pod.ip)).collect();
        own.sort();
        assert_eq!(linked(event), own, "{} is linked to its own edges and no others", event.name);
    }
    let secret = |name: &str, key: &str| {
        let path = format!("--output=jsonpath={{.data.{key}}}");
        at.kubectl(&["get", "secret", name, &path]).expect("is there")
    };
    assert_ne!(secret("one-relay", "token"), secret("two-relay", "token"));
    assert_ne!(secret("one-seed", "seed"), secret("two-seed", "seed"));
}

#[test]
fn two_events_whose_children_would_share_a_name_are_kept_apart() {
    let turn = quiet();
    let at = Namespace::new(&turn, "names");
    // The key Secret of both would be a-b-c-key.
    let elder = Event::ready(&at, "a", &["b-c"], &json!({}));
    let key = elder.key("b-c");
    let younger = Event::apply(&at, "a-b", &["c"], &json!({}));
    let message = younger.wait_for_reason("Accepted", "False", "NameTaken");
    assert!(message.contains("a-b-c-key") || message.contains("event a"), "{message}");
    assert_eq!(at.kubectl(&["get", "deployments", "--selector=lectern.dev/event=a-b", "--output=name"]).unwrap(), "");
    assert_eq!(elder.key("b-c"), key);
    assert_eq!(elder.condition("Ready").unwrap().0, "True");
    // With another name of the stream there is room for both.
    at.apply(&manifest("a-b", &["other"], &json!({}))).unwrap();
    younger.wait_for("Ready", "True");
}

#[test]
fn foreign_objects_are_not_adopted() {
    let turn = quiet();
    let at = Namespace::new(&turn, "foreign");
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "mine-edge", "labels": {"app": "shop"}},
        "spec": {"selector": {"app": "shop"}, "ports": [{"port": 443}]},
    });
    at.apply(&theirs.to_string()).unwrap();
    let before = at.json(&["get", "service", "mine-edge"]).unwrap();
    let event = Event::apply(&at, "mine", &["stage"], &json!({}));
    let message = event.wait_for_reason("Accepted", "False", "NotOurs");
    assert!(message.contains("mine-edge"), "it says which: {message}");
    assert_eq!(event.condition("Ready").unwrap().0, "False");
    assert_eq!(at.json(&["get", "service", "mine-edge"]).unwrap(), before, "it was not touched");
    at.kubectl(&["delete", "service", "mine-edge"]).unwrap();
    wait::until_true("the event to have a Service of its own", LIMIT, || {
        at.json(&["get", "service", "mine-edge"])
            .is_ok_and(|service| service["metadata"]["labels"]["lectern.dev/event"] == "mine")
    })
    .unwrap();
    event.wait_for("Ready", "True");
}
