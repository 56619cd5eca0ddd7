//! Edges follow a crowd that loads the machine.

use crate::crowd::{Crowd, UNHARMED, UNNOTICED};
use crate::encoder;
use crate::event::{Event, LIMIT, Pod};
use crate::namespace::Namespace;
use crate::stage::{figure, rough};
use e2e::media::Clip;
use lectern_testcluster::wait;
use serde_json::json;
use std::time::{Duration, Instant};

/// From the step of a crowd to the first new Ready edge.
const FIRST_EDGE: Duration = Duration::from_secs(15);
/// The longest that one in a hundred may wait for a picture, in milliseconds.
const PICTURE_P99_MS: u64 = 10_000;

/// How large the crowd gets: 3,000 needs a core for itself.
fn crowd_size() -> (&'static str, &'static str) {
    if std::env::var("LONG").is_ok_and(|long| long == "1") { ("200", "2800") } else { ("100", "900") }
}

#[test]
fn edges_follow_a_flash_crowd_without_one_error() {
    let turn = rough();
    let at = Namespace::new(&turn, "flash");
    let sized = json!({"edges": {"min": 2, "max": 24, "viewersPerEdge": 150}});
    let event = Event::ready(&at, "flash", &["stage"], &sized);
    let _encoder = encoder::once(&at, "encoder", Clip::Thin, &event.publish_url("stage", &event.key("stage")));
    event.wait_until_playable("stage");
    let (few, many) = crowd_size();
    let page = event.page("stage");
    let mut early = Crowd::named(&at, "early", 300, UNNOTICED, &["--hls", few, "--ramp", "5s", &page]);
    early.wait_until_all_watch(LIMIT);
    let before = event.wait_for_edges(2);

    let mut late = Crowd::named(&at, "late", 300, UNHARMED, &["--hls", many, "--ramp", "20s", &page]);
    let step = Instant::now();
    let new = |pod: &Pod| before.iter().all(|known| known.uid != pod.uid);
    wait::until_true("a new edge", LIMIT, || event.ready_edges().iter().any(new)).unwrap();
    let first = step.elapsed();
    figure("step of the crowd to the first new Ready edge", first);
    late.wait_until_all_watch(LIMIT);
    figure("step of the crowd to everybody watching", step.elapsed());
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
