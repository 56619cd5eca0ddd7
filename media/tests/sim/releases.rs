//! Nodes of two releases that serve one stream together: list profiles (ADR 15). A node of the release before is one of
//! this release behind a wire that carries only what that release knew: without what it was told, it does what it did.

use crate::orderings::{agreed, goes_on, live};
use crate::world::World;
use lectern_media::ledger::{Entry, Ledger, ListProfile};
use lectern_media::live::View;
use lectern_media::relay::{RelayMessage, decode, encode};
use std::collections::BTreeMap;

/// The fields that the release before does not know, and leaves out of what it passes on.
const UNKNOWN: [&str; 3] = ["listProfile", "average", "frameRateMilli"];
/// The longest time in which two Ready edges write the same list differently: an edge that hears neither the ingest nor a
/// sibling is found dead after two seconds, and is not Ready after five more.
const DIFFERING_MS_MAX: u64 = 8_000;

/// Which nodes are of the release before, and since when pairs of edges write the same list differently.
#[derive(Default)]
pub struct Releases {
    old_edges: Vec<usize>,
    old_ingests: Vec<usize>,
    differing: BTreeMap<(usize, usize), u64>,
    /// The longest time of one pair.
    pub longest_ms: u64,
}

impl World {
    /// The edge of this number is of the release before, or of this one, from its next start on.
    pub fn set_old_edge(&mut self, edge: usize, old: bool) {
        self.releases.old_edges.retain(|other| *other != edge);
        self.releases.old_edges.extend(old.then_some(edge));
    }

    pub fn set_old_ingest(&mut self, ingest: usize, old: bool) {
        self.releases.old_ingests.retain(|other| *other != ingest);
        self.releases.old_ingests.extend(old.then_some(ingest));
    }

    /// What arrives of a message between two nodes.
    pub(crate) fn carried(&self, ingest: usize, edge: usize, message: RelayMessage) -> RelayMessage {
        let old = self.releases.old_edges.contains(&edge) || self.releases.old_ingests.contains(&ingest);
        if !old {
            return message;
        }
        let mut json = serde_json::to_value(&message).expect("plain data");
        forget(&mut json);
        let message = serde_json::from_value(json).expect("the release before reads it");
        decode(&encode(&message)).expect("within bounds")
    }

    /// What a sibling answers for its ledger.
    pub(crate) fn sibling_answer(&self, asker: usize, view: &View) -> Option<(Ledger, Vec<Entry>)> {
        let old = self.releases.old_edges.contains(&asker);
        view.for_sibling(if old { ListProfile::ONE } else { ListProfile::NEWEST })
    }

    /// Ready edges that write the same list write it alike, but for the moment in which they hear of the change.
    pub(crate) fn compare_releases(&mut self) {
        let serves = |edge: &usize| self.edges[*edge].backlog.is_none() && self.view(*edge).ready;
        let serving: Vec<_> = (0..self.edges.len()).filter(serves).collect();
        let mut differing = BTreeMap::new();
        for (at, one) in serving.iter().enumerate() {
            for other in &serving[at + 1..] {
                let (a, b) = (self.view(*one), self.view(*other));
                let differ = (&a.media, &a.multivariant) != (&b.media, &b.multivariant);
                if differ && a.ledger.listed() == b.ledger.listed() && a.ledger.life == b.ledger.life {
                    let since = self.releases.differing.get(&(*one, *other)).copied().unwrap_or(self.now_ms);
                    differing.insert((*one, *other), since);
                }
            }
        }
        for (pair, since) in &differing {
            let lasting_ms = self.now_ms - since;
            self.releases.longest_ms = self.releases.longest_ms.max(lasting_ms);
            assert!(lasting_ms <= DIFFERING_MS_MAX, "edges {pair:?} differ for {lasting_ms} ms\n{:#?}", self.notes);
        }
        self.releases.differing = differing;
    }

    fn list_profile(&self, edge: usize) -> ListProfile {
        self.view(edge).ledger.list_profile()
    }

    fn all_write(&self, profile: ListProfile) -> bool {
        self.agree() && (0..self.edges.len()).all(|edge| self.list_profile(edge) == profile)
    }

    /// Replaces an edge by one of a release.
    fn replace(&mut self, edge: usize, old: bool) {
        self.kill_edge(edge);
        self.set_old_edge(edge, old);
        self.run(300);
        self.start_edge(edge);
    }
}

fn forget(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| !UNKNOWN.contains(&name.as_str()));
            fields.values_mut().for_each(forget);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(forget),
        _ => {}
    }
}

fn index(world: &World) -> String {
    String::from_utf8(world.view(0).multivariant.clone().expect("listed").to_vec()).expect("text")
}

