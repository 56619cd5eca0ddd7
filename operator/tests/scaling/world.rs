//! Edges and the people on them. A step is [`TICK_MS`].
//!
//! Newcomers are sent to any edge in the Service; a full one refuses, and whoever is refused tries again after a second
//! (`Retry-After: 1`), anywhere. HLS viewers change their connection every minute, every ten seconds on an edge above
//! its target, and nobody refuses those (node/src/http/connection.rs).

use crate::random::Random;
use std::collections::{BTreeMap, VecDeque};

/// One step.
pub const TICK_MS: u64 = 500;
/// Ticks after which somebody who was refused tries again.
const RETRY_TICKS: u64 = 2;
/// Age of connections: `AGE_MS` and `AGE_ABOVE_TARGET_MS` of the node.
const AGE_MS: u64 = 60_000;
const AGE_ABOVE_TARGET_MS: u64 = 10_000;
/// People come and go: a viewer stays 20 minutes in the mean, and somebody else comes.
const STAY_MS: u64 = 1_200_000;
/// How long a refused newcomer counts (`REFUSED_WINDOW_MS` of the node).
const REFUSED_MS: u64 = 15_000;
/// By how much a count of viewers is older than the moment it is read (a segment that was listed 1.5
/// target durations ago, read in a round that takes a moment).
const COUNTED_LATE_MS: u64 = 4_000;
/// From the order for a pod to a Ready edge in the load balancer: 0.8 s to Running, 2 s to Ready, 1 s of readiness
/// probe and endpoints, as measured on the cluster of the tests; and up to as much again on a busy one.
pub const START_MS: u64 = 4_000;
const START_SPREAD_MS: u64 = 4_000;
/// Pods that a cluster gets under way in a second.
const STARTS_PER_SECOND: u64 = 50;
/// An endpoint on a node that is gone stays so long if nobody deletes its pod; a replacement comes 30 s later.
const DEAD_ENDPOINT_MS: u64 = 40_000;
const DEAD_POD_MS: u64 = 70_000;

/// One edge.
#[derive(Clone, Debug)]
pub struct Edge {
    pub uid: String,
    pub zone: String,
    pub state: State,
    pub watching: u64,
    pub cost: Option<i32>,
    born_ms: u64,
    /// What it said last, for the scrape.
    pub said: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Starting {
        ready_ms: u64,
    },
    Ready,
    Ending {
        end_ms: u64,
    },
    /// Its node is gone.
    Dead {
        since_ms: u64,
    },
}

/// What one edge is like.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub capacity: u64,
    pub target: u64,
    pub drain_ms: u64,
    pub start_ms: u64,
}

/// All edges and all people.
#[derive(Clone, Debug)]
pub struct World {
    pub now_ms: u64,
    pub edges: Vec<Edge>,
    kind: Kind,
    zones: Vec<String>,
    random: Random,
    born: u64,
    /// (tick at which they came, people): those who were refused and try again.
    waiting: VecDeque<(u64, u64, u64)>,
    /// People without a connection for this moment.
    adrift: u64,
    /// (tick, viewers), for counts that are late.
    counted: VecDeque<u64>,
    refusals: VecDeque<Refusal>,
    joined: VecDeque<u64>,
    pub seen: Seen,
}

/// What is measured over a whole run.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub newcomers: u64,
    /// People who were refused at least once.
    pub refused: u64,
    /// By seconds of waiting: people who were let in.
    pub waits: BTreeMap<u64, u64>,
    /// Viewers of the fullest edge, in per cent of what it carries.
    pub fullest_percent: u64,
    /// Connections that found nobody behind the endpoint, or broke.
    pub broken: u64,
    /// Edges that went while people watched there, and how many did at that moment.
    pub let_go: Vec<u64>,
}

