//! Compact forms, from objects as the API server writes them.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its own object must fail")]

use super::*;
use serde_json::{Value, json};

fn read<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn edges(replicas: i32, generation: i64, size: &str) -> Deployment {
    read(json!({
        "metadata": {
            "name": "gala-edge", "uid": "d", "generation": generation, "resourceVersion": generation.to_string(),
            "annotations": {"deployment.kubernetes.io/revision": generation.to_string(), TEMPLATE_HASH: size},
            "ownerReferences": [{"apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "name": "gala", "uid": "u", "controller": true}],
        },
        "spec": {"replicas": replicas, "selector": {}, "template": {"metadata": {"labels": {"size": size}}}},
        "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3},
    }))
}

#[test]
fn who_scales_a_deployment_changes_nothing_that_is_ours() {
    let (small, large, other) = (edges(3, 2, "s"), edges(9, 3, "s"), edges(3, 2, "m"));
    assert_eq!(deployment(&small).print, deployment(&large).print);
    assert_ne!(deployment(&small).print, deployment(&other).print);
    assert_eq!(deployment(&small).owner.unwrap().uid, "u");
}

#[test]
fn a_deployment_is_settled_once_every_pod_is_of_its_template() {
    let settled = |deployment: &Deployment| match super::deployment(deployment).detail {
        Detail::Deployment(seen) => seen.settled,
        other => panic!("{other:?}"),
    };
    assert!(settled(&edges(3, 2, "s")));
    assert!(!settled(&edges(3, 3, "s")), "the newest template was not looked at yet");
    assert!(!settled(&edges(4, 2, "s")), "one is missing");
}

#[test]
fn an_autoscaler_says_whether_it_acts_and_whether_it_is_bounded() {
    let hpa = |conditions: Value| {
        read::<HorizontalPodAutoscaler>(json!({"metadata": {}, "status": {"conditions": conditions}}))
    };
    let seen = |conditions: Value| match autoscaler(&hpa(conditions)).detail {
        Detail::Autoscaler(seen) => seen,
        other => panic!("{other:?}"),
    };
    assert_eq!(seen(json!([])), AutoscalerSeen::default());
    let blind =
        seen(json!([{"type": "ScalingActive", "status": "False", "reason": "FailedGetObjectMetric", "message": "no"}]));
    assert_eq!(blind.active, Some((false, "FailedGetObjectMetric".into(), "no".into())));
    let full = json!([{"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}]);
    assert!(seen(full).at_maximum);
    let least = json!([{"type": "ScalingLimited", "status": "True", "reason": "TooFewReplicas"}]);
    assert!(!seen(least).at_maximum);
}

#[test]
fn what_stands_in_a_pods_way_is_told_in_the_words_of_who_knows() {
    let table = [
        (
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]}),
            Some("no node takes it: 0/2 nodes are available"),
        ),
        (
            json!({"containerStatuses": [{"name": "n", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "no Secret"}}}]}),
            Some("CreateContainerConfigError: no Secret"),
        ),
        (
            json!({"containerStatuses": [{"name": "n", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ContainerCreating"}}}]}),
            None,
        ),
        (
            json!({"containerStatuses": [{"name": "n", "image": "", "imageID": "", "ready": false, "restartCount": 1,
            "state": {"terminated": {"exitCode": 2}}}]}),
            Some("its container ended with status 2"),
        ),
    ];
    for (status, told) in table {
        let pod = PodSeen::of(&read(json!({"metadata": {"name": "p"}, "status": status})));
        assert_eq!(pod.detail.as_deref(), told);
    }
}

#[test]
fn an_image_that_cannot_be_had_is_told_in_the_same_words_whatever_the_kubelet_is_at() {
    let cause = "failed to pull and unpack image \"x/y:1\": failed to resolve reference \"x/y:1\": not found";
    let told = |reason: &str, message: String| {
        let status = json!({"containerStatuses": [{"name": "n", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": message}}}]});
        PodSeen::of(&read(json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "n", "image": "x/y:1"}]}, "status": status}))).detail
    };
    let pulling = told("ErrImagePull", cause.into());
    assert_eq!(
        pulling.as_deref(),
        Some("its image x/y:1 cannot be had: failed to resolve reference \"x/y:1\": not found")
    );
    assert_eq!(pulling, told("ImagePullBackOff", format!("Back-off pulling image \"x/y:1\": ErrImagePull: {cause}")));
}

#[test]
fn a_pod_in_back_off_says_how_long_it_had_run() {
    let status = json!({"podIP": "10.0.0.7", "containerStatuses": [{"name": "n", "image": "", "imageID": "", "ready": false,
        "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 137, "startedAt": "2026-12-01T09:00:00Z", "finishedAt": "2026-12-01T09:00:20Z"}}}]});
    let pod = PodSeen::of(&read(json!({"metadata": {"name": "p"}, "status": status})));
    assert!(pod.container.backing_off);
    let (from, to) = pod.container.last_run.unwrap();
    assert_eq!(to.duration_since(from).as_secs(), 20);
    assert_eq!(pod.ip, Some("10.0.0.7".parse().unwrap()));
}
