//! Wire shapes, as files, and who gets what.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its request must fail")]

use super::*;
use crate::audience::Round;
use std::collections::BTreeMap;

const ENDED_MS: u64 = 1_796_115_600_700;
const BASE: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/lectures/liveevents.lectern.dev";
const SELECTED: &str = "labelSelector=lectern.dev%2Fevent%3Dgala";

fn outcome() -> Outcome {
    let event = |viewers| EventAudience {
        viewers,
        refused: 20,
        demand: viewers + 20,
        egress_bits_per_second: 3_000_000_000,
        ..EventAudience::default()
    };
    let events = [("lectures/gala", 1_000), ("lectures/opening", 7), ("other/gala", 3)];
    let events = events.map(|(id, viewers)| (id.to_owned(), event(viewers)));
    Outcome {
        round: Round { ended_ms: ENDED_MS, events: events.into() },
        unknown: BTreeMap::from([("lectures/dark".to_owned(), "more than half of its edges do not answer")]),
        ..Outcome::default()
    }
}

fn known<'a>(outcome: Option<&'a Outcome>, names: &'a [String], tokens: &'a [String]) -> Known<'a> {
    Known { outcome, allowed_names: names, tokens, not_ready: None, now_ms: ENDED_MS + 2_000 }
}

fn ask(path: &str, peer: &Peer, known: &Known<'_>) -> (u16, Value) {
    ask_with(path, &HeaderMap::new(), peer, known)
}

fn ask_with(path: &str, headers: &HeaderMap, peer: &Peer, known: &Known<'_>) -> (u16, Value) {
    let reply = answer(&Method::GET, &path.parse().unwrap(), headers, peer, known);
    let code = reply.status().as_u16();
    let mut body = reply.into_body();
    let frame = futures::executor::block_on(http_body_util::BodyExt::frame(&mut body));
    let bytes = frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok()).unwrap_or_default();
    (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()))
}

fn proxy() -> Peer {
    Peer::Certified("front-proxy-client".into())
}

/// What the API server and autoscalers read. `UPDATE=1` rewrites the file.
#[test]
fn answers_are_written_as_kubernetes_writes_them() {
    let outcome = outcome();
    let known = known(Some(&outcome), &[], &[]);
    let beta1 = BASE.replace("v1beta2", "v1beta1");
    let external = "/apis/external.metrics.k8s.io/v1beta1";
    let paths = [
        "/apis".to_owned(),
        "/apis/custom.metrics.k8s.io".to_owned(),
        "/apis/custom.metrics.k8s.io/v1beta2".to_owned(),
        "/apis/custom.metrics.k8s.io/v1beta1".to_owned(),
        format!("{BASE}/gala/live_viewers"),
        format!("{BASE}/gala/viewer_demand?metricLabelSelector="),
        format!("{beta1}/gala/egress_bits_per_second"),
        format!("{BASE}/%2A/live_viewers"),
        format!("{BASE}/missing/live_viewers"),
        format!("{BASE}/dark/live_viewers"),
        format!("{BASE}/gala/cpu"),
        format!("{BASE}/gala/live_viewers?metricLabelSelector=a%3Db"),
        format!("{}/gala-edge-1/live_viewers", BASE.replace("liveevents.lectern.dev", "pods")),
        "/apis/custom.metrics.k8s.io/v1".to_owned(),
        "/openapi/v2".to_owned(),
        external.to_owned(),
        format!("{external}/namespaces/lectures/viewer_demand?{SELECTED}"),
        format!("{external}/namespaces/lectures/viewer_demand?labelSelector=app%3Dx"),
        format!("{external}/namespaces/other/viewer_demand?labelSelector=lectern.dev%2Fevent%3Ddark"),
    ];
    let mut text = String::new();
    for path in paths {
        let (code, body) = ask(&path, &proxy(), &known);
        text.push_str(&format!("GET {path}\n{code}\n{}\n\n", serde_json::to_string_pretty(&body).unwrap()));
    }
    let file = format!("{}/testdata/metrics-api.txt", env!("CARGO_MANIFEST_DIR"));
    lectern_golden::check(file, &text);
}

