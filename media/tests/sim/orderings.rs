//! Every ordering of failures that was thought of, over virtual time: in each, all Ready edges end up saying the
//! same bytes, names keep their bytes, and numbers have no holes (`check.rs`).

use crate::check::discontinuities;
use crate::world::World;
use bytes::Bytes;
use lectern_media::ledger::Life;
use lectern_media::live::edge::LiveItem;

/// Longest time in which a fleet has to agree again after a fault.
const SETTLE_MS: u64 = 15_000;

/// A world that has been live for `ms`.
pub fn live(ingests: usize, edges: usize, ms: u64) -> World {
    let mut world = World::new(7, ingests, edges);
    world.encoder.connect_ms = Some(world.now_ms + 500);
    world.run_until("live", 10_000, |w| w.last(0) > 0 && w.agree());
    world.run(ms);
    world
}

pub fn agreed(world: &mut World) {
    world.run_until("all edges agree", SETTLE_MS, World::agree);
}

/// Runs on until edge 0 lists `more` segments beyond what it lists now, and all agree.
pub fn goes_on(world: &mut World, more: u64) {
    let last = world.last(0);
    world.run_until("more segments", 2_500 * more + SETTLE_MS, |w| w.last(0) >= last + more && w.agree());
}

/// Runs until edge `ahead` lists a segment that edge `behind` does not.
fn until_ahead(world: &mut World, ahead: usize, behind: usize) {
    world.run_until("one edge ahead", 10_000, |w| w.last(ahead) > w.last(behind));
}

#[test]
fn a_session_is_the_same_at_every_edge() {
    let mut world = live(1, 3, 60_000);
    agreed(&mut world);
    assert_eq!(discontinuities(&world.view(0).ledger), 0);
    assert!(world.view(0).ledger.listed().len() >= 4);
    assert_eq!(world.checks.backwards, 0);
}

#[test]
fn the_ingest_is_killed_between_the_marks_to_a_and_to_b() {
    let mut world = live(1, 2, 9_000);
    world.latency_ms = (1, 60);
    until_ahead(&mut world, 0, 1);
    let last = world.last(0);
    world.kill_ingest(0);
    world.start_ingest(0);
    world.run_until("b has what a listed", SETTLE_MS, |w| w.last(1) >= last);
    goes_on(&mut world, 2);
    assert_eq!(discontinuities(&world.view(1).ledger), 1);
    assert!(world.view(1).ledger.listed().iter().all(|e| !e.gap), "nothing was lost");
    assert_eq!(world.checks.backwards, 0);
}

#[test]
fn the_ingest_is_killed_between_marks_and_a_dies_before_b_fetched() {
    let mut world = live(1, 2, 9_000);
    world.latency_ms = (1, 60);
    until_ahead(&mut world, 0, 1);
    world.mute.insert(0);
    world.kill_ingest(0);
    world.start_ingest(0);
    world.run(400);
    world.kill_edge(0);
    world.run_until("b goes on", SETTLE_MS, |w| w.agree() && w.view(1).open.is_some());
    let last = world.last(1);
    world.run_until("b lists more", SETTLE_MS, |w| w.last(1) > last + 1);
    world.start_edge(0);
    world.mute.clear();
    goes_on(&mut world, 2);
}

#[test]
fn the_ingest_restarts_while_c_joins() {
    let mut world = live(1, 3, 20_000);
    world.kill_edge(2);
    world.run(4_000);
    world.start_edge(2);
    world.run(65);
    world.kill_ingest(0);
    world.start_ingest(0);
    goes_on(&mut world, 3);
    assert_eq!(world.view(2).media, world.view(0).media);
    assert_eq!(discontinuities(&world.view(2).ledger), 1);
}

