//! Every edge answers every URL with the same bytes.

use crate::crowd::{Crowd, UNNOTICED};
use crate::event::{Event, LIMIT, Pod};
use crate::namespace::Namespace;
use crate::stage::{figure, quiet};
use crate::{encoder, web};
use e2e::media::Clip;
use lectern_testcluster::{Cluster, wait};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[test]
fn every_edge_serves_the_same_bytes() {
    let turn = quiet();
    let at = Namespace::new(&turn, "bytes");
    let event = Event::ready(&at, "same", &["stage"], &json!({"edges": {"min": 3, "max": 8}}));
    let _encoder = encoder::once(&at, "encoder", Clip::BFrames, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let edges = event.wait_for_edges(3);
    assert!(edges.iter().map(|pod| &pod.node).collect::<BTreeSet<_>>().len() == 2, "spread over both nodes: {edges:?}");
    let segments = compare(&turn, &edges, "stage");

    // One that joins late has what was there before it.
    event.patch(&json!({"edges": {"min": 4}}));
    let more = event.wait_for_edges(4);
    let compared = compare(&turn, &more, "stage");
    figure("segments compared on 3, then on 4 edges", (segments, compared));

    // Viewers that ask another edge at every request, through the Service and directly, compare all they get.
    let mut urls: Vec<_> = more.iter().map(|pod| format!("http://{}:8080/live/stage/index.m3u8", pod.ip)).collect();
    urls.push(event.page("stage"));
    let mut arguments = vec!["--hls", "20", "--spread", "request", "--hash", "always"];
    arguments.extend(urls.iter().map(String::as_str));
    let report = Crowd::start(&at, 15, UNNOTICED, &arguments).wait(Duration::from_secs(15));
    report.must_hold();
    figure("crowd over all edges", report.summary());
}

/// Fails unless all edges list and hold the same. Answers how many segments were compared.
fn compare(cluster: &Cluster, edges: &[Pod], stream: &str) -> usize {
    let url = |pod: &Pod, file: &str| format!("http://{}:8080/live/{stream}/{file}", pod.ip);
    // Edges list a segment within milliseconds of each other: soon all are asked between two segments.
    let list = wait::until("all edges to be at the same position", LIMIT, || {
        let texts: BTreeSet<String> =
            edges.iter().map(|pod| web::get(cluster, &url(pod, "media.m3u8")).text()).collect();
        let mut by_position: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
        for text in &texts {
            let last = web::uris(text).last().map(|last| (*last).to_owned()).unwrap_or_default();
            by_position.entry(last).or_default().insert(text);
        }
        for (position, different) in &by_position {
            assert_eq!(different.len(), 1, "edges disagree about the list that ends with {position}: {different:#?}");
        }
        Ok((texts.len() == 1).then(|| texts.into_iter().next().unwrap_or_default()))
    })
    .unwrap();
    let segments = web::uris(&list);
    assert!(segments.len() >= 4, "{list}");
    for segment in &segments {
        let hash = |pod: &Pod| {
            let answer = web::get(cluster, &url(pod, segment));
            assert!(answer.is_ok() && !answer.body.is_empty(), "{segment} at {}: {}", pod.name, answer.status);
            Sha256::digest(&answer.body).to_vec()
        };
        let hashes: BTreeSet<_> = edges.iter().map(hash).collect();
        assert_eq!(hashes.len(), 1, "{segment} differs between edges");
    }
    segments.len()
}
