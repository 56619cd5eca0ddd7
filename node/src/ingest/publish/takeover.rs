//! Which of two encoders of one stream may publish. Pure.
//!
//! An encoder that lost its network must get back in at once; two encoders that are set to the same stream must not
//! throw each other out for ever.

use std::collections::VecDeque;

/// A publisher that sent nothing for this long is replaced without being counted.
pub const SILENT_MS: u64 = 1_000;
/// So many publishers that are not silent may be replaced within [`TAKEOVER_WINDOW_MS`].
pub const TAKEOVERS_MAX: usize = 3;
/// See [`TAKEOVERS_MAX`].
pub const TAKEOVER_WINDOW_MS: u64 = 5 * 60_000;

/// What happens to a second publisher with the right key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No encoder publishes: the newcomer may.
    Accept,
    /// The incumbent is closed, the newcomer publishes.
    TakeOver,
    /// The incumbent stays, the newcomer is refused: `PublisherConflict`.
    Conflict,
}

/// The memory of one stream.
#[derive(Debug, Default)]
pub struct Takeovers {
    /// Times at which a publisher that was not silent was replaced.
    recent_ms: VecDeque<u64>,
}

impl Takeovers {
    /// Decides about a newcomer at `now_ms`. `incumbent_last_ms` is when the publisher that is there last sent media.
    pub fn decide(&mut self, now_ms: u64, incumbent_last_ms: Option<u64>) -> Decision {
        let Some(last_ms) = incumbent_last_ms else { return Decision::Accept };
        if now_ms.saturating_sub(last_ms) >= SILENT_MS {
            return Decision::TakeOver;
        }
        while self.recent_ms.front().is_some_and(|at| now_ms.saturating_sub(*at) >= TAKEOVER_WINDOW_MS) {
            self.recent_ms.pop_front();
        }
        if self.recent_ms.len() >= TAKEOVERS_MAX {
            return Decision::Conflict;
        }
        self.recent_ms.push_back(now_ms);
        Decision::TakeOver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_that_fell_silent_is_always_replaced() {
        let mut takeovers = Takeovers::default();
        assert_eq!(takeovers.decide(0, None), Decision::Accept);
        for round in 1..20 {
            let now = round * SILENT_MS;
            assert_eq!(takeovers.decide(now, Some(now - SILENT_MS)), Decision::TakeOver);
        }
    }

    #[test]
    fn two_encoders_do_not_fight_for_ever() {
        let mut takeovers = Takeovers::default();
        let decisions: Vec<_> = (0..5).map(|i| takeovers.decide(i * 2_000, Some(i * 2_000 - i.min(1)))).collect();
        use Decision::{Conflict, TakeOver};
        assert_eq!(decisions, [TakeOver, TakeOver, TakeOver, Conflict, Conflict]);
        // The first of the three was at 0: just before five minutes it still counts, then it does not.
        assert_eq!(takeovers.decide(TAKEOVER_WINDOW_MS - 1, Some(TAKEOVER_WINDOW_MS - 1)), Conflict);
        assert_eq!(takeovers.decide(TAKEOVER_WINDOW_MS, Some(TAKEOVER_WINDOW_MS)), TakeOver);
        assert_eq!(takeovers.decide(TAKEOVER_WINDOW_MS + 1, Some(TAKEOVER_WINDOW_MS)), Conflict);
    }
}
