//! Players, a load balancer and edges on virtual time.
//!
//! An edge counts as node/src/http does: a GET counts when its last byte is written, a part of a segment if it has that
//! byte, HEAD never; a download that breaks off was begun and does not count. Its list is a little behind that of others,
//! and a request for what is not listed yet waits. Players do what real ones do: they begin three segments before the
//! end of the list, ask for the playlist after a target duration (half of one if it did not change), fetch in parts, try
//! again elsewhere, and go away in the middle of a download.

use super::super::*;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Segments in a list.
const WINDOW: u64 = 8;
/// From one round to the next.
pub(super) const ROUND_MS: u64 = 2_000;
/// From one look of an edge at its own counters to the next.
const TICK_MS: u64 = 250;
/// All edges have answered by then.
pub(super) const HEARD_MS: u64 = 200;
/// Players that begin at the same time are spread over this.
pub(super) const STEP_MS: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Balancer {
    /// Every request to any edge.
    PerRequest,
    /// A player stays at its edge for about a minute.
    PerConnection,
    /// The same, and the first edge gets most of them.
    Uneven,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Reload,
    Fetch(u64),
    /// The part with the last byte, of a segment asked for at an edge.
    Done(usize, u64),
    Leave,
    Ask(usize),
    Fold,
    Die(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Plain,
    /// Every segment in two parts.
    Parts,
    /// HEAD before every GET.
    Heads,
    /// One download in eight breaks off and is tried again, elsewhere if so it falls.
    Flaky,
    /// Takes most of a target duration for a download.
    Slow,
    /// RTMP or HTTP-FLV: one connection.
    Connected,
}

#[derive(Debug)]
struct Player {
    habit: Habit,
    here: bool,
    edge: usize,
    moves_ms: u64,
    next_msn: u64,
    reloaded_ms: u64,
    changed: bool,
}

#[derive(Debug)]
struct EdgeModel {
    alive: bool,
    /// It lists everything so much later than the first.
    behind_ms: u64,
    since_ms: u64,
    done: BTreeMap<u64, u64>,
    /// When viewers asked for the playlist.
    reloads_ms: VecDeque<u64>,
    heads: u64,
    connections: u64,
    heard: Option<(u64, NodeStatus)>,
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    }
}

pub(super) struct World {
    dice: Dice,
    balancer: Balancer,
    segment_ms: u64,
    /// Players ask for the playlist so long after the last time.
    pub(super) target_ms: u64,
    /// Players that come together come within this.
    pub(super) spread_ms: u64,
    /// And ask so much earlier or later each time, in per cent of the target duration.
    pub(super) jitter_percent: u64,
    /// Edges tell who asked for the playlist.
    pub(super) tells_reloads: bool,
    /// One answer in so many is lost.
    pub(super) lost: Option<u64>,
    agenda: BinaryHeap<Reverse<(u64, u64, usize, Step)>>,
    order: u64,
    players: Vec<Player>,
    edges: Vec<EdgeModel>,
    names: Vec<String>,
    fold: Fold,
    /// (ms, truth, what the fold said).
    pub(super) told: Vec<(u64, u64, Option<EventAudience>)>,
}

impl World {
    pub(super) fn new(seed: u64, balancer: Balancer, edges: usize, segment_ms: u64) -> Self {
        let mut world = Self {
            dice: Dice(seed),
            balancer,
            segment_ms,
            target_ms: segment_ms.div_ceil(1_000) * 1_000,
            spread_ms: STEP_MS,
            jitter_percent: 0,
            tells_reloads: true,
            lost: None,
            agenda: BinaryHeap::new(),
            order: 0,
            players: Vec::new(),
            edges: Vec::new(),
            names: (0..edges * 2).map(|number| format!("edge-{number}")).collect(),
            fold: Fold::default(),
            told: Vec::new(),
        };
        (0..edges).for_each(|_| world.start_edge(0));
        world.plan(START_MS, 0, Step::Fold);
        world
    }

