//! From what the edges of one event say to who watches it. Pure: answers and time are arguments.
//!
//! Every round takes in the answers of all edges that serve or end. Edges that serve but are silent are guessed: what
//! they last were, else the mean of the others. While anything is guessed the demand may rise, never fall, because a
//! lower number than the truth would take edges away from people who watch. When more than half are silent nothing is
//! known.

use super::edge::Memory;
use super::hls::{Hls, Life};
use super::{EdgeAudience, EventAudience};
use crate::plan::schedule;
use crate::scaling;
use crate::validate::Event;
use jiff::Timestamp;
use lectern_api::node_status::NodeStatus;
use std::collections::{BTreeMap, BTreeSet};

/// One edge in one round.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Name of its pod or process.
    pub name: &'a str,
    /// New viewers are sent to it. An edge that ends is counted while it answers, and not guessed when it does not.
    pub serves: bool,
    /// What it said, if it did.
    pub answer: Option<Answer<'a>>,
}

/// What an edge said.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// When, in the milliseconds of the rounds. The same answer may be given again.
    pub heard_ms: u64,
    /// Its words.
    pub status: &'a NodeStatus,
}

/// The memory of one event from round to round.
#[derive(Debug, Default)]
pub struct Fold {
    edges: BTreeMap<String, Memory>,
    streams: BTreeMap<String, Hls>,
    lives: Life,
    /// What was last told to the autoscaler.
    last: Option<Reported>,
}

#[derive(Clone, Copy, Debug)]
struct Reported {
    demand: u64,
    egress_bits: u64,
}

/// Sums over the edges of a round.
#[derive(Debug, Default)]
struct Sums {
    connections: u64,
    refused: u64,
    refusals: u64,
    refusing: u32,
    egress_bits: u64,
    joins_per_1000_s: u64,
}