impl World {
    pub fn new(kind: Kind, zones: usize, edges: u32) -> Self {
        let zones = (0..zones).map(|zone| format!("zone-{zone}")).collect();
        let mut world = Self {
            now_ms: 0,
            edges: Vec::new(),
            kind,
            zones,
            random: Random::new(42),
            born: 0,
            waiting: VecDeque::new(),
            adrift: 0,
            counted: VecDeque::new(),
            refusals: VecDeque::new(),
            joined: VecDeque::new(),
            seen: Seen::default(),
        };
        world.scale(edges);
        world.edges.iter_mut().for_each(|edge| edge.state = State::Ready);
        world
    }

    /// What the controllers of Kubernetes do about the number of pods.
    pub fn scale(&mut self, replicas: u32) {
        let is_counted = |edge: &&Edge| !matches!(edge.state, State::Ending { .. });
        let existing = self.edges.iter().filter(is_counted).count();
        for order in existing..replicas as usize {
            let queue = (order - existing) as u64 * 1_000 / STARTS_PER_SECOND;
            let ready_ms = self.now_ms + self.kind.start_ms + queue + self.random.below(START_SPREAD_MS);
            let counts = |zone: &String| self.edges.iter().filter(is_counted).filter(|edge| edge.zone == *zone).count();
            let zone = self.zones.iter().min_by_key(|zone| counts(zone)).unwrap().clone();
            self.born += 1;
            let (uid, state) = (format!("edge-{:05}", self.born), State::Starting { ready_ms });
            self.edges.push(Edge { uid, zone, state, watching: 0, cost: None, born_ms: self.now_ms, said: 0 });
        }
        for _ in replicas as usize..existing {
            // Not Ready first, then the lower cost, then the younger.
            let key = |edge: &Edge| {
                (edge.state == State::Ready, edge.cost.unwrap_or(0), u64::MAX - edge.born_ms, edge.uid.clone())
            };
            let first = self.edges.iter().filter(is_counted).min_by_key(|edge| key(edge)).unwrap().uid.clone();
            self.delete(&first);
        }
    }

    /// Deletes a pod: it serves on while it drains, unless it is dead.
    pub fn delete(&mut self, uid: &str) {
        let (now, drain) = (self.now_ms, self.kind.drain_ms);
        let edge = self.edges.iter_mut().find(|edge| edge.uid == uid).unwrap();
        match edge.state {
            State::Ready => {
                self.seen.let_go.push(edge.watching);
                edge.state = State::Ending { end_ms: now + drain };
            }
            State::Starting { .. } | State::Dead { .. } => edge.state = State::Ending { end_ms: now },
            State::Ending { .. } => {}
        }
    }

    /// The nodes of a zone are gone; no pod comes there any more.
    pub fn lose_zone(&mut self, zone: &str) {
        self.zones.retain(|other| other != zone);
        let now = self.now_ms;
        for edge in self.edges.iter_mut().filter(|edge| edge.zone == zone) {
            edge.state = State::Dead { since_ms: now };
            // Whoever watches there needs another connection.
            self.seen.broken += edge.watching;
            self.adrift += std::mem::take(&mut edge.watching);
        }
    }

    /// One step, at whose end so many people want to watch.
    pub fn step(&mut self, wanted: u64) {
        self.now_ms += TICK_MS;
        self.age();
        self.redial();
        self.leave(wanted);
        self.arrive(wanted);
        self.remember();
    }

    fn tick(&self) -> u64 {
        self.now_ms / TICK_MS
    }

    fn age(&mut self) {
        let now = self.now_ms;
        for edge in &mut self.edges {
            match edge.state {
                State::Starting { ready_ms } if ready_ms <= now => edge.state = State::Ready,
                State::Dead { since_ms } if now >= since_ms + DEAD_POD_MS => edge.state = State::Ending { end_ms: now },
                State::Starting { .. } | State::Ready | State::Ending { .. } | State::Dead { .. } => {}
            }
            if matches!(edge.state, State::Ending { end_ms } if end_ms <= now) {
                self.adrift += std::mem::take(&mut edge.watching);
            }
        }
        self.edges.retain(|edge| !matches!(edge.state, State::Ending { end_ms } if end_ms <= now));
    }