    pub(super) fn plan(&mut self, at_ms: u64, who: usize, step: Step) {
        self.order += 1;
        self.agenda.push(Reverse((at_ms, self.order, who, step)));
    }

    pub(super) fn start_edge(&mut self, since_ms: u64) {
        let behind_ms = self.dice.below(60);
        self.edges.push(EdgeModel {
            alive: true,
            behind_ms,
            since_ms,
            done: BTreeMap::new(),
            reloads_ms: VecDeque::new(),
            heads: 0,
            connections: 0,
            heard: None,
        });
    }

    /// `count` players come within [`STEP_MS`]; each stays for about `stay_ms`, or to the end.
    pub(super) fn join(&mut self, at_ms: u64, count: u64, stay_ms: Option<u64>) {
        for _ in 0..count {
            let habit = match self.dice.below(20) {
                0..=9 => Habit::Plain,
                10..=12 => Habit::Parts,
                13 | 14 => Habit::Heads,
                15 | 16 => Habit::Flaky,
                17 => Habit::Slow,
                _ => Habit::Connected,
            };
            let begins_ms = at_ms + self.dice.below(self.spread_ms);
            let who = self.players.len();
            self.players.push(Player {
                habit,
                here: false,
                edge: usize::MAX,
                moves_ms: 0,
                next_msn: 0,
                reloaded_ms: 0,
                changed: true,
            });
            self.plan(begins_ms, who, Step::Reload);
            if let Some(stay_ms) = stay_ms {
                let stays_ms = stay_ms / 2 + self.dice.below(stay_ms);
                self.plan(begins_ms + stays_ms, who, Step::Leave);
            }
        }
    }

    /// An audience of about `count` that comes and goes all the time; each stays for about `stay_ms`.
    pub(super) fn churn(&mut self, count: u64, stay_ms: u64, from_ms: u64, to_ms: u64) {
        let first = self.players.len();
        self.join(from_ms, count, None);
        // Those of the beginning are in the middle of their stay.
        for who in first..self.players.len() {
            let at_ms = from_ms + STEP_MS + self.dice.below(stay_ms);
            self.plan(at_ms, who, Step::Leave);
        }
        for at_ms in (from_ms..to_ms).step_by(1_000) {
            self.join(at_ms, count * 1_000 / stay_ms, Some(stay_ms));
        }
    }

    /// `count` of those who are here go.
    pub(super) fn leave(&mut self, at_ms: u64, count: usize) {
        for who in 0..count {
            let at_ms = at_ms + self.dice.below(STEP_MS);
            self.plan(at_ms, who, Step::Leave);
        }
    }

    pub(super) fn run(&mut self, to_ms: u64) {
        while self.agenda.peek().is_some_and(|Reverse((next_ms, ..))| *next_ms <= to_ms) {
            let Some(Reverse((now_ms, _, who, step))) = self.agenda.pop() else { return };
            match step {
                Step::Reload => self.reload(now_ms, who),
                Step::Fetch(msn) => self.fetch(now_ms, who, msn),
                Step::Done(edge, msn) => self.done(now_ms, who, edge, msn),
                Step::Leave => self.go(who),
                Step::Ask(edge) => self.ask(now_ms, edge),
                Step::Fold => self.round(now_ms),
                Step::Die(edge) => self.edges[edge].alive = false,
            }
        }
    }

