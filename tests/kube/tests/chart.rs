//! The chart: what it renders (golden files, `UPDATE=1` rewrites them), what it refuses, and that what belongs together
//! does not drift apart: CRD, alerts, runbooks, metrics, rights.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up must fail")]

use lectern_api::metrics::{Kind, Metric};
use lectern_testcluster::cluster::{helm_command, output};
use lectern_testcluster::image::root;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The cluster that is rendered for: what `.Capabilities` says. Any from the chart's `kubeVersion` on would do.
const KUBE_VERSION: &str = "1.36.0";

fn chart() -> PathBuf {
    root().join("charts/lectern")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("failed to read {}: {e}", path.display()))
}

/// The value sets in charts/lectern/ci, by name.
fn value_sets() -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(chart().join("ci")).expect("there are value sets").flatten().map(|e| e.path());
    let name = |path: &Path| Some(path.file_name()?.to_str()?.strip_suffix("-values.yaml")?.to_owned());
    let sets: BTreeMap<_, _> = entries.filter_map(|path| Some((name(&path)?, path))).collect();
    assert!(sets.len() >= 5, "{sets:?}");
    sets
}

fn template(arguments: &[&str]) -> anyhow::Result<String> {
    let mut helm = helm_command()?;
    helm.args(["template", "lectern"]).arg(chart()).args([
        "--namespace",
        "lectern-system",
        "--kube-version",
        KUBE_VERSION,
    ]);
    output(helm.args(arguments), "")
}

/// Every object that a value set renders.
fn objects(values: &Path) -> Vec<Value> {
    let text = template(&["--values", &values.to_string_lossy()]).expect("renders");
    documents(&text)
}

fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("is YAML"))
        .filter(|object| !object.is_null())
        .collect()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn identity(object: &Value) -> String {
    let of = |pointer| text(object, pointer);
    format!("{}/{} {}/{}", of("/apiVersion"), of("/kind"), of("/metadata/namespace"), of("/metadata/name"))
}

#[test]
fn renders_are_as_reviewed() {
    for (name, values) in value_sets() {
        // The CRD has its own test; in every golden file it would hide the rest.
        let rendered =
            template(&["--values", &values.to_string_lossy(), "--set", "crds.enabled=false"]).expect("renders");
        lectern_golden::check(chart().join(format!("ci/{name}-golden.yaml")), &rendered);
    }
}

#[test]
fn lint_has_nothing_to_say_even_when_strict() {
    for values in value_sets().into_values() {
        let mut helm = helm_command().expect("helm");
        helm.args(["lint", "--strict"]).arg(chart()).arg("--values").arg(&values);
        let said = output(&mut helm, "").unwrap_or_else(|e| panic!("{}: {e}", values.display()));
        assert!(!said.contains("[WARNING]"), "{}: {said}", values.display());
    }
}

#[test]
fn every_value_has_a_comment_and_stands_in_the_schema() {
    let values = read(&chart().join("values.yaml"));
    // `enabled` and the like under a commented parent explain themselves; top-level values do not.
    let lines: Vec<&str> = values.lines().collect();
    let silent: Vec<_> = (1..lines.len())
        .filter(|i| lines[*i].starts_with(|c: char| c.is_ascii_lowercase()) && !lines[i - 1].starts_with('#'))
        .map(|i| lines[i])
        .collect();
    assert!(silent.is_empty(), "no comment before: {silent:?}");
    let schema: Value = serde_json::from_str(&read(&chart().join("values.schema.json"))).expect("schema is JSON");
    let values: Value = serde_yaml::from_str(&values).expect("values are YAML");
    assert_eq!(missing_in_schema("", &values, &schema), Vec::<String>::new());
}

fn missing_in_schema(path: &str, values: &Value, schema: &Value) -> Vec<String> {
    let Some(values) = values.as_object() else { return Vec::new() };
    let Some(properties) = schema.get("properties") else { return Vec::new() };
    values
        .iter()
        .flat_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match properties.get(name) {
                None => vec![path],
                Some(schema) => missing_in_schema(&path, value, schema),
            }
        })
        .collect()
}

#[test]
fn values_that_cannot_work_are_refused_with_their_name() {
    for (set, named) in [
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("image.digest=sha256:short", "digest"),
        ("autoscaling.backend=prometheus", "backend"),
        ("operator.replica=2", "replica"),
        ("watchNamespaces={Upper}", "watchNamespaces"),
        ("policy.exposeTypes={ExternalName}", "exposeTypes"),
        ("monitoring.interval=soon", "interval"),
        ("nodeimage.tag=1", "nodeimage"),
    ] {
        let refused = template(&["--set", set]).expect_err(set).to_string();
        assert!(refused.contains(named), "{set}: {refused}");
    }
    let refused = template(&["--set", "operator.serviceAccount.create=false"]).expect_err("no name").to_string();
    assert!(refused.contains("serviceAccount.name is needed"), "{refused}");
}

