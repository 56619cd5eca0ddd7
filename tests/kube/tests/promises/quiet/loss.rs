//! Pods die; the audience, or at least the encoder, hardly notices.

use crate::crowd::{Crowd, UNHARMED, UNSEEN};
use crate::event::{Event, LIMIT};
use crate::namespace::Namespace;
use crate::stage::{figure, quiet};
use crate::{encoder, web};
use e2e::media::Clip;
use lectern_testcluster::wait;
use serde_json::json;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// From the encoder's reconnect to a new listed segment.
const BACK: Duration = Duration::from_secs(10);

#[test]
fn a_viewer_does_not_notice_a_killed_edge() {
    let turn = quiet();
    let at = Namespace::new(&turn, "killed-edge");
    let event = Event::ready(&at, "kill", &["stage"], &json!({"edges": {"min": 3}}));
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let mut crowd = Crowd::start(&at, 300, UNSEEN, &["--hls", "40", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);

    // As the kernel does when memory is short: the container starts again in its pod.
    let victim = event.wait_for_edges(3).remove(0);
    turn.kill_container(&at.name, &victim.name).unwrap();
    let began = Instant::now();
    wait::until_true("the container to be Ready again", LIMIT, || {
        event.pods("edge").iter().any(|pod| pod.uid == victim.uid && pod.ready && pod.restarts == 1)
    })
    .unwrap();
    figure("edge killed to the same pod Ready", began.elapsed());

    // As when its node is reset: gone without a word, and another takes its place.
    let victim = event.wait_for_edges(3).remove(1);
    at.kubectl(&["delete", "pod", &victim.name, "--grace-period=0", "--force"]).unwrap();
    let began = Instant::now();
    wait::until_true("another edge", LIMIT, || {
        let edges = event.ready_edges();
        edges.len() == 3 && edges.iter().all(|pod| pod.uid != victim.uid)
    })
    .unwrap();
    figure("edge deleted to its replacement Ready", began.elapsed());
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, one edge killed, one deleted", report.summary());
}

#[test]
fn an_ingest_pod_dies_and_the_encoder_gets_back_in() {
    let turn = quiet();
    let at = Namespace::new(&turn, "killed-ingest");
    let event = Event::ready(&at, "back", &["stage"], &json!({}));
    let url = event.publish_url("stage", &event.key("stage"));
    let _encoder = encoder::persistent(&at, "encoder", Clip::Plain, &url);
    event.wait_until_playable("stage");
    let mut crowd = Crowd::start(&at, 300, UNHARMED, &["--hls", "20", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);
    for round in 1..=2 {
        // A container that ran for ten seconds has earned its restart without the kubelet's back-off.
        wait::until_true("the ingest to have run for a while", LIMIT, || ran_for(&event) >= Duration::from_secs(11))
            .unwrap();
        // A look that fails finds none, and every epoch would be a new one.
        let listed = || Ok(Some(epochs(&event)).filter(|epochs| !epochs.is_empty()));
        let before = wait::until("the epochs before", LIMIT, listed).unwrap();
        let victim = event.ingest();
        turn.kill_container(&at.name, &victim.name).unwrap();
        let killed = Instant::now();
        wait::until_true("a segment of a new epoch", LIMIT, || epochs(&event).iter().any(|e| !before.contains(e)))
            .unwrap();
        let back = since_reconnect(&event);
        figure(&format!("ingest killed ({round}) to playable"), killed.elapsed());
        figure(&format!("encoder back in ({round}) to playable"), back);
        assert!(back <= BACK, "{back:?}");
    }
    let report = crowd.finish();
    report.must_hold();
    assert!(report.number("hls", "discontinuities") >= 1, "{}", report.summary());
    figure("crowd, ingest killed twice", report.summary());
}

/// The epochs of the listed segments: `PROFILE-EPOCH-MSN.ts`.
fn epochs(event: &Event<'_>) -> Vec<String> {
    let list = event.playlist("stage").unwrap_or_default();
    web::uris(&list).iter().filter_map(|uri| uri.split('-').nth(1)).map(str::to_owned).collect()
}

/// How long ago the ingest let its publisher in.
fn since_reconnect(event: &Event<'_>) -> Duration {
    let status = event.pods("ingest").iter().find_map(|pod| event.status_of(pod)).expect("the ingest answers");
    let since = status["ingest"]["streams"]["stage"]["sinceMs"].as_u64().expect("an encoder publishes");
    SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_millis(since)).unwrap_or_default()
}

/// How long the ingest's container has run; the API server tells whole seconds.
fn ran_for(event: &Event<'_>) -> Duration {
    let path = "--output=jsonpath={.items[*].status.containerStatuses[0].state.running.startedAt}";
    let selector = format!("--selector=lectern.dev/event={},lectern.dev/role=ingest", event.name);
    let started = event.at.kubectl(&["get", "pods", &selector, path]).unwrap_or_default();
    let mut date = std::process::Command::new("date");
    let Ok(seconds) = date.args(["+%s", "--date", &started]).output() else { return Duration::ZERO };
    let seconds = String::from_utf8_lossy(&seconds.stdout).trim().parse().unwrap_or(u64::MAX);
    let started = UNIX_EPOCH + Duration::from_secs(if started.is_empty() { u64::from(u32::MAX) } else { seconds });
    SystemTime::now().duration_since(started).unwrap_or_default()
}
