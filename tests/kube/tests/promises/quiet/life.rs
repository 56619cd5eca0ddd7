//! From `helm install` to a picture, at rest, and to nothing again.

use crate::crowd::{Crowd, UNNOTICED};
use crate::event::{Event, LIMIT};
use crate::namespace::Namespace;
use crate::stage::{figure, quiet};
use crate::{encoder, web};
use e2e::media::Clip;
use lectern_testcluster::wait;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// From `kubectl apply` to a picture, image present.
const PLAYABLE: Duration = Duration::from_secs(60);
/// How long nothing may have moved before it counts as settled: longer than `endAfter` of the events here (10 s).
const SETTLED: Duration = Duration::from_secs(15);
/// How long nothing may be written.
const REST: Duration = Duration::from_secs(60);
/// Every kind of object that an event could have.
const KINDS: &str = "liveevents.lectern.dev,deployments,replicasets,pods,services,endpointslices,configmaps,secrets,\
    serviceaccounts,horizontalpodautoscalers,poddisruptionbudgets,networkpolicies,roles,rolebindings";

#[test]
fn helm_installs_and_an_event_goes_live_within_a_minute() {
    let turn = quiet();
    figure("helm install --wait", turn.stage.install_took);
    eprintln!("{}", turn.stage.install_said);
    assert!(turn.stage.install_said.contains("From here to a picture"), "the notes lead on");

    let at = Namespace::new(&turn, "first");
    let event = Event::apply(&at, "hello", &["stage"], &json!({}));
    event.wait_for("Ready", "True");
    figure("kubectl apply to Ready", event.applied.elapsed());
    let waiting = at.kubectl(&["get", "liveevents.lectern.dev", "hello", "--no-headers"]).unwrap();
    assert!(waiting.contains("Waiting") && waiting.contains("0/1"), "{waiting}");
    let wide = at.kubectl(&["get", "liveevents.lectern.dev", "hello", "--output=wide"]).unwrap();
    eprintln!("{wide}");
    assert!(wide.contains(":1935/live") && wide.contains("http://"), "where to publish and where to watch: {wide}");

    let url = event.publish_url("stage", &event.key("stage"));
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &url);
    let began = Instant::now();
    let page = event.page("stage");
    wait::until_true("a picture", LIMIT, || {
        web::get(&turn, &page).is_ok() && event.playlist("stage").is_some_and(|list| !web::uris(&list).is_empty())
    })
    .unwrap();
    figure("kubectl apply to playable", event.applied.elapsed());
    figure("encoder starts to first segment listed", began.elapsed());
    assert!(event.applied.elapsed() <= PLAYABLE, "{:?}", event.applied.elapsed());

    event.wait_until_playable("stage");
    Crowd::start(&at, 8, UNNOTICED, &["--hls", "5", &page]).wait(Duration::from_secs(8)).must_hold();
    event.wait_for("Live", "True");
    event.wait_for("RelaysConverged", "True");
    let live = at.kubectl(&["get", "liveevents.lectern.dev", "hello", "--no-headers"]).unwrap();
    assert!(live.contains("Live") && live.contains("1/1"), "{live}");
    eprintln!("{}{}", at.kubectl(&["get", "le"]).unwrap(), event.describe());
    says_all_it_should(&event.get().unwrap());
}

/// A new user reads this: every condition is there, with a reason and a sentence, and the stream is described.
fn says_all_it_should(event: &Value) {
    let conditions = event["status"]["conditions"].as_array().unwrap();
    let kinds: Vec<_> = conditions.iter().map(|condition| condition["type"].as_str().unwrap()).collect();
    let all = [
        "Accepted",
        "IngestReady",
        "EdgesReady",
        "RelaysConverged",
        "AutoscalingActive",
        "Live",
        "UpgradePending",
        "Ready",
    ];
    assert_eq!(kinds, all);
    for condition in conditions {
        for part in ["reason", "message", "lastTransitionTime"] {
            assert!(condition[part].as_str().is_some_and(|text| !text.is_empty()), "{condition}");
        }
        assert_eq!(condition["observedGeneration"], event["metadata"]["generation"], "{condition}");
    }
    let stream = &event["status"]["streams"][0];
    for known in ["since", "publisher", "videoCodec", "audioCodec", "resolution", "publishUrl", "keySecret"] {
        assert!(stream[known].as_str().is_some_and(|text| !text.is_empty()), "{known}: {stream}");
    }
    assert!(!event.to_string().contains("key="), "no key is shown: {event}");
}

