//! What happens when a crowd has gone. It takes minutes, most of them waiting: edges stay for those who may come back.

use crate::crowd::{Crowd, UNHARMED, UNNOTICED};
use crate::encoder;
use crate::event::{Event, LIMIT};
use crate::namespace::Namespace;
use crate::stage::{figure, quiet};
use e2e::media::Clip;
use lectern_testcluster::wait;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a smaller crowd may take to have fewer edges: what was wished for in the last five minutes counts.
const LEAVE_LIMIT: Duration = Duration::from_secs(420);

#[test]
fn edges_leave_emptiest_first_and_nobody_notices() {
    let turn = quiet();
    let at = Namespace::new(&turn, "leave");
    let sized =
        json!({"edges": {"min": 2, "max": 4, "viewersPerEdge": 20, "targetUtilizationPercent": 50, "drain": "15s"}});
    let event = Event::ready(&at, "leave", &["stage"], &sized);
    let _encoder = encoder::once(&at, "encoder", Clip::Thin, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let crowd = Crowd::named(&at, "crowd", 300, UNHARMED, &["--hls", "38", &event.page("stage")]);
    let edges = event.wait_for_edges(4);

    // Those who stay keep one connection each: six on each of three edges, none on the fourth.
    let empty = &edges[2];
    let urls: Vec<_> = edges
        .iter()
        .filter(|pod| pod.uid != empty.uid)
        .map(|pod| format!("http://{}:8080/live/stage.flv", pod.ip))
        .collect();
    let mut arguments = vec!["--flv", "18", "--spread", "viewer"];
    arguments.extend(urls.iter().map(String::as_str));
    let mut stay = Crowd::named(&at, "stay", 600, "no-errors,no-retries,all-joined", &arguments);
    stay.wait_until_all_watch(LIMIT);
    let viewers = Crowd::named(&at, "hls", 600, UNNOTICED, &["--hls", "8", &event.page("stage")]);
    crowd.finish().must_hold();
    let began = Instant::now();
    let went = wait::until("an edge to go", LEAVE_LIMIT, || Ok(event.pods("edge").into_iter().find(|pod| pod.ending)))
        .unwrap();
    figure("crowd gone to the first edge told to go", began.elapsed());
    assert_eq!(went.uid, empty.uid, "the emptiest goes first: {went:?}, not {empty:?}");
    wait::until_true("three edges", LIMIT, || event.pods("edge").len() == 3).unwrap();
    let (stay, viewers) = (stay.finish(), viewers.finish());
    stay.must_hold();
    viewers.must_hold();
    figure("who stayed, by HTTP-FLV", stay.summary());
    figure("who stayed, by HLS", viewers.summary());
}
