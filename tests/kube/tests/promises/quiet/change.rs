//! Events are changed while people watch.

use crate::crowd::{Crowd, UNNOTICED};
use crate::event::{Event, LIMIT};
use crate::namespace::Namespace;
use crate::stage::{figure, quiet};
use crate::{encoder, web};
use e2e::media::Clip;
use lectern_testcluster::wait;
use serde_json::json;
use std::time::{Duration, Instant};

/// From `kubectl apply` of another stream to the ingest taking it.
const ADDED: Duration = Duration::from_secs(5);

#[test]
fn a_changed_edge_size_rolls_without_a_viewer_noticing() {
    let turn = quiet();
    let at = Namespace::new(&turn, "resized");
    let event = Event::ready(&at, "roll", &["stage"], &json!({"edges": {"min": 3, "drain": "15s"}}));
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let before = event.wait_for_edges(3);
    let ingest = event.ingest();
    let mut crowd = Crowd::start(&at, 300, UNNOTICED, &["--hls", "40", &event.page("stage")]);
    crowd.wait_until_all_watch(LIMIT);

    event.patch(&json!({"edges": {"viewersPerEdge": 700, "resources": {"requests": {"memory": "48Mi"}}}}));
    let began = Instant::now();
    let (mut fewest, mut then) = (usize::MAX, None);
    wait::until_true("all edges to be new ones", LIMIT * 2, || {
        let all = event.pods("edge");
        let serving: Vec<_> = all.iter().filter(|pod| pod.serves()).collect();
        let new = serving.iter().all(|pod| before.iter().all(|old| old.uid != pod.uid));
        let done = serving.len() == 3 && new;
        if serving.len() < fewest {
            (fewest, then) = (serving.len(), Some((began.elapsed(), all)));
        }
        done
    })
    .unwrap();
    figure("three edges rolled (drain 15 s)", began.elapsed());
    assert!(fewest >= 3, "never fewer than wanted: {fewest}; after so long there were these: {then:#?}");
    event.wait_for_edges(3);
    assert_eq!(event.ingest().uid, ingest.uid, "the ingest has nothing to do with it");
    let report = crowd.finish();
    report.must_hold();
    figure("crowd, all edges rolled", report.summary());
}

#[test]
fn a_stream_is_added_while_another_is_live() {
    let turn = quiet();
    let at = Namespace::new(&turn, "added");
    let event = Event::ready(&at, "grow", &["hall-a"], &json!({}));
    let _first = encoder::once(&at, "hall-a", Clip::Plain, &event.publish_url("hall-a", &event.key("hall-a")));
    event.wait_until_playable("hall-a");
    let (ingest, edges) = (event.ingest(), event.wait_for_edges(2));
    let mut crowd = Crowd::start(&at, 300, UNNOTICED, &["--hls", "20", &event.page("hall-a")]);
    crowd.wait_until_all_watch(LIMIT);

    event.patch(&json!({"streams": [{"name": "hall-a"}, {"name": "hall-b"}]}));
    let began = Instant::now();
    wait::until_true("the ingest to know the stream", LIMIT, || {
        let status = event.status_of(&ingest).unwrap_or_default();
        status["ingest"]["keys"]["hall-b"].as_u64().is_some_and(|keys| keys > 0)
    })
    .unwrap();
    let took = began.elapsed();
    figure("stream added to the ingest taking it", took);
    assert!(took <= ADDED, "{took:?}");
    let second = encoder::once(&at, "hall-b", Clip::Plain, &event.publish_url("hall-b", &event.key("hall-b")));
    event.wait_until_playable("hall-b");
    event.wait_until("Live", LIMIT, |_, _, message| message.contains("hall-b"));

    // And taken away again: viewers of the other one do not notice.
    drop(second);
    event.patch(&json!({"streams": [{"name": "hall-a"}]}));
    wait::until_true("the removed stream to be gone", LIMIT, || web::get(&turn, &event.page("hall-b")).status == 404)
        .unwrap();
    assert_eq!((event.ingest(), event.wait_for_edges(2)), (ingest, edges), "the same pods, not restarted");
    let report = crowd.finish();
    report.must_hold();
    assert_eq!(report.number("hls", "discontinuities"), 0);
    figure("crowd of hall-a, hall-b came and went", report.summary());
}