#[test]
fn the_chart_carries_the_generated_crd_and_keeps_it() {
    let generated = read(&root().join("crds/liveevents.yaml"));
    let carried = read(&chart().join("files/liveevents.yaml"));
    assert!(generated == carried, "scripts/chart-crd copies crds/liveevents.yaml into the chart");
    let rendered = objects(&value_sets()["default"]);
    let rendered = rendered.iter().find(|o| o["kind"] == "CustomResourceDefinition").expect("is rendered");
    assert_eq!(rendered.pointer("/metadata/annotations/helm.sh~1resource-policy"), Some(&json!("keep")));
    let generated = documents(&generated).remove(0);
    assert!(same(&rendered["spec"], &generated["spec"]), "the definition itself passes through unchanged");
    let unkept = documents(&template(&["--set", "crds.keep=false"]).expect("renders"));
    let unkept = unkept.iter().find(|o| o["kind"] == "CustomResourceDefinition").expect("is rendered");
    assert_eq!(unkept.pointer("/metadata/annotations/helm.sh~1resource-policy"), None);
}

/// Equal, where 0 and 0.0 are: Helm writes one, the generator the other.
fn same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(a, b)| same(a, b))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len() && one.iter().all(|(key, a)| two.get(key).is_some_and(|b| same(a, b)))
        }
        _ => one == two,
    }
}

#[test]
fn every_object_is_labelled_named_once_and_no_secret_is_made() {
    for (name, values) in value_sets() {
        let mut seen = BTreeSet::new();
        for object in objects(&values).iter().filter(|o| !text(o, "/metadata/name").ends_with("-more")) {
            let id = identity(object);
            assert!(seen.insert(id.clone()), "{name}: {id} twice: server-side apply refuses that");
            assert_eq!(text(object, "/metadata/labels/app.kubernetes.io~1managed-by"), "Helm", "{name}: {id}");
            assert_ne!(object["kind"], "Secret", "{name}: {id}: what the chart made would go with it");
            assert!(object.pointer("/spec/caBundle").is_none(), "{name}: {id}: another program keeps it");
        }
    }
}

#[test]
fn pods_pass_the_restricted_standard_and_get_no_service_variables() {
    for (name, values) in value_sets() {
        for object in objects(&values).iter().filter(|o| o["kind"] == "Deployment") {
            let pod = &object["spec"]["template"]["spec"];
            let id = format!("{name}: {}", identity(object));
            assert_eq!(pod["securityContext"]["runAsNonRoot"], json!(true), "{id}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{id}");
            assert_eq!(
                pod["enableServiceLinks"],
                json!(false),
                "{id}: LECTERN_… of Services would be taken for options"
            );
            for container in pod["containers"].as_array().expect("containers") {
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], json!(false), "{id}");
                assert_eq!(security["readOnlyRootFilesystem"], json!(true), "{id}");
                assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{id}");
                assert!(container["resources"]["requests"]["memory"].is_string(), "{id}");
            }
        }
    }
}