/// Edges of the release before, as many as `old` says, then edges of this one; live for `ms`.
fn mixed(old: usize, edges: usize, ms: u64) -> World {
    let mut world = World::new(7, 1, 0);
    for edge in 0..edges {
        world.add_edge();
        world.set_old_edge(edge, edge < old);
    }
    world.kill_ingest(0);
    world.start_ingest(0);
    world.encoder.connect_ms = Some(world.now_ms + 500);
    world.run_until("live", 10_000, |w| w.last(0) > 0 && w.agree());
    world.run(ms);
    world
}

#[test]
fn edges_of_one_release_write_its_text_from_the_first_list_on() {
    let mut world = live(1, 3, 0);
    assert!(world.all_write(ListProfile::TWO));
    assert!(index(&world).contains(",AVERAGE-BANDWIDTH="), "{}", index(&world));
    world.kill_ingest(0);
    world.start_ingest(0);
    goes_on(&mut world, 2);
    assert!(world.all_write(ListProfile::TWO), "what a restarted ingest learns stays");
    assert_eq!(world.releases.longest_ms, 0);
}

#[test]
fn one_edge_of_the_release_before_keeps_all_at_its_text() {
    let world = mixed(1, 3, 30_000);
    assert!(world.all_write(ListProfile::ONE));
    assert!(!index(&world).contains("AVERAGE-BANDWIDTH"), "{}", index(&world));
    assert_eq!(world.releases.longest_ms, 0);
}

#[test]
fn an_edge_of_the_release_before_that_joins_late_lowers_the_text_before_it_is_ready() {
    let mut world = live(1, 3, 9_000);
    world.replace(2, true);
    world.run_until("all write the old text", 5_000, |w| w.all_write(ListProfile::ONE));
    goes_on(&mut world, 2);
    assert!(world.releases.longest_ms <= 100, "{} ms", world.releases.longest_ms);
    assert_eq!(discontinuities(&world), 0, "no epoch is opened for it");
}

#[test]
fn the_text_is_raised_once_the_last_edge_of_the_release_before_is_gone_for_good() {
    let mut world = mixed(1, 3, 20_000);
    world.kill_edge(0);
    world.run(5_000);
    assert_eq!(world.list_profile(1), ListProfile::ONE, "it may come back");
    world.start_edge(0);
    goes_on(&mut world, 2);
    assert!(world.all_write(ListProfile::ONE));
    world.replace(0, false);
    world.run_until("all write the new text", 20_000, |w| w.all_write(ListProfile::TWO));
    assert_eq!(world.releases.longest_ms, 0, "the text is raised with a segment");
}

#[test]
fn a_rolling_upgrade_of_edges_and_its_way_back_change_the_text_once_each() {
    let mut world = mixed(3, 3, 9_000);
    for edge in 0..3 {
        world.replace(edge, false);
        goes_on(&mut world, 1);
        assert_eq!(world.list_profile(0), ListProfile::ONE, "edges of both releases, or a moment after");
    }
    world.run_until("upgraded", 20_000, |w| w.all_write(ListProfile::TWO));
    for edge in 0..3 {
        world.replace(edge, true);
        world.run_until("back", 5_000, |w| w.all_write(ListProfile::ONE));
        goes_on(&mut world, 1);
    }
    assert!(world.all_write(ListProfile::ONE));
    assert_eq!(discontinuities(&world), 0);
}

#[test]
fn an_ingest_of_the_release_before_takes_all_edges_to_its_text() {
    let mut world = live(1, 3, 9_000);
    world.kill_ingest(0);
    world.set_old_ingest(0, true);
    world.start_ingest(0);
    goes_on(&mut world, 2);
    assert!(world.all_write(ListProfile::ONE));
    world.kill_ingest(0);
    world.set_old_ingest(0, false);
    world.start_ingest(0);
    world.run_until("upgraded", 30_000, |w| w.all_write(ListProfile::TWO));
}

#[test]
fn an_edge_of_the_release_before_without_the_ingest_is_not_ready_beside_a_newer_text() {
    let mut world = mixed(1, 3, 9_000);
    world.set_cut(0, 0, true);
    world.run_until("the others go on", 30_000, |w| w.list_profile(1) == ListProfile::TWO);
    world.run(6_000);
    assert!(!world.view(0).ready, "its siblings do not pass on what it would write otherwise");
    world.set_cut(0, 0, false);
    world.run_until("it is back", 10_000, |w| w.all_write(ListProfile::ONE));
    assert!(world.releases.longest_ms <= 100, "{} ms", world.releases.longest_ms);
}

#[test]
fn an_edge_without_the_ingest_hears_from_a_sibling_that_the_text_was_lowered() {
    let mut world = live(1, 4, 9_000);
    world.set_cut(0, 1, true);
    world.run(3_000);
    // The encoder stops: no further segment tells.
    world.stop_publishing(None);
    world.run(3_000);
    world.replace(3, true);
    world.run_until("all write the old text", 10_000, |w| w.all_write(ListProfile::ONE));
    agreed(&mut world);
}

fn discontinuities(world: &World) -> usize {
    crate::check::discontinuities(&world.view(0).ledger)
}