#[test]
fn a_restricted_namespace_admits_every_pod() {
    let turn = quiet();
    let at = Namespace::new(&turn, "restricted");
    let everything = json!({
        "ingest": {"publishKeysSecretRef": {"name": "keys"}},
        "forward": [{"name": "cdn"}], "forwardSecretRef": {"name": "urls"},
        "edges": {"expose": {"rtmp": {"type": "NodePort"}}},
    });
    let url = json!({"cdn": "rtmp://203.0.113.9/live/stage"});
    let secret = |name: &str, data: &Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}).to_string()
    };
    at.apply(&secret("keys", &json!({"stage": "a-long-enough-key"}))).unwrap();
    at.apply(&secret("urls", &url)).unwrap();
    let event = Event::ready(&at, "gala", &["stage"], &everything);
    assert_eq!(event.wait_for_edges(2).len(), 2);
    assert!(event.ingest().ready);
    let enforced = at.cluster.kubectl(&["get", "namespace", &at.name, "--output=jsonpath={.metadata.labels}"]);
    assert!(enforced.unwrap().contains(r#""pod-security.kubernetes.io/enforce":"restricted""#));

    // Lectern's own pods: the API server says which of them would not pass, and would admit all of them again.
    let mut label = at.cluster.kubectl_command();
    label.args(["label", "namespace", "lectern-system", "pod-security.kubernetes.io/enforce=restricted"]);
    let said = label.args(["--dry-run=server", "--overwrite"]).output().expect("kubectl starts");
    let warned = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && warned.is_empty(), "{warned}");
}

#[test]
fn an_event_at_rest_causes_no_writes() {
    let turn = quiet();
    let at = Namespace::new(&turn, "rest");
    let event = Event::ready(&at, "quiet", &["stage"], &json!({}));
    event.wait_for("RelaysConverged", "True");
    event.wait_for_edges(2);
    let versions = || -> BTreeMap<String, String> {
        let kinds = format!("{KINDS},events");
        let listed = at.json(&["get", &kinds]).unwrap();
        let one = |object: &Value| {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            (format!("{}/{}", text("/kind"), text("/metadata/name")), text("/metadata/resourceVersion"))
        };
        // What kubelet and controllers report is theirs.
        let ours = |object: &&Value| object["kind"] != "Event" || object["reportingComponent"] == "lectern";
        listed["items"].as_array().unwrap().iter().filter(ours).map(one).collect()
    };
    // Deployments, slices and autoscalers settle first, and an ingest that had no publisher for `endAfter` becomes idle,
    // which its pod and its budget show.
    let mut before = versions();
    let mut since = Instant::now();
    wait::until_true("everything to settle", LIMIT, || {
        let now = versions();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        since.elapsed() > SETTLED
    })
    .unwrap();

    let began = Instant::now();
    let mut looks = 0;
    wait::until_true("the end of the rest", REST * 2, || {
        let now = versions();
        looks += 1;
        let moved: Vec<_> = now.iter().filter(|(name, version)| before.get(*name) != Some(version)).collect();
        assert!(moved.is_empty() && now.len() == before.len(), "written to after {:?}: {moved:?}", began.elapsed());
        began.elapsed() >= REST
    })
    .unwrap();
    figure("objects watched at rest", before.len());
}

#[test]
fn deleting_the_event_leaves_nothing() {
    let turn = quiet();
    let at = Namespace::new(&turn, "leaving");
    let names = || -> BTreeSet<String> {
        at.kubectl(&["get", KINDS, "--output=name"]).unwrap().lines().map(str::to_owned).collect()
    };
    wait::until_true("what a namespace has by itself", LIMIT, || names().len() >= 2).unwrap();
    let before = names();
    let event = Event::ready(&at, "gone", &["stage", "hall"], &json!({}));
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let with = names();
    assert!(with.len() > before.len() + 15, "{with:#?}");
    let owned = at.json(&["get", KINDS, "--selector=lectern.dev/event=gone"]).unwrap();
    assert!(owned["items"].as_array().unwrap().len() > 15, "children carry the event's label");

    let began = Instant::now();
    at.kubectl(&["delete", "liveevents.lectern.dev", "gone", "--wait=true"]).unwrap();
    let gone = wait::until_true("everything that it made to be gone", LIMIT, || names() == before);
    gone.unwrap_or_else(|error| panic!("{error:#}: left {:?}", names().difference(&before)));
    figure("delete to nothing left (drain 5 s)", began.elapsed());
}
