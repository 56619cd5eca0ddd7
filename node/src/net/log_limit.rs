//! How often a line is logged that strangers can cause: a flood of connections must not become a flood of lines.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Lines of one kind in one [`WINDOW`]: enough to see who it is.
const LINES_MAX: u32 = 20;
/// After this, lines are logged again.
const WINDOW: Duration = Duration::from_secs(10);

/// The limit of one kind of line; made once, as a `static`.
#[derive(Debug)]
pub struct LogLimit {
    window: Mutex<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    lines: u32,
    suppressed: u64,
}

impl LogLimit {
    /// A limit that nothing was counted against.
    #[must_use]
    pub const fn new() -> Self {
        Self { window: Mutex::new(None) }
    }

    /// Whether the line may be logged now: if so, how many before it were not.
    pub fn allow(&self) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let current = window.get_or_insert(Window { since: now, lines: 0, suppressed: 0 });
        let mut before = 0;
        if now.duration_since(current.since) >= WINDOW {
            before = current.suppressed;
            *current = Window { since: now, lines: 0, suppressed: 0 };
        }
        if current.lines == LINES_MAX {
            current.suppressed += 1;
            return None;
        }
        current.lines += 1;
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_twenty_lines_and_a_number() {
        let limit = LogLimit::new();
        let said = (0..10_000).filter(|_| limit.allow().is_some()).count();
        assert_eq!(said, 20);
        tokio::time::advance(WINDOW).await;
        assert_eq!(limit.allow(), Some(9_980));
        assert_eq!(limit.allow(), Some(0));
    }
}
