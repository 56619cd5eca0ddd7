//! Which endpoints count.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its object must fail")]

use super::*;
use serde_json::{Value, json};

fn slice(service: &str, endpoints: &Value) -> Option<Slice> {
    let slice: EndpointSlice = serde_json::from_value(json!({
        "addressType": "IPv4", "endpoints": endpoints,
        "metadata": {"namespace": "n", "labels": {"lectern.dev/event": "gala", SERVICE_LABEL: service}},
    }))
    .unwrap();
    super::endpoints(slice)
}

fn endpoint(pod: &str, address: &str, conditions: &Value) -> Value {
    let target = json!({"kind": "Pod", "namespace": "n", "name": pod, "uid": format!("uid-{pod}")});
    json!({"addresses": [address], "conditions": conditions, "targetRef": target})
}

fn put<V: Clone>(mirror: &mut ObjectStore<V>, uid: &str, value: V) {
    mirror.take(watcher::Event::Apply(uid.to_owned()), |uid| Some(uid.clone()), |_, _| Some(value.clone()));
}

fn owned(owner: &str) -> Owned {
    Owned { owner: owner.to_owned() }
}

/// An event whose Deployment and ReplicaSet own the pods a and b.
fn state(endpoints: &Value) -> State {
    let mut state = State::default();
    put(&mut state.events, "uid-event", Watched { id: "n/gala".into(), event: None });
    put(&mut state.deployments, "uid-deployment", owned("uid-event"));
    put(&mut state.replica_sets, "uid-set", owned("uid-deployment"));
    put(&mut state.pods, "uid-a", owned("uid-set"));
    put(&mut state.pods, "uid-b", owned("uid-set"));
    put(&mut state.slices, "uid-slice", slice("gala-relay", endpoints).unwrap());
    state
}

#[test]
fn those_that_serve_or_end_count_and_ready_says_nothing() {
    let conditions = [
        (json!({"ready": true, "serving": true, "terminating": false}), Some(true)),
        (json!({"ready": true, "serving": false, "terminating": false}), None),
        (json!({"ready": true, "serving": true, "terminating": true}), Some(false)),
        (json!({"ready": true, "serving": false, "terminating": true}), Some(false)),
        (json!({}), Some(true)),
    ];
    for (conditions, expected) in conditions {
        let state = state(&json!([endpoint("a", "10.0.0.1", &conditions)]));
        let targets = state.targets();
        let found = targets[0].edges.first();
        assert_eq!(found.map(|edge| edge.serves), expected, "{conditions}");
        if let Some(edge) = found {
            assert_eq!((edge.name.as_str(), edge.admin.to_string().as_str()), ("a", "10.0.0.1:9090"));
        }
    }
}

#[test]
fn only_pods_that_the_event_owns_count() {
    let serving = json!({"serving": true});
    let endpoints = json!([endpoint("a", "10.0.0.1", &serving), endpoint("b", "10.0.0.2", &serving)]);
    let names =
        |state: &State| -> Vec<String> { state.targets()[0].edges.iter().map(|edge| edge.name.clone()).collect() };
    assert_eq!(names(&state(&endpoints)), ["a", "b"]);
    let mut bare = state(&endpoints);
    bare.pods.take(watcher::Event::Delete("uid-b".to_owned()), |uid| Some(uid.clone()), |_, _| None);
    assert_eq!(names(&bare), ["a"], "a pod without an owner, or one that is not known");
    let mut strange = state(&endpoints);
    put(&mut strange.pods, "uid-b", owned("uid-other-set"));
    assert_eq!(names(&strange), ["a"], "a pod of something else");
    let mut copied = state(&endpoints);
    put(&mut copied.deployments, "uid-deployment", owned("uid-earlier-event"));
    assert_eq!(names(&copied), Vec::<String>::new(), "an earlier event of the same name");
    let stranger = json!([{"addresses": ["10.0.0.9"], "conditions": {"serving": true}}]);
    assert_eq!(names(&state(&stranger)), Vec::<String>::new(), "an address without a pod");
}

#[test]
fn an_endpoint_that_moves_between_slices_counts_once_and_serves() {
    let mut state = state(&json!([endpoint("a", "10.0.0.1", &json!({"serving": false, "terminating": true}))]));
    let again = json!([endpoint("a", "10.0.0.1", &json!({"serving": true}))]);
    put(&mut state.slices, "uid-slice-2", slice("gala-relay", &again).unwrap());
    assert_eq!(state.targets()[0].edges.len(), 1);
    assert!(state.targets()[0].edges[0].serves);
}

#[test]
fn slices_of_other_services_are_not_looked_at() {
    assert!(slice("gala-relay", &json!([])).is_some());
    assert!(slice("gala-edge", &json!([])).is_none());
    assert!(slice("other-relay", &json!([])).is_none());
}

#[test]
fn an_event_that_cannot_work_any_more_keeps_what_it_last_wanted() {
    let event = |min: u32| -> DeserializeGuard<LiveEvent> {
        serde_json::from_value(json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"namespace": "n", "name": "gala"},
            "spec": {"streams": [{"name": "hall-a"}], "edges": {"min": min, "max": 5}},
        }))
        .unwrap()
    };
    let good = watched(event(3), None).unwrap();
    assert_eq!(good.event.as_ref().unwrap().edges.min, 3);
    let bad = watched(event(9), Some(&good)).unwrap();
    assert_eq!(bad.event.as_ref().unwrap().edges.min, 3);
    assert!(watched(event(9), None).unwrap().event.is_none(), "it is counted all the same");
    let unreadable: DeserializeGuard<LiveEvent> = serde_json::from_value(json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"namespace": "n", "name": "gala"},
        "spec": {"streams": "none"},
    }))
    .unwrap();
    assert!(unreadable.0.is_err());
    assert_eq!(watched(unreadable, Some(&good)).unwrap().event.unwrap().edges.min, 3);
}
