//! The chart against a real API server: installed, upgraded, uninstalled, installed again; and what its roles allow.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up must fail")]

use lectern_testcluster::image::root;
use lectern_testcluster::{Cluster, ControlPlane, Options};

const OPERATOR: &str = "system:serviceaccount:lectern-system:lectern-operator";
const METRICS: &str = "system:serviceaccount:lectern-system:lectern-metrics";

fn helm(cluster: &Cluster, verb: &[&str], more: &[&str]) -> anyhow::Result<String> {
    let chart = root().join("charts/lectern");
    let chart = chart.to_string_lossy();
    let mut arguments = verb.to_vec();
    if verb[0] != "uninstall" {
        arguments.push(&chart);
    }
    arguments.extend(["--namespace", "lectern-system"]);
    arguments.extend(more);
    cluster.helm(&arguments)
}

/// What `kubectl auth can-i` says: it fails when the answer is no, and says so.
fn may(cluster: &Cluster, who: &str, what: &[&str]) -> bool {
    let mut kubectl = cluster.kubectl_command();
    let said = kubectl.args(["auth", "can-i", "--as", who]).args(what).output().expect("kubectl starts");
    match String::from_utf8_lossy(&said.stdout).trim() {
        "yes" => true,
        "no" => false,
        other => panic!("{what:?}: {other} {}", String::from_utf8_lossy(&said.stderr)),
    }
}

#[test]
fn the_chart_installs_upgrades_uninstalls_and_leaves_the_events() {
    let options = Options { control_plane: ControlPlane::StoreAndApi, ..Options::default() };
    let cluster = Cluster::start(&options).expect("starts");
    helm(&cluster, &["install", "lectern"], &["--create-namespace"]).expect("installs");
    cluster.kubectl(&["wait", "--for=condition=Established", "crd/liveevents.lectern.dev"]).expect("established");
    cluster
        .apply(&std::fs::read_to_string(root().join("examples/smallest.yaml")).expect("is there"))
        .expect("is valid");

    roles_allow_what_is_needed_and_no_more(&cluster);

    // No server answers the metrics API here: an upgrade must not mind.
    let repeated = helm(&cluster, &["upgrade", "lectern"], &["--dry-run=server"]).expect("the same again");
    assert!(repeated.contains("STATUS: pending-upgrade"), "{repeated}");
    helm(&cluster, &["upgrade", "lectern"], &["--set", "autoscaling.backend=operator,operator.replicas=3"])
        .expect("upgrades");
    let replicas = ["-n", "lectern-system", "get", "deployment", "lectern-operator", "-o", "jsonpath={.spec.replicas}"];
    assert_eq!(cluster.kubectl(&replicas).expect("is there"), "3");
    let left = cluster.kubectl(&["get", "apiservices", "-o", "name"]).expect("lists");
    assert!(!left.contains("custom.metrics"), "the other backend has no metrics API: {left}");

    helm(&cluster, &["uninstall", "lectern"], &[]).expect("uninstalls");
    cluster.kubectl(&["get", "liveevents.lectern.dev", "hello"]).expect("definition and events are kept");
    let all = cluster.kubectl(&["get", "deployments,clusterroles", "-A", "-l", "app.kubernetes.io/instance=lectern"]);
    assert_eq!(all.expect("lists"), "", "nothing else is left");
    helm(&cluster, &["install", "lectern"], &[]).expect("installs over what was kept");
    helm(&cluster, &["uninstall", "lectern"], &[]).expect("uninstalls");
    let other = helm(&cluster, &["install", "other"], &[]).expect_err("the definition belongs to another release");
    assert!(other.to_string().contains("invalid ownership metadata"), "{other}");
    helm(&cluster, &["install", "other"], &["--take-ownership"]).expect("takes it over when told");
    cluster.remove().expect("nothing is left behind");
}

fn roles_allow_what_is_needed_and_no_more(cluster: &Cluster) {
    let (somewhere, own) = (["-n", "default"], ["-n", "lectern-system"]);
    for (who, what, place, allowed) in [
        (OPERATOR, vec!["create", "secrets"], somewhere, true),
        (OPERATOR, vec!["get", "secrets"], somewhere, false),
        (OPERATOR, vec!["list", "secrets"], somewhere, false),
        (OPERATOR, vec!["patch", "secrets"], somewhere, false),
        (OPERATOR, vec!["delete", "secrets"], somewhere, false),
        (OPERATOR, vec!["get", "secrets"], own, false),
        (OPERATOR, vec!["get", "secret/lectern-root"], own, true),
        (OPERATOR, vec!["get", "secret/lectern-root"], somewhere, false),
        (OPERATOR, vec!["patch", "secret/lectern-root"], own, false),
        (OPERATOR, vec!["update", "lease/lectern-operator"], own, true),
        (OPERATOR, vec!["update", "lease/another"], own, false),
        (OPERATOR, vec!["patch", "deployments.apps", "--subresource=scale"], somewhere, true),
        (OPERATOR, vec!["patch", "liveevents.lectern.dev", "--subresource=status"], somewhere, true),
        (OPERATOR, vec!["patch", "liveevents.lectern.dev"], somewhere, false),
        (OPERATOR, vec!["delete", "pods"], somewhere, true),
        (OPERATOR, vec!["create", "pods", "--subresource=exec"], somewhere, false),
        (OPERATOR, vec!["create", "rolebindings"], somewhere, true),
        (OPERATOR, vec!["bind", "clusterroles"], somewhere, false),
        (OPERATOR, vec!["escalate", "roles"], somewhere, false),
        (METRICS, vec!["list", "pods"], somewhere, true),
        (METRICS, vec!["delete", "pods"], somewhere, false),
        (METRICS, vec!["get", "secrets"], somewhere, false),
        (METRICS, vec!["get", "secret/lectern-metrics-tls"], own, true),
        (METRICS, vec!["get", "secret/lectern-root"], own, false),
        (METRICS, vec!["patch", "apiservice/v1beta2.custom.metrics.k8s.io"], somewhere, true),
        (METRICS, vec!["patch", "apiservice/v1.apps"], somewhere, false),
        (METRICS, vec!["get", "configmap/extension-apiserver-authentication"], ["-n", "kube-system"], true),
    ] {
        let question: Vec<&str> = what.iter().copied().chain(place).collect();
        assert_eq!(may(cluster, who, &question), allowed, "{who} {question:?}");
    }
}