#[test]
fn a_late_greeting_changes_nothing_that_is_listed() {
    let mut world = live(1, 3, 9_000);
    world.kill_ingest(0);
    // The edge that is cut off holds the newest ledger and greets after the new ingest has decided.
    world.set_cut(0, 2, true);
    world.start_ingest(0);
    world.run(6_000);
    world.set_cut(0, 2, false);
    goes_on(&mut world, 2);
    assert_eq!(world.view(2).media, world.view(0).media);
}

#[test]
fn two_ingests_end_as_one() {
    let mut world = live(2, 3, 9_000);
    // The encoder's connection is lost to it, not to the first ingest; it goes to the other one.
    let first = world.encoder.at.expect("publishing");
    let second = 1 - first;
    world.encoder.at = Some(second);
    let (now, start) = (world.now_ms, world.now_ms);
    world.encoder.restart(start);
    world.ingests[second].machine.as_mut().expect("runs").publish(now);
    world.run(3_000);
    goes_on(&mut world, 3);
    assert_eq!(world.checks.backwards, 0);
    assert!(
        world.notes.iter().any(|n| n.contains(&format!("ingest {first} closes its publisher"))),
        "{:#?}",
        world.notes
    );
}

#[test]
fn two_ingests_half_partitioned_end_as_one() {
    let mut world = live(2, 4, 9_000);
    let first = world.encoder.at.expect("publishing");
    let second = 1 - first;
    for edge in [0, 1] {
        world.set_cut(second, edge, true);
    }
    world.encoder.at = Some(second);
    let now = world.now_ms;
    world.encoder.restart(now);
    world.ingests[second].machine.as_mut().expect("runs").publish(now);
    world.run(8_000);
    for edge in [0, 1] {
        world.set_cut(second, edge, false);
    }
    goes_on(&mut world, 3);
    assert_eq!(world.view(0).media, world.view(3).media);
}

#[test]
fn a_publisher_reconnects_with_a_listed_segment() {
    let mut world = live(1, 2, 9_000);
    world.stop_publishing(Some(800));
    goes_on(&mut world, 3);
    assert_eq!(discontinuities(&world.view(0).ledger), 1);
    let ledger = &world.view(0).ledger;
    let (a, b) = (ledger.listed().first().expect("listed"), ledger.listed().last().expect("listed"));
    assert_eq!(b.dseq, a.dseq + 1);
}

#[test]
fn a_publisher_that_reconnects_before_a_segment_leaves_no_trace() {
    let mut world = World::new(3, 1, 2);
    world.encoder.connect_ms = Some(world.now_ms + 500);
    world.run(1_000);
    assert_eq!(world.last(0), 0, "no segment yet");
    world.stop_publishing(Some(1_500));
    goes_on(&mut world, 2);
    assert_eq!(discontinuities(&world.view(0).ledger), 0);
    let presentation = world.view(0).ledger.presentation.clone().expect("open");
    assert_eq!(presentation.first_epoch, world.view(0).ledger.listed()[0].epoch);
}

#[test]
fn a_takeover_is_one_discontinuity() {
    let mut world = live(1, 2, 9_000);
    let now = world.now_ms;
    world.encoder.restart(now);
    world.ingests[0].machine.as_mut().expect("runs").publish(now);
    goes_on(&mut world, 3);
    assert_eq!(discontinuities(&world.view(0).ledger), 1);
}

#[test]
fn an_edge_is_away_for_five_seconds() {
    let mut world = live(1, 3, 12_000);
    world.set_cut(0, 1, true);
    world.run(5_000);
    assert!(world.view(1).ready, "it follows a sibling");
    let behind = world.last(0) - world.last(1);
    assert!(behind <= 1, "{behind} behind");
    world.set_cut(0, 1, false);
    goes_on(&mut world, 2);
    assert_eq!(world.checks.backwards, 0);
}

#[test]
fn an_edge_is_away_for_a_minute() {
    let mut world = live(1, 3, 12_000);
    world.set_cut(0, 1, true);
    for other in [0, 2] {
        world.cut_siblings.insert((other.min(1), other.max(1)));
    }
    world.run(9_000);
    assert!(!world.view(1).ready, "it reaches no other node");
    world.run(51_000);
    world.set_cut(0, 1, false);
    world.cut_siblings.clear();
    goes_on(&mut world, 2);
    assert!(world.view(1).ledger.listed().iter().all(|e| !e.gap));
}