    /// The newest msn that `edge` lists; segment n is listed at its end.
    fn newest(&self, edge: usize, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.edges[edge].behind_ms) / self.segment_ms
    }

    fn pick(&mut self, who: usize, now_ms: u64) -> usize {
        let alive: Vec<usize> = (0..self.edges.len()).filter(|edge| self.edges[*edge].alive).collect();
        let any = |dice: &mut Dice| alive[usize::try_from(dice.below(alive.len() as u64)).unwrap()];
        let player = &self.players[who];
        let stays = player.edge != usize::MAX && self.edges[player.edge].alive && now_ms < player.moves_ms;
        match self.balancer {
            Balancer::PerRequest => any(&mut self.dice),
            Balancer::PerConnection | Balancer::Uneven if stays => player.edge,
            balancer => {
                let first = balancer == Balancer::Uneven && self.dice.below(10) < 7;
                let edge = if first { alive[0] } else { any(&mut self.dice) };
                let moves_ms = now_ms + 48_000 + self.dice.below(24_000);
                (self.players[who].edge, self.players[who].moves_ms) = (edge, moves_ms);
                edge
            }
        }
    }

    fn reload(&mut self, now_ms: u64, who: usize) {
        let joins = self.players[who].next_msn == 0;
        if joins {
            self.players[who].here = true;
        } else if !self.players[who].here {
            return;
        }
        let edge = self.pick(who, now_ms);
        let newest = self.newest(edge, now_ms);
        if self.players[who].habit != Habit::Connected {
            self.edges[edge].reloads_ms.push_back(now_ms);
        }
        if self.players[who].habit == Habit::Connected {
            // It looks only whether its edge is still there.
            if joins || !self.edges[self.players[who].edge].alive {
                (self.players[who].edge, self.players[who].next_msn) = (edge, 1);
                self.players[who].moves_ms = u64::MAX;
                self.edges[edge].connections += 1;
            }
            self.plan(now_ms + 1_000, who, Step::Reload);
            return;
        }
        let player = &mut self.players[who];
        if joins {
            player.next_msn = newest.saturating_sub(2);
        }
        player.reloaded_ms = now_ms;
        player.changed = newest >= player.next_msn;
        let next = player.next_msn;
        if player.changed {
            self.plan(now_ms + 10, who, Step::Fetch(next));
        } else {
            self.plan(now_ms + self.target_ms / 2, who, Step::Reload);
        }
    }

    fn fetch(&mut self, now_ms: u64, who: usize, msn: u64) {
        if !self.players[who].here {
            return;
        }
        let edge = self.pick(who, now_ms);
        let listed_ms = msn * self.segment_ms + self.edges[edge].behind_ms;
        let begins_ms = now_ms.max(listed_ms);
        let takes_ms = 40 + self.dice.below(200);
        match self.players[who].habit {
            Habit::Flaky if self.dice.below(8) == 0 => {
                let again_ms = begins_ms + takes_ms + 200 + self.dice.below(300);
                self.plan(again_ms, who, Step::Fetch(msn));
                return;
            }
            Habit::Heads => self.edges[edge].heads += 1,
            // The first part has not the last byte; the second goes wherever the balancer sends it.
            Habit::Parts => {
                let second = self.pick(who, begins_ms + takes_ms);
                self.plan(begins_ms + takes_ms, who, Step::Done(second, msn));
                return;
            }
            Habit::Plain | Habit::Flaky | Habit::Slow | Habit::Connected => {}
        }
        let takes_ms = if self.players[who].habit == Habit::Slow { self.segment_ms * 2 / 5 } else { takes_ms };
        self.plan(begins_ms + takes_ms, who, Step::Done(edge, msn));
    }

    /// When `edge` came to hold it.
    fn held_ms(&self, edge: usize, msn: u64) -> u64 {
        (msn * self.segment_ms + self.edges[edge].behind_ms).max(self.edges[edge].since_ms)
    }

    fn done(&mut self, now_ms: u64, who: usize, edge: usize, msn: u64) {
        if !self.players[who].here {
            return;
        }
        if !self.edges[edge].alive {
            self.plan(now_ms + 200, who, Step::Fetch(msn));
            return;
        }
        *self.edges[edge].done.entry(msn).or_default() += 1;
        let jitter_ms = self.target_ms * self.jitter_percent / 100;
        let waits_ms = self.target_ms - jitter_ms + self.dice.below(2 * jitter_ms + 1);
        let player = &mut self.players[who];
        player.next_msn = msn + 1;
        let next_ms = player.reloaded_ms + waits_ms;
        if self.newest(edge, self.players[who].reloaded_ms) > msn {
            self.plan(now_ms + 10, who, Step::Fetch(msn + 1));
        } else {
            self.plan(next_ms.max(now_ms + 10), who, Step::Reload);
        }
    }

    fn go(&mut self, who: usize) {
        let player = &mut self.players[who];
        if std::mem::replace(&mut player.here, false) && player.habit == Habit::Connected {
            self.edges[player.edge].connections -= 1;
        }
    }

    /// As node/src/edge/status.rs answers.
    fn ask(&mut self, now_ms: u64, edge: usize) {
        if !self.edges[edge].alive || self.lost.is_some_and(|one_in| self.dice.below(one_in) == 0) {
            return;
        }
        let newest = self.newest(edge, now_ms);
        let model = &self.edges[edge];
        let age_ms = |msn: u64| now_ms.saturating_sub(self.held_ms(edge, msn));
        let told = |msn: u64| (msn, model.done.get(&msn).copied().unwrap_or(0), age_ms(msn));
        let fetches: Vec<_> = (newest.saturating_sub(3)..=newest).map(told).collect();
        // It counts what there is at every tick.
        let tick_ms = now_ms - (now_ms + model.behind_ms) % TICK_MS;
        let within = |asked_ms: &&u64| (tick_ms - self.target_ms..tick_ms).contains(*asked_ms);
        let reloads = self.tells_reloads.then(|| model.reloads_ms.iter().filter(within).count() as u64);
        let target_s = u32::try_from(self.target_ms / 1_000).unwrap();
        let mut status = said(&fetches, |_| {});
        let stream = status.edge.as_mut().unwrap().streams.get_mut("hall-a").unwrap();
        (stream.target_s, stream.rtmp, stream.reloads) = (Some(target_s), model.connections, reloads);
        self.edges[edge].heard = Some((now_ms, status));
        self.edges[edge].done.retain(|msn, _| msn + WINDOW > newest);
        let old_ms = now_ms - self.target_ms - TICK_MS;
        self.edges[edge].reloads_ms.retain(|asked_ms| *asked_ms >= old_ms);
    }

    /// Folds what was heard since the last round, and asks again.
    fn round(&mut self, now_ms: u64) {
        let seen: Vec<Seen<'_>> = self
            .edges
            .iter()
            .zip(&self.names)
            .filter(|(edge, _)| edge.alive)
            .map(|(edge, name)| {
                let answer = edge.heard.as_ref().map(|(heard_ms, status)| Answer { heard_ms: *heard_ms, status });
                Seen { name, serves: true, answer }
            })
            .collect();
        if now_ms > START_MS {
            let audience = self.fold.round(now_ms, &seen, 0);
            let truth = self.players.iter().filter(|player| player.here).count() as u64;
            self.told.push((now_ms, truth, audience));
        }
        let next_ms = now_ms + ROUND_MS;
        self.plan(next_ms, 0, Step::Fold);
        for edge in 0..self.edges.len() {
            self.edges[edge].heard = None;
            let asked_ms = next_ms - HEARD_MS + self.dice.below(HEARD_MS - 10);
            self.plan(asked_ms, 0, Step::Ask(edge));
        }
    }

    /// The largest error in per cent from `from_ms` to `to_ms`.
    pub(super) fn error_percent(&self, from_ms: u64, to_ms: u64) -> u64 {
        let within = self.told.iter().filter(|(at_ms, ..)| (from_ms..=to_ms).contains(at_ms));
        let errors = within.map(|(_, truth, told)| {
            let viewers = told.as_ref().map_or(0, |audience| audience.viewers);
            viewers.abs_diff(*truth) * 100 / (*truth).max(1)
        });
        errors.max().unwrap()
    }
}
