//! Every pod satisfies the PodSecurity standard `restricted`, as its text has it (Kubernetes 1.36): what a namespace
//! that enforces it checks.

use super::support::{event_with, rendered};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

/// Volumes that `restricted` allows.
const VOLUMES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];

/// Why `pod` would be refused.
fn objections(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut unless = |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    };
    for shared in ["hostNetwork", "hostPID", "hostIPC"] {
        unless(pod[shared].is_null() || pod[shared] == false, shared);
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let kind = volume.as_object().unwrap().keys().find(|key| *key != "name").unwrap();
        unless(VOLUMES.contains(&kind.as_str()), kind);
    }
    let context = &pod["securityContext"];
    unless(context["sysctls"].is_null(), "sysctls");
    for list in ["initContainers", "containers"] {
        for container in pod[list].as_array().into_iter().flatten() {
            let own = &container["securityContext"];
            let either = |path: &str| {
                if own.pointer(path).is_some() { own.pointer(path) } else { context.pointer(path) }.cloned()
            };
            unless(either("/runAsNonRoot") == Some(json!(true)), "runAsNonRoot");
            unless(either("/runAsUser") != Some(json!(0)), "runAsUser 0");
            let profile = either("/seccompProfile/type");
            unless(profile == Some(json!("RuntimeDefault")) || profile == Some(json!("Localhost")), "seccompProfile");
            unless(own["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation");
            unless(own["privileged"].is_null() || own["privileged"] == false, "privileged");
            unless(own["capabilities"]["drop"] == json!(["ALL"]), "capabilities.drop");
            unless(own["capabilities"]["add"].is_null(), "capabilities.add");
            unless(own["procMount"].is_null(), "procMount");
            for port in container["ports"].as_array().into_iter().flatten() {
                unless(port["hostPort"].is_null(), "hostPort");
            }
        }
    }
    found
}

fn pods() -> Vec<Value> {
    let spec = json!({
        "ingest": { "publishKeysSecretRef": { "name": "mine" } },
        "forward": [{ "name": "cdn", "streams": ["hall-a"] }], "forwardSecretRef": { "name": "urls" },
    });
    let deployments = rendered(&event_with(&spec)).deployments;
    deployments.iter().map(|one| serde_json::to_value(one).unwrap()["spec"]["template"]["spec"].clone()).collect()
}

#[test]
fn a_restricted_namespace_admits_every_pod() {
    for pod in pods() {
        assert_eq!(objections(&pod), Vec::<String>::new(), "{pod}");
    }
}

#[test]
fn a_restricted_namespace_admits_the_job_that_measures_an_edge() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |file: &str| -> Value {
        serde_yaml::from_str(&std::fs::read_to_string(format!("{root}/{file}")).unwrap()).unwrap()
    };
    let job = read("docs/autoscaling/calibrate.yaml");
    let typed: Job = serde_json::from_value(job.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), job, "Kubernetes knows every field");
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(objections(pod), Vec::<String>::new(), "{pod}");
    assert_eq!(pod["enableServiceLinks"], false, "Service variables would be read as options");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["resources"]["requests"], container["resources"]["limits"], "it has what it measures for");
    let (image, version) = (&read("charts/lectern/values.yaml")["image"]["repository"], env!("CARGO_PKG_VERSION"));
    assert_eq!(container["image"], format!("{}:{version}", image.as_str().unwrap()));
}

#[test]
fn the_check_would_notice() {
    let [mut ingest, _] = <[Value; 2]>::try_from(pods()).unwrap();
    ingest["containers"][0]["securityContext"]["capabilities"]["drop"] = json!([]);
    ingest["volumes"][0] = json!({ "name": "node", "hostPath": { "path": "/" } });
    assert_eq!(objections(&ingest), ["hostPath", "capabilities.drop"]);
}

#[test]
fn pods_have_no_more_than_they_need() {
    let [ingest, edge] = <[Value; 2]>::try_from(pods()).unwrap();
    assert_eq!(ingest["automountServiceAccountToken"], true, "it reads EndpointSlices");
    assert_eq!(edge["automountServiceAccountToken"], false);
    for pod in [&ingest, &edge] {
        assert_eq!(pod["enableServiceLinks"], false, "Service variables would be read as options");
        assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
        assert!(pod["containers"][0]["volumeMounts"].as_array().unwrap().iter().all(|one| one["readOnly"] == true));
    }
}
