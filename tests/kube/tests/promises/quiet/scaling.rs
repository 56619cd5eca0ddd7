//! Edges follow the audience: what can be shown beside others.

use crate::crowd::{Crowd, UNNOTICED};
use crate::event::{Event, LIMIT, Pod};
use crate::namespace::Namespace;
use crate::stage::{figure, quiet};
use crate::{encoder, web};
use e2e::media::Clip;
use lectern_testcluster::wait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How far a count of viewers at rest may be off, in per cent.
const COUNT_ERROR_PERCENT: u64 = 5;
/// From the address of an edge to its live link.
const WIRED: Duration = Duration::from_secs(2);

/// A metric of an event through the aggregator, as the autoscaler asks for it. In units.
fn metric(at: &Namespace<'_>, event: &str, name: &str, version: &str) -> anyhow::Result<f64> {
    let path =
        format!("/apis/custom.metrics.k8s.io/{version}/namespaces/{}/liveevents.lectern.dev/{event}/{name}", at.name);
    let answer: Value = serde_json::from_str(&at.cluster.kubectl(&["get", "--raw", &path])?)?;
    quantity(answer["items"][0]["value"].as_str().unwrap_or_default())
}

/// A quantity as Kubernetes writes it: `12`, `1500m`, `3k`.
fn quantity(text: &str) -> anyhow::Result<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "m" => 0.001,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        other => anyhow::bail!("{text}: unknown suffix {other}"),
    };
    Ok(digits.parse::<f64>()? * factor)
}

