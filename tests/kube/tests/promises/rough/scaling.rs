//! Edges follow a crowd that loads the machine, and what happens when no metric says how large it is.

use super::Afterwards;
use crate::crowd::{Crowd, UNHARMED, UNNOTICED};
use crate::event::{Event, LIMIT, Pod};
use crate::namespace::Namespace;
use crate::stage::{Turn, figure, rough};
use crate::{encoder, web};
use e2e::media::Clip;
use lectern_testcluster::{Options, install, wait};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// From the step of a crowd to the first new Ready edge.
const FIRST_EDGE: Duration = Duration::from_secs(15);
/// The longest that one in a hundred may wait for a picture, in milliseconds.
const PICTURE_P99_MS: u64 = 10_000;
/// How long an autoscaler without numbers is watched: five times its period, and the longest that the cluster of the
/// tests remembers a higher wish.
const HOLD: Duration = Duration::from_secs(20);

/// How large the crowd gets: 3,000 needs a core for itself.
fn crowd_size() -> (&'static str, &'static str) {
    if std::env::var("LONG").is_ok_and(|long| long == "1") { ("200", "2800") } else { ("100", "900") }
}

#[test]
fn edges_follow_a_flash_crowd_without_one_error() {
    let turn = rough();
    // As on a cluster whose controller manager was given no flags: its autoscaler looks every 15 s.
    let _back = Afterwards(|| turn.restart_controllers(&Options::default()).expect("they start"));
    turn.restart_controllers(&Options::default().with_kubernetes_periods()).unwrap();
    let at = Namespace::new(&turn, "flash");
    let sized = json!({"edges": {"min": 2, "max": 24, "viewersPerEdge": 150}});
    let event = Event::ready(&at, "flash", &["stage"], &sized);
    let _encoder = encoder::once(&at, "encoder", Clip::Thin, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let (few, many) = crowd_size();
    let page = event.page("stage");
    let mut early = Crowd::named(&at, "early", 300, UNNOTICED, &["--hls", few, "--ramp", "20s", &page]);
    early.wait_until_all_watch(LIMIT);
    let before = settled(&event);
    figure("edges before the step", before.len());

    let late = Crowd::named(&at, "late", 300, UNHARMED, &["--hls", many, "--ramp", "20s", &page]);
    let step = Instant::now();
    let first = watch_the_rush(&event, &before, &late, step);
    figure("step of the crowd to the first new Ready edge", first);
    figure("step of the crowd to all watching", step.elapsed());
    figure("edges then", event.ready_edges().len());
    let (early, late) = (early.finish(), late.finish());
    early.must_hold();
    late.must_hold();
    figure("who was there before", early.summary());
    figure("who came", late.summary());
    figure("joins refused", late.number("hls", "refusals"));
    let pictures = ["p50", "p90", "p99"].map(|which| late.percentile("hls", "firstPictureMs", which));
    figure("first picture p50, p90, p99 in ms", pictures);
    assert!(first <= FIRST_EDGE, "{first:?}");
    assert!(pictures[2] <= PICTURE_P99_MS, "{pictures:?}");
}

/// How many edges the autoscaler has asked for.
fn wanted(event: &Event<'_>) -> anyhow::Result<usize> {
    let name = format!("{}-edge", event.name);
    Ok(event.at.kubectl(&["get", "deployment", &name, "--output=jsonpath={.spec.replicas}"])?.parse()?)
}

/// The edges, once all that are wanted are there and none leaves.
fn settled(event: &Event<'_>) -> Vec<Pod> {
    wait::until("the edges to settle", LIMIT, || {
        let edges = event.pods("edge");
        let ready = edges.iter().filter(|pod| pod.serves()).count();
        Ok((ready == edges.len() && ready == wanted(event)?).then_some(edges))
    })
    .unwrap()
}

/// Waits until all viewers watch, prints a line every second, and answers when the first edge came that was not there
/// `before`.
fn watch_the_rush(event: &Event<'_>, before: &[Pod], crowd: &Crowd, step: Instant) -> Duration {
    let new = |pod: &Pod| before.iter().all(|known| known.uid != pod.uid);
    let (mut first, mut said) = (None, None);
    wait::until_true("all viewers to watch", LIMIT, || {
        let edges = event.ready_edges();
        if first.is_none() && edges.iter().any(new) {
            first = Some(step.elapsed());
        }
        let second = step.elapsed().as_secs();
        if said.replace(second) != Some(second) {
            eprintln!(
                "TIMELINE {second:3} s: {:?} edges wanted, {} ready; crowd {}",
                wanted(event).ok(),
                edges.len(),
                crowd.says()
            );
        }
        first.is_some() && crowd.all_watch()
    })
    .unwrap();
    first.expect("an edge came")
}

fn scale_metrics(turn: &Turn, replicas: &str) {
    let scale = ["--namespace=lectern-system", "scale", "deployment", "lectern-metrics", "--replicas", replicas];
    turn.kubectl(&scale).unwrap();
    turn.kubectl(&["--namespace=lectern-system", "rollout", "status", "deployment/lectern-metrics", "--timeout=120s"])
        .unwrap();
}

#[test]
fn metrics_gone_means_hold_not_shrink() {
    let turn = rough();
    let at = Namespace::new(&turn, "gone");
    let sized = json!({"edges": {"min": 1, "max": 4, "viewersPerEdge": 20, "targetUtilizationPercent": 50}});
    let event = Event::ready(&at, "hold", &["stage"], &sized);
    let _encoder = encoder::once(&at, "encoder", Clip::Thin, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let mut crowd = Crowd::start(&at, 300, UNHARMED, &["--hls", "28", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);
    // More than the three they need, if they came fast.
    wait::until_true("as many edges as they need", LIMIT, || event.ready_edges().len() >= 3).unwrap();

    let back = Afterwards(|| scale_metrics(&turn, "2"));
    scale_metrics(&turn, "0");
    let message = event.wait_for_reason("AutoscalingActive", "False", "NoMetrics");
    assert!(message.contains("does not change"), "it says what happens: {message}");
    let staying = || event.pods("edge").iter().filter(|pod| !pod.ending).count();
    let held = |what: &str, least: usize| {
        let began = Instant::now();
        wait::until_true(what, HOLD * 2, || {
            let edges = staying();
            assert!(edges >= least, "{edges} edges, not {least}, after {:?}", began.elapsed());
            began.elapsed() > HOLD
        })
        .unwrap();
    };
    held("the edges to hold without numbers", staying());
    drop(back);
    let began = Instant::now();
    event.wait_for_reason("AutoscalingActive", "True", "Following");
    figure("metrics-api back to Following", began.elapsed());
    held("the edges to hold once there are numbers again", 3);
    crowd.finish().must_hold();
}

#[test]
fn a_foreign_metrics_api_is_reported_and_the_operator_backend_takes_over_when_told() {
    let turn = rough();
    let at = Namespace::new(&turn, "foreign-api");
    let back = Afterwards(|| {
        let _ =
            turn.kubectl(&["delete", "apiservice", "v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"]);
        install::helm_upgrade(&turn, &[]).expect("the chart goes back");
    });
    // Another server owns the API: it answers, but knows nothing of our events.
    install::helm_upgrade(&turn, &["--set", "autoscaling.apiServices.create=false"]).unwrap();
    for (version, priority) in [("v1beta1", 100), ("v1beta2", 200)] {
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("{version}.custom.metrics.k8s.io")},
            "spec": {
                "group": "custom.metrics.k8s.io", "version": version, "groupPriorityMinimum": 100,
                "versionPriority": priority, "insecureSkipTLSVerify": true,
                "service": {"name": "another-adapter", "namespace": at.name},
            },
        });
        turn.apply(&service.to_string()).unwrap();
    }
    let sized = json!({"edges": {"min": 1, "max": 4, "viewersPerEdge": 20, "targetUtilizationPercent": 50}});
    let event = Event::ready(&at, "told", &["stage"], &sized);
    // Until it has looked again it may still say that the API has no backend.
    let (reason, message) = event.wait_until("AutoscalingActive", LIMIT, |status, _, said| {
        status == "False" && said.contains("another-adapter")
    });
    assert_eq!(reason, "NoMetrics");
    assert!(message.contains("operator"), "what to do: {message}");

    install::helm_upgrade(&turn, &["--set", "autoscaling.backend=operator"]).unwrap();
    let began = Instant::now();
    let following = event.wait_until("AutoscalingActive", LIMIT, |status, _, _| status == "True");
    figure("backend operator to Following", (began.elapsed(), following));
    let scalers = || at.kubectl(&["get", "horizontalpodautoscalers", "--output=name"]);
    wait::until_true("the autoscaler to be gone", LIMIT, || scalers().is_ok_and(|left| left.is_empty())).unwrap();
    let _encoder = encoder::once(&at, "encoder", Clip::Thin, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let mut crowd = Crowd::start(&at, 300, UNHARMED, &["--hls", "28", &event.page("stage")]);
    let began = Instant::now();
    wait::until_true("as many edges as they need", LIMIT, || event.ready_edges().len() >= 3).unwrap();
    figure("28 viewers to three edges by the operator itself", began.elapsed());
    crowd.wait_until_all_watch(LIMIT);
    crowd.finish().must_hold();
    let status: Value = event.get().unwrap()["status"]["edges"].clone();
    assert!(status["viewers"].as_u64().is_some(), "{status}");
    // An edge that was full a moment ago refuses newcomers until it has counted again.
    wait::until_true("the page to open", LIMIT, || web::get(&turn, &event.page("stage")).is_ok()).unwrap();
    drop(back);
}