    /// The edges that connections are sent to, as indices: those that are Ready, and the dead ones that nobody noticed.
    fn endpoints(&self) -> Vec<usize> {
        let now = self.now_ms;
        let is_endpoint = |edge: &Edge| match edge.state {
            State::Ready => true,
            State::Dead { since_ms } => now < since_ms + DEAD_ENDPOINT_MS,
            State::Starting { .. } | State::Ending { .. } => false,
        };
        (0..self.edges.len()).filter(|index| is_endpoint(&self.edges[*index])).collect()
    }

    /// Viewers whose connection ends dial again; nobody refuses them.
    fn redial(&mut self) {
        let mut dialling = std::mem::take(&mut self.adrift);
        for edge in &mut self.edges {
            let age = match edge.state {
                State::Ending { end_ms } => (end_ms - self.now_ms).max(TICK_MS),
                _ if edge.watching > self.kind.target => AGE_ABOVE_TARGET_MS,
                _ => AGE_MS,
            };
            let ends = self.random.of(edge.watching, TICK_MS as f64 / age as f64);
            edge.watching -= ends;
            dialling += ends;
        }
        let endpoints = self.endpoints();
        if endpoints.is_empty() {
            self.adrift = dialling;
            return;
        }
        let shares = self.random.spread(dialling, endpoints.len());
        for (index, share) in endpoints.into_iter().zip(shares) {
            let edge = &mut self.edges[index];
            if edge.state == State::Ready {
                edge.watching += share;
            } else {
                self.seen.broken += share;
                self.adrift += share;
            }
        }
    }

    /// People go home: those for whom others come, and those who are too many.
    fn leave(&mut self, wanted: u64) {
        let present = self.watching() + self.adrift + self.waiting();
        let surplus = present.saturating_sub(wanted);
        let share = surplus as f64 / present.max(1) as f64;
        for edge in &mut self.edges {
            let bored = self.random.of(edge.watching, TICK_MS as f64 / STAY_MS as f64);
            edge.watching -= bored;
            let gone = self.random.of(edge.watching, share);
            edge.watching -= gone;
        }
        for (_, _, people) in &mut self.waiting {
            *people -= self.random.of(*people, share);
        }
        self.waiting.retain(|(_, _, people)| *people > 0);
    }

    /// People come, and those who were refused try again.
    fn arrive(&mut self, wanted: u64) {
        let tick = self.tick();
        let present = self.watching() + self.adrift + self.waiting();
        let newcomers = wanted.saturating_sub(present);
        self.seen.newcomers += newcomers;
        let mut trying = vec![(tick, newcomers)];
        for (came, next, people) in std::mem::take(&mut self.waiting) {
            if next <= tick { trying.push((came, people)) } else { self.waiting.push_back((came, next, people)) }
        }
        let tries: u64 = trying.iter().map(|(_, people)| people).sum();
        let (mut let_in, edges) = self.admit(tries);
        self.joined.push_back(let_in);
        let (mut again, mut refused) = (0, 0);
        // Chance knows no queue: everybody who tries has the same part in what is free.
        let mut left = tries;
        for (came, people) in trying {
            let here = if left == 0 { 0 } else { (u128::from(people) * u128::from(let_in) / u128::from(left)) as u64 };
            left -= people;
            let_in -= here;
            if here > 0 {
                *self.seen.waits.entry((tick - came) * TICK_MS / 1_000).or_default() += here;
            }
            if came < tick {
                again += here;
            }
            let out = people - here;
            refused += out;
            if out > 0 {
                self.seen.refused += if came == tick { out } else { 0 };
                self.waiting.push_back((came, tick + RETRY_TICKS, out));
            }
        }
        self.refusals.push_back(Refusal { let_in: again, times: refused, edges });
    }

