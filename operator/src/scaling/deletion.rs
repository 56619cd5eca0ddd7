//! Which edges go first when there are to be fewer: the emptiest edge of the fullest zone.
//!
//! Kubernetes takes pods that are not Ready first and then those with the lowest
//! `controller.kubernetes.io/pod-deletion-cost`; a pod without one counts as 0. So the next few candidates get costs
//! below zero, the first one the lowest, and all others are left alone.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The annotation that ReplicaSets go by.
pub const ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Costs are written at most once in this time: every one is a write to a pod.
pub const PERIOD: SignedDuration = SignedDuration::from_secs(30);
/// Candidates at a time: what a minute of scaling down takes from a hundred edges ([`super::DOWN`]).
pub const CANDIDATES_MAX: usize = 10;
/// The lowest cost that is given. A band that no other program is likely to use: a cost outside it is another program's and
/// stays.
const FIRST: i32 = -2_000;
/// Our costs.
const OURS: std::ops::Range<i32> = FIRST..-1_000;
/// An edge that has a cost already is taken for emptier than it is by this part (a quarter): viewers come and go all the
/// time, and not every one of them is worth two writes.
const KEPT_PART: u64 = 4;

/// One edge as far as this matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge<'a> {
    /// Its pod.
    pub name: &'a str,
    /// The zone of its node; None where zones are not known.
    pub zone: Option<&'a str>,
    /// Its node.
    pub node: Option<&'a str>,
    /// Who watches there; None if that is not known.
    pub viewers: Option<u64>,
    /// It is Ready.
    pub ready: bool,
    /// It is ending.
    pub ending: bool,
    /// The cost that it has.
    pub cost: Option<i32>,
}

/// A cost to write, or to take away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The pod.
    pub name: String,
    /// Its cost from now on.
    pub cost: Option<i32>,
}

/// What to write at `now`, where `wish` edges would be enough for the audience and costs were last written at `last`.
#[must_use]
pub fn changes(edges: &[Edge<'_>], wish: u32, last: Option<Timestamp>, now: Timestamp) -> Vec<Change> {
    if last.is_some_and(|last| now.duration_since(last) < PERIOD) {
        return Vec::new();
    }
    let chosen = candidates(edges, wish);
    let costs = costs(&chosen);
    let cost_of = |name: &str| costs.iter().find(|(candidate, _)| *candidate == name).map(|(_, cost)| *cost);
    // One that is ending anyway, or whose cost another program set, is left alone.
    let open = edges.iter().filter(|edge| !edge.ending && is_free(edge));
    open.filter_map(|edge| {
        let cost = cost_of(edge.name);
        (cost != edge.cost).then(|| Change { name: edge.name.to_owned(), cost })
    })
    .collect()
}

/// Rising costs in the order of the candidates. Who has a cost keeps it where that is possible.
fn costs<'a>(chosen: &[&Edge<'a>]) -> Vec<(&'a str, i32)> {
    let rising = |keep: bool| {
        let mut next = OURS.start;
        chosen.iter().map(move |edge| {
            let cost = edge.cost.filter(|cost| keep && *cost >= next).unwrap_or(next);
            next = cost + 1;
            (edge.name, cost)
        })
    };
    let kept: Vec<_> = rising(true).collect();
    // They only ever move up, until the band is used up.
    if kept.iter().all(|(_, cost)| OURS.contains(cost)) { kept } else { rising(false).collect() }
}

/// The next few that may go, the first one first: always the emptiest edge of the zone that has most edges then.
#[must_use]
pub fn candidates<'e, 'a>(edges: &'e [Edge<'a>], wish: u32) -> Vec<&'e Edge<'a>> {
    let staying: Vec<&Edge<'_>> = edges.iter().filter(|edge| !edge.ending).collect();
    let surplus = staying.len().saturating_sub(wish as usize);
    // Those that are not Ready go before all others, whatever their cost.
    let unready = staying.iter().filter(|edge| !edge.ready).count();
    let mut left: Vec<&Edge<'_>> = staying.into_iter().filter(|edge| edge.ready).collect();
    let mut chosen = Vec::new();
    while chosen.len() < surplus.saturating_sub(unready).min(CANDIDATES_MAX) {
        let (zones, nodes) = (tally(&left, |edge| edge.zone), tally(&left, |edge| edge.node));
        let next = left.iter().enumerate().filter(|(_, edge)| is_free(edge)).min_by_key(|(_, edge)| {
            let crowded = |counts: &BTreeMap<_, usize>, place| counts.get(&place).copied().unwrap_or(0);
            let (zone, node) = (crowded(&zones, edge.zone), crowded(&nodes, edge.node));
            (usize::MAX - zone, edge.emptiness(), usize::MAX - node, edge.name)
        });
        let Some((index, _)) = next else { break };
        chosen.push(left.swap_remove(index));
    }
    chosen
}

impl Edge<'_> {
    /// What its viewers count here. Unknown is no reason to take an edge for empty.
    fn emptiness(&self) -> u64 {
        let viewers = self.viewers.unwrap_or(u64::MAX);
        if self.cost.is_some_and(|cost| OURS.contains(&cost)) { viewers - viewers / KEPT_PART } else { viewers }
    }
}

/// No other program set its cost.
fn is_free(edge: &Edge<'_>) -> bool {
    edge.cost.is_none_or(|cost| OURS.contains(&cost))
}

