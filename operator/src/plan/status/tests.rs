//! Conditions as a table, and that a status says nothing new while nothing is new.

use super::*;
use crate::plan::{Audience, Autoscaler, EdgesSeen, Images, Objection, plan};
use lectern_api::condition::reason;
use lectern_api::live_event::LiveEvent;
use lectern_api::node_status::{IngestStatus as Said, IngestStream, NodeStatus, RelayStatus};
use serde_json::{Value, json};

const NOON: &str = "2026-12-01T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn event() -> Event {
    let raw: LiveEvent = serde_json::from_value(json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
        "metadata": { "name": "gala", "namespace": "default", "generation": 3 },
        "spec": { "streams": [{ "name": "hall-a" }, { "name": "hall-b" }] },
    }))
    .unwrap();
    crate::validate::validate(&raw).unwrap()
}

fn edge(number: u16, ready: bool) -> EdgeSeen {
    EdgeSeen {
        name: format!("edge-{number}"),
        ready,
        relay: Some(([10, 0, 0, u8::try_from(number).unwrap()], 1936).into()),
        ..Default::default()
    }
}

/// Everything well, `hall-a` live.
fn healthy() -> Observed {
    let stream = IngestStream {
        live: true,
        since_ms: Some(1_796_000_000_000),
        publisher: Some("192.0.2.1:5000".into()),
        width: Some(1920),
        height: Some(1080),
        frame_rate: Some(29.97),
        bit_rate: Some(3_141_592),
        gop_ms: Some(2_002),
        warnings: vec!["GopTooLong (8.3s, segment 2s)".into()],
        ..Default::default()
    };
    let relay = |number: u8| RelayStatus {
        peer: format!("10.0.0.{number}:1936"),
        streams: [("hall-a".to_owned(), true), ("hall-b".to_owned(), true)].into(),
        ..Default::default()
    };
    let said = Said {
        streams: [("hall-a".to_owned(), stream)].into(),
        relays: vec![relay(1), relay(2)],
        ..Default::default()
    };
    Observed {
        ingest: Some(IngestSeen {
            ready: true,
            address: Some("203.0.113.5:1935".into()),
            status: Some(NodeStatus { ready: true, ingest: Some(said), ..Default::default() }),
            ..Default::default()
        }),
        edges: Some(EdgesSeen {
            desired: 2,
            nodes: vec![edge(1, true), edge(2, true)],
            http: Some("http://203.0.113.7".into()),
            rtmp: Some("rtmp://203.0.113.8".into()),
        }),
        audience: Some(Audience { viewers: 1_234, refused: 0, egress_bits_per_second: Some(3_700_000_000) }),
        autoscaler: Some(Autoscaler {
            active: true,
            reason: "ValidMetricFound".into(),
            message: String::new(),
            at_maximum: false,
        }),
        burst: None,
        images: Some(Images { wanted: "node:1".into(), in_use: Some("node:1".into()), turn: true }),
        objections: Some(Vec::new()),
        deleting: false,
        ..Default::default()
    }
}

fn status(seen: &Observed, previous: Option<&LiveEventStatus>, now: &str) -> LiveEventStatus {
    let event = event();
    of(&event, &plan(&event, seen, at(now)), seen, previous, at(now))
}

fn condition(status: &LiveEventStatus, wanted: ConditionType) -> (&str, &str, &str) {
    let found = status.conditions.iter().find(|condition| condition.type_ == wanted.as_str()).unwrap();
    (found.status.as_str(), found.reason.as_str(), found.message.as_str())
}

#[test]
fn nothing_known_is_unknown_never_false() {
    let status = status(&Observed::default(), None, NOON);
    let types: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ConditionType::ALL.map(ConditionType::as_str));
    for condition in &status.conditions {
        let quiet = condition.type_ == ConditionType::UpgradePending.as_str();
        assert_eq!(condition.status, if quiet { "False" } else { "Unknown" }, "{}", condition.type_);
        assert!(!condition.message.is_empty());
    }
    assert_eq!(status.phase, Some(Phase::Pending));
}

