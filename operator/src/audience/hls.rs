//! The HLS viewers of one stream, counted over all edges at once.
//!
//! There are no sessions. Who watches fetches every segment once, from whatever edge a load balancer picks, and has done
//! so 1.5 target durations after it was listed: a player asks for the playlist again after one target duration at the
//! latest, and needs some time for the download. So the number of completed GETs of one such segment, summed over the
//! fleet, is the number of viewers, however they are spread. Edges that went or were started again since then keep what
//! they had delivered of it.
//!
//! That number is right and late: those who have gone are in it until a segment that they never asked for is old enough.
//! [`Reloads`] says who is not there any more.

mod reloads;

use lectern_api::node_status::EdgeStream;
use reloads::Reloads;
use std::collections::BTreeMap;

/// An edge between two of its starts: what it had counted before a restart stays counted.
pub(super) type Life = u32;

/// From the listing of a segment to the count of it, in per cent of the target duration.
const MATURE_PERCENT: u64 = 150;
/// A count is final this long after the next one could have been read: two rounds over the fleet. While an encoder is
/// silent, people who load the page again fetch the last segments again; that must not count them twice.
const FINAL_AFTER_MS: u64 = 4_000;
/// Segments that an edge tells of.
const SEGMENTS_TOLD: usize = 4;
/// Target duration in seconds where an edge knows none.
const TARGET_S_DEFAULT: u64 = 2;

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Hls {
    /// By msn: the one that was read last, and what is newer.
    segments: BTreeMap<u64, Segment>,
    target_ms: u64,
    held: Held,
    reloads: Reloads,
    /// What edges reported in this round.
    round: BTreeMap<Life, EdgeReport>,
}

#[derive(Debug)]
struct Segment {
    /// When the first edge listed it, milliseconds of the caller's clock.
    listed_ms: u64,
    fetched: BTreeMap<Life, u64>,
}

/// What an edge reported in this round.
#[derive(Debug)]
struct EdgeReport {
    heard_ms: u64,
    /// The last segment that it lists, and for how long.
    newest: Option<(u64, u64)>,
    reloads: Option<u64>,
    gone: bool,
}

/// What was read last.
#[derive(Debug, Default)]
struct Held {
    msn: u64,
    total: u64,
    /// Of the total, by edge; those that could be read to the end.
    shares: BTreeMap<Life, u64>,
}

impl Hls {
    /// What an edge says at `heard_ms`.
    pub(super) fn hear(&mut self, life: Life, heard_ms: u64, said: &EdgeStream) {
        if let Some(target_s) = said.target_s {
            self.target_ms = u64::from(target_s) * 1_000;
        }
        for (msn, count, age_ms) in &said.fetches {
            if *msn < self.held.msn {
                continue;
            }
            let listed_ms = heard_ms.saturating_sub(*age_ms);
            let segment = self.segments.entry(*msn).or_insert_with(|| Segment { listed_ms, fetched: BTreeMap::new() });
            segment.listed_ms = segment.listed_ms.min(listed_ms);
            segment.fetched.insert(life, *count);
        }
        let newest = said.fetches.iter().map(|(msn, _, age_ms)| (*msn, *age_ms)).max();
        let report = EdgeReport { heard_ms, newest, reloads: said.reloads, gone: said.state == "idle" };
        self.round.insert(life, report);
    }

    /// Reads the count after all answers of this round. `silent` are the edges that should have
    /// answered: by life, None if they never did.
    pub(super) fn read(&mut self, silent: &[Option<Life>]) -> u64 {
        let round = std::mem::take(&mut self.round);
        if !round.is_empty() && round.values().all(|report| report.gone) {
            self.segments.clear();
            self.held = Held { msn: self.held.msn, ..Held::default() };
            self.reloads = Reloads::default();
            return 0;
        }
        let Some(asked_ms) = round.values().map(|report| report.heard_ms).min() else { return self.held.total };
        let mature_ms = self.target_ms().saturating_mul(MATURE_PERCENT) / 100;
        self.count(&round, silent, asked_ms, mature_ms);
        self.reloads.hear(asked_ms, mature_ms, &round, silent);
        self.reloads.at_most(self.held.total)
    }

    fn count(&mut self, round: &BTreeMap<Life, EdgeReport>, silent: &[Option<Life>], asked_ms: u64, mature_ms: u64) {
        let Some((&msn, segment)) = self.readable(asked_ms, mature_ms) else { return };
        let age_ms = asked_ms.saturating_sub(segment.listed_ms);
        let is_final = age_ms > mature_ms + self.target_ms() + FINAL_AFTER_MS;
        if msn == self.held.msn && is_final && !self.held.shares.is_empty() {
            return;
        }
        let next = count(msn, segment, round, silent, &self.held);
        let last = std::mem::replace(&mut self.held, next);
        if msn != last.msn && !last.shares.is_empty() {
            self.reloads.prove(last.msn, last.total);
        }
        self.segments.retain(|known, _| *known >= msn);
    }

    /// Viewers of one edge when it was last read to the end.
    pub(super) fn share(&self, life: Life) -> Option<u64> {
        self.held.shares.get(&life).copied()
    }

    /// An edge that is not there any more has no share; what it delivered stays counted.
    pub(super) fn forget(&mut self, life: Life) {
        self.held.shares.remove(&life);
    }

    /// The newest segment that every viewer has fetched by now. With segments that are much shorter than the
    /// target duration (a first one that was very long) none may be old enough: then the oldest is the best there is.
    fn readable(&self, asked_ms: u64, mature_ms: u64) -> Option<(&u64, &Segment)> {
        let is_mature = |segment: &Segment| asked_ms.saturating_sub(segment.listed_ms) >= mature_ms;
        let found = self.segments.iter().rev().find(|(_, segment)| is_mature(segment));
        found.or_else(|| self.segments.iter().next().filter(|_| self.segments.len() > SEGMENTS_TOLD))
    }

    fn target_ms(&self) -> u64 {
        if self.target_ms == 0 { TARGET_S_DEFAULT * 1_000 } else { self.target_ms }
    }
}

fn count(
    msn: u64,
    segment: &Segment,
    round: &BTreeMap<Life, EdgeReport>,
    silent: &[Option<Life>],
    before: &Held,
) -> Held {
    let mut total: u64 = segment.fetched.values().fold(0, |sum, count| sum.saturating_add(*count));
    let mut shares = BTreeMap::new();
    let mut behind = Vec::new();
    for (life, report) in round {
        let fetched = segment.fetched.get(life).copied();
        // An edge whose list is not there yet has viewers who are not there yet.
        if report.newest.is_none_or(|(newest, _)| newest < msn) {
            behind.push(Some(*life));
        } else {
            shares.insert(*life, fetched.unwrap_or(0));
        }
    }
    let mean = shares.values().sum::<u64>().checked_div(shares.len() as u64).unwrap_or(0);
    for life in silent.iter().chain(&behind) {
        let known = life.and_then(|life| before.shares.get(&life).copied().map(|share| (life, share)));
        let fetched = life.and_then(|life| segment.fetched.get(&life).copied()).unwrap_or(0);
        let never_heard = life.is_none();
        let guess = known.map_or(if never_heard { mean } else { 0 }, |(_, share)| share);
        total = total.saturating_add(guess.saturating_sub(fetched));
        if let Some((life, share)) = known {
            shares.insert(life, share);
        }
    }
    Held { msn, total, shares }
}