fn tally<'a>(edges: &[&Edge<'a>], place: fn(&Edge<'a>) -> Option<&'a str>) -> BTreeMap<Option<&'a str>, usize> {
    let mut counts = BTreeMap::new();
    for edge in edges {
        *counts.entry(place(edge)).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(name: &'static str, zone: &'static str, viewers: u64) -> Edge<'static> {
        Edge { name, zone: Some(zone), node: None, viewers: Some(viewers), ready: true, ending: false, cost: None }
    }

    fn zones() -> [Edge<'static>; 6] {
        [
            edge("a1", "a", 50),
            edge("a2", "a", 10),
            edge("a3", "a", 30),
            edge("b1", "b", 5),
            edge("b2", "b", 40),
            edge("c1", "c", 1),
        ]
    }

    fn names(edges: &[Edge<'_>], wish: u32) -> Vec<String> {
        candidates(edges, wish).iter().map(|edge| edge.name.to_owned()).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_emptiest_of_the_fullest_zone_goes_first() {
        assert_eq!(names(&zones(), 2), ["a2", "b1", "a3", "c1"], "a has three, then a and b two, then all one");
        assert_eq!(names(&zones(), 5), ["a2"]);
        assert!(names(&zones(), 6).is_empty() && names(&zones(), 9).is_empty());
    }

    #[test]
    fn without_zones_the_emptiest_goes_and_of_equals_the_one_on_the_fullest_node() {
        let on = |name, node, viewers| Edge { zone: None, node: Some(node), ..edge(name, "", viewers) };
        let edges = [on("x", "n1", 7), on("y", "n2", 7), on("z", "n2", 9)];
        assert_eq!(names(&edges, 1), ["y", "x"]);
    }

    #[test]
    fn one_whose_viewers_are_not_known_is_not_taken_for_empty() {
        let edges = [Edge { viewers: None, ..edge("a1", "a", 0) }, edge("a2", "a", 90), edge("a3", "a", 80)];
        assert_eq!(names(&edges, 1), ["a3", "a2"]);
    }

    #[test]
    fn the_unready_go_anyway_and_the_ending_are_gone_already() {
        let mut edges = zones();
        edges[0].ready = false;
        edges[5].ending = true;
        assert_eq!(names(&edges, 4), Vec::<String>::new(), "five stay, and the one that is not Ready is the fifth");
        assert_eq!(names(&edges, 3), ["b1"], "a and b have two each");
    }

    #[test]
    fn costs_are_written_for_candidates_and_taken_from_others_every_thirty_seconds() {
        let mut edges = zones();
        let first = changes(&edges, 4, None, at(0));
        let expected = [("a2", Some(FIRST)), ("b1", Some(FIRST + 1))];
        assert_eq!(first, expected.map(|(name, cost)| Change { name: name.into(), cost }));
        for change in &first {
            edges.iter_mut().filter(|edge| edge.name == change.name).for_each(|edge| edge.cost = change.cost);
        }
        assert!(changes(&edges, 4, Some(at(0)), at(30)).is_empty(), "nothing changed: nothing is written");
        // A viewer came to b1, and b2 emptied.
        edges[3].viewers = Some(70);
        edges[4].viewers = Some(0);
        assert!(changes(&edges, 4, Some(at(0)), at(29)).is_empty());
        let moved = [("b1", None), ("b2", Some(FIRST + 1))];
        assert_eq!(
            changes(&edges, 4, Some(at(0)), at(30)),
            moved.map(|(name, cost)| Change { name: name.into(), cost })
        );
        let clear = changes(&edges, 6, None, at(60));
        assert!(clear.len() == 2 && clear.iter().all(|change| change.cost.is_none()), "{clear:?}");
    }

    #[test]
    fn who_has_a_cost_keeps_it_while_others_come_and_go() {
        let with = |name, viewers, cost| Edge { cost, ..edge(name, "a", viewers) };
        let others = |viewers| {
            let known = [with("a", 10, Some(FIRST + 3)), with("b", viewers, None), with("c", 20, Some(FIRST + 4))];
            [known.as_slice(), &[with("d", 100, None), with("e", 100, None)]].concat()
        };
        let change = |name: &str, cost| Change { name: name.into(), cost };
        assert!(changes(&others(16), 3, None, at(0)).is_empty(), "a few viewers less are not worth a write");
        assert_eq!(changes(&others(16), 2, None, at(0)), [change("b", Some(FIRST + 5))]);
        assert_eq!(changes(&others(1), 3, None, at(0)), [change("b", Some(FIRST)), change("c", None)]);
        let last = [with("a", 10, Some(OURS.end - 1)), with("b", 90, None), with("c", 200, None)];
        let again = changes(&last, 1, None, at(0));
        assert_eq!(again.iter().map(|change| change.cost).collect::<Vec<_>>(), [Some(FIRST), Some(FIRST + 1)]);
    }

    #[test]
    fn a_cost_that_somebody_else_wrote_stays() {
        let mut edges = zones();
        edges[1].cost = Some(100);
        assert_eq!(names(&edges, 5), ["a3"]);
        assert!(changes(&edges, 6, None, at(0)).is_empty());
    }

    #[test]
    fn never_more_than_a_few() {
        let many: Vec<String> = (0..1_000).map(|number| format!("e{number:04}")).collect();
        let edges: Vec<Edge<'_>> = many.iter().map(|name| Edge { name, ..edge("", "a", 1) }).collect();
        assert_eq!(changes(&edges, 2, None, at(0)).len(), CANDIDATES_MAX);
    }
}