#[test]
fn an_edge_restarts() {
    let mut world = live(1, 3, 30_000);
    world.kill_edge(1);
    world.run(300);
    world.start_edge(1);
    world.run_until("warm", 2_000, |w| w.view(1).ready && w.last(1) > 0);
    assert_eq!(world.view(1).media, world.view(0).media, "the whole window at once");
    goes_on(&mut world, 2);
}

#[test]
fn all_edges_restart_with_a_short_ring() {
    let mut world = World::new(11, 1, 3);
    world.ring_bytes_max = 12_000;
    world.start_ingest(0);
    world.encoder.connect_ms = Some(world.now_ms + 500);
    world.run(30_000);
    for edge in 0..3 {
        world.kill_edge(edge);
    }
    for edge in 0..3 {
        world.start_edge(edge);
    }
    world.run_until("what nobody has is a gap for all", SETTLE_MS, |w| {
        w.agree() && w.view(0).ledger.listed().iter().any(|e| e.gap)
    });
    goes_on(&mut world, 6);
    assert!(world.view(0).ledger.listed().iter().all(|e| !e.gap), "gaps leave with the window");
}

#[test]
fn all_nodes_restart() {
    let mut world = live(1, 3, 30_000);
    let before = world.last(0);
    world.kill_ingest(0);
    for edge in 0..3 {
        world.kill_edge(edge);
    }
    for edge in 0..3 {
        world.start_edge(edge);
    }
    world.start_ingest(0);
    world.run_until("live again", 20_000, |w| w.last(0) > 0 && w.agree());
    assert!(world.last(0) > before, "numbers are above all that were given out");
    goes_on(&mut world, 2);
}

#[test]
fn an_ordered_end_with_a_short_tail() {
    let mut world = live(1, 2, 9_000);
    let last = world.last(0);
    world.run_until("a segment has just closed", 5_000, |w| w.last(0) > last && w.last(1) > last);
    world.stop_publishing(None);
    world.run(3_000);
    agreed(&mut world);
    assert_eq!(world.last(0), last + 1, "a tail under 300 ms is dropped");
    world.run(20_000);
    agreed(&mut world);
    assert_eq!(world.view(0).ledger.life, Life::Ended);
    let text = world.view(0).media.clone().expect("listed");
    assert!(text.ends_with(b"#EXT-X-ENDLIST\n"));
    world.run(70_000);
    assert_eq!((world.view(0).ledger.life, world.view(0).media.clone()), (Life::Gone, None));
    let old = world.last(0);
    world.encoder.connect_ms = Some(world.now_ms);
    world.run_until("the next session", 10_000, |w| w.view(0).media.is_some() && w.agree());
    let ledger = &world.view(0).ledger;
    assert!(ledger.listed().iter().all(|e| e.msn > old), "nothing old is listed");
    assert_eq!(discontinuities(ledger), 0);
}

#[test]
fn the_end_while_the_ingest_is_dead_and_a_return_after_it() {
    let mut world = live(1, 2, 9_000);
    world.kill_ingest(0);
    world.encoder.stop(None);
    world.run(10_000);
    world.start_ingest(0);
    world.run(25_000);
    agreed(&mut world);
    assert_eq!(world.view(1).ledger.life, Life::Ended, "a restarted ingest ends what it learnt of");
    let last = world.last(0);
    world.encoder.connect_ms = Some(world.now_ms);
    world.run_until("a new presentation", 10_000, |w| w.last(0) > last && w.agree());
    assert_eq!(discontinuities(&world.view(0).ledger), 0);
}

#[test]
fn a_codec_changes() {
    let mut world = live(1, 2, 9_000);
    world.encoder.change_config();
    goes_on(&mut world, 3);
    assert_eq!(discontinuities(&world.view(0).ledger), 1);
}