impl Fold {
    /// Takes in a round over `edges`, all that serve or end. `floor` is the least demand ([`floor`]). None while too
    /// little is known.
    pub fn round(&mut self, now_ms: u64, edges: &[Seen<'_>], floor: u64) -> Option<EventAudience> {
        self.forget(edges);
        self.hear(now_ms, edges);
        let serving = edges.iter().filter(|edge| edge.serves).count();
        let silent: Vec<&str> =
            edges.iter().filter(|edge| edge.serves && edge.answer.is_none()).map(|edge| edge.name).collect();
        let hls = self.read(&silent);
        if silent.len() * 2 > serving {
            return None;
        }
        let sums = self.sums(edges, &silent);
        let mut audience = EventAudience {
            viewers: hls.saturating_add(sums.connections),
            refused: scaling::refused_people(sums.refused, sums.refusals, sums.refusing),
            demand: 0,
            egress_bits_per_second: sums.egress_bits,
            joins_per_second: per_second(sums.joins_per_1000_s),
            imputed: u32::try_from(silent.len()).unwrap_or(u32::MAX),
            edges: self.each(now_ms, edges),
        };
        audience.demand = audience.viewers.saturating_add(audience.refused).max(floor);
        // Where edges are, and none of them serves, people wait for them to come back.
        let guessed = !silent.is_empty() || serving == 0 && !edges.is_empty();
        if let Some(last) = self.last.filter(|_| guessed) {
            audience.demand = audience.demand.max(last.demand);
            audience.egress_bits_per_second = audience.egress_bits_per_second.max(last.egress_bits);
        }
        self.last = Some(Reported { demand: audience.demand, egress_bits: audience.egress_bits_per_second });
        Some(audience)
    }

    /// Edges that are not there any more.
    fn forget(&mut self, edges: &[Seen<'_>]) {
        let there: BTreeSet<&str> = edges.iter().map(|edge| edge.name).collect();
        let streams = &mut self.streams;
        self.edges.retain(|name, memory| {
            let stays = there.contains(name.as_str());
            if !stays {
                streams.values_mut().for_each(|stream| stream.forget(memory.life));
            }
            stays
        });
    }

    fn hear(&mut self, now_ms: u64, edges: &[Seen<'_>]) {
        let mut named = BTreeSet::new();
        for seen in edges {
            let memory = self.edges.entry(seen.name.to_owned()).or_insert_with(|| {
                self.lives += 1;
                Memory::new(self.lives, now_ms)
            });
            let Some(answer) = seen.answer else { continue };
            let Some(edge) = &answer.status.edge else { continue };
            let before = memory.life;
            memory.hear(answer.status, edge, answer.heard_ms, self.lives + 1);
            if memory.life != before {
                self.lives += 1;
                self.streams.values_mut().for_each(|stream| stream.forget(before));
            }
            for (name, said) in &edge.streams {
                let stream = self.streams.entry(name.clone()).or_default();
                stream.hear(memory.life, answer.heard_ms, said);
                named.insert(name.as_str());
            }
        }
        // A stream that no edge knows any more was taken out of the event; silent edges say nothing about it.
        let heard = edges.iter().any(|seen| seen.answer.is_some());
        self.streams.retain(|name, _| !heard || named.contains(name.as_str()));
    }

    fn read(&mut self, silent: &[&str]) -> u64 {
        let edges = &self.edges;
        let life = |name: &&str| edges.get(*name).filter(|edge| edge.heard_ms.is_some()).map(|edge| edge.life);
        let silent: Vec<Option<Life>> = silent.iter().map(life).collect();
        self.streams.values_mut().fold(0, |sum, stream| sum.saturating_add(stream.read(&silent)))
    }

    fn sums(&self, edges: &[Seen<'_>], silent: &[&str]) -> Sums {
        let mut sums = Sums::default();
        let mut answered = 0;
        let known = |name: &str| self.edges.get(name).filter(|edge| edge.heard_ms.is_some());
        for memory in edges.iter().filter(|edge| edge.answer.is_some()).filter_map(|edge| known(edge.name)) {
            answered += 1;
            sums.add(memory);
        }
        let mean_connections = sums.connections.checked_div(answered).unwrap_or(0);
        let mean_egress_bits = sums.egress_bits.checked_div(answered).unwrap_or(0);
        for name in silent {
            match known(name) {
                Some(memory) => sums.add(memory),
                None => {
                    sums.connections = sums.connections.saturating_add(mean_connections);
                    sums.egress_bits = sums.egress_bits.saturating_add(mean_egress_bits);
                }
            }
        }
        sums
    }

    fn each(&mut self, now_ms: u64, edges: &[Seen<'_>]) -> BTreeMap<String, EdgeAudience> {
        let streams = &self.streams;
        let mut all = BTreeMap::new();
        for seen in edges {
            let Some(memory) = self.edges.get_mut(seen.name) else { continue };
            if seen.answer.is_some() {
                let hls = streams.values().filter_map(|stream| stream.share(memory.life));
                memory.viewers = hls.fold(memory.connections, u64::saturating_add);
            }
            let silent_ms = if seen.answer.is_some() { 0 } else { memory.silent_ms(now_ms) };
            all.insert(seen.name.to_owned(), EdgeAudience { viewers: memory.viewers, silent_ms });
        }
        all
    }
}

impl Sums {
    fn add(&mut self, memory: &Memory) {
        self.connections = self.connections.saturating_add(memory.connections);
        self.refused = self.refused.saturating_add(memory.refused);
        self.refusals = self.refusals.saturating_add(memory.refusals);
        self.refusing += u32::from(memory.refused > 0);
        self.egress_bits = self.egress_bits.saturating_add(memory.egress_bits());
        self.joins_per_1000_s = self.joins_per_1000_s.saturating_add(memory.joins_per_1000_s());
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate is not exact beyond 2^53 either")]
fn per_second(per_1000_s: u64) -> f64 {
    per_1000_s as f64 / 1_000.0
}

/// The least demand of `event` at `now`: as much as the edges of the open schedule window are there for, so that the
/// autoscaler arrives at that number by itself.
#[must_use]
pub fn floor(event: &Event, now: Timestamp) -> u64 {
    let open = schedule::outlook(&event.schedule, &event.edges.bounds(), now).open;
    open.map_or(0, |open| u64::from(open.min.min(event.edges.max)).saturating_mul(target(event)))
}

/// Viewers that one edge should have: what the autoscaler divides by.
fn target(event: &Event) -> u64 {
    scaling::target(u64::from(event.edges.viewers_per_edge), event.edges.target_percent)
}

#[cfg(test)]
mod tests;
