//! An event in a test's namespace.

use crate::namespace::Namespace;
use crate::web;
use anyhow::{Context as _, Result};
use lectern_testcluster::wait;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long anything of an event may take on a busy machine; what is promised is asserted where it is measured.
pub const LIMIT: Duration = Duration::from_secs(90);
/// How long the API server may fail to say which pods there are: a test that cannot look can promise nothing.
const LOOK: Duration = Duration::from_secs(30);
/// Segments that viewers want listed before they come: they start three before the end.
const SEGMENTS: usize = 4;

/// One event.
pub struct Event<'a> {
    pub at: &'a Namespace<'a>,
    pub name: String,
    pub applied: Instant,
}

/// A pod of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub ip: String,
    pub node: String,
    pub image: String,
    pub ready: bool,
    pub ending: bool,
    pub restarts: u64,
}

impl Pod {
    /// It is Ready and stays.
    pub fn serves(&self) -> bool {
        self.ready && !self.ending
    }
}

/// The manifest of an event as tests want it: two to four edges that cost little and go soon, reached inside the
/// cluster. `spec` changes that (a JSON merge patch).
pub fn manifest(name: &str, streams: &[&str], spec: &Value) -> String {
    let small = json!({"requests": {"cpu": "20m", "memory": "32Mi"}});
    let inside = json!({"type": "ClusterIP"});
    let streams: Vec<Value> = streams.iter().map(|stream| json!({"name": stream})).collect();
    let mut event = json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"name": name},
        "spec": {
            "streams": streams,
            "ingest": {"expose": inside, "resources": small},
            "edges": {"min": 2, "max": 4, "drain": "5s", "expose": {"http": inside}, "resources": small},
            "hls": {"endAfter": "10s"},
        },
    });
    merge(&mut event["spec"], spec);
    event.to_string()
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}

impl<'a> Event<'a> {
    /// Applies it.
    pub fn apply(at: &'a Namespace<'a>, name: &str, streams: &[&str], spec: &Value) -> Self {
        let applied = Instant::now();
        at.apply(&manifest(name, streams, spec)).expect("the event is accepted by the API server");
        Self { at, name: name.into(), applied }
    }

    /// Applies it and waits until it says that it is Ready.
    pub fn ready(at: &'a Namespace<'a>, name: &str, streams: &[&str], spec: &Value) -> Self {
        let event = Self::apply(at, name, streams, spec);
        event.wait_for("Ready", "True");
        event
    }

    fn object(&self) -> String {
        format!("liveevents.lectern.dev/{}", self.name)
    }

    /// The object as it is.
    pub fn get(&self) -> Result<Value> {
        self.at.json(&["get", &self.object()])
    }

    /// Changes the spec by a merge patch.
    pub fn patch(&self, spec: &Value) {
        self.at.patch(&self.object(), &json!({"spec": spec})).expect("the change is accepted by the API server");
    }

    /// `kubectl describe`.
    pub fn describe(&self) -> String {
        self.at.kubectl(&["describe", &self.object()]).unwrap_or_default()
    }