#[test]
fn nobody_but_the_front_proxy_gets_metrics_whatever_the_headers_say() {
    let outcome = outcome();
    let names = ["front-proxy-client".to_owned()];
    let known = known(Some(&outcome), &names, &[]);
    let mut forged = HeaderMap::new();
    forged.insert("x-remote-user", HeaderValue::from_static("system:kube-aggregator"));
    forged.insert("x-remote-group", HeaderValue::from_static("system:masters"));
    forged.insert("authorization", HeaderValue::from_static("Bearer something"));
    let other = Peer::Certified("someone".into());
    let nameless = Peer::Certified(String::new());
    for path in ["/apis", "/apis/custom.metrics.k8s.io/v1beta2", &format!("{BASE}/gala/live_viewers"), "/", "/metrics"]
    {
        assert_eq!(ask_with(path, &forged, &Peer::Anonymous, &known).0, 401, "{path}");
        assert_eq!(ask_with(path, &forged, &other, &known).0, 403, "{path}");
        assert_eq!(ask_with(path, &forged, &nameless, &known).0, 403, "{path}");
    }
    assert_eq!(ask(&format!("{BASE}/gala/live_viewers"), &proxy(), &known).0, 200);
    let post = answer(&Method::POST, &BASE.parse().unwrap(), &HeaderMap::new(), &proxy(), &known);
    assert_eq!(post.status(), 405);
}

#[test]
fn the_operators_token_opens_its_own_path_alone() {
    let outcome = outcome();
    let tokens = ["new".to_owned(), "old".to_owned()];
    let known = known(Some(&outcome), &[], &tokens);
    let bearer = |token: &str| -> HeaderMap {
        [(header::AUTHORIZATION, HeaderValue::from_str(token).unwrap())].into_iter().collect()
    };
    for (authorization, code) in
        [("Bearer new", 200), ("Bearer old", 200), ("Bearer ne", 401), ("Bearer ", 401), ("new", 401)]
    {
        let (got, body) = ask_with(audience::PATH, &bearer(authorization), &Peer::Anonymous, &known);
        assert_eq!(got, code, "{authorization}");
        assert_eq!(code == 200, body["events"]["lectures/gala"]["viewers"] == 1_000, "{authorization}");
    }
    // A certificate is no token.
    assert_eq!(ask(audience::PATH, &proxy(), &known).0, 401);
    assert_eq!(ask_with("/apis", &bearer("Bearer new"), &Peer::Anonymous, &known).0, 401);
    let round: Round =
        serde_json::from_value(ask_with(audience::PATH, &bearer("Bearer new"), &Peer::Anonymous, &known).1).unwrap();
    assert_eq!(round, outcome.round);
}

#[test]
fn an_old_round_is_not_told_and_probes_depend_on_no_event() {
    let outcome = outcome();
    let mut known = known(Some(&outcome), &[], &[]);
    known.now_ms = ENDED_MS + ROUND_AGE_MS_MAX + 1;
    let path = format!("{BASE}/gala/live_viewers");
    let (code, body) = ask(&path, &proxy(), &known);
    assert_eq!(code, 404);
    assert!(body["message"].as_str().unwrap().contains("have not been asked for a while"), "{body}");
    known.outcome = None;
    assert!(ask(&path, &proxy(), &known).1["message"].as_str().unwrap().contains("not asked yet"));
    assert_eq!(ask("/readyz", &Peer::Anonymous, &known), (200, "ok".into()));
    known.not_ready = Some("stopping");
    assert_eq!(ask("/readyz", &Peer::Anonymous, &known), (503, "stopping".into()));
    assert_eq!(ask("/healthz", &Peer::Anonymous, &known).0, 200);
}

#[test]
fn percent_encoding_is_undone_and_nonsense_is_not_found() {
    for (text, expected) in [("%2A", "*"), ("a%3Db", "a=b"), ("100%", "100%"), ("%zz", "%zz"), ("%e2%82%ac", "€")] {
        assert_eq!(decoded(text), expected);
    }
    let outcome = outcome();
    let known = known(Some(&outcome), &[], &[]);
    for path in ["/apis//x/", "/%ff/%00", &format!("{BASE}/a/b/c/d"), &format!("{BASE}/gala"), "/apis/apps/v1"] {
        assert_eq!(ask(path, &proxy(), &known).0, 404, "{path}");
    }
}
