//! Waiting for a condition with a deadline: nothing in these tests sleeps for a guess of a time.

use anyhow::{Result, bail};
use std::future::Future;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Looks until `condition` gives a value, for `seconds` at most. The error names `what` was waited for.
pub async fn wait_for<T, F>(what: &str, seconds: u64, mut condition: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let began = Instant::now();
    let deadline = began + Duration::from_secs(seconds);
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {seconds} s");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Lets the world run until `at` after `began`: for schedules that are part of a test ("the second edge joins at 13 s").
pub async fn until(began: Instant, at: Duration) {
    tokio::time::sleep_until((began + at).into()).await;
}

/// Lets the world run for a time that is itself part of the test: the pace of a viewer, a random schedule of faults.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Unix time in milliseconds.
#[must_use]
pub fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
