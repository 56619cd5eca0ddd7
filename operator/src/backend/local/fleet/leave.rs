//! Which edges go when there are to be fewer: on one machine the same ones as in a cluster.

use super::node::Node;
use crate::scaling::deletion::{Edge, candidates};
use std::collections::BTreeSet;

/// The names of the first `count` to go: those that are not Ready, then the emptiest.
pub(super) fn first(nodes: &[Node], count: usize) -> BTreeSet<String> {
    let known: Vec<Edge<'_>> = nodes.iter().map(edge).collect();
    names(&known, count)
}

fn names(edges: &[Edge<'_>], count: usize) -> BTreeSet<String> {
    let staying: Vec<&Edge<'_>> = edges.iter().filter(|edge| !edge.ending).collect();
    let wish = u32::try_from(staying.len().saturating_sub(count)).unwrap_or(0);
    let unready = staying.iter().rev().copied().filter(|edge| !edge.ready);
    unready.chain(candidates(edges, wish)).take(count).map(|edge| edge.name.to_owned()).collect()
}

fn edge(node: &Node) -> Edge<'_> {
    let viewers = node.status.as_ref().and_then(|status| status.edge.as_ref()).map(|edge| edge.viewers);
    Edge { name: &node.name, zone: None, node: None, viewers, ready: node.ready(), ending: node.ending(), cost: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unready_go_before_the_emptiest_and_nobody_goes_twice() {
        let edge = |name, viewers, ready, ending| Edge {
            name,
            zone: None,
            node: None,
            viewers: Some(viewers),
            ready,
            ending,
            cost: None,
        };
        let edges = [
            edge("0", 9, true, false),
            edge("1", 1, true, false),
            edge("2", 0, true, true),
            edge("3", 0, false, false),
        ];
        let gone = |count| names(&edges, count).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!((gone(0), gone(1), gone(2), gone(3)), (String::new(), "3".into(), "1 3".into(), "0 1 3".into()));
    }
}
