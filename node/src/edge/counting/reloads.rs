//! How often the media playlist of a stream was asked for a moment ago. Every HLS viewer asks for it about once
//! in a target duration, by its own clock: a viewer that has gone is missing after one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// The longest window that is asked for, in milliseconds: the longest target duration (RFC 8216bis 6.2.1,
/// and the limit of a first segment).
const WINDOW_MS_MAX: u64 = 10_000;

/// The requests of one stream.
#[derive(Debug, Default)]
pub struct Reloads {
    total: AtomicU64,
    looks: Mutex<VecDeque<ReloadSample>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ReloadSample {
    at_ms: u64,
    total: u64,
}

impl Reloads {
    /// Counts a request.
    pub fn add(&self) {
        self.total.fetch_add(1, Relaxed);
    }

    /// Remembers how many there were until now, a few times a second.
    pub fn look(&self, now_ms: u64) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        while looks.get(1).is_some_and(|next| now_ms.saturating_sub(next.at_ms) >= WINDOW_MS_MAX) {
            looks.pop_front();
        }
        looks.push_back(ReloadSample { at_ms: now_ms, total: self.total.load(Relaxed) });
    }

    /// Requests in `window_ms` before the last look.
    #[must_use]
    pub fn within(&self, window_ms: u64) -> u64 {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = looks.back() else { return 0 };
        let begin = looks.iter().rev().find(|look| look.at_ms + window_ms <= last.at_ms);
        // No request came before the first look, and one that came late must not make it more.
        begin.map_or(last.total, |begin| (last.total - begin.total) * window_ms / (last.at_ms - begin.at_ms).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_for_one_window_and_then_no_more() {
        let reloads = Reloads::default();
        assert_eq!(reloads.within(2_000), 0);
        for (at_ms, asked, within, what) in [
            (250, 3, 3, "all since the start"),
            (500, 0, 3, "still"),
            (2_000, 0, 3, "they are not yet older than the window"),
            (2_250, 1, 1, "they are"),
            (2_500, 0, 1, "still there"),
            (6_500, 4, 2, "a look that came late: two of four in each half of it"),
        ] {
            (0..asked).for_each(|_| reloads.add());
            reloads.look(at_ms);
            assert_eq!(reloads.within(2_000), within, "at {at_ms}: {what}");
        }
    }

    #[test]
    fn looks_are_forgotten_when_no_window_begins_at_them() {
        let reloads = Reloads::default();
        for tick in 0..1_000 {
            reloads.add();
            reloads.look(tick * 250);
        }
        assert_eq!(reloads.within(WINDOW_MS_MAX), 40);
        assert!(reloads.looks.lock().unwrap().len() <= 42);
    }
}