    /// How many of so many are let in, and how many edges refused somebody.
    fn admit(&mut self, tries: u64) -> (u64, u32) {
        let endpoints = self.endpoints();
        let shares = self.random.spread(tries, endpoints.len());
        let (mut let_in, mut refusing) = (0, 0);
        for (index, share) in endpoints.into_iter().zip(shares) {
            let edge = &mut self.edges[index];
            if edge.state == State::Ready {
                let here = share.min(self.kind.capacity.saturating_sub(edge.watching));
                edge.watching += here;
                let_in += here;
                refusing += u32::from(here < share);
            } else {
                self.seen.broken += share;
            }
        }
        (let_in, refusing)
    }

    fn remember(&mut self) {
        for edge in &mut self.edges {
            if !matches!(edge.state, State::Dead { .. }) {
                edge.said = edge.watching;
            }
            let percent = edge.watching * 100 / self.kind.capacity;
            self.seen.fullest_percent = self.seen.fullest_percent.max(percent);
        }
        // A dead edge is guessed at what it said last while it is in the Service.
        let guessed = self.edges.iter().filter(|edge| matches!(edge.state, State::Dead { .. }));
        let guessed: u64 = guessed.map(|edge| edge.said).sum();
        self.counted.push_back(self.watching() + guessed);
        keep(&mut self.counted, COUNTED_LATE_MS);
        keep(&mut self.refusals, REFUSED_MS);
        keep(&mut self.joined, crate::control::JOINS_OVER_MS);
    }

    /// Who watches.
    pub fn watching(&self) -> u64 {
        self.edges.iter().map(|edge| edge.watching).sum()
    }

    /// Who was refused and tries again.
    pub fn waiting(&self) -> u64 {
        self.waiting.iter().map(|(_, _, people)| people).sum()
    }

    /// Edges in this state that count.
    pub fn ready(&self) -> u32 {
        self.edges.iter().filter(|edge| edge.state == State::Ready).count() as u32
    }

    /// Viewers as they are counted: a little late.
    pub fn counted(&self) -> u64 {
        self.counted.front().copied().unwrap_or(0)
    }

    /// Newcomers that were let in, by the second.
    pub fn joins_per_second(&self) -> f64 {
        let seconds = (self.joined.len().max(1) as u64 * TICK_MS) as f64 / 1_000.0;
        self.joined.iter().sum::<u64>() as f64 / seconds
    }

    /// What edges tell of the last 15 s, each of those it refused itself: different newcomers, added up; how many times
    /// somebody was refused; and how many edges refused anybody.
    pub fn refused(&self) -> (u64, u64, u32) {
        let people = self.waiting() + self.refusals.iter().map(|refusal| refusal.let_in).sum::<u64>();
        let times: u64 = self.refusals.iter().map(|refusal| refusal.times).sum();
        let edges = self.refusals.iter().map(|refusal| refusal.edges).max().unwrap_or(0);
        // Whoever tries so many times at random edges is known to this many different ones; some try once more often.
        let missed = |tries| (0..tries).fold(1.0, |chance, _| chance * (1.0 - 1.0 / f64::from(edges.max(1))));
        let (tries, more) = (times / people.max(1), (times % people.max(1)) as f64 / people.max(1) as f64);
        let elsewhere = missed(tries) * (1.0 - more) + missed(tries + 1) * more;
        ((people as f64 * f64::from(edges) * (1.0 - elsewhere)) as u64, times, edges)
    }
}

/// What was refused in one step.
#[derive(Clone, Copy, Debug, Default)]
struct Refusal {
    /// People let in after they had been refused.
    let_in: u64,
    /// Times that somebody was refused.
    times: u64,
    /// Edges that did.
    edges: u32,
}

fn keep<T>(record: &mut VecDeque<T>, ms: u64) {
    while record.len() as u64 > ms / TICK_MS {
        record.pop_front();
    }
}