#[test]
fn secrets_where_events_are_can_be_created_and_nothing_else() {
    for (name, values) in value_sets() {
        let all = objects(&values);
        let roles = all.iter().filter(|o| ["Role", "ClusterRole"].contains(&text(o, "/kind")));
        for role in roles {
            for rule in role["rules"].as_array().into_iter().flatten() {
                let words = |key: &str| -> Vec<&str> {
                    rule[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
                };
                let own = text(role, "/metadata/namespace") == "lectern-system";
                let id = format!("{name}: {}", identity(role));
                if words("resources").contains(&"secrets") && !(own && rule.get("resourceNames").is_some()) {
                    assert_eq!(words("verbs"), ["create"], "{id}");
                }
                assert!(!words("verbs").contains(&"*"), "{id}: every verb is named");
                let metrics = words("apiGroups").iter().all(|g| g.ends_with("metrics.k8s.io"));
                assert!(metrics || !words("resources").contains(&"*"), "{id}: every resource is named");
            }
        }
    }
}

#[test]
fn without_cluster_rights_nothing_of_the_cluster_is_touched() {
    let namespaced = objects(&value_sets()["namespaced"]);
    let outside: Vec<_> = namespaced
        .iter()
        .filter(|o| o["kind"] != "CustomResourceDefinition")
        .filter(|o| !["lectern-system", "lectures", "concerts"].contains(&text(o, "/metadata/namespace")))
        .map(identity)
        .collect();
    assert_eq!(outside, Vec::<String>::new());
}

#[test]
fn a_node_image_of_its_own_does_not_take_the_digest_of_the_other() {
    let image_of = |sets: &[&str]| {
        let arguments: Vec<&str> = sets.iter().flat_map(|s| ["--set", s]).collect();
        let text = template(&arguments).expect("renders");
        let start = text.find("LECTERN_NODE_IMAGE, value: \"").expect("is told") + 28;
        text[start..].split('"').next().unwrap().to_owned()
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    let with_digest = format!("image.digest={digest}");
    assert_eq!(image_of(&["image.repository=r", "image.tag=v1"]), "r:v1");
    assert_eq!(image_of(&["image.repository=r", &with_digest]), format!("r@{digest}"));
    assert_eq!(image_of(&["image.repository=r", &with_digest, "nodeImage.tag=v2"]), "r:v2");
    assert_eq!(image_of(&["image.tag=v1", "nodeImage.repository=n"]), "n:v1");
}

/// Metric names that are written down: what nodes, operator and metrics API report.
fn documented_metrics() -> BTreeSet<String> {
    names_in(&read(&root().join("docs/metrics.md")))
}

fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|w| w.starts_with("lectern_") && w.len() > "lectern_".len()).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_use_metrics_that_exist() {
    let documented = documented_metrics();
    for file in ["files/alerts.yaml", "files/dashboard.json"] {
        let used = names_in(&read(&chart().join(file)));
        assert!(used.len() > 5, "{file}: {used:?}");
        let parts = ["_bucket", "_sum", "_count"];
        let base = |name: &String| {
            let whole = parts.iter().find_map(|p| name.strip_suffix(p)).unwrap_or(name);
            documented.contains(name) || documented.contains(whole)
        };
        // A label of pods, as Prometheus spells it.
        let unknown: Vec<_> = used.iter().filter(|n| !base(n) && !n.starts_with("lectern_dev_")).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?} is not in docs/metrics.md");
    }
}

#[test]
fn every_alert_has_a_runbook_and_links_to_it() {
    let runbooks = read(&root().join("docs/runbooks.md"));
    let all = objects(&value_sets()["everything"]);
    let rule = all.iter().find(|o| o["kind"] == "PrometheusRule").expect("is rendered");
    let rules = rule["spec"]["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap());
    let mut alerts = BTreeSet::new();
    for alert in rules {
        let name = alert["alert"].as_str().expect("is an alert");
        let link = format!("https://wiki.example.org/lectern#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], link);
        assert!(
            text(alert, "/annotations/summary").contains("{{ $") || !name.contains("Event"),
            "{name}: rendered away"
        );
        alerts.insert(name);
    }
    let sections: BTreeSet<_> = runbooks.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    assert_eq!(alerts, sections);
}

#[test]
fn promtool_accepts_the_alerts_and_they_fire_when_they_should() {
    for arguments in [["check", "rules", "files/alerts.yaml"], ["test", "rules", "ci/alerts-test.yaml"]] {
        let mut promtool = Command::new("promtool");
        output(promtool.current_dir(chart()).args(arguments), "").unwrap_or_else(|e| panic!("{e:#}"));
    }
}

#[test]
fn promtool_accepts_every_metric_of_every_program() {
    for (program, table) in lectern_api::metrics::PROGRAMS {
        let mut text = lectern_api::metrics::Exposition::default();
        // Bit rates are in bits, as encoders and networks state them, where promtool asks for bytes.
        let judged = |metric: &&&Metric| metric.kind != Kind::Histogram && metric.unit() != "bit/s";
        for metric in table.iter().filter(judged) {
            text.add(metric, &vec!["first"; metric.labels.len()], 1_u64);
        }
        let mut promtool = Command::new("promtool");
        let complaints = output(promtool.args(["check", "metrics"]), &text.finish());
        assert_eq!(complaints.unwrap_or_else(|e| panic!("{program}: {e:#}")), "", "{program}");
    }
}

#[test]
fn the_notes_lead_to_a_picture_and_name_what_is_unusual() {
    let notes = |values: &Path| {
        let mut helm = helm_command().expect("helm");
        helm.args(["install", "lectern"]).arg(chart()).args(["--namespace", "lectern-system", "--dry-run=client"]);
        let said = output(helm.arg("--values").arg(values), "").expect("renders");
        said.split("NOTES:").nth(1).expect("has notes").to_owned()
    };
    let sets = value_sets();
    let usual = notes(&sets["default"]);
    for step in ["kubectl apply", "first-hall-a-key", "rtmp://127.0.0.1:1935/live/hall-a?key=$KEY", "index.m3u8"] {
        assert!(usual.contains(step), "{usual}");
    }
    assert!(!usual.contains("NOTE:"), "{usual}");
    assert!(notes(&sets["foreign-metrics"]).contains("custom.metrics.k8s.io is not registered for Lectern"));
    assert!(notes(&sets["namespaced"]).contains("--namespace lectures"));
}