    /// A condition: status, reason and message.
    pub fn condition(&self, kind: &str) -> Result<(String, String, String)> {
        let event = self.get()?;
        let all = event["status"]["conditions"].as_array().context("no conditions")?;
        let found = all.iter().find(|condition| condition["type"] == kind);
        let found = found.with_context(|| format!("no condition {kind}"))?;
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("reason"), text("message")))
    }

    /// Waits until a condition has a status, and answers reason and message.
    #[track_caller]
    pub fn wait_for(&self, kind: &str, status: &str) -> (String, String) {
        self.wait_until(kind, LIMIT, |now, _, _| now == status)
    }

    /// Waits until a condition has a status for a reason, and answers the message.
    #[track_caller]
    pub fn wait_for_reason(&self, kind: &str, status: &str, reason: &str) -> String {
        self.wait_until(kind, LIMIT, |now, why, _| now == status && why == reason).1
    }

    /// Waits until a condition is as wanted, and answers reason and message.
    #[track_caller]
    pub fn wait_until(
        &self,
        kind: &str,
        limit: Duration,
        wanted: impl Fn(&str, &str, &str) -> bool,
    ) -> (String, String) {
        let mut last = None;
        let found = wait::until(&format!("{kind} of {}", self.name), limit, || {
            let (status, reason, message) = self.condition(kind)?;
            let holds = wanted(&status, &reason, &message);
            last = Some(format!("{status} {reason}: {message}"));
            Ok(holds.then_some((reason, message)))
        });
        found.unwrap_or_else(|error| panic!("{error:#}; it is {last:?}"))
    }

    /// The address of one of its Services inside the cluster, such as `edge`.
    pub fn service(&self, which: &str) -> String {
        let name = format!("{}-{which}", self.name);
        self.at.kubectl(&["get", "service", &name, "--output=jsonpath={.spec.clusterIP}"]).expect("the Service exists")
    }

    /// The generated publish key of a stream, as people read it.
    pub fn key(&self, stream: &str) -> String {
        let secret = format!("{}-{stream}-key", self.name);
        self.at
            .kubectl(&["get", "secret", &secret, "--output=go-template={{.data.key | base64decode}}"])
            .expect("the key can be read")
    }

    /// Where an encoder publishes, with `key`.
    pub fn publish_url(&self, stream: &str, key: &str) -> String {
        format!("rtmp://{}:1935/live/{stream}?key={key}", self.service("ingest"))
    }

    /// What people open.
    pub fn page(&self, stream: &str) -> String {
        format!("http://{}/live/{stream}/index.m3u8", self.service("edge"))
    }

    /// The pods of a role (`ingest`, `edge`), by name, all of one moment. A look that fails is made again: it is not one
    /// that found no pods.
    #[track_caller]
    pub fn pods(&self, role: &str) -> Vec<Pod> {
        let selector = format!("--selector=lectern.dev/event={},lectern.dev/role={role}", self.name);
        let listed = wait::until(&format!("a list of the {role} pods of {}", self.name), LOOK, || {
            let listed = self.at.json(&["get", "pods", &selector])?;
            let items = listed["items"].as_array().with_context(|| format!("no list: {listed}"))?;
            Ok(Some(items.iter().map(pod).collect::<Vec<_>>()))
        });
        let mut pods = listed.unwrap_or_else(|error| panic!("{error:#}"));
        pods.sort();
        pods
    }

    /// Edges that are Ready and stay.
    #[track_caller]
    pub fn ready_edges(&self) -> Vec<Pod> {
        self.pods("edge").into_iter().filter(Pod::serves).collect()
    }

    /// Waits until so many edges are Ready and no other is left.
    #[track_caller]
    pub fn wait_for_edges(&self, count: usize) -> Vec<Pod> {
        wait::until(&format!("{count} edges and no other"), LIMIT, || {
            let all = self.pods("edge");
            let settled = all.len() == count && all.iter().all(Pod::serves);
            Ok(settled.then_some(all))
        })
        .unwrap()
    }

    /// The ingest's only pod.
    #[track_caller]
    pub fn ingest(&self) -> Pod {
        let pods = self.pods("ingest");
        assert_eq!(pods.len(), 1, "{pods:?}");
        pods[0].clone()
    }

    /// What a node says of itself.
    pub fn status_of(&self, pod: &Pod) -> Option<Value> {
        web::get(self.at.cluster, &format!("http://{}:9090/status", pod.ip)).json()
    }

    /// The media playlist of a stream through the Service, if there is one.
    pub fn playlist(&self, stream: &str) -> Option<String> {
        let url = format!("http://{}/live/{stream}/media.m3u8", self.service("edge"));
        Some(web::get(self.at.cluster, &url)).filter(web::Answer::is_ok).map(|answer| answer.text())
    }

    /// Waits until viewers can start: every Ready edge lists some segments.
    #[track_caller]
    pub fn wait_until_playable(&self, stream: &str) {
        wait::until_true(&format!("{stream} to be playable at every edge"), LIMIT, || {
            let edges = self.ready_edges();
            let lists = |pod: &Pod| {
                let url = format!("http://{}:8080/live/{stream}/media.m3u8", pod.ip);
                web::uris(&web::get(self.at.cluster, &url).text()).len() >= SEGMENTS
            };
            !edges.is_empty() && edges.iter().all(lists)
        })
        .unwrap();
    }
}

fn pod(object: &Value) -> Pod {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True");
    Pod {
        name: text("/metadata/name"),
        uid: text("/metadata/uid"),
        ip: text("/status/podIP"),
        node: text("/spec/nodeName"),
        image: text("/spec/containers/0/image"),
        ready,
        ending: object.pointer("/metadata/deletionTimestamp").is_some(),
        restarts: object.pointer("/status/containerStatuses/0/restartCount").and_then(Value::as_u64).unwrap_or(0),
    }
}
