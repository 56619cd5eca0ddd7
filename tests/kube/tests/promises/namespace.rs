//! A test's own namespace. It enforces PodSecurity `restricted`, so every pod of every test proves that it passes.

use crate::stage::Turn;
use lectern_testcluster::Cluster;
use lectern_testcluster::cluster::output;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// Lines of a pod's log that a failed test shows.
const LOG_LINES: &str = "--tail=40";

/// Removed when the test ends; if the test failed, what was in it is shown first.
pub struct Namespace<'a> {
    pub cluster: &'a Cluster,
    pub name: String,
    folder: TempDir,
}

impl<'a> Namespace<'a> {
    pub fn new(turn: &'a Turn, name: &str) -> Self {
        let cluster = &turn.stage.cluster;
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        });
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        cluster.apply(&namespace.to_string()).expect("a namespace can be made");
        Self { cluster, name: name.into(), folder: TempDir::new().expect("a temporary folder can be made") }
    }

    /// Where processes of the test leave their logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `kubectl` in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["--namespace", &self.name];
        all.extend(arguments);
        self.cluster.kubectl(&all)
    }

    /// Objects as JSON.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut all = arguments.to_vec();
        all.push("--output=json");
        Ok(serde_json::from_str(&self.kubectl(&all)?)?)
    }

    /// Server-side applies manifests, as a user does. Answers what `kubectl` printed.
    pub fn apply(&self, manifests: &str) -> anyhow::Result<String> {
        let mut kubectl = self.cluster.kubectl_command();
        kubectl.args(["--namespace", &self.name, "apply", "--server-side", "--field-manager=test", "--filename=-"]);
        output(&mut kubectl, manifests)
    }

    /// Changes an object by a merge patch.
    pub fn patch(&self, object: &str, patch: &Value) -> anyhow::Result<String> {
        self.kubectl(&["patch", object, "--type=merge", "--patch", &patch.to_string()])
    }

    fn show(&self) {
        let show = |title: &str, said: anyhow::Result<String>| {
            eprintln!("---- {title}\n{}", said.unwrap_or_else(|error| format!("{error:#}")));
        };
        show("kubectl describe liveevents", self.kubectl(&["describe", "liveevents.lectern.dev"]));
        show("objects", self.kubectl(&["get", "deployments,hpa,services,endpointslices,pods", "--output=wide"]));
        show("events", self.kubectl(&["get", "events", "--sort-by=.lastTimestamp"]));
        let pods = self.kubectl(&["get", "pods", "--output=name"]).unwrap_or_default();
        for pod in pods.lines() {
            show(pod, self.kubectl(&["logs", pod, LOG_LINES, "--all-containers"]));
            let before = self.kubectl(&["logs", pod, LOG_LINES, "--previous"]);
            if before.is_ok() {
                show(&format!("{pod}, before it was started again"), before);
            }
        }
        let operator = ["--namespace=lectern-system", "logs", "--selector=app.kubernetes.io/component=operator"];
        let said = self.cluster.kubectl(&[&operator[..], &["--tail=400"]].concat());
        let about = |line: &&str| line.contains(&format!("{}/", self.name));
        show("operator", said.map(|said| said.lines().filter(about).collect::<Vec<_>>().join("\n")));
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        let _ = self.cluster.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}