type Change = fn(&mut Observed);
/// What goes wrong, and what a condition then says: status, reason, a word of the message.
type Trouble = (Change, ConditionType, &'static str, &'static str, &'static str);

fn ingest(seen: &mut Observed) -> &mut IngestSeen {
    seen.ingest.as_mut().unwrap()
}

fn edges(seen: &mut Observed) -> &mut Vec<EdgeSeen> {
    &mut seen.edges.as_mut().unwrap().nodes
}

fn scaler(seen: &mut Observed) -> &mut Autoscaler {
    seen.autoscaler.as_mut().unwrap()
}

fn objection(reason: &'static str) -> Option<Vec<Objection>> {
    Some(vec![Objection { reason, message: "do this".into() }])
}

fn pulling() -> IngestSeen {
    IngestSeen { detail: Some("ImagePullBackOff".into()), ..Default::default() }
}

#[rustfmt::skip] // A table is read by its columns.
fn troubles() -> Vec<Trouble> {
    use ConditionType::*;
    vec![
        (|_| (), Ready, "True", reason::PLAYABLE, "publish"),
        (|seen| seen.objections = objection(reason::NAME_TAKEN), Accepted, "False", reason::NAME_TAKEN, "do this"),
        (|seen| seen.objections = None, Accepted, "Unknown", reason::NOT_OBSERVED, "not been checked"),
        (|seen| ingest(seen).ready = false, IngestReady, "False", reason::STARTING, "started"),
        (|seen| *ingest(seen) = pulling(), IngestReady, "False", reason::STARTING, "ImagePullBackOff"),
        (|seen| *ingest(seen) = pulling(), Ready, "False", reason::INGEST_NOT_READY, "ImagePullBackOff"),
        (|seen| edges(seen)[0].ready = false, EdgesReady, "False", reason::TOO_FEW_READY, "1 of 2"),
        (|seen| edges(seen)[0].ready = false, Ready, "False", reason::EDGES_NOT_READY, "1 of 2"),
        (|seen| edges(seen).clear(), EdgesReady, "False", reason::STARTING, "0 of 2"),
        (|seen| seen.edges.as_mut().unwrap().desired = 3, EdgesReady, "False", reason::TOO_FEW_READY, "2 of 3"),
        (|seen| seen.edges.as_mut().unwrap().desired = 3, Ready, "True", reason::PLAYABLE, "watch"),
        (|seen| edges(seen).push(edge(3, true)), RelaysConverged, "False", reason::LINKS_MISSING, "edge-3"),
        (|seen| ingest(seen).status = None, RelaysConverged, "Unknown", reason::NOT_OBSERVED, "linked"),
        (|seen| ingest(seen).status = None, Live, "Unknown", reason::NOT_OBSERVED, "its streams"),
        (|seen| scaler(seen).active = false, AutoscalingActive, "False", reason::NO_METRICS, "does not change"),
        (|seen| scaler(seen).at_maximum = true, AutoscalingActive, "True", reason::AT_MAXIMUM, "raise edges.max"),
        (|seen| seen.images.as_mut().unwrap().wanted = "n:2".into(), UpgradePending, "True", reason::WAITING_FOR_IDLE, "hall-a"),
    ]
}

#[test]
fn each_trouble_has_its_reason_and_a_word_on_what_to_do() {
    for (change, wanted, value, reason, word) in troubles() {
        let mut seen = healthy();
        change(&mut seen);
        let status = status(&seen, None, NOON);
        let (found, found_reason, message) = condition(&status, wanted);
        assert_eq!((found, found_reason), (value, reason), "{wanted}: {message}");
        assert!(message.contains(word), "{wanted}: {message}");
    }
}

#[test]
fn a_transition_time_moves_only_when_the_status_does() {
    let first = status(&healthy(), None, NOON);
    let later = status(&healthy(), Some(&first), "2026-12-01T13:00:00Z");
    assert_eq!(first, later, "an event at rest says the same for ever");
    let mut seen = healthy();
    seen.edges.as_mut().unwrap().nodes[0].ready = false;
    let worse = status(&seen, Some(&first), "2026-12-01T13:00:00Z");
    let moved = |condition: ConditionType| {
        let of = |status: &LiveEventStatus| {
            status
                .conditions
                .iter()
                .find(|known| known.type_ == condition.as_str())
                .unwrap()
                .last_transition_time
                .clone()
        };
        of(&first) != of(&worse)
    };
    assert!(moved(ConditionType::EdgesReady) && moved(ConditionType::Ready));
    assert!(!moved(ConditionType::IngestReady) && !moved(ConditionType::Accepted));
}

#[test]
fn small_changes_of_measured_numbers_are_no_news() {
    let first = status(&healthy(), None, NOON);
    let mut seen = healthy();
    seen.audience = Some(Audience { viewers: 1_250, refused: 0, egress_bits_per_second: Some(3_750_000_000) });
    let said = seen.ingest.as_mut().unwrap().status.as_mut().unwrap().ingest.as_mut().unwrap();
    let stream = said.streams.get_mut("hall-a").unwrap();
    stream.bit_rate = Some(3_180_000);
    stream.frame_rate = Some(30.02);
    stream.gop_ms = Some(1_990);
    stream.warnings = vec!["GopTooLong (8.4s, segment 2s)".into()];
    assert_eq!(status(&seen, Some(&first), "2026-12-01T12:00:10Z"), first);
}

#[test]
fn warnings_of_a_stream_are_there_before_its_encoder_is() {
    let mut seen = healthy();
    let said = seen.ingest.as_mut().unwrap().status.as_mut().unwrap().ingest.as_mut().unwrap();
    let stream = said.streams.get_mut("hall-a").unwrap();
    stream.live = false;
    stream.warnings = vec!["OnlyBackupKey (no main encoder can publish: it has no key)".into()];
    let status = status(&seen, None, NOON);
    let stream = status.streams.iter().find(|stream| stream.name == "hall-a").unwrap();
    assert!(!stream.live && stream.warnings == ["OnlyBackupKey (no main encoder can publish: it has no key)"]);
}

#[test]
fn what_cannot_be_seen_now_stays_as_it_was() {
    let first = status(&healthy(), None, NOON);
    let blind = status(&Observed::default(), Some(&first), "2026-12-01T12:00:10Z");
    assert_eq!(blind.streams, first.streams);
    assert_eq!(blind.edges, first.edges);
    assert_eq!(blind.ingest, first.ingest);
    assert_eq!(blind.node_image, first.node_image);
}

#[test]
fn a_missing_secret_is_known_by_what_the_ingest_says_it_loaded() {
    let raw: LiveEvent = serde_json::from_value(json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": { "name": "gala" },
        "spec": {
            "streams": [{ "name": "hall-a" }, { "name": "hall-b" }],
            "ingest": { "publishKeysSecretRef": { "name": "my-keys" } },
            "forward": [{ "name": "cdn", "streams": ["hall-a"] }], "forwardSecretRef": { "name": "urls" },
        },
    }))
    .unwrap();
    let event = crate::validate::validate(&raw).unwrap();
    let accepted = |change: fn(&mut Said)| {
        let mut seen = healthy();
        let plan = plan(&event, &seen, at(NOON));
        let said = seen.ingest.as_mut().unwrap().status.as_mut().unwrap().ingest.as_mut().unwrap();
        said.config_version = plan.ingest.settings.version.clone();
        said.keys = [("hall-a".to_owned(), 2), ("hall-b".to_owned(), 1)].into();
        said.forwards =
            vec![lectern_api::node_status::ForwardStatus { name: "cdn".into(), loaded: true, ..Default::default() }];
        change(said);
        let status = of(&event, &plan, &seen, None, at(NOON));
        let (value, reason, message) = condition(&status, ConditionType::Accepted);
        (value.to_owned(), reason.to_owned(), message.to_owned())
    };
    assert_eq!(accepted(|_| ()).0, "True");
    const LONELY: &str = "hall-b: only a backup key, so that no main encoder can publish";
    let (value, _, message) = accepted(|said| said.key_problems.push(LONELY.into()));
    assert!(value == "True" && message.ends_with(LONELY) && message.contains("Secret my-keys"), "{message}");
    let (value, reason, message) = accepted(|said| {
        said.keys.insert("hall-b".into(), 0);
        said.key_problems.push("hall-b: shorter than 8 bytes".into());
    });
    assert_eq!((value.as_str(), reason.as_str()), ("False", reason::SECRET_NOT_FOUND));
    assert!(
        message.contains("my-keys") && message.contains("hall-b: shorter") && !message.contains("hall-a"),
        "{message}"
    );
    let (_, reason, message) = accepted(|said| said.forwards.clear());
    assert!(reason == reason::SECRET_NOT_FOUND && message.contains("urls") && message.contains("cdn"), "{message}");
    assert_eq!(
        accepted(|said| {
            said.keys.clear();
            said.config_version = "older".into();
        })
        .0,
        "True"
    );
}

