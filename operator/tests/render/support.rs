//! Events and what renders them.

use lectern::plan::{IngestSeen, Observed, plan};
use lectern::render::{Identity, Installation, Metrics, Objects, PullPolicy, render};
use lectern::validate::{Event, validate};
use lectern_api::keys;
use lectern_api::live_event::LiveEvent;
use lectern_api::node_status::{IngestStatus, IngestStream, NodeStatus};
use serde_json::{Value, json};

/// The moment of all plans here.
pub const NOW: &str = "2026-12-01T12:00:00Z";
/// The event's uid.
pub const UID: &str = "5f0c3a52-0000-4000-8000-000000000001";

/// `gala` with two halls.
pub fn event() -> Event {
    event_with(&json!({}))
}

/// `gala` with `spec` on top.
pub fn event_with(spec: &Value) -> Event {
    let mut spec = spec.clone();
    if spec["streams"].is_null() {
        spec["streams"] = json!([{ "name": "hall-a" }, { "name": "hall-b" }]);
    }
    let raw: LiveEvent = serde_json::from_value(json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
        "metadata": { "name": "gala", "namespace": "default", "generation": 3 }, "spec": spec,
    }))
    .unwrap();
    validate(&raw).unwrap()
}

pub fn installation() -> Installation {
    Installation {
        node_image: "registry.example.org/lectern:0.1.0".into(),
        pull_policy: PullPolicy::IfNotPresent,
        pull_secrets: vec!["pull".into()],
        namespace: "lectern-system".into(),
        scrape_namespaces: vec!["monitoring".into()],
        metrics: Metrics::ApiService,
        forward_policy: Default::default(),
    }
}

/// The objects of `event` where nothing was seen yet.
pub fn rendered(event: &Event) -> Objects {
    rendered_by(event, &Observed::default(), &installation())
}

pub fn rendered_by(event: &Event, seen: &Observed, installation: &Installation) -> Objects {
    let identity = Identity { uid: Some(UID.into()), seed: keys::seed(b"the root of the tests", &event.id()) };
    render(event, &plan(event, seen, NOW.parse().unwrap()), &identity, installation)
}

/// hall-a is live.
pub fn live() -> Observed {
    seen(true)
}

/// The ingest answers; nobody publishes.
pub fn idle() -> Observed {
    seen(false)
}

fn seen(live: bool) -> Observed {
    let stream = IngestStream { live, ..Default::default() };
    let ingest = IngestStatus { streams: [("hall-a".to_owned(), stream)].into(), ..Default::default() };
    let status = NodeStatus { ready: true, ingest: Some(ingest), ..Default::default() };
    let ingest = IngestSeen { ready: true, status: Some(status), ..Default::default() };
    Observed { ingest: Some(ingest), ..Default::default() }
}