#[test]
fn the_hpa_reads_live_viewers() {
    let turn = quiet();
    let at = Namespace::new(&turn, "counted");
    // Forty viewers at ten an edge: four edges.
    let sized = json!({"edges": {"min": 1, "max": 6, "viewersPerEdge": 20, "targetUtilizationPercent": 50}});
    let event = Event::ready(&at, "count", &["stage"], &sized);
    let _encoder = encoder::once(&at, "encoder", Clip::Thin, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let rtmp = format!("rtmp://{}:1935/live/stage", event.service("edge-rtmp"));
    let flv = event.page("stage").replace("/index.m3u8", ".flv");
    let arguments = ["--hls", "30", "--flv", "5", "--rtmp", "5", "--ramp", "20s", &event.page("stage"), &flv, &rtmp];
    let mut crowd = Crowd::start(&at, 300, "no-errors,all-joined", &arguments);
    crowd.wait_until_all_watch(LIMIT);
    let right = |viewers: f64| (viewers - 40.0).abs() * 100.0 <= 40.0 * COUNT_ERROR_PERCENT as f64;
    let began = Instant::now();
    let mut last = 0.0;
    wait::until_true("forty viewers to be counted", LIMIT, || {
        last = metric(&at, "count", "live_viewers", "v1beta2").unwrap_or_default();
        right(last)
    })
    .unwrap_or_else(|error| panic!("{error:#}: {last}"));
    figure("all forty watch to counted within 5 %", began.elapsed());
    // More for a while, if they came faster than four edges could have been there.
    wait::until_true("as many edges as they need", LIMIT, || event.ready_edges().len() >= 4).unwrap();
    for version in ["v1beta1", "v1beta2"] {
        let demand = metric(&at, "count", "viewer_demand", version).unwrap();
        assert!(demand >= last * 0.95, "{version}: {demand}");
    }
    // For a while nothing moves: neither the count nor the edges.
    let rest = Instant::now();
    let mut counts = Vec::new();
    wait::until_true("ten seconds of rest", LIMIT, || {
        counts.push(metric(&at, "count", "live_viewers", "v1beta2").unwrap_or_default());
        rest.elapsed() > Duration::from_secs(10)
    })
    .unwrap();
    assert!(counts.iter().all(|count| right(*count)), "{counts:?}");
    eprintln!("{}{}", at.kubectl(&["get", "hpa"]).unwrap(), at.kubectl(&["get", "le"]).unwrap());
    let message = event.wait_for_reason("AutoscalingActive", "True", "Following");
    assert!(message.contains("and 6 edges"), "{message}");
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, one edge to four", report.summary());
}

#[test]
fn forged_headers_get_nothing_from_the_metrics_api() {
    let turn = quiet();
    let at = Namespace::new(&turn, "forged");
    let _event = Event::ready(&at, "secret", &["stage"], &json!({}));
    let path = r#"--output=jsonpath={range .items[*]}{.status.podIP}{"\n"}{end}"#;
    let selector = "--selector=app.kubernetes.io/component=metrics";
    let listed = turn.kubectl(&["--namespace=lectern-system", "get", "pods", selector, path]).unwrap();
    let question = format!(
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/{}/liveevents.lectern.dev/secret/live_viewers",
        at.name
    );
    let (key, certificate) = (at.folder().join("own.key"), at.folder().join("own.crt"));
    let made = lectern_testcluster::certs::self_signed_client("system:auth-proxy").unwrap();
    std::fs::write(&certificate, made.0).unwrap();
    std::fs::write(&key, made.1).unwrap();
    let (key, certificate) = (key.to_string_lossy(), certificate.to_string_lossy());
    let forged =
        ["--insecure", "--header", "X-Remote-User: system:admin", "--header", "X-Remote-Group: system:masters"];
    let mut asked = 0;
    for ip in listed.lines().filter(|ip| !ip.is_empty()) {
        let url = |path: &str| format!("https://{ip}:8443{path}");
        let without = web::get_with(&turn, &url(&question), &forged);
        assert_eq!(without.status, 401, "without a certificate: {}", without.text());
        let own = [&forged[..], &["--cert", &certificate, "--key", &key]].concat();
        let with = web::get_with(&turn, &url(&question), &own);
        assert!(!with.is_ok(), "with a certificate that no authority signed: {}", with.text());
        assert!(!with.text().contains("live_viewers"), "{}", with.text());
        assert!(web::get_with(&turn, &url("/readyz"), &["--insecure"]).is_ok(), "the kubelet may ask how it is");
        asked += 1;
    }
    assert_eq!(asked, 2);
    // Through the API server those with the right get an answer, others do not.
    let stranger = ["get", "--raw", &question, "--as", "system:serviceaccount:default:default"];
    assert!(turn.kubectl(&stranger).unwrap_err().to_string().contains("forbidden"));
}

#[test]
fn capacity_is_there_before_the_session_starts() {
    let turn = quiet();
    let at = Namespace::new(&turn, "timetable");
    let event = Event::ready(&at, "early", &["stage"], &json!({"edges": {"min": 1, "max": 6}}));
    event.wait_for_edges(1);
    // It starts in a minute and three quarters; people are expected ninety seconds before.
    let start_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 105;
    let date = |seconds: u64| {
        let mut date = std::process::Command::new("date");
        let said = date.args(["--utc", "--date", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    let window =
        json!({"name": "nine", "start": date(start_s), "end": date(start_s + 3_600), "prewarm": "90s", "min": 4});
    event.patch(&json!({"schedule": [window]}));
    let next = wait::until("the status to say what comes", LIMIT, || {
        let next = event.get()?["status"]["nextScheduledScale"].clone();
        Ok(next["min"].is_u64().then_some(next))
    })
    .unwrap();
    assert!(next["min"] == 4 && next["window"] == "nine", "{next}");
    event.wait_for_edges(4);
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let ahead = start_s.saturating_sub(now_s);
    figure("seconds before its start at which the window was full (prewarm 90)", ahead);
    assert!(ahead >= 60, "{ahead} s before the start");
}

#[test]
fn a_full_edge_refuses_politely_and_is_relieved() {
    let turn = quiet();
    let at = Namespace::new(&turn, "full");
    let sized = json!({"edges": {"min": 1, "max": 4, "viewersPerEdge": 20}});
    let event = Event::ready(&at, "full", &["stage"], &sized);
    let _encoder = encoder::once(&at, "encoder", Clip::Thin, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let first = event.wait_for_edges(1).remove(0);
    let began = Instant::now();
    let mut crowd = Crowd::start(&at, 300, UNNOTICED, &["--hls", "45", "--ramp", "4s", &event.page("stage")]);
    let refusal = wait::until("the edge to be full", LIMIT, || {
        let answer = web::get(&turn, &format!("http://{}:8080/live/stage/index.m3u8", first.ip));
        Ok((answer.status == 503).then_some(answer))
    })
    .unwrap();
    for header in ["retry-after: 1", "connection: close", "cache-control: no-store"] {
        assert!(refusal.headers.contains(header), "{header}: {}", refusal.headers);
    }
    let inside = web::get(&turn, &format!("http://{}:8080/live/stage/media.m3u8", first.ip));
    assert!(inside.is_ok(), "viewers go on watching");
    assert!(event.pods("edge").iter().any(|pod| pod.uid == first.uid && pod.ready), "a full edge stays Ready");
    crowd.wait_until_all_watch(LIMIT);
    figure("45 viewers at an edge for 20: all watch after", began.elapsed());
    let report = crowd.finish();
    report.must_hold();
    assert!(report.number("hls", "refusals") > 0, "{}", report.summary());
    figure("refused once or more", report.number("hls", "refusals"));
    figure("first picture p50, p99 in ms", ["p50", "p99"].map(|p| report.percentile("hls", "firstPictureMs", p)));
    assert!(event.ready_edges().len() >= 3, "{:?}", event.ready_edges());
}

#[test]
fn the_ingest_wires_ten_new_edges_at_once() {
    let turn = quiet();
    let at = Namespace::new(&turn, "ten");
    let event = Event::ready(&at, "ten", &["stage"], &json!({"edges": {"min": 2, "max": 16}}));
    let _encoder = encoder::once(&at, "encoder", Clip::Thin, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let known = event.wait_for_edges(2);
    event.patch(&json!({"edges": {"min": 12}}));
    let took = wire(&event, &known, 10);
    figure("ten new edges: address seen to live link seen, slowest", took.iter().max());
    assert!(took.iter().all(|time| *time <= WIRED), "{took:?}");
    event.wait_for_edges(12);
    event.wait_until_playable("stage");
}

/// Waits until `count` edges that are not `known` have a live link, and answers how long each took from the moment its
/// address was seen.
fn wire(event: &Event<'_>, known: &[Pod], count: usize) -> Vec<Duration> {
    let ingest = event.ingest();
    let mut since: BTreeMap<String, (Instant, Option<Duration>)> = BTreeMap::new();
    wait::until_true("all new edges to be wired", LIMIT, || {
        let new = |pod: &Pod| !pod.ip.is_empty() && known.iter().all(|k| k.uid != pod.uid);
        for pod in event.pods("edge").into_iter().filter(new) {
            since.entry(format!("{}:1936", pod.ip)).or_insert((Instant::now(), None));
        }
        let status = event.status_of(&ingest).unwrap_or_default();
        let relays = status["ingest"]["relays"].as_array().cloned().unwrap_or_default();
        for relay in relays.iter().filter(|relay| relay["streams"]["stage"] == Value::Bool(true)) {
            if let Some((began, took @ None)) = since.get_mut(relay["peer"].as_str().unwrap_or_default()) {
                *took = Some(began.elapsed());
            }
        }
        since.values().filter(|(_, took)| took.is_some()).count() >= count
    })
    .unwrap();
    since.into_values().filter_map(|(_, took)| took).collect()
}

#[test]
fn a_new_edge_is_wired_within_two_seconds() {
    let turn = quiet();
    let at = Namespace::new(&turn, "wired");
    let event = Event::ready(&at, "wire", &["stage"], &json!({"edges": {"min": 2, "max": 8}}));
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let known = event.wait_for_edges(2);
    event.patch(&json!({"edges": {"min": 4}}));
    let took = wire(&event, &known, 2);
    figure("address of a new edge seen to its live link seen", &took);
    assert!(took.iter().all(|time| *time <= WIRED), "{took:?}");
}