#[test]
fn a_refused_spec_says_everything_and_forgets_nothing() {
    let first = status(&healthy(), None, NOON);
    let problems = [
        Problem { field: "spec.edges".into(), message: "min must not exceed max".into() },
        Problem { field: "spec.hls.window".into(), message: "too short".into() },
    ];
    let refused = refused(Some(4), &problems, Some(&first), at(NOON));
    assert_eq!((refused.phase, refused.observed_generation), (Some(Phase::Failed), Some(4)));
    let (status, reason, message) = condition(&refused, ConditionType::Accepted);
    assert_eq!((status, reason), ("False", reason::INVALID_SPEC));
    assert!(message.contains("spec.edges") && message.contains("spec.hls.window"), "{message}");
    assert_eq!(condition(&refused, ConditionType::Live), condition(&first, ConditionType::Live));
    assert_eq!(refused.streams, first.streams);
}

#[test]
fn the_phase_follows_the_conditions() {
    let phase = |change: fn(&mut Observed)| {
        let mut seen = healthy();
        change(&mut seen);
        status(&seen, None, NOON).phase
    };
    let silence = |seen: &mut Observed| {
        seen.ingest.as_mut().unwrap().status.as_mut().unwrap().ingest.as_mut().unwrap().streams.clear();
    };
    assert_eq!(phase(|_| ()), Some(Phase::Live));
    assert_eq!(phase(silence), Some(Phase::Waiting));
    assert_eq!(phase(|seen| seen.deleting = true), Some(Phase::Draining));
    let object = |seen: &mut Observed| {
        seen.objections = Some(vec![Objection { reason: reason::NAME_TAKEN, message: "x".into() }]);
    };
    assert_eq!(phase(object), Some(Phase::Live), "what is live is live");
    let mut seen = healthy();
    silence(&mut seen);
    object(&mut seen);
    assert_eq!(status(&seen, None, NOON).phase, Some(Phase::Failed));
}