/// What viewers of connections were told last of the metadata.
fn metadata(world: &World, edge: usize) -> Option<Bytes> {
    let told = world.edges[edge].live.iter().rev().find_map(|item| match item {
        LiveItem::Epoch { tracks, .. } => Some(tracks.metadata.clone()),
        LiveItem::Metadata(payload) => Some(Some(payload.clone())),
        LiveItem::Frame(_) => None,
    });
    told.flatten()
}

#[test]
fn metadata_that_change_within_an_epoch_reach_viewers_of_every_edge() {
    let mut world = live(1, 2, 9_000);
    for n in 0..40_u64 {
        let now = world.now_ms;
        let payload = Bytes::from(format!("title {n}"));
        world.ingests[0].machine.as_mut().expect("runs").metadata(now, payload);
        world.run(50);
    }
    world.run(2_000);
    for edge in 0..2 {
        assert_eq!(metadata(&world, edge), Some("title 39".into()), "edge {edge}");
        let times = world.edges[edge].live.iter().filter(|item| matches!(item, LiveItem::Metadata(_))).count();
        assert!((2..=4).contains(&times), "once a second at most, not {times} times in three seconds");
    }
    world.run(20_000);
    world.kill_edge(1);
    world.start_edge(1);
    goes_on(&mut world, 1);
    assert_eq!(metadata(&world, 1), Some("title 39".into()), "an edge that joins later");
    assert_eq!(discontinuities(&world.view(0).ledger), 0);
}

#[test]
fn a_configuration_comes_late() {
    let mut world = World::new(5, 1, 2);
    world.encoder.late_audio_ms = 3_000;
    world.encoder.connect_ms = Some(world.now_ms + 500);
    world.run_until("live", 10_000, |w| w.last(0) > 0);
    goes_on(&mut world, 3);
    assert_eq!(discontinuities(&world.view(0).ledger), 1, "the late track opens an epoch");
    let closing = world.edges[0].live.iter().any(|i| matches!(i, LiveItem::Epoch { kinds_changed: true, .. }));
    assert!(closing, "viewers of connections are told");
}

#[test]
fn a_sibling_dies_during_a_fetch() {
    let mut world = World::new(13, 1, 4);
    world.ring_bytes_max = 12_000;
    world.start_ingest(0);
    world.encoder.connect_ms = Some(world.now_ms + 500);
    world.run(30_000);
    world.kill_edge(3);
    world.latency_ms = (20, 120);
    world.start_edge(3);
    world.run(250);
    world.kill_edge(0);
    world.run_until("warm", 8_000, |w| w.view(3).ready && w.last(3) > 0);
    assert_eq!(world.view(3).ledger.listed().iter().filter(|e| e.gap).count(), 0);
    world.start_edge(0);
    goes_on(&mut world, 2);
}

#[test]
fn a_pause_of_eight_seconds_with_honest_time_stamps() {
    let mut world = live(1, 2, 9_000);
    world.encoder.silent_until_ms = world.now_ms + 8_000;
    world.run(7_990);
    let now = world.now_ms;
    world.encoder.resume_after_silence(now);
    goes_on(&mut world, 3);
    assert_eq!(discontinuities(&world.view(0).ledger), 0, "stamps and arrivals agree");
    assert_eq!(world.checks.backwards, 0);
}

#[test]
fn video_stops_while_audio_runs() {
    let mut world = live(1, 2, 9_000);
    world.encoder.video = false;
    goes_on(&mut world, 4);
    assert_eq!(discontinuities(&world.view(0).ledger), 0, "segments are cut without key frames");
    world.encoder.video = true;
    goes_on(&mut world, 2);
    let target = world.view(0).ledger.presentation.clone().expect("open").target_s;
    assert!(world.view(0).ledger.listed().iter().all(|e| (e.duration_us + 500_000) / 1_000_000 <= u64::from(target)));
}
