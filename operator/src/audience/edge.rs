//! What is remembered of one edge between two rounds.

use super::hls::Life;
use lectern_api::node_status::{EdgeStatus, NodeStatus};
use std::collections::VecDeque;

/// Over how long egress is averaged: HLS is sent in bursts, one a segment, and a round comes every two seconds.
const EGRESS_WINDOW_MS: u64 = 10_000;
/// Over how long joins are averaged: three rounds. A crowd must show soon.
const JOINS_WINDOW_MS: u64 = 6_000;

/// One edge.
#[derive(Debug)]
pub(super) struct Memory {
    /// This start of it. Another one has other counters.
    pub life: Life,
    boot: String,
    /// When it was seen first, and when it last answered.
    since_ms: u64,
    pub heard_ms: Option<u64>,
    /// RTMP and HTTP-FLV viewers.
    pub connections: u64,
    /// Distinct newcomers that it refused, and how often.
    pub refused: u64,
    pub refusals: u64,
    sent: Rate,
    admitted: Rate,
    /// Viewers at the end of the last round in which it answered.
    pub viewers: u64,
}

impl Memory {
    /// An edge that did not answer yet.
    pub(super) fn new(life: Life, now_ms: u64) -> Self {
        Self {
            life,
            boot: String::new(),
            since_ms: now_ms,
            heard_ms: None,
            connections: 0,
            refused: 0,
            refusals: 0,
            sent: Rate::over(EGRESS_WINDOW_MS),
            admitted: Rate::over(JOINS_WINDOW_MS),
            viewers: 0,
        }
    }

    /// Takes in an answer. `next_life` is for an edge that was started again. False if it was known already.
    pub(super) fn hear(&mut self, status: &NodeStatus, edge: &EdgeStatus, heard_ms: u64, next_life: Life) -> bool {
        if self.heard_ms == Some(heard_ms) {
            return false;
        }
        if self.boot != status.boot {
            if self.heard_ms.is_some() {
                self.life = next_life;
            }
            self.boot.clone_from(&status.boot);
            self.sent.restart();
            self.admitted.restart();
        }
        self.heard_ms = Some(heard_ms);
        self.connections =
            edge.streams.values().fold(0, |sum, stream| sum.saturating_add(stream.rtmp).saturating_add(stream.flv));
        (self.refused, self.refusals) = (edge.refused_15s, edge.refusals_15s);
        self.sent.sample(heard_ms, edge.egress_bytes);
        self.admitted.sample(heard_ms, edge.admitted);
        true
    }

    /// Bits per second to viewers.
    pub(super) fn egress_bits(&self) -> u64 {
        self.sent.per_1000_s.saturating_mul(8) / 1_000
    }

    /// Newcomers let in, in a thousand seconds.
    pub(super) fn joins_per_1000_s(&self) -> u64 {
        self.admitted.per_1000_s
    }

    /// How long it has been silent.
    pub(super) fn silent_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.heard_ms.unwrap_or(self.since_ms))
    }
}

/// How fast a counter grows that begins again at zero when its process does.
#[derive(Debug)]
struct Rate {
    window_ms: u64,
    samples: VecDeque<(u64, u64)>,
    per_1000_s: u64,
}

impl Rate {
    fn over(window_ms: u64) -> Self {
        Self { window_ms, samples: VecDeque::new(), per_1000_s: 0 }
    }

    fn sample(&mut self, at_ms: u64, count: u64) {
        // A counter that goes back without a restart is no counter; begin again.
        if self.samples.back().is_some_and(|(last_ms, last)| at_ms <= *last_ms || count < *last) {
            self.samples.clear();
        }
        self.samples.push_back((at_ms, count));
        while self.samples.get(1).is_some_and(|(next_ms, _)| at_ms - next_ms >= self.window_ms) {
            self.samples.pop_front();
        }
        let Some((from_ms, from)) = self.samples.front().copied().filter(|(from_ms, _)| *from_ms < at_ms) else {
            return;
        };
        self.per_1000_s = (count - from).saturating_mul(1_000_000) / (at_ms - from_ms);
    }

    /// What was measured before stays the best guess until there are two samples.
    fn restart(&mut self) {
        self.samples.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{EGRESS_WINDOW_MS, Rate};

    #[test]
    fn a_rate_survives_restarts_and_never_jumps() {
        let mut rate = Rate::over(EGRESS_WINDOW_MS);
        for (at_ms, count, expected) in
            [(0, 5_000, 0), (2_000, 7_000, 1_000_000), (4_000, 9_000, 1_000_000), (14_000, 9_000, 0)]
        {
            rate.sample(at_ms, count);
            assert_eq!(rate.per_1000_s, expected, "at {at_ms}");
        }
        rate.sample(15_000, 19_000);
        let before = rate.per_1000_s;
        rate.restart();
        rate.sample(16_000, 3);
        assert_eq!(rate.per_1000_s, before, "one sample after a restart says nothing");
        rate.sample(17_000, 1_003);
        assert_eq!(rate.per_1000_s, 1_000_000);
        rate.sample(18_000, 0);
        rate.sample(19_000, 500);
        assert_eq!(rate.per_1000_s, 500_000, "a counter that went back");
    }
}
