//! The clock of a node: unix milliseconds that never go back.
//!
//! The wall clock is read once, at the start; after that only elapsed time is added. A change of the system's time
//! in the middle of a lecture moves no epoch.

use std::time::Duration;
use tokio::time::Instant;

pub use lectern_process::clock::unix_ms;

/// Gives unix milliseconds. Copies of one clock agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start_unix_ms: u64,
    start: Instant,
}

impl Clock {
    /// A clock that starts at the wall clock's time.
    #[must_use]
    pub fn start() -> Self {
        Self { start_unix_ms: unix_ms(), start: Instant::now() }
    }

    /// When it was started.
    #[must_use]
    pub fn start_unix_ms(&self) -> u64 {
        self.start_unix_ms
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.start_unix_ms + u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment `at_ms` for timers; now if it has passed.
    #[must_use]
    pub fn instant(&self, at_ms: u64) -> Instant {
        self.start + Duration::from_millis(at_ms.saturating_sub(self.start_unix_ms))
    }

    /// The next moment that is a multiple of `step` after the start. A task that waits for it wakes together with all other tasks
    /// that do, also with those whose step is a fraction of this one: a node that is woken once has its work in the
    /// processor's caches for all of them.
    #[must_use]
    pub fn next_tick(&self, step: Duration) -> Instant {
        let step_us = step.as_micros().max(1);
        let ticks = self.start.elapsed().as_micros() / step_us + 1;
        self.start + Duration::from_micros(u64::try_from(ticks * step_us).unwrap_or(u64::MAX))
    }

    /// Waits until `at_ms`; for ever without one.
    pub async fn until(&self, at_ms: Option<u64>) {
        match at_ms {
            Some(at_ms) => tokio::time::sleep_until(self.instant(at_ms)).await,
            None => std::future::pending().await,
        }
    }
}