#[test]
fn a_cluster_lists_ten_unhealthy_edges_without_numbers_and_a_machine_all_of_them() {
    let mut seen = healthy();
    seen.edges.as_mut().unwrap().nodes = (0..30).map(|number| edge(number, number % 2 == 0)).collect();
    let nodes = status(&seen, None, NOON).edges.unwrap().nodes;
    assert_eq!(nodes.len(), 10);
    assert!(nodes.iter().all(|node| !node.ready && node.viewers.is_none()));
    for node in &mut seen.edges.as_mut().unwrap().nodes {
        node.process = Some(crate::plan::LocalProcess { pid: Some(7), ..Default::default() });
    }
    let nodes = status(&seen, None, NOON).edges.unwrap().nodes;
    assert_eq!(nodes.len(), 30);
    assert!(nodes.iter().all(|node| node.viewers == Some(0) && node.pid == Some(7)));
}

/// The schema must be able to hold what is written, or the API server drops it without a word.
#[test]
fn every_field_of_a_status_is_in_the_schema() {
    let definition = serde_json::to_value(lectern_api::live_event::definition()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    fn walk(value: &Value, schema: &Value, path: &str) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                let inner = &schema["properties"][name];
                assert!(!inner.is_null(), "{path}.{name} is not in the schema");
                walk(value, inner, &format!("{path}.{name}"));
            }),
            Value::Array(items) => items.iter().for_each(|item| walk(item, &schema["items"], path)),
            _ => {}
        }
    }
    let mut seen = healthy();
    seen.edges.as_mut().unwrap().nodes[0].process =
        Some(crate::plan::LocalProcess { pid: Some(7), ..Default::default() });
    walk(&serde_json::to_value(status(&seen, None, NOON)).unwrap(), schema, "status");
}
