//! Which of two encoders of one stream may publish. Pure.
//!
//! An encoder that lost its network must get back in at once; two encoders that are set to the same stream must not
//! throw each other out for ever. Each key has takeovers of its own, so that one that leaked uses up none of another's.

use crate::ingest::keys::KeyDigest;
use std::collections::VecDeque;

/// A publisher that sent nothing for this long is replaced without being counted.
pub const SILENT_MS: u64 = 1_000;
/// So many publishers that are not silent may be replaced by those with one key within [`TAKEOVER_WINDOW_MS`].
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
    /// When a publisher that was not silent was replaced, and by one with which key.
    recent: VecDeque<(u64, KeyDigest)>,
}

impl Takeovers {
    /// Decides about a newcomer that showed `key` at `now_ms`. `incumbent_last_ms` is when the publisher that is there last sent media.
    pub fn decide(&mut self, now_ms: u64, key: &KeyDigest, incumbent_last_ms: Option<u64>) -> Decision {
        let Some(last_ms) = incumbent_last_ms else { return Decision::Accept };
        if now_ms.saturating_sub(last_ms) >= SILENT_MS {
            return Decision::TakeOver;
        }
        while self.recent.front().is_some_and(|(at, _)| now_ms.saturating_sub(*at) >= TAKEOVER_WINDOW_MS) {
            self.recent.pop_front();
        }
        if self.recent.iter().filter(|(_, by)| by == key).count() >= TAKEOVERS_MAX {
            return Decision::Conflict;
        }
        self.recent.push_back((now_ms, *key));
        Decision::TakeOver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyDigest = [1; 32];
    const OTHER_KEY: KeyDigest = [2; 32];

    #[test]
    fn a_publisher_that_fell_silent_is_always_replaced() {
        let mut takeovers = Takeovers::default();
        assert_eq!(takeovers.decide(0, &KEY, None), Decision::Accept);
        for round in 1..20 {
            let now = round * SILENT_MS;
            assert_eq!(takeovers.decide(now, &KEY, Some(now - SILENT_MS)), Decision::TakeOver);
        }
    }

    #[test]
    fn two_encoders_do_not_fight_for_ever() {
        let mut takeovers = Takeovers::default();
        let decisions: Vec<_> = (0..5).map(|i| takeovers.decide(i * 2_000, &KEY, Some(i * 2_000 - i.min(1)))).collect();
        use Decision::{Conflict, TakeOver};
        assert_eq!(decisions, [TakeOver, TakeOver, TakeOver, Conflict, Conflict]);
        // The first of the three was at 0: just before five minutes it still counts, then it does not.
        assert_eq!(takeovers.decide(TAKEOVER_WINDOW_MS - 1, &KEY, Some(TAKEOVER_WINDOW_MS - 1)), Conflict);
        assert_eq!(takeovers.decide(TAKEOVER_WINDOW_MS, &KEY, Some(TAKEOVER_WINDOW_MS)), TakeOver);
        assert_eq!(takeovers.decide(TAKEOVER_WINDOW_MS + 1, &KEY, Some(TAKEOVER_WINDOW_MS)), Conflict);
    }

    #[test]
    fn takeovers_with_one_key_use_up_none_of_another() {
        use Decision::{Conflict, TakeOver};
        let mut takeovers = Takeovers::default();
        let mut decide = |key: &KeyDigest| takeovers.decide(1_000, key, Some(1_000));
        assert_eq!([KEY; 5].map(|key| decide(&key)), [TakeOver, TakeOver, TakeOver, Conflict, Conflict]);
        assert_eq!([OTHER_KEY; 4].map(|key| decide(&key)), [TakeOver, TakeOver, TakeOver, Conflict], "and it ends too");
        assert_eq!(decide(&KEY), Conflict);
    }
}
